"""A symbol as it would be if its spread were twice what it is: a feature table that nobody has seen. Compiled.

How it works: the caller gives a copy of the feature table, and one record of it is written anew. Both sides of the
market, the spot prices and every level of the book, move away from the mid by half of the spread, sizes and all; what
follows from where they lie is computed from the real book by the evaluator's own functions. Nothing else is written.

What is assumed: the doubling lasts, so that averages have followed it. The mean spread is twice what it is, and the
smoothed liquidity ratio is lower by as much as the present round trip is dearer. What is usual stays what it is, and so
do volatility, order flow, imbalance and what fills have taught. The crisis level is the one that the new score asks
for, the present one at least: a wider spread ends no crisis.
"""

import math

import numpy as np
from numba import njit

from bot.market.book import ASK, BID
from bot.market.crisis import level_for, log_cost, log_spread, score_of, signs
from bot.market.delta import Record
from bot.market.estimators import log_liquidity_ratio, square_root_term
from bot.market.liquidity import impact_bps, view_side, weighted_depth
from bot.market.state import SIGN_COUNT


@njit(cache=True, error_model="numpy")
def widen(table: np.ndarray, state: np.ndarray, levels: np.ndarray, heads: np.ndarray, s: int, now_ns: int) -> bool:
    """Double the spread of one symbol in a copy of the table; return whether it has one.

    A locked or crossed quote has none, and twice nothing changes nothing; neither does an unknown one.

    Args: `table` the copy, of which row `s` is changed; the others as the evaluator has them, and only read.
    """
    st, tb = state[s], table[s]
    half = (tb.ask - tb.bid) / 2
    if not half > 0:
        return False
    log_before = log_spread(st, tb)
    tb.bid, tb.ask = tb.bid - half, tb.ask + half
    tb.spread_bps, tb.mean_spread_bps = 2 * tb.spread_bps, 2 * tb.mean_spread_bps
    bids, asks = heads[s].level_count[BID], heads[s].level_count[ASK]
    if bids > 0 and asks > 0:
        _widen_book(st, tb, levels, s, bids, asks, half, now_ns)
    elif tb.is_spot_only > 0:
        _widen_without_depth(st, tb, log_before)
    if not st.is_closed:
        found = np.empty(SIGN_COUNT)
        signs(st, tb, now_ns, found)
        tb.crisis_score = score_of(found)
        tb.crisis_level = max(tb.crisis_level, level_for(tb.crisis_score))
    return True


@njit(cache=True, error_model="numpy")
def _widen_book(
    st: Record, tb: Record, levels: np.ndarray, s: int, bids: int, asks: int, half: float, now_ns: int
) -> None:
    mid = (tb.depth_bid + tb.depth_ask) / 2
    bid_size, ask_size = levels[BID, s, bids - 1].size, levels[ASK, s, asks - 1].size
    tb.depth_bid, tb.depth_ask = tb.depth_bid - half, tb.depth_ask + half
    if tb.depth_bid <= tb.depth_ask:
        tb.weighted_mid = (tb.depth_bid * ask_size + tb.depth_ask * bid_size) / (bid_size + ask_size)
    if math.isfinite(tb.bid_weighted_units) and math.isfinite(tb.ask_weighted_units):
        tb.bid_weighted_units = weighted_depth(levels, BID, s, bids, mid + half, st.decay)
        tb.ask_weighted_units = weighted_depth(levels, ASK, s, asks, mid - half, st.decay)
    log_before = log_cost(st, tb.round_trip_bps, mid)
    tb.bid_depth_units, tb.bid_slope, tb.sell_capacity_units, tb.sell_cost_bps, sell_bps = _view(
        st, tb, levels, BID, s, bids, mid, half
    )
    tb.ask_depth_units, tb.ask_slope, tb.buy_capacity_units, tb.buy_cost_bps, buy_bps = _view(
        st, tb, levels, ASK, s, asks, mid, -half
    )
    if tb.reference_units > 0:
        tb.round_trip_bps = tb.buy_cost_bps + tb.sell_cost_bps + 2 * st.commission_bps
        _compare(st, tb, log_before, log_cost(st, tb.round_trip_bps, mid), math.log(tb.usual_round_trip_bps))
    if tb.impact_units > 0:
        root = square_root_term(st, tb, tb.impact_units, now_ns)
        tb.buy_impact_bps = impact_bps(buy_bps, tb.lambda_bps_per_unit, tb.impact_units, root)
        tb.sell_impact_bps = impact_bps(sell_bps, tb.lambda_bps_per_unit, tb.impact_units, root)


@njit(cache=True, error_model="numpy")
def _view(
    st: Record, tb: Record, levels: np.ndarray, side: int, s: int, count: int, mid: float, shift: float
) -> tuple[float, float, float, float, float]:
    """Return what `view_side` says of a side that lies farther from mid: it is seen from a mid that lies farther away.

    It counts in bps of the mid that it is given, so what goes in and comes out in bps is brought to the real one.
    """
    share = 1.0 if math.isnan(st.reach_frac) else st.reach_frac
    scale = (mid + shift) / mid
    view = view_side(
        levels, side, s, count, mid + shift, st.distance, st.exit_cost_cap_bps / scale, share,
        tb.reference_units, tb.impact_units,
    )  # fmt: skip
    return (
        view.depth_units,
        view.slope / scale,
        view.capacity_units,
        view.cost_bps * scale,
        view.other_cost_bps * scale,
    )


@njit(cache=True, error_model="numpy")
def _widen_without_depth(st: Record, tb: Record, log_before: float) -> None:
    log_after = log_spread(st, tb)
    half, commission_bps = 0.5 * math.exp(log_after), 2 * st.commission_bps
    tb.buy_cost_bps = tb.sell_cost_bps = tb.buy_impact_bps = tb.sell_impact_bps = half
    tb.round_trip_bps = 2 * half + commission_bps
    # Of a spread alone what is usual is known with commission on top.
    _compare(st, tb, log_before, log_after, math.log(tb.usual_round_trip_bps - commission_bps))


@njit(cache=True, error_model="numpy")
def _compare(st: Record, tb: Record, log_before: float, log_after: float, usual_log: float) -> None:
    """Move the smoothed ratio by as much as the present one moves."""
    change = log_liquidity_ratio(st, -log_after, -usual_log) - log_liquidity_ratio(st, -log_before, -usual_log)
    tb.liquidity_ratio *= math.exp(change)
