"""What a book can absorb: depth, distance weights, slope, cost of a size, capacity; one compiled pass over a side.

The formulas are those of `features.py`, which the tests hold against these.
"""

import math

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
    total, farthest = 0.0, math.inf
    for i in range(count - 1, -1, -1):
        price = abs(levels[side, s, i].key) / E5
        u = (price - mid) / length if side == ASK else (mid - price) / length
        if i == count - 1:
            farthest = max(u, 0.0) + _FAR  # of the best, not of mid: an exploding spread must not empty the book
        if u > farthest:
            break
        total += levels[side, s, i].size * (math.exp(-u) if u > 0 else 1.0)
    return total / 100.0


@njit(cache=True, error_model="numpy")
def walk_cost_bps(levels: np.ndarray, side: int, s: int, count: int, units: float, mid: float) -> float:
    """Return the cost in bps of taking `units` from one side; beyond the book it is extrapolated (models 8.1)."""
    left, paid, away, held = units, 0.0, 0.0, 0.0
    squares, products = 0.0, 0.0
    for i in range(count - 1, -1, -1):
        price = abs(levels[side, s, i].key) / E5
        size = levels[side, s, i].size / 100.0
        away = BPS * (price - mid) / mid if side == ASK else BPS * (mid - price) / mid
        take = min(size, left)
        paid += take * away
        left -= take
        if left <= 0:
            return paid / units
        held += size
        squares += held * held
        products += held * abs(away)  # the slope is about distance: levels of a crossed book are away too
    if products <= 0:
        return math.inf
    return (paid + left * (away + left * products / squares)) / units


@njit(cache=True, error_model="numpy")
def slope(levels: np.ndarray, side: int, s: int, count: int, mid: float) -> float:
    """Return the book's slope in base units per bps, NaN where nothing rests away from mid (models 3.3)."""
    held, squares, products = 0.0, 0.0, 0.0
    for i in range(count - 1, -1, -1):
        held += levels[side, s, i].size / 100.0
        squares += held * held
        products += held * BPS * abs(abs(levels[side, s, i].key) / E5 - mid) / mid
    return squares / products if products > 0 else math.nan


@njit(cache=True, error_model="numpy")
def depth_within(levels: np.ndarray, side: int, s: int, count: int, mid: float, distance: float) -> float:
    """Return the size resting within `distance` of mid, edge included, base units (models 3.1)."""
    total = 0
    for i in range(count - 1, -1, -1):
        price = abs(levels[side, s, i].key) / E5
        if abs(price - mid) <= distance + 1e-9:
            total += levels[side, s, i].size
        elif price > mid + distance if side == ASK else price < mid - distance:
            break  # the levels behind are farther still
    return total / 100.0


@njit(cache=True, error_model="numpy")
def capacity_units(
    levels: np.ndarray, side: int, s: int, count: int, mid: float, cap_bps: float, best_share: float
) -> float:
    """Return the largest size that costs at most `cap_bps` against mid with half of every level there, base units.

    Args: `best_share` of the best level that counts beside that (what lives long enough to be reached).
    What the book does not hold counts as beyond reach.   Source: models 14.5, impact cap.
    """
    held, paid = 0.0, 0.0
    for i in range(count - 1, -1, -1):
        price = abs(levels[side, s, i].key) / E5
        size = levels[side, s, i].size / 200.0
        if i == count - 1:
            size *= best_share
        away = BPS * (price - mid) / mid if side == ASK else BPS * (mid - price) / mid
        if paid + size * away > cap_bps * (held + size):
            # Part of this level: paid + x away = cap (held + x); a level farther than the cap, so away > cap,
            # but for the last bit of it.
            return held + (max(cap_bps * held - paid, 0.0) / (away - cap_bps) if away > cap_bps else size)
        held += size
        paid += size * away
    return held


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
