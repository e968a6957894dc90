"""Imbalance as a predictor, in markets where it knows everything, nothing, or the opposite."""

import numpy as np
import pytest
from planted import SECOND_NS, ladders_of

from bot.research.imbalance import (
    ahead_auc,
    edge_bps,
    half_spread_bps,
    ladder_imbalance,
    next_move_auc,
    next_move_auc_by_interval,
)
from bot.research.recordings import Quotes

ONE_LEVEL = np.ones(1)


def _market(is_right: float, intervals: int = 400, seed: int = 1) -> Quotes:
    """Five quotes an interval, then mid moves by a tick: to the heavier side with chance `is_right`."""
    random = np.random.default_rng(seed)
    heavy_bid = random.random(intervals) < 0.5
    rises = np.where(random.random(intervals) < is_right, heavy_bid, ~heavy_bid)
    mid = np.concatenate([[0.0], np.cumsum(np.where(rises, 1.0, -1.0))[:-1]]) + 1_000
    bid_size = np.where(heavy_bid, 9.0, 1.0)
    columns = (np.repeat(column, 5) for column in (mid - 0.5, bid_size, mid + 0.5, 10.0 - bid_size))
    return Quotes(np.arange(5 * intervals) * SECOND_NS, *columns)


@pytest.mark.parametrize(("is_right", "area"), [(1.0, 1.0), (0.0, 0.0), (0.8, 0.8), (0.5, 0.5)])
def test_the_area_is_how_often_the_heavier_side_is_right(is_right: float, area: float) -> None:
    # With two scores of equal weight, the area under the curve is the share of right ones.
    market = _market(is_right, intervals=4_000)
    assert next_move_auc(market) == pytest.approx(area, abs=0.02)
    assert next_move_auc_by_interval(market, draws=3, seed=1) == pytest.approx(area, abs=0.02)


def test_one_case_an_interval_weighs_a_crowded_interval_like_any_other() -> None:
    # A thousand quotes before one wrong move, one quote before each of three right ones.
    heavy = np.array([9.0, 9.0, 1.0, 9.0, 1.0])
    rises = np.array([False, True, False, True, True])  # what follows each interval; the last is never seen
    mid = 1_000 + np.concatenate([[0.0], np.cumsum(np.where(rises, 1.0, -1.0))[:-1]])
    repeats = np.array([1, 1, 1, 1, 1_000])
    bid, bid_size = np.repeat(mid, repeats) - 0.5, np.repeat(heavy, repeats)
    extra = Quotes(np.arange(len(bid)) * SECOND_NS, bid, bid_size, bid + 1.0, 10.0 - bid_size)
    after = (len(bid) * SECOND_NS, bid[-1] + 1, 5.0, bid[-1] + 2, 5.0)
    market = Quotes(*(np.append(column, last) for column, last in zip(extra, after, strict=True)))
    # Intervals between two changes: up on 9, down on 1, up on 9, up on 1 (the crowded one): 2 wins, a tie, of 3 pairs.
    assert next_move_auc_by_interval(market, draws=5, seed=1) == pytest.approx(2.5 / 3)
    # Quote by quote the crowded one is nearly everything, and its cases tie with the one fall that scored the same.
    assert next_move_auc(market) < 0.51


def test_the_same_seed_draws_the_same_cases() -> None:
    market = _market(0.7, intervals=50)
    assert next_move_auc_by_interval(market, 2, seed=5) == next_move_auc_by_interval(market, 2, seed=5)


def test_ladder_imbalance_weighs_levels_and_a_missing_level_weighs_nothing() -> None:
    ladders = ladders_of(np.array([[3.0, 1.0]]), np.array([[1.0, 5.0]]), np.array([100.0]))
    assert ladder_imbalance(ladders, ONE_LEVEL).tolist() == [0.5]
    assert ladder_imbalance(ladders, np.ones(20)).tolist() == [-0.2]
    assert ladder_imbalance(ladders, np.array([1.0, 0.5])).tolist() == [0.0]


def test_looking_ahead_takes_the_mid_that_stands_then_and_leaves_out_what_does_not_move() -> None:
    # Mid 10 messages (1 s) later is up wherever the bid is heavy, unless the move is none at all.
    random = np.random.default_rng(4)
    moves = random.choice([-1.0, 0.0, 1.0], size=300)
    mid = np.repeat(1_000 + np.cumsum(moves), 10)
    ahead = np.append(np.repeat(moves[1:], 10), np.zeros(10))
    bid_sizes = np.where(ahead > 0, 9.0, np.where(ahead < 0, 1.0, random.choice([1.0, 9.0], size=3_000)))[:, None]
    ladders = ladders_of(bid_sizes, 10.0 - bid_sizes, mid)
    assert ahead_auc(ladders, ONE_LEVEL, SECOND_NS) == 1.0
    # Two in three messages see a move of one, about 10 bps of 1,000.
    assert edge_bps(ladders, ONE_LEVEL, SECOND_NS, 0.5) == pytest.approx(10 * np.mean(moves != 0), rel=0.1)


def test_an_edge_counts_only_imbalances_beyond_the_threshold_that_have_a_future() -> None:
    mid = np.array([100.0, 101.0, 100.0])
    ladders = ladders_of(np.array([[9.0], [6.0], [9.0]]), np.array([[1.0], [4.0], [1.0]]), mid, step_ns=SECOND_NS)
    assert edge_bps(ladders, ONE_LEVEL, SECOND_NS, 0.5) == pytest.approx(100.0)
    assert edge_bps(ladders, ONE_LEVEL, SECOND_NS, 0.1) == pytest.approx((100.0 - 1e4 / 101) / 2)
    assert half_spread_bps(ladders) == pytest.approx(1e4 * 0.5 * np.mean(1 / mid))
