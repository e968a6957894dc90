"""What an earlier run left open starts as unknown, and only the venue's lists say what became of it."""

from dataclasses import replace

import pytest
from engine_desk import SECOND, SPECS, Desk, position

from bot.engine import events as ev
from bot.execution.orders import OrderSnapshot
from bot.execution.requests import ClosePosition, PlaceOrder, ResolveOrders
from bot.journal.inputs import decode_inputs, encode_inputs

OPEN = ev.OpenIntent("r0-7", 1, "open", 1_500_000, "market_range", 0)


def restored(desk: Desk, *intents: ev.OpenIntent, since_ns: int | None = None) -> None:
    event = ev.IntentsRestored(desk.now_ns, intents, since_ns)
    assert decode_inputs(encode_inputs([event])) == [event]
    desk.hear(event)


def started(*intents: ev.OpenIntent, since_ns: int | None = None, positions: tuple[object, ...] = ()) -> Desk:
    desk = Desk()
    restored(desk, *(replace(i, created_ns=desk.now_ns - 30 * SECOND) for i in intents), since_ns=since_ns)
    desk.begin(*positions)  # type: ignore[arg-type]
    return desk


def states(desk: Desk) -> list[tuple[str, str]]:
    return [(c.order.client_order_id, c.state) for c in desk.lines("order_changes")]


def trades(desk: Desk) -> list[object]:
    return [r for r in desk.lines("requests") if isinstance(r, PlaceOrder | ClosePosition)]


def snapshot(**fields: object) -> OrderSnapshot:
    given = {"client_order_id": "r0-7", "position_id": 5, "label": "microlev"} | fields
    return OrderSnapshot(55, 1, 1_500_000, 0, "market_range", "filled", **given)  # type: ignore[arg-type]


def test_its_symbol_stays_closed_until_the_lists_have_answered_and_then_for_a_while() -> None:
    desk = started(OPEN)
    assert states(desk) == [("r0-7", "unknown")]
    assert trades(desk) == [] and "unknown_order:EURUSD" in desk.reasons()
    [question] = [r for r in desk.lines("requests") if isinstance(r, ResolveOrders)]
    assert question.from_ns <= desk.now_ns - 30 * SECOND
    desk.now_ns += SECOND
    desk.quote()
    held = position(1_500_000)
    done = replace(snapshot(), executed_cents=1_500_000, execution_price=1.1)
    desk.answer_history((done,), (held,))
    assert states(desk)[-1] == ("r0-7", "filled")
    assert trades(desk) == []
    desk.now_ns += 4 * SECOND
    [order] = desk.quote().requests
    assert isinstance(order, PlaceOrder) and order.position_id == 5, "what is missing is added to what it opened"


def test_one_the_venue_never_saw_is_resolved_after_a_second_look_and_decided_anew() -> None:
    desk = started(OPEN)
    desk.answer_history()
    assert states(desk)[-1] == ("r0-7", "unknown"), "the lists may lag"
    desk.wait(4)
    desk.answer_history()
    assert states(desk)[-1] == ("r0-7", "resolved")
    desk.wait(2)
    [again] = trades(desk) or [r for r in desk.quote().requests if isinstance(r, PlaceOrder)]
    assert isinstance(again, PlaceOrder) and again.client_order_id != "r0-7"


def test_a_close_is_recognised_by_position_volume_and_time() -> None:
    close = ev.OpenIntent("r0-8", 1, "reduce", -500_000, "market", 0, position_id=5)
    desk = started(close, positions=(position(1_500_000),))
    order = OrderSnapshot(56, 1, -500_000, 500_000, "market", "filled", position_id=5, closing=True)
    desk.answer_history((order,), (position(1_500_000),))
    assert states(desk) == [("r0-8", "unknown"), ("r0-8", "filled")]


def test_a_resting_order_that_still_works_is_taken_over() -> None:
    place = ev.OpenIntent("r0-9", 1, "place", 1_000_000, "limit", 0)
    desk = Desk()
    restored(desk, place)
    working = OrderSnapshot(57, 1, 1_000_000, 0, "limit", "accepted", "r0-9", 5, "microlev", limit_price=1.09)
    desk.hear(ev.AccountLoaded(desk.now_ns, desk.account), desk.loaded(), ev.Reconciled(desk.now_ns, (), (working,)))
    assert states(desk) == [("r0-9", "unknown"), ("r0-9", "accepted")]
    [order] = desk.engine._orders.resting.of_symbol(0)
    assert (order.order_id, order.limit_price, order.left_cents) == (57, 1.09, 1_000_000)


@pytest.mark.parametrize("action", ["amend", "cancel"])
def test_a_change_of_an_order_is_settled_by_the_list_of_working_ones(action: str) -> None:
    desk = Desk()
    restored(desk, ev.OpenIntent("r0-3", 1, action, 1_000_000, "limit", desk.now_ns))
    assert states(desk) == []
    desk.begin()
    assert ("r0-3", "resolved") in states(desk)


def test_an_order_in_a_symbol_that_is_not_traded_any_more_is_followed_too() -> None:
    desk = started(replace(OPEN, symbol_id=77))
    assert states(desk)[0] == ("r0-7", "unknown")
    assert trades(desk), "the traded symbol is not held up by it"
    found = OrderSnapshot(60, 77, 1_500_000, 1_500_000, "market", "filled", "r0-7", 9, "microlev")
    desk.answer_history((found,))
    assert ("r0-7", "filled") in states(desk)


def test_one_that_rests_in_a_symbol_that_is_not_traded_any_more_takes_no_room_of_others() -> None:
    desk = started(ev.OpenIntent("r0-9", 77, "place", 100_000_000, "limit", 0))
    assert [getattr(r, "volume_cents", 0) for r in trades(desk)] == [1_800_000]


def test_deals_since_the_last_one_known_are_listed_once_at_the_start() -> None:
    since = Desk().now_ns - 3 * 3600 * SECOND
    desk = started(since_ns=since)
    desk.answer_history()
    desk.wait(20)
    asked = [r for r in desk.lines("requests") if isinstance(r, ResolveOrders)]
    assert [r.from_ns <= since for r in asked].count(True) == 1


def test_until_a_complete_list_has_come_that_is_how_far_they_have_told() -> None:
    """A run that died in between, or an answer that lacked something, hid deals from the bot for ever."""
    since = Desk().now_ns - 3 * 3600 * SECOND
    desk = Desk()
    restored(desk, since_ns=since)
    assert desk.engine.listed_to_ns == since, "as a run leaves it that is killed before READY"
    desk.fill(desk.begin())
    desk.hear(ev.Reconciled(desk.now_ns, tuple(desk.engine.portfolio.positions()), ()))
    desk.hear(ev.OrderHistoryListed(desk.now_ns, 0, (), (), complete=False))
    assert desk.engine.listed_to_ns == since
    for _ in range(70):
        desk.now_ns += SECOND
        desk.quote()
    first, *more = [r for r in desk.lines("requests") if isinstance(r, ResolveOrders)]
    assert more and {r.from_ns for r in more} == {first.from_ns}
    begun_ns = desk.now_ns
    desk.answer_history(positions=tuple(desk.engine.portfolio.positions()))
    assert since < (desk.engine.listed_to_ns or 0) <= begun_ns


def test_a_reconcile_that_differs_is_told_and_believed() -> None:
    desk = Desk()
    desk.fill(desk.begin())
    [held] = desk.engine.portfolio.positions()
    desk.hear(ev.Reconciled(desk.now_ns, (replace(held, volume_cents=700_000),), ()))
    desk.hear()
    [notice] = desk.lines("notices")
    assert (notice.code, notice.symbol) == ("difference", "EURUSD")
    assert (
        f"position {held.position_id} of ours: we held {held.volume_cents / 100:g} units, the venue has 7000"
        in notice.text
    )
    assert desk.engine.portfolio.own_cents(1) == 700_000
    desk.hear(ev.Reconciled(desk.now_ns, (replace(held, volume_cents=700_000),), ()))
    desk.hear()
    assert len(desk.lines("notices")) == 1, "one that agrees is no news"


def test_what_another_account_has_left_is_not_heeded() -> None:
    """A simulator's account ids recur; when the account was opened tells them apart."""
    before = Desk(max_drawdown_frac=0.02, max_daily_loss_frac=0.9)
    before.account = replace(before.account, opened_ns=1)
    before.fill(before.begin())
    before.now_ns += SECOND
    before.quote(mid_e5=108_500)
    assert before.engine.trading == "halted"
    content = before.engine._guard.memory()
    for opened_ns, trading in ((1, "halted"), (2, "active")):
        desk = Desk()
        desk.account = replace(desk.account, opened_ns=opened_ns)
        restored(desk, replace(OPEN, created_ns=desk.now_ns), since_ns=desk.now_ns - SECOND)
        desk.hear(ev.GuardRestored(desk.now_ns, content))
        desk.begin()
        assert desk.engine.trading == trading
        assert [n.code for n in desk.lines("notices")] == ([] if opened_ns == 1 else ["other_account"])
        assert states(desk)[0] == ("r0-7", "unknown" if opened_ns == 1 else "resolved")
        assert any(isinstance(r, ResolveOrders) for r in desk.lines("requests")) == (opened_ns == 1)
        assert bool(trades(desk)) == (opened_ns == 2)


def test_what_an_earlier_run_has_sent_in_the_last_minute_counts_towards_the_order_rate() -> None:
    for count, sent in ((30, False), (29, True)):
        desk = Desk()
        times = tuple(desk.now_ns - n * SECOND for n in range(count))
        event = ev.IntentsRestored(desk.now_ns, (), None, times)
        assert decode_inputs(encode_inputs([event])) == [event]
        desk.hear(event)
        desk.begin()
        assert bool(trades(desk)) == sent
        if not sent:
            assert desk.lines("refused")[-1].check == "order_rate"
            desk.now_ns += 61 * SECOND
            assert any(isinstance(r, PlaceOrder) for r in desk.quote().requests)


def test_what_a_person_has_said_before_the_account_came_is_heeded_whosever_the_ledger_is() -> None:
    before = Desk()
    before.account = replace(before.account, opened_ns=1)
    before.begin()
    desk = Desk()
    desk.account = replace(desk.account, opened_ns=2)
    desk.hear(ev.GuardRestored(desk.now_ns, before.engine._guard.memory()), ev.CommandGiven(desk.now_ns, "halt"))
    desk.begin()
    assert desk.engine.trading == "halted"


def test_one_in_a_symbol_that_is_loaded_and_no_longer_traded_is_told_like_any_other() -> None:
    """Its name was looked up among the traded symbols alone, and the run ended in an error."""
    desk = Desk()
    restored(desk, replace(OPEN, symbol_id=2))
    desk.hear(
        ev.AccountLoaded(desk.now_ns, desk.account),
        desk.loaded(SPECS["EURUSD"], SPECS["USDJPY"], traded=1),
        ev.Reconciled(desk.now_ns, (), ()),
        ev.ReadinessChanged(desk.now_ns, ()),
    )
    assert "unknown_order:USDJPY" in desk.reasons()
