"""Protective legs: where they belong, on the venue's grid, and which is sent, kept or left to somebody else."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.account.position import Position
from bot.execution.protection import (
    Protection,
    is_widened,
    legs_of_ours,
    legs_to_send,
    reachable,
    relative_e5,
    wanted_legs,
)
from bot.market.symbols import SymbolSpec

EURUSD = SymbolSpec(1, "EURUSD", "EUR", "USD", 5, 4, 10_000_000, 100_000, 100_000, 10**12)
USDJPY = SymbolSpec(2, "USDJPY", "USD", "JPY", 3, 2, 10_000_000, 100_000, 100_000, 10**12)
BOTH = Protection(stop_loss_bps=50, take_profit_bps=100)


def held(volume_cents: int = 100_000, price: float = 1.1, **fields: Any) -> Position:
    return Position(5, 1, volume_cents, price, "microlev", **fields)


def test_by_hand_half_a_percent_below_and_one_above_the_entry() -> None:
    assert wanted_legs(BOTH, EURUSD, held()) == (1.0945, 1.111)
    assert wanted_legs(BOTH, EURUSD, held(-100_000)) == (1.1055, 1.089)
    assert relative_e5(BOTH, EURUSD, 1.1) == (550, 1100)
    assert relative_e5(Protection(stop_loss_bps=50), USDJPY, 150.0) == (75_000, None)
    assert not Protection().is_on and relative_e5(Protection(), EURUSD, 1.1) == (None, None)


@given(
    spec=st.sampled_from([EURUSD, USDJPY, replace(USDJPY, digits=0), replace(EURUSD, digits=6)]),
    bps=st.floats(0.001, 5000),
    price=st.floats(0.01, 100_000),
    least=st.integers(0, 5000),
    in_points=st.booleans(),
    spread=st.floats(0, 0.01),
)
def test_relative_distances_are_positive_whole_steps_and_never_nearer_than_the_broker_allows(
    spec: SymbolSpec, bps: float, price: float, least: int, spread: float, *, in_points: bool
) -> None:
    spec = replace(spec, stop_distance=least, is_distance_in_points=in_points)
    stop, profit = relative_e5(Protection(stop_loss_bps=bps), spec, price, spread)
    assert profit is None
    assert stop is not None and stop > 0 and stop % spec.tick_e5 == 0
    assert stop / 1e5 >= spec.least_distance(least, price) * (1 - 1e-9)
    if not least:
        assert stop <= max(price * bps * 10 + spec.tick_e5 / 2 + 1e-6, spec.tick_e5)


def test_a_distance_that_the_broker_does_not_allow_is_widened_and_can_be_told() -> None:
    spec = replace(EURUSD, stop_distance=1000)
    assert is_widened(BOTH, spec, 1.1) and not is_widened(BOTH, EURUSD, 1.1)
    assert wanted_legs(BOTH, spec, held()) == (1.09, 1.111)
    in_percent = replace(EURUSD, profit_distance=200, is_distance_in_points=False)
    assert is_widened(BOTH, in_percent, 1.1)
    assert wanted_legs(BOTH, in_percent, held()) == (1.0945, 1.122), "200 hundredths of a percent"


@pytest.mark.parametrize(
    ("now", "ours", "sent"),
    [
        ((None, None), None, (1.0945, 1.111)),  # none at all: after a restart, or a lost event
        ((1.0945, None), None, (1.0945, 1.111)),  # both legs, because the venue removes what is left out
        ((1.0945, 1.111), None, None),
        ((1.09455, 1.11095), None, None),  # a hair off, as each slice moves the entry
        ((1.0975, 1.111), None, None),  # somebody else has set the stop nearer: kept
        ((1.0975, 1.111), (1.0945, 1.111), None),
        ((1.0975, None), None, (1.0975, 1.111)),  # and kept when the other leg is sent
        ((1.0975, 1.111), (1.0975, 1.111), (1.0945, 1.111)),  # ours, and the entry has moved since
        ((1.0900, 1.111), None, (1.0945, 1.111)),  # farther than it should be
        ((1.0945, 1.105), None, None),  # a nearer target
        ((1.0945, 1.120), (1.0945, 1.120), (1.0945, 1.111)),
    ],
)  # fmt: skip
def test_what_is_sent_for_a_long_position_and_mirrored_for_a_short_one(now: Any, ours: Any, sent: Any) -> None:
    assert legs_to_send(BOTH, EURUSD, held(stop_loss=now[0], take_profit=now[1]), ours) == sent

    def mirrored(legs: Any) -> Any:
        return None if legs is None else tuple(None if x is None else EURUSD.round_price(2.2 - x) for x in legs)

    stop, profit = mirrored(now)
    short = held(-100_000, stop_loss=stop, take_profit=profit)
    assert legs_to_send(BOTH, EURUSD, short, mirrored(ours)) == mirrored(sent)


def test_a_leg_that_the_config_does_not_ask_for_is_sent_as_it_is() -> None:
    position = held(take_profit=1.2)
    assert legs_to_send(Protection(stop_loss_bps=50), EURUSD, position, None) == (1.0945, 1.2)


def test_a_position_whose_stop_trails_is_left_alone() -> None:
    trailing = held(stop_loss=1.09, is_trailing=True)
    assert legs_to_send(BOTH, EURUSD, trailing, (1.09, None)) is None
    assert legs_to_send(BOTH, EURUSD, held(is_trailing=True), None) == (1.0945, 1.111)


legs = st.none() | st.integers(50_000, 200_000).map(lambda e5: e5 / 1e5)


@given(
    side=st.sampled_from([1, -1]),
    price=st.integers(90_000, 130_000),
    stop=legs,
    profit=legs,
    stop_bps=st.none() | st.floats(5, 500),
    profit_bps=st.none() | st.floats(5, 500),
)
def test_what_is_sent_loosens_no_leg_of_somebody_else_and_is_sent_once(
    side: int, price: int, stop: float | None, profit: float | None, stop_bps: float | None, profit_bps: float | None
) -> None:
    protection = Protection(stop_bps, profit_bps)
    position = held(side * 100_000, price / 1e5, stop_loss=stop, take_profit=profit)
    sent = legs_to_send(protection, EURUSD, position, None)
    if sent is None:
        return
    new_stop, new_profit = sent
    if stop is not None:
        assert new_stop is not None and side * (new_stop - stop) >= 0
    if profit is not None:
        assert new_profit is not None and side * (new_profit - profit) <= 0
    after = replace(position, stop_loss=new_stop, take_profit=new_profit)
    ours = legs_of_ours(protection, EURUSD, after, None)
    assert legs_to_send(protection, EURUSD, after, ours) is None
    # Wherever the entry moves to, a leg that somebody else has set is loosened by nothing.
    moved = replace(after, price=after.price * 1.01)
    again = legs_to_send(protection, EURUSD, moved, ours) or sent
    if ours[0] is None and new_stop is not None:
        assert again[0] is not None and side * (again[0] - new_stop) >= 0
    if ours[1] is None and new_profit is not None:
        assert again[1] is not None and side * (again[1] - new_profit) <= 0


def test_a_leg_that_the_market_has_passed_is_not_sent() -> None:
    wanted, now = (1.0945, 1.111), (None, None)
    assert reachable(wanted, now, 1, 1.1, EURUSD) == wanted
    assert reachable(wanted, now, 1, 1.0945, EURUSD) == (None, 1.111)
    assert reachable(wanted, now, 1, 1.12, EURUSD) == (1.0945, None)
    assert reachable(wanted, now, 1, float("nan"), EURUSD) == now, "an unknown market takes none"


@given(
    side=st.sampled_from([1, -1]),
    market=st.integers(90_000, 130_000).map(lambda e5: e5 / 1e5),
    away=st.integers(-500, 500),
    least=st.integers(0, 300),
)
def test_a_leg_that_is_sent_is_on_its_side_and_not_nearer_than_the_broker_allows(
    side: int, market: float, away: int, least: int
) -> None:
    spec = replace(EURUSD, stop_distance=least, profit_distance=least)
    stop, profit = EURUSD.round_price(market - side * away / 1e5), EURUSD.round_price(market + side * away / 1e5)
    for leg, sign in zip(reachable((stop, profit), (None, None), side, market, spec), (1, -1), strict=True):
        assert (leg is None) is (away <= 0)
        if leg is not None:
            assert sign * side * (market - leg) * 1e5 >= max(least, 1) - 1e-3
            assert sign * side * (market - leg) * 1e5 <= max(least + 2, away) + 1e-3
    kept = (1.0, 1.4) if side > 0 else (1.4, 1.0)
    if away < least:
        assert reachable((stop, profit), kept, side, market, spec) == kept, "what is there is better than nothing new"
