"""Volatility of the fair price, the worst minute, and how fast depth comes back. Compiled; on a clock of a second.

Volatility is that of samples at least five seconds apart, so that the bounce between bid and ask is no movement. A gap
of more than five minutes (a weekend, a halt) is no sample: what happened in it has no rate (models 10.1).
"""

import math

from numba import njit

from bot.market.delta import Record
from bot.market.liquidity import BPS
from bot.market.smoothing import decay

_GAP_NS = 300_000_000_000
_MINUTE_NS = 60_000_000_000
_LAST_NS = 2_000_000_000  # ticks are a second apart, a little more where news are rare
_WORST_HALF_LIFE_S = 20 * 86_400.0
_LEAST_TICKS = 60.0


@njit(cache=True, error_model="numpy")
def variance_step(variance: float, r: float, dt_s: float, half_life_s: float) -> float:
    """Return the variance rate after a log return `r` over `dt_s`: v = d v + (1 - d) r^2 / dt (models 10.1)."""
    d = 2.0 ** (-dt_s / half_life_s)
    return d * variance + (1.0 - d) * r * r / dt_s


@njit(cache=True, error_model="numpy")
def sample(st: Record, tb: Record, mid: float, now_ns: int) -> None:
    """Take a sample of the fair price if it is time; write both volatilities once there are enough."""
    if not mid > 0:
        return
    elapsed_ns = now_ns - st.sample_ns
    if st.sample_ns < 0 or elapsed_ns > _GAP_NS:
        st.sample_ns, st.sample_mid = now_ns, mid
        return
    if elapsed_ns < st.volatility_sample_s * 1e9:
        return
    r, dt_s = math.log(mid / st.sample_mid), elapsed_ns / 1e9
    for i in range(2):
        half_life_s = st.volatility_half_life_s if i == 0 else st.slow_volatility_half_life_s
        # Weighted sums, and their weight beside them: the first samples must not count as a whole half-life of them.
        st.variance[i] = variance_step(st.variance[i], r, dt_s, half_life_s)
        st.variance_weight[i] = variance_step(st.variance_weight[i], math.sqrt(dt_s), dt_s, half_life_s)
    st.samples += 1
    st.sample_ns, st.sample_mid = now_ns, mid
    if st.samples >= st.least_samples:
        tb.volatility_bps = BPS * math.sqrt(st.variance[0] / st.variance_weight[0])
        tb.slow_volatility_bps = BPS * math.sqrt(st.variance[1] / st.variance_weight[1])


@njit(cache=True, error_model="numpy")
def follow_minute(st: Record, tb: Record, mid: float, now_ns: int) -> None:
    """Keep the largest move from the start of a minute, fading over twenty days, and for how long it was looked for.

    Source: models 14.5.
    """
    if not mid > 0:
        return
    is_over = st.minute_ns < 0 or now_ns - st.minute_ns >= _MINUTE_NS
    if is_over and st.minute_ns >= 0 and math.isfinite(tb.worst_minute_bps):
        tb.worst_minute_bps *= decay(now_ns - st.minute_ns, _WORST_HALF_LIFE_S)
    # The move that ends a minute belongs to it; one over a longer gap to none.
    if st.minute_ns >= 0 and now_ns - st.minute_ns <= _MINUTE_NS + _LAST_NS:
        st.minute_high, st.minute_low = max(st.minute_high, mid), min(st.minute_low, mid)
        move = BPS * max(st.minute_high - st.minute_open, st.minute_open - st.minute_low) / st.minute_open
        if not tb.worst_minute_bps > move:
            tb.worst_minute_bps = move
        if is_over:
            st.minutes_s += (now_ns - st.minute_ns) / 1e9
    if is_over:
        st.minute_ns, st.minute_open = now_ns, mid
        st.minute_high = st.minute_low = mid


@njit(cache=True, error_model="numpy")
def follow_recovery(st: Record, tb: Record, log_gap: float, elapsed_s: float) -> None:
    """Learn how fast a gap between weighted depth and its usual size closes: dy = -rho y over a second (models 3.4).

    Args: `log_gap` ln W - ln W_usual now.
    """
    if math.isfinite(log_gap) and math.isfinite(st.gap_log) and 0.5 < elapsed_s < 2.0:
        d = 2.0 ** (-elapsed_s / st.resilience_half_life_s)
        st.rxx = d * st.rxx + st.gap_log * st.gap_log
        st.rxy = d * st.rxy + st.gap_log * (log_gap - st.gap_log) / elapsed_s
        st.rn = d * st.rn + 1.0
        if st.rn >= _LEAST_TICKS and st.rxx > 0:
            rho = -st.rxy / st.rxx
            tb.resilience_half_life_s = math.log(2.0) / rho if rho > 0 else math.inf
    st.gap_log = log_gap
