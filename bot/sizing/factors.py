"""The factors of leverage, compiled: what the built-in strategies multiply the base leverage with.

Each takes the feature table and a symbol's index, so that a strategy is one loop over the symbols. The definitions, and
their sources, are the functions of the same names in `formulas.py`.
"""

import math

import numpy as np
from numba import njit


@njit(cache=True, error_model="numpy")
def clipped(number: float, floor: float, cap: float) -> float:
    """Return a number within bounds; NaN stays NaN."""
    if number < floor:
        return floor
    return cap if number > cap else number


@njit(cache=True, error_model="numpy")
def liquidity(table: np.ndarray, s: int, alpha: float, floor: float, cap: float) -> float:
    """Return clip(LR^alpha, floor, cap). Source: models 14.1."""
    ratio = table[s].liquidity_ratio
    if not ratio > 0:
        return math.nan
    return clipped(math.sqrt(ratio) if alpha == 0.5 else ratio**alpha, floor, cap)


@njit(cache=True, error_model="numpy")
def impact(table: np.ndarray, s: int, side: float, beta: float, floor: float, cap: float) -> float:
    """Return clip((I_usual / I)^beta, floor, cap) of the side we would leave by. Source: models 14.2."""
    buy, sell = table[s].buy_impact_bps, table[s].sell_impact_bps
    if side > 0:
        now = sell
    elif side < 0:
        now = buy
    else:
        now = math.nan if math.isnan(buy) or math.isnan(sell) else max(buy, sell)
    usual = table[s].usual_impact_bps
    if not usual > 0 or math.isnan(now):
        return math.nan
    ratio = 1.0 if now <= 0 else usual / now
    return clipped(math.sqrt(ratio) if beta == 0.5 else ratio**beta, floor, cap)


@njit(cache=True, error_model="numpy")
def imbalance(table: np.ndarray, s: int, side: float, kappa: float) -> float:
    """Return 1 + kappa clip(side z / 2, -1, 1). Source: models 14.3."""
    z = table[s].obi_z
    if side == 0 or math.isnan(side) or (math.isnan(z) and table[s].is_spot_only > 0):
        return 1.0
    return 1.0 + kappa * clipped(side * z / 2, -1.0, 1.0)


@njit(cache=True, error_model="numpy")
def volatility(table: np.ndarray, s: int, floor: float, cap: float) -> float:
    """Return clip(sigma_usual / sigma, floor, cap). Source: models 10.4."""
    usual, now = table[s].usual_volatility_bps, table[s].volatility_bps
    return clipped(usual / now, floor, cap) if usual > 0 and now > 0 else math.nan


@njit(cache=True, error_model="numpy")
def fill(table: np.ndarray, s: int) -> float:
    """Return what our fills teach, 1 while that is nothing. Source: models 9."""
    factor = table[s].fill_factor
    return 1.0 if math.isnan(factor) else factor


@njit(cache=True, error_model="numpy")
def imbalance_directions(table: np.ndarray, dead_zone: float) -> np.ndarray:
    """Return the sign of the slow imbalance beyond a dead zone, else 0, (S,); NaN where it is unknown."""
    directions = np.empty(len(table))
    for s in range(len(table)):
        obi = table[s].obi_slow
        if math.isnan(obi):
            directions[s] = math.nan
        else:
            directions[s] = 1.0 if obi > dead_zone else -1.0 if obi < -dead_zone else 0.0
    return directions
