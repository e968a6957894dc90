"""The formulas against the published vectors, with the reference book B0, and against exact fractions."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.market import features as f

# Reference book B0, EURUSD: mid 1.10001.
BIDS = np.array([1.10000, 1.09999, 1.09997])
BID_SIZES = np.array([1.0e6, 2.0e6, 3.0e6])
ASKS = np.array([1.10002, 1.10003, 1.10006])
ASK_SIZES = np.array([0.5e6, 1.5e6, 4.0e6])
MID = 1.10001
PIP = 1e-4


def test_the_spread_of_the_reference_book_is_two_tenths_of_a_pip() -> None:
    exact = Fraction(2, 110001) * 10_000
    assert f.mid(BIDS[0], ASKS[0]) == pytest.approx(MID, rel=1e-15)
    assert f.spread_bps(BIDS[0], ASKS[0]) == pytest.approx(float(exact), rel=1e-9)
    assert f.spread_bps(BIDS[0], ASKS[0]) == pytest.approx(0.18182, abs=5e-6)


def test_a_crossed_quote_has_a_negative_spread_and_an_unknown_side_none() -> None:
    assert f.spread_bps(1.2, 1.1) < 0
    assert math.isnan(f.spread_bps(math.nan, 1.1))


def test_depth_counts_levels_within_the_distance_edge_included() -> None:
    assert f.depth_within(BIDS, BID_SIZES, MID, 0.3 * PIP) == 3.0e6
    assert f.depth_within(ASKS, ASK_SIZES, MID, 0.3 * PIP) == 2.0e6
    assert f.depth_within(BIDS, BID_SIZES, MID, 0.2 * PIP) == 3.0e6, "the edge itself"
    assert f.depth_within(BIDS, BID_SIZES, MID, 1.0) == f.depth_within(ASKS, ASK_SIZES, MID, 1.0) == 6.0e6
    assert f.depth_within(np.empty(0), np.empty(0), MID, 1.0) == 0.0


def test_distance_weighted_depth_meets_the_vector() -> None:
    # Distances are 1, 2, 4 and 1, 2, 5 ticks of 1e-5 with a decay of two ticks.
    bid = 1e6 * math.exp(-0.5) + 2e6 * math.exp(-1.0) + 3e6 * math.exp(-2.0)
    ask = 0.5e6 * math.exp(-0.5) + 1.5e6 * math.exp(-1.0) + 4e6 * math.exp(-2.5)
    assert f.weighted_depth(BIDS, BID_SIZES, MID, 0.2 * PIP) == pytest.approx(bid, rel=1e-9)
    assert f.weighted_depth(ASKS, ASK_SIZES, MID, 0.2 * PIP) == pytest.approx(ask, rel=1e-9)
    assert (bid, ask) == pytest.approx((1_748_295, 1_183_425), abs=1.0)


def test_the_slope_meets_the_vector() -> None:
    tick_bps = Fraction(10_000, 110_001)
    bid = Fraction(1 + 9 + 36, 1 * 1 + 3 * 2 + 6 * 4) / tick_bps
    ask = (Fraction(1, 4) + 4 + 36) / (Fraction(1, 2) * 1 + 2 * 2 + 6 * 5) / tick_bps
    assert f.book_slope(BIDS, BID_SIZES, MID) / 1e6 == pytest.approx(float(bid), rel=1e-9)
    assert f.book_slope(ASKS, ASK_SIZES, MID) / 1e6 == pytest.approx(float(ask), rel=1e-9)
    assert (float(bid), float(ask)) == pytest.approx((16.3227, 12.8335), abs=1e-4)


def test_the_slope_is_unknown_without_a_level_away_from_mid() -> None:
    assert math.isnan(f.book_slope(np.empty(0), np.empty(0), MID))
    assert math.isnan(f.book_slope(np.array([MID]), np.array([1e6]), MID))


def test_the_weighted_mid_meets_the_vector_and_leans_to_the_thin_side() -> None:
    exact = (Fraction(110000) * 500 + Fraction(110002) * 1000) / 1500 / 100_000
    found = f.weighted_mid(BIDS[0], ASKS[0], BID_SIZES[0], ASK_SIZES[0])
    assert found == pytest.approx(float(exact), rel=1e-12)
    assert round(found, 7) == 1.1000133


@pytest.mark.parametrize("sizes", [(0.0, 1.0), (1.0, 0.0), (math.nan, 1.0), (-1.0, 1.0)])
def test_the_weighted_mid_falls_back_to_mid_without_both_sizes(sizes: tuple[float, float]) -> None:
    assert f.weighted_mid(1.0, 1.5, *sizes) == 1.25


def test_the_weighted_mid_of_a_crossed_book_is_its_mid() -> None:
    assert f.weighted_mid(1.5, 1.0, 3.0, 1.0) == 1.25


def test_imbalance_meets_the_vectors() -> None:
    decay = np.exp(-np.arange(3) / 2)
    assert f.imbalance(BID_SIZES[0], ASK_SIZES[0]) == pytest.approx(1 / 3, rel=1e-12)
    assert f.imbalance(BID_SIZES.sum(), ASK_SIZES.sum()) == 0.0
    assert f.imbalance((decay * BID_SIZES).sum(), (decay * ASK_SIZES).sum()) == pytest.approx(0.070246, abs=5e-7)
    assert f.imbalance(1.0, 0.0) == 1.0
    assert f.imbalance(0.0, 1.0) == -1.0
    assert math.isnan(f.imbalance(0.0, 0.0))


B0 = ((1.10000, 1.0e6), (1.10002, 0.5e6))
AFTER_E1 = ((1.10000, 1.0e6), (1.10002, 1.0e6))
EMPTY_BID, EMPTY_ASK = (-math.inf, 0.0), (math.inf, 0.0)


@pytest.mark.parametrize(
    ("old", "new", "flow"),
    [
        (B0, AFTER_E1, -0.5e6),
        (AFTER_E1, (AFTER_E1[0], (1.10001, 0.8e6)), -0.8e6),
        (B0, ((1.10001, 0.4e6), B0[1]), 0.4e6),
        (B0, B0, 0.0),
        ((B0[0], B0[1]), (EMPTY_BID, B0[1]), -1.0e6),
        ((EMPTY_BID, B0[1]), (B0[0], B0[1]), 1.0e6),
        ((B0[0], B0[1]), (B0[0], EMPTY_ASK), 0.5e6),
        ((B0[0], EMPTY_ASK), (B0[0], B0[1]), -0.5e6),
        ((EMPTY_BID, EMPTY_ASK), (EMPTY_BID, EMPTY_ASK), 0.0),
    ],
    ids=["E1", "E2", "bid improves", "nothing", "bid gone", "bid back", "ask gone", "ask back", "empty"],
)
def test_order_flow_meets_the_vectors(old: tuple, new: tuple, flow: float) -> None:
    assert f.order_flow(*old, *new) == pytest.approx(flow, rel=1e-12)


def test_walking_the_reference_book_meets_the_vectors() -> None:
    vwap, filled, unfilled = f.walk(ASKS, ASK_SIZES, 2.5e6)
    assert (vwap, filled, unfilled) == (pytest.approx(1.100034, rel=1e-9), 2.5e6, 0.0)
    assert f.slippage_bps(vwap, MID, 1) == pytest.approx(float(Fraction(24, 110_001) * 1000), rel=1e-9)
    assert f.walk_cost_bps(ASKS, ASK_SIZES, MID, 2.5e6, 1) == pytest.approx(0.218180, abs=5e-7)
    vwap, filled, unfilled = f.walk(BIDS, BID_SIZES, 2.5e6)
    assert (vwap, filled, unfilled) == (pytest.approx(1.099994, rel=1e-9), 2.5e6, 0.0)
    assert f.walk_cost_bps(BIDS, BID_SIZES, MID, 2.5e6, -1) == pytest.approx(0.145453, abs=5e-7)
    vwap, filled, unfilled = f.walk(ASKS, ASK_SIZES, 7.0e6)
    assert (filled, unfilled) == (6.0e6, 1.0e6)
    assert vwap == pytest.approx(1.1000492, abs=5e-8)


def test_walking_nothing_fills_nothing() -> None:
    vwap, filled, unfilled = f.walk(np.empty(0), np.empty(0), 5.0)
    assert math.isnan(vwap)
    assert (filled, unfilled) == (0.0, 5.0)


def test_what_the_book_does_not_hold_is_priced_at_the_last_level_and_its_slope() -> None:
    slope = f.book_slope(ASKS, ASK_SIZES, MID)
    last = f.slippage_bps(ASKS[-1], MID, 1)
    paid = 6.0e6 * f.walk_cost_bps(ASKS, ASK_SIZES, MID, 6.0e6, 1) + 1.0e6 * (last + 1.0e6 / slope)
    assert f.walk_cost_bps(ASKS, ASK_SIZES, MID, 7.0e6, 1) == pytest.approx(paid / 7.0e6, rel=1e-9)
    assert f.walk_cost_bps(np.empty(0), np.empty(0), MID, 1.0, 1) == math.inf


@given(
    st.lists(st.tuples(st.integers(1, 50), st.integers(1, 9)), min_size=1, max_size=8),
    st.integers(1, 100),
    st.booleans(),
)
def test_a_walk_is_the_sum_over_single_units(gaps: list[tuple[int, int]], units: int, buys: bool) -> None:
    ticks = np.cumsum([gap for gap, _ in gaps])
    prices = 100 + ticks if buys else 1000 - ticks
    sizes = [size for _, size in gaps]
    each = [int(p) for p, q in zip(prices, sizes, strict=True) for _ in range(q)][:units]
    vwap, filled, unfilled = f.walk(prices.astype(float), np.array(sizes, float), units)
    assert (filled, unfilled) == (len(each), units - len(each))
    assert vwap == pytest.approx(float(Fraction(sum(each), len(each))), rel=1e-12)


@given(st.lists(st.tuples(st.integers(1, 50), st.integers(1, 9)), min_size=1, max_size=8), st.floats(1, 90))
def test_a_larger_order_never_costs_less_a_unit(gaps: list[tuple[int, int]], units: float) -> None:
    prices = 1.0 + 1e-5 * np.cumsum([gap for gap, _ in gaps])
    sizes = np.array([size for _, size in gaps], float)
    small, large = (f.walk_cost_bps(prices, sizes, 1.0, units * k, 1) for k in (1.0, 1.5))
    assert large >= small - 1e-9


def test_the_time_aware_average_meets_the_vector() -> None:
    mean, previous, found = 1.0, 1.0, [1.0]
    for dt, x in ((10, 3.0), (10, 2.0), (5, 2.0)):
        mean, previous = f.ewma_step(mean, previous, dt, 10.0), x
        found.append(mean)
    assert found == pytest.approx([1.0, 1.0, 2.0, 2.0], rel=1e-12)


def test_a_spike_of_a_millisecond_weighs_a_millisecond() -> None:
    before = f.ewma_step(1.0, 1.0, 60.0, 10.0)
    after = f.ewma_step(before, 1000.0, 0.001, 10.0)
    assert after == pytest.approx(1.0, abs=0.1)


def test_a_long_gap_restarts_the_average_and_time_never_runs_back() -> None:
    assert f.ewma_step(5.0, 7.0, 200.1, 10.0) == 7.0
    assert f.ewma_step(5.0, 7.0, -3.0, 10.0) == 5.0


def test_a_decayed_sum_halves_in_a_half_life() -> None:
    assert f.decayed_sum(8.0, 1.0, 10.0, 10.0) == 5.0
    assert f.decayed_sum(8.0, 1.0, -10.0, 10.0) == 9.0


def test_effective_spread_splits_into_realised_spread_and_impact() -> None:
    effective = f.slippage_bps(1.10002, 1.10001, 1)
    assert effective == pytest.approx(0.090908, abs=5e-7)
