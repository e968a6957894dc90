"""What the market lets an account survive and leave: stress moves, what can be closed cheaply, crisis levels.

The risk gate asks it about every increase. Nothing here knows of margin; that is `margin.py`'s.
Source: models 14.5 (stop-out distance, exit cost), 12 (crisis level).
"""

import math
from dataclasses import dataclass

import numpy as np

NO_GROWTH_LEVEL = 3


@dataclass(frozen=True, slots=True, eq=False)
class MarketRisk:
    """The risk of each symbol's market at one moment.

    Shapes: (S,).   Units: `stress_frac` adverse move to be survived, as a fraction of the price; `sell_units` and
    `buy_units` largest size that can be sold and bought within the bound on the cost of leaving, base units, infinite
    without a book; `exit_bound_bps` that bound.
    Missing: NaN unknown, except in `stress_frac`, where an assumption stands in its place.
    """

    stress_frac: np.ndarray
    sell_units: np.ndarray
    buy_units: np.ndarray
    spread_bps: np.ndarray
    spot_only: np.ndarray  # 1 without depth, where half of the spread is all there is to judge by; else 0
    exit_bound_bps: np.ndarray
    crisis_level: np.ndarray

    def stress_loss(self, net_units: np.ndarray, unit_notional: np.ndarray) -> float:
        """Return what is lost when every symbol with a position moves against it by its stress move, at once.

        The two sides of a hedged symbol lose and win alike, so that its net position counts.
        Shapes: (S,) each.   Units: deposit currency.   Missing: NaN when a position has no price.
        """
        loss = 0.0
        for s in np.flatnonzero(net_units).tolist():
            loss += abs(float(net_units[s])) * float(unit_notional[s]) * float(self.stress_frac[s])
        return loss

    def exit_breach(self, s: int, target_units: float) -> tuple[float, float] | None:
        """Return (value, limit) where a whole position could not be left within the bound on its cost.

        Units: base units; without a book half of the spread and its bound, bps.   Missing: an unknown is a breach.
        """
        if self.spot_only[s]:
            half_bps, bound_bps = float(self.spread_bps[s]) / 2, float(self.exit_bound_bps[s])
            return None if half_bps <= bound_bps else (half_bps, bound_bps)
        most = float(self.sell_units[s] if target_units > 0 else self.buy_units[s])
        return None if abs(target_units) <= most else (abs(target_units) if most >= 0 else math.nan, most)
