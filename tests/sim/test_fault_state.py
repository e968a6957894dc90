"""Faults of accounts, symbols and markets: what the broker, the market and the account's owner do meanwhile."""

from decimal import Decimal
from typing import Any

import pytest
from fault_bench import at, bench
from venue_client import ACCOUNT, EURUSD, SECOND, USDJPY, Client, Desk, kinds

from bot.sim.faults.script import Fault, When
from bot.sim.faults.venue_faults import (
    AccessRights,
    CloseMarket,
    CrossedBook,
    Deposit,
    EmptyBook,
    Holiday,
    LeverageChange,
    ManualTrade,
    MarginChange,
    NoDepth,
    OpenMarket,
    Shift,
    StopQuotes,
    SymbolChange,
    TradingMode,
    Withdraw,
)


def after_a_second(what: Any, **more: Any) -> tuple[Desk, Client]:
    """A client that holds a long EURUSD and has seen a fault strike."""
    desk = bench(at(1, what, **more))
    client = desk.client()
    client.send("ProtoOASubscribeSpotsReq", symbolId=[EURUSD, USDJPY])
    client.send("ProtoOASubscribeDepthQuotesReq", symbolId=[EURUSD, USDJPY])
    client.order("MARKET", "BUY", 1_000_000)
    desk.wait(1)
    assert desk.venue.stage.fired[-1].problem is None
    return desk, client


def codes(messages: list[Any]) -> list[str]:
    return [getattr(body, "errorCode", "") for body in messages]


def test_a_margin_change_is_told_for_each_position() -> None:
    before = after_a_second(MarginChange(1.0))[0].account.positions
    _, client = after_a_second(MarginChange(2.0))
    (event,) = client.messages("ProtoOAMarginChangedEvent")
    assert event.usedMargin == 2 * next(iter(before.values())).used_margin


def test_a_margin_change_of_the_tiers_concerns_the_symbol() -> None:
    _, client = after_a_second(MarginChange(2.0, tiers=True), symbol="EURUSD")
    (event,) = client.messages("ProtoOASymbolChangedEvent")
    assert list(event.symbolId) == [EURUSD]


def test_a_leverage_change_reaches_the_trader() -> None:
    _, client = after_a_second(LeverageChange(100))
    (event,) = client.messages("ProtoOATraderUpdatedEvent")
    assert event.trader.leverageInCents == 10_000


def test_access_rights_hold_for_their_time() -> None:
    desk, client = after_a_second(AccessRights("CLOSE_ONLY"), for_ns=10 * SECOND)
    assert len(client.messages("ProtoOATraderUpdatedEvent")) == 1
    assert codes(client.order("MARKET", "BUY", 100_000)) == ["TRADING_NOT_ALLOWED"]
    desk.wait(10)
    client.received()
    assert kinds(client.order("MARKET", "BUY", 100_000)) == ["ORDER_ACCEPTED", "ORDER_FILLED"]


def test_a_symbol_change_is_told_and_enforced() -> None:
    _, client = after_a_second(SymbolChange({"min_volume_cents": 500_000, "step_volume_cents": 500_000}),
                               symbol="EURUSD")  # fmt: skip
    assert [list(event.symbolId) for event in client.messages("ProtoOASymbolChangedEvent")] == [[EURUSD]]
    assert client.ask("ProtoOASymbolByIdReq", symbolId=[EURUSD]).symbol[0].minVolume == 500_000
    assert codes(client.order("MARKET", "BUY", 100_000)) == ["TRADING_BAD_VOLUME"]


def test_the_owner_opens_closes_and_cancels_by_hand() -> None:
    desk, client = after_a_second(ManualTrade("open", "sell", 200_000), symbol="USDJPY")
    assert kinds(client.messages()) == ["ORDER_ACCEPTED", "ORDER_FILLED"]
    client.order("LIMIT", "BUY", 100_000, limitPrice=1.0)
    stage = desk.venue.stage
    stage.fire(ManualTrade("close", volume_cents=300_000), symbol="EURUSD")
    assert sorted(p.volume_cents for p in desk.account.positions.values()) == [200_000, 700_000]
    stage.fire(ManualTrade("cancel"), symbol="EURUSD")
    assert not desk.account.orders
    stage.fire(ManualTrade("close_all"))
    assert not desk.account.positions
    assert kinds(client.messages()) == ["ORDER_ACCEPTED", "ORDER_FILLED", "ORDER_CANCELLED"] + [
        "ORDER_ACCEPTED", "ORDER_FILLED"] * 2  # fmt: skip
    stage.fire(ManualTrade("close"))
    assert "nothing to close" in str(stage.fired[-1].problem)


def test_money_comes_and_goes() -> None:
    desk, client = after_a_second(Deposit(Decimal("123.45")))
    (event,) = client.messages()
    assert kinds([event]) == ["DEPOSIT_WITHDRAW"]
    assert event.depositWithdraw.delta == 12_345
    desk.venue.stage.fire(Withdraw(Decimal(1_000)))
    (event,) = client.messages()
    assert event.depositWithdraw.balance == 1_000_000 + 12_345 - 100_000
    desk.venue.stage.fire(Withdraw(Decimal(10**9)))
    assert "NOT_ENOUGH_MONEY" in str(desk.venue.stage.fired[-1].problem)


def test_a_closed_market_takes_no_orders_and_shows_no_prices_until_it_opens() -> None:
    desk, client = after_a_second(CloseMarket(), symbol="EURUSD")
    client.received()
    assert codes(client.order("MARKET", "BUY", 100_000)) == ["MARKET_CLOSED"]
    desk.price(EURUSD, 112_000, 112_010)
    assert client.received() == []
    assert kinds(client.order("MARKET", "BUY", 100_000, symbol_id=USDJPY)) == ["ORDER_ACCEPTED", "ORDER_FILLED"]
    desk.venue.stage.fire(OpenMarket(), symbol="EURUSD")
    assert "ProtoOASpotEvent" in kinds(client.messages())
    assert kinds(client.order("MARKET", "BUY", 100_000)) == ["ORDER_ACCEPTED", "ORDER_FILLED"]


def test_a_market_closed_for_a_while_opens_by_itself() -> None:
    desk, client = after_a_second(CloseMarket(), for_ns=5 * SECOND)
    assert codes(client.order("MARKET", "BUY", 100_000))[-1] == "MARKET_CLOSED"
    desk.wait(5)
    client.received()
    assert kinds(client.order("MARKET", "BUY", 100_000)) == ["ORDER_ACCEPTED", "ORDER_FILLED"]


def test_a_trading_mode_holds_for_its_time() -> None:
    desk, client = after_a_second(TradingMode("CLOSE_ONLY_MODE"), symbol="EURUSD", for_ns=5 * SECOND)
    assert "ProtoOASymbolChangedEvent" in kinds(client.messages())
    assert codes(client.order("MARKET", "BUY", 100_000)) == ["TRADING_DISABLED"]
    desk.wait(5)
    client.received()
    assert kinds(client.order("MARKET", "BUY", 100_000)) == ["ORDER_ACCEPTED", "ORDER_FILLED"]


def test_a_holiday_closes_the_symbol_today() -> None:
    _, client = after_a_second(Holiday(), symbol="EURUSD")
    client.received()
    assert codes(client.order("MARKET", "BUY", 100_000)) == ["SYMBOL_HAS_HOLIDAY"]
    assert len(client.ask("ProtoOASymbolByIdReq", symbolId=[EURUSD]).symbol[0].holiday) == 1


def test_a_crossed_book_crosses_and_heals() -> None:
    desk, client = after_a_second(CrossedBook(), symbol="EURUSD", for_ns=5 * SECOND)
    book = desk.venue.books[EURUSD]
    assert client.messages("ProtoOADepthEvent")
    assert book.bid_e5 is not None
    assert book.ask_e5 is not None
    assert book.bid_e5 >= book.ask_e5
    desk.wait(5)
    assert book.bid_e5 < book.ask_e5
    assert client.messages("ProtoOADepthEvent")


@pytest.mark.parametrize("side", ["bid", "ask", "both"])
def test_a_side_of_the_book_empties_and_comes_back(side: str) -> None:
    desk, client = after_a_second(EmptyBook(side), symbol="EURUSD", for_ns=5 * SECOND)
    book = desk.venue.books[EURUSD]
    sides = {"bid" if quote.is_bid else "ask" for quote in book.quotes.values()}
    assert sides == {"bid", "ask"} - ({"bid", "ask"} if side == "both" else {side})
    assert [event for event in client.messages("ProtoOADepthEvent") if event.deletedQuotes]
    desk.wait(5)
    assert {quote.is_bid for quote in book.quotes.values()} == {True, False}


def test_quotes_that_stop_leave_orders_possible() -> None:
    desk, client = after_a_second(StopQuotes(), symbol="EURUSD", for_ns=5 * SECOND)
    desk.price(EURUSD, 112_000, 112_010)
    assert client.messages("ProtoOASpotEvent") == []
    assert kinds(client.order("MARKET", "BUY", 100_000)) == ["ORDER_ACCEPTED", "ORDER_FILLED"]
    desk.wait(4)
    assert client.messages("ProtoOASpotEvent")[-1].bid == 112_000


def test_a_symbol_without_depth_from_the_start_has_spot_prices_alone_until_the_fault_ends() -> None:
    desk = bench(at(0, NoDepth(), symbol="EURUSD", for_ns=20 * SECOND))
    client = desk.client()
    client.send("ProtoOASubscribeSpotsReq", symbolId=[EURUSD, USDJPY])
    got = client.send("ProtoOASubscribeDepthQuotesReq", symbolId=[EURUSD, USDJPY])
    assert [body.symbolId for _, body in got[1:]] == [USDJPY], "the subscription is taken"
    desk.price(EURUSD, 112_000, 112_010)
    assert kinds(client.messages()) == ["ProtoOASpotEvent"]
    assert kinds(client.order("MARKET", "BUY", 100_000)) == ["ORDER_ACCEPTED", "ORDER_FILLED"]
    desk.wait(20)
    (event,) = client.messages("ProtoOADepthEvent")
    assert (event.symbolId, len(event.newQuotes), len(event.deletedQuotes)) == (EURUSD, 2, 0)


def test_a_symbol_that_has_no_depth_for_ever_never_sends_any() -> None:
    desk, client = after_a_second(NoDepth(), symbol="EURUSD")
    assert client.messages("ProtoOADepthEvent")[-1].deletedQuotes, "what stood is withdrawn"
    desk.price(EURUSD, 112_000, 112_010)
    desk.wait(3_600)
    assert client.messages("ProtoOADepthEvent") == []


def test_a_shift_moves_one_symbol_for_its_time() -> None:
    desk, client = after_a_second(Shift(10.0), symbol="EURUSD", for_ns=5 * SECOND)
    spots = client.messages("ProtoOASpotEvent")
    assert [(spot.symbolId, spot.bid, spot.ask) for spot in spots[-1:]] == [(EURUSD, 110_109, 110_111)]
    desk.wait(5)
    assert [(spot.symbolId, spot.bid) for spot in client.messages("ProtoOASpotEvent")] == [(EURUSD, 109_999)]


@pytest.mark.parametrize("what", [CrossedBook(), EmptyBook(), StopQuotes(), Shift(5.0)])
def test_what_needs_an_end_does_nothing_without_one_and_says_so(what: Any) -> None:
    desk = Desk()
    desk.venue.stage.fire(what, symbol="EURUSD")
    assert "for how long" in str(desk.venue.stage.fired[-1].problem)


def test_an_account_or_symbol_the_venue_has_not_is_told_not_raised() -> None:
    desk = bench(at(1, Deposit(Decimal(5)), account_id=5), at(1, CloseMarket(), symbol="NOPE"))
    desk.wait(1)
    assert [fired.problem for fired in desk.venue.stage.fired] == [
        "NO_ACCOUNT: the venue has no account 5", "NO_SYMBOL: the venue has no symbol NOPE"]  # fmt: skip
    assert desk.account.balance == 1_000_000


def test_a_fault_of_the_state_may_be_set_off_by_a_fill() -> None:
    when = When(on_event=("ProtoOAExecutionEvent",), kinds=("ORDER_FILLED",))
    desk = bench(Fault(ManualTrade("close_all"), when))
    client = desk.client()
    client.order("MARKET", "BUY", 100_000)
    assert not desk.account.positions, "closed by the owner as soon as it was filled"
    assert desk.venue.stage.fired[0].line().startswith("fault manual_trade (event 1 of ORDER_FILLED)")
    assert {position.symbol_id for position in desk.account.positions.values()} == set()
    assert desk.venue.snapshot(ACCOUNT).positions == ()
