"""Lines of the live table: pieces of text set side by side, never wider than the terminal; numbers as words.

Styles are few, and none of them says what a word or a sign beside it does not.
"""

import textwrap
from collections.abc import Sequence
from typing import Any

from rich.text import Text

TROUBLE, CARE, FINE, QUIET = "bold red", "yellow", "green", "dim"
REAL_MONEY = "bold white on red"
LABEL_WIDTH = 10
_BETWEEN = "  "
_NARROWEST = 20

Piece = tuple[str, str]
"""A piece of text that is not torn apart, and its style."""


def labelled(label: str, pieces: Sequence[Piece], width: int, most: int | None = None) -> list[Text]:
    """Return pieces behind a label, on as many lines as they need; the label stands on the first.

    Args: `most` lines at most; what has no place then is counted (`+2 more`).
    Units: `width` in cells; no line is wider.
    """
    indent = LABEL_WIDTH if width > LABEL_WIDTH + _NARROWEST else 0
    room = max(width - indent, 1)
    rows: list[list[Piece]] = []
    for number, (words, style) in enumerate(pieces):
        piece = cut(words, room), style
        left = len(pieces) - number
        if rows and _long([*rows[-1], piece]) <= room - _reserve(rows, most, left):
            rows[-1].append(piece)
        elif most is None or len(rows) < most:
            rows.append([piece])
        else:
            rows[-1].append((f"+{left} more", QUIET))
            break
    lines = []
    for number, row in enumerate(rows):
        line = Text(no_wrap=True)
        if indent or number == 0:
            line.append((label if number == 0 else "").ljust(indent), QUIET)
        for place, (words, style) in enumerate(row):
            line.append(f"{_BETWEEN if place else ''}")
            line.append(words, style)
        line.truncate(width, overflow="ellipsis")
        lines.append(line)
    return lines


def _reserve(rows: Sequence[Sequence[Piece]], most: int | None, left: int) -> int:
    """Return the cells to keep free on the last line there may be, for the count of what follows."""
    return len(_BETWEEN) + len(f"+{left} more") if most is not None and len(rows) == most and left > 1 else 0


def _long(row: Sequence[Piece]) -> int:
    return sum(len(words) for words, _ in row) + len(_BETWEEN) * (len(row) - 1)


def wrapped(words: str, width: int, style: str, most: int = 1, indent: str = "  ") -> list[Text]:
    """Return a sentence on `most` lines at most; what does not fit ends in an ellipsis."""
    options: dict[str, Any] = {"break_long_words": True, "break_on_hyphens": False, "placeholder": " …"}
    found = textwrap.wrap(
        words, max(width, 4), subsequent_indent=indent if width > 20 else "", max_lines=most, **options
    )
    return [Text(line, style, no_wrap=True) for line in found]


def cut(words: str, width: int) -> str:
    """Return what fits of a text; an ellipsis says that there is more."""
    return words if len(words) <= width else words[: max(width - 1, 0)] + "…"


def times(leverage: float | None) -> str:
    """Return a signed leverage."""
    return "-" if leverage is None else f"{leverage + 0.0:+.2f}x"


def number(value: float | None, form: str) -> str:
    """Return a number, a dash where it is not known."""
    return "-" if value is None else format(value, form)


def price(value: float, symbol: str | None, state: dict[str, Any]) -> str:
    """Return a price with the digits of its symbol, where that is known."""
    digits = next((s["digits"] for s in state["symbols"] if s["symbol"] == symbol), None)
    return f"{value:.10g}" if digits is None else f"{value:.{digits}f}"


def size(units: float | None) -> str:
    """Return a volume with three figures, which are enough to see how a book changes."""
    if units is None:
        return "-"
    for bound, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if units >= bound:
            return f"{units / bound:.{_decimals(units / bound)}f}{letter}"
    return f"{units:.{_decimals(units)}f}"


def _decimals(value: float) -> int:
    return 2 if value < 10 else 1 if value < 100 else 0


def span(seconds: float) -> str:
    """Return a length of time."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"


def clock(time: str) -> str:
    """Return the time of day of an ISO 8601 time, UTC."""
    return time[11:19]
