"""Slippage against a reference, split into what went for us and what went against us, and a warning of last look.

Prices move both ways between an order and its fill. A venue that passes on only the moves against us shows it in the
split: hardly any order does better than was predicted. It is a warning, not a proof: orders that follow the market's
own direction are filled late more often than early.
"""

import math

from bot.execution.beta import beta_quantile
from bot.execution.weighted_mean import HALF_LIFE_FILLS, WeightedMean

_SAME_BPS = 0.01  # closer to the reference than this is neither better nor worse
_FEWEST_ORDERS = 9.0  # as they count once older ones have faded: ten in a row
_FAIR_SHARE, _DOUBT = 0.7, 0.05  # the true share of adverse orders is above the first, but for the second


class Slippage:
    """Slippage of fills or orders against one reference. Units: bps, positive against us."""

    def __init__(self) -> None:
        self.adverse, self.favourable = WeightedMean(), WeightedMean()
        self._adverse_count = self._favourable_count = 0.0  # these fade

    def add(self, slippage_bps: float, notional: float) -> None:
        """Take one; one that is not finite, or without a notional, is left out."""
        if not (math.isfinite(slippage_bps) and 0.0 < notional < math.inf):
            return
        self.adverse.add(max(slippage_bps, 0.0), notional)
        self.favourable.add(max(-slippage_bps, 0.0), notional)
        decay = 2.0 ** (-1.0 / HALF_LIFE_FILLS)
        self._adverse_count = decay * self._adverse_count + (slippage_bps > _SAME_BPS)
        self._favourable_count = decay * self._favourable_count + (slippage_bps < -_SAME_BPS)

    @property
    def is_adverse_only(self) -> bool:
        """Whether orders that missed the reference did so against us more than chance would have it.

        True when the share of adverse ones among them exceeds 0.7 with a probability of 95 % (uniform prior), from ten
        such orders on: ten out of ten do it, and half and half never does.
        """
        adverse, favourable = self._adverse_count, self._favourable_count
        if adverse + favourable < _FEWEST_ORDERS:
            return False
        return beta_quantile(_DOUBT, 1.0 + adverse, 1.0 + favourable) > _FAIR_SHARE
