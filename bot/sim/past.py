"""Prices from before the venue opened, made when somebody asks for them: a history to download.

How it works: the past is a function of symbol, day and a reference price, so that the same day is the same whenever it
is asked for, in whatever pieces. A few days are kept. Live prices are `PriceHistory`'s.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from bot.ctrader.schema import message
from bot.market.symbols import SymbolSpec
from bot.sim.listing import CRYPTO

DAY_MS = 86_400_000
TICK_WINDOW_MS = 7 * DAY_MS
"""The longest period of one request for ticks. Source: the documentation of 2021; today's limit is not confirmed."""

_KEPT_DAYS = 8
_DAILY_MOVE_FRAC = 0.003
# 1970-01-01 was a Thursday; currencies and metals rest from Friday 22:00 to Sunday 22:00 UTC.
_THURSDAY, _FRIDAY, _SATURDAY, _SUNDAY, _ROLL_OVER_MS = 3, 4, 5, 6, 22 * 3_600_000

Tick = tuple[int, int]
"""Time (ms since the epoch) and price (1/100000)."""


@dataclass(frozen=True, slots=True)
class DayTicks:
    """Both sides of one symbol's day. Units: ms since the epoch, not falling; prices in 1/100000."""

    bids: tuple[Tick, ...] = ()
    asks: tuple[Tick, ...] = ()


DayMaker = Callable[[SymbolSpec, int, int], DayTicks]
"""Makes the ticks of a symbol's day: specification, day (since the epoch), reference price (1/100000)."""


class Past:
    """What prices were on any day before `end_ms`; nothing is known from before `begin_ms`."""

    def __init__(self, make_day: DayMaker, *, begin_ms: int, end_ms: int) -> None:
        self._make_day, self._begin_ms, self._end_ms = make_day, begin_ms, end_ms
        self._days: OrderedDict[tuple[int, int], DayTicks] = OrderedDict()

    def newest_first(self, spec: SymbolSpec, reference_e5: int, side: str, from_ms: int, to_ms: int) -> Iterator[Tick]:
        """Yield the ticks of a side (`BID`, `ASK`) within the bounds, both of them included."""
        from_ms, to_ms = max(from_ms, self._begin_ms), min(to_ms, self._end_ms - 1)
        for day in range(to_ms // DAY_MS, from_ms // DAY_MS - 1, -1):
            made = self._day(spec, reference_e5, day)
            for tick in reversed(made.bids if side == "BID" else made.asks):
                if from_ms <= tick[0] <= to_ms:
                    yield tick

    def _day(self, spec: SymbolSpec, reference_e5: int, day: int) -> DayTicks:
        key = (spec.symbol_id, day)
        made = self._days.pop(key, None) or self._make_day(spec, day, reference_e5)
        self._days[key] = made
        while len(self._days) > _KEPT_DAYS:
            self._days.popitem(last=False)
        return made


def synthetic_days(seed: int, ticks_per_day: int = 4_000) -> DayMaker:
    """Return a maker of random walks from one day's opening price to the next one's, with a seed."""

    def make(spec: SymbolSpec, day: int, reference_e5: int) -> DayTicks:
        random = np.random.default_rng([seed % 2**32, spec.symbol_id, day])
        times = np.sort(random.integers(0, DAY_MS, ticks_per_day))
        bends = random.normal(size=ticks_per_day)
        spreads = random.integers(1, 4, ticks_per_day)
        first, last = (_opening(seed, spec, d, reference_e5) for d in (day, day + 1))
        share = np.linspace(0, 1, ticks_per_day)
        walk = np.cumsum(bends)
        bridge = (walk - share * walk[-1]) / np.sqrt(ticks_per_day) * _DAILY_MOVE_FRAC * reference_e5
        mids = first + (last - first) * share + bridge
        bids = np.rint(mids / spec.tick_e5).astype(np.int64) * spec.tick_e5
        asks = bids + spreads * spec.tick_e5
        kept = _is_trading(spec, day, times)
        stamps = times + day * DAY_MS

        def side(prices: np.ndarray) -> tuple[Tick, ...]:
            shown, at = prices[kept], stamps[kept]
            moved = np.ones(len(shown), dtype=bool)
            moved[1:] = np.diff(shown) != 0  # a side that stands still has no tick
            return tuple(zip(at[moved].tolist(), shown[moved].tolist(), strict=True))

        return DayTicks(side(bids), side(asks))

    return make


def _opening(seed: int, spec: SymbolSpec, day: int, reference_e5: int) -> float:
    move = float(np.random.default_rng([seed % 2**32, spec.symbol_id, day, 1]).normal())
    return reference_e5 * (1 + _DAILY_MOVE_FRAC * move)


def _is_trading(spec: SymbolSpec, day: int, times: np.ndarray) -> np.ndarray:
    weekday = (day + _THURSDAY) % 7
    if spec.leverage_id == CRYPTO or weekday not in (_FRIDAY, _SATURDAY, _SUNDAY):
        return np.ones(len(times), dtype=bool)
    if weekday == _SATURDAY:
        return np.zeros(len(times), dtype=bool)
    is_open: np.ndarray = times < _ROLL_OVER_MS if weekday == _FRIDAY else times >= _ROLL_OVER_MS
    return is_open


def tick_page(newest_first: Iterator[Tick], most: int, *, differences: bool) -> tuple[list[Any], bool]:
    """Return the first `most` ticks as ProtoOATickData, and whether there are more.

    The first time is absolute, the others are differences to it in turn; so are prices with `differences`. The
    protocol says it of times only; what public clients do with prices says it of them too.
    """
    ticks = list(islice(newest_first, most + 1))
    page, before = [], (0, 0)
    for time_ms, price_e5 in ticks[:most]:
        page.append(message("ProtoOATickData")(timestamp=time_ms - before[0], tick=price_e5 - before[1]))
        before = (time_ms, price_e5 if differences else 0)
    return page, len(ticks) > most
