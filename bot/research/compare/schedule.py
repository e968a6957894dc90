"""Leverage by the time of day alone: what is usual now against what is usual in the mean. The arm to beat.

    L = L0 x clip((mean usual cost / usual cost)^alpha) x clip((mean usual impact / usual impact)^beta)

Cost is that of a round trip, which has spread and depth in it. What is usual in a quarter of an hour is learnt from the
days before; the mean is over the minutes that have been, of logs. So nothing of the present market is in it, and
nothing that is not known yet. Powers and bounds are those of `composite`. Source: models 17.2, "ToD-only schedule".
"""

from collections.abc import Sequence
from copy import copy
from typing import Self

import numpy as np

from bot.market.symbols import SymbolSpec
from bot.research.compare.arm_strategy import Now
from bot.research.compare.minutes import MINUTE_NS
from bot.sizing.strategy import Parametrised

_USUAL = ("usual_round_trip_bps", "usual_impact_bps")


class TimeOfDay(Parametrised):
    """The schedule. Args: `powers` of cost and impact; `floor` and `cap` the bounds of each factor."""

    name = "time-of-day"
    factor_names = ("usual_cost", "usual_impact")

    def __init__(
        self, now: Now, powers: tuple[float, float] = (0.5, 0.5), floor: float = 0.25, cap: float = 1.25
    ) -> None:
        self._now, self._powers, self._bounds = now, np.array(powers)[:, None], (floor, cap)
        self._mean, self._count = np.zeros((2, 0)), np.zeros((2, 0))
        self._minute = -1

    def bound(self, specs: Sequence[SymbolSpec], base: np.ndarray) -> Self:  # noqa: ARG002
        """Return the schedule of these symbols, which knows nothing yet."""
        new = copy(self)
        new._mean, new._count, new._minute = np.zeros((2, len(specs))), np.zeros((2, len(specs))), -1
        return new

    def factors(self, table: np.ndarray, side: np.ndarray) -> np.ndarray:  # noqa: ARG002
        """Return both factors, (2, S); NaN where nothing is usual yet."""
        with np.errstate(invalid="ignore", divide="ignore"):
            usual = np.log(np.stack([table[name] for name in _USUAL]))
        known = np.isfinite(usual)
        minute = self._now.ns // MINUTE_NS
        if minute != self._minute:
            self._minute = minute
            self._count += known
            self._mean += np.where(known, usual - self._mean, 0.0) / np.maximum(self._count, 1.0)
        factors = np.clip(np.exp(self._powers * (self._mean - usual)), *self._bounds)
        return np.ascontiguousarray(np.where(known, factors, np.nan))
