"""What the leverage of a symbol would be if its spread doubled. Looking changes nothing.

How it works: one symbol after the other gets its spread doubled in a copy of the feature table
(`bot/market/widened.py`, which says what is assumed), and the strategy and the rules are asked once more about that
table, with everything else as it was at the last decision. They are asked by an instance of the strategy of its own,
and on copies of what the rules remember (`Sizer.preview`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from bot.engine.explained import Explanation
from bot.engine.sizer import Sizer
from bot.market.evaluator import Evaluator
from bot.market.symbols import SymbolSpec
from bot.market.widened import widen


@dataclass(frozen=True, slots=True)
class SpreadDoubled:
    """One symbol if its spread were `spread_bps`, twice what it is; `then` is why its leverage would be what it would.

    The spreads of the others stay. What is held, and equity, are those of now.
    """

    spread_bps: float
    then: Explanation


def if_spread_doubles(
    sizer: Sizer, evaluator: Evaluator, specs: Sequence[SymbolSpec], now_ns: int
) -> tuple[SpreadDoubled, ...]:
    """Return what would be, one of each traded symbol whose spread is known and above 0.

    None at all where the strategy cannot be asked without leaving a trace in it (`bot.sizing.strategy.is_pure`).
    Args: `now_ns` of the last decision.
    """
    if not sizer.can_preview:
        return ()
    books, found = evaluator.books, []
    for s in range(sizer.traded):
        table = evaluator.table.copy()
        if widen(table, evaluator.state, books.levels, books.heads, s, now_ns):
            then = sizer.preview(evaluator, table, specs, s)
            if then is not None:
                found.append(SpreadDoubled(float(table["spread_bps"][s]), then))
    return tuple(found)
