"""One batch of delta rows into books and features: the compiled loop over messages and symbols.

How it works: `receive` applies the rows to the books; order flow is booked at the end of every message; everything else
is computed once for each symbol that changed. Then every symbol's clocks are looked at: ten times a second the guarded
imbalance, once a second what is usual, volatility, impact regression and resilience; the crisis level whenever a symbol
changed and ten times a second without. The formulas are those of `features.py`, which the tests hold against these.

Missing: a feature that cannot be computed is NaN; it never turns into 0. Nothing raises: where a plain division by zero
would, the numpy error model of the compiled functions gives inf or NaN.
"""

import math

import numpy as np
from numba import njit

from bot.market import book
from bot.market.book import ASK, BID
from bot.market.clocks import QUIET_NS, look_at_clocks
from bot.market.crisis import log_cost, log_spread, spread_contagion
from bot.market.delta import CLEAR_BOOK, DEPTH_ASK, DEPTH_BID, END_DEPTH, END_SPOT, SPOT_ASK, SPOT_BID, Record
from bot.market.flow import (
    add_revision,
    depth_flow,
    end_of_message,
    note_lifetime,
    refreshes_per_s,
    touch_flow,
)
from bot.market.imbalance import note_lopsided
from bot.market.liquidity import (
    BPS,
    E5,
    TURNOVER_SHARE,
    impact_bps,
    square_root_bps,
    view_side,
)
from bot.market.smoothing import average, decay
from bot.market.state import (
    LOG_COST,
    LOG_RATIO,
    SPREAD,
    TOUCH_SIZE,
    U_COST,
    U_GAP,
    U_SIZE,
    U_SPREAD,
    WEIGHTED_SIZE,
)
from bot.market.usual import learn

_DAY_S = 86_400.0
_SPREAD_COST_SHARE = 0.5  # of a spread, paid on each side


@njit(cache=True, error_model="numpy")
def receive(
    quotes: np.ndarray,
    levels: np.ndarray,
    heads: np.ndarray,
    state: np.ndarray,
    table: np.ndarray,
    rows: np.ndarray,
    start: int,
    now_ns: int,
) -> int:
    """Apply rows from `start`; return the first row that did not fit, or the number of rows when all did.

    `state.changed` is set for every symbol that a row concerned; the caller clears it.
    """
    for i in range(start, rows.shape[0]):
        row = rows[i]
        s = row.symbol
        kind = row.kind
        st = state[s]
        if kind == END_DEPTH:
            _depth_ended(st, table[s], levels, heads[s], s, now_ns)
        elif kind == END_SPOT:
            heads[s].counters[book.SPOT_EVENTS] += 1
            _message_ended(st, table[s], now_ns)
            st.spot_ns = now_ns
            if st.connected_ns < 0:
                st.connected_ns = now_ns
        else:
            if (kind == SPOT_BID or kind == SPOT_ASK) and not table[s].is_depth_seen:
                _revise_spot(st, heads[s], kind - SPOT_BID, row.price_e5, now_ns)
            born_ns = book.apply_row(quotes, levels, heads, s, kind, row.quote_id, row.price_e5, row.size_cents, now_ns)
            if born_ns < 0:
                return i
            if born_ns > 0:
                note_lifetime(st, born_ns, now_ns)
            if kind == CLEAR_BOOK:
                st.old_known = st.was_crossed = 0
                st.flow = st.weighted_flow = 0.0
                st.old_mid = math.nan
                st.crossed_ns = st.bucket_ns = st.lopsided_ns = -1
            elif (kind == DEPTH_BID or kind == DEPTH_ASK) and table[s].crisis_level == 0 and not st.is_closed:
                learn(st, U_SIZE, math.log(row.size_cents))
        st.changed = 1
    for s in range(state.shape[0]):
        st, tb = state[s], table[s]
        if st.changed:
            _evaluate(st, tb, levels, heads[s], s, now_ns)
        look_at_clocks(st, tb, quotes, levels, heads[s], s, now_ns)
    spread_contagion(state, table, now_ns)
    return rows.shape[0]


@njit(cache=True, error_model="numpy")
def _message_ended(st: Record, tb: Record, now_ns: int) -> None:
    newest_ns = max(st.spot_ns, st.depth_ns)
    if newest_ns >= 0 and now_ns - newest_ns >= QUIET_NS:
        # The table is renewed behind the last message of a batch.
        st.quiet_mid, st.quiet_sigma_bps, st.quiet_ns = tb.mid, tb.volatility_bps, newest_ns
    # In a crisis too: a feed that stood still is one gap among many, and one taken for stale too soon has to be learnt.
    if newest_ns >= 0 and now_ns > newest_ns and not st.is_closed:
        learn(st, U_GAP, math.log((now_ns - newest_ns) / 1e9))
    st.messages += 1


@njit(cache=True, error_model="numpy")
def _depth_ended(st: Record, tb: Record, levels: np.ndarray, head: Record, s: int, now_ns: int) -> None:
    head.counters[book.DEPTH_EVENTS] += 1
    book.remember_best(levels, head, s)
    _message_ended(st, tb, now_ns)
    st.depth_ns = now_ns
    st.is_scan_wanted = 1
    if head.level_count[BID] + head.level_count[ASK] > 0:
        tb.is_depth_seen = 1.0
        tb.is_spot_only = 0.0
    end_of_message(st, levels, head, s, now_ns)


@njit(cache=True, error_model="numpy")
def _revise_spot(st: Record, head: Record, side: int, price_e5: int, now_ns: int) -> None:
    """Take the revision of a spot price as order flow, where there is no book to take it from (models 7.1)."""
    if head.spot_known[side] and price_e5 != head.spot_e5[side]:
        add_revision(st, 1.0 if price_e5 > head.spot_e5[side] else -1.0, now_ns)


@njit(cache=True, error_model="numpy")
def _evaluate(st: Record, tb: Record, levels: np.ndarray, head: Record, s: int, now_ns: int) -> None:
    """Compute every feature of one symbol that follows from its book and spot prices alone."""
    _evaluate_spot(st, tb, head, now_ns)
    bids, asks = head.level_count[BID], head.level_count[ASK]
    tb.depth_bid = levels[BID, s, bids - 1].key / E5 if bids else math.nan
    tb.depth_ask = -levels[ASK, s, asks - 1].key / E5 if asks else math.nan
    d = decay(now_ns - st.revision_ns, st.revision_half_life_s) if st.revision_ns >= 0 else 1.0
    tb.revision_flow = st.revisions / st.revision_weight if st.revision_weight * d > 1e-9 else math.nan
    if bids == 0 or asks == 0:
        _forget_book(tb)
        tb.obi = (1.0 if bids else -1.0) if bids + asks else math.nan
        st.apart_ns = -1
        note_lopsided(st, bids + asks > 0 or tb.is_depth_seen > 0, now_ns)
        if tb.is_spot_only:
            _evaluate_without_depth(st, tb, now_ns)
        return

    best_bid, best_ask = tb.depth_bid, tb.depth_ask
    bid_size, ask_size = levels[BID, s, bids - 1].size / 100.0, levels[ASK, s, asks - 1].size / 100.0
    mid = (best_bid + best_ask) / 2
    if best_bid > best_ask:
        tb.weighted_mid = mid
    else:
        tb.weighted_mid = (best_bid * ask_size + best_ask * bid_size) / (bid_size + ask_size)
    if best_bid > best_ask or math.isnan(st.old_weighted[0]):
        for side in range(2):
            count = bids if side == BID else asks
            st.old_weighted[side] = book_weight(levels, side, s, count, mid, st.decay)
    tb.bid_weighted_units, tb.ask_weighted_units = st.old_weighted[BID], st.old_weighted[ASK]
    tb.depth_distance = st.distance
    total = tb.bid_weighted_units + tb.ask_weighted_units
    tb.obi = (tb.bid_weighted_units - tb.ask_weighted_units) / total if total > 0 else math.nan
    if best_bid > best_ask:
        st.lopsided_ns = -1
    average(st, TOUCH_SIZE, (bid_size + ask_size) / 2, now_ns, st.touch_size_half_life_s)
    average(st, WEIGHTED_SIZE, total / 2, now_ns, st.touch_size_half_life_s)
    tb.ofi, tb.ofi_weighted = touch_flow(st, now_ns), depth_flow(st, now_ns)
    _evaluate_cost(st, tb, levels, s, bids, asks, mid, now_ns)

    # Spot and depth are two streams of one price: long disagreement means one of them is not to be trusted.
    if math.isfinite(tb.mid):
        usual = max(st.mean[SPREAD] * tb.mid / BPS, best_ask - best_bid, 0.0)
        tolerance = usual + st.pip  # not the spot spread: it may be what is wrong
        if abs(mid - tb.mid) > tolerance or tb.bid - tb.ask > tolerance:
            if st.apart_ns < 0:
                st.apart_ns = now_ns
        else:
            st.apart_ns = -1


@njit(cache=True, error_model="numpy")
def book_weight(levels: np.ndarray, side: int, s: int, count: int, mid: float, length: float) -> float:
    """Return distance-weighted size with the distance taken absolutely, as a crossed book needs it (models 3.2)."""
    total = 0.0
    for i in range(count - 1, -1, -1):
        total += levels[side, s, i].size * math.exp(-abs(abs(levels[side, s, i].key) / E5 - mid) / length)
    return total / 100.0


@njit(cache=True, error_model="numpy")
def _evaluate_spot(st: Record, tb: Record, head: Record, now_ns: int) -> None:
    if not (head.spot_known[BID] and head.spot_known[ASK]):
        tb.bid = tb.ask = tb.mid = tb.spread_bps = math.nan
        return
    tb.bid, tb.ask = head.spot_e5[BID] / E5, head.spot_e5[ASK] / E5
    tb.mid = (tb.bid + tb.ask) / 2
    tb.spread_bps = BPS * (tb.ask - tb.bid) / tb.mid
    tb.mean_spread_bps = average(st, SPREAD, max(tb.spread_bps, 0.0), now_ns, st.spread_half_life_s)


@njit(cache=True, error_model="numpy")
def _forget_book(tb: Record) -> None:
    nan = math.nan
    tb.bid_depth_units = tb.ask_depth_units = tb.weighted_mid = tb.depth_distance = nan
    tb.bid_weighted_units = tb.ask_weighted_units = tb.bid_slope = tb.ask_slope = nan
    tb.buy_cost_bps = tb.sell_cost_bps = tb.round_trip_bps = tb.ofi = tb.ofi_weighted = nan
    tb.buy_impact_bps = tb.sell_impact_bps = tb.buy_capacity_units = tb.sell_capacity_units = nan
    tb.liquidity_ratio = nan


@njit(cache=True, error_model="numpy")
def _evaluate_cost(
    st: Record, tb: Record, levels: np.ndarray, s: int, bids: int, asks: int, mid: float, now_ns: int
) -> None:
    share = 1.0 if math.isnan(st.reach_frac) else st.reach_frac
    cap_bps, reference, impact = st.exit_cost_cap_bps, tb.reference_units, tb.impact_units
    tb.bid_depth_units, tb.bid_slope, tb.sell_capacity_units, tb.sell_cost_bps, sell_bps = view_side(
        levels, BID, s, bids, mid, st.distance, cap_bps, share, reference, impact
    )
    tb.ask_depth_units, tb.ask_slope, tb.buy_capacity_units, tb.buy_cost_bps, buy_bps = view_side(
        levels, ASK, s, asks, mid, st.distance, cap_bps, share, reference, impact
    )
    if reference > 0:
        tb.round_trip_bps = tb.buy_cost_bps + tb.sell_cost_bps + 2 * st.commission_bps
        _compare(st, tb, -log_cost(st, tb.round_trip_bps, mid), -st.usual[U_COST], now_ns)
    else:
        tb.round_trip_bps = tb.liquidity_ratio = math.nan
    if impact > 0:
        lambda_bps = tb.lambda_bps_per_unit
        root = square_root_term(st, tb, impact, now_ns)
        tb.buy_impact_bps = impact_bps(buy_bps, lambda_bps, impact, root)
        tb.sell_impact_bps = impact_bps(sell_bps, lambda_bps, impact, root)
    else:
        tb.buy_impact_bps = tb.sell_impact_bps = math.nan


@njit(cache=True, error_model="numpy")
def square_root_term(st: Record, tb: Record, units: float, now_ns: int) -> float:
    """Return the square-root law of impact for this symbol, its depth as the table has it; NaN without a volume."""
    volume = (tb.bid_depth_units + tb.ask_depth_units) / 2 * refreshes_per_s(st, now_ns) * _DAY_S * TURNOVER_SHARE
    # Of an ordinary day: a minute of panic raises every average of squares for a day, and the median not at all.
    usual = tb.usual_volatility_bps
    sigma = usual if math.isfinite(usual) else tb.slow_volatility_bps
    return square_root_bps(sigma * math.sqrt(_DAY_S), units, volume)


@njit(cache=True, error_model="numpy")
def _compare(st: Record, tb: Record, log_liquidity: float, usual: float, now_ns: int) -> None:
    """Compare liquidity, minus the log of a cost, with the usual one; smoothed in logs (models 11)."""
    if not math.isfinite(log_liquidity):
        tb.liquidity_ratio = math.nan
        return
    if st.time_of_day:
        if math.isnan(usual):
            usual = log_liquidity
    else:
        usual = average(st, LOG_COST, log_liquidity, now_ns, st.liquidity_base_half_life_s)
    log_ratio = log_liquidity_ratio(st, log_liquidity, usual)
    smoothed = average(st, LOG_RATIO, log_ratio, now_ns, st.liquidity_smoothing_half_life_s)
    tb.liquidity_ratio = math.exp(smoothed)
    tb.usual_round_trip_bps = math.exp(-usual)
    if st.first_ns < 0:
        st.first_ns = now_ns


@njit(cache=True, error_model="numpy")
def log_liquidity_ratio(st: Record, log_liquidity: float, usual: float) -> float:
    """Return the log of present over usual liquidity, before it is smoothed. Args: logs of liquidity (models 11)."""
    log_ratio = log_liquidity - usual
    if st.time_of_day and st.usual_days < 3.0:
        log_ratio = min(log_ratio, 0.0)  # what is usual is not known well enough to call this more
    return log_ratio


@njit(cache=True, error_model="numpy")
def _evaluate_without_depth(st: Record, tb: Record, now_ns: int) -> None:
    """Fall back to the spread where a broker sends no depth: cost, impact and liquidity follow from it alone."""
    if not math.isfinite(tb.spread_bps):
        return
    half = max(math.exp(log_spread(st, tb)), 0.0) * _SPREAD_COST_SHARE
    tb.buy_cost_bps = tb.sell_cost_bps = tb.buy_impact_bps = tb.sell_impact_bps = half
    tb.round_trip_bps = 2 * half + 2 * st.commission_bps
    # Compared is the spread alone: what a book usually costs is another quantity, and commission is not liquidity.
    _compare(st, tb, -log_spread(st, tb), -st.usual[U_SPREAD], now_ns)
    tb.usual_round_trip_bps += 2 * st.commission_bps
