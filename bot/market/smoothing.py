"""The building blocks of the estimators: time-aware averages, running quantiles, forgotten moments. Compiled.

Their plain twins are in `features.py`.
"""

import math

from numba import njit

from bot.market.delta import Record


@njit(cache=True, error_model="numpy")
def decay(dt_ns: int, half_life_s: float) -> float:
    """Return the weight that is left after `dt_ns`; a negative gap counts as none (models 0 and 1.1)."""
    if dt_ns <= 0:
        return 1.0
    return 2.0 ** (-(dt_ns / 1e9) / half_life_s)


@njit(cache=True, error_model="numpy")
def average(st: Record, row: int, x: float, now_ns: int, half_life_s: float) -> float:
    """Move one time-aware average to `now_ns` and remember `x` as the value that holds from here on.

    Source: models 1.1, previous-value weighting. An `x` that is not finite changes nothing.
    """
    if not math.isfinite(x):
        return st.mean[row]
    last = st.average_ns[row]
    if last < 0:
        st.mean[row] = x
    else:
        dt_ns = max(now_ns - last, 0)
        if dt_ns > 20e9 * half_life_s:
            st.mean[row] = st.previous[row]
        elif dt_ns > 0:
            d = decay(dt_ns, half_life_s)
            st.mean[row] = d * st.mean[row] + (1.0 - d) * st.previous[row]
    st.previous[row] = x
    st.average_ns[row] = max(now_ns, last)
    return st.mean[row]


@njit(cache=True, error_model="numpy")
def quantile_step(q: float, x: float, p: float, step: float) -> float:
    """Return a running quantile after one more observation; the first one is the quantile (models 1.3)."""
    if math.isnan(q):
        return x
    return q + step * (p - (1.0 if x < q else 0.0))


@njit(cache=True, error_model="numpy")
def moments_step(mean: float, variance: float, x: float, alpha: float) -> tuple[float, float]:
    """Return the forgotten mean and variance after one more observation (models 1.2); the first is the mean."""
    if math.isnan(mean):
        return x, 0.0
    delta = x - mean
    return mean + alpha * delta, (1.0 - alpha) * (variance + alpha * delta * delta)


@njit(cache=True, error_model="numpy")
def ramp(x: float, low: float, high: float) -> float:
    """Return 0 at `low`, 1 at `high`, linear between, whichever is the greater; 0 for NaN (models 12)."""
    if math.isnan(x):
        return 0.0
    return min(max((x - low) / (high - low), 0.0), 1.0)
