"""Levels laid around quotes: a loop over single levels is the oracle."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.sim.shape import LEVELS, shaped_levels

DISTANCES = st.lists(st.floats(0, 4), min_size=LEVELS, max_size=LEVELS).map(sorted)
SIZES = st.lists(st.floats(0, 3), min_size=LEVELS, max_size=LEVELS)
SHAPES = st.tuples(DISTANCES, SIZES, DISTANCES, SIZES)


def _side(best_e5: int, away: int, distances: list[float], sizes: list[float], spread_ticks: int) -> dict[int, int]:
    """One side level by level; `away` is the tick with the sign of the way from the best price."""
    levels = {}
    previous = -1
    for distance, size in zip(distances, sizes, strict=True):
        previous = max(previous + 1, round(distance * spread_ticks))
        if best_e5 + previous * away > 0:
            levels[best_e5 + previous * away] = max(1, round(size * 1_000))
    return levels


@given(SHAPES, st.integers(1, 300), st.integers(-20, 60), st.sampled_from([1, 10]))
def test_each_level_is_its_distance_away_and_at_least_a_tick_beyond_the_one_before(
    shape: tuple[list[float], ...], bid_e5: int, spread_e5: int, tick_e5: int
) -> None:
    ask_e5 = bid_e5 + spread_e5
    keys, sizes = shaped_levels(np.array([bid_e5]), np.array([ask_e5]), np.array([shape]), tick_e5, 1_000)
    spread_ticks = max(1, spread_e5 // tick_e5)
    bids = _side(bid_e5, -tick_e5, shape[0], shape[1], spread_ticks)
    asks = _side(ask_e5, tick_e5, shape[2], shape[3], spread_ticks)
    expected = {price * 2: size for price, size in bids.items()} | {p * 2 + 1: s for p, s in asks.items()}
    assert {key: size for key, size in zip(keys[0], sizes[0], strict=True) if size} == expected


def test_every_quote_has_its_own_shape() -> None:
    flat = np.ones((LEVELS,))
    shapes = np.array([[np.arange(LEVELS), flat, np.arange(LEVELS), flat], [np.arange(LEVELS) * 2, flat * 3] * 2])
    keys, sizes = shaped_levels(np.array([1_000, 1_000]), np.array([1_001, 1_001]), shapes, 1, 10)
    assert (keys[:, 1] // 2).tolist() == [999, 998]
    assert sizes[:, 0].tolist() == [10, 30] == pytest.approx(sizes[:, -1])
