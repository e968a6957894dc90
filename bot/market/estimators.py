"""The estimators: one message into the order flow, one symbol into its features, as compiled loops over the symbols.

How it works: `receive` applies the rows of one batch to the books; order flow is added at the end of every message,
everything else is computed once per symbol that changed. All state is struct-of-arrays with the symbol as the axis.
The formulas are those of `features.py`, which the tests hold against these.

Missing: a feature that cannot be computed is NaN; it never turns into 0. Flow is suspended while the book is crossed.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from bot.market import book
from bot.market.book import ASK, BID, BookArrays
from bot.market.delta import CLEAR_BOOK, END_DEPTH, END_SPOT

_BPS = 1e4
_E5 = 1e5

# Rows of the time-aware averages (models 1.1).
_SPREAD, _TOUCH_SIZE, _LOG_COST, _LOG_RATIO = range(4)


class Features(NamedTuple):
    """What the evaluator knows of each symbol, all (S,) float64 and NaN where unknown.

    `bid ask mid spread_bps` come from the spot stream; everything of depth from the book. `bid_depth_units` and
    `ask_depth_units` rest within `depth_distance` (price) of the book's mid; `obi` is the distance-weighted imbalance,
    in [-1, 1]; `ofi` the decayed best-level order flow over the average size at the touch; `buy_cost_bps` and
    `sell_cost_bps` the walk-the-book cost of `reference_units` against mid, extrapolated beyond the last level;
    `round_trip_bps` their sum; `liquidity_ratio` is exp(smoothed ln LR) with LR the usual cost over the present cost.
    """

    bid: np.ndarray
    ask: np.ndarray
    mid: np.ndarray
    spread_bps: np.ndarray
    depth_bid: np.ndarray
    depth_ask: np.ndarray
    depth_distance: np.ndarray
    bid_depth_units: np.ndarray
    ask_depth_units: np.ndarray
    weighted_mid: np.ndarray
    obi: np.ndarray
    ofi: np.ndarray
    reference_units: np.ndarray
    buy_cost_bps: np.ndarray
    sell_cost_bps: np.ndarray
    round_trip_bps: np.ndarray
    liquidity_ratio: np.ndarray


class State(NamedTuple):
    """What the estimators remember. Averages are (4, S); the rest (S,). Times are ns, -1 where nothing was seen yet."""

    mean: np.ndarray
    previous: np.ndarray
    average_ns: np.ndarray
    flow: np.ndarray
    flow_ns: np.ndarray
    old_key: np.ndarray  # (2, S) best level at the end of the last message
    old_size: np.ndarray  # (2, S)
    old_known: np.ndarray  # (S,) there was a last message since the book was cleared
    spot_ns: np.ndarray
    depth_ns: np.ndarray
    first_ns: np.ndarray
    crossed_ns: np.ndarray
    apart_ns: np.ndarray  # since when depth and spot disagree
    pip: np.ndarray


@njit(cache=True)
def _average(state: State, row: int, s: int, x: float, now_ns: int, half_life_s: float) -> float:
    """Move one time-aware average to `now_ns` and remember `x` as the value that holds from here on (models 1.1)."""
    if not math.isfinite(x):
        return float(state.mean[row, s])
    last = state.average_ns[row, s]
    if last < 0:
        state.mean[row, s] = x
    else:
        dt = max(now_ns - last, 0) / 1e9
        if dt > 20 * half_life_s:
            state.mean[row, s] = state.previous[row, s]
        else:
            decay = 2.0 ** (-dt / half_life_s)
            state.mean[row, s] = decay * state.mean[row, s] + (1.0 - decay) * state.previous[row, s]
    state.previous[row, s] = x
    state.average_ns[row, s] = max(now_ns, last)
    return float(state.mean[row, s])


@njit(cache=True)
def _faded_flow(state: State, s: int, now_ns: int, half_life_s: float) -> float:
    """Return the flow of a symbol as it weighs now, in base units."""
    dt = max(now_ns - state.flow_ns[s], 0) / 1e9 if state.flow_ns[s] >= 0 else 0.0
    return float(state.flow[s] * 2.0 ** (-dt / half_life_s))


@njit(cache=True)
def _add_flow(books: BookArrays, state: State, s: int, now_ns: int, half_life_s: float) -> None:
    """Add the order flow of the message that just ended: its best levels against those of the message before."""
    flow = 0.0
    for side in (BID, ASK):
        n = books.level_count[side, s]
        key = books.level_key[side, s, n - 1] if n else 0
        size = books.level_size[side, s, n - 1] if n else 0
        if state.old_known[s]:
            # Keys grow towards better prices on both sides, so one rule serves: an empty side is worse than any.
            old_key, old_size = state.old_key[side, s], state.old_size[side, s]
            e = 0.0
            if size > 0 and (old_size == 0 or key >= old_key):
                e += size
            if old_size > 0 and (size == 0 or key <= old_key):
                e -= old_size
            flow += e if side == BID else -e
        state.old_key[side, s] = key
        state.old_size[side, s] = size
    was_crossed = state.crossed_ns[s] >= 0
    crossed = state.old_size[0, s] > 0 and state.old_size[1, s] > 0 and state.old_key[0, s] > -state.old_key[1, s]
    if crossed:
        if state.crossed_ns[s] < 0:
            state.crossed_ns[s] = now_ns
    else:
        state.crossed_ns[s] = -1
    if crossed or was_crossed:
        flow = 0.0  # what crossing took away, coming back must not add
    state.flow[s] = _faded_flow(state, s, now_ns, half_life_s) + flow / 100.0
    state.flow_ns[s] = max(now_ns, state.flow_ns[s])
    state.old_known[s] = True


@njit(cache=True)
def _walk_cost_bps(books: BookArrays, side: int, s: int, units: float, mid: float) -> float:
    """Return the cost in bps of taking `units` from one side; beyond the book it is extrapolated (`features`)."""
    left, paid, away, held = units, 0.0, 0.0, 0.0
    squares, products = 0.0, 0.0
    for i in range(books.level_count[side, s] - 1, -1, -1):
        price = abs(books.level_key[side, s, i]) / _E5
        size = books.level_size[side, s, i] / 100.0
        away = _BPS * (price - mid) / mid if side == ASK else _BPS * (mid - price) / mid
        take = min(size, left)
        paid += take * away
        left -= take
        if left <= 0:
            return float(paid / units)
        held += size
        squares += held * held
        products += held * abs(away)  # the slope is about distance: levels of a crossed book are away too
    if products <= 0:
        return math.inf
    return float((paid + left * (away + left * products / squares)) / units)


@njit(cache=True)
def _evaluate(books: BookArrays, state: State, features: Features, s: int, now_ns: int, half_lives: np.ndarray) -> None:
    """Compute every feature of one symbol from its book and spot prices."""
    nan = math.nan
    spread = nan
    if books.spot_known[0, s] and books.spot_known[1, s]:
        bid, ask = books.spot_e5[0, s] / _E5, books.spot_e5[1, s] / _E5
        mid = (bid + ask) / 2
        features.bid[s], features.ask[s], features.mid[s] = bid, ask, mid
        features.spread_bps[s] = _BPS * (ask - bid) / mid
        spread = ask - bid
    else:
        features.bid[s] = features.ask[s] = features.mid[s] = features.spread_bps[s] = nan

    bids, asks = books.level_count[0, s], books.level_count[1, s]
    if bids == 0 or asks == 0:
        features.depth_bid[s] = books.level_key[0, s, bids - 1] / _E5 if bids else nan
        features.depth_ask[s] = -books.level_key[1, s, asks - 1] / _E5 if asks else nan
        features.bid_depth_units[s] = features.ask_depth_units[s] = features.weighted_mid[s] = nan
        features.buy_cost_bps[s] = features.sell_cost_bps[s] = features.round_trip_bps[s] = nan
        features.depth_distance[s] = features.ofi[s] = features.liquidity_ratio[s] = nan
        features.obi[s] = (1.0 if bids else -1.0) if bids + asks else nan
        state.apart_ns[s] = -1
        return

    best_bid, best_ask = books.level_key[0, s, bids - 1] / _E5, -books.level_key[1, s, asks - 1] / _E5
    bid_size, ask_size = books.level_size[0, s, bids - 1] / 100.0, books.level_size[1, s, asks - 1] / 100.0
    depth_mid = (best_bid + best_ask) / 2
    features.depth_bid[s], features.depth_ask[s] = best_bid, best_ask
    if best_bid > best_ask:
        features.weighted_mid[s] = depth_mid
    else:
        features.weighted_mid[s] = (best_bid * ask_size + best_ask * bid_size) / (bid_size + ask_size)

    pip = state.pip[s]
    usual_spread = _average(state, _SPREAD, s, max(best_ask - best_bid, 0.0), now_ns, half_lives[0])
    distance = max(pip, 2 * usual_spread)
    decay = max(0.2 * pip, usual_spread)
    features.depth_distance[s] = distance
    for side in (BID, ASK):
        within, weighted = 0.0, 0.0
        nearest = math.inf
        for i in range(books.level_count[side, s] - 1, -1, -1):
            away = abs(abs(books.level_key[side, s, i]) / _E5 - depth_mid)
            size = books.level_size[side, s, i] / 100.0
            # Past this, a level weighs less than 1e-26 of the nearest. In a crossed book levels first come nearer.
            if away > distance + 1e-9 and away > nearest + 60 * decay:
                break
            nearest = min(nearest, away)
            if away <= distance + 1e-9:
                within += size
            weighted += size * math.exp(-away / decay)
        if side == BID:
            features.bid_depth_units[s], bid_weight = within, weighted
        else:
            features.ask_depth_units[s], ask_weight = within, weighted
    total = bid_weight + ask_weight
    features.obi[s] = (bid_weight - ask_weight) / total if total > 0 else nan

    touch = _average(state, _TOUCH_SIZE, s, (bid_size + ask_size) / 2, now_ns, half_lives[1])
    features.ofi[s] = _faded_flow(state, s, now_ns, half_lives[2]) / touch if state.old_known[s] else nan

    units = features.reference_units[s]
    if units > 0:
        buy = _walk_cost_bps(books, ASK, s, units, depth_mid)
        sell = _walk_cost_bps(books, BID, s, units, depth_mid)
        features.buy_cost_bps[s], features.sell_cost_bps[s] = buy, sell
        features.round_trip_bps[s] = buy + sell
        # A locked or crossed book costs nothing to cross; a tenth of a tick (taken as 0.1 of 1/100000) keeps the log.
        floor = _BPS * 0.1 / _E5 / depth_mid
        log_cost = -math.log(max(buy + sell, floor))
        usual = _average(state, _LOG_COST, s, log_cost, now_ns, half_lives[3])
        if math.isfinite(log_cost):
            ratio = _average(state, _LOG_RATIO, s, log_cost - usual, now_ns, half_lives[4])
            features.liquidity_ratio[s] = math.exp(ratio)
        else:
            features.liquidity_ratio[s] = nan
    else:
        features.buy_cost_bps[s] = features.sell_cost_bps[s] = features.round_trip_bps[s] = nan
        features.liquidity_ratio[s] = nan
    if state.first_ns[s] < 0 and math.isfinite(features.liquidity_ratio[s]):
        state.first_ns[s] = now_ns

    # Spot and depth are two streams of one price: long disagreement means one of them is not to be trusted.
    if math.isfinite(spread):
        tolerance = max(usual_spread, best_ask - best_bid, 0.0) + pip  # not the spot spread: it may be what is wrong
        if abs(depth_mid - features.mid[s]) > tolerance or -spread > tolerance:
            if state.apart_ns[s] < 0:
                state.apart_ns[s] = now_ns
        else:
            state.apart_ns[s] = -1


@njit(cache=True)
def receive(
    books: BookArrays,
    state: State,
    features: Features,
    rows: np.ndarray,
    start: int,
    now_ns: int,
    changed: np.ndarray,
    half_lives: np.ndarray,
) -> int:
    """Apply rows from `start`; return the first row that did not fit, or the number of rows when all did."""
    for i in range(start, rows.shape[0]):
        row = rows[i]
        s = row.symbol
        kind = row.kind
        if kind == END_DEPTH:
            books.counters[book.DEPTH_EVENTS, s] += 1
            state.depth_ns[s] = now_ns
            _add_flow(books, state, s, now_ns, half_lives[2])
        elif kind == END_SPOT:
            books.counters[book.SPOT_EVENTS, s] += 1
            state.spot_ns[s] = now_ns
        elif kind == CLEAR_BOOK:
            book.clear_depth(books, s)
            state.old_known[s] = False
            state.flow[s] = 0.0
            state.crossed_ns[s] = -1
        elif not book.apply_row(books, kind, s, row.quote_id, row.price_e5, row.size_cents):
            return int(i)
        changed[s] = True
    for s in range(changed.shape[0]):
        if changed[s]:
            _evaluate(books, state, features, s, now_ns, half_lives)
    return int(rows.shape[0])
