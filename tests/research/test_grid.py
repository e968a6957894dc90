"""The study's clock: naive loops are its oracle."""

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bot.research.grid import standing_at, sums_between, whole_steps

TIMES = st.lists(st.integers(0, 60), min_size=1, max_size=20).map(sorted)


@given(TIMES, st.integers(1, 13))
def test_grid_points_are_all_multiples_of_the_step_within_the_recording(times: list[int], step: int) -> None:
    expected = [point for point in range(times[-1] + 1) if point % step == 0 and point >= times[0]]
    assert whole_steps(np.array(times), step).tolist() == expected


@given(TIMES, st.lists(st.integers(-5, 70), min_size=1, max_size=8))
def test_the_last_row_not_later_stands_at_a_point(times: list[int], points: list[int]) -> None:
    expected = [max((row for row, time in enumerate(times) if time <= point), default=-1) for point in points]
    assert standing_at(np.array(times), np.array(points)).tolist() == expected


@given(TIMES, st.lists(st.integers(-5, 70), min_size=2, max_size=8).map(sorted))
def test_a_step_sums_what_comes_after_its_start_and_not_after_its_end(times: list[int], points: list[int]) -> None:
    increments = np.arange(1.0, len(times) + 1)
    expected = [
        sum(increment for time, increment in zip(times, increments, strict=True) if start < time <= end)
        for start, end in itertools.pairwise(points)
    ]
    assert sums_between(np.array(times), increments, np.array(points)).tolist() == expected
    by_level = sums_between(np.array(times), np.stack([increments, -increments], axis=1), np.array(points))
    assert by_level.T.tolist() == [expected, [-total for total in expected]]
