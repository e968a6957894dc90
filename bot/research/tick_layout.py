"""What a tick file looks like, told from its first lines: delimiter, header, columns, the form of its times."""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass

from bot.research.tick_symbol import is_same, is_suffixed
from bot.research.tick_time import FORMS, form_of
from bot.sim.listing import pair_in

_TIMES = (
    "timestamp",
    "datetime",
    "date time",
    "date_time",
    "gmt time",
    "local time",
    "time",
    "ts",
    "ts_us",
    "ts_ms",
    "ts_ns",
)
_DATES = ("date", "day")
_BIDS = ("bid", "bid price", "bid_price", "bidprice")
_ASKS = ("ask", "ask price", "ask_price", "askprice", "offer")
_SYMBOLS = ("symbol", "instrument", "ticker", "pair")
_DATE = re.compile(r"\d{4}[-./]?\d\d[-./]?\d\d|\d\d[-./]\d\d[-./]\d{4}")
_CLOCK = re.compile(r"\d\d:?\d\d:?\d\d([.,]?\d{1,9})?")
_PRICE = re.compile(r"\d+([.,]\d+)?")
_WORD = re.compile(r"[A-Za-z][\w/.#+-]{2,}")


class TickFileError(ValueError):
    """A tick file cannot be imported; the message says where and why, in one line."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where what is. `time` has one column, or two: date and time of day; columns count from 0.

    `first_line` is how many lines, blank ones and the header, stand before the first tick; `symbol` None where no
    column names one.
    """

    delimiter: str
    first_line: int
    width: int
    time: tuple[int, ...]
    bid: int
    ask: int
    form: str
    has_decimal_comma: bool
    symbol: int | None = None


def tell_layout(
    lines: Sequence[str],
    *,
    time: Sequence[str] = (),
    bid: str | None = None,
    ask: str | None = None,
    form: str | None = None,
    symbol: str | None = None,
) -> Layout:
    """Return the layout of a file that begins with these lines.

    Args: `time` (one column, or date and time of day), `bid`, `ask`: a name of the header or a number from 1 on, where
        they are not to be guessed; `form` one of `tick_time.FORMS`; `symbol` the one that is wanted.
    Raises: TickFileError, without the file's name.
    """
    blank = next((i for i, line in enumerate(lines) if line.strip()), None)
    if blank is None:
        raise TickFileError("holds no line")
    lines = [line for line in lines if line.strip()]
    delimiter = max("\t;,", key=lines[0].count)  # of as many the first: behind those two prices may have a comma
    rows = list(csv.reader(lines, delimiter=delimiter))
    head = [_plain(cell) for cell in rows[0]]
    has_header = not any(re.fullmatch(r"[\d.,:/TZ +-]*\d[\d.,:/TZ +-]*", cell) for cell in rows[0])
    body = [[cell.strip() for cell in row] for row in rows[has_header:] if len(row) == len(head)]
    if not body:
        raise TickFileError(f"holds no line of {len(head)} columns{' below its header' if has_header else ''}")
    names = head if has_header else [f"column {i + 1}" for i in range(len(head))]
    first = body[0]

    times = tuple(_chosen(each, names, "--time-column") for each in time) or _guess_time(names, first, has_header)
    if bid is None and ask is None and not has_header:
        sides = _guess_sides(body, times)
    else:
        sides = (
            _side(bid, _BIDS, names, "bid"),
            _side(ask, _ASKS, names, "ask"),
        )
    stamps = [" ".join(row[i] for i in times) for row in body]
    if form is None:
        form = next((found for found in map(form_of, stamps) if found), None)
    if form is None:
        raise TickFileError(f"has stamps like {stamps[0]!r}; say what they are with --format {'|'.join(FORMS)}")
    comma = delimiter != "," and any("," in row[side] for row in body for side in sides)
    if has_header:
        named = next((names.index(name) for name in _SYMBOLS if name in names), None)
    else:
        named = _guess_symbol(body, (*times, *sides), symbol)
    return Layout(delimiter, blank + has_header, len(head), times, *sides, form, comma, named)


def _plain(cell: str) -> str:
    """Return a name as it is compared: MetaTrader writes <BID>, others "Bid " or "BID"."""
    return cell.strip().strip("<>").strip().lower()


def _chosen(wanted: str, names: Sequence[str], option: str) -> int:
    if wanted.isdigit() and 1 <= int(wanted) <= len(names):
        return int(wanted) - 1
    if _plain(wanted) in names:
        return names.index(_plain(wanted))
    raise TickFileError(f"has no column {wanted!r} ({option}); it has: {', '.join(names)}")


def _guess_time(names: Sequence[str], first: Sequence[str], has_header: bool) -> tuple[int, ...]:
    dates = [i for i, cell in enumerate(first) if _DATE.fullmatch(cell) and (not has_header or names[i] in _DATES)]
    if dates:
        clocks = [i for i, cell in enumerate(first) if i not in dates and _CLOCK.fullmatch(cell)]
        clocks = [i for i in clocks if not has_header or names[i] in _TIMES]
        if clocks:
            return dates[0], clocks[0]
    if has_header:
        found = next((names.index(name) for name in (*_TIMES, *_DATES) if name in names), None)
    else:
        found = next((i for i, cell in enumerate(first) if form_of(cell)), None)
    if found is None:
        raise TickFileError(f"has no column that is a time; say which with --time-column: {_shown(names, first)}")
    return (found,)


def _guess_sides(body: Sequence[Sequence[str]], times: Sequence[int]) -> tuple[int, int]:
    """Return the first two columns of prices behind the time, the lower one first: nothing else tells."""
    first = body[0]
    prices = [i for i in range(max(times) + 1, len(first)) if _PRICE.fullmatch(first[i])][:2]
    if len(prices) < 2:
        raise TickFileError(f"has no two columns of prices behind its time: {', '.join(first)}")
    a, b = prices
    below = sum(_number(row[a]) <= _number(row[b]) for row in body)
    return (a, b) if 2 * below >= len(body) else (b, a)


def _guess_symbol(body: Sequence[Sequence[str]], taken: Sequence[int], symbol: str | None) -> int | None:
    """Return the column of words of which one is a pair, or the symbol that is wanted."""
    for i in range(len(body[0])):
        words = {row[i] for row in body} - {""}
        if i not in taken and words and all(map(_WORD.fullmatch, words)):
            is_wanted = symbol is not None and any(is_same(word, symbol) or is_suffixed(word, symbol) for word in words)
            if is_wanted or any(pair_in(word.upper()) for word in words):
                return i
    return None


def _number(cell: str) -> float:
    return float(cell.replace(",", ".")) if _PRICE.fullmatch(cell) else 0.0


def _side(given: str | None, known: Sequence[str], names: Sequence[str], side: str) -> int:
    if given is not None:
        return _chosen(given, names, f"--{side}-column")
    found = next((names.index(name) for name in known if name in names), None)
    if found is None:
        raise TickFileError(f"has no column named {side}; say which with --{side}-column: {', '.join(names)}")
    return found


def _shown(names: Sequence[str], first: Sequence[str]) -> str:
    return ", ".join(f"{name} ({cell})" for name, cell in zip(names, first, strict=True))
