"""The placebo: the composite arm with the liquidity of another day. It keeps the time of day and destroys the timing.

How it works: the run of the composite arm has left its factors and crisis levels, a row a second. On each day the
placebo takes those that the composite had at the same New York time of another day of the same kind (Monday to
Thursday, Friday, Sunday). Days are those of UTC, which is what a calibration ends with. Volatility stays that of the
day itself.

Which day lends to which is a seeded permutation without fixed points, within the calibration days and within the test
days. A day that is alone of its kind there borrows from the days before the test, else from any other day of its part;
a single calibration day keeps its own. Source: models 17.2, day-shuffled liquidity.
"""

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self
from zoneinfo import ZoneInfo

import numpy as np

from bot.market.symbols import SymbolSpec
from bot.research.backtest.result import Result
from bot.research.compare.arm_strategy import Now
from bot.research.compare.minutes import DAY_NS
from bot.sizing.leverage import crisis_multiplier
from bot.sizing.strategy import Parametrised, Strategy

SHUFFLED = ("liquidity", "impact", "imbalance", "fill")
_VOLATILITY, _CRISIS = "volatility", "crisis"
_NEW_YORK = ZoneInfo("America/New_York")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_THURSDAY, _FRIDAY = 3, 4


def lenders(days: Sequence[int], test_day: int, seed: int) -> dict[int, int]:
    """Return which day each day borrows from.

    Args: `days` counted from 1970, UTC; the test begins with `test_day`.
    """
    random = np.random.default_rng(seed)
    calibration = [day for day in days if day < test_day]
    found: dict[int, int] = {}
    for part, before in ((calibration, []), ([day for day in days if day >= test_day], calibration)):
        for kind in range(3):
            alike = [day for day in part if _kind(day) == kind]
            if len(alike) > 1:
                order = [alike[i] for i in random.permutation(len(alike))]
                found |= dict(zip(order, [*order[1:], order[0]], strict=True))  # one cycle has no fixed point
            elif alike:
                day = alike[0]
                pools = ([d for d in before if _kind(d) == kind], [d for d in part if d != day], before, [day])
                pool = next(pool for pool in pools if pool)
                found[day] = pool[int(random.integers(len(pool)))]
    return found


def _kind(day: int) -> int:
    weekday = (day + 3) % 7  # 1970 began on a Thursday
    return 0 if weekday <= _THURSDAY else 1 if weekday == _FRIDAY else 2


@dataclass(frozen=True, slots=True, eq=False)
class Lent:
    """What the composite arm had.

    Shapes: `times_ns` (T,), `factors` (T, 5, S): `SHUFFLED`, then the crisis multiplier.
    """

    symbols: tuple[str, ...]
    times_ns: np.ndarray
    factors: np.ndarray

    @classmethod
    def of(cls, result: Result) -> Self:
        """Return what a run of the composite arm can lend."""
        clocks = result.clocks
        shown = [clocks["factors"][:, :, result.factor_names.index(name)] for name in SHUFFLED]
        shown.append(np.array([crisis_multiplier(level) for level in range(4)])[clocks["crisis_level"]])
        return cls(result.symbols, clocks["time_ns"].copy(), np.stack(shown, axis=1))


class Shuffled(Parametrised):
    """The composite with borrowed liquidity.

    Args: `inner` the composite; `lent` what is borrowed; `lenders` from which day, by day.
    """

    name = "placebo"
    factor_names = (_VOLATILITY, *SHUFFLED, _CRISIS)

    def __init__(self, inner: Strategy, lent: Lent, lenders: Mapping[int, int], now: Now) -> None:
        self._inner, self._lent, self._lenders, self._now = inner, lent, lenders, now
        self._columns = np.empty(0, np.int64)
        self._day = self._first = self._end = -1
        self._shift_ns = 0

    def bound(self, specs: Sequence[SymbolSpec], base: np.ndarray) -> Self:
        """Return the placebo for these symbols."""
        new = copy(self)
        new._inner = self._inner.bound(specs, base)
        names = self._lent.symbols
        new._columns = np.array([names.index(s.name) if s.name in names else -1 for s in specs], np.int64)
        return new

    def factors(self, table: np.ndarray, side: np.ndarray) -> np.ndarray:
        """Return the volatility of now and the rest as borrowed, (6, S); NaN where nothing can be borrowed."""
        volatility = self._inner.factors(table, side)[self._inner.factor_names.index(_VOLATILITY)]
        factors = np.full((len(self.factor_names), len(table)), np.nan)
        factors[0] = volatility
        row = self._row()
        if row >= 0:
            known = self._columns >= 0
            factors[1:, known] = self._lent.factors[row][:, self._columns[known]]
        return factors

    def _row(self) -> int:
        """Return the row at the same time of the lending day: the last before it, the day's first if there is none."""
        now_ns = self._now.ns
        day = now_ns // DAY_NS
        if day != self._day:
            self._turn(day)
        if self._first == self._end:
            return -1
        row = int(np.searchsorted(self._lent.times_ns, now_ns + self._shift_ns, side="right")) - 1
        return min(max(row, self._first), self._end - 1)

    def _turn(self, day: int) -> None:
        self._day = day
        lender = self._lenders.get(day)
        if lender is None:
            self._first = self._end = -1
            return
        edges_ns = np.array([lender, lender + 1]) * DAY_NS
        self._first, self._end = (int(place) for place in np.searchsorted(self._lent.times_ns, edges_ns))
        # Clocks of New York change between some days: the same time of day is then an hour off in UTC.
        self._shift_ns = (lender - day) * DAY_NS + _offset_ns(day) - _offset_ns(lender)


def _offset_ns(day: int) -> int:
    """Return how far New York is ahead of UTC at noon of a day."""
    offset = (_EPOCH + timedelta(days=day, hours=12)).astimezone(_NEW_YORK).utcoffset()
    return 0 if offset is None else round(offset.total_seconds()) * 1_000_000_000
