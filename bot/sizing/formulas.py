"""The formulas of sizing in plain numpy, one function a formula, readable beside the paper.

These are the definitions. `factors.py`, `caps.py` and `leverage.py` compute the same numbers compiled; their tests use
these as their oracle. Arguments are arrays of one shape or numbers, results likewise. NaN means unknown.
Units: leverage in equities; `_bps` 1/10000; `_frac` and returns plain fractions; `side` +1 long, -1 short, 0 none.
"""

import math

import numpy as np
from numpy.typing import ArrayLike

SECONDS_A_DAY = 86_400.0
CRISIS_MULTIPLIERS = (1.0, 0.5, 0.25, 0.0)
"""What a crisis leaves of a wish, by level (models 12, 14.4)."""


# -- factors of leverage -------------------------------------------------------------------------------------------


def liquidity_factor(liquidity_ratio: ArrayLike, alpha: float, floor: float, cap: float) -> np.ndarray:
    """Return clip(LR^alpha, floor, cap), LR = present liquidity / usual liquidity.

    Missing: NaN where the ratio is unknown or not positive.
    Source: models 14.1; liquidity after Irvine, Benston, Kandel (2000).
    """
    ratio = np.asarray(liquidity_ratio, float)
    return np.asarray(np.clip(np.where(ratio > 0, ratio, np.nan) ** alpha, floor, cap))


def exit_impact_bps(side: ArrayLike, buy_impact_bps: ArrayLike, sell_impact_bps: ArrayLike) -> np.ndarray:
    """Return the impact of getting out: selling what is long, buying back what is short, the dearer one when flat.

    Missing: NaN where the impact asked for is unknown; a flat symbol needs both.
    """
    side, buy, sell = (np.asarray(x, float) for x in (side, buy_impact_bps, sell_impact_bps))
    return np.where(side > 0, sell, np.where(side < 0, buy, np.maximum(buy, sell)))


def impact_factor(usual_bps: ArrayLike, impact_bps: ArrayLike, beta: float, floor: float, cap: float) -> np.ndarray:
    """Return clip((I_usual / I)^beta, floor, cap); an impact that is not positive counts as the usual one.

    A crossed book shows costs below zero: no reason to hold more. An infinite impact gives the floor.
    Missing: NaN where either is unknown, or the usual impact is not positive.
    Source: models 14.2, with I of 8.3 for the size of the base leverage.
    """
    usual, impact = np.asarray(usual_bps, float), np.asarray(impact_bps, float)
    usual = np.where(usual > 0, usual, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(impact <= 0, np.where(np.isnan(usual), np.nan, 1.0), usual / impact)
    return np.asarray(np.clip(ratio**beta, floor, cap))


def imbalance_factor(side: ArrayLike, obi_z: ArrayLike, kappa: float, is_spot_only: ArrayLike = 0.0) -> np.ndarray:
    """Return 1 + kappa clip(side z / 2, -1, 1): a little more with the book behind us, a little less against it.

    Missing: NaN where z is unknown, but 1 for a symbol that has no book at all, and for one that is flat.
    Source: models 14.3.
    """
    side, z, no_book = (np.asarray(x, float) for x in (side, obi_z, is_spot_only))
    factor = 1 + kappa * np.clip(side * z / 2, -1, 1)
    neutral = (side == 0) | np.isnan(side) | ((no_book > 0) & np.isnan(z))
    return np.where(neutral, 1.0, factor)


def volatility_factor(usual_bps: ArrayLike, volatility_bps: ArrayLike, floor: float, cap: float) -> np.ndarray:
    """Return clip(sigma_usual / sigma, floor, cap).

    Missing: NaN where either is unknown or not positive; a market that stands still tells nothing of its risk.
    Source: models 10.4; Moreira & Muir (2017).
    """
    usual, now = np.asarray(usual_bps, float), np.asarray(volatility_bps, float)
    known = (usual > 0) & (now > 0)
    with np.errstate(invalid="ignore"):  # both infinite: unknown
        ratio = np.where(known, usual, np.nan) / np.where(known, now, np.nan)
    return np.asarray(np.clip(ratio, floor, cap))


def fill_factor(learned: ArrayLike) -> np.ndarray:
    """Return what our own fills make of leverage; 1 while nothing is learned. Source: models 9."""
    factor = np.asarray(learned, float)
    return np.where(np.isnan(factor), 1.0, factor)


def imbalance_direction(obi_slow: ArrayLike, dead_zone: float) -> np.ndarray:
    """Return the sign of the slow imbalance beyond a dead zone, else 0; NaN where it is unknown."""
    obi = np.asarray(obi_slow, float)
    return np.where(np.isnan(obi), np.nan, np.where(np.abs(obi) > dead_zone, np.sign(obi), 0.0))


def synthetic_mid(first: float, first_power: float, second: float, second_power: float) -> float:
    """Return the price that two others imply, e.g. EURJPY = EURUSD^1 x USDJPY^1, or EURGBP = EURUSD^1 x GBPUSD^-1."""
    return float(first**first_power * second**second_power)


def gap_in_costs(mid: float, synthetic: float, cost_bps: float) -> float:
    """Return how far the synthetic price lies above the own one, in units of what it costs to act on it.

    Missing: NaN where a price is unknown or the cost is not positive.
    """
    if not (cost_bps > 0 and mid > 0 and synthetic > 0):
        return math.nan
    return 1e4 * (synthetic / mid - 1) / cost_bps


# -- caps ----------------------------------------------------------------------------------------------------------


def daily_volatility_frac(volatility_bps: ArrayLike) -> np.ndarray:
    """Return volatility as a fraction per square root of a day, from bps per square root of a second."""
    return np.asarray(np.asarray(volatility_bps, float) / 1e4 * math.sqrt(SECONDS_A_DAY))


def kelly_cap(mean: ArrayLike, error: ArrayLike, sigma: ArrayLike, fraction: float) -> np.ndarray:
    """Return f max(0, mu - se) / sigma^2; infinite, that is no cap, where nobody states a mean.

    Units: mean, its standard error and sigma of the return of one and the same period, fractions.
    Missing: NaN where there is a mean and the rest is unknown.
    Source: models 14.5.
    """
    mean, error, sigma = (np.asarray(x, float) for x in (mean, error, sigma))
    edge = mean - error
    with np.errstate(divide="ignore", invalid="ignore"):
        cap = fraction * np.where(edge < 0, 0.0, edge) / np.where(sigma > 0, sigma, np.nan) ** 2
    return np.where(np.isnan(mean), np.inf, cap)


def required_distance_frac(
    volatility_bps: ArrayLike,
    slow_volatility_bps: ArrayLike,
    worst_minute_bps: ArrayLike,
    round_trip_bps: ArrayLike,
    minutes_s: ArrayLike,
) -> np.ndarray:
    """Return the adverse move to survive: max(5 sigma_1h, 3 x worst minute) + half the cost of getting out in stress.

    The larger of the fast and the slow volatility counts; the cost in stress is taken as three usual round trips.
    Until the worst minute has been looked for, for `minutes_s`, an hour, it is 0.05 at least.
    Missing: while the fast volatility or the worst minute is unknown, 0.05 is assumed; without a cost it is unknown.
    Source: models 14.5, delta_req.
    """
    fast, slow, worst, cost, minutes = (
        np.asarray(x, float) for x in (volatility_bps, slow_volatility_bps, worst_minute_bps, round_trip_bps, minutes_s)
    )
    hour = np.where(slow > fast, slow, fast) * math.sqrt(3600.0)
    measured = (np.maximum(5 * hour, 3 * worst) + 0.5 * 3 * cost) / 1e4
    measured = np.where(minutes >= 3600, measured, np.maximum(measured, 0.05))
    return np.where(np.isnan(fast) | np.isnan(worst), 0.05, measured)


def stop_out_cap(required_frac: ArrayLike, margin_rate: ArrayLike, stop_out_level_frac: float) -> np.ndarray:
    """Return the leverage at which the stop-out lies just `required_frac` away: 1 / (delta_req + s_o m_r).

    Units: `margin_rate` margin / notional; `stop_out_level_frac` equity / used margin.
    Missing: NaN where an input is unknown.
    Source: models 14.5.
    """
    return np.asarray(1.0 / (np.asarray(required_frac, float) + stop_out_level_frac * np.asarray(margin_rate, float)))


def stop_out_distance_frac(leverage: float, margin_rate: float, stop_out_level_frac: float) -> float:
    """Return the adverse move at which the broker closes: 1 / L - s_o m_r. Source: models 14.5."""
    return 1.0 / leverage - stop_out_level_frac * margin_rate


def units_cap(units: ArrayLike, unit_notional: ArrayLike, equity: float) -> np.ndarray:
    """Return a size in base units as leverage; NaN without equity or where an input is unknown."""
    if not equity > 0:
        return np.full(np.shape(units), np.nan)
    return np.asarray(np.asarray(units, float) * np.asarray(unit_notional, float) / equity)


# -- the band ------------------------------------------------------------------------------------------------------


def band_half_width(cost_frac: float, wish_variance: float, risk_aversion: float, sigma: float) -> float:
    """Return the half-width of the no-trade band, (3 c v_L / (2 gamma sigma^2))^(1/3).

    Units: one-way cost as a fraction; `wish_variance` per day; `sigma` a fraction per square root of a day.
    Missing: NaN where an input is unknown or sigma is not positive; a negative cost counts as none.
    Source: models 14.7; Davis & Norman (1990), Shreve & Soner (1994), Kallsen & Muhle-Karbe (2017).
    """
    if not (sigma > 0 and cost_frac == cost_frac and wish_variance == wish_variance):
        return math.nan
    return float((3 * max(cost_frac, 0.0) * wish_variance / (2 * risk_aversion * sigma**2)) ** (1 / 3))


def traded_to_edge(held: float, wish: float, half_width: float) -> float:
    """Return where to trade to: nowhere within the band around the wish, else to its nearer edge.

    Source: models 14.7 (Davis & Norman 1990).
    """
    if abs(wish - held) <= half_width:
        return held
    return wish - math.copysign(half_width, wish - held)


def partial_move_frac(risk_aversion: float, cost: float) -> float:
    """Return the share a/lambda of the way to go in one period when cost is quadratic in size, at zero discount.

    Source: models 14.7; Gârleanu & Pedersen (2013), a / lambda = (-gamma + sqrt(gamma^2 + 4 gamma lambda)) / 2 lambda.
    """
    return (-risk_aversion + math.sqrt(risk_aversion**2 + 4 * risk_aversion * cost)) / (2 * cost)
