"""What stands against trading, of single symbols or at all: codes, each with words where the code would not do."""

import math
from collections.abc import Iterable, Sequence

import numpy as np

from bot.account.trading import Cause
from bot.engine.prices import SPOT_ONLY, Prices
from bot.market.symbols import SymbolSpec

Doubts = dict[str, str | None]
"""Code -> what to tell a person; None where the code has words of its own."""

NO_DOUBTS: Doubts = {}


def market_doubts(specs: Sequence[SymbolSpec], prices: Prices, closings: Sequence[str | None]) -> Doubts:
    """Return the doubts about the markets of the traded symbols, `specs`, which come first in the arrays of `prices`.

    A closed market is silent, and its book may stand crossed: that it is closed explains both.
    """
    n = len(specs)
    doubts: Doubts = {}
    sound = prices.fresh[:n] & ~prices.doubtful[:n] & np.isfinite(prices.mid[:n]) & ~prices.closed[:n]
    for s in np.flatnonzero(~sound).tolist():
        name = specs[s].name
        if prices.closed[s]:
            doubts[f"market_closed:{name}"] = closings[s]
            continue
        if math.isinf(prices.quiet_s[s]) or math.isnan(prices.mid[s]):
            doubts[f"waiting_for_quotes:{name}"] = None
        elif not prices.fresh[s]:
            doubts[f"stale_quote:{name}"] = None
        if prices.doubtful[s]:
            doubts[f"book_health:{name}"] = None
    for s in np.flatnonzero(prices.table["health"][:n] & SPOT_ONLY).tolist():
        doubts[f"no_depth:{specs[s].name}"] = None
    return doubts


def restrictions(specs: Iterable[SymbolSpec]) -> Doubts:
    """Return the trading modes that forbid something. Source: ProtoOASymbol.tradingMode."""
    doubts: Doubts = {}
    for spec in specs:
        name, mode = spec.name, spec.trading_mode
        if mode == "CLOSE_ONLY_MODE":
            doubts[f"trading_mode:{name}"] = f"the broker lets {name} be reduced only ({mode})"
        elif mode != "ENABLED":
            doubts[f"trading_mode:{name}"] = f"the broker has disabled trading in {name} ({mode})"
    return doubts


class Standing:
    """What stands against trading single symbols at this moment; made anew only when something has changed."""

    def __init__(self) -> None:
        self._specs: Sequence[SymbolSpec] = ()
        self._names: Sequence[str] = ()
        self._restrictions: Doubts = {}
        self._told: tuple[object, ...] = ()
        self._more: Doubts = NO_DOUBTS
        self._doubts: Doubts = {}

    def load(self, specs: Sequence[SymbolSpec], traded: int) -> None:
        """Take the symbols, of which the first `traded` are traded: what an earlier run left may be in any of them."""
        self._specs, self._names = specs[:traded], [spec.name for spec in specs]
        self._restrictions, self._told = restrictions(self._specs), ()

    def doubts(
        self,
        prices: Prices,
        *,
        closings: Sequence[str | None],
        unknown: Sequence[int],
        by_hand: Sequence[int],
        unpriced: Sequence[int],
        problem: str | None,
        causes: Sequence[Cause],
        is_changed: bool,
        exits: Sequence[int] = (),
        more: Doubts = NO_DOUBTS,
    ) -> Doubts:
        """Return the doubts; the very same object while nothing has changed.

        Args: `unknown`, `by_hand` indexes of symbols with an order of unknown outcome, and with a position that was
            closed by somebody else, `exits` of those where a protective leg has closed one; `unpriced` ids of
            positions; `problem` of the strategy; `causes` why trading is not free; `is_changed` says that the health
            of a feed is another than at the last call; `more` what others have found, another object when it has
            changed.
        """
        told = (closings, tuple(unknown), tuple(by_hand), tuple(unpriced), problem, causes, tuple(exits))
        if is_changed or told != self._told or more is not self._more:
            self._told, self._more = told, more
            names = self._names
            others = [f"unknown_order:{names[s]}" for s in unknown]
            others += [f"closed_by_hand:{names[s]}" for s in by_hand]
            others += [f"protective_exit:{names[s]}" for s in exits]
            others += [f"unpriced_position:{position_id}" for position_id in unpriced]
            found = market_doubts(self._specs, prices, closings) | self._restrictions | dict.fromkeys(others)
            found |= {cause.code: cause.text for cause in causes}
            if problem is not None:
                found["strategy_error"] = f"the strategy fails: {problem}"
            self._doubts = found | more
        return self._doubts
