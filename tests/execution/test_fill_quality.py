"""Fill quality over the lives of orders: what is counted, what is measured, and what leverage is made of it."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.execution.fill_quality import FillQuality
from bot.execution.fill_ratio import FillRatio
from bot.execution.mark_outs import DELAYS_S

SECOND = 1_000_000_000
MILLISECOND = 1_000_000
START = 1_700_000_000 * SECOND
SYMBOLS = ("EURUSD", "GBPUSD")
NOWHERE = np.array([math.nan, math.nan])


class Desk:
    """Sends orders to fill quality, one a second, and remembers what time it is."""

    def __init__(self, quality: FillQuality | None = None) -> None:
        self.quality = quality or FillQuality(SYMBOLS)
        self.now_ns = START
        self.count = 0

    def send(self, s: int = 0, side: int = 1, *, predicted: float | None = None, limit: float | None = None) -> str:
        self.now_ns += SECOND
        self.count += 1
        order_id = f"run-{self.count}"
        self.quality.sent(order_id, s, side, 100_000, 1.10001, predicted, limit, self.now_ns)
        return order_id

    def trade(self, s: int = 0, share: float = 1.0, state: str = "filled", latency_ms: int = 50, **sent: Any) -> None:
        """One order with acceptance after a fifth of its latency, one fill and an end."""
        order_id, filled = self.send(s, **sent), round(share * 100_000)
        self.quality.accepted(order_id, self.now_ns + latency_ms * MILLISECOND // 5)
        if filled:
            self.quality.filled(order_id, filled, 1.10002, self.now_ns + latency_ms * MILLISECOND)
        self.quality.ended(order_id, state)

    def summary(self, s: int = 0) -> dict[str, Any]:
        return self.quality.summary()[SYMBOLS[s]]


def test_before_the_first_order_nothing_is_known_and_nothing_is_reduced() -> None:
    quality = FillQuality(SYMBOLS)
    assert quality.factors().tolist() == [1.0, 1.0]
    for array in (quality.fill_frac(), quality.q10(), quality.p50_latency_s()):
        assert np.isnan(array).all()
    assert quality.next_due_ns() is None
    assert quality.observe(NOWHERE, START) == ()
    assert quality.summary()["EURUSD"]["effective_bps"] is None


def test_only_the_traded_symbol_learns() -> None:
    desk = Desk()
    desk.trade(1, 0.5, "cancelled")
    assert math.isnan(desk.quality.fill_frac()[0])
    assert desk.quality.fill_frac()[1] == pytest.approx(4.5 / 6)
    desk.trade(0)
    assert desk.quality.fill_frac()[0] == pytest.approx(5 / 6)


@pytest.mark.parametrize(
    ("state", "by_us", "counted", "filled"),
    [
        ("filled", False, 1, 1.0),
        ("cancelled", False, 1, 0.3),
        ("expired", False, 1, 0.3),
        ("rejected", False, 1, 0.3),
        ("resolved", False, 0, 0.0),
        ("cancelled", True, 0, 0.0),
    ],
)
def test_an_end_counts_where_it_was_the_venue_that_decided(
    state: str, by_us: bool, counted: int, filled: float
) -> None:
    desk = Desk()
    order_id = desk.send()
    desk.quality.ended(order_id, state, executed_cents=30_000, by_us=by_us)
    desk.quality.ended(order_id, state)  # the second end is of no order
    expected = FillRatio()
    if counted:
        expected.ended(filled)
    assert desk.summary()["order_count"] == counted
    assert desk.quality.fill_frac()[0] == pytest.approx(expected.mean if counted else math.nan, nan_ok=True)


def test_rejections_lower_the_factor_from_the_tenth_order_on() -> None:
    desk = Desk()
    for _ in range(9):
        desk.trade(share=0.0, state="rejected")
    assert (desk.quality.factors()[0], math.isnan(desk.quality.q10()[0])) == (1.0, True)
    desk.trade(share=0.0, state="rejected")
    expected = FillRatio()
    for _ in range(10):
        expected.ended(0.0)
    assert desk.quality.q10()[0] == expected.q10
    assert desk.quality.factors().tolist() == [0.5, 1.0]


def test_good_fills_bring_the_factor_to_one() -> None:
    desk = Desk()
    for _ in range(10):
        desk.trade()
    assert desk.quality.factors()[0] == pytest.approx(desk.quality.q10()[0] / 0.9)
    assert desk.quality.factors()[0] < 1.0
    for _ in range(40):
        desk.trade()
    assert desk.quality.q10()[0] > 0.9
    assert desk.quality.factors()[0] > 0.95  # what is left is how far a running quantile moves by itself


def test_slow_fills_lower_the_factor() -> None:
    desk = Desk()
    for _ in range(60):
        desk.trade()
    before = desk.quality.factors()[0]
    for _ in range(30):
        desk.trade(latency_ms=900)
    assert desk.quality.factors()[0] < 0.6 * before
    assert desk.summary()["factor"] == desk.quality.factors()[0]


@settings(max_examples=40)
@given(st.lists(st.tuples(st.floats(0.0, 1.0), st.integers(0, 3000)), max_size=30))
def test_a_factor_never_increases_leverage_and_never_takes_more_than_three_quarters(
    orders: list[tuple[float, int]],
) -> None:
    desk = Desk()
    for share, latency_ms in orders:
        desk.trade(share=share, state="cancelled", latency_ms=latency_ms)
        assert 0.25 <= desk.quality.factors()[0] <= 1.0


def test_latency_is_measured_to_the_acceptance_and_to_the_first_fill() -> None:
    desk = Desk()
    order_id = desk.send()
    desk.quality.accepted(order_id, desk.now_ns + 20 * MILLISECOND)
    desk.quality.accepted(order_id, desk.now_ns + 30 * MILLISECOND)
    desk.quality.filled(order_id, 40_000, 1.10002, desk.now_ns + 50 * MILLISECOND)
    desk.quality.filled(order_id, 60_000, 1.10002, desk.now_ns + 5 * SECOND)
    told = desk.summary()
    assert told["accepted_p50_s"] == pytest.approx(0.02)
    assert told["filled_p50_s"] == pytest.approx(0.03)
    assert told["total_p50_s"] == pytest.approx(0.05)
    assert desk.quality.p50_latency_s()[0] == pytest.approx(0.05)


def test_a_fill_without_an_acceptance_has_a_total_latency_only() -> None:
    desk = Desk()
    desk.quality.filled(desk.send(), 100_000, 1.10002, desk.now_ns + 50 * MILLISECOND)
    told = desk.summary()
    assert (told["accepted_p50_s"], told["filled_p50_s"]) == (None, None)
    assert told["total_p50_s"] == pytest.approx(0.05)


def test_latency_and_fill_ratio_are_forgotten_after_an_hour_and_a_report_still_tells_them() -> None:
    desk = Desk()
    desk.trade()
    told = desk.summary()["fill_frac"]
    desk.quality.observe(NOWHERE, desk.now_ns + 3600 * SECOND)
    assert desk.quality.p50_latency_s()[0] == pytest.approx(0.05)
    assert desk.quality.fill_frac()[0] == pytest.approx(told)
    desk.quality.observe(NOWHERE, desk.now_ns + 3601 * SECOND)
    assert math.isnan(desk.quality.p50_latency_s()[0])
    assert math.isnan(desk.quality.fill_frac()[0])
    assert (desk.summary()["fill_frac"], desk.summary()["order_count"]) == (told, 1)


def test_rejections_do_not_bar_a_symbol_for_ever_and_those_after_the_hour_count_from_the_first_again() -> None:
    # Poor fills ask for a crisis level, in which nothing is bought: no order would ever show that they are better.
    desk = Desk()
    for _ in range(12):
        desk.trade(share=0.0, state="rejected")
    assert desk.quality.q10()[0] < 0.3 and desk.quality.factors()[0] == 0.5
    desk.quality.observe(NOWHERE, desk.now_ns + 3599 * SECOND)
    assert desk.quality.q10()[0] < 0.3
    desk.quality.observe(NOWHERE, desk.now_ns + 3601 * SECOND)
    assert math.isnan(desk.quality.q10()[0]) and desk.quality.factors()[0] == 1.0
    desk.now_ns += 3602 * SECOND
    for _ in range(10):
        desk.trade()
    good = FillRatio()
    for _ in range(10):
        good.ended(1.0)
    assert desk.quality.q10()[0] == good.q10
    assert desk.summary()["order_count"] == 22


def test_an_order_after_an_hour_of_none_begins_anew_though_nobody_has_looked() -> None:
    desk = Desk()
    for _ in range(12):
        desk.trade(share=0.0, state="rejected")
    desk.now_ns += 3601 * SECOND
    desk.trade()
    fresh = FillRatio()
    fresh.ended(1.0)
    assert desk.quality.fill_frac()[0] == fresh.mean


def test_the_hour_counts_from_the_last_order_that_was_sent_in_whatever_order_they_end() -> None:
    desk = Desk()
    early = desk.send()
    desk.now_ns += 1800 * SECOND
    desk.trade()
    late_ns = desk.now_ns
    desk.quality.ended(early, "rejected")
    desk.quality.observe(NOWHERE, late_ns + 3599 * SECOND)
    assert not math.isnan(desk.quality.fill_frac()[0])
    desk.quality.observe(NOWHERE, late_ns + 3601 * SECOND)
    assert math.isnan(desk.quality.fill_frac()[0])


def test_a_fill_is_marked_out_at_every_delay() -> None:
    desk = Desk()
    desk.quality.filled(desk.send(), 100_000, 1.10002, START)
    marks = []
    for delay_s in DELAYS_S:
        assert desk.quality.next_due_ns() == START + delay_s * SECOND
        marks += desk.quality.observe(np.array([1.10000, math.nan]), START + delay_s * SECOND)
    assert [mark.delay_s for mark in marks] == list(DELAYS_S)
    told = desk.summary()
    assert told["effective_bps"] == pytest.approx(0.090908, abs=5e-7)
    for delay_s in DELAYS_S:
        assert told[f"impact_{delay_s}s_bps"] == pytest.approx(-0.090908, abs=5e-7)
        assert told[f"realised_{delay_s}s_bps"] == pytest.approx(0.181817, abs=1e-6)
        assert told[f"mark_out_{delay_s}s_bps"] == -told[f"realised_{delay_s}s_bps"]


def test_mark_outs_that_nobody_looked_for_are_missed() -> None:
    desk = Desk()
    desk.quality.filled(desk.send(), 100_000, 1.10002, START)
    assert desk.quality.observe(np.array([1.1, 1.1]), START + 500 * SECOND) == ()
    assert desk.quality.next_due_ns() is None
    assert desk.summary()["realised_1s_bps"] is None


def test_costs_are_weighted_by_notional() -> None:
    desk = Desk()
    order_id = desk.send()
    desk.quality.filled(order_id, 10_000, 1.10001, START)
    desk.quality.filled(order_id, 90_000, 1.10011, START)
    assert desk.summary()["effective_bps"] == pytest.approx(0.9 * 0.9091, abs=0.02)
    assert desk.summary()["fill_count"] == 2


def test_an_order_is_held_against_its_prediction_once_it_is_whole() -> None:
    desk = Desk()
    order_id = desk.send(predicted=0.5)
    desk.quality.filled(order_id, 50_000, 1.10001, START)
    desk.quality.filled(order_id, 50_000, 1.10012, START)
    desk.quality.ended(order_id, "filled")
    cost = 1e4 * (1.100065 - 1.10001) / 1.10001
    assert cost == pytest.approx(0.5, abs=1e-4)
    assert desk.summary()["adverse_to_predicted_bps"] == pytest.approx(max(cost - 0.5, 0), abs=1e-9)
    assert desk.summary()["favourable_to_predicted_bps"] == pytest.approx(max(0.5 - cost, 0), abs=1e-9)
    half = Desk()
    order_id = half.send(predicted=0.5)
    half.quality.filled(order_id, 50_000, 1.10001, START)
    half.quality.ended(order_id, "cancelled")
    assert half.summary()["adverse_to_predicted_bps"] is None


def test_a_sale_is_held_against_its_limit_on_its_own_side() -> None:
    desk = Desk()
    desk.quality.filled(desk.send(side=-1, limit=1.09990), 100_000, 1.09995, START)
    told = desk.summary()
    assert told["adverse_to_limit_bps"] == 0.0
    assert told["favourable_to_limit_bps"] == pytest.approx(1e4 * 0.00005 / 1.10001, abs=1e-6)
    assert told["adverse_to_decision_mid_bps"] == pytest.approx(1e4 * 0.00006 / 1.10001, abs=1e-6)


def test_ten_orders_worse_than_predicted_are_a_warning() -> None:
    desk = Desk()
    for i in range(10):
        assert not desk.summary()["is_adverse_only"], i
        desk.trade(predicted=0.0)
    assert desk.summary()["is_adverse_only"]


def test_without_a_mid_of_the_decision_a_fill_has_a_latency_and_no_cost() -> None:
    quality = FillQuality(SYMBOLS)
    quality.sent("a", 0, 1, 100_000, math.nan, 0.1, 1.2, START)
    quality.filled("a", 100_000, 1.1, START + SECOND)
    quality.ended("a", "filled")
    told = quality.summary()["EURUSD"]
    assert (told["effective_bps"], told["adverse_to_limit_bps"], told["adverse_to_predicted_bps"]) == (None,) * 3
    assert told["total_p50_s"] == pytest.approx(1.0)
    assert quality.next_due_ns() is None


def test_an_order_that_was_never_sent_here_changes_nothing() -> None:
    quality = FillQuality(SYMBOLS)
    quality.accepted("x", START)
    quality.filled("x", 1000, 1.1, START)
    quality.ended("x", "filled")
    assert quality.summary() == FillQuality(SYMBOLS).summary()


@pytest.mark.parametrize(("side", "volume"), [(0, 1000), (2, 1000), (1, 0), (-1, -1000)])
def test_what_is_no_order_is_refused(side: int, volume: int) -> None:
    with pytest.raises(ValueError, match="an order has a side"):
        FillQuality(SYMBOLS).sent("a", 0, side, volume, 1.1, None, None, START)


def test_arrays_once_handed_out_never_change() -> None:
    desk = Desk()
    quality = desk.quality
    handed_out = [quality.factors(), quality.fill_frac(), quality.q10(), quality.p50_latency_s()]
    copies = [array.copy() for array in handed_out]
    for _ in range(12):
        desk.trade(share=0.2, state="cancelled")
    for array, copy in zip(handed_out, copies, strict=True):
        np.testing.assert_array_equal(array, copy)
        assert not array.flags.writeable
    assert not quality.factors().flags.writeable
