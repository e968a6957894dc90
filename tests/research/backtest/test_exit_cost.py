"""The cost of leaving, compiled, against a walk in plain Python."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_market import BookLevels, filled_books

from bot.research.backtest.exit_cost import exit_costs_bps

levels = st.lists(st.tuples(st.integers(1, 40), st.integers(1, 50)), max_size=5)


def _by_hand(held: int, bids: list[tuple[int, int]], asks: list[tuple[int, int]], mid: float) -> float:
    side = bids if held > 0 else asks
    if not side:
        return math.inf
    left, lost, distance = float(abs(held)), 0.0, 0.0
    for price_e5, units in side:
        distance = mid - price_e5 if held > 0 else price_e5 - mid
        part = min(left, units)
        lost, left = lost + part * distance, left - part
    lost += left * 2 * max(distance, 0.0)
    return lost / abs(held) / mid * 1e4


@given(st.integers(-150, 150), levels, levels)
def test_it_is_what_walking_the_book_costs(held: int, below: BookLevels, above: BookLevels) -> None:
    bids = sorted({1_000 - away: units for away, units in below}.items(), reverse=True)
    asks = sorted({1_000 + away: units for away, units in above}.items())
    tables = filled_books(bids, asks, spot=(999, 1_001))
    costs = np.empty(1)
    exit_costs_bps(tables.arrays.levels, tables.arrays.heads, np.array([float(held)]), costs)
    if held == 0:
        assert math.isnan(costs[0])
    else:
        assert costs[0] == pytest.approx(_by_hand(held, bids, asks, 1_000.0), rel=1e-12)
