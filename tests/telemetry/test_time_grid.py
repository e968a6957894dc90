"""Which moments of a recorded run are shown, while nobody knows how long it is."""

from hypothesis import given, settings
from hypothesis import strategies as st

from bot.telemetry.time_grid import TimeGrid, thinned

START = 1_700_000_000_000_000_000
QUARTER = 250_000_000
GAPS = st.lists(st.integers(0, 3_000_000_000), max_size=300)


def moments(gaps: list[int]) -> list[int]:
    times, now = [], START
    for gap in gaps:
        now += gap
        times.append(now)
    return times


def test_the_first_moment_of_each_stretch_is_taken() -> None:
    grid = TimeGrid(QUARTER)
    offsets_ms = (0, 10, 249, 250, 499, 1_300, 1_300, 1_499, 1_500)
    assert [ms for ms in offsets_ms if grid.takes(START + ms * 1_000_000)] == [0, 250, 1_300, 1_500]
    assert grid.every_ns == QUARTER


def test_one_moment_too_many_doubles_the_stretches_and_is_taken_if_it_begins_one_of_them() -> None:
    grid = TimeGrid(QUARTER, most=4)
    taken = [(step, grid.every_ns // QUARTER) for step in range(17) if grid.takes(START + step * QUARTER)]
    # Four of a quarter; the fifth leaves two of them on a grid of a half, and so on.
    assert taken == [(0, 1), (1, 1), (2, 1), (3, 1), (4, 2), (6, 2), (8, 4), (12, 4), (16, 8)]


def test_a_span_that_is_known_is_fitted_before_anything_is_taken() -> None:
    grid = TimeGrid(QUARTER, most=4)
    grid.make_room_for(START, START + 4 * QUARTER)
    assert grid.every_ns == 2 * QUARTER
    grid.make_room_for(START, START + 100_000 * QUARTER)
    before = grid.every_ns
    assert sum(grid.takes(START + step * QUARTER) for step in range(100_001)) <= 4
    assert grid.every_ns == before
    free = TimeGrid(QUARTER)
    free.make_room_for(START, START + 100_000 * QUARTER)
    assert free.every_ns == QUARTER


@settings(max_examples=200, deadline=None)
@given(gaps=GAPS, most=st.integers(2, 20))
def test_what_a_reader_keeps_is_what_the_last_stretches_would_have_kept_from_the_start(
    gaps: list[int], most: int
) -> None:
    times = moments(gaps)
    grid, kept = TimeGrid(QUARTER, most), list[int]()
    for ns in times:
        before = grid.every_ns
        is_taken = grid.takes(ns)
        if grid.every_ns != before:
            kept = [kept[i] for i in thinned(kept, grid.every_ns)]
        if is_taken:
            kept.append(ns)
        assert len(kept) <= most
    alone = TimeGrid(grid.every_ns)
    assert kept == [ns for ns in times if alone.takes(ns)]
