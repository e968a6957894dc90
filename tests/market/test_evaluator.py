"""The compiled evaluator against dicts and the plain formulas, on random streams and on the cases that hurt."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_market import NaiveSymbol

from bot.market import book
from bot.market.delta import (
    CLEAR_BOOK,
    DEPTH_ASK,
    DEPTH_BID,
    DEPTH_DELETE,
    END_DEPTH,
    END_SPOT,
    SPOT_ASK,
    SPOT_BID,
    delta_rows,
)
from bot.market.evaluator import Evaluator, EvaluatorSettings

SETTINGS = EvaluatorSettings(2.0, 10.0, 1.0, 30.0, 5.0)
PIPS = np.array([1e-4, 1e-2, 1e-4])
UNITS = np.array([25_000.0, 3.0, math.nan])
S = 1_000_000_000
Row = tuple[int, int, int, int, int]


class Pair:
    """The compiled evaluator and its naive twin, fed with the same batches."""

    def __init__(self) -> None:
        self.evaluator = Evaluator(PIPS, SETTINGS)
        self.evaluator.set_reference_units(UNITS)
        self.naive = [NaiveSymbol(pip, units, SETTINGS) for pip, units in zip(PIPS, UNITS, strict=True)]

    def receive(self, rows: list[Row], now_ns: int) -> None:
        changed = self.evaluator.receive(delta_rows(rows), now_ns)
        for kind, s, quote_id, price, size in rows:
            self.naive[s].apply(kind, quote_id, price, size, now_ns)
        assert np.flatnonzero(changed).tolist() == sorted({row[1] for row in rows})
        for s in np.flatnonzero(changed):
            self.naive[s].evaluate(now_ns)
            self._compare(int(s))

    def _compare(self, s: int) -> None:
        for side in (book.BID, book.ASK):
            prices, sizes = book.levels(self.evaluator.books, side, s)
            assert list(zip(prices.tolist(), sizes.tolist(), strict=True)) == self.naive[s].book.levels(side)
        for name, expected in self.naive[s].features.items():
            found = float(getattr(self.evaluator.features, name)[s])
            # A price is a float: what is left of its last bit, in bps of itself, is the least that costs can agree to.
            slack = 2e-11 if name.endswith("_bps") else 0.0
            if name == "ofi":
                slack = 1e-9  # flows of opposite signs cancel
            relative = 1e-8 if name == "liquidity_ratio" else 1e-12
            assert found == pytest.approx(expected, rel=relative, abs=slack, nan_ok=True), (name, s)
        for row, name in enumerate(book.COUNTER_NAMES):
            assert self.evaluator.books.counters[row, s] == self.naive[s].book.counters[name]


BASE = (110_000, 9_000_000, 110_000)


@st.composite
def batches(draw: st.DrawFn) -> list[tuple[int, list[Row]]]:
    found, now_ns = [], 1_700_000_000 * S
    for _ in range(draw(st.integers(1, 12))):
        now_ns += draw(st.sampled_from([0, 1_000, 5_000_000, S, 45 * S]))
        rows: list[Row] = []
        for _ in range(draw(st.integers(1, 4))):
            s = draw(st.integers(0, 2))
            kind = draw(st.sampled_from(["spot", "depth", "depth", "depth", "clear"]))
            if kind == "spot":
                for side in draw(st.sampled_from([(SPOT_BID,), (SPOT_ASK,), (SPOT_BID, SPOT_ASK)])):
                    rows.append((side, s, 0, BASE[s] + draw(st.integers(-5, 5)), 0))
                rows.append((END_SPOT, s, 0, 0, 0))
            elif kind == "clear":
                rows.append((CLEAR_BOOK, s, 0, 0, 0))
            else:
                rows += [(DEPTH_DELETE, s, i, 0, 0) for i in draw(st.lists(st.integers(1, 12), max_size=3))]
                for quote_id in draw(st.lists(st.integers(1, 12), max_size=5)):
                    # Mostly a tight book around the base, sometimes locked or crossed, sometimes far away.
                    side = draw(st.integers(0, 1))
                    away = draw(st.sampled_from([-3, 0, 1, 1, 2, 3, 5, 9, 20, 400, 3000]))
                    price = BASE[s] + (away if side else -away)
                    rows.append((DEPTH_BID + side, s, quote_id, price, 100 * draw(st.integers(1, 40_000))))
                rows.append((END_DEPTH, s, 0, 0, 0))
        found.append((now_ns, rows))
    return found


@given(batches())
@settings(max_examples=200)
def test_every_feature_equals_its_plain_formula_on_any_stream(stream: list[tuple[int, list[Row]]]) -> None:
    pair = Pair()
    for now_ns, rows in stream:
        pair.receive(rows, now_ns)


def quotes(s: int, bids: list[tuple[int, int]], asks: list[tuple[int, int]], first_id: int = 1) -> list[Row]:
    """Return a depth message of (price_e5, units) levels."""
    rows = [(DEPTH_BID, s, first_id + i, p, 100 * q) for i, (p, q) in enumerate(bids)]
    rows += [(DEPTH_ASK, s, first_id + len(bids) + i, p, 100 * q) for i, (p, q) in enumerate(asks)]
    return [*rows, (END_DEPTH, s, 0, 0, 0)]


def spot(s: int, bid_e5: int, ask_e5: int) -> list[Row]:
    return [(SPOT_BID, s, 0, bid_e5, 0), (SPOT_ASK, s, 0, ask_e5, 0), (END_SPOT, s, 0, 0, 0)]


B0 = quotes(
    0,
    [(110_000, 1_000_000), (109_999, 2_000_000), (109_997, 3_000_000)],
    [(110_002, 500_000), (110_003, 1_500_000), (110_006, 4_000_000)],
)


def test_the_reference_book_has_the_published_features() -> None:
    pair = Pair()
    pair.receive(spot(0, 110_000, 110_002) + B0, S)
    features = pair.evaluator.features
    assert features.spread_bps[0] == pytest.approx(0.18182, abs=5e-6)
    assert features.weighted_mid[0] == pytest.approx(1.1000133, abs=5e-8)
    assert features.obi[0] == pytest.approx((1_748_295 - 1_183_425) / (1_748_295 + 1_183_425), abs=1e-6)
    assert (features.ofi[0], features.liquidity_ratio[0]) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("message", "flow"),
    [
        ([(DEPTH_DELETE, 0, 2, 0, 0), (DEPTH_ASK, 0, 4, 110_002, 100_000_000), (END_DEPTH, 0, 0, 0, 0)], -0.5e6),
        ([(DEPTH_BID, 0, 99, 110_001, 40_000_000), (END_DEPTH, 0, 0, 0, 0)], 0.4e6),
    ],
    ids=["E1", "a bid improves"],
)
def test_order_flow_after_the_reference_book_meets_the_vectors(message: list[Row], flow: float) -> None:
    pair = Pair()
    pair.receive(B0, S)
    pair.receive(message, S)
    # The average size at the touch still is that of B0: no time has gone by.
    assert pair.evaluator.features.ofi[0] == pytest.approx(flow / 750_000, rel=1e-12)


def test_tables_grow_in_the_middle_of_a_message_and_lose_nothing() -> None:
    pair = Pair()
    bids = [(110_000 - i // 2, 1 + i) for i in range(450)]
    asks = [(110_002 + i, 1 + i) for i in range(300)]
    pair.receive(spot(0, 110_000, 110_002) + quotes(0, bids, asks) + quotes(1, [(9_000_000, 7)], []), S)
    assert pair.evaluator.books.quote_used.shape[1] == 2048
    pair.receive([(DEPTH_DELETE, 0, i, 0, 0) for i in range(1, 700)] + [(END_DEPTH, 0, 0, 0, 0)], 2 * S)


def test_an_empty_side_takes_every_liquidity_figure_with_it() -> None:
    pair = Pair()
    pair.receive(B0, S)
    assert math.isfinite(pair.evaluator.features.liquidity_ratio[0])
    pair.receive([(DEPTH_DELETE, 0, i, 0, 0) for i in (4, 5, 6)] + [(END_DEPTH, 0, 0, 0, 0)], 2 * S)
    features = pair.evaluator.features
    for array in (features.liquidity_ratio, features.ofi, features.depth_distance, features.buy_cost_bps):
        assert math.isnan(array[0])
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
    wider = [(DEPTH_BID, 0, 1, 109_000, 900), (DEPTH_ASK, 0, 2, 111_000, 300), (END_DEPTH, 0, 0, 0, 0)]
    pair.receive(wider, S + 1)
    assert pair.evaluator.features.obi[0] == pytest.approx(0.5, rel=1e-6)


def test_flow_fades_while_only_spot_prices_come() -> None:
    pair = Pair()
    pair.receive(B0, S)
    pair.receive([(DEPTH_BID, 0, 99, 110_001, 40_000_000), (END_DEPTH, 0, 0, 0, 0)], S)
    pair.receive(spot(0, 110_000, 110_002), 2 * S)
    before, touch = 0.4e6 / 2, pair.naive[0].touch.mean
    assert pair.evaluator.features.ofi[0] == pytest.approx(before / touch, rel=1e-12)


def test_a_book_that_crosses_and_comes_back_leaves_no_flow_behind() -> None:
    pair = Pair()
    pair.receive(quotes(0, [(110_000, 10)], [(110_002, 10)]), S)
    pair.receive([(DEPTH_BID, 0, 1, 110_005, 1_000), (END_DEPTH, 0, 0, 0, 0)], S)
    assert pair.evaluator.crossed_s(S + S // 2)[0] == 0.5
    pair.receive([(DEPTH_BID, 0, 1, 110_000, 1_000), (END_DEPTH, 0, 0, 0, 0)], S)
    assert pair.evaluator.features.ofi[0] == 0.0
    assert pair.evaluator.crossed_s(2 * S)[0] == 0.0


def test_depth_far_from_spot_is_reported_until_they_agree_again() -> None:
    pair = Pair()
    pair.receive(quotes(0, [(110_000, 10)], [(110_002, 10)]) + spot(0, 110_000, 110_002), S)
    assert pair.evaluator.apart_s(S)[0] == 0.0
    pair.receive(spot(0, 110_020, 110_022), 2 * S)
    assert pair.evaluator.apart_s(5 * S).tolist() == [3.0, 0.0, 0.0]
    pair.receive(spot(0, 110_005, 110_007), 6 * S)
    assert pair.evaluator.apart_s(7 * S)[0] == 0.0


def test_a_symbol_is_quiet_since_its_last_message_and_for_ever_before_the_first() -> None:
    pair = Pair()
    pair.receive(spot(0, 110_000, 110_002), S)
    pair.receive(quotes(1, [(9_000_000, 7)], []), 2 * S)
    assert pair.evaluator.quiet_s(4 * S).tolist() == [3.0, 2.0, math.inf]


def test_a_symbol_is_watched_from_its_first_liquidity_ratio() -> None:
    pair = Pair()
    pair.receive(spot(0, 110_000, 110_002), S)
    assert pair.evaluator.watched_s(9 * S)[0] == 0.0
    pair.receive(B0, 3 * S)
    assert pair.evaluator.watched_s(9 * S).tolist() == [6.0, 0.0, 0.0]


def test_a_lost_connection_forgets_the_books_but_not_what_is_usual() -> None:
    pair = Pair()
    pair.receive(spot(0, 110_000, 110_002) + B0, S)
    pair.evaluator.clear()
    features = pair.evaluator.features
    assert all(math.isnan(array[0]) for name, array in features._asdict().items() if name != "reference_units")
    assert features.reference_units[0] == UNITS[0]
    assert pair.evaluator.quiet_s(S).tolist() == [math.inf] * 3
    pair.evaluator.receive(delta_rows(quotes(0, [(110_000, 10_000)], [(110_020, 10_000)])), 2 * S)
    assert features.ofi[0] == 0.0, "the first book after a gap has no flow"
    assert features.liquidity_ratio[0] == 1.0, "until now nothing but the usual cost has been seen"
    pair.evaluator.receive(delta_rows(spot(0, 110_000, 110_020)), 12 * S)
    assert features.liquidity_ratio[0] < 0.5, "twenty ticks are dear after two"


def test_no_rows_change_no_symbol() -> None:
    evaluator = Evaluator(PIPS, SETTINGS)
    assert not evaluator.receive(delta_rows([]), S).any()


def test_a_successor_carries_on_with_the_symbols_both_have() -> None:
    old = Pair()
    old.receive(spot(0, 110_000, 110_002) + B0 + quotes(1, [(9_000_000, 7)], [(9_000_300, 9)]), S)
    new = Evaluator(PIPS[[2, 0, 1]], SETTINGS)
    new.take_over(old.evaluator, {1: 0, 2: 1})
    later = [(DEPTH_BID, 0, 99, 110_001, 40_000_000), (END_DEPTH, 0, 0, 0, 0)]
    old.receive(later + quotes(1, [(9_000_100, 2)], [], first_id=50), 2 * S)
    moved = [(kind, {0: 1, 1: 2}[s], *rest) for kind, s, *rest in later + quotes(1, [(9_000_100, 2)], [], first_id=50)]
    new.receive(delta_rows(moved), 2 * S)
    for name, array in new.features._asdict().items():
        assert array[[1, 2]].tolist() == pytest.approx(
            getattr(old.evaluator.features, name)[[0, 1]].tolist(), rel=0, abs=0, nan_ok=True
        ), name
        assert math.isnan(array[0])
