"""Price against order flow in a market where the one is the other times a constant."""

import math

import numpy as np
import pytest
from planted import SECOND_NS, flow_driven_market, ladders_of

from bot.research.grid import whole_steps
from bot.research.impact import (
    ladder_buckets,
    one_step_r_squared,
    quote_buckets,
    session_windows,
    traded_volume,
)
from bot.research.recordings import Trades
from bot.research.regression import least_squares

SLOPE = 0.003


def test_where_flow_moves_the_mid_the_fit_finds_its_slope_and_nothing_is_left_over() -> None:
    market = flow_driven_market(5_000, SLOPE)
    buckets = quote_buckets(market, whole_steps(market.time_ns, SECOND_NS))
    fit = least_squares(buckets.flow, buckets.mid_change)
    assert fit.slopes[0] == pytest.approx(SLOPE, rel=1e-9)
    assert fit.r_squared == pytest.approx(1.0, abs=1e-9)


def test_flow_of_another_market_explains_nothing() -> None:
    market, other = flow_driven_market(20_000, SLOPE), flow_driven_market(20_000, SLOPE, seed=4)
    points_ns = whole_steps(market.time_ns, SECOND_NS)
    flow = quote_buckets(other, points_ns).flow
    assert least_squares(flow, quote_buckets(market, points_ns).mid_change).r_squared < 0.01


def test_a_bucket_that_begins_before_the_first_quote_has_no_change_until_it() -> None:
    market = flow_driven_market(30, SLOPE)
    early = quote_buckets(market, np.array([-SECOND_NS, 0, SECOND_NS]))
    assert early.mid_change[0] == early.flow[0] == 0.0
    assert early.mid_change[1] == pytest.approx(market.mid[9] - market.mid[0])


def test_windows_fit_flow_trades_and_depth_on_their_own_rows() -> None:
    market = flow_driven_market(2 * 1_800, SLOPE, step_ns=SECOND_NS)
    # Somebody buys as much as flows in: trades then explain as much as flow does. In the second half hour nobody does.
    bought = np.diff(market.mid, prepend=market.mid[0]) / SLOPE
    bought[1_800:] = np.random.default_rng(1).normal(size=1_800)
    trades = Trades(market.time_ns, market.mid, np.abs(bought), np.sign(bought).astype(np.int64))
    first, second = session_windows(market, trades, 0, 2)
    assert first.flow_r_squared == pytest.approx(1.0) and second.flow_r_squared == pytest.approx(1.0)
    assert first.trade_r_squared == pytest.approx(1.0) and second.trade_r_squared < 0.1
    assert second.slope == pytest.approx(SLOPE)
    # Quotes come on whole seconds; the one exactly at a window's end still belongs to it.
    assert second.depth == pytest.approx((market.bid_size + market.ask_size)[1_800:].mean() / 2)


def test_traded_volume_is_bought_less_sold() -> None:
    trades = Trades(np.array([1, 2, 12]), np.ones(3), np.array([5.0, 3.0, 2.0]), np.array([1, -1, 0]))
    assert traded_volume(trades, np.array([0, 10, 20])).tolist() == [2.0, 0.0]


def test_levels_have_their_own_flow_and_missing_ones_none() -> None:
    sizes = np.arange(1.0, 9.0).reshape(4, 2) ** 2
    buckets = ladder_buckets(ladders_of(sizes, np.ones((4, 2)), np.full(4, 9.0), step_ns=SECOND_NS), SECOND_NS)
    assert buckets.flow[:, :2].tolist() == np.diff(sizes, axis=0).tolist()
    assert not buckets.flow[:, 2:].any()
    assert not buckets.mid_change.any()


def test_a_slope_learnt_on_the_way_follows_the_recursion_written_out() -> None:
    flow, change = np.array([10.0, -5.0, 20.0]), np.array([1.0, -1.0, 3.0])
    # phi = 1/2: before the second bucket slope 1/10; before the third (0.5 * 10 + 5) / (0.5 * 100 + 25).
    predicted = np.array([-5.0 / 10, 20.0 * 10 / 75])
    expected = 1 - ((change[1:] - predicted) ** 2).sum() / ((change[1:] - change[1:].mean()) ** 2).sum()
    assert one_step_r_squared(flow, change, half_life=1.0, warm_up=1) == pytest.approx(expected, rel=1e-12)


def test_a_slope_that_changes_is_forgotten_only_by_the_one_that_forgets() -> None:
    random = np.random.default_rng(2)
    flow = random.normal(size=4_000)
    change = np.where(np.arange(4_000) < 2_000, 1.0, 3.0) * flow
    forgetful = one_step_r_squared(flow, change, half_life=60, warm_up=60)
    assert forgetful > one_step_r_squared(flow, change, half_life=math.inf, warm_up=60) + 0.1
    assert forgetful > 0.95
