"""Where a programme is to end: never beyond its plan unless more is asked for, never beyond the goal, never back."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.execution.programme import Programme


def programme(target_cents: int, *, side: int = 1, grows: bool = True) -> Programme:
    return Programme(target_cents, side, grows, due_ns=0, ends_ns=0)


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize(
    ("grows", "target", "held", "goal", "fresh", "end"),
    [
        (True, 100, 40, 120.0, 40, 100),  # within the band: carried out all the same
        (True, 100, 40, 120.0, 110, 110),  # more is allowed by now
        (True, 100, 40, 70.5, 40, 70),  # less is wanted: it ends there
        (True, 100, 40, 40.0, 40, None),  # what is wanted is held
        (True, 100, 40, 10.0, 25, None),  # turned back
        (True, 100, 40, -50.0, 0, None),  # the other side is wanted
        (True, 100, 100, 120.0, 100, None),  # done
        (True, 100, 40, math.nan, 40, None),
        (True, 100, -5, 120.0, -5, None),  # another side is held than it grows
        (False, 20, 60, 10.0, 60, 20),
        (False, 20, 60, 10.0, 12, 12),
        (False, 20, 60, 10.0, 5, 10),  # never beyond what is wanted
        (False, 20, 60, 30.5, 60, 31),
        (False, 20, 60, 60.0, 60, None),
        (False, 20, 60, 80.0, 80, None),
        (False, 20, 60, -30.0, 0, 0),
        (False, 0, 60, -30.0, 60, 0),
        (False, 20, 0, 10.0, 0, None),
        (False, 20, 60, math.nan, 60, None),
    ],
)
def test_its_end_by_hand(
    side: int, grows: bool, target: int, held: int, goal: float, fresh: int, end: int | None
) -> None:
    found = programme(side * target, side=side, grows=grows).end_cents(side * held, side * goal, side * fresh)
    assert found == (None if end is None else side * end)


@given(
    side=st.sampled_from([1, -1]),
    grows=st.booleans(),
    target=st.integers(0, 1000),
    held=st.integers(-1000, 1000),
    goal=st.floats(-1000, 1000),
    fresh=st.integers(-1000, 1000),
)
def test_it_never_turns_back_nor_goes_beyond_the_goal(
    side: int, grows: bool, target: int, held: int, goal: float, fresh: int
) -> None:
    end = programme(side * target, side=side, grows=grows).end_cents(held, goal, fresh)
    if end is None:
        return
    assert (abs(end) > abs(held)) is grows
    assert end * held >= 0
    if grows:
        assert side * end <= side * goal
        assert side * end <= max(target, side * fresh)
    else:
        assert side * end >= min(target, max(side * fresh, 0))
        assert side * end >= min(side * goal, side * held - 1)
