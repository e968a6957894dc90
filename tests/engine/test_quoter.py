"""Quotes from events to Decisions: placed, moved, skewed, taken back, and never doubled."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from engine_desk import QUICK, SECOND, Desk, position
from quote_desk import FAST, QuoteDesk, actions

import strategies
from bot.account.risk import RiskGate
from bot.engine import events as ev
from bot.engine.settings import SymbolChoice
from bot.execution.orders import OrderSnapshot
from bot.execution.requests import AmendOrder, CancelOrder, ClosePosition, PlaceOrder, ResolveOrders

BOTH = [("place", "buy"), ("place", "sell")]
BACK = [("cancel", "buy"), ("cancel", "sell")]


def rested(order_id: int = 77, volume: int = 300_000, **fields: Any) -> OrderSnapshot:
    """Build a limit order that an earlier run of ours has left at the venue."""
    made = {"client_order_id": "r0-4", "label": "microlev", "limit_price": 1.0999, "position_id": order_id + 1}
    return OrderSnapshot(order_id, 1, volume, 0, "limit", "accepted", **(made | fields))


# -- placing and moving -----------------------------------------------------------------------------------------------


def test_both_sides_are_quoted_around_the_reservation_price() -> None:
    desk = QuoteDesk()
    decision = desk.begin()
    bid, ask = decision.requests
    assert isinstance(bid, PlaceOrder) and isinstance(ask, PlaceOrder)
    assert (bid.order_type, bid.position_id, bid.label) == ("limit", None, "microlev")
    # A fifth of 2 x 10 000 USD is 3 636 EUR, down to the step.
    assert (bid.volume_cents, ask.volume_cents) == (300_000, -300_000)
    assert bid.limit_price < 1.1 < ask.limit_price
    assert bid.limit_price < 1.10001 and ask.limit_price > 1.09999
    assert actions(decision) == BOTH
    first = decision.intended[0]
    assert (first.order_type, first.leverage_now, first.order_id) == ("limit", 0.0, None)
    assert first.leverage_target == pytest.approx(0.33)
    assert "reservation 1.10000, inventory +0 of 18182 units" in first.reason
    assert first.margin_after == pytest.approx(3_000 * 1.1 / 500)


@pytest.mark.parametrize("own", [{"alpha": 0.5}, {"beta": 0.5}, {"volatility_power": 1}], ids=str)
def test_while_a_factor_is_unknown_nothing_is_quoted_but_what_sheds_inventory(own: dict[str, float]) -> None:
    assert actions(QuoteDesk(own=own).begin()) == []
    assert actions(QuoteDesk(own=own).begin(position(300_000))) == [("place", "sell")]
    assert actions(QuoteDesk(own=own).begin(position(-300_000))) == [("place", "buy")]


def test_a_quote_accepted_without_its_id_is_not_cancelled_before_the_id_is_known() -> None:
    desk = QuoteDesk()
    asked = desk.begin().requests
    desk.hear(*[ev.ExecutionReported(desk.now_ns, "accepted", r.client_order_id, None, None) for r in asked])
    desk.engine._quoter._gate = RiskGate(replace(FAST, max_leverage=1e-4))  # refuses what rests, at the next review
    for _ in range(3):
        assert actions(desk.later()) == []


def test_nothing_is_opened_at_the_market() -> None:
    desk = QuoteDesk().quoting()
    for _ in range(20):
        desk.settle(desk.later())
    assert {o.order_type for o in desk.lines("intended")} == {"limit"}
    assert desk.sides == [-1, 1]


def test_a_quote_that_rests_is_not_overdue_and_not_placed_again() -> None:
    desk = QuoteDesk().quoting()
    for _ in range(15):
        assert not desk.later(2).requests
    assert "unknown" not in {c.state for c in desk.lines("order_changes")}


def test_when_the_mid_moves_both_quotes_are_amended() -> None:
    desk = QuoteDesk().quoting()
    before = desk.price(1), desk.price(-1)
    decision = desk.later(mid_e5=110_020)
    assert sorted(actions(decision)) == [("amend", "buy"), ("amend", "sell")]
    sell, buy = (next(r for r in decision.requests if r.order_id == o.order_id) for o in reversed(desk.book.values()))
    assert (buy.reduces_risk, sell.reduces_risk) == (False, True), "the ask moves away, the bid follows"
    assert buy.volume_cents == sell.volume_cents == 300_000, "every field is sent anew"
    desk.settle(decision)
    assert desk.price(1) == pytest.approx(before[0] + 20e-5)
    assert desk.price(-1) == pytest.approx(before[1] + 20e-5)
    assert desk.states("r1-1") == ["sent", "accepted", "replaced"]
    assert desk.states("r1-3") == ["sent", "replaced"]


def test_a_move_below_the_threshold_moves_no_quote() -> None:
    desk = QuoteDesk(own={"requote_frac": 5.0}).quoting()
    assert not desk.later(mid_e5=110_003).requests


def test_a_fill_skews_both_quotes_and_ties_the_side_that_sheds_it() -> None:
    desk = QuoteDesk(own={"gamma": 0.05}).quoting()
    flat_bid, flat_ask = desk.price(1), desk.price(-1)
    decision = desk.hear(*desk.fills(1))
    assert desk.held == pytest.approx(0.33, rel=1e-4)
    assert actions(decision) == [("place", "buy"), ("cancel", "sell")]
    assert "what it would close or open is another position now" in decision.intended[1].reason
    assert "inventory +3000 of" in decision.intended[0].reason
    decision = desk.settle(decision)
    (ask,) = decision.requests
    (held,) = desk.engine.portfolio.positions()
    assert (ask.position_id, ask.volume_cents) == (held.position_id, -300_000)
    desk.settle(decision)
    assert desk.price(1) < flat_bid and desk.price(-1) < flat_ask, "long: both lie lower"
    desk.settle(desk.hear(*desk.fills(-1)))
    assert desk.engine.portfolio.positions() == []


def test_a_netted_account_needs_no_ties() -> None:
    desk = QuoteDesk()
    desk.account = replace(desk.account, account_type="NETTED")
    desk.quoting()
    decision = desk.hear(*desk.fills(1))
    assert ("cancel", "sell") not in actions(decision)


def test_a_quote_stays_short_of_our_own_on_the_other_side_while_that_waits() -> None:
    desk = QuoteDesk(own={"gamma": 0.0001})
    desk.account = replace(desk.account, account_type="NETTED")
    desk.quoting()
    desk.now_ns += 4 * SECOND
    desk.settle(desk.hear(*desk.fills(-1)))  # a new ask, too young to be moved
    ask = desk.price(-1)
    decision = desk.later(0.5, mid_e5=110_030)
    (amend,) = decision.requests
    assert isinstance(amend, AmendOrder)
    assert amend.limit_price == pytest.approx(ask - 1e-5)


def test_a_partial_fill_is_made_whole_again() -> None:
    desk = QuoteDesk().quoting()
    desk.hear(*desk.fills(1, share=1 / 3))
    order = next(o for o in desk.book.values() if o.volume_cents > 0)
    decision = desk.later()
    amend = next(r for r in decision.requests if isinstance(r, AmendOrder))
    assert (amend.order_id, amend.volume_cents) == (order.order_id, 400_000), "100 000 are executed, 300 000 rest"
    assert desk.states("r1-1") == ["sent", "accepted", "partially_filled"]


def test_at_the_limit_only_the_side_that_sheds_is_quoted() -> None:
    desk = QuoteDesk()
    desk.settle(desk.begin(position(1_600_000)))  # 1.76x of at most 2x
    assert desk.sides == [-1]
    assert {o.order_type for o in desk.lines("intended")} == {"limit"}


def test_an_inventory_over_its_limit_is_reduced_at_the_market_and_nothing_is_quoted_meanwhile() -> None:
    desk = QuoteDesk()
    decision = desk.begin(position(2_400_000))  # 2.64x of at most 2x
    (request,) = decision.requests
    assert isinstance(request, ClosePosition)
    assert request.volume_cents == 500_000
    assert actions(desk.fill(decision)) == [("place", "sell")], "what is left over the limit is shed by quotes"


@pytest.mark.parametrize(
    ("direction", "held", "sides"),
    [
        ("long", 0, [1]),
        ("short", 0, [-1]),
        ("follow", 0, []),
        ("follow", 500_000, [-1, 1]),
        ("follow", -500_000, [-1, 1]),
        ("long", 500_000, [-1, 1]),
        ("short", -500_000, [-1, 1]),
    ],
)
def test_a_fixed_direction_holds_an_inventory_of_its_own_sign_only(direction: str, held: int, sides: list[int]) -> None:
    desk = QuoteDesk(direction=direction)
    desk.settle(desk.begin(*([position(held)] if held else [])))
    assert desk.sides == sides
    if held:
        shedding = next(o for o in desk.book.values() if o.volume_cents * held < 0)
        assert abs(shedding.volume_cents) <= abs(held)


def test_the_side_that_sheds_never_offers_more_than_is_held() -> None:
    desk = QuoteDesk()
    desk.settle(desk.begin(position(200_000)))
    ask = next(o for o in desk.book.values() if o.volume_cents < 0)
    assert ask.volume_cents == -200_000


def test_a_small_inventory_is_shed_by_one_quote_that_stays_as_it_is() -> None:
    desk = QuoteDesk(own={"requote_frac": 50.0})
    desk.account = replace(desk.account, account_type="NETTED")
    desk.settle(desk.begin(position(200_000)))
    for _ in range(5):
        assert not desk.later().requests


def test_a_hedged_pair_is_shed_from_both_ends() -> None:
    desk = QuoteDesk()
    desk.settle(desk.begin(position(500_000), position(-400_000, position_id=6)))
    assert {o.position_id for o in desk.book.values()} == {5, 6}
    assert all(o.closing for o in desk.book.values())


# -- taking back ------------------------------------------------------------------------------------------------------


def fall_ill(desk: QuoteDesk, level: float) -> None:
    """Put the desk's symbols into a crisis that holds on."""
    evaluator = desk.engine._evaluator
    assert evaluator is not None
    evaluator.table["crisis_level"] = level
    evaluator.state["level_ns"] = desk.now_ns


def test_a_crisis_takes_every_quote_back() -> None:
    desk = QuoteDesk().quoting()
    fall_ill(desk, 2)
    decision = desk.later(0.1)
    assert actions(decision) == BACK
    assert "crisis level 2" in decision.intended[0].reason
    desk.settle(decision)
    assert desk.sides == []
    assert not desk.later().requests


def test_at_the_first_crisis_level_only_what_sheds_stays() -> None:
    desk = QuoteDesk()
    desk.settle(desk.begin(position(500_000)))
    assert desk.sides == [-1, 1]
    fall_ill(desk, 1)
    desk.settle(desk.later())
    assert desk.sides == [-1]


def test_a_stale_price_takes_every_quote_back() -> None:
    desk = QuoteDesk().quoting()
    decision = desk.wait(6)
    assert actions(decision) == BACK
    assert "no price for 6.0 s" in decision.intended[0].reason


def test_an_empty_side_of_the_book_takes_every_quote_back() -> None:
    desk = QuoteDesk().quoting()
    assert actions(desk.later(0.1, ask_cents=0)) == BACK


def test_a_halted_account_keeps_only_what_sheds() -> None:
    desk = QuoteDesk()
    desk.settle(desk.begin(position(500_000)))
    desk.account = replace(desk.account, access_rights="CLOSE_ONLY")
    desk.settle(desk.hear(ev.AccountLoaded(desk.now_ns, desk.account)))
    desk.settle(desk.later())
    assert desk.sides == [-1]


def test_what_was_closed_by_hand_is_not_quoted_again() -> None:
    from bot.account.position import Deal

    desk = QuoteDesk()
    desk.settle(desk.begin(position(500_000)))
    by_hand = OrderSnapshot(99, 1, -500_000, 500_000, "market", "filled", closing=True)
    deal = Deal(98, 99, 5, 1, -500_000, 1.1, Decimal(0), desk.now_ns)
    decision = desk.hear(ev.ExecutionReported(desk.now_ns, "filled", None, by_hand, deal))
    assert actions(decision) == BACK
    desk.settle(decision)
    assert not desk.later().requests


def test_a_warm_up_lets_nothing_grow() -> None:
    desk = QuoteDesk(pace=replace(QUICK, warm_up_s=60))
    desk.settle(desk.begin(position(500_000)))
    assert desk.sides == [-1]


# -- the gate ---------------------------------------------------------------------------------------------------------


def test_each_side_passes_the_gate_on_its_own_worst_case() -> None:
    # 1,000 EUR at 1:500 use 0.00022 of the equity: the limit has room for one such side, and not for both together.
    decision = QuoteDesk(risk_limits=replace(FAST, max_margin_use_frac=0.0004)).begin()
    assert [r.volume_cents for r in decision.requests] == [100_000, -100_000]
    decision = QuoteDesk(risk_limits=replace(FAST, max_margin_use_frac=0.0001)).begin()
    assert not decision.requests
    assert {r.check for r in decision.refused} == {"margin_use"}


def test_a_quote_too_small_for_the_symbol_is_refused_by_name_and_not_made_larger() -> None:
    desk = QuoteDesk(own={"quote_frac": 0.01})
    decision = desk.begin()
    (refusal,) = decision.refused
    assert (refusal.check, refusal.limit, decision.requests) == ("volume_limits", 1000.0, ())
    assert refusal.value == pytest.approx(181.8, abs=0.1)
    assert not desk.later(1).refused, "said again every ten seconds"


def test_the_quotes_of_other_symbols_count_by_their_worse_side() -> None:
    desk = QuoteDesk("EURUSD", "USDJPY", risk_limits=replace(FAST, max_leverage=0.5), own={"quote_frac": 0.2})
    desk.settle(desk.begin())
    usd = {1: 1.1, 2: 1.0}
    worst: dict[int, float] = {}
    for order in desk.book.values():
        size = abs(order.volume_cents) / 100 * usd[order.symbol_id]
        worst[order.symbol_id] = max(worst.get(order.symbol_id, 0.0), size)
    assert len(desk.book) >= 3
    assert sum(worst.values()) <= 0.5 * 10_000 * (1 + 1e-9), "if one side of each fills, the account is at its limit"


def test_a_quote_that_moves_is_not_counted_twice() -> None:
    desk = QuoteDesk(risk_limits=replace(FAST, max_margin_use_frac=0.001))  # room for one quote, and not for two
    desk.settle(desk.begin())
    assert desk.sides == [-1, 1]
    for mid in (110_020, 109_990, 110_030):
        desk.settle(desk.later(mid_e5=mid))
        desk.settle(desk.later(mid_e5=mid))
    assert {o.action for o in desk.lines("intended")} == {"place", "amend"}
    assert not desk.lines("refused")


def test_a_quote_the_gate_no_longer_lets_move_is_taken_back() -> None:
    desk = QuoteDesk(risk_limits=replace(FAST, max_orders_per_minute=4))
    desk.settle(desk.begin())
    assert len(desk.book) == 2
    desk.settle(desk.later(mid_e5=109_980))  # the bid moves away: the third of four
    desk.settle(desk.later(mid_e5=109_960))
    decision = desk.later(mid_e5=109_940)
    cancelled = [o for o in decision.intended if o.action == "cancel"]
    assert cancelled and "orders in the last minute" in cancelled[0].reason
    assert {r.check for r in decision.refused} == {"order_rate"}


def test_cancels_are_never_refused_by_the_rate() -> None:
    desk = QuoteDesk(risk_limits=replace(FAST, max_orders_per_minute=3))
    desk.settle(desk.begin())
    decision = desk.hear(ev.CommandGiven(desk.now_ns, "stop"))
    assert actions(decision) == BACK


def test_a_quote_whose_margin_is_gone_is_taken_back_within_a_second() -> None:
    desk = QuoteDesk(own={"requote_frac": 50.0}).quoting()
    desk.hear(ev.AccountLoaded(desk.now_ns, replace(desk.account, leverage=0.1)))
    desk.settle(desk.later(1.1))
    assert desk.sides == []


# -- doubt ------------------------------------------------------------------------------------------------------------


def test_a_place_without_an_answer_is_asked_about_and_never_doubled() -> None:
    desk = QuoteDesk()
    begun = desk.begin()
    for _ in range(6):
        desk.later(2)
    assert [o.action for o in desk.lines("intended")] == ["place", "place"]
    assert desk.states("r1-1")[-1] == "unknown"
    assert any(isinstance(r, ResolveOrders) for r in desk.lines("requests"))
    answered = [event for request in begun.requests for event in desk.answer(request)]  # the venue had them all along
    listed = tuple(desk.book.values())
    desk.hear(
        ev.Reconciled(desk.now_ns, (), listed),
        ev.OrderHistoryListed(desk.now_ns, 0, listed, (), complete=True),
    )
    assert answered and desk.states("r1-1")[-1] == "accepted"
    for _ in range(3):
        desk.settle(desk.later(2))
    assert len([o for o in desk.lines("intended") if o.action == "place"]) == 2
    assert desk.sides == [-1, 1]


def test_a_place_the_venue_never_had_is_given_up_after_two_looks_and_made_anew() -> None:
    desk = QuoteDesk()
    desk.begin()
    for _ in range(5):
        desk.later(2.5)
    for _ in range(3):
        desk.answer_history()
        desk.later(4)
        desk.answer_history()
    assert desk.states("r1-1")[-1] == "resolved"
    again = [o for o in desk.lines("intended") if o.action == "place"][2:]
    assert again and not {o.client_order_id for o in again} & {"r1-1", "r1-2"}


def test_after_a_drop_quotes_are_unknown_until_the_reconcile_lists_them() -> None:
    desk = QuoteDesk().quoting()
    desk.hear(ev.ReadinessChanged(desk.now_ns, ("disconnected",)))
    assert desk.states("r1-1")[-1] == "unknown"
    desk.now_ns += SECOND
    desk.hear(ev.Reconciled(desk.now_ns, (), tuple(desk.book.values())), ev.ReadinessChanged(desk.now_ns, ()))
    desk.quote()
    assert desk.states("r1-1")[-1] == "accepted"
    assert len([o for o in desk.lines("intended") if o.action == "place"]) == 2


def test_a_quote_that_filled_during_a_drop_is_found_in_the_history() -> None:
    desk = QuoteDesk().quoting()
    desk.hear(ev.ReadinessChanged(desk.now_ns, ("disconnected",)))
    desk.now_ns += SECOND
    order = next(o for o in desk.book.values() if o.volume_cents > 0)
    desk.fills(1)
    held = position(300_000, position_id=int(order.position_id or 0))
    left = tuple(desk.book.values())
    desk.hear(ev.Reconciled(desk.now_ns, (held,), left), ev.ReadinessChanged(desk.now_ns, ()))
    asked = desk.quote()
    assert any(isinstance(r, ResolveOrders) for r in desk.lines("requests"))
    assert not [r for r in asked.requests if isinstance(r, PlaceOrder)]
    filled = replace(order, status="filled", executed_cents=300_000)
    desk.hear(
        ev.Reconciled(desk.now_ns, (held,), left),
        ev.OrderHistoryListed(desk.now_ns, 0, (filled, *left), (), complete=True),
    )
    assert desk.states("r1-1")[-1] == "filled"
    assert desk.engine.portfolio.own_cents(1) == 300_000
    assert actions(desk.later(1)) == []
    desk.settle(desk.decisions[-1])
    desk.settle(desk.later(4))
    desk.settle(desk.later(4))
    assert desk.sides == [-1, 1]


def test_an_amend_of_an_order_that_is_gone_makes_it_unknown_until_it_is_looked_up() -> None:
    desk = QuoteDesk().quoting()
    gone = next(o for o in desk.book.values() if o.volume_cents < 0)
    del desk.book[gone.order_id]  # it was filled, and its event was lost
    decision = desk.later(mid_e5=110_020)
    desk.settle(decision)
    assert desk.states("r1-2")[-1] == "unknown"
    assert "rejected" in {c.state for c in desk.lines("order_changes") if c.order.action == "amend"}
    assert any(isinstance(r, ResolveOrders) for r in desk.lines("requests"))
    desk.later(0.5)
    filled = replace(gone, status="filled", executed_cents=300_000)
    desk.answer_history((filled, *desk.book.values()), (position(-300_000, position_id=9),))
    assert desk.states("r1-2")[-1] == "filled"


def test_a_refused_amend_takes_the_quote_back() -> None:
    desk = QuoteDesk().quoting()
    decision = desk.later(mid_e5=110_020)
    desk.hear(*(desk.refuses(request, "TRADING_BAD_PRICES") for request in decision.requests))
    assert sorted(actions(desk.decisions[-1])) == BACK or sorted(actions(desk.later(1))) == BACK


def test_a_cancel_that_the_venue_refuses_leaves_the_order_unknown() -> None:
    desk = QuoteDesk().quoting()
    decision = desk.wait(6)
    cancel = decision.requests[0]
    assert isinstance(cancel, CancelOrder)
    order = desk.book[cancel.order_id]
    desk.hear(replace(desk.says("cancel_rejected", order), error_code="UNABLE_TO_CANCEL_ORDER"))
    assert desk.states(str(order.client_order_id))[-1] == "unknown"
    assert desk.states(cancel.client_order_id) == ["sent", "rejected"]


def test_an_amend_without_an_answer_is_settled_by_what_the_venue_lists() -> None:
    desk = QuoteDesk().quoting()
    decision = desk.later(mid_e5=110_020)
    for request in decision.requests:
        desk.answer(request)  # carried out, and never told
    for _ in range(6):
        desk.later(2, mid_e5=110_020)
    assert desk.states("r1-3") == ["sent", "unknown"]
    assert desk.states("r1-1")[-1] == "unknown"
    listed = tuple(desk.book.values())
    desk.hear(ev.Reconciled(desk.now_ns, (), listed), ev.OrderHistoryListed(desk.now_ns, 0, listed, (), complete=True))
    assert desk.states("r1-3") == ["sent", "unknown", "replaced"]
    assert desk.states("r1-1")[-1] == "accepted"
    assert len([o for o in desk.lines("intended") if o.action == "place"]) == 2


# -- what an earlier run has left -------------------------------------------------------------------------------------


def begun_with(desk: QuoteDesk, *orders: OrderSnapshot) -> Any:
    for order in orders:
        desk.book[order.order_id] = order
    desk.hear(ev.AccountLoaded(desk.now_ns, desk.account), desk.loaded())
    desk.quote()
    desk.hear(ev.Reconciled(desk.now_ns, (), orders), ev.ReadinessChanged(desk.now_ns, ()))
    return desk.quote()


def test_a_quote_an_earlier_run_left_is_adopted_and_moved_to_where_it_belongs() -> None:
    desk = QuoteDesk()
    begun_with(desk, rested())
    assert desk.states("r0-4")[0] == "accepted"
    assert {r.volume_cents > 0 for r in desk.lines("requests") if isinstance(r, PlaceOrder)} == {False}
    desk.settle(desk.decisions[-1])
    desk.settle(desk.later(4))
    assert desk.sides == [1], "the venue has not answered for the ask"
    amends = [r for r in desk.lines("requests") if isinstance(r, AmendOrder)]
    assert amends and amends[0].order_id == 77


def test_one_too_many_on_a_side_is_taken_back() -> None:
    desk = QuoteDesk()
    begun_with(desk, rested(77), rested(87, client_order_id="r0-5"))
    cancels = [r for r in desk.lines("requests") if isinstance(r, CancelOrder)]
    assert [c.order_id for c in cancels] == [87]


def test_another_strategy_takes_the_quotes_of_an_earlier_run_back() -> None:
    desk = QuoteDesk(strategy=strategies.load("constant", {}), symbols=(SymbolChoice("EURUSD", "long", 1.0),))
    begun_with(desk, rested())
    cancels = [r for r in desk.lines("requests") if isinstance(r, CancelOrder)]
    assert [c.order_id for c in cancels] == [77]
    assert any(r.order_type == "market_range" for r in desk.lines("requests") if isinstance(r, PlaceOrder))


@pytest.mark.parametrize(
    "order",
    [rested(client_order_id=None), rested(label="somebody"), rested(client_order_id="x", label="")],
    ids=["by hand under our label", "somebody else's", "nobody's"],
)
def test_what_is_not_ours_is_left_alone(order: OrderSnapshot) -> None:
    desk = QuoteDesk()
    begun_with(desk, order)
    assert not [r for r in desk.lines("requests") if isinstance(r, CancelOrder | AmendOrder)]


# -- the end ----------------------------------------------------------------------------------------------------------


def test_a_stop_cancels_what_rests_and_waits_for_it() -> None:
    desk = QuoteDesk().quoting()
    decision = desk.hear(ev.CommandGiven(desk.now_ns, "stop"))
    assert actions(decision) == BACK
    assert not desk.engine.is_settled
    desk.settle(decision)
    assert desk.engine.is_settled
    assert not desk.later().requests


def test_a_stop_that_keeps_leaves_what_rests() -> None:
    desk = QuoteDesk(keep_on_stop=True).quoting()
    assert not desk.hear(ev.CommandGiven(desk.now_ns, "stop")).requests
    assert desk.engine.is_settled
    assert desk.sides == [-1, 1]


def test_a_stop_that_keeps_looks_at_no_quote_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = QuoteDesk(keep_on_stop=True).quoting()
    looked: list[int] = []
    quote = desk.engine._quoter.quote
    monkeypatch.setattr(desk.engine._quoter, "quote", lambda m, *lists: looked.append(m.now_ns) or quote(m, *lists))
    desk.later()
    assert looked, "until then it does"
    looked.clear()
    desk.hear(ev.CommandGiven(desk.now_ns, "stop"))
    for mid_e5 in (110_050, 110_000):
        assert not desk.later(mid_e5=mid_e5).requests
    assert looked == []
    assert desk.sides == [-1, 1]


def test_a_stop_that_keeps_waits_for_what_has_no_answer() -> None:
    desk = QuoteDesk(keep_on_stop=True)
    begun = desk.begin()
    desk.hear(ev.CommandGiven(desk.now_ns, "stop"))
    assert not desk.engine.is_settled
    desk.settle(begun)
    assert desk.engine.is_settled


def test_a_stop_that_flattens_cancels_before_it_closes() -> None:
    desk = QuoteDesk(flatten_on_stop=True)
    desk.settle(desk.begin(position(500_000)))
    decision = desk.hear(ev.CommandGiven(desk.now_ns, "stop"))
    assert [type(r) for r in decision.requests] == [CancelOrder, CancelOrder, ClosePosition]
    desk.settle(decision)
    assert not desk.engine.is_settled
    desk.fill(decision)
    assert desk.engine.is_settled


def test_a_loss_limit_cancels_and_closes_although_what_rests_should_be_kept() -> None:
    desk = QuoteDesk(keep_on_stop=True)
    desk.settle(desk.begin(position(1_500_000)))
    decision = desk.later(2, mid_e5=107_000)
    kinds = {type(r) for r in decision.requests}
    assert kinds == {CancelOrder, ClosePosition}
    assert desk.engine.trading == "halted"


def test_a_strategy_that_does_not_quote_sends_what_it_always_did() -> None:
    desk = Desk()
    assert [o.action for o in desk.begin().intended] == ["open"]
