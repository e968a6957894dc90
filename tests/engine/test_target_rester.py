"""Targets approached by limit orders that rest: where they rest, what moves them, what takes them back."""

import math
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from engine_desk import QUICK, SECOND, position
from quote_desk import FAST, QuoteDesk

import strategies
from bot.engine import events as ev
from bot.engine.settings import SymbolChoice
from bot.engine.target_rester import PATIENCE_S
from bot.execution.plan import OrderStyle
from bot.execution.protection import Protection
from bot.execution.requests import AmendOrder, CancelOrder, ClosePosition, PlaceOrder

LIMIT = OrderStyle("limit", 2.0, "microlev")


def resting_desk(*, direction: str = "long", netted: bool = False, **changes: Any) -> QuoteDesk:
    """Return a desk that wants 2x EURUSD by limit orders; its touch is 16 points wide."""
    wanted: dict[str, Any] = {
        "strategy": strategies.load("constant", {}),
        "symbols": (SymbolChoice("EURUSD", direction, 1.0),),
        "style": LIMIT,
    }
    desk = QuoteDesk(**(wanted | changes))
    if netted:
        desk.account = replace(desk.account, account_type="NETTED")
    return desk


def begun(desk: QuoteDesk, *positions: Any) -> QuoteDesk:
    desk.settle(desk.begin(*positions))
    desk.settle(desk.later(0.3, half_e5=8))
    return desk


def set_balance(desk: QuoteDesk, balance: str, version: int) -> Any:
    """Let the owner pay in or out until the balance is this."""
    change = Decimal(balance) - (desk.engine.portfolio.balance or 0)
    return desk.pay(str(change), version)


def test_growth_rests_at_the_near_touch_and_nothing_goes_to_the_market() -> None:
    desk = resting_desk()
    decision = desk.begin()
    (request,) = decision.requests
    assert isinstance(request, PlaceOrder)
    assert (request.order_type, request.limit_price, request.volume_cents) == ("limit", 1.09999, 1_800_000)
    assert (request.position_id, request.label) == (None, "microlev")
    (line,) = decision.intended
    assert (line.action, line.side, line.order_type, line.predicted_slippage_bps) == ("place", "buy", "limit", None)
    assert line.reason == "constant: +0.00x -> +2.00x; rests to buy at 1.09999"
    assert line.margin_after == pytest.approx(18_000 * 1.1 / 500)


def test_a_sale_rests_at_the_ask() -> None:
    (request,) = resting_desk(direction="short").begin().requests
    assert (request.limit_price, request.volume_cents) == (1.10001, -1_800_000)


def test_it_follows_a_market_that_runs_away_and_never_goes_back() -> None:
    desk = begun(resting_desk())
    (order,) = desk.book.values()
    rested_at = desk.price(1)
    desk.settle(desk.later(4, half_e5=8, mid_e5=110_012))
    assert desk.price(1) == 1.10004 > rested_at
    desk.settle(desk.later(4, half_e5=8, mid_e5=109_990))
    assert desk.price(1) == 1.10004, "the nearer price is kept: it is the better place"
    assert len(desk.book) == 1 and order.order_id in desk.book


def test_less_than_half_a_spread_is_not_followed_before_its_patience_is_over() -> None:
    desk = begun(resting_desk())
    start, at = desk.now_ns, desk.price(1)
    while desk.now_ns < start + (PATIENCE_S - 2) * SECOND:
        desk.settle(desk.later(1, half_e5=8, mid_e5=110_000 + (3 if desk.price(1) > 1.0999 else 0)))
    assert desk.price(1) - at < 4e-5
    desk.settle(desk.later(4, half_e5=8, mid_e5=110_003))
    assert desk.price(1) == pytest.approx(1.10003), "half way between 1.09995 and 1.10011"
    for _ in range(40):
        desk.settle(desk.later(4, half_e5=8, mid_e5=110_003))
    assert desk.price(1) == pytest.approx(1.10010), "a tick short of the ask, and no nearer"


def test_a_part_that_has_filled_is_not_asked_for_again() -> None:
    desk = begun(resting_desk())
    desk.hear(*desk.fills(1, 0.5))
    for _ in range(8):
        desk.settled(desk.later(1, half_e5=8))
    assert [(o.volume_cents, o.executed_cents) for o in desk.book.values()] == [(1_800_000, 900_000)]
    desk.hear(*desk.fills(1))
    for _ in range(8):
        desk.settled(desk.later(1, half_e5=8))
    assert desk.book == {}
    assert desk.held == pytest.approx(1.98, abs=0.005)
    assert [o.action for o in desk.lines("intended") if o.action != "amend"] == ["place"]


@pytest.mark.parametrize("netted", [False, True], ids=["hedged", "netted"])
def test_an_ordinary_reduction_rests_too_and_on_a_hedged_account_closes_its_position(netted: bool) -> None:
    desk = begun(resting_desk(netted=netted), position(1_800_000))
    decision = set_balance(desk, "5000", 2)
    asked = [*decision.requests, *desk.later(1, half_e5=8).requests]
    (request,) = [r for r in asked if isinstance(r, PlaceOrder)]
    assert (request.order_type, request.volume_cents) == ("limit", -800_000)
    assert request.limit_price == pytest.approx(1.10008)
    assert request.position_id == (None if netted else 5)


def test_a_close_is_exact_and_a_flip_rests_only_when_the_other_side_is_gone() -> None:
    desk = begun(resting_desk(direction="short"), position(1_234_567))
    (order,) = desk.book.values()
    assert (order.volume_cents, order.closing) == (-1_234_567, True)
    desk.settled(desk.hear(*desk.fills(-1)))
    (order,) = desk.book.values()
    assert (order.volume_cents, order.closing) == (-1_800_000, False)


def test_a_broken_limit_goes_to_the_market_after_what_rests_is_taken_back() -> None:
    desk = begun(resting_desk())
    (order,) = desk.book.values()
    desk.hear(*desk.fills(1, 0.5))
    held = position(9_000_000, position_id=6)
    desk.hear(ev.Reconciled(desk.now_ns, (*desk.engine.portfolio.positions(), held), tuple(desk.book.values())))
    decision = desk.decisions[-1]
    kinds = [type(request) for request in decision.requests]
    assert kinds == [CancelOrder, ClosePosition]
    assert decision.requests[0].order_id == order.order_id
    assert "over the limit" in decision.intended[-1].reason
    assert desk.lines("intended")[-2].reason.endswith("taken back: the position is being reduced at the market")


def test_on_a_netted_account_what_rests_against_a_position_cannot_turn_it() -> None:
    desk = begun(resting_desk(netted=True, pace=replace(QUICK, heeds_crisis=True)), position(1_800_000))
    set_balance(desk, "6000", 2)
    desk.settled(desk.later(1, half_e5=8))
    (order,) = desk.book.values()
    assert order.volume_cents == -700_000
    # An amend of it is on its way, so that it cannot be taken back now.
    moved = desk.later(4, half_e5=8, mid_e5=109_980)
    assert [type(r) for r in moved.requests] == [AmendOrder]
    decision = set_balance(desk, "2000", 3)
    closes = [r for d in (decision, desk.later(0.5, half_e5=8)) for r in d.requests if isinstance(r, ClosePosition)]
    assert closes and closes[0].volume_cents == 1_100_000, "with what rests that is all of it"


@pytest.mark.parametrize(
    ("events", "why"),
    [
        (lambda d: [ev.CommandGiven(d.now_ns, "stop")], "the run is ending"),
        (lambda d: [ev.ReadinessChanged(d.now_ns, ())], None),
    ],
)
def test_it_is_taken_back_at_the_end_of_a_run(events: Any, why: str | None) -> None:
    desk = begun(resting_desk())
    decision = desk.hear(*events(desk))
    assert [type(r) for r in decision.requests] == ([CancelOrder] if why else [])
    if why:
        assert decision.intended[0].reason.endswith(why)


def test_at_the_end_of_a_run_that_keeps_its_orders_it_stays() -> None:
    desk = begun(resting_desk(keep_on_stop=True))
    desk.hear(ev.CommandGiven(desk.now_ns, "stop"))
    assert desk.later(4, half_e5=8, mid_e5=110_050).requests == ()
    assert desk.engine.is_settled


def test_growth_is_taken_back_while_prices_are_stale_and_a_reduction_stays_where_it_is() -> None:
    desk = begun(resting_desk())
    desk.wait(7)
    assert any("no price for" in o.reason for o in desk.lines("intended") if o.action == "cancel")
    desk = begun(resting_desk(), position(1_800_000))
    set_balance(desk, "5000", 2)
    desk.settled(desk.later(1, half_e5=8))
    before = len(desk.lines("intended"))
    desk.wait(8)
    assert len(desk.lines("intended")) == before and len(desk.book) == 1


def test_a_symbol_that_a_person_has_taken_over_has_no_order() -> None:
    desk = begun(resting_desk())
    desk.engine._bookkeeping.hands_off.add(1)
    decision = desk.later(1, half_e5=8)
    assert [type(r) for r in decision.requests] == [CancelOrder]
    assert "somebody else has closed" in decision.intended[0].reason


def test_the_rate_of_increase_starts_anew_when_something_fills_and_not_before() -> None:
    pace = replace(QUICK, max_increase_frac_per_min=0.25)
    desk = begun(resting_desk(pace=pace, balance="100000"))
    for _ in range(100):
        desk.settled(desk.later(1, half_e5=8))
    (order,) = desk.book.values()
    a_minute = 0.25 * 2 * 100_000 / 1.1 * 100
    assert order.volume_cents <= a_minute * 1.001, "two minutes of waiting are a minute's worth"
    assert order.volume_cents >= 0.8 * a_minute
    desk.hear(*desk.fills(1))
    desk.settled(desk.later(1, half_e5=8))
    assert sum(o.volume_cents for o in desk.book.values()) <= a_minute / 30, "nothing more for now"
    for _ in range(20):
        desk.settled(desk.later(1, half_e5=8))
    held = desk.engine.portfolio.own_cents(1)
    resting = sum(o.volume_cents - o.executed_cents for o in desk.book.values())
    assert resting <= 21 / 60 * a_minute * 1.01 and held == order.volume_cents


def test_without_order_rate_for_growth_a_reduction_rests_all_the_same() -> None:
    tight = replace(FAST, max_orders_per_minute=1)
    desk = begun(resting_desk(risk_limits=tight), position(1_800_000))
    set_balance(desk, "5000", 2)
    desk.settled(desk.later(1, half_e5=8))
    assert [o.volume_cents for o in desk.book.values()] == [-800_000]
    for step in range(4):
        desk.settled(desk.later(70 if step == 0 else 4, half_e5=8, mid_e5=110_000 - 20 * step))
    assert desk.price(-1) < 1.1


def test_with_all_of_the_order_rate_used_a_reduction_begins_to_rest_all_the_same() -> None:
    desk = begun(resting_desk(risk_limits=replace(FAST, max_orders_per_minute=1)))
    assert [o.volume_cents for o in desk.book.values()] == [1_800_000], "the minute's only order"
    desk.hear(*desk.fills(1))
    set_balance(desk, "5000", 2)
    desk.settled(desk.later(1, half_e5=8))
    assert [o.volume_cents for o in desk.book.values()] == [-800_000]


@pytest.mark.parametrize("command", ["halt", "flatten"])
def test_a_halt_takes_growth_back_at_once(command: str) -> None:
    desk = begun(resting_desk())
    desk.later(1.2, half_e5=8)  # the gate has just seen it
    desk.now_ns += SECOND // 10
    decision = desk.hear(ev.CommandGiven(desk.now_ns, command))
    assert [type(r) for r in decision.requests] == [CancelOrder]
    if command == "halt":
        assert decision.intended[0].reason.endswith("taken back: trading is halted")


def test_what_is_flattened_is_not_done_while_a_cancel_has_failed_even_where_orders_are_kept() -> None:
    desk = begun(resting_desk(keep_on_stop=True))
    (cancel,) = desk.hear(ev.CommandGiven(desk.now_ns, "flatten")).requests
    desk.hear(desk.refuses(cancel, "PENDING_EXECUTION"))
    assert not desk.engine.is_settled
    desk.settled(desk.later(3, half_e5=8))
    assert desk.engine.is_settled and not desk.book


def test_an_order_that_is_moved_says_its_protection_again() -> None:
    desk = begun(resting_desk(style=replace(LIMIT, protection=Protection(stop_loss_bps=50))))
    desk.settle(desk.later(4, half_e5=8, mid_e5=110_012))
    (amend,) = [r for r in desk.lines("requests") if isinstance(r, AmendOrder)]
    assert amend.relative_stop_loss_e5 == round(1.10004 * 500)
    (order,) = desk.book.values()
    assert order.relative_stop_loss_e5 == amend.relative_stop_loss_e5


def test_an_order_of_an_earlier_run_is_taken_over_and_not_doubled() -> None:
    desk = resting_desk()
    desk.begin()
    (made,) = desk.lines("requests")
    fresh = resting_desk()
    fresh.now_ns = desk.now_ns
    left = desk.answer(made)[0].order
    fresh.hear(
        ev.AccountLoaded(fresh.now_ns, fresh.account), fresh.loaded(),
        ev.Reconciled(fresh.now_ns, (), (left,)), ev.ReadinessChanged(fresh.now_ns, ("subscribing",)),
    )  # fmt: skip
    fresh.book[left.order_id] = left
    fresh.quote()
    fresh.hear(ev.ReadinessChanged(fresh.now_ns, ()))
    for _ in range(6):
        fresh.settled(fresh.later(1))
    assert [o.order_id for o in fresh.book.values()] == [left.order_id]
    assert [o.action for o in fresh.lines("intended")] == []


def test_nothing_is_asked_while_its_outcome_is_unknown() -> None:
    desk = resting_desk()
    desk.begin()
    desk.wait(11)
    (own_id,) = {o.client_order_id for o in desk.lines("intended")}
    assert desk.states(own_id) == ["sent", "unknown"]
    for _ in range(5):
        assert not [r for r in desk.later(1).requests if isinstance(r, PlaceOrder)]
    desk.answer_history()
    desk.now_ns += 4 * SECOND
    desk.answer_history()
    assert desk.states(own_id)[-1] == "resolved"
    for _ in range(8):
        desk.later(1)
    places = [r for r in desk.lines("requests") if isinstance(r, PlaceOrder)]
    assert len(places) == 2 and places[1].client_order_id != own_id


def test_with_nobody_on_the_far_side_a_reduction_may_rest_and_growth_may_not() -> None:
    desk = resting_desk()
    desk.begin(position(1_800_000))
    set_balance(desk, "5000", 2)
    decision = desk.later(1, half_e5=8, bid_cents=0)
    made = [r for d in (desk.decisions[-2], decision, desk.later(1, half_e5=8, bid_cents=0)) for r in d.requests]
    assert [(type(r), r.volume_cents) for r in made] == [(PlaceOrder, -800_000)]
    desk = resting_desk(direction="short")
    desk.hear(
        ev.AccountLoaded(desk.now_ns, desk.account), desk.loaded(), ev.Reconciled(desk.now_ns, (), ()),
        ev.ReadinessChanged(desk.now_ns, ()),
    )  # fmt: skip
    assert desk.quote(bid_cents=0).requests == ()
    assert {r.check for r in desk.lines("refused")} <= {"book_health"}


def test_market_making_is_as_it_was_whatever_the_order_type() -> None:
    plain, limit = QuoteDesk(), QuoteDesk(style=LIMIT)
    assert plain.begin().requests == limit.begin().requests
    assert math.isfinite(plain.lines("requests")[0].limit_price)
