"""The liquidity-crisis detector: nine signs, a score, a level that rises quickly and falls slowly. Compiled.

How it works: each sign gives 0..1 on a ramp; the score is the largest, plus 0.15 for each further one above a half. The
score asks for a level; a higher one is taken after it has been asked for during 250 ms (a jump: at once), the next
lower one after a hold-down, when the score is below half of what the level takes and liquidity is back. Three symbols
that fall ill within five seconds take the others with them to level 1.

Source: models 12. VPIN is left out on purpose: Andersen & Bondarenko (2014). Where this differs from the source:
- A stale feed adds to what other signs say and makes no level by itself. Nothing good can be done about it while it
  lasts: growth is refused for it by name, and a position sold blind, or for a pause of half a minute, is money lost.
  It begins at twice the gap of which one in a hundred is longer, and at ten seconds at the earliest: quotes come in
  bursts, and five median gaps pass a hundred times a day in a normal market.
- A jump is measured against half of the usual spread at least: a quote that flickers is no jump. And it counts as far
  as spread or depth are strained: moves of five deviations in a second come by the hundred a day in a liquid market,
  and selling after each of them costs and protects from nothing. From 15 deviations on it counts by itself; a deviation
  is then 0.2 pip at least, as a spread is: where providers are aggregated the two sides are of different ones, and half
  of their spread, a single tick, says nothing of how well a price is known. The rate of quotes needs the company of a
  small jump.
- Where no tick came for three seconds the jump is that over the silence, by the root of its length. Over five minutes
  it is none: a market that was closed, or a feed that was.
- Depth and spread are compared from the fifth second on, so that the first quotes of a session are no crisis.
- Lost depth, a crossed book, poor fills, or deviations of the spread make level 2 at most by themselves.
- Lost depth and a lopsided book must be unusual for the symbol as well: there are calm markets whose depth halves every
  minute, and books whose imbalance is always near 1.
"""

import math

import numpy as np
from numba import njit

from bot.market.delta import Record
from bot.market.liquidity import BPS
from bot.market.smoothing import ramp
from bot.market.state import U_DEPTH, U_GAP, U_SPREAD
from bot.market.usual import LEAST_DEVIATION, NORMAL

SPREAD, ONE_SIDED, JUMP, STALE = 1, 3, 4, 6
_LONGEST_SILENCE_NS = 300_000_000_000
SIGNS = ("spread z", "spread", "depth", "one-sided", "jump", "quote rate", "stale", "fills", "crossed")
"""The signs in the order of `signs`."""

ENTRY = (0.0, 0.5, 0.75, 0.95)
HOLD_DOWN_NS = (0, 60_000_000_000, 180_000_000_000, 600_000_000_000)
PERSISTENCE_NS = 250_000_000
CONTAGION_NS = 5_000_000_000
CONTAGION_SYMBOLS = 3
_LEAST_TICKS = 5.0
_LEAST_TICKS_Z = 60.0
_LEAST_GAPS, _UNKNOWN_GAP_S = 100.0, 15.0  # before a hundred gaps nobody knows which one in a hundred is longer
_STALE_LOW_S, _STALE_HIGH_S = 10.0, 30.0
_FURTHER, _FURTHER_ABOVE = 0.15, 0.5
MOST_ALONE = 0.94
"""The most that a sign which may have reasons of its own makes of the score by itself: level 2."""
_RECOVERED_RATIO = 0.7
_STRAIN_LOW, _STRAIN_HIGH = 2.0, 6.0  # times the usual spread
_LEAST_PIPS = 0.2


@njit(cache=True, error_model="numpy")
def signs(st: Record, tb: Record, now_ns: int, out: np.ndarray) -> None:
    """Write the nine signs of a symbol, each 0 (calm) to 1, in the order of `SIGNS`. Shapes: `out` (9,)."""
    out[:] = 0.0
    log_ratio = log_spread(st, tb) - st.usual[U_SPREAD]
    times_usual = math.exp(log_ratio) if log_ratio > 0 else 1.0  # below 2 nothing shows; NaN shows nothing either
    if st.overall_n[U_SPREAD] >= _LEAST_TICKS_Z or st.usual_days > 0:
        out[0] = ramp(log_ratio / st.usual_deviation, 3.0, 6.0)
    if st.overall_n[U_SPREAD] >= _LEAST_TICKS or st.usual_days > 0:
        out[1] = ramp(times_usual, 3.0, 8.0)
    if st.overall_n[U_DEPTH] >= _LEAST_TICKS or st.usual_days > 0:
        out[2] = lost_depth(st, (tb.bid_weighted_units + tb.ask_weighted_units) / 2)
    if st.lopsided_ns >= 0:
        out[3] = ramp((now_ns - max(st.lopsided_ns, st.closed_ns)) / 1e9, 0.25, 2.0)
    # A jump, and many quotes, are bad signs as far as liquidity is strained: by themselves they are news, or a busy
    # morning. Only a jump beyond all measure needs no company.
    jumped = jump(st, tb, 0.0, now_ns)
    # A floor makes no jump larger; where no usual spread is known it makes one known, as where nothing has moved yet.
    is_small = jumped <= 15.0 and math.isfinite(st.usual[U_SPREAD])
    beyond = 0.0 if is_small else jump(st, tb, least_bps(st, tb.mid), now_ns)
    strain = max(ramp(times_usual, _STRAIN_LOW, _STRAIN_HIGH), out[2])
    out[JUMP] = max(min(ramp(jumped, 5.0, 10.0), strain), ramp(beyond, 15.0, 30.0))
    out[5] = min(ramp(st.rate_z, 4.0, 8.0), strain)
    newest_ns = max(st.spot_ns, st.depth_ns)
    silent_s = (now_ns - max(newest_ns, st.closed_ns)) / 1e9
    if newest_ns >= 0 and silent_s > _STALE_LOW_S:
        gap_s = math.exp(st.usual[U_GAP]) if math.isfinite(st.usual[U_GAP]) else 0.0
        if st.overall_n[U_GAP] < _LEAST_GAPS and st.usual_days == 0:
            gap_s = max(gap_s, _UNKNOWN_GAP_S)
        low, high = max(2.0 * gap_s, _STALE_LOW_S), max(6.0 * gap_s, _STALE_HIGH_S)
        out[6] = ramp(silent_s, low, high)
    if math.isfinite(st.fill_q10):
        out[7] = 1.0 - ramp(st.fill_q10, 0.3, 0.6)
    if st.crossed_ns >= 0:
        out[8] = ramp((now_ns - max(st.crossed_ns, st.closed_ns)) / 1e9, 1.0, 5.0)


@njit(cache=True, error_model="numpy")
def log_spread(st: Record, tb: Record) -> float:
    """Return the log of the spread in bps, of 0.2 pip at least; NaN where it is unknown.

    Where liquidity providers are aggregated the spread is often nothing at all: many times nothing is no crisis.
    """
    if not math.isfinite(tb.spread_bps):
        return math.nan
    return log_cost(st, tb.spread_bps, tb.mid)


@njit(cache=True, error_model="numpy")
def log_cost(st: Record, cost_bps: float, mid: float) -> float:
    """Return the log of a cost in bps, of 0.2 pip at least: a locked book costs nothing, and nothing has no log."""
    return math.log(max(cost_bps, least_bps(st, mid)))


@njit(cache=True, error_model="numpy")
def least_bps(st: Record, mid: float) -> float:
    """Return how well a price is known at best, 0.2 pip, in bps."""
    return BPS * _LEAST_PIPS * st.pip / mid


@njit(cache=True, error_model="numpy")
def lost_depth(st: Record, weighted_units: float) -> float:
    """Return the sign of lost depth: half of the usual to a fifth of it, and three deviations to six; 0 if unknown."""
    ratio = weighted_units / math.exp(st.usual[U_DEPTH])
    if not math.isfinite(ratio):
        return 0.0
    deviation = LEAST_DEVIATION if math.isnan(st.depth_deviation) else max(NORMAL * st.depth_deviation, LEAST_DEVIATION)
    away = -math.log(ratio) if ratio > 0 else math.inf
    return min(1.0 - ramp(ratio, 0.2, 0.5), ramp(away / deviation, 3.0, 6.0))


@njit(cache=True, error_model="numpy")
def jump(st: Record, tb: Record, least_sigma_bps: float, now_ns: int) -> float:
    """Return the move of the last one to two seconds in standard deviations of a second; NaN while unknown.

    Behind a silence of up to five minutes it is the move over the silence, in deviations of as many seconds.
    The deviation is the one known before the move, which would raise it.

    Args: `least_sigma_bps` the least deviation; half of the usual spread it is anyway.
    """
    if not math.isfinite(tb.volatility_bps) or not math.isfinite(tb.mid):
        return math.nan
    least = 0.5 * math.exp(st.usual[U_SPREAD]) if math.isfinite(st.usual[U_SPREAD]) else 0.0
    least = max(least, least_sigma_bps)
    largest = 0.0
    for i in range(2):
        largest = max(largest, _in_deviations(tb.mid, st.second_mid[i], st.second_sigma_bps[i], least, 1.0 + i))
    if now_ns - st.quiet_ns <= _LONGEST_SILENCE_NS:
        silence_s = (now_ns - st.quiet_ns) / 1e9
        largest = max(largest, _in_deviations(tb.mid, st.quiet_mid, st.quiet_sigma_bps, least, silence_s))
    return largest


@njit(cache=True, error_model="numpy")
def _in_deviations(mid: float, before: float, sigma_bps: float, least_bps: float, seconds: float) -> float:
    """Return a move of the mid in deviations of its time; 0 where the price or the deviation is not known."""
    if not before > 0 or not sigma_bps >= 0 or not seconds > 0 or max(sigma_bps, least_bps) == 0:
        return 0.0
    return BPS * abs(mid - before) / before / (max(sigma_bps, least_bps) * math.sqrt(seconds))


@njit(cache=True, error_model="numpy")
def score_of(out: np.ndarray) -> float:
    """Return the score of the signs: the largest and 0.15 for each further one above a half, at most 1.

    A stale feed only ever is a further one. What a book shows for reasons of its own (its depth, a crossed price) makes
    level 3, which closes positions, only in company: alone the spread, an empty side or a jump must say so.
    """
    largest, strong = 0.0, 0
    for i in range(len(out)):
        if i != STALE:
            is_clear = i == SPREAD or i == ONE_SIDED or i == JUMP
            largest = max(largest, out[i] if is_clear else min(out[i], MOST_ALONE))
        strong += out[i] > _FURTHER_ABOVE
    if largest == 0.0:
        return 0.0
    return min(largest + _FURTHER * max(strong - (largest > _FURTHER_ABOVE), 0), 1.0)


@njit(cache=True, error_model="numpy")
def level_for(score: float) -> int:
    """Return the level that a score asks for."""
    level = 0
    for i in range(1, len(ENTRY)):
        if score >= ENTRY[i]:
            level = i
    return level


@njit(cache=True, error_model="numpy")
def move_level(st: Record, tb: Record, score: float, at_once: int, now_ns: int) -> None:
    """Move a symbol's level by its score.

    Args: `at_once` the level that its jump alone asks for.
    """
    level = int(tb.crisis_level)
    wanted = level_for(score)
    tb.crisis_score = score
    if wanted >= level and level > 0:
        st.level_ns = now_ns  # it goes on: the hold-down begins anew
    if wanted > level:
        # What has been asked for all the while counts, not what is asked for at the end of it.
        st.pending_level = wanted if st.pending_ns < 0 else min(st.pending_level, wanted)
        st.pending_ns = now_ns if st.pending_ns < 0 else st.pending_ns
        if at_once > level:
            _enter(st, tb, at_once, now_ns)
        if now_ns - st.pending_ns >= PERSISTENCE_NS:
            if st.pending_level > tb.crisis_level:
                _enter(st, tb, st.pending_level, now_ns)
            st.pending_ns = -1
        return
    st.pending_ns = -1
    if level > 0 and now_ns - st.level_ns >= HOLD_DOWN_NS[level] and score < 0.5 * ENTRY[level]:
        # Without a ratio (no depth, no equity) the score alone decides.
        recovered = math.isnan(tb.liquidity_ratio) or present_ratio(tb) > _RECOVERED_RATIO
        if recovered:
            tb.crisis_level = level - 1
            st.level_ns = now_ns


@njit(cache=True, error_model="numpy")
def present_ratio(tb: Record) -> float:
    """Return liquidity now, unsmoothed, over the usual one: of the round trip, or of the spread without a book."""
    if math.isfinite(tb.round_trip_bps) and math.isfinite(tb.usual_round_trip_bps):
        return tb.usual_round_trip_bps / max(tb.round_trip_bps, 1e-9)
    return tb.usual_spread_bps / max(tb.spread_bps, 1e-9)


@njit(cache=True, error_model="numpy")
def _enter(st: Record, tb: Record, level: int, now_ns: int) -> None:
    if tb.crisis_level == 0:
        st.entered_ns = now_ns
    tb.crisis_level = level
    st.level_ns = now_ns


@njit(cache=True, error_model="numpy")
def spread_contagion(state: np.ndarray, table: np.ndarray, now_ns: int) -> None:
    """Raise every symbol to level 1 at least when three have entered a crisis by themselves within five seconds."""
    ill = 0
    for s in range(len(state)):
        if (
            table[s].crisis_level >= 1
            and 0 <= now_ns - state[s].entered_ns <= CONTAGION_NS
            and state[s].entered_ns >= 0
        ):
            ill += 1
    if ill < CONTAGION_SYMBOLS:
        return
    for s in range(len(state)):
        if table[s].crisis_level < 1 and not state[s].is_closed and state[s].spot_ns >= 0:
            table[s].crisis_level = 1
            state[s].level_ns = now_ns
