"""Positions that an earlier run has left open and the venue no longer has: who it was, and what follows."""

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from engine_desk import SECOND, START, Desk, position

from bot.account.position import Deal, Position
from bot.engine import events as ev
from bot.execution.orders import OrderSnapshot
from bot.journal.inputs import decode_inputs, encode_inputs

TWICE = 1_800_000  # 2x of ten thousand at 1.1, on the volume grid
LEGS = {"stop_loss": 1.0945, "take_profit": 1.111}
BARE: dict[str, Any] = {}


def left(*positions: Position) -> ev.GuardRestored:
    """Return the memory of a run that has held these positions."""
    desk = Desk()
    desk.begin(*positions)
    event = ev.GuardRestored(0, json.loads(json.dumps(desk.engine.guard_memory())))
    assert decode_inputs(encode_inputs([event])) == [event]
    return event


def later(
    memory: ev.GuardRestored, *positions: Position, intents: tuple[ev.OpenIntent, ...] = (), **changes: Any
) -> Desk:
    """Return the desk of the run after that, at READY, which finds these positions."""
    desk = Desk(**changes)
    desk.account = replace(desk.account, account_type=changes.get("account_type", desk.account.account_type))
    desk.hear(memory, ev.IntentsRestored(0, intents, START - 3600 * SECOND))
    desk.begin(*positions)
    return desk


def exit_of(
    number: int = 70, order_type: str = "market", volume: int = -TWICE, **fields: Any
) -> tuple[OrderSnapshot, Deal]:
    """Return the order and the deal that closed position 5."""
    order = OrderSnapshot(number, 1, volume, abs(volume), order_type, "filled", position_id=5, closing=True, **fields)
    executed_ns = START + (number - 1000) * SECOND
    deal = Deal(number + 1, number, 5, 1, volume, 1.09, Decimal(0), executed_ns, closed_volume_cents=abs(volume))
    return order, deal


def list_of(desk: Desk, *exits: tuple[OrderSnapshot, Deal], complete: bool = True, orders: bool = True) -> None:
    listed = tuple(order for order, _ in exits) if orders else ()
    held = tuple(desk.engine.portfolio.venue_positions())
    desk.hear(
        ev.Reconciled(desk.now_ns, held, ()),
        ev.OrderHistoryListed(desk.now_ns, 0, listed, tuple(deal for _, deal in exits), complete=complete),
    )


def live(desk: Desk, seconds: int = 5) -> Desk:
    for _ in range(seconds):
        desk.now_ns += SECOND
        desk.quote()
    return desk


def opened(desk: Desk) -> bool:
    return any(o.action == "open" for o in desk.lines("intended"))


@pytest.mark.parametrize("respect", [True, False])
@pytest.mark.parametrize("legs", [LEGS, BARE])
def test_the_lists_tell_a_leg_from_a_hand(respect: bool, legs: dict[str, Any]) -> None:
    for order_type in ("stop_loss_take_profit", "market"):
        desk = later(left(position(TWICE, **legs)), respect_manual_close=respect)
        assert opened(desk) == (not respect and not legs), "as after a drop: a guess, on the safe side of the config"
        list_of(desk, exit_of(order_type=order_type))
        if order_type == "stop_loss_take_profit":
            assert "protective_exit:EURUSD" in live(desk).reasons()
        elif respect:
            assert live(desk).reasons() == ("closed_by_hand:EURUSD",)
        else:
            assert opened(live(desk)) and desk.engine.hands_off == ()


def test_the_last_deal_that_closed_something_counts() -> None:
    leg, hand = exit_of(80, "stop_loss_take_profit", -800_000), exit_of(90, volume=-1_000_000)
    desk = later(left(position(TWICE, **LEGS)))
    list_of(desk, hand, leg)
    assert live(desk).reasons() == ("closed_by_hand:EURUSD",)
    leg = exit_of(95, "stop_loss_take_profit", -800_000)
    desk = later(left(position(TWICE, **LEGS)))
    list_of(desk, leg, hand)
    assert live(desk).reasons() == ("protective_exit:EURUSD",)


def test_what_is_as_it_was_or_larger_is_nothing_new_whatever_the_lists_say() -> None:
    """They repeat deals that the earlier run has seen, and that a person may have told it to pass over."""
    for volume in (TWICE, TWICE + 100_000):
        desk = later(left(position(TWICE, **LEGS)), position(volume, **LEGS))
        list_of(desk, exit_of(order_type="stop_loss_take_profit", volume=-500_000))
        assert live(desk).reasons() == ()


def test_a_close_of_an_earlier_run_that_is_still_open_in_its_ledger_is_ours() -> None:
    close = ev.OpenIntent("r0-3", 1, "close", -TWICE, "market", START - 60 * SECOND, position_id=5)
    desk = later(left(position(TWICE, **LEGS)), intents=(close,))
    assert desk.engine.hands_off == ()
    list_of(desk, exit_of(1000 - 60))
    assert desk.engine.hands_off == () and opened(live(desk))
    desk = later(left(position(TWICE, **LEGS)), intents=(close,))
    list_of(desk, exit_of(order_type="stop_loss_take_profit"))
    assert desk.engine.hands_off == ("EURUSD",), "the leg was first"


def test_an_open_order_that_cannot_have_closed_it_excuses_nothing() -> None:
    opening = ev.OpenIntent("r0-3", 1, "place", -500_000, "limit", START - 60 * SECOND)
    desk = later(left(position(TWICE, **LEGS)), intents=(opening,))
    assert desk.engine.hands_off == ("EURUSD",)


def test_lists_that_lack_something_leave_the_guess_and_the_question() -> None:
    desk = later(left(position(TWICE, **LEGS)), respect_manual_close=False)
    list_of(desk, complete=False)
    list_of(desk, exit_of(), orders=False, complete=False)
    assert live(desk).reasons() == ("protective_exit:EURUSD",)
    assert desk.engine.guard_memory()["positions"] == [[5, 1, TWICE, "microlev", True]], "for a run after this one"
    list_of(desk, exit_of())
    assert desk.engine.guard_memory()["positions"] == [] and opened(live(desk))


def test_complete_lists_that_do_not_tell_leave_the_guess_for_good() -> None:
    desk = later(left(position(TWICE, **LEGS)), respect_manual_close=False)
    list_of(desk)
    assert live(desk).reasons() == ("protective_exit:EURUSD",)
    assert desk.engine.guard_memory()["positions"] == []
    list_of(desk, exit_of())
    assert live(desk).reasons() == ("protective_exit:EURUSD",)


def test_a_leg_that_is_seen_meanwhile_outweighs_what_the_lists_say_of_another_position() -> None:
    other = replace(position(900_000, **LEGS), position_id=6)
    desk = later(left(position(900_000, **LEGS), other), other, respect_manual_close=False)
    order, deal = exit_of(300, "stop_loss_take_profit", -900_000)
    order, deal = replace(order, position_id=6), replace(deal, position_id=6)
    gone = replace(other, volume_cents=0)
    desk.hear(ev.ExecutionReported(desk.now_ns, "filled", None, order, deal, gone))
    list_of(desk, exit_of(volume=-900_000))
    assert live(desk).reasons() == ("protective_exit:EURUSD",)


def test_a_deal_of_a_position_that_an_earlier_run_has_left_is_told_as_of_ours() -> None:
    desk = later(left(position(TWICE, **LEGS)))
    list_of(desk, exit_of(order_type="stop_loss_take_profit"))
    [counted] = desk.lines("deals")
    assert (counted.cause, counted.is_own) == ("protection", True)


def test_what_a_person_passes_over_is_not_taken_up_again() -> None:
    desk = later(left(position(TWICE, **LEGS)))
    desk.hear(ev.CommandGiven(desk.now_ns, "resume"))
    list_of(desk, exit_of(order_type="stop_loss_take_profit"))
    assert desk.engine.hands_off == ()


def test_positions_of_others_of_another_account_or_of_a_symbol_not_traded_are_not_missed() -> None:
    memory = left(position(TWICE))
    for content in (
        {"positions": [[5, 1, TWICE, "another", True]]},
        {"positions": [[5, 77, TWICE, "microlev", True]]},
        {"account": [1, 2]},
    ):
        desk = later(ev.GuardRestored(0, memory.content | content))
        assert opened(desk), content


def test_what_is_held_is_worth_keeping_at_once() -> None:
    desk = Desk()
    decision = desk.begin()
    version = desk.engine.memory_version
    desk.fill(decision)
    assert desk.engine.memory_version > version
    [[_, *rest]] = desk.engine.guard_memory()["positions"]  # type: ignore[misc]
    assert rest == [1, desk.engine.portfolio.own_cents(1), "microlev", False]


@pytest.mark.parametrize(
    "wrong",
    [7, [7], [[5, 1]], [[5, 1, "1", "", True]], [[5, 1, 0, "", True]], [[5, 1, 1.0, "", True]], [[5, 1, 1, "", 1]]],
)
def test_what_no_run_has_written_is_refused(wrong: Any) -> None:
    memory = Desk().engine.guard_memory() | {"positions": wrong}
    with pytest.raises(ValueError, match="not positions that were left open"):
        Desk().engine.receive(ev.GuardRestored(0, memory))
