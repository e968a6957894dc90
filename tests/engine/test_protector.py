"""Protection of our positions: with an order, after the entry moved, after a restart; refused, unknown, reached."""

import json
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from engine_desk import EURUSD, LIMITS, SECOND, Desk, position
from quote_desk import QuoteDesk

from bot.account.position import Deal, Position
from bot.engine import events as ev
from bot.engine.decision import Decision
from bot.execution.orders import OrderSnapshot
from bot.execution.plan import OrderStyle
from bot.execution.protection import Protection
from bot.execution.requests import ClosePosition, PlaceOrder, ProtectPosition
from bot.journal.inputs import decode_inputs, encode_inputs

STYLE = OrderStyle("market_range", 2.0, "microlev", protection=Protection(stop_loss_bps=50, take_profit_bps=100))
TWICE = 1_800_000  # 2x of ten thousand at 1.1, on the volume grid


def desk_of(**changes: Any) -> Desk:
    return Desk(**({"style": STYLE} | changes))


def protecting(desk: Desk, **changes: Any) -> tuple[Desk, Decision]:
    """Return the desk at READY with a position at its target that has these legs."""
    return desk, desk.begin(position(TWICE, **changes))


def amendments(desk: Desk) -> list[ProtectPosition]:
    return [r for r in desk.lines("requests") if isinstance(r, ProtectPosition)]


def live(desk: Desk, seconds: int) -> None:
    """Let time pass with a quote a second."""
    for _ in range(seconds):
        desk.now_ns += SECOND
        desk.quote()


def carried_out(desk: Desk, request: ProtectPosition) -> Decision:
    held = desk.engine.portfolio.position(request.position_id)
    assert held is not None
    after = replace(held, stop_loss=request.stop_loss, take_profit=request.take_profit)
    return desk.hear(ev.ExecutionReported(desk.now_ns, "replaced", request.client_order_id, position=after))


def states(desk: Desk) -> list[tuple[str, str]]:
    return [(c.order.action, c.state) for c in desk.lines("order_changes")]


def test_an_order_that_opens_carries_both_legs_and_one_that_increases_carries_none() -> None:
    desk = desk_of()
    opened = desk.begin().requests[0]
    assert isinstance(opened, PlaceOrder)
    assert (opened.relative_stop_loss_e5, opened.relative_take_profit_e5) == (550, 1100)
    other = desk_of()
    increase = other.begin(position(900_000, stop_loss=1.0945, take_profit=1.111)).requests[0]
    assert isinstance(increase, PlaceOrder) and increase.position_id == 5
    assert (increase.relative_stop_loss_e5, increase.relative_take_profit_e5) == (None, None)


def test_without_protection_in_the_config_nothing_is_sent() -> None:
    desk = Desk()
    desk.begin(position(TWICE))
    desk.wait(30)
    assert not desk.lines("intended")


def test_a_position_found_without_protection_gets_both_legs_in_one_amendment() -> None:
    desk, first = protecting(desk_of())
    (order,), (request,) = first.intended, first.requests
    assert request == ProtectPosition(order.client_order_id, 1, 5, 1.0945, 1.111)
    assert (order.action, order.side, order.order_type, order.position_id) == ("amend", "sell", "stop", 5)
    assert order.volume_cents == TWICE
    assert "stop loss 1.09450, take profit 1.11100" in order.reason
    desk.wait(3)
    assert len(amendments(desk)) == 1, "one on its way"
    carried_out(desk, request)
    desk.wait(30)
    assert len(amendments(desk)) == 1
    assert states(desk) == [("amend", "sent"), ("amend", "replaced")]


def test_a_tighter_stop_of_a_person_is_kept_when_the_target_is_added() -> None:
    desk, first = protecting(desk_of(), stop_loss=1.098)
    assert first.requests == (ProtectPosition(first.intended[0].client_order_id, 1, 5, 1.098, 1.111),)
    carried_out(desk, amendments(desk)[0])
    desk.wait(30)
    assert len(amendments(desk)) == 1


def test_a_trailing_stop_is_left_alone() -> None:
    desk, _ = protecting(desk_of(), stop_loss=1.09, is_trailing=True)
    desk.wait(10)
    assert not amendments(desk)


def test_after_an_increase_in_place_both_legs_follow_the_entry() -> None:
    desk = desk_of()
    first = desk.begin(position(900_000, price=1.096, stop_loss=1.09052, take_profit=1.10696))
    (place,) = first.requests
    assert isinstance(place, PlaceOrder), "while it is on its way nothing else is sent"
    desk.hear(*desk.answers(place))
    (request,) = amendments(desk)
    held = desk.engine.portfolio.position(5)
    assert held is not None and held.price == pytest.approx(1.098)
    assert request.stop_loss == pytest.approx(held.price * 0.995, abs=1e-5)
    assert request.take_profit is not None and request.take_profit == pytest.approx(held.price * 1.01, abs=1e-5)


def test_a_refused_amendment_is_tried_again_with_longer_pauses_and_told_once() -> None:
    desk, _ = protecting(desk_of())
    times = [desk.now_ns]
    for _ in range(4):
        last = amendments(desk)[-1]
        code = "PROTECTION_IS_TOO_CLOSE_TO_MARKET"
        desk.hear(ev.RequestRefused(desk.now_ns, last.client_order_id, code))
        count = len(amendments(desk))
        while len(amendments(desk)) == count:
            live(desk, 1)
        times.append(desk.now_ns)
    gaps = [(b - a) / SECOND for a, b in pairwise(times)]
    assert gaps == [1, 2, 4, 8]
    told = [d.state.reasons for d in desk.decisions if d.state is not None]
    assert told.count(("unprotected:EURUSD",)) == 1
    carried_out(desk, amendments(desk)[-1])
    live(desk, 1)
    assert desk.reasons() == ()
    ids = [request.client_order_id for request in amendments(desk)]
    assert len(set(ids)) == len(ids)


def test_an_amendment_without_an_answer_is_unknown_and_its_symbol_waits_for_the_lists() -> None:
    desk, _ = protecting(desk_of())
    desk.wait(11)
    assert states(desk)[-1] == ("amend", "unknown")
    assert "unknown_order:EURUSD" in desk.reasons()
    before = len(desk.lines("intended"))
    desk.wait(5)
    assert len(desk.lines("intended")) == before
    asked = [type(r).__name__ for r in desk.lines("requests")]
    assert "ResolveOrders" in asked
    desk.answer_history(positions=(position(TWICE, stop_loss=1.0945, take_profit=1.111),))
    assert states(desk)[-1] == ("amend", "resolved")
    desk.wait(20)
    assert len(amendments(desk)) == 1, "the lists say that it was carried out"


def test_a_lost_connection_leaves_it_unknown_and_a_position_still_bare_is_protected_anew() -> None:
    desk, _ = protecting(desk_of())
    desk.hear(ev.ReadinessChanged(desk.now_ns, ("disconnected",)))
    assert states(desk)[-1] == ("amend", "unknown")
    desk.hear(ev.Reconciled(desk.now_ns, (position(TWICE),), ()))
    desk.quote()
    desk.hear(ev.ReadinessChanged(desk.now_ns, ()))
    desk.wait(2)
    desk.answer_history(positions=(position(TWICE),))
    desk.wait(5)
    desk.quote()
    assert len(amendments(desk)) == 2


def test_it_counts_towards_the_order_rate_and_is_not_refused_by_it() -> None:
    limits = replace(LIMITS, max_orders_per_minute=1)
    desk = desk_of(risk_limits=limits)
    first = desk.begin(position(900_000))
    sent = [type(r).__name__ for r in first.requests]
    assert sent == ["PlaceOrder"]
    desk.hear(*desk.answers(first.requests[0]))
    assert len(amendments(desk)) == 1
    assert desk.engine._guard.sent_last_minute(desk.now_ns) == 2


def test_a_stop_beyond_the_market_is_not_sent_and_said() -> None:
    desk, _ = protecting(desk_of(), price=1.108)
    assert amendments(desk) == [ProtectPosition(amendments(desk)[0].client_order_id, 1, 5, None, 1.11908)]
    assert "unprotected:EURUSD" in desk.reasons()
    carried_out(desk, amendments(desk)[0])
    desk.wait(3)
    assert len(amendments(desk)) == 1
    for _ in range(3):
        desk.now_ns += SECOND
        desk.quote(mid_e5=110_400)
    assert amendments(desk)[-1].stop_loss == 1.10246, "as soon as the market allows it"


def test_a_distance_that_the_broker_does_not_allow_is_widened_and_said() -> None:
    desk = desk_of()
    spec = replace(EURUSD, stop_distance=1000)
    desk.hear(
        ev.AccountLoaded(desk.now_ns, desk.account),
        desk.loaded(spec),
        ev.Reconciled(desk.now_ns, (position(TWICE),), ()),
        ev.ReadinessChanged(desk.now_ns, ("subscribing",)),
    )  # fmt: skip
    desk.quote()
    desk.hear(ev.ReadinessChanged(desk.now_ns, ()))
    assert amendments(desk)[0].stop_loss == 1.08999, "a thousand points below the bid"
    assert "protection_distance:EURUSD" in desk.reasons()


def exit_events(desk: Desk, held: Position, order_type: str) -> list[ev.Event]:
    order = OrderSnapshot(
        900, 1, -held.volume_cents, held.volume_cents, order_type, "filled", position_id=held.position_id,
        label="microlev", closing=True, execution_price=1.0945,
    )  # fmt: skip
    deal = Deal(901, 900, held.position_id, 1, -held.volume_cents, 1.0945, Decimal(0), desk.now_ns, held.volume_cents)
    gone = replace(held, volume_cents=0)
    return [ev.ExecutionReported(desk.now_ns, "filled", None, order, deal, gone)]


@pytest.mark.parametrize("respect", [True, False])
def test_after_a_protective_exit_the_symbol_waits_whatever_is_configured_for_closes_by_hand(respect: bool) -> None:
    desk, _ = protecting(desk_of(respect_manual_close=respect), stop_loss=1.0945, take_profit=1.111)
    held = desk.engine.portfolio.position(5)
    assert held is not None
    desk.hear(*exit_events(desk, held, "stop_loss_take_profit"))
    live(desk, 30)
    assert desk.reasons() == ("protective_exit:EURUSD",)
    assert not desk.lines("intended")


def test_a_leg_that_is_reached_while_a_close_of_ours_is_on_its_way_is_no_fill_of_ours() -> None:
    desk, _ = protecting(desk_of(), stop_loss=1.0945, take_profit=1.111)
    desk.now_ns += 2 * SECOND
    reduction = desk.pay("-5000", 2)
    assert [type(r).__name__ for r in reduction.requests] == ["ClosePosition"]
    held = desk.engine.portfolio.position(5)
    assert held is not None
    desk.hear(*exit_events(desk, held, "stop_loss_take_profit"))
    (request,) = reduction.requests
    assert isinstance(request, ClosePosition)
    desk.hear(ev.RequestRefused(desk.now_ns, request.client_order_id, "POSITION_NOT_FOUND", position_id=5))
    desk.answer_history()
    live(desk, 5)
    desk.answer_history()
    live(desk, 20)
    assert desk.reasons() == ("protective_exit:EURUSD",)
    assert len(desk.lines("intended")) == 1


@pytest.mark.parametrize("kind", ["stop_loss_take_profit", "market"])
def test_the_next_run_keeps_its_hands_off_until_a_person_says_resume(kind: str) -> None:
    desk, _ = protecting(desk_of(), stop_loss=1.0945, take_profit=1.111)
    held = desk.engine.portfolio.position(5)
    assert held is not None
    version = desk.engine.memory_version
    desk.hear(*exit_events(desk, held, kind))
    assert desk.engine.memory_version > version, "worth keeping at once"
    restored = ev.GuardRestored(0, json.loads(json.dumps(desk.engine.guard_memory())))
    assert decode_inputs(encode_inputs([restored])) == [restored]
    later = desk_of()
    later.hear(restored)
    assert later.engine.guard_memory()["hands_off"] == [1], "not lost by a run that ends before its symbols come"
    later.begin()
    live(later, 5)
    assert later.reasons() == desk.reasons() and not later.lines("intended")
    assert later.engine.guard_memory() | {"loss": 0, "transfers": 0} == desk.engine.guard_memory() | {
        "loss": 0, "transfers": 0,
    }  # fmt: skip
    later.hear(ev.CommandGiven(later.now_ns, "resume"))
    assert [o.action for o in later.lines("intended")] == ["open"]
    assert later.engine.guard_memory()["hands_off"] == []


def test_a_hands_off_of_another_account_or_of_a_symbol_not_traded_is_not_heeded() -> None:
    for content in ({"account": None, "hands_off": [77]}, {"account": [1, 2], "hands_off": [1]}):
        memory = Desk().engine.guard_memory() | content
        desk = desk_of()
        desk.hear(ev.GuardRestored(0, memory))
        desk.begin()
        assert [o.action for o in desk.lines("intended")] == ["open"]


def test_with_reopen_a_protected_position_that_is_gone_after_a_drop_is_not_opened_again() -> None:
    desk, _ = protecting(desk_of(respect_manual_close=False), stop_loss=1.0945, take_profit=1.111)
    desk.hear(ev.ReadinessChanged(desk.now_ns, ("disconnected",)))
    desk.now_ns += 2 * SECOND
    desk.begin()
    live(desk, 10)
    assert "protective_exit:EURUSD" in desk.reasons() and not desk.lines("intended")


def test_a_close_by_hand_is_still_one() -> None:
    desk, _ = protecting(desk_of(), stop_loss=1.0945, take_profit=1.111)
    held = desk.engine.portfolio.position(5)
    assert held is not None
    desk.hear(*exit_events(desk, held, "market"))
    assert desk.reasons() == ("closed_by_hand:EURUSD",)


def test_a_symbol_that_hands_are_kept_off_is_not_protected_anew() -> None:
    desk, _ = protecting(desk_of(), stop_loss=1.0945, take_profit=1.111)
    desk.hear(ev.Reconciled(desk.now_ns, (position(900_000),), ()))
    desk.wait(10)
    assert not amendments(desk)


def test_a_resting_quote_that_opens_carries_both_legs_from_its_own_price() -> None:
    desk = QuoteDesk(style=STYLE)
    desk.begin()
    for _ in range(3):
        desk.now_ns += SECOND
        desk.quote()
    placed = [r for r in desk.lines("requests") if isinstance(r, PlaceOrder) and r.order_type == "limit"]
    assert placed
    for request in placed:
        assert request.limit_price is not None
        assert request.relative_stop_loss_e5 == pytest.approx(request.limit_price * 500, abs=1)
        assert request.relative_take_profit_e5 == pytest.approx(request.limit_price * 1000, abs=1)


@pytest.mark.parametrize(
    ("first", "then"), [(1.0945, 1.097), (1.09, 1.0925)], ids=["nearer than ours", "farther than ours"]
)
@pytest.mark.parametrize("is_told", [True, False], ids=["its setting told", "its setting lost"])
def test_a_stop_that_the_broker_trails_is_known_and_never_put_back(is_told: bool, first: float, then: float) -> None:
    """The owner has set it; each step of it is told, and none is a reason to place ours again."""
    desk, _ = protecting(desk_of(), stop_loss=1.0945, take_profit=1.111)
    held = desk.engine.portfolio.position(5)
    assert held is not None and not amendments(desk)
    if is_told:
        placed = replace(held, stop_loss=first, is_trailing=True)
        desk.hear(ev.ExecutionReported(desk.now_ns, "replaced", position=placed))
    for step in range(5):
        stop = round(first + step * (then - first) / 4, 5)
        desk.hear(ev.StopTrailed(desk.now_ns, 5, 77, stop, desk.now_ns))
        found = desk.engine.portfolio.position(5)
        assert found == replace(held, stop_loss=stop, is_trailing=True)
        live(desk, 2)
    assert not amendments(desk)
    # When its owner makes it stand still it is a stop of a person: kept where it is nearer, moved where it is not.
    stands = replace(held, stop_loss=then)
    desk.hear(ev.ExecutionReported(desk.now_ns, "replaced", position=stands))
    live(desk, 2)
    assert [r.stop_loss for r in amendments(desk)] == ([] if then > 1.0945 else [1.0945])


def test_a_trailing_stop_of_a_position_that_is_not_known_is_passed_over() -> None:
    desk, _ = protecting(desk_of(), stop_loss=1.0945, take_profit=1.111)
    desk.hear(ev.StopTrailed(desk.now_ns, 6, 77, 1.1, desk.now_ns))
    assert [p.position_id for p in desk.engine.portfolio.positions()] == [5]
