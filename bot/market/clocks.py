"""What is done by the clock: imbalance ten times a second, the crisis level as often, regressions once. Compiled.

How it works: every symbol is looked at whenever anything was received, and when time passes without news; what is not
due costs a comparison. Ticks fall on whole seconds.
"""

import math

import numpy as np
from numba import njit

from bot.market.book import ASK, BID
from bot.market.crisis import JUMP, level_for, log_cost, log_spread, move_level, score_of, signs
from bot.market.delta import Record
from bot.market.flow import end_bucket, used_lambda
from bot.market.imbalance import SCAN_NS, forget_imbalance, is_lopsided, note_lopsided, scan, smooth
from bot.market.liquidity import BPS, weighted_depth
from bot.market.smoothing import moments_step
from bot.market.state import OBI_FAST, U_COST, U_DEPTH, U_IMPACT, U_LAMBDA, U_SPREAD, U_VOLATILITY, WEIGHTED_SIZE
from bot.market.usual import learn
from bot.market.volatility import follow_minute, follow_recovery, sample

_TICK_NS = 1_000_000_000
_JUDGE_NS = 100_000_000
_FRESH_NS = 5_000_000_000
_NO_DEPTH_NS = 5_000_000_000
_CROSSED_NS = 250_000_000
_LOST_DEPTH_NS = 60_000_000_000
_RATE_HALF_LIFE_S = 3600.0
_LEAST_TICKS = 60.0
_LONGEST_SECOND_S = 3.0
QUIET_NS = 3_000_000_000
"""After so long without a message the price before it is what the next one is compared with."""


@njit(cache=True, error_model="numpy")
def look_at_clocks(
    st: Record, tb: Record, quotes: np.ndarray, levels: np.ndarray, head: Record, s: int, now_ns: int
) -> None:
    if st.spot_ns < 0 and st.depth_ns < 0:
        return
    if math.isfinite(st.old_mid):
        if st.is_scan_wanted and (st.scan_ns < 0 or now_ns - st.scan_ns >= SCAN_NS):
            scan(st, tb, quotes, s, st.old_mid, now_ns)
        elif st.smooth_ns >= 0 and now_ns - st.smooth_ns >= SCAN_NS:
            smooth(st, tb, st.previous[OBI_FAST], now_ns)
        note_lopsided(st, is_lopsided(st, tb.obi_fast), now_ns)
    elif st.crossed_ns < 0 or now_ns - st.crossed_ns >= _CROSSED_NS:
        forget_imbalance(tb)
    if st.tick_ns < 0 or now_ns >= st.tick_ns + _TICK_NS:
        _tick(st, tb, now_ns)
        _follow_lost_depth(st, tb, head, now_ns)
        _follow_spread(st, tb, levels, head, s)
    if st.changed or now_ns - st.judged_ns >= _JUDGE_NS:
        st.judged_ns = now_ns
        _judge(st, tb, now_ns)


@njit(cache=True, error_model="numpy")
def _judge(st: Record, tb: Record, now_ns: int) -> None:
    """Renew a symbol's crisis level. A closed market is no crisis: its silence and its book mean nothing."""
    if st.is_closed:
        st.pending_ns = -1
        st.closed_ns = now_ns  # silence and a lopsided book count from the opening on
        return
    found = st.signs
    signs(st, tb, now_ns, found)
    move_level(st, tb, score_of(found), level_for(found[JUMP]), now_ns)


@njit(cache=True, error_model="numpy")
def _tick(st: Record, tb: Record, now_ns: int) -> None:
    """Do what is due once a second."""
    elapsed_s = (now_ns - st.tick_ns) / 1e9 if st.tick_ns >= 0 else 0.0
    st.tick_ns = now_ns - now_ns % _TICK_NS  # on whole seconds, whenever the first message came
    newest_ns = max(st.spot_ns, st.depth_ns)
    fresh = now_ns - newest_ns < _FRESH_NS
    fair = tb.mid if not math.isfinite(st.old_mid) else tb.weighted_mid
    if fresh:
        sample(st, tb, fair, now_ns)
        follow_minute(st, tb, tb.mid, now_ns)
    # Where no tick was for long, nothing is known of a second ago.
    st.second_mid[1] = st.second_mid[0] if elapsed_s < _LONGEST_SECOND_S else math.nan
    st.second_mid[0] = tb.mid if fresh else math.nan
    st.second_sigma_bps[1], st.second_sigma_bps[0] = st.second_sigma_bps[0], tb.volatility_bps
    if math.isfinite(st.second_mid[1]):
        st.quiet_mid = math.nan  # a second ago is known again
    is_usual = fresh and tb.crisis_level == 0 and not st.is_closed  # else what is seen must not become usual
    _follow_rate(st, elapsed_s, is_usual)
    if math.isfinite(st.old_mid) and st.mean[WEIGHTED_SIZE] > 0:
        end_bucket(st, st.old_mid, now_ns)
    used, is_own = used_lambda(st)
    tb.lambda_bps_per_unit = used / st.mean[WEIGHTED_SIZE]
    weighted = (tb.bid_weighted_units + tb.ask_weighted_units) / 2
    follow_recovery(st, tb, math.log(weighted) - st.usual[U_DEPTH] if weighted > 0 else math.nan, elapsed_s)
    if is_usual:
        _learn_usual(st, tb, weighted, used if is_own else math.nan)
    _show_usual(st, tb)
    if tb.is_depth_seen == 0 and st.connected_ns >= 0 and now_ns - st.connected_ns >= _NO_DEPTH_NS:
        tb.is_spot_only = 1.0


@njit(cache=True, error_model="numpy")
def _follow_lost_depth(st: Record, tb: Record, head: Record, now_ns: int) -> None:
    """Take a symbol whose book has been empty for a minute, while prices come, for one without depth."""
    if tb.is_depth_seen == 0 or head.level_count[BID] + head.level_count[ASK] > 0 or st.depth_ns < 0:
        return
    since_ns = max(st.depth_ns, st.lopsided_ns)
    if now_ns - since_ns >= _LOST_DEPTH_NS and now_ns - st.spot_ns < _FRESH_NS and st.spot_ns >= 0:
        tb.is_depth_seen, tb.is_spot_only = 0.0, 1.0
        st.lopsided_ns = -1


@njit(cache=True, error_model="numpy")
def _follow_rate(st: Record, elapsed_s: float, is_usual: bool) -> None:
    """Follow the number of messages a second, its mean and variance of the last hour (models 12)."""
    if elapsed_s > 0.5:
        rate = (st.messages - st.tick_messages) / elapsed_s
        if st.rate_n >= _LEAST_TICKS:
            st.rate_z = (rate - st.rate_mean) / math.sqrt(max(st.rate_variance, 1.0))
        if is_usual:
            alpha = max(1.0 - 2.0 ** (-elapsed_s / _RATE_HALF_LIFE_S), 1.0 / (1.0 + st.rate_n))
            st.rate_mean, st.rate_variance = moments_step(st.rate_mean, st.rate_variance, rate, alpha)
            st.rate_n += 1.0
    st.tick_messages = st.messages


@njit(cache=True, error_model="numpy")
def _learn_usual(st: Record, tb: Record, weighted: float, own_lambda: float) -> None:
    nan = math.nan
    # A locked or crossed quote says nothing of what a spread usually is; as a log it would say it very loudly.
    learn(st, U_SPREAD, log_spread(st, tb) if tb.spread_bps > 0 else nan)
    learn(st, U_DEPTH, math.log(weighted) if weighted > 0 else nan)
    if tb.is_spot_only == 0:  # a spread is not the cost of walking a book
        mid = (tb.depth_bid + tb.depth_ask) / 2
        learn(st, U_COST, log_cost(st, tb.round_trip_bps, mid) if tb.round_trip_bps > 0 else nan)
    impact = (tb.buy_impact_bps + tb.sell_impact_bps) / 2
    learn(st, U_IMPACT, math.log(impact) if impact > 0 else nan)
    learn(st, U_LAMBDA, math.log(own_lambda) if own_lambda > 0 else nan)
    learn(st, U_VOLATILITY, math.log(tb.volatility_bps) if tb.volatility_bps > 0 else nan)


@njit(cache=True, error_model="numpy")
def _follow_spread(st: Record, tb: Record, levels: np.ndarray, head: Record, s: int) -> None:
    """Let the lengths of the distance weights follow the usual spread. Between ticks they stand still.

    What is remembered of the book is weighed anew, or the change of the lengths would look like order flow.
    """
    usual_spread = tb.usual_spread_bps * tb.mid / BPS
    if not usual_spread > 0:
        return
    st.decay, st.distance = max(0.2 * st.pip, usual_spread), max(st.pip, 2 * usual_spread)
    if math.isfinite(st.old_mid):
        for side in range(2):
            st.old_weighted[side] = weighted_depth(levels, side, s, head.level_count[side], st.old_mid, st.decay)


@njit(cache=True, error_model="numpy")
def _show_usual(st: Record, tb: Record) -> None:
    tb.usual_spread_bps = math.exp(st.usual[U_SPREAD])
    tb.usual_weighted_units = math.exp(st.usual[U_DEPTH])
    tb.usual_impact_bps = math.exp(st.usual[U_IMPACT])
    tb.usual_volatility_bps = math.exp(st.usual[U_VOLATILITY])
