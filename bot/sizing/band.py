"""The no-trade band, compiled: how far a target may lie from its wish before a trade pays for its cost.

How it works: the cost-aware half-width needs to know how much the wish moves. The wish is looked at once a minute,
which leaves the flicker of the book out, and the squares of its changes are averaged with a half-life of a day. Before
there is an hour of that, or while cost or volatility are unknown, the half-width is a quarter of the base leverage.

The formula, and its source, is `band_half_width` in `formulas.py` (models 14.7).
"""

import math

import numpy as np
from numba import njit

from bot.sizing.sheet import Record

LEAST_FRAC = 0.05  # of the base leverage, as every bound here
MOST_FRAC = 0.5
_EARLY_FRAC = 0.25
_SEEN_ENOUGH_S = 3600.0
_SAMPLE_S = 60.0
_GAP_S = 300.0  # a change over a longer gap is not a rate of change
_DAY_S = 86_400.0


@njit(cache=True, error_model="numpy")
def watch_wish(was: Record, wish: float, now_ns: int) -> None:
    """Take a look at a wish, and update how much it varies per day. An unknown wish interrupts."""
    if not math.isfinite(wish):
        was.sampled_ns = -1
        return
    if was.sampled_ns < 0:
        was.sampled, was.sampled_ns = wish, now_ns
        return
    seconds = (now_ns - was.sampled_ns) / 1e9
    if seconds < _SAMPLE_S:
        return
    if seconds <= _GAP_S:
        days = seconds / _DAY_S
        decay = 2.0**-days
        change = wish - was.sampled
        was.variance = decay * was.variance + (1.0 - decay) * change * change / days
        was.variance_weight = decay * was.variance_weight + (1.0 - decay)
        was.seen_s += seconds
    was.sampled, was.sampled_ns = wish, now_ns


@njit(cache=True, error_model="numpy")
def half_band(table: np.ndarray, s: int, was: Record, rule: Record, base: float) -> float:
    """Return the half-width of the no-trade band, in leverage: as configured, or by what a trade costs."""
    if not math.isnan(rule.band_frac):
        return rule.band_frac * base
    market = table[s]
    cost = market.round_trip_bps if math.isfinite(market.round_trip_bps) else market.usual_round_trip_bps
    slow = market.slow_volatility_bps
    sigma = (market.volatility_bps if math.isnan(slow) else slow) / 1e4 * math.sqrt(_DAY_S)
    if was.seen_s < _SEEN_ENOUGH_S or math.isnan(cost) or not sigma > 0:
        return _EARLY_FRAC * base
    variance = was.variance / was.variance_weight
    width = band_half_width(0.5 * cost / 1e4, variance, rule.risk_aversion, sigma)
    return min(max(width, LEAST_FRAC * base), MOST_FRAC * base)


@njit(cache=True, error_model="numpy")
def band_half_width(cost_frac: float, wish_variance: float, risk_aversion: float, sigma: float) -> float:
    """Return (3 c v_L / (2 gamma sigma^2))^(1/3); a negative cost counts as none. Source: models 14.7."""
    return np.cbrt(3.0 * max(cost_frac, 0.0) * wish_variance / (2.0 * risk_aversion * sigma * sigma))
