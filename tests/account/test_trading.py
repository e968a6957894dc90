"""Causes of a trading state: the gravest rules, nothing makes another milder, and each ends by its own rule."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.account.trading import LEVELS, Cause, Trading

LOSS = Cause("daily_loss", "halted", "lost 3 %", 10, until_ns=100, flattens=True, by_limit=True)
SLIP = Cause("slippage", "reducing", "5 bps", 20, until_ns=50, by_limit=True)
HAND = Cause("by_hand", "halted", "by hand", 30)


def test_the_gravest_cause_is_the_state_and_the_oldest_of_those_its_words() -> None:
    states = Trading()
    assert (states.state, states.text, states.causes) == ("active", "", ())
    states.hold(SLIP)
    assert (states.state, states.text) == ("reducing", "5 bps")
    states.hold(HAND)
    states.hold(LOSS)
    assert (states.state, states.text, states.is_flattening) == ("halted", "by hand", True)
    assert states.release("by_hand") and not states.release("by_hand")
    assert states.is_halted_by_limit and states.text == "lost 3 %"


def test_a_persons_halt_is_no_limits() -> None:
    states = Trading()
    states.hold(HAND)
    states.hold(SLIP)
    assert not states.is_halted_by_limit


def test_a_cause_ends_at_its_time_and_one_that_flattens_not_before_all_is_flat() -> None:
    states = Trading()
    states.hold(LOSS)
    states.hold(SLIP)
    assert states.expire(49, is_flat=False) == []
    assert states.expire(50, is_flat=False) == [SLIP]
    assert states.expire(100, is_flat=False) == []
    assert states.expire(101, is_flat=True) == [LOSS]
    assert states.state == "active"


@pytest.mark.parametrize(
    "milder",
    [
        replace(LOSS, level="reducing"),
        replace(LOSS, flattens=False),
        replace(HAND, level="reducing"),
        replace(HAND, until_ns=40),
    ],
)
def test_a_cause_is_not_made_milder_by_another_of_its_code(milder: Cause) -> None:
    states = Trading()
    states.hold(LOSS)
    states.hold(HAND)
    before = states.causes
    assert not states.hold(milder)
    assert states.causes == before


def test_the_same_cause_again_is_no_news_and_lasts_longer() -> None:
    states = Trading()
    assert states.hold(SLIP)
    version = states.version
    assert not states.hold(replace(SLIP, until_ns=80))
    assert states.version == version
    assert states.expire(60, is_flat=True) == []


def test_a_level_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(ValueError, match="reducing or halted"):
        Trading().hold(replace(HAND, level="active"))


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["hold", "release"]), st.sampled_from(LEVELS[1:]))))
def test_the_state_is_the_worst_of_what_stands_whatever_happens(steps: list[tuple[str, str, str]]) -> None:
    states, plain = Trading(), {}
    for code, action, level in steps:
        if action == "hold":
            states.hold(Cause(code, level, code, 0))
            plain[code] = max(plain.get(code, "active"), level, key=LEVELS.index)
        else:
            states.release(code)
            plain.pop(code, None)
        assert states.state == max(plain.values(), key=LEVELS.index, default="active")
        assert {c.code for c in states.causes} == set(plain)
