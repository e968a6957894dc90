"""The engine from events to Decisions: when it trades, when it may not, and what it does when the world breaks."""

from dataclasses import replace
from decimal import Decimal
from itertools import pairwise

import numpy as np
import pytest
from engine_desk import EURUSD, LIMITS, QUICK, SECOND, USDJPY, Desk, position

import strategies
from bot.account.position import Deal
from bot.engine import events as ev
from bot.engine.settings import SymbolChoice
from bot.execution.orders import OrderSnapshot
from bot.execution.requests import AskCashFlow, ClosePosition, PlaceOrder, ResolveOrders, ResubscribeDepth
from bot.market.delta import END_SPOT, SPOT_ASK, SPOT_BID, delta_rows
from bot.market.evaluator import EvaluatorSettings
from bot.sizing.leverage import LeverageLimits


def test_constant_leverage_is_opened_as_soon_as_the_session_is_ready() -> None:
    desk = Desk()
    decision = desk.begin()
    (request,) = decision.requests
    assert isinstance(request, PlaceOrder)
    assert request.volume_cents == 1_800_000, "20 000 USD at 1.10 are 18 181 EUR, down to the step of 1 000"
    assert request.base_price == pytest.approx(1.10001)
    (intended,) = decision.intended
    assert (intended.action, intended.side, intended.leverage_now) == ("open", "buy", 0.0)
    assert intended.margin_after == pytest.approx(18_000 * 1.1 / 500)
    assert intended.predicted_slippage_bps == pytest.approx(1e4 * 1e-5 / 1.1, rel=1e-6)


def test_nothing_is_sent_before_the_session_is_ready() -> None:
    desk = Desk()
    desk.begin()
    before = Desk()
    before.hear(ev.AccountLoaded(before.now_ns, before.account), before.loaded(), ev.Reconciled(before.now_ns, (), ()))
    assert not before.quote().requests
    assert not before.wait(3).requests
    assert before.decisions[0].state is not None
    assert not before.decisions[0].state.ready


def test_a_second_order_waits_for_the_outcome_of_the_first() -> None:
    desk = Desk()
    first = desk.begin()
    for _ in range(5):
        desk.now_ns += SECOND
        assert not desk.quote().requests
    desk.fill(first)
    assert desk.held == pytest.approx(1.98, abs=0.001)


def test_an_increase_names_the_position_and_a_reduction_closes_part_of_it() -> None:
    desk = Desk(base_leverage=2.0)
    desk.fill(desk.begin())
    desk.pay("10000", version=2)
    desk.now_ns += 2 * SECOND
    more = desk.quote()
    (request,) = more.requests
    assert isinstance(request, PlaceOrder)
    assert request.position_id is not None
    assert more.intended[0].action == "increase"
    desk.fill(more)
    desk.pay("-10000", version=3)
    desk.now_ns += 2 * SECOND
    less = desk.quote()
    (request,) = less.requests
    assert isinstance(request, ClosePosition)
    assert less.intended[0].action == "reduce"
    assert less.intended[0].side == "sell"


def test_the_leverage_follows_liquidity_down() -> None:
    desk = Desk(
        strategy=strategies.load("liquidity-weighted", {"alpha": 1}),
        evaluator=EvaluatorSettings(
            liquidity_smoothing_half_life_s=1, time_of_day=False, volatility_sample_s=1, least_samples=2
        ),
        pace=replace(QUICK, heeds_crisis=False),  # four times the spread is a crisis as well
    )
    desk.begin()  # the reference size is known from here on, liquidity from the next book on
    for _ in range(4):  # and the stop-out cap from the second sample of volatility on
        desk.now_ns += SECOND
        desk.fill(desk.quote())
    before = desk.held
    for _ in range(12):
        desk.now_ns += SECOND
        desk.fill(desk.quote(half_e5=4))
    assert 0 < desk.held < 0.5 * before
    assert {o.action for o in desk.lines("intended")[1:]} == {"reduce"}


def test_a_follower_with_nothing_held_sends_nothing() -> None:
    desk = Desk(symbols=(SymbolChoice("EURUSD", "follow", 1.0),))
    desk.begin()
    desk.wait(5)
    assert not desk.lines("intended")


def test_a_follower_keeps_the_side_of_what_is_held() -> None:
    desk = Desk(symbols=(SymbolChoice("EURUSD", "follow", 1.0),))
    (intended,) = desk.begin(position(-900_000)).intended
    assert (intended.side, intended.action) == ("sell", "increase")


def test_a_position_on_the_wrong_side_is_closed_before_the_other_is_opened() -> None:
    desk = Desk()
    decision = desk.begin(position(-900_000))
    (request,) = decision.requests
    assert request == ClosePosition("r1-1", 1, 5, 900_000)
    assert decision.intended[0].action == "close"
    desk.fill(decision)
    desk.now_ns += 2 * SECOND
    assert desk.quote().intended[0].action == "open"


# -- when data cannot be trusted --------------------------------------------------------------------------------------


def test_a_quiet_symbol_is_named_within_a_second_of_its_limit_and_stays_ready() -> None:
    desk = Desk(base_leverage=0.05)
    desk.begin()
    desk.wait(6)
    state = next(d.state for d in reversed(desk.decisions) if d.state)
    assert state.ready
    assert state.reasons == ("stale_quote:EURUSD",)
    desk.quote()
    assert desk.reasons() == ()


def test_a_strategy_can_see_which_prices_are_current() -> None:
    desk = Desk("EURUSD", "USDJPY")
    desk.begin()
    assert desk.engine.features.is_current.tolist() == [1.0, 1.0]
    desk.now_ns += 20 * SECOND
    desk.quote("USDJPY")
    assert desk.engine.features.is_current.tolist() == [0.0, 1.0]


def test_a_stale_symbol_may_shrink_but_not_grow() -> None:
    growing = Desk()
    growing.hear(
        ev.AccountLoaded(growing.now_ns, growing.account), growing.loaded(), ev.Reconciled(growing.now_ns, (), ())
    )
    growing.quote()
    growing.now_ns += 20 * SECOND
    decision = growing.hear(ev.ReadinessChanged(growing.now_ns, ()))
    assert not decision.requests
    assert [(r.check, r.value, r.limit) for r in decision.refused] == [("stale_quote", 20.0, 5)]
    shrinking = Desk()
    shrinking.hear(
        ev.AccountLoaded(shrinking.now_ns, shrinking.account),
        shrinking.loaded(),
        ev.Reconciled(shrinking.now_ns, (position(-900_000),), ()),
    )
    shrinking.quote()
    shrinking.now_ns += 20 * SECOND
    assert shrinking.hear(ev.ReadinessChanged(shrinking.now_ns, ())).intended[0].action == "close"


def test_no_market_order_goes_into_an_empty_side() -> None:
    desk = Desk()
    desk.begin(position(-900_000))
    other = Desk(flatten_on_loss=True)
    other.hear(
        ev.AccountLoaded(other.now_ns, other.account),
        other.loaded(),
        ev.Reconciled(other.now_ns, (position(-900_000),), ()),
    )
    other.quote(ask_cents=0)
    decision = other.hear(ev.ReadinessChanged(other.now_ns, ()))
    assert not decision.requests
    assert [r.check for r in decision.refused] == ["book_health"]
    assert "ask side" in decision.refused[0].reason


def test_a_book_that_disagrees_with_spot_for_long_is_doubted_and_renewed_once() -> None:
    desk = Desk(base_leverage=0.05)
    desk.begin()
    for _ in range(5):
        desk.now_ns += SECOND
        rows = [(SPOT_BID, 0, 0, 111_000, 0), (SPOT_ASK, 0, 0, 111_002, 0), (END_SPOT, 0, 0, 0, 0)]
        desk.hear(ev.MarketDataChanged(desk.now_ns, delta_rows(rows)))
    assert "book_health:EURUSD" in desk.reasons()
    assert [r.check for r in desk.lines("refused")] == []
    assert desk.lines("requests") == [ResubscribeDepth(1)]


def test_an_unpriced_position_makes_equity_unknown_and_stops_growth() -> None:
    desk = Desk()
    decision = desk.begin(position(100_000, position_id=9, symbol_id=77, label="somebody"))
    assert not decision.requests
    assert desk.reasons() == ("unpriced_position:9",)
    assert np.isnan(desk.engine.valuation.equity)


def test_a_conversion_without_a_fresh_price_stops_growth() -> None:
    desk = Desk("USDJPY")
    desk.hear(ev.AccountLoaded(desk.now_ns, desk.account), desk.loaded(), ev.Reconciled(desk.now_ns, (), ()))
    desk.hear(ev.ReadinessChanged(desk.now_ns, ()))
    (intended,) = desk.quote("USDJPY").intended
    assert intended.volume_cents == 2_000_000, "2 x 10 000 USD of a pair based in USD"


# -- orders whose outcome is open -------------------------------------------------------------------------------------


def test_an_order_without_an_answer_becomes_unknown_and_the_venue_is_asked() -> None:
    desk = Desk()
    desk.begin()
    for _ in range(10):
        desk.now_ns += SECOND
        desk.quote()
    changes = [(c.state, c.error_code) for c in desk.lines("order_changes")]
    assert changes == [("sent", None), ("unknown", "ORDER_TIMEOUT")]
    assert [type(r) for r in desk.lines("requests")] == [PlaceOrder, ResolveOrders, AskCashFlow]
    assert "unknown_order:EURUSD" in desk.reasons()


def test_an_order_the_venue_never_saw_is_resolved_and_replaced_only_after_settling() -> None:
    desk = Desk()
    desk.begin()
    desk.wait(10)
    desk.answer_history()
    assert desk.lines("order_changes")[-1].state == "unknown", "the lists may be behind"
    first_look_ns = desk.now_ns
    while len(desk.lines("intended")) == 1:
        desk.now_ns += SECOND
        if any(isinstance(r, ResolveOrders) for r in desk.quote().requests):
            desk.answer_history()
            assert desk.lines("order_changes")[-1].state == "resolved"
    assert 3 * SECOND <= desk.now_ns - first_look_ns <= 6 * SECOND
    first, second = (o.client_order_id for o in desk.lines("intended"))
    assert first != second


def test_an_order_that_the_lists_learn_of_late_is_found_and_not_doubled() -> None:
    desk = Desk()
    (request,) = desk.begin().requests
    desk.wait(10)
    desk.answer_history()
    desk.wait(3)
    late = OrderSnapshot(
        77, 1, 1_800_000, 1_800_000, "market_range", "filled", request.client_order_id, position_id=8, label="microlev"
    )
    desk.answer_history(orders=(late,), positions=(position(1_800_000, position_id=8),))
    assert [c.state for c in desk.lines("order_changes")] == ["sent", "unknown", "filled"]
    desk.wait(30)
    assert len(desk.lines("intended")) == 1


def test_positions_are_compared_with_the_venue_s_own_once_a_minute_while_nothing_happens() -> None:
    desk = Desk()
    desk.begin(position(1_800_000))
    for _ in range(300):
        desk.now_ns += SECOND
        if any(isinstance(r, ResolveOrders) for r in desk.quote().requests):
            desk.answer_history(positions=tuple(desk.engine.portfolio.positions()))
    looks = [type(r) for r in desk.lines("requests")].count(ResolveOrders)
    assert 3 <= looks <= 5


def test_an_incomplete_history_resolves_nothing() -> None:
    desk = Desk()
    desk.begin()
    desk.wait(10)
    desk.hear(ev.OrderHistoryListed(desk.now_ns, 0, (), (), complete=False))
    desk.wait(9)
    assert [type(r) for r in desk.lines("requests")].count(ResolveOrders) == 1, "not again and again"
    desk.wait(2)
    assert [c.state for c in desk.lines("order_changes")] == ["sent", "unknown"]
    assert [type(r) for r in desk.lines("requests")].count(ResolveOrders) == 2


def test_a_fill_found_in_the_history_is_taken_and_not_counted_twice() -> None:
    desk = Desk()
    (request,) = desk.begin().requests
    assert isinstance(request, PlaceOrder)
    desk.hear(ev.ReadinessChanged(desk.now_ns, ("disconnected",)))
    assert desk.lines("order_changes")[-1].error_code == "CONNECTION_LOST"
    desk.now_ns += SECOND
    held = position(request.volume_cents)
    desk.hear(ev.Reconciled(desk.now_ns, (held,), ()), ev.ReadinessChanged(desk.now_ns, ()))
    filled = OrderSnapshot(
        3, 1, request.volume_cents, request.volume_cents, "market_range", "filled", request.client_order_id
    )
    deal = Deal(4, 3, 5, 1, request.volume_cents, 1.1, Decimal(0), desk.now_ns)
    desk.hear(ev.Reconciled(desk.now_ns, (held,), ()), ev.OrderHistoryListed(desk.now_ns, 0, (filled,), (deal,), True))
    assert desk.lines("order_changes")[-1].state == "filled"
    desk.hear(ev.ExecutionReported(desk.now_ns, "filled", request.client_order_id, filled, deal))
    assert desk.engine.portfolio.own_cents(1) == request.volume_cents


def test_an_order_that_never_left_is_rejected_at_once() -> None:
    desk = Desk()
    (request,) = desk.begin().requests
    decision = desk.hear(ev.RequestRefused(desk.now_ns, request.client_order_id, "NOT_SENT"))
    assert [(c.state, c.error_code) for c in decision.order_changes] == [("rejected", "NOT_SENT")]


def test_an_error_that_leaves_the_outcome_open_asks_at_once() -> None:
    desk = Desk()
    (request,) = desk.begin().requests
    refusal = ev.RequestRefused(desk.now_ns, request.client_order_id, "TIMEOUT_ERROR", outcome_unknown=True)
    decision = desk.hear(refusal)
    assert decision.order_changes[-1].state == "unknown"
    assert [type(r) for r in decision.requests] == [ResolveOrders, AskCashFlow]


def test_a_partly_filled_order_that_is_cancelled_keeps_what_it_filled() -> None:
    desk = Desk()
    desk.fill(desk.begin(), share=0.5)
    assert [c.state for c in desk.lines("order_changes")] == ["sent", "accepted", "partially_filled", "cancelled"]
    assert desk.engine.portfolio.own_cents(1) == 900_000


@pytest.mark.parametrize("code", ["POSITION_LOCKED", "NOT_ENOUGH_MONEY", "BLOCKED_PAYLOAD_TYPE"])
def test_a_refused_order_is_tried_again_with_growing_pauses_even_when_it_is_urgent(code: str) -> None:
    desk = Desk(leverage_limits=LeverageLimits(1.0, 10))
    decision = desk.begin(position(1_800_000))
    sent_ns = []
    for _ in range(240):
        if decision.requests:
            sent_ns.append(desk.now_ns)
            (request,) = decision.requests
            desk.hear(ev.RequestRefused(desk.now_ns, request.client_order_id, code))
        desk.now_ns += SECOND // 4
        decision = desk.quote()
    pauses = [(b - a) / SECOND for a, b in pairwise(sent_ns)]
    assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0]


def test_a_close_of_a_position_that_is_gone_is_looked_up_not_repeated() -> None:
    desk = Desk(base_leverage=0.05)
    (request,) = desk.begin(position(1_800_000)).requests
    refusal = ev.RequestRefused(desk.now_ns, request.client_order_id, "POSITION_NOT_FOUND")
    assert [type(r) for r in desk.hear(refusal).requests] == [ResolveOrders, AskCashFlow]
    desk.answer_history()
    assert desk.engine.portfolio.positions() == []
    desk.wait(3)
    desk.answer_history()
    assert [c.state for c in desk.lines("order_changes")] == ["sent", "unknown", "resolved"]


def test_an_order_of_ours_still_working_after_a_crash_is_taken_over_and_not_doubled() -> None:
    desk = Desk()
    working = OrderSnapshot(
        77, 1, 1_800_000, 0, "market_range", "accepted", "earlier-1", position_id=8, label="microlev"
    )
    desk.hear(ev.AccountLoaded(desk.now_ns, desk.account), desk.loaded(), ev.Reconciled(desk.now_ns, (), (working,)))
    desk.quote()
    desk.hear(ev.ReadinessChanged(desk.now_ns, ()))
    desk.now_ns += 2 * SECOND
    assert not desk.quote().requests
    assert [(c.state, c.order.client_order_id) for c in desk.lines("order_changes")] == [("accepted", "earlier-1")]
    deal = Deal(78, 77, 8, 1, 1_800_000, 1.1, Decimal(0), desk.now_ns)
    done = replace(working, status="filled", executed_cents=1_800_000)
    desk.hear(ev.ExecutionReported(desk.now_ns, "filled", "earlier-1", done, deal, position(1_800_000, position_id=8)))
    assert desk.held == pytest.approx(1.98, abs=0.001)
    desk.now_ns += 2 * SECOND
    assert not desk.quote().requests


@pytest.mark.parametrize("label", ["microlev", "somebody"])
def test_an_event_whose_deal_the_reconcile_has_already_counts_once(label: str) -> None:
    desk = Desk(base_leverage=2.0)
    held = position(1_800_000, label=label)
    desk.begin(held)
    deal = Deal(4, 3, 5, 1, 1_800_000, 1.1, Decimal(0), desk.now_ns)
    order = OrderSnapshot(3, 1, 1_800_000, 1_800_000, "market", "filled", label=label)
    desk.hear(ev.ExecutionReported(desk.now_ns, "filled", None, order, deal, held))
    assert [p.volume_cents for p in desk.engine.portfolio.positions()] == [1_800_000]


def test_a_fill_told_without_its_deal_is_taken_from_the_position() -> None:
    desk = Desk()
    (request,) = desk.begin().requests
    order = OrderSnapshot(3, 1, 1_800_000, 1_000_000, "market_range", "cancelled", request.client_order_id)
    cancelled = ev.ExecutionReported(
        desk.now_ns, "cancelled", request.client_order_id, order, None, position(1_000_000)
    )
    desk.hear(cancelled)
    assert desk.engine.portfolio.own_cents(1) == 1_000_000


def test_positions_and_events_that_do_not_add_up_are_looked_up() -> None:
    desk = Desk(base_leverage=0.05)
    desk.begin(position(100_000, label="somebody"))
    deal = Deal(4, 3, 5, 1, 100_000, 1.1, Decimal(0), desk.now_ns)
    order = OrderSnapshot(3, 1, 100_000, 100_000, "market", "filled", label="somebody")
    after = position(500_000, label="somebody")  # we have missed something in between
    decision = desk.hear(ev.ExecutionReported(desk.now_ns, "filled", None, order, deal, after))
    assert [type(r) for r in decision.requests] == [ResolveOrders, AskCashFlow]


def test_lists_that_know_a_fill_which_the_reconcile_lacks_resolve_nothing_yet() -> None:
    desk = Desk()
    (request,) = desk.begin().requests
    desk.wait(10)
    filled = OrderSnapshot(3, 1, 1_800_000, 1_800_000, "market_range", "filled", request.client_order_id, position_id=5)
    deal = Deal(4, 3, 5, 1, 1_800_000, 1.1, Decimal(0), desk.now_ns)
    lists = ev.OrderHistoryListed(desk.now_ns, 0, (filled,), (deal,), True)
    desk.hear(ev.Reconciled(desk.now_ns, (), ()), lists)
    assert desk.lines("order_changes")[-1].state == "unknown"
    desk.wait(11)
    assert len(desk.lines("intended")) == 1
    held = position(1_800_000)
    lists = replace(lists, recv_ns=desk.now_ns)
    desk.hear(ev.Reconciled(desk.now_ns, (held,), ()), lists)
    assert desk.lines("order_changes")[-1].state == "filled"
    desk.hear(ev.ExecutionReported(desk.now_ns, "filled", request.client_order_id, filled, deal, held))
    assert desk.engine.portfolio.own_cents(1) == 1_800_000


def test_a_position_closed_by_hand_while_we_were_away_is_left_alone() -> None:
    desk = Desk()
    desk.fill(desk.begin())
    desk.hear(ev.ReadinessChanged(desk.now_ns, ("disconnected",)))
    desk.now_ns += 2 * SECOND
    desk.hear(ev.Reconciled(desk.now_ns, (), ()), ev.ReadinessChanged(desk.now_ns, ()))
    for _ in range(3):
        desk.now_ns += SECOND
        assert not desk.quote().requests
    assert desk.reasons() == ("closed_by_hand:EURUSD",)


def test_a_position_of_ours_in_a_symbol_not_traded_here_may_vanish_without_harm() -> None:
    desk = Desk(base_leverage=0.05)
    desk.hear(
        ev.AccountLoaded(desk.now_ns, desk.account),
        desk.loaded(EURUSD, USDJPY, traded=1),
        ev.Reconciled(desk.now_ns, (position(100_000, position_id=9, symbol_id=2, price=150.0),), ()),
        ev.ReadinessChanged(desk.now_ns, ()),
    )
    desk.hear(ev.ReadinessChanged(desk.now_ns, ("disconnected",)))
    desk.hear(desk.loaded(), ev.Reconciled(desk.now_ns, (), ()), ev.ReadinessChanged(desk.now_ns, ()))
    assert desk.quote().state is not None
    assert desk.reasons() == ()


def test_a_position_closed_by_the_other_side_does_not_make_the_lists_lag() -> None:
    desk = Desk()
    (request,) = desk.begin(position(900_000)).requests
    desk.wait(10)
    filled = OrderSnapshot(3, 1, 900_000, 900_000, "market_range", "filled", request.client_order_id)
    ours = Deal(4, 3, 5, 1, 900_000, 1.1, Decimal(0), desk.now_ns)
    by_hand = Deal(6, 7, 5, 1, -1_800_000, 1.1, Decimal(0), desk.now_ns)
    lists = ev.OrderHistoryListed(desk.now_ns, 0, (filled,), (ours, by_hand), True)
    desk.hear(ev.Reconciled(desk.now_ns, (), ()), lists)
    assert desk.lines("order_changes")[-1].state == "filled"


def test_a_slightly_crossed_price_forbids_growth_and_lets_a_reduction_through() -> None:
    growing, shrinking = Desk(), Desk(leverage_limits=LeverageLimits(1.0, 10))
    held = {growing: (), shrinking: (position(1_800_000),)}
    crossed = [(SPOT_BID, 0, 0, 110_002, 0), (SPOT_ASK, 0, 0, 110_000, 0), (END_SPOT, 0, 0, 0, 0)]
    for desk, positions in held.items():
        loaded = desk.loaded(), ev.Reconciled(desk.now_ns, positions, ())
        desk.hear(ev.AccountLoaded(desk.now_ns, desk.account), *loaded)
        desk.quote()
        desk.hear(ev.MarketDataChanged(desk.now_ns, delta_rows(crossed)))
        desk.hear(ev.ReadinessChanged(desk.now_ns, ()))
    assert [r.check for r in growing.lines("refused")] == ["book_health"]
    assert [o.action for o in shrinking.lines("intended")] == ["reduce"]


@pytest.mark.parametrize(("bid", "ask"), [(200_000, 100_000), (1_100_000, 1_100_002), (110_000, 500_000)])
def test_one_impossible_spot_price_moves_nothing(bid: int, ask: int) -> None:
    desk = Desk()
    desk.fill(desk.begin())
    desk.now_ns += 2 * SECOND
    slip = [(SPOT_BID, 0, 0, bid, 0), (SPOT_ASK, 0, 0, ask, 0), (END_SPOT, 0, 0, 0, 0)]
    decision = desk.hear(ev.MarketDataChanged(desk.now_ns, delta_rows(slip)))
    assert not decision.requests
    desk.now_ns += SECOND
    assert not desk.quote().requests
    assert desk.engine.trading == "active"


# -- the connection ---------------------------------------------------------------------------------------------------


def test_a_drop_empties_the_books_and_nothing_trades_until_ready_again() -> None:
    desk = Desk(base_leverage=0.05)
    desk.begin()
    desk.hear(ev.ReadinessChanged(desk.now_ns, ("disconnected",)))
    features = desk.engine.features
    assert features is not None
    assert np.isnan(features.mid[0])
    assert np.isnan(features.depth_bid[0])
    assert desk.reasons() == ("disconnected",)
    desk.hear(ev.ReadinessChanged(desk.now_ns, ()))
    assert desk.reasons() == ("waiting_for_quotes:EURUSD",)


def test_symbols_loaded_again_keep_the_market_and_a_new_one_is_added_behind() -> None:
    desk = Desk(base_leverage=0.05)
    desk.begin()
    features = desk.engine.features
    assert features is not None
    before = float(features.mid[0])
    desk.hear(desk.loaded())
    assert desk.engine.features is features
    desk.hear(desk.loaded(EURUSD, USDJPY, traded=1))
    grown = desk.engine.features
    assert grown is not None
    assert float(grown.mid[0]) == before
    assert np.isnan(grown.mid[1])
    assert desk.quote().rows["mid"].tolist() == [before]


# -- limits -----------------------------------------------------------------------------------------------------------


def test_leverage_above_its_limit_is_cut_within_ten_seconds_whatever_the_band() -> None:
    desk = Desk(base_leverage=2.0, pace=replace(QUICK, band_frac=1.0), leverage_limits=LeverageLimits(1.5, 10))
    desk.fill(desk.begin(position(1_800_000)))
    assert desk.held <= 1.5
    assert "limit" in desk.lines("intended")[0].reason


def test_margin_use_above_its_limit_is_cut_when_the_broker_lowers_the_leverage() -> None:
    desk = Desk(base_leverage=5.0)
    desk.fill(desk.begin())
    desk.fill(desk.hear(ev.AccountLoaded(desk.now_ns, replace(desk.account, leverage=5.0))))
    for _ in range(3):
        desk.now_ns += SECOND
        desk.fill(desk.quote())
    assert desk.engine.used_margin() / desk.engine.valuation.equity <= 0.5


def test_positions_of_others_use_up_the_account_leverage() -> None:
    desk = Desk(base_leverage=8.0)
    foreign = position(7_000_000, position_id=9, label="somebody")
    (intended,) = desk.begin(foreign).intended
    assert 7.7 + intended.volume_cents / 100 * 1.1 / 10_000 <= 10


def test_a_foreign_position_on_a_netted_account_keeps_us_out() -> None:
    desk = Desk()
    desk.account = replace(desk.account, account_type="NETTED")
    decision = desk.begin(position(100_000, position_id=9, label="somebody"))
    assert [r.check for r in decision.refused] == ["foreign_position"]
    assert not decision.requests


def test_a_refusal_is_said_again_only_after_ten_seconds() -> None:
    desk = Desk()
    desk.account = replace(desk.account, account_type="NETTED")
    desk.begin(position(100_000, position_id=9, label="somebody"))
    for _ in range(25):
        desk.now_ns += SECOND
        desk.quote()
    assert len(desk.lines("refused")) == 3


def test_an_increase_over_the_order_rate_is_refused() -> None:
    desk = Desk(risk_limits=replace(LIMITS, max_orders_per_minute=2), min_interval_s=0.0)
    decision = desk.begin()
    for _ in range(4):
        refusals = [ev.RequestRefused(desk.now_ns, r.client_order_id, "NO_QUOTES") for r in decision.requests]
        desk.hear(*refusals)
        desk.now_ns += 10 * SECOND
        decision = desk.quote()
    assert {r.check for r in desk.lines("refused")} == {"order_rate"}
    assert len(desk.lines("intended")) == 2


def test_the_daily_loss_limit_halts_and_closes_everything_of_ours() -> None:
    desk = Desk()
    desk.fill(desk.begin())
    desk.now_ns += 2 * SECOND
    decision = desk.quote(mid_e5=108_000)
    (refusal,) = decision.refused
    assert (refusal.check, refusal.limit) == ("daily_loss", 0.02)
    assert desk.engine.trading == "halted"
    assert decision.intended[0].action == "close"
    desk.fill(decision)
    assert desk.engine.is_settled
    desk.now_ns += 2 * SECOND
    assert not desk.quote(mid_e5=120_000).requests, "a halt is not lifted by a better price"


def test_orders_on_their_way_count_towards_the_account_leverage() -> None:
    desk = Desk("EURUSD", "USDJPY", base_leverage=6.0, leverage_limits=LeverageLimits(8, 20))
    decision = desk.begin()
    total = {"EURUSD": 1.1, "USDJPY": 1.0}
    sent = sum(o.volume_cents / 100 * total[o.symbol] / 10_000 for o in decision.intended)
    assert len(decision.intended) == 2
    assert sent <= 10, "neither is filled yet, and together they must not cross the limit"
    assert "max_leverage" in decision.intended[1].reason


@pytest.mark.parametrize(
    ("rights", "grows", "shrinks"),
    [("FULL_ACCESS", True, True), ("CLOSE_ONLY", False, True), ("NO_TRADING", False, False)],
)
def test_the_access_rights_of_the_account_are_obeyed(rights: str, grows: bool, shrinks: bool) -> None:
    flat, short = Desk(), Desk()
    for desk in (flat, short):
        desk.account = replace(desk.account, access_rights=rights)
    assert bool(flat.begin().requests) is grows
    assert bool(short.begin(position(-900_000)).requests) is shrinks
    assert flat.engine.trading == ("active" if grows else "reducing")


def test_leverage_tiers_that_have_not_come_stop_growth() -> None:
    desk = Desk()
    tiered = replace(EURUSD, leverage_id=3)
    desk.hear(ev.AccountLoaded(desk.now_ns, desk.account), desk.loaded(tiered), ev.Reconciled(desk.now_ns, (), ()))
    desk.quote()
    decision = desk.hear(ev.ReadinessChanged(desk.now_ns, ()))
    assert [r.check for r in decision.refused] == ["margin_use"]
    assert "cannot be computed" in decision.refused[0].reason
    desk.now_ns += 2 * SECOND
    desk.hear(ev.LeverageTiersLoaded(desk.now_ns, 3, ((1_000_000.0, 500.0),)))
    assert desk.lines("intended")[-1].action == "open"


def test_a_hedged_pair_is_flattened_although_it_nets_to_nothing() -> None:
    desk = Desk(flatten_on_stop=True, base_leverage=0.05)
    desk.begin(position(300_000), position(-300_000, position_id=6))
    decision = desk.hear(ev.CommandGiven(desk.now_ns, "stop"))
    for _ in range(2):  # at once, one after the other: a run that ends has ten seconds
        assert not desk.engine.is_settled
        decision = desk.fill(decision)
    assert desk.engine.portfolio.positions() == []
    assert desk.engine.is_settled


def test_a_withdrawal_is_no_loss() -> None:
    desk = Desk(base_leverage=0.05)
    desk.begin()
    desk.hear(ev.AccountLoaded(desk.now_ns, replace(desk.account, balance=Decimal(5000), balance_version=2)))
    desk.wait(1)  # the account's update came first, the reason for it comes now
    desk.hear(
        ev.ExecutionReported(
            desk.now_ns, "deposit_withdraw", balance=Decimal(5000), balance_version=2, balance_change=Decimal(-5000)
        )
    )
    desk.wait(5)
    assert desk.engine.trading == "active"
    assert desk.engine.valuation.equity == 5000


def test_a_balance_that_fell_for_no_known_reason_is_a_loss() -> None:
    desk = Desk(base_leverage=0.05)
    desk.begin()
    desk.hear(ev.AccountLoaded(desk.now_ns, replace(desk.account, balance=Decimal(5000), balance_version=2)))
    desk.wait(1)
    assert desk.engine.trading == "active"
    desk.wait(2)
    assert desk.engine.trading == "halted"


def test_a_position_closed_by_hand_is_left_alone() -> None:
    desk = Desk()
    desk.fill(desk.begin())
    (held,) = desk.engine.portfolio.positions()
    by_hand = OrderSnapshot(99, 1, -held.volume_cents, held.volume_cents, "market", "filled", closing=True)
    deal = Deal(98, 99, held.position_id, 1, -held.volume_cents, 1.1, Decimal(0), desk.now_ns)
    desk.hear(ev.ExecutionReported(desk.now_ns, "filled", None, by_hand, deal))
    for _ in range(5):
        desk.now_ns += SECOND
        assert not desk.quote().requests
    assert desk.reasons() == ("closed_by_hand:EURUSD",)


def test_a_stop_that_flattens_waits_for_no_symbol_that_a_person_has_taken_over() -> None:
    desk = Desk(flatten_on_stop=True)
    desk.fill(desk.begin())
    (held,) = desk.engine.portfolio.positions()
    by_hand = OrderSnapshot(99, 1, -300_000, 300_000, "market", "filled", closing=True)
    deal = Deal(98, 99, held.position_id, 1, -300_000, 1.1, Decimal(0), desk.now_ns)
    desk.hear(ev.ExecutionReported(desk.now_ns, "filled", None, by_hand, deal))
    assert desk.reasons() == ("closed_by_hand:EURUSD",)
    assert not desk.hear(ev.CommandGiven(desk.now_ns, "stop")).requests and desk.engine.is_settled
    flatten = desk.hear(ev.CommandGiven(desk.now_ns, "flatten"))
    assert not desk.engine.is_settled, "a person's word, or a loss limit's, acts there too"
    desk.fill(flatten)
    assert desk.engine.portfolio.positions() == [] and desk.engine.is_settled


# -- the end ----------------------------------------------------------------------------------------------------------


def test_after_a_stop_nothing_new_is_opened() -> None:
    desk = Desk()
    desk.begin(position(500_000))
    stopped = Desk()
    stopped.hear(ev.CommandGiven(stopped.now_ns, "stop"))
    assert not stopped.begin().requests
    assert stopped.engine.is_settled


def test_a_stop_that_flattens_closes_what_is_ours_and_nothing_else() -> None:
    desk = Desk(flatten_on_stop=True, base_leverage=0.1)
    foreign = position(300_000, position_id=9, label="somebody")
    desk.begin(position(100_000), foreign)
    desk.now_ns += 2 * SECOND
    decision = desk.hear(ev.CommandGiven(desk.now_ns, "stop"))
    assert not desk.engine.is_settled
    desk.fill(decision)
    assert desk.engine.is_settled
    assert desk.engine.portfolio.positions() == [foreign]
