"""The caps of a symbol's leverage, compiled: Kelly, stop-out, exit cost, the broker's volume, the configured limit.

The formulas, and their sources, are the functions of the same names in `formulas.py`. The exit-cost cap moves with
every quote; it is believed at once when it falls and slowly when it rises, or a position at the cap would be cut and
grown with the flicker of the book.
"""

import math

import numpy as np
from numba import njit

from bot.sizing.bound import Bound
from bot.sizing.sheet import Record

_KELLY, _STOP_OUT, _EXIT_COST = int(Bound.KELLY), int(Bound.STOP_OUT), int(Bound.EXIT_COST)
_MAX_VOLUME, _MAX_SYMBOL = int(Bound.MAX_VOLUME), int(Bound.MAX_SYMBOL)
_DAY = math.sqrt(86_400.0)
_HOUR = math.sqrt(3600.0)
ASSUMED_DISTANCE_FRAC = 0.05
"""The move to survive while risk has not been measured for long: more than what a day of a major brings."""
_WATCHED_ENOUGH_S = 3600.0  # the worst of a few seconds, or of a few quiet minutes, is no worst minute
_RECOVERY_S = 60.0  # half-life with which a higher exit-cost cap is believed


@njit(cache=True, error_model="numpy")
def kelly_cap(mean: float, error: float, sigma: float, fraction: float) -> float:
    """Return f max(0, mu - se) / sigma^2, infinite without a mean. Source: models 14.5."""
    if math.isnan(mean):
        return math.inf
    if math.isnan(error) or not sigma > 0:
        return math.nan
    return fraction * max(0.0, mean - error) / (sigma * sigma)


@njit(cache=True, error_model="numpy")
def required_distance_frac(
    fast_bps: float, slow_bps: float, worst_bps: float, round_trip_bps: float, minutes_s: float
) -> float:
    """Return the adverse move that must be survived.

    It is `ASSUMED_DISTANCE_FRAC` until volatility is known, and no less until the worst minute has been looked for, for
    `minutes_s`, an hour.   Source: models 14.5.
    """
    hour = _HOUR * (slow_bps if slow_bps > fast_bps else fast_bps)
    if math.isnan(hour) or math.isnan(worst_bps):
        return ASSUMED_DISTANCE_FRAC
    measured = (max(5.0 * hour, 3.0 * worst_bps) + 1.5 * round_trip_bps) / 1e4
    is_short = not minutes_s >= _WATCHED_ENOUGH_S and measured < ASSUMED_DISTANCE_FRAC
    return ASSUMED_DISTANCE_FRAC if is_short else measured


@njit(cache=True, error_model="numpy")
def exit_capacity_units(table: np.ndarray, s: int, side: float) -> float:
    """Return how much can be closed cheaply: bought back when short, sold otherwise; infinite without any book.

    Without a book nobody can tell, and the cap falls away; such a symbol is never given more than its base leverage.
    """
    units = table[s].buy_capacity_units if side < 0 else table[s].sell_capacity_units
    return math.inf if math.isnan(units) and table[s].is_spot_only > 0 else units


@njit(cache=True, error_model="numpy")
def find_caps(
    table: np.ndarray,
    s: int,
    inputs: np.ndarray,
    state: np.ndarray,
    rows: np.ndarray,
    rules: np.ndarray,
    side: float,
    equity: float,
    now_ns: int,
) -> bool:
    """Fill a row with each cap, the tightest known one, and which it is; return whether a needed one is unknown.

    Args: `side` of the position, or of the one to come. Caps are sizes, without a sign.
    Source: models 14.5.
    """
    market, given, was, row, rule = table[s], inputs[s], state[s], rows[s], rules[0]
    daily = market.slow_volatility_bps
    daily = _DAY / 1e4 * (market.volatility_bps if math.isnan(daily) else daily)
    row.kelly = kelly_cap(given.expected_return, given.expected_error, daily, rule.kelly_frac)
    fast, slow = market.volatility_bps, market.slow_volatility_bps
    distance = required_distance_frac(fast, slow, market.worst_minute_bps, market.usual_round_trip_bps, given.minutes_s)
    needed = distance + rule.stop_out_level_frac * given.margin_rate
    row.stop_out = 1.0 / needed if 0 < needed < math.inf else math.nan
    in_leverage = given.unit_notional / equity if equity > 0 else math.nan
    row.exit_cost = _smoothed(was, exit_capacity_units(table, s, side) * in_leverage, side, now_ns)
    row.max_volume = given.max_units * in_leverage

    row.cap, row.cap_bound = rule.max_symbol, _MAX_SYMBOL
    if row.kelly < row.cap:
        row.cap, row.cap_bound = row.kelly, _KELLY
    if row.stop_out < row.cap:
        row.cap, row.cap_bound = row.stop_out, _STOP_OUT
    if row.exit_cost < row.cap:
        row.cap, row.cap_bound = row.exit_cost, _EXIT_COST
    if row.max_volume < row.cap:
        row.cap, row.cap_bound = row.max_volume, _MAX_VOLUME
    if not rule.requires_caps:
        return False
    return math.isnan(row.kelly) or math.isnan(row.stop_out) or math.isnan(row.exit_cost) or math.isnan(row.max_volume)


@njit(cache=True, error_model="numpy")
def _smoothed(was: Record, cap: float, side: float, now_ns: int) -> float:
    if not math.isfinite(cap):
        return cap
    low = cap
    if was.low_cap_ns >= 0 and was.low_cap_side == side and was.low_cap < cap:
        seconds = max(now_ns - was.low_cap_ns, 0) / 1e9
        low = cap - (cap - was.low_cap) * 2.0 ** (-seconds / _RECOVERY_S)
    was.low_cap, was.low_cap_ns, was.low_cap_side = low, now_ns, side
    return low
