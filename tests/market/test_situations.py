"""What the evaluator says in the situations that hurt: empty, crossed, exploding, lost and regained markets."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from streams import B0, BASE, START_NS, Batch, S, batches, end, gone, quotes, spot
from test_evaluator import IMPACT, PIPS, REFERENCE, SETTINGS, Pair

from bot.market.delta import CLEAR_BOOK, DEPTH_ASK, DEPTH_BID, DEPTH_DELETE, delta_rows
from bot.market.evaluator import Evaluator, EvaluatorSettings
from bot.market.feature_table import FIELDS
from bot.market.liquidity import view_side

NAMES = [name for name, _ in FIELDS]


def test_the_first_book_has_no_flow_and_usual_liquidity() -> None:
    pair = Pair()
    pair.receive(spot(0, 110_000, 110_002) + B0, S)
    assert (pair.evaluator.features.ofi[0], pair.evaluator.features.liquidity_ratio[0]) == (0.0, 1.0)


def test_tables_grow_in_the_middle_of_a_message_and_lose_nothing() -> None:
    pair = Pair()
    bids = [(110_000 - i // 2, 1 + i) for i in range(450)]
    asks = [(110_002 + i, 1 + i) for i in range(300)]
    pair.receive(spot(0, 110_000, 110_002) + quotes(0, bids, asks) + quotes(1, [(9_000_000, 7)], []), S)
    assert pair.evaluator.books.quotes.shape[1] == 2048
    pair.receive(gone(0, *range(1, 700)), 2 * S)


def test_an_empty_side_takes_every_liquidity_figure_with_it() -> None:
    pair = Pair()
    pair.receive(spot(0, 110_000, 110_002) + B0, S)
    pair.receive([], 2 * S)
    features = pair.evaluator.features
    assert math.isfinite(features.liquidity_ratio[0])
    assert math.isfinite(features.obi_fast[0])
    pair.receive(gone(0, 4, 5, 6), 2 * S)
    for name in ("liquidity_ratio", "ofi", "ofi_weighted", "depth_distance", "buy_cost_bps", "sell_capacity_units"):
        assert math.isnan(getattr(features, name)[0]), name
    for name in ("obi_fast", "obi_slow", "obi_z", "bid_weighted_units", "weighted_mid", "buy_impact_bps"):
        assert math.isnan(getattr(features, name)[0]), name
    assert features.obi[0] == 1.0
    assert features.depth_bid[0] == 1.1
    assert math.isnan(features.depth_ask[0])


def test_a_deeply_crossed_book_still_counts_the_levels_near_mid() -> None:
    pair = Pair()
    pair.receive(quotes(0, [(112_000, 5), (110_005, 900)], [(108_000, 5), (110_006, 700)]), S)
    assert pair.evaluator.features.bid_depth_units[0] > 0


def test_imbalance_is_known_when_the_spread_explodes() -> None:
    pair = Pair()
    pair.receive(quotes(0, [(110_000, 5)], [(110_002, 5)]), S)
    wider = [(DEPTH_BID, 0, 1, 109_000, 900), (DEPTH_ASK, 0, 2, 111_000, 300), end(0)]
    pair.receive(wider, S + 1)
    assert pair.evaluator.features.obi[0] == pytest.approx(0.5, rel=1e-6)


def test_flow_fades_while_only_spot_prices_come() -> None:
    pair = Pair()
    pair.receive(B0, S)
    pair.receive([(DEPTH_BID, 0, 99, 110_001, 40_000_000), end(0)], S)
    pair.receive(spot(0, 110_000, 110_002), 2 * S)
    before, touch = 0.4e6 / 2, pair.naive[0].touch.mean
    assert pair.evaluator.features.ofi[0] == pytest.approx(before / touch, rel=1e-12)


def test_a_book_that_crosses_and_comes_back_leaves_no_flow_behind() -> None:
    pair = Pair()
    pair.receive(quotes(0, [(110_000, 10)], [(110_002, 10)]), S)
    pair.receive([(DEPTH_BID, 0, 1, 110_005, 1_000), end(0)], S)
    assert pair.evaluator.crossed_s(S + S // 2)[0] == 0.5
    pair.receive([(DEPTH_BID, 0, 1, 110_000, 1_000), end(0)], S)
    assert (pair.evaluator.features.ofi[0], pair.evaluator.features.ofi_weighted[0]) == (0.0, 0.0)
    assert pair.evaluator.crossed_s(2 * S)[0] == 0.0


def test_the_guarded_imbalance_is_unknown_once_a_book_has_been_crossed_for_a_quarter_of_a_second() -> None:
    pair = Pair()
    pair.receive(quotes(0, [(110_000, 10)], [(110_002, 10)]), S)
    pair.receive([], 2 * S)
    assert pair.evaluator.features.obi_fast[0] == pytest.approx(0.0, abs=1e-9)
    pair.receive([(DEPTH_BID, 0, 1, 110_005, 1_000), end(0)], 3 * S)
    assert pair.evaluator.features.obi_fast[0] == pytest.approx(0.0, abs=1e-9)
    pair.receive([], 3 * S + S // 4)
    assert math.isnan(pair.evaluator.features.obi_fast[0])
    pair.receive([(DEPTH_BID, 0, 1, 110_000, 1_000), end(0)], 4 * S)
    pair.receive([], 5 * S)
    assert math.isfinite(pair.evaluator.features.obi_fast[0])


def test_the_guarded_imbalance_arrives_at_a_book_that_stands_still() -> None:
    pair = Pair(EvaluatorSettings())
    pair.receive(quotes(0, [(110_000, 10)], [(110_002, 10)]), S)
    pair.receive([], 2 * S)
    pair.receive([(DEPTH_BID, 0, 1, 110_000, 3_000), end(0)], 2 * S)
    for k in range(1, 60):
        pair.receive([], 2 * S + k * S // 4)
    assert pair.evaluator.features.obi_fast[0] == pytest.approx(0.5, rel=1e-6)


def test_a_quote_younger_than_a_tenth_of_a_second_does_not_count_and_a_huge_one_counts_as_three() -> None:
    pair = Pair()
    pair.receive(quotes(0, [(110_000 - i, 10) for i in range(3)], [(110_002 + i, 10) for i in range(3)]), S)
    pair.receive([], 2 * S)
    pair.receive([(DEPTH_BID, 0, 9, 110_000, 100_000_000), end(0)], 2 * S + 1)
    pair.receive([], 2 * S + 60_000_000)
    assert pair.evaluator.features.obi_fast[0] == pytest.approx(0.0, abs=1e-9), "it has come just now"
    for k in range(3, 9):
        pair.receive([], k * S)
    assert 0 < pair.evaluator.features.obi_fast[0] < 0.7, "a million units against twenty would be 1"


def test_depth_far_from_spot_is_reported_until_they_agree_again() -> None:
    pair = Pair()
    pair.receive(quotes(0, [(110_000, 10)], [(110_002, 10)]) + spot(0, 110_000, 110_002), S)
    assert pair.evaluator.apart_s(S)[0] == 0.0
    pair.receive(spot(0, 110_020, 110_022), 2 * S)
    assert pair.evaluator.apart_s(5 * S).tolist() == [3.0, 0.0, 0.0, 0.0]
    assert pair.evaluator.is_apart().tolist() == [True, False, False, False]
    pair.receive(spot(0, 110_005, 110_007), 6 * S)
    assert pair.evaluator.apart_s(7 * S)[0] == 0.0


def test_a_symbol_is_quiet_since_its_last_message_and_for_ever_before_the_first() -> None:
    pair = Pair()
    pair.receive(spot(0, 110_000, 110_002), S)
    pair.receive(quotes(1, [(9_000_000, 7)], []), 2 * S)
    assert pair.evaluator.quiet_s(4 * S).tolist() == [3.0, 2.0, math.inf, math.inf]


def test_a_symbol_is_watched_from_its_first_liquidity_ratio() -> None:
    pair = Pair()
    pair.receive(spot(0, 110_000, 110_002), S)
    assert pair.evaluator.watched_s(9 * S)[0] == 0.0
    pair.receive(B0, 3 * S)
    assert pair.evaluator.watched_s(9 * S).tolist() == [6.0, 0.0, 0.0, 0.0]


def test_a_lost_connection_forgets_the_books_but_not_what_is_usual() -> None:
    pair = Pair(EvaluatorSettings(2.0, 10.0, 1.0, 30.0, 5.0, time_of_day=False))
    pair.receive(spot(0, 110_000, 110_002) + B0, S)
    pair._say("drop", 0, 0.0)
    features = pair.evaluator.features
    assert features.reference_units[0] == REFERENCE[0]
    assert pair.evaluator.quiet_s(S).tolist() == [math.inf] * 4
    pair.receive(quotes(0, [(110_000, 10_000)], [(110_020, 10_000)]), 2 * S)
    assert features.ofi[0] == 0.0, "the first book after a gap has no flow"
    assert features.liquidity_ratio[0] == 1.0, "until now nothing but the usual cost has been seen"
    pair.receive(spot(0, 110_000, 110_020), 12 * S)
    assert features.liquidity_ratio[0] < 0.5, "twenty ticks are dear after two"


KEPT = {"reference_units", "impact_units", "crisis_level", "volatility_bps", "slow_volatility_bps", "worst_minute_bps"}
KEPT |= {"resilience_half_life_s", "usual_spread_bps", "usual_weighted_units", "usual_impact_bps"}
KEPT |= {"usual_volatility_bps", "fill_frac", "fill_factor"}


@given(batches(most=10))
@settings(max_examples=30)
def test_nothing_of_an_old_book_is_left_after_a_lost_connection(stream: list[Batch]) -> None:
    """What comes after is the same, whatever the books were, but for what describes the market."""
    evaluator = run(stream, [0, 1, 2, 3])
    evaluator.clear()
    table = evaluator.table
    for name in set(NAMES) - KEPT:
        expected = 0.0 if name in ("is_depth_seen", "is_spot_only") else math.nan
        assert table[name].tolist() == pytest.approx([expected] * 4, nan_ok=True), name
    assert not evaluator.books.heads["level_count"].any()
    assert not evaluator.books.quotes["used"].any()
    later_ns = stream[-1].now_ns + 10 * S
    evaluator.receive(delta_rows(spot(0, 110_000, 110_002) + B0), later_ns)
    fresh = Evaluator(np.array(PIPS), SETTINGS)
    fresh.set_reference_units(np.array(REFERENCE), np.array(IMPACT))
    fresh.receive(delta_rows(spot(0, 110_000, 110_002) + B0), later_ns)
    for name in ("ofi", "ofi_weighted", "depth_bid", "bid_slope", "weighted_mid", "mid", "spread_bps"):
        assert table[name][0] == fresh.table[name][0], name


def test_a_cleared_book_is_begun_anew_without_flow_and_its_bucket_too() -> None:
    pair = Pair()
    pair.receive(spot(0, 110_000, 110_002) + B0, START_NS)
    pair.receive([(CLEAR_BOOK, 0, 0, 0, 0), *quotes(0, [(110_050, 9)], [(110_052, 9)])], START_NS + 11 * S)
    assert pair.evaluator.features.ofi[0] == 0.0
    pair.receive(spot(0, 110_050, 110_052), START_NS + 22 * S)
    assert pair.evaluator.state["syy"][0] == 0.0, "the move across the clearing is no answer to any flow"


def test_a_symbol_without_depth_falls_back_to_its_spread_after_five_seconds() -> None:
    pair = Pair()
    features = pair.evaluator.features
    pair.receive(spot(3, 3_000, 3_003), START_NS)
    for k in range(1, 20):
        pair.receive(spot(3, 3_000, 3_003 + k % 2), START_NS + k * S)
        assert features.is_spot_only[3] == (k >= 5)
        assert math.isfinite(features.round_trip_bps[3]) == (k >= 6), "from the next price on"
    assert features.round_trip_bps[3] == pytest.approx(features.spread_bps[3] + 2 * 0.2)
    assert 0.9 < features.liquidity_ratio[3] <= 1.0, "commission is no loss of liquidity"
    assert math.isnan(features.buy_capacity_units[3]), "without a book nobody knows"
    pair.receive(quotes(3, [(3_000, 9)], [(3_003, 9)]), START_NS + 21 * S)
    assert features.is_spot_only[3] == 0.0
    assert math.isfinite(features.buy_capacity_units[3])


def test_no_rows_change_no_symbol() -> None:
    evaluator = Evaluator(np.array(PIPS), SETTINGS)
    assert not evaluator.receive(delta_rows([]), S).any()


def test_the_worst_minute_counts_the_move_that_ends_it() -> None:
    pair = Pair()
    for k in range(60):
        pair.receive(spot(0, 110_000, 110_002), START_NS + k * S)
    assert pair.evaluator.features.worst_minute_bps[0] == 0.0
    pair.receive(spot(0, 110_100, 110_102), START_NS + 60 * S)
    assert pair.evaluator.features.worst_minute_bps[0] == pytest.approx(9.09, abs=0.01)
    pair.receive(spot(0, 111_100, 111_102), START_NS + 600 * S)
    assert pair.evaluator.features.worst_minute_bps[0] == pytest.approx(9.09, abs=0.01), "nobody saw that minute"
    assert pair.evaluator.state["minutes_s"].tolist() == [60.0, 0.0, 0.0, 0.0]


def run(stream: list[Batch], order: list[int]) -> Evaluator:
    """Return an evaluator that has seen a stream with its symbols at other places."""
    place = {s: order.index(s) for s in range(4)}
    evaluator = Evaluator(np.array(PIPS)[order], SETTINGS)
    evaluator.set_reference_units(np.array(REFERENCE)[order], np.array(IMPACT)[order])
    for batch in stream:
        rows = [(kind, place[s], *rest) for kind, s, *rest in batch.rows]
        evaluator.receive(delta_rows(rows), batch.now_ns)
    return evaluator


@given(batches(most=10), st.permutations(range(4)))
@settings(max_examples=40)
def test_the_order_of_the_symbols_does_not_matter(stream: list[Batch], order: list[int]) -> None:
    plain, shuffled = run(stream, [0, 1, 2, 3]), run(stream, list(order))
    for name in NAMES:
        assert shuffled.table[name].tolist() == pytest.approx(
            plain.table[name][list(order)].tolist(), rel=0, abs=0, nan_ok=True
        ), name


@given(batches(most=10))
@settings(max_examples=40)
def test_splitting_a_batch_between_messages_changes_no_book_flow_or_total(stream: list[Batch]) -> None:
    # The clocks are looked at before each batch, so that no tick, and with it no new length, falls between two pieces.
    wholes = [Batch(START_NS - S, [row for s in range(4) for row in spot(s, BASE[s], BASE[s] + 2)])]
    pieces = wholes[:]
    for batch in stream:
        wholes += [Batch(batch.now_ns, []), Batch(batch.now_ns, batch.rows)]
        pieces.append(Batch(batch.now_ns, []))
        piece: list = []
        for row in batch.rows:
            piece.append(row)
            if row[0] in (5, 6, CLEAR_BOOK):
                pieces.append(Batch(batch.now_ns, piece))
                piece = []
    whole, split = run(wholes, [0, 1, 2, 3]), run(pieces, [0, 1, 2, 3])
    # Revisions aside: whether spot prices make them, for want of depth, is decided by the clock.
    for name in ("total_flow", "flow", "messages", "old_key", "old_size"):
        assert np.array_equal(whole.state[name], split.state[name]), name
    # The length that weighs depth follows the mean spread, into which each piece is one look more.
    is_one_length = np.isclose(whole.state["decay"], split.state["decay"], rtol=1e-12, equal_nan=True)
    weighted = [evaluator.state["total_weighted_flow"][is_one_length].tolist() for evaluator in (whole, split)]
    assert weighted[0] == pytest.approx(weighted[1])
    assert np.array_equal(whole.books.heads, split.books.heads)
    for name in ("depth_bid", "depth_ask", "mid", "bid_slope"):
        assert np.array_equal(whole.table[name], split.table[name], equal_nan=True), name


@given(batches())
@settings(max_examples=60)
def test_unknown_never_becomes_nought_and_ranges_hold(stream: list[Batch]) -> None:
    evaluator = run(stream, [0, 1, 2, 3])
    table, heads = evaluator.table, evaluator.books.heads
    one_sided = (heads["level_count"] == 0).any(axis=1)
    for name in ("bid_depth_units", "weighted_mid", "ask_slope", "ofi", "sell_capacity_units", "obi_fast"):
        assert np.isnan(table[name][one_sided]).all(), name
    unpriced = ~heads["spot_known"].all(axis=1)
    for name in ("mid", "spread_bps", "bid", "mean_spread_bps", "usual_spread_bps"):
        assert np.isnan(table[name][unpriced]).all(), name
    for name in ("obi", "obi_fast", "obi_slow", "revision_flow"):
        known = table[name][np.isfinite(table[name])]
        assert (np.abs(known) <= 1.0 + 1e-12).all(), name
    for name in NAMES:
        if name.endswith("_units") or name in ("liquidity_ratio", "volatility_bps", "crisis_score"):
            assert not (table[name] < 0).any(), name


LEVELS = st.lists(st.tuples(st.integers(1, 40), st.integers(1, 50_000)), min_size=1, max_size=12)


@given(LEVELS, st.floats(0, 30), st.floats(0, 30), st.floats(0, 1), st.integers(0, 1))
def test_capacity_grows_with_the_cap(
    gaps: list[tuple[int, int]], one: float, other: float, share: float, side: int
) -> None:
    evaluator = Evaluator(np.array([1e-4]), EvaluatorSettings())
    away = np.cumsum([gap for gap, _ in gaps])
    levels = [(BASE[0] + int(a) if side else BASE[0] - int(a), size) for a, (_, size) in zip(away, gaps, strict=True)]
    evaluator.receive(delta_rows(quotes(0, *([], levels) if side else (levels, []))), S)
    n = len(levels)
    small, large = (
        view_side(evaluator.books.levels, side, 0, n, 1.1, 0.0, cap, share, math.nan, math.nan).capacity_units
        for cap in sorted((one, other))
    )
    assert 0.0 <= small <= large <= sum(size for _, size in gaps) / 2 + 1e-9


@given(batches(most=8), batches(most=6))
@settings(max_examples=30)
def test_a_successor_carries_on_exactly_with_the_symbols_both_have(first: list[Batch], then: list[Batch]) -> None:
    # Of the two that are left behind nothing is seen: three symbols in a crisis concern the others too.
    old = run([Batch(b.now_ns, [row for row in b.rows if row[1] < 2]) for b in first], [0, 1, 2, 3])
    old.usual.enter(old.state, 5, 0)
    new = Evaluator(np.array(PIPS)[[3, 0, 1]], SETTINGS)
    new.take_over(old, {1: 0, 2: 1})
    place = {0: 1, 1: 2}
    for batch in then:
        now_ns = first[-1].now_ns + batch.now_ns - START_NS
        rows = [row for row in batch.rows if row[1] in place]
        for evaluator in (old, new):
            evaluator.usual.enter(evaluator.state, 5 + len(rows) % 2, 0)
        old.receive(delta_rows(rows), now_ns)
        new.receive(delta_rows([(kind, place[s], *rest) for kind, s, *rest in rows]), now_ns)
    for name in NAMES:
        assert new.table[name][[1, 2]].tolist() == pytest.approx(
            old.table[name][[0, 1]].tolist(), rel=0, abs=0, nan_ok=True
        ), name
    assert np.array_equal(new.usual.base[[1, 2]], old.usual.base[[0, 1]], equal_nan=True)
    assert math.isnan(new.table["mid"][0]), "the third is new"


def test_a_successor_goes_on_in_the_middle_of_a_quarter_of_an_hour() -> None:
    old = Evaluator(np.array(PIPS), SETTINGS)
    old.usual.enter(old.state, 5, 0)
    for k in range(60):
        old.receive(delta_rows(spot(0, 110_000, 110_002 + k % 3)), START_NS + k * S)
    new = Evaluator(np.array(PIPS)[:2], SETTINGS)
    content = old.usual.content(0, old.state) | {"bins": [[5, 0, 3, [1.0] * 8, None]]}
    new.usual.restore(0, new.state, content)
    new.take_over(old, {1: 0})
    assert new.state["usual_days"].tolist() == [3.0, 0.0], "what the newcomer was given is in use at once"
    for evaluator in (old, new):
        evaluator.usual.enter(evaluator.state, 5, 0)  # the same: nothing begins
        evaluator.usual.enter(evaluator.state, 6, 0)
    assert new.usual.days[1, 5, 0] == 1.0
    assert np.array_equal(new.usual.base[1], old.usual.base[0], equal_nan=True)


def test_sizes_and_ids_at_the_ends_of_their_ranges_are_kept_exactly() -> None:
    pair = Pair()
    ids = [2**64 - 1, 2**63, 2**53 + 1, 2**53]
    rows = [(DEPTH_BID, 0, i, 110_000 - k, 2**55 + k) for k, i in enumerate(ids)]
    pair.receive([*rows, (DEPTH_ASK, 0, 1, 110_002, 2**55), end(0)], START_NS)
    pair.receive([(DEPTH_DELETE, 0, 2**53 + 1, 0, 0), end(0)], START_NS + S)
    assert math.isfinite(pair.evaluator.features.ofi[0])
