"""Order flow and what it moves, in plain numpy: the definitions that the compiled `flow.py` is tested against.

A book here is a pair (bids, asks) of lists of (price, size), best level first; sizes in base units. NaN means unknown.
"""

import math
from typing import NamedTuple

from bot.market.features import BPS, order_flow

Levels = list[tuple[float, float]]
Book = tuple[Levels, Levels]


def level_flows(old: Book, new: Book, count: int = 5) -> list[float]:
    """Return the order flow of each of the first `count` levels, base units; the first is `order_flow`.

    A level that a side does not have has size 0 at a price worse than any.
    Source: Xu, Gould, Howison (2018), multi-level order-flow imbalance; models 6.2.
    """

    def level(side: Levels, i: int, nowhere: float) -> tuple[float, float]:
        return side[i] if i < len(side) else (nowhere, 0.0)

    return [
        order_flow(
            level(old[0], i, -math.inf),
            level(old[1], i, math.inf),
            level(new[0], i, -math.inf),
            level(new[1], i, math.inf),
        )
        for i in range(count)
    ]


def weighted_flow(old: Book, new: Book, old_mid: float, decay: float) -> float:
    """Return the distance-weighted flow F of one book event, base units; both books are weighed against the old mid.

    Source: models 6.3, with weight exp(-max(u, 0)) of a level u decay lengths behind mid.
    """

    def weight(side: Levels, sign: int) -> float:
        return sum(size * math.exp(-max(sign * (old_mid - price) / decay, 0.0)) for price, size in side)

    return weight(new[0], 1) - weight(old[0], 1) - (weight(new[1], -1) - weight(old[1], -1))


def revision(old: Book, new: Book) -> int:
    """Return the quote revisions of one event: +1 a best price that went up, -1 one that went down.

    Missing: a side that is empty before or after counts 0.
    Source: models 7.1.
    """
    moves = 0
    for before, after in zip(old, new, strict=True):
        if before and after:
            moves += (after[0][0] > before[0][0]) - (after[0][0] < before[0][0])
    return moves


class RegressionSums(NamedTuple):
    """What a forgotten regression of y on x through the origin remembers (models 6.5)."""

    xx: float = 0.0
    xy: float = 0.0
    yy: float = 0.0
    n: float = 0.0

    def then(self, x: float, y: float, kept: float) -> "RegressionSums":
        """Return the sums after one more pair; `kept` is the weight that is left of those before."""
        return RegressionSums(
            kept * self.xx + x * x, kept * self.xy + x * y, kept * self.yy + y * y, kept * self.n + 1.0
        )


def kyle_lambda(sums: RegressionSums, ridge_frac: float = 1e-3) -> tuple[float, float]:
    """Return Kyle's lambda and R squared: Sxy / (Sxx + r), Sxy^2 / (Sxx Syy), r a share of the mean of x^2.

    Missing: NaN without variation in x; R squared is 0 without variation in y.
    Source: Kyle (1985); models 6.5.
    """
    if not (sums.n > 0 and sums.xx > 0):
        return math.nan, math.nan
    slope = sums.xy / (sums.xx + ridge_frac * sums.xx / sums.n)
    return slope, sums.xy**2 / (sums.xx * sums.yy) if sums.yy > 0 else 0.0


def used_lambda(sums: RegressionSums, usual: float) -> float:
    """Return the lambda to go by: the fitted one, shrunk towards the usual one with weight n / (n + 50).

    One that is not positive, or explains less than a twentieth, is not used. Without a usual one, ten buckets are the
    least that the fitted one needs.
    Source: models 6.5.
    """
    fitted, r_squared = kyle_lambda(sums)
    if not (fitted > 0 and r_squared >= 0.05):
        return usual
    if math.isnan(usual):
        return fitted if sums.n >= 10 else math.nan
    weight = sums.n / (sums.n + 50)
    return weight * fitted + (1 - weight) * usual


def move_bps(old_mid: float, mid: float) -> float:
    """Return the move of a mid in bps of where it arrived."""
    return BPS * (mid - old_mid) / mid


def reach_step(reach_frac: float, lifetime_s: float, latency_s: float, memory: float = 50.0) -> float:
    """Return the share of best quotes that live longer than our own latency, after one more; it starts at 1.

    Source: models 9.3, average of the indicator, half-life `memory` quotes.
    """
    kept: float = 2.0 ** (-1 / memory)
    return kept * (1.0 if math.isnan(reach_frac) else reach_frac) + (1 - kept) * float(lifetime_s > latency_s)
