"""A doubled spread in a copy of the table, against an evaluator that really gets the doubled quotes."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bot.market.delta import CLEAR_BOOK, DEPTH_ASK, DEPTH_BID, END_DEPTH, END_SPOT, SPOT_ASK, SPOT_BID, delta_rows
from bot.market.evaluator import Evaluator, EvaluatorSettings
from bot.market.widened import widen

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND
MID_E5 = 110_000
# What the doubled quotes show at once; averages and what is usual take their time.
AT_ONCE = (
    *("bid", "ask", "mid", "spread_bps", "depth_bid", "depth_ask", "weighted_mid", "depth_distance"),
    *("bid_depth_units", "ask_depth_units", "bid_weighted_units", "ask_weighted_units", "bid_slope", "ask_slope"),
    *("buy_cost_bps", "sell_cost_bps", "round_trip_bps", "buy_impact_bps", "sell_impact_bps"),
    *("buy_capacity_units", "sell_capacity_units", "usual_spread_bps", "usual_impact_bps", "volatility_bps"),
)
LEVELS = st.lists(st.tuples(st.integers(0, 30), st.integers(1, 5_000_000)), min_size=1, max_size=8)
BOOK = [(0, 1_000_000), (2, 3_000_000), (7, 500_000)]


class Market:
    """An evaluator of one symbol whose levels lie where a test says: (distance behind the touch in e5, units)."""

    def __init__(self, bids: Any = BOOK, asks: Any = BOOK, half_e5: int = 4, **changes: Any) -> None:
        self.sides, self.half_e5, self.now_ns = (bids, asks), half_e5, START
        self.evaluator = Evaluator(np.array([1e-4]), EvaluatorSettings(**changes))
        self.evaluator.set_reference_units(np.array([1_200_000.0]), np.array([2_500_000.0]))
        self.evaluator.set_commission_bps(np.array([0.3]))

    def tell(self, half_e5: int) -> None:
        bids, asks = self.sides
        rows = [(CLEAR_BOOK, 0, 0, 0, 0)]
        rows += [(DEPTH_BID, 0, 100 + i, MID_E5 - half_e5 - d, u * 100) for i, (d, u) in enumerate(bids)]
        rows += [(DEPTH_ASK, 0, 200 + i, MID_E5 + half_e5 + d, u * 100) for i, (d, u) in enumerate(asks)]
        rows += [(END_DEPTH, 0, 0, 0, 0)] if bids or asks else []
        rows += [(SPOT_BID, 0, 0, MID_E5 - half_e5, 0), (SPOT_ASK, 0, 0, MID_E5 + half_e5, 0), (END_SPOT, 0, 0, 0, 0)]
        self.evaluator.receive(delta_rows(rows), self.now_ns)

    def go_on(self, seconds: float, half_e5: int | None = None) -> "Market":
        for _ in range(round(seconds * 4)):
            self.now_ns += SECOND // 4
            self.tell(self.half_e5 if half_e5 is None else half_e5)
        return self

    def widened(self) -> np.void:
        e, table = self.evaluator, self.evaluator.table.copy()
        assert widen(table, e.state, e.books.levels, e.books.heads, 0, self.now_ns)
        return table[0]

    @property
    def row(self) -> np.void:
        return self.evaluator.table[0]


def same_at_once(found: np.void, expected: np.void) -> None:
    for name in AT_ONCE:
        assert float(found[name]) == pytest.approx(float(expected[name]), rel=1e-9, abs=1e-9, nan_ok=True), name


@settings(max_examples=60, deadline=None)
@given(bids=LEVELS, asks=LEVELS, half_e5=st.integers(1, 40))
@example(bids=[(0, 10)], asks=[(0, 10)], half_e5=1)  # what is wanted lies beyond the book
@example(bids=[(0, 9_000_000)], asks=[(30, 9_000_000)], half_e5=40)  # nothing is affordable
def test_everything_that_shows_at_once_is_what_the_doubled_quotes_bring(bids: Any, asks: Any, half_e5: int) -> None:
    now, doubled = (Market(bids, asks, half_e5).go_on(7) for _ in range(2))
    doubled.tell(2 * half_e5)  # at the same moment, so that nothing has been learnt of it
    now.tell(half_e5)
    same_at_once(now.widened(), doubled.row)


def test_the_smoothed_ratio_and_the_mean_spread_are_where_they_would_settle() -> None:
    short = {"liquidity_smoothing_half_life_s": 1.0, "spread_half_life_s": 1.0}
    now, doubled = (Market(**short).go_on(20) for _ in range(2))
    for market in (now, doubled):
        market.evaluator.state["usual_days"] = 5.0  # what is usual is that of the days before, and stays
    now.go_on(40)
    doubled.go_on(40, half_e5=2 * now.half_e5)
    found = now.widened()
    assert found["liquidity_ratio"] == pytest.approx(float(doubled.row["liquidity_ratio"]), rel=1e-6)
    assert found["mean_spread_bps"] == pytest.approx(float(doubled.row["mean_spread_bps"]), rel=1e-6)
    assert found["usual_round_trip_bps"] == doubled.row["usual_round_trip_bps"]
    assert found["liquidity_ratio"] < 0.8 * now.row["liquidity_ratio"]


@pytest.mark.parametrize("time_of_day", [True, False])
def test_a_ratio_that_is_above_the_usual_falls_by_what_it_may_count(time_of_day: bool) -> None:
    market = Market(half_e5=16, time_of_day=time_of_day).go_on(20)
    market.go_on(0.25, half_e5=8)  # half of the usual spread: better than usual, which young averages may not say
    before, found = market.row, market.widened()
    usual = float(before["usual_round_trip_bps"])
    now, then = usual / float(before["round_trip_bps"]), usual / float(found["round_trip_bps"])
    assert now > 1 > then * 0.99
    expected = min(then, 1.0) / min(now, 1.0) if time_of_day else then / now
    assert found["liquidity_ratio"] / before["liquidity_ratio"] == pytest.approx(expected, rel=1e-9)


def test_without_depth_everything_follows_from_the_spread() -> None:
    now, doubled = (Market([], []).go_on(8) for _ in range(2))
    assert now.row["is_spot_only"] == 1
    doubled.tell(8)
    now.tell(4)
    found = now.widened()
    same_at_once(found, doubled.row)
    assert found["round_trip_bps"] == pytest.approx(1e4 * 0.00016 / 1.1 + 0.6)
    assert found["liquidity_ratio"] == pytest.approx(0.5, rel=0.01)  # of the usual one


@pytest.mark.parametrize(("half_e5", "level"), [(4, 0), (9, 1), (12, 3)])
def test_the_crisis_level_is_the_one_that_the_doubled_quotes_lead_to(half_e5: int, level: int) -> None:
    now, doubled = (Market(BOOK, BOOK).go_on(70) for _ in range(2))
    now.go_on(0.25, half_e5)
    doubled.go_on(0.75, 2 * half_e5)
    assert now.row["crisis_level"] == 0
    assert now.widened()["crisis_level"] == doubled.row["crisis_level"] == level
    assert now.widened()["crisis_score"] == pytest.approx(float(doubled.row["crisis_score"]), rel=1e-9)


def test_a_wider_spread_ends_no_crisis_and_makes_none_while_the_market_is_closed() -> None:
    market = Market().go_on(70).go_on(1, half_e5=40)
    assert market.row["crisis_level"] == 3
    market.go_on(1)
    assert market.widened()["crisis_level"] == 3 > market.widened()["crisis_score"]
    quiet = Market().go_on(70)
    quiet.evaluator.set_closed(np.array([True]))
    quiet.go_on(0.25, half_e5=12)
    assert quiet.widened()["crisis_level"] == 0


@pytest.mark.parametrize("half_e5", [0, -1], ids=["locked", "crossed"])
def test_a_quote_without_a_spread_is_left_as_it_is(half_e5: int) -> None:
    market = Market().go_on(7).go_on(0.25, half_e5)
    e, table = market.evaluator, market.evaluator.table.copy()
    assert not widen(table, e.state, e.books.levels, e.books.heads, 0, market.now_ns)
    assert table.tobytes() == e.table.tobytes()


def test_an_unknown_spread_is_left_unknown_and_an_empty_side_too() -> None:
    e = Evaluator(np.array([1e-4]), EvaluatorSettings())
    table = e.table.copy()
    assert not widen(table, e.state, e.books.levels, e.books.heads, 0, START)
    market = Market(BOOK, []).go_on(1)
    assert math.isnan(market.widened()["round_trip_bps"]) and math.isnan(market.widened()["liquidity_ratio"])
    assert market.widened()["spread_bps"] == 2 * market.row["spread_bps"]


def test_only_the_copy_is_written() -> None:
    market = Market().go_on(7)
    e = market.evaluator
    arrays = (e.table, e.state, e.books.levels, e.books.heads, e.books.quotes)
    before = [array.tobytes() for array in arrays]
    market.widened()
    assert [array.tobytes() for array in arrays] == before
