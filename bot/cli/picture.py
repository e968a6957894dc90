"""One picture of a run for a terminal: a snapshot in words and figures, within so many columns and rows.

How it works: what must be seen is always there: what is at stake, what stands in the way, money and limits, how to stop
it. The rest takes the rows that are left, in this order: one symbol, what is held and on its way, the other symbols,
slippage, why each leverage is what it is, more lines of these, and events last. The number of lines follows from the
size of the terminal and from what there is, not from how long a text is at the moment: nothing jumps.
"""

from collections.abc import Sequence
from typing import Any

from rich.text import Text

from bot.cli import picture_account, picture_news
from bot.cli.picture_line import CARE, QUIET, wrapped
from bot.cli.picture_symbols import Symbol, by_trouble, symbol_rows, traded, trouble, why

_HEADINGS = 2
_MOST_LINES = 3  # of positions, and of orders
_EVENTS_BEFORE_SPACE = 3  # an empty line sets parts apart; as many events are worth more


def picture(
    state: dict[str, Any],
    width: int,
    height: int,
    *,
    steer_by: str | None = None,
    page: str | None = None,
    on_stop: str = "cancel",
) -> list[Text]:
    """Return the lines of a snapshot, at most `height` of them and none wider than `width`.

    Args: `steer_by` the file that `microlev halt` takes to find this run, None where it cannot be steered; `page` the
        link of a page that shows it as well; `on_stop` as in the config.
    Units: cells and rows.
    """
    head = [*picture_account.title(state, width), *picture_account.standing(state, width)]
    head += picture_account.money(state, width)
    foot = [] if state["source"] == "journal" else picture_news.steering(steer_by, page, on_stop, width)
    left = height - len(head) - len(foot)
    if left <= _HEADINGS:
        return head[: max(height - len(foot), 1)] + foot[: max(height - 1, 0)]
    parts = _parts(state, width, left)
    return [*head, *parts, *foot]


def _parts(state: dict[str, Any], width: int, left: int) -> list[Text]:
    """Return everything between head and foot, in at most `left` lines."""
    symbols = traded(state)
    held, on_their_way = picture_news.positions(state, width, 1), picture_news.orders(state, width, 1)
    if left < _HEADINGS + 1 + len(held) + len(on_their_way) or not symbols:
        rows = _few_rows(symbols, state, width, left)
        return (rows + on_their_way + held)[:left]
    left -= len(held) + len(on_their_way)
    shown = symbols if len(symbols) <= left - _HEADINGS else by_trouble(state)[: max(left - _HEADINGS - 1, 1)]
    table = symbol_rows(shown, state, width)
    if len(shown) < len(symbols) and len(table) < left:
        table += _more(symbols, shown, state, width)
    left -= len(table)
    costs = picture_news.slippage(state, width)[:left]
    left -= len(costs)
    explained = shown if len(shown) <= left else [s for s in by_trouble(state) if s in shown][:left]
    left -= len(explained)
    more_held = _more_lines(picture_news.positions, state, width, left)
    left -= len(more_held or held) - len(held)
    more_on_their_way = _more_lines(picture_news.orders, state, width, left)
    left -= len(more_on_their_way or on_their_way) - len(on_their_way)
    sentences = [wrapped(why(symbol), width, QUIET, most=2) for symbol in explained]
    is_long = len(explained) <= left and any(len(lines) > 1 for lines in sentences)
    left -= len(explained) if is_long else 0
    news = picture_news.events(state, width, left)
    spaces = min(max(left - _EVENTS_BEFORE_SPACE, 0), 3)
    news = news[: left - spaces]

    def space(number: int) -> list[Text]:
        return [Text("")] if spaces >= number else []

    return [
        *space(1),
        *table,
        *(line for s, lines in zip(explained, sentences, strict=True) for line in _of_length(s, lines, width, is_long)),
        *space(2),
        *(more_held or held),
        *(more_on_their_way or on_their_way),
        *costs,
        *(space(3) if news else []),
        *news,
    ]


def _of_length(symbol: Symbol, lines: list[Text], width: int, is_long: bool) -> list[Text]:
    """Return a sentence on two lines, or on one."""
    return [*lines, Text("")][:2] if is_long else wrapped(why(symbol), width, QUIET)


def _few_rows(symbols: Sequence[Symbol], state: dict[str, Any], width: int, left: int) -> list[Text]:
    return symbol_rows(by_trouble(state)[:1], state, width)[:left] if symbols and left > _HEADINGS else []


def _more(symbols: Sequence[Symbol], shown: Sequence[Symbol], state: dict[str, Any], width: int) -> list[Text]:
    hidden = [symbol for symbol in symbols if symbol not in shown]
    troubled = sum(trouble(symbol, state) > 0 for symbol in hidden)
    words = f" +{len(hidden)} more {'symbol' if len(hidden) == 1 else 'symbols'}"
    return wrapped(f"{words}, {troubled} in trouble" if troubled else words, width, CARE if troubled else QUIET)


def _more_lines(part: Any, state: dict[str, Any], width: int, left: int) -> list[Text]:
    """Return a part again on more than the line it has, where there is room."""
    return part(state, width, min(1 + left, _MOST_LINES)) if left > 0 else []  # type: ignore[no-any-return]
