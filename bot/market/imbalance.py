"""Order-book imbalance that is hard to fake: quotes must have stood for a moment, huge ones count in part. Compiled.

How it works: at most ten times a second the quotes of a book that changed are walked, and once more when the youngest
have come of age; each weighs its size, capped at three times the usual size, by its distance from mid. The result is
smoothed, and its mean and variance of the last half hour say how unusual it is (models 5, 14.3). While the book stands,
the averages go on towards what was seen last. Without a side, or crossed for 250 ms, the imbalance is unknown.
"""

import math

import numpy as np
from numba import njit

from bot.market.book import ASK, BID
from bot.market.delta import Record
from bot.market.liquidity import E5
from bot.market.smoothing import average, decay, moments_step
from bot.market.state import ENTROPY, OBI_FAST, OBI_SLOW, U_SIZE

LEAST_AGE_NS = 100_000_000
SIZE_CAP = 3.0
SCAN_NS = 100_000_000
_MOST_SIZES = 64
_LEAST_VARIANCE = 1e-6
_LEAST_SCANS = 60.0
_LOPSIDED = 0.9
_LEAST_SCANS_UNUSUAL = 600.0  # a minute of them: less says little of which imbalances a book knows
_LEAST_ENTROPY_BITS = 0.1
_ENTROPY_HALF_LIFE_S = 60.0


@njit(cache=True, error_model="numpy")
def guarded_imbalance(
    quotes: np.ndarray, s: int, mid: float, length: float, usual_cents: float, now_ns: int
) -> tuple[float, float, int]:
    """Return the imbalance of the quotes that count, the entropy of their sizes in bits, and how many were too young.

    Args: `length` of the distance weights, price; `usual_cents` the usual size of a quote, NaN for no cap.
    Missing: NaN where no quote has stood for 100 ms.
    """
    cap = SIZE_CAP * usual_cents if math.isfinite(usual_cents) else math.inf
    sizes = np.empty(_MOST_SIZES, np.int64)
    counts = np.zeros(_MOST_SIZES, np.int64)
    distinct, total_count, young = 0, 0, 0
    weight = np.zeros(2)
    for i in range(quotes.shape[1]):
        q = quotes[s, i]
        if not q.used:
            continue
        if distinct < _MOST_SIZES:
            total_count += 1
            j = 0
            while j < distinct and sizes[j] != q.size:
                j += 1
            if j == distinct:
                sizes[j] = q.size
                distinct += 1
            counts[j] += 1
        if now_ns - q.born_ns < LEAST_AGE_NS:
            young += 1
            continue
        away = abs(abs(q.key) / E5 - mid)
        weight[q.side] += min(float(q.size), cap) * math.exp(-away / length)
    entropy = 0.0
    for j in range(distinct):
        share = counts[j] / total_count
        entropy -= share * math.log2(share)
    total = weight[BID] + weight[ASK]
    return ((weight[BID] - weight[ASK]) / total if total > 0 else math.nan), entropy, young


@njit(cache=True, error_model="numpy")
def scan(st: Record, tb: Record, quotes: np.ndarray, s: int, mid: float, now_ns: int) -> None:
    """Renew the guarded imbalance of a symbol with a two-sided book that is not crossed."""
    imbalance, entropy, young = guarded_imbalance(quotes, s, mid, st.decay, math.exp(st.usual[U_SIZE]), now_ns)
    st.scan_ns = now_ns
    st.is_scan_wanted = 1 if young > 0 else 0
    st.is_indicative = 1 if average(st, ENTROPY, entropy, now_ns, _ENTROPY_HALF_LIFE_S) < _LEAST_ENTROPY_BITS else 0
    smooth(st, tb, imbalance, now_ns)


@njit(cache=True, error_model="numpy")
def smooth(st: Record, tb: Record, imbalance: float, now_ns: int) -> None:
    """Move the averages on to now, and let them go towards `imbalance` from here on; NaN changes nothing."""
    if math.isnan(imbalance):
        return
    st.smooth_ns = now_ns
    fast = average(st, OBI_FAST, imbalance, now_ns, st.imbalance_half_life_s)
    tb.obi_fast = fast
    tb.obi_slow = average(st, OBI_SLOW, fast, now_ns, st.slow_imbalance_half_life_s)
    alpha = 1.0 - decay(now_ns - st.obi_scale_ns, st.imbalance_scale_half_life_s) if st.obi_scale_ns >= 0 else 1.0
    # The first observations share the weight equally; else the first of them would count as half an hour of them.
    alpha = max(alpha, 1.0 / (1.0 + st.obi_n))
    st.obi_mean, st.obi_variance = moments_step(st.obi_mean, st.obi_variance, fast, alpha)
    st.obi_scale_ns = now_ns
    st.obi_n += 1.0
    spread = math.sqrt(max(st.obi_variance, _LEAST_VARIANCE))
    tb.obi_z = (fast - st.obi_mean) / spread if st.obi_n >= _LEAST_SCANS else math.nan


@njit(cache=True, error_model="numpy")
def is_lopsided(st: Record, imbalance: float) -> bool:
    """Return whether an imbalance is near 1 and three deviations from its mean of late; not while that is unknown."""
    if st.obi_n < _LEAST_SCANS_UNUSUAL or not abs(imbalance) > _LOPSIDED:
        return False
    return abs(imbalance - st.obi_mean) > 3.0 * math.sqrt(max(st.obi_variance, _LEAST_VARIANCE))


@njit(cache=True, error_model="numpy")
def note_lopsided(st: Record, lopsided: bool, now_ns: int) -> None:
    """Note since when a book has been without a side, or nearly so."""
    if not lopsided:
        st.lopsided_ns = -1
    elif st.lopsided_ns < 0:
        st.lopsided_ns = now_ns


@njit(cache=True, error_model="numpy")
def forget_imbalance(tb: Record) -> None:
    """Make the guarded imbalance unknown; what it was on average is remembered."""
    tb.obi_fast = tb.obi_slow = tb.obi_z = math.nan
