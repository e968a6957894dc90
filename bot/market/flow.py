"""Order flow at the end of every message, and Kyle's lambda from it. Compiled.

How it works: a message is one atomic change of a book. `end_of_message` compares the book with what it was at the end
of the message before, level by level and in distance-weighted size, and adds what changed to decayed sums (features)
and to running totals (buckets of any length are differences of those). While a book is crossed no flow is booked: what
crossing took away, coming back must not add. Once a bucket is over, its flow and the move of the mid feed a forgotten
regression.
"""

import math

import numpy as np
from numba import njit

from bot.market.book import ASK, BID
from bot.market.delta import Record
from bot.market.liquidity import BPS, E5, weighted_depth
from bot.market.smoothing import decay, quantile_step
from bot.market.state import LEVELS, TOUCH_SIZE, U_LAMBDA, WEIGHTED_SIZE

_RIDGE = 1e-3
_LEAST_R_SQUARED = 0.05
_SHRINK_SAMPLES = 50.0
_LEAST_BUCKETS = 60.0
_SLOW_BUCKET_S, _FAST_BUCKET_S, _FAST_RATE_PER_S = 10.0, 1.0, 5.0
_REACH_DECAY = 2.0 ** (-1 / 50)


@njit(cache=True, error_model="numpy")
def level_flow(old_key: int, old_size: int, key: int, size: int) -> int:
    """Return e of one level and side, in 0.01 units: what came less what went (models 6.1, 6.2).

    Keys grow towards better prices on both sides, so one rule serves; a size of 0 is an empty level, worse than any.
    """
    e = 0
    if size > 0 and (old_size == 0 or key >= old_key):
        e += size
    if old_size > 0 and (size == 0 or key <= old_key):
        e -= old_size
    return e


@njit(cache=True, error_model="numpy")
def end_of_message(st: Record, levels: np.ndarray, head: Record, s: int, now_ns: int) -> None:
    """Book the flow of the message that just ended and remember the book as it is now."""
    bids, asks = head.level_count[BID], head.level_count[ASK]
    two_sided = bids > 0 and asks > 0
    mid = math.nan
    crossed = False
    if two_sided:
        best_bid, best_ask = levels[BID, s, bids - 1].key, -levels[ASK, s, asks - 1].key
        mid = (best_bid + best_ask) / (2 * E5)
        crossed = best_bid > best_ask
        if math.isnan(st.decay):  # the first book: its own spread is all that is known of usual ones
            st.decay = max(0.2 * st.pip, (best_ask - best_bid) / E5)
            st.distance = max(st.pip, 2 * (best_ask - best_bid) / E5)
    booked = st.old_known and not crossed and not st.was_crossed
    flow = 0
    revision = 0
    refreshed = False
    for side in range(2):
        n = head.level_count[side]
        sign = 1 if side == BID else -1
        for i in range(LEVELS):
            level = n - 1 - i
            key = levels[side, s, level].key if level >= 0 else 0
            size = levels[side, s, level].size if level >= 0 else 0
            if booked:
                e = sign * level_flow(st.old_key[side, i], st.old_size[side, i], key, size)
                st.total_flow[i] += e / 100.0
                if i == 0:
                    flow += e
                    if size > 0 and st.old_size[side, 0] > 0 and key != st.old_key[side, 0]:
                        revision += sign if key > st.old_key[side, 0] else -sign
                    refreshed |= key != st.old_key[side, 0] or size != st.old_size[side, 0]
            st.old_key[side, i] = key
            st.old_size[side, i] = size
    shift = 0.0
    if two_sided and not crossed:
        # The new book against the old mid, then the same against its own: what the next message is compared with.
        can_compare = booked and math.isfinite(st.old_mid)
        lengths_up = (mid - st.old_mid) / st.decay
        for side in range(2):
            n = head.level_count[side]
            if can_compare:
                seen = weighted_depth(levels, side, s, n, st.old_mid, st.decay)
                shift += (seen - st.old_weighted[side]) * (1.0 if side == BID else -1.0)
            best = abs(levels[side, s, n - 1].key) / E5
            is_behind_both = best <= st.old_mid if side == BID else best >= st.old_mid
            if can_compare and is_behind_both and abs(lengths_up) < 1.0:
                # Every level is now so many lengths farther away, or nearer: one factor for all of them.
                st.old_weighted[side] = seen * math.exp(-lengths_up if side == BID else lengths_up)
            else:
                st.old_weighted[side] = weighted_depth(levels, side, s, n, mid, st.decay)
        st.old_mid = mid
    else:
        st.old_mid = math.nan
    if crossed and st.crossed_ns < 0:
        st.crossed_ns = now_ns
    if not crossed:
        st.crossed_ns = -1
    if crossed or not two_sided:
        st.bucket_broken = 1  # the mid moves on, and no weighted flow is booked
    d = decay(now_ns - st.flow_ns, st.flow_half_life_s) if st.flow_ns >= 0 else 1.0
    st.flow = d * st.flow + flow / 100.0
    st.weighted_flow = d * st.weighted_flow + shift
    st.total_weighted_flow += shift
    st.flow_ns = max(now_ns, st.flow_ns)
    if refreshed:
        st.refreshes = decay(now_ns - st.refresh_ns, 600.0) * st.refreshes + 1.0 if st.refresh_ns >= 0 else 1.0
        st.refresh_ns = max(now_ns, st.refresh_ns)
    if revision != 0:
        add_revision(st, float(revision), now_ns)
    st.was_crossed = 1 if crossed else 0
    st.old_known = 1


@njit(cache=True, error_model="numpy")
def add_revision(st: Record, revision: float, now_ns: int) -> None:
    """Add a quote revision: +1 for a side that moved up, -1 for one that moved down (models 7.1)."""
    d = decay(now_ns - st.revision_ns, st.revision_half_life_s) if st.revision_ns >= 0 else 1.0
    st.revisions = d * st.revisions + revision
    st.revision_weight = d * st.revision_weight + abs(revision)
    st.revision_ns = max(now_ns, st.revision_ns)
    st.total_revisions += revision


@njit(cache=True, error_model="numpy")
def refreshes_per_s(st: Record, now_ns: int) -> float:
    """Return how often the best quotes change, a second, over the last ten minutes or so; NaN before the first."""
    if st.refresh_ns < 0:
        return math.nan
    return st.refreshes * decay(now_ns - st.refresh_ns, 600.0) * math.log(2.0) / 600.0


@njit(cache=True, error_model="numpy")
def note_lifetime(st: Record, born_ns: int, now_ns: int) -> None:
    """Note that a quote left the best price: how long it stood there, and whether that was long enough (models 9.3)."""
    lifetime_ns = now_ns - born_ns
    st.lifetime_log = quantile_step(st.lifetime_log, math.log(max(lifetime_ns, 1_000) / 1e9), 0.5, 0.05)
    if math.isfinite(st.latency_ns):
        reached = 1.0 if lifetime_ns > st.latency_ns else 0.0
        if math.isnan(st.reach_frac):
            st.reach_frac = 1.0
        st.reach_frac = _REACH_DECAY * st.reach_frac + (1.0 - _REACH_DECAY) * reached


@njit(cache=True, error_model="numpy")
def end_bucket(st: Record, mid: float, now_ns: int) -> None:
    """Close the bucket of the regression if it is over: its flow, its move of the mid (models 6.5).

    Flow is in usual weighted depths, so that its slope hardly changes with depth. A bucket in which the book was
    crossed, without a side or begun anew, and one with a gap, is passed over. A feed of constant sizes is judged by its
    quote revisions (models 6.1, v).
    """
    if st.bucket_ns >= 0 and now_ns - st.bucket_ns < st.bucket_s * 1e9:
        return
    is_whole = st.bucket_ns >= 0 and now_ns - st.bucket_ns < 3e9 * st.bucket_s and not st.bucket_broken
    if st.is_indicative != st.bucket_indicative:  # flow of another kind: neither bucket nor sums carry over
        is_whole = False
        st.sxx = st.sxy = st.syy = st.sn = 0.0
    # The difference first: a running total over a size that moves would move by itself.
    total = st.total_revisions if st.is_indicative else st.total_weighted_flow
    x = total - st.bucket_flow
    if not st.is_indicative:
        x /= st.mean[WEIGHTED_SIZE]
    y = BPS * (mid - st.bucket_mid) / mid
    if is_whole and math.isfinite(x) and math.isfinite(y):
        half_life_s = max(st.lambda_half_life_s, _LEAST_BUCKETS * st.bucket_s)
        d = decay(now_ns - st.bucket_ns, half_life_s)
        st.sxx = d * st.sxx + x * x
        st.sxy = d * st.sxy + x * y
        st.syy = d * st.syy + y * y
        st.sn = d * st.sn + 1.0
    elapsed_s = (now_ns - st.bucket_ns) / 1e9
    messages_per_s = refreshes_per_s(st, now_ns)
    st.bucket_s = _FAST_BUCKET_S if elapsed_s > 0 and messages_per_s > _FAST_RATE_PER_S else _SLOW_BUCKET_S
    st.bucket_ns = now_ns
    st.bucket_mid = mid
    st.bucket_flow = total
    st.bucket_broken = 0
    st.bucket_indicative = st.is_indicative


@njit(cache=True, error_model="numpy")
def lambda_of(sxx: float, sxy: float, syy: float, n: float, ridge: float) -> tuple[float, float]:
    """Return Kyle's lambda and R squared of forgotten sums; NaN without variation (models 6.5).

    Args: `ridge` as a share of the mean square of x.
    """
    if not (n > 0 and sxx > 0):
        return math.nan, math.nan
    slope = sxy / (sxx + ridge * sxx / n)
    return slope, sxy * sxy / (sxx * syy) if syy > 0 else 0.0


@njit(cache=True, error_model="numpy")
def used_lambda(st: Record) -> tuple[float, bool]:
    """Return the lambda to use, in bps per usual weighted depth of flow, and whether the regression had a say.

    It is shrunk towards what is usual; one that is not positive, or explains nothing, is not used (models 6.5).
    """
    usual = math.exp(st.usual[U_LAMBDA])  # NaN while nothing is usual yet
    fitted, r_squared = lambda_of(st.sxx, st.sxy, st.syy, st.sn, _RIDGE)
    if not (fitted > 0 and r_squared >= _LEAST_R_SQUARED):
        return usual, False
    weight = st.sn / (st.sn + _SHRINK_SAMPLES)
    if math.isnan(usual):
        return (fitted if st.sn >= 10.0 else math.nan), True
    return weight * fitted + (1.0 - weight) * usual, True


@njit(cache=True, error_model="numpy")
def touch_flow(st: Record, now_ns: int) -> float:
    """Return the decayed flow at the best level over the usual size there (models 6.4); NaN before the first book."""
    if not st.old_known:
        return math.nan
    d = decay(now_ns - st.flow_ns, st.flow_half_life_s)
    return st.flow * d / st.mean[TOUCH_SIZE]


@njit(cache=True, error_model="numpy")
def depth_flow(st: Record, now_ns: int) -> float:
    """Return the decayed distance-weighted flow over the usual weighted depth (models 6.3, 6.4)."""
    if not st.old_known:
        return math.nan
    d = decay(now_ns - st.flow_ns, st.flow_half_life_s)
    return st.weighted_flow * d / st.mean[WEIGHTED_SIZE]
