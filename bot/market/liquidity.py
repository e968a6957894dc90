"""What a book can absorb: depth, distance weights, slope, cost of a size, capacity; compiled, one pass over a side.

The formulas are those of `features.py`, which the tests hold against these.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from bot.market.book import ASK

BPS = 1e4
E5 = 1e5
PERMANENT_SHARE = 0.5
"""Share of an immediate impact that stays (kappa_p of models 8.3)."""
SQUARE_ROOT_FACTOR = 1.0
"""Y of the square-root law (models 8.2)."""
TURNOVER_SHARE = 0.1
"""Of depth times refreshes a day, the part that counts as daily volume where none is published (models 8.2)."""
# A level this many decay lengths behind the best one weighs less than 1e-17 of it.
_FAR = 40.0


@njit(cache=True, error_model="numpy")
def weighted_depth(levels: np.ndarray, side: int, s: int, count: int, mid: float, length: float) -> float:
    """Return distance-weighted size of one side, base units: sum of q exp(-max(u, 0)), u its distance in lengths.

    Levels on the wrong side of `mid` count in full, as order flow wants it (models 6.3); in a book that is not crossed
    this is models 3.2.
    """
    total, weight, factor, gap_before, farthest = 0.0, 1.0, 1.0, 0, math.inf
    for i in range(count - 1, -1, -1):
        key = levels[side, s, i].key
        price = abs(key) / E5
        u = (price - mid) / length if side == ASK else (mid - price) / length
        if i == count - 1:
            farthest = max(u, 0.0) + _FAR  # of the best, not of mid: an exploding spread must not empty the book
        if u > farthest:
            break
        if weight < 1.0:
            # The level before weighed less than 1, so this one weighs a factor less than that. Gaps repeat.
            gap = levels[side, s, i + 1].key - key
            if gap != gap_before:
                factor, gap_before = math.exp(-gap / (E5 * length)), gap
            weight *= factor
        elif u > 0:
            weight = math.exp(-u)
        total += levels[side, s, i].size * weight
    return total / 100.0


class SideView(NamedTuple):
    """What one side of a book can absorb. Units: base units, bps of mid."""

    depth_units: float
    slope: float
    capacity_units: float
    cost_bps: float
    other_cost_bps: float


@njit(cache=True, error_model="numpy")
def view_side(
    levels: np.ndarray,
    side: int,
    s: int,
    count: int,
    mid: float,
    distance: float,
    cap_bps: float,
    best_share: float,
    units: float,
    other_units: float,
) -> SideView:
    """Return depth within `distance`, slope, capacity, and the costs of taking `units` and `other_units` at this side.

    - depth: what rests within `distance` of mid, edge included, base units (models 3.1);
    - slope: base units a bps, NaN where nothing rests away from mid (models 3.3);
    - capacity: the largest size that costs at most `cap_bps` against mid with half of every level there and
      `best_share` of the best one beside that (what lives long enough to be reached), base units. What the book does
      not hold counts as beyond reach (models 14.5, impact cap);
    - the costs in bps of mid; beyond the book they are extrapolated by its slope (models 8.1).

    Args: `levels[:count]` of this side, best last; units NaN or not above 0 cost NaN.
    """
    within = 0
    held, squares, products, away = 0.0, 0.0, 0.0, 0.0
    half_held, half_paid, capacity = 0.0, 0.0, -1.0
    left, paid, other_left, other_paid = units, 0.0, other_units, 0.0
    sign = 1.0 if side == ASK else -1.0
    bps = BPS / mid
    share = best_share
    for i in range(count - 1, -1, -1):
        cents = levels[side, s, i].size
        size = cents / 100.0
        beyond = sign * (abs(levels[side, s, i].key) / E5 - mid)
        away = bps * beyond
        if abs(beyond) <= distance + 1e-9:
            within += cents
        held += size
        squares += held * held
        products += held * abs(away)  # the slope is about distance: levels of a crossed book are away too
        if left > 0:
            take = min(size, left)
            paid += take * away
            left -= take
        if other_left > 0:
            take = min(size, other_left)
            other_paid += take * away
            other_left -= take
        if capacity < 0:
            half = size * 0.5 * share
            share = 1.0
            if half_paid + half * away > cap_bps * (half_held + half):
                # Part of this level: paid + x away = cap (held + x); a level farther than the cap, so away > cap,
                # but for the last bit of it.
                part = max(cap_bps * half_held - half_paid, 0.0) / (away - cap_bps) if away > cap_bps else half
                capacity = half_held + part
            else:
                half_held += half
                half_paid += half * away
    if capacity < 0:
        capacity = half_held
    return SideView(
        within / 100.0,
        squares / products if products > 0 else math.nan,
        capacity,
        _cost_bps(units, left, paid, away, squares, products),
        _cost_bps(other_units, other_left, other_paid, away, squares, products),
    )


@njit(cache=True, error_model="numpy")
def _cost_bps(units: float, left: float, paid: float, away: float, squares: float, products: float) -> float:
    """Return what `units` cost a unit, when `paid` is for all but what is `left` behind a last level `away`."""
    if not units > 0:
        return math.nan
    if left <= 0:
        return paid / units
    if products <= 0:
        return math.inf
    return (paid + left * (away + left * products / squares)) / units


@njit(cache=True, error_model="numpy")
def impact_bps(cost_bps: float, lambda_bps_per_unit: float, units: float, square_root_bps: float) -> float:
    """Return the estimated impact of trading `units`: half of a round trip and what stays, or the square-root law.

    Args: `cost_bps` of one side against mid, which is half of the round trip.
    Missing: an unknown lambda or square-root term counts as none; an unknown cost makes the impact unknown.
    Source: models 8.3, 8.2.
    """
    permanent = lambda_bps_per_unit * units * PERMANENT_SHARE if math.isfinite(lambda_bps_per_unit) else 0.0
    total = cost_bps + permanent
    if math.isfinite(square_root_bps) and square_root_bps > total:
        return square_root_bps
    return total


@njit(cache=True, error_model="numpy")
def square_root_bps(daily_volatility_bps: float, units: float, daily_volume_units: float) -> float:
    """Return the square-root law of impact, Y sigma_D sqrt(Q / V_D) (models 8.2); NaN without a volume."""
    if not daily_volume_units > 0:
        return math.nan
    return SQUARE_ROOT_FACTOR * daily_volatility_bps * math.sqrt(units / daily_volume_units)
