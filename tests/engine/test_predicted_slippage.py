"""The predicted cost of an order is that of walking the book, to the last bit, however few levels it needs."""

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bot.engine.order_maker import known, predicted_slippage_bps
from bot.market import features as formulas
from bot.market.book import ASK, BID, levels
from bot.market.delta import DEPTH_ASK, DEPTH_BID, END_DEPTH, delta_rows
from bot.market.evaluator import Evaluator, EvaluatorSettings


@given(st.lists(st.integers(1, 10**7), min_size=1, max_size=9), st.integers(1, 3 * 10**7), st.booleans())
def test_the_predicted_cost_is_that_of_walking_the_book(sizes: list[int], volume_cents: int, buys: bool) -> None:
    evaluator = Evaluator(np.array([1e-4]), EvaluatorSettings())
    rows: list[Any] = [(DEPTH_ASK, 0, 2 * i + 1, 110_003 + 7 * i, size) for i, size in enumerate(sizes)]
    rows += [(DEPTH_BID, 0, 2 * i + 2, 109_998 - 3 * i, size) for i, size in enumerate(sizes)]
    evaluator.apply(delta_rows([*rows, (END_DEPTH, 0, 0, 0, 0)]), 1_000)
    prices_e5, sizes_cents = levels(evaluator.books, ASK if buys else BID, 0)
    mid = formulas.mid(1.09998, 1.10003)
    side = 1 if buys else -1
    walked = formulas.walk_cost_bps(prices_e5 / 1e5, sizes_cents / 100, mid, volume_cents / 100, side)
    assert predicted_slippage_bps(evaluator, 0, side * volume_cents) == known(walked)
