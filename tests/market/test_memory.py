"""Compiled code that is kept on disk and takes addresses is never used on arrays of another layout."""

import numpy as np
import pytest

from bot.ctrader import hotpath
from bot.market import batch
from bot.market.delta import DELTA
from bot.market.evaluator import Evaluator, EvaluatorSettings
from bot.market.memory import layout

A = np.dtype([("a", np.int64), ("b", np.float64)])


@pytest.mark.parametrize(
    "other",
    [
        np.dtype([("a", np.int64), ("c", np.float64)]),
        np.dtype([("b", np.float64), ("a", np.int64)]),
        np.dtype([("a", np.int64), ("b", np.float32)]),
        np.dtype([("a", np.int64), ("b", np.float64, (2,))]),
        np.dtype([("a", np.int64), ("b", np.float64), ("c", np.uint8)]),
    ],
    ids=["name", "order", "type", "shape", "one more"],
)
def test_another_layout_is_another_number(other: np.dtype) -> None:
    assert layout(A) == layout(np.dtype(A.descr)) != layout(other)
    assert layout(A, other) != layout(other, A)


def test_what_takes_addresses_encloses_the_layout_and_so_is_compiled_anew() -> None:
    """numba keeps code by what a function encloses; without that, a new field would be read by old code."""
    enclosed = {
        batch.receive_batch.py_func: batch.LAYOUT,
        batch._take: batch.LAYOUT,
        hotpath.pour_frame.py_func: layout(DELTA, hotpath._LANE),
        hotpath.pour_frames.py_func: layout(DELTA, hotpath._LANE),
    }
    for function, number in enclosed.items():
        assert [cell.cell_contents for cell in function.__closure__ or ()] == [number]


def test_the_loop_says_for_which_layout_it_was_compiled() -> None:
    evaluator = Evaluator(np.ones(1), EvaluatorSettings())
    evaluator._context["layout"] = 0
    evaluator.advance(1)
    assert evaluator._context["layout"][0] == batch.LAYOUT
