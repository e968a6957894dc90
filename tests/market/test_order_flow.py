"""Order flow of many events: the scalar formula is its oracle."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.market import features
from bot.market.order_flow import order_flows

SIDE = st.one_of(st.none(), st.tuples(st.integers(1, 4), st.integers(1, 9)))


def _columns(sides: list[tuple[int, int] | None]) -> tuple[np.ndarray, np.ndarray]:
    prices, sizes = zip(*(side or (math.nan, math.nan) for side in sides), strict=True)
    return np.array(prices, np.float64), np.array(sizes, np.float64)


def _best(side: tuple[int, int] | None, nowhere: float) -> tuple[float, float]:
    return (float(side[0]), float(side[1])) if side else (nowhere, 0.0)


@given(st.lists(st.tuples(SIDE, SIDE), min_size=1, max_size=12))
def test_each_flow_is_that_of_the_scalar_formula_missing_sides_included(books: list) -> None:
    flows = order_flows(*_columns([bid for bid, _ in books]), *_columns([ask for _, ask in books]))
    expected = [0.0] + [
        features.order_flow(
            _best(old[0], -math.inf), _best(old[1], math.inf), _best(new[0], -math.inf), _best(new[1], math.inf)
        )
        for old, new in itertools.pairwise(books)
    ]
    assert flows.tolist() == expected


def test_levels_have_the_flows_of_the_worked_example() -> None:
    # B0, then E1: the 1.09999 quote goes and the 1.10002 quote grows to 1.0M; then E2: a new ask at 1.10001.
    nan = math.nan
    bid = [[1.10000, 1.09999, 1.09997], [1.10000, 1.09997, nan], [1.10000, 1.09997, nan]]
    bid_size = [[1.0, 2.0, 3.0], [1.0, 3.0, nan], [1.0, 3.0, nan]]
    ask = [[1.10002, 1.10003, 1.10006], [1.10002, 1.10003, 1.10006], [1.10001, 1.10002, 1.10003]]
    ask_size = [[0.5, 1.5, 4.0], [1.0, 1.5, 4.0], [0.8, 1.0, 1.5]]
    flows = order_flows(*(np.array(side) for side in (bid, bid_size, ask, ask_size)))
    assert flows[0].tolist() == [0.0, 0.0, 0.0]
    assert flows[1] == pytest.approx([-0.5, -2.0, -3.0])
    assert flows[2, 0] == pytest.approx(-0.8)
