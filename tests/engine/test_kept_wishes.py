"""What owners want of orders that an earlier run has altered: kept, restored, and heeded only when it is certain."""

import json
from dataclasses import replace
from typing import Any

import pytest
from quote_desk import QuoteDesk
from test_foreign_resizer import begun, calm, managing_desk, paid, volumes

from bot.engine import events as ev
from bot.engine.kept_wishes import KeptWishes
from bot.execution.requests import AmendOrder
from bot.journal.inputs import decode_inputs, encode_inputs

EVERYTHING: dict[str, Any] = {
    "expires_ns": 1_800_000_000_123_000_000, "stop_loss": 1.01, "take_profit": 1.3000000000000003,
    "relative_stop_loss_e5": 70, "relative_take_profit_e5": 80, "slippage_points": 7, "trailing": True,
    "guaranteed": True, "trigger_method": "opposite",
}  # fmt: skip


def later_run(desk: QuoteDesk, **changes: Any) -> QuoteDesk:
    """Return the desk of a later run, which finds what rests at the venue of an earlier one."""
    restored = ev.GuardRestored(0, json.loads(json.dumps(desk.engine.guard_memory())))
    assert decode_inputs(encode_inputs([restored])) == [restored]
    later = managing_desk(**changes)
    later.now_ns, later.book, later.account = desk.now_ns, desk.book, desk.account
    later.hear(restored, ev.AccountLoaded(later.now_ns, later.account), later.loaded())
    later.hear(ev.Reconciled(later.now_ns, (), tuple(later.book.values())))
    later.quote()
    later.settled(later.hear(ev.ReadinessChanged(later.now_ns, ())))
    return later


@pytest.mark.parametrize("side", [1, -1])
def test_a_wish_is_restored_to_the_last_digit(side: int) -> None:
    desk = begun(managing_desk())
    order = desk.owner_rests(side * 9_000_000, **EVERYTHING)
    calm(desk)
    later = later_run(desk)
    (found,) = later.engine._bookkeeping.foreign.all()  # type: ignore[union-attr]
    assert found.wish == replace(order, volume_cents=side * 9_000_000)
    assert volumes(later) == [side * 1_700_000]
    assert later.engine.guard_memory()["wishes"] == desk.engine.guard_memory()["wishes"]
    paid(later, "100000", 2)
    assert volumes(calm(later)) == [side * 9_000_000]


@pytest.mark.parametrize("changed", [{"volume_cents": 1_600_000}, {"limit_price": 1.04}, {"trailing": True}])
def test_what_is_neither_as_seen_nor_as_asked_is_the_wish_as_a_whole(changed: dict[str, Any]) -> None:
    desk = begun(managing_desk())
    order = desk.owner_rests(9_000_000)
    calm(desk)
    desk.book[order.order_id] = found = replace(desk.book[order.order_id], **changed)
    later = later_run(desk)
    paid(later, "100000", 2)
    calm(later)
    assert later.book == {order.order_id: found}


def test_an_amend_of_the_earlier_run_that_is_carried_out_late_is_no_wish_of_the_owners() -> None:
    desk = begun(managing_desk())
    order = desk.owner_rests(9_000_000)
    calm(desk)
    paid(desk, "5000", 2)
    (request,) = desk.later(1).requests  # it has been sent, and the venue is slow
    assert isinstance(request, AmendOrder)
    later = later_run(desk)
    late = replace(later.book[order.order_id], volume_cents=request.volume_cents)
    later.book[order.order_id] = late
    later.hear(later.says("replaced", late))
    (found,) = later.engine._bookkeeping.foreign.all()  # type: ignore[union-attr]
    assert found.wish.volume_cents == 9_000_000


def test_a_part_that_fills_while_no_bot_runs_is_no_change_of_the_order() -> None:
    desk = begun(managing_desk())
    order = desk.owner_rests(9_000_000, limit_price=1.1)
    calm(desk)
    desk.book[order.order_id] = replace(desk.book[order.order_id], executed_cents=700_000)
    (found,) = later_run(desk).engine._bookkeeping.foreign.all()  # type: ignore[union-attr]
    assert found.wish_left_cents == 8_300_000


def test_only_orders_that_were_altered_are_kept_and_not_those_of_another_account() -> None:
    desk = begun(managing_desk())
    desk.owner_rests(1_000_000)
    calm(desk)
    assert desk.engine.guard_memory()["wishes"] == []
    desk.owner_rests(9_000_000)
    calm(desk)
    assert len(desk.engine.guard_memory()["wishes"]) == 2  # type: ignore[arg-type]
    desk.account = replace(desk.account, account_id=8)
    later = later_run(desk)
    assert [f.wish.volume_cents for f in later.engine._bookkeeping.foreign.all()] == volumes(later)  # type: ignore[union-attr]


def test_what_is_kept_is_bounded() -> None:
    shape = {"volume_cents": 100}
    plain = [{"order_id": i, "own_id": None, "wish": shape, "seen": shape, "asked": None} for i in range(700)]
    kept = KeptWishes()
    kept.restore(plain)
    assert kept.content(()) == plain[-500:]


@pytest.mark.parametrize(
    "wrong",
    [
        7, [7], [{}], {"order_id": 1},
        [{"order_id": "1", "own_id": None, "wish": {"volume_cents": 1}, "seen": {"volume_cents": 1}, "asked": None}],
        [{"order_id": 1, "own_id": None, "wish": {"volume_cents": 1.5}, "seen": {"volume_cents": 1}, "asked": None}],
        [{"order_id": 1, "own_id": None, "wish": {"volume_cents": True}, "seen": {"volume_cents": 1}, "asked": None}],
        [{"order_id": 1, "own_id": None, "wish": {"trailing": True}, "seen": {"volume_cents": 1}, "asked": None}],
        [{"order_id": 1, "own_id": None, "wish": {"volume_cents": 1, "hue": 1}, "seen": {}, "asked": None}],
        [{"order_id": 1, "own_id": None, "wish": {"volume_cents": 1}, "seen": {"volume_cents": 0}, "asked": None}],
    ],
)  # fmt: skip
def test_what_no_run_has_written_is_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match="not the wishes of owners"):
        KeptWishes().restore(wrong)
    memory = managing_desk().engine.guard_memory() | {"wishes": wrong}
    with pytest.raises(ValueError, match="not the wishes of owners"):
        managing_desk().engine.receive(ev.GuardRestored(0, memory))
