"""The symbols in the live table: a row each, as many columns as fit, and why each leverage is what it is."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from rich.text import Text

from bot.cli.picture_line import CARE, QUIET, TROUBLE, cut, number, size, times
from bot.sizing.bound import Bound

BOUND_SHORT = {
    Bound.NONE: "",
    Bound.KELLY: "Kelly",
    Bound.STOP_OUT: "stop-out",
    Bound.EXIT_COST: "exit cost",
    Bound.MAX_VOLUME: "max. volume",
    Bound.MAX_SYMBOL: "symbol limit",
    Bound.MAX_TOTAL: "total limit",
    Bound.MARGIN: "margin use",
    Bound.CRISIS: "crisis",
    Bound.CALENDAR: "calendar",
    Bound.NOT_READY: "not ready",
    Bound.HANDS_OFF: "hands off",
    Bound.UNKNOWN_FACTOR: "unknown",
    Bound.UNKNOWN_CAP: "unknown cap",
    Bound.EXIT_EMPTY: "no exit",
    Bound.WARM_UP: "warm-up",
    Bound.PERSISTENCE: "persistence",
    Bound.RATE: "rate",
    Bound.BAND: "band",
    Bound.TOUCH: "best level",
    Bound.QUOTES: "quotes",
    Bound.LEAST_ORDER: "too small",
}
"""What binds, in the width of a column; the line below the table says it in full."""

Symbol = dict[str, Any]
"""A symbol of a snapshot."""


class Column(NamedTuple):
    """A column: its heading on two lines, least width, what it shows; those of the lowest rank stay the longest."""

    heading: tuple[str, str]
    width: int
    rank: int
    show: Callable[[Symbol], str]


def _impact(symbol: Symbol) -> float | None:
    """Return the impact of getting out: of a sale for who is, or would be, long."""
    held = symbol["leverage_now"] or symbol["leverage_wanted"] or 0.0
    return symbol["buy_impact_bps" if held < 0 else "sell_impact_bps"]  # type: ignore[no-any-return]


def bound_word(symbol: Symbol) -> str:
    """Return what holds a symbol's leverage back, in one or two words."""
    return BOUND_SHORT[Bound[symbol["bound"].upper()]] if symbol["bound"] is not None else ""


COLUMNS = (
    Column(("", "bid"), 7, 10, lambda s: number(s["bid"], f".{s['digits']}f")),
    Column(("", "ask"), 7, 15, lambda s: number(s["ask"], f".{s['digits']}f")),
    Column(("spread", "bps"), 6, 5, lambda s: number(s["spread_bps"], ".2f")),
    Column(("bid", "depth"), 5, 11, lambda s: size(s["bid_depth_units"])),
    Column(("ask", "depth"), 5, 12, lambda s: size(s["ask_depth_units"])),
    Column(("", "OBI"), 5, 9, lambda s: number(s["obi"], "+.2f")),
    Column(("", "OFI"), 5, 13, lambda s: number(s["ofi"], "+.1f")),
    Column(("imp.", "bps"), 4, 8, lambda s: number(_impact(s), ".2f")),
    Column(("liqu-", "idity"), 5, 7, lambda s: number(s["liquidity_ratio"], ".2f")),
    Column(("cri-", "sis"), 4, 4, lambda s: f"{s['crisis_level']}{' !' if s['crisis_level'] else ''}"),
    Column(("leverage", "wanted"), 8, 3, lambda s: times(s["leverage_wanted"])),
    Column(("", "allowed"), 7, 2, lambda s: times(s["leverage_goal"])),
    Column(("", "target"), 6, 14, lambda s: times(s["leverage_target"])),
    Column(("", "held"), 6, 0, lambda s: times(s["leverage_now"])),
    Column(("", "bound by"), 8, 1, bound_word),
)
_TO_THE_LEFT = ("bound by",)


def by_trouble(state: dict[str, Any]) -> list[Symbol]:
    """Return the traded symbols, those in trouble first, then those of which most is held."""
    return sorted(traded(state), key=lambda s: (-trouble(s, state), -abs(s["leverage_now"] or 0.0)))


def traded(state: dict[str, Any]) -> list[Symbol]:
    """Return the symbols that are traded, as the engine has them."""
    return [symbol for symbol in state["symbols"] if symbol["traded"]]


def trouble(symbol: Symbol, state: dict[str, Any]) -> int:
    """Return how much is wrong with a symbol: its crisis level, and 1 for each thing that stands against trading it."""
    named = sum(reason.partition(":")[2] == symbol["symbol"] for reason in state["reasons"])
    return int(symbol["crisis_level"]) + named + (symbol["symbol"] in state["hands_off"])


def symbol_rows(symbols: Sequence[Symbol], state: dict[str, Any], width: int) -> list[Text]:
    """Return two lines of headings and a line a symbol; a sign stands before those in trouble."""
    cells = [[column.show(symbol) for column in COLUMNS] for symbol in symbols]
    names = [f"{'!' if trouble(symbol, state) else ' '}{symbol['symbol']}" for symbol in symbols]
    widths = [max([c.width, *(len(row[i]) for row in cells)]) for i, c in enumerate(COLUMNS)]
    first = min(max([len("symbol"), *map(len, names)]), max(width // 3, 7))
    shown, used = [], first
    for i in sorted(range(len(COLUMNS)), key=lambda i: COLUMNS[i].rank):
        if used + 1 + widths[i] > width:
            break
        shown.append(i)
        used += 1 + widths[i]
    shown.sort()

    def row(name: str, texts: Sequence[str], style: str) -> Text:
        line = Text(cut(name, first).ljust(first), style, no_wrap=True)
        for i in shown:
            to_left = COLUMNS[i].heading[1] in _TO_THE_LEFT
            line.append(" " + (texts[i].ljust(widths[i]) if to_left else texts[i].rjust(widths[i])))
        line.rstrip()
        return line

    headings = [row(["", " symbol"][n], [column.heading[n] for column in COLUMNS], QUIET) for n in (0, 1)]
    styles = [_style(symbol, state) for symbol in symbols]
    return headings + [row(name, texts, style) for name, texts, style in zip(names, cells, styles, strict=True)]


def _style(symbol: Symbol, state: dict[str, Any]) -> str:
    if symbol["crisis_level"] >= 2:
        return TROUBLE
    return CARE if trouble(symbol, state) else ""


def why(symbol: Symbol) -> str:
    """Return why a symbol's leverage is what it is, in words."""
    return f"{symbol['symbol']} {symbol['text'] or 'nothing is decided yet'}"
