"""Volatility, jumps and resilience in plain numpy: the definitions of the compiled `volatility.py`."""

import math
from itertools import pairwise

import numpy as np

YEAR_S = 86_400 * 252


def variance_step(variance: float, log_return: float, elapsed_s: float, half_life_s: float) -> float:
    """Return the variance rate after one more return: v = d v + (1 - d) r^2 / dt, d = 2^(-dt / h).

    Units: rates a second.
    Source: models 10.1.
    """
    kept: float = 2.0 ** (-elapsed_s / half_life_s)
    return kept * variance + (1 - kept) * log_return**2 / elapsed_s


def weighted_variance(returns: list[float], elapsed_s: list[float], half_life_s: float) -> float:
    """Return the variance rate of the returns so far, the oldest first, their weights adding up to 1.

    It is `variance_step` from nothing, over the weight that the returns have together: without this the first would
    count for a whole half-life.
    """
    variance, weight = 0.0, 0.0
    for log_return, dt_s in zip(returns, elapsed_s, strict=True):
        variance = variance_step(variance, log_return, dt_s, half_life_s)
        kept = 2.0 ** (-dt_s / half_life_s)
        weight = kept * weight + (1 - kept)
    return variance / weight


def annual_frac(variance: float) -> float:
    """Return the volatility of a year, as a fraction, of a variance rate a second. Source: models 10.1."""
    return math.sqrt(variance * YEAR_S)


def realised_variance(returns: np.ndarray) -> float:
    """Return the sum of squared returns. Shapes: (N,). Source: models 10.2."""
    return float((returns**2).sum())


def bipower_variation(returns: np.ndarray) -> float:
    """Return (pi / 2) (n / (n - 1)) sum |r_i| |r_(i-1)|, which jumps hardly touch. Shapes: (N,), two at least.

    Source: Barndorff-Nielsen & Shephard (2004); models 10.3.
    """
    n = len(returns)
    return float(math.pi / 2 * n / (n - 1) * (np.abs(returns[1:]) * np.abs(returns[:-1])).sum())


def jump_share(returns: np.ndarray) -> float:
    """Return the share of realised variance that jumps make up, max(0, 1 - BV / RV). Source: models 10.3."""
    return max(0.0, 1 - bipower_variation(returns) / realised_variance(returns))


def worst_move_bps(mids: list[float]) -> float:
    """Return the largest move from the first of some mids to any later one, bps of the first. Source: models 14.5."""
    return 1e4 * max(abs(mid - mids[0]) for mid in mids) / mids[0]


def recovery_half_life_s(log_gaps: np.ndarray, kept: float) -> float:
    """Return the time in which a gap half closes, from gaps a second apart: dy = -rho y by forgotten regression.

    Args: `log_gaps` (N,) of ln W - ln W_usual, the oldest first; `kept` the weight left of older pairs at each step.
    Missing: inf where gaps do not close.
    Source: models 3.4; Large (2007).
    """
    xx = xy = 0.0
    for before, after in pairwise(log_gaps.tolist()):
        xx, xy = kept * xx + before * before, kept * xy + before * (after - before)
    rho = -xy / xx
    return math.log(2) / rho if rho > 0 else math.inf
