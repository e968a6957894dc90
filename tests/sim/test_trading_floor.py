"""Markets that close: by their hours, by a holiday, by nobody's plan; and the trading modes of a symbol."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from venue_client import EURUSD, SECOND, USDJPY, Client, Desk, kinds

from bot.market.symbols import Holiday
from bot.sim.listing import FX_WEEK, default_symbols

LOT = 10_000_000
FILL = ["ORDER_ACCEPTED", "ORDER_FILLED"]
FRIDAY_NS = int(datetime(2026, 1, 9, 21, 59, tzinfo=UTC).timestamp()) * SECOND
WEEKEND_S = 47 * 3_600 + 120
TODAY = (date(2026, 1, 9) - date(1970, 1, 1)).days


def friday(**options: Any) -> tuple[Desk, Client]:
    """A venue one minute before the week's end in New York, and a client that hears of EURUSD."""
    desk = Desk(start_ns=FRIDAY_NS, **options)
    desk.venue.put_hours(FX_WEEK)
    return desk, listening(desk)


def listening(desk: Desk) -> Client:
    client = desk.client()
    client.send("ProtoOASubscribeSpotsReq", symbolId=[EURUSD])
    client.send("ProtoOASubscribeDepthQuotesReq", symbolId=[EURUSD])
    return client


def told(events: list[Any]) -> list[Any]:
    """Leave out what a minute of waiting or a changed symbol brings by the way."""
    besides = ("ProtoHeartbeatEvent", "ProtoOASymbolChangedEvent")
    return [event for event in events if event.DESCRIPTOR.name not in besides]


def refusal(events: list[Any]) -> str:
    (event,) = told(events)
    return str(event.errorCode)


def close(client: Client, position_id: int, volume: int = LOT) -> list[Any]:
    return [body for _, body in client.send("ProtoOAClosePositionReq", positionId=position_id, volume=volume)]


# -- hours -------------------------------------------------------------------------------------------------------------


def test_after_the_weeks_end_nothing_is_quoted_and_orders_find_the_market_closed() -> None:
    desk, client = friday()
    position = client.order("MARKET", "BUY", LOT)[1].position
    desk.wait(60)
    desk.price(EURUSD, 120_000, 120_002)
    assert told(client.messages()) == []
    assert refusal(client.order("MARKET", "BUY", LOT)) == "MARKET_CLOSED"
    assert refusal(client.order("LIMIT", "BUY", LOT, limitPrice=1.0)) == "MARKET_CLOSED"
    assert refusal(close(client, position.positionId)) == "MARKET_CLOSED"
    assert kinds(client.order("MARKET", "BUY", 1, symbol_id=6)) == FILL  # crypto has no weekend


def test_the_opening_shows_where_the_market_is_by_then_and_lets_resting_orders_act() -> None:
    desk, client = friday()
    order_id = client.order("LIMIT", "BUY", LOT, limitPrice=1.05)[0].order.orderId
    desk.wait(60)
    desk.price(EURUSD, 104_000, 104_002)
    assert (told(client.messages()), order_id in desk.account.orders) == ([], True)
    opening_ns = int(datetime(2026, 1, 11, 22, tzinfo=UTC).timestamp()) * SECOND
    while (due_ns := desk.venue.next_event_ns()) is not None and due_ns <= opening_ns:
        assert told(client.messages()) == []
        desk.venue.advance(due_ns)
    assert desk.venue.now_ns == opening_ns
    spot, depth, filled = told(client.messages())
    assert (spot.bid, spot.ask) == (104_000, 104_002)
    assert sorted(quote.bid or quote.ask for quote in depth.newQuotes) == [104_000, 104_002]
    assert (kinds([filled]), filled.deal.executionPrice) == (["ORDER_FILLED"], 1.04002)


def test_a_client_that_comes_at_the_weekend_gets_the_last_prices() -> None:
    desk, _ = friday()
    desk.wait(60)
    desk.price(EURUSD, 104_000, 104_002)
    client = desk.client()
    spot = client.send("ProtoOASubscribeSpotsReq", symbolId=[EURUSD])[1][1]
    assert (spot.bid, spot.ask) == (109_999, 110_001)


def test_a_venue_that_starts_closed_has_prices_and_stays_closed() -> None:
    specs = tuple(
        replace(spec, schedule=FX_WEEK.schedule, schedule_time_zone=FX_WEEK.time_zone) for spec in default_symbols()
    )
    saturday_ns = FRIDAY_NS + 3_600 * SECOND
    open_round_the_clock = Desk(start_ns=saturday_ns, specs=specs).client()
    assert kinds(open_round_the_clock.order("MARKET", "BUY", LOT)) == FILL
    desk = Desk(start_ns=saturday_ns, specs=specs, options={"enforce_hours": True})
    client = listening(desk)
    assert refusal(client.order("MARKET", "BUY", LOT)) == "MARKET_CLOSED"
    desk.wait(WEEKEND_S)
    assert kinds(client.order("MARKET", "BUY", LOT)[-2:]) == FILL


def test_a_long_advance_passes_the_weekend_at_its_times() -> None:
    desk, client = friday()
    for hours, bid in ((1, 120_000), (30, 121_000), (50, 111_000)):
        desk.now_ns = FRIDAY_NS + hours * 3_600 * SECOND
        desk.queue_quotes(EURUSD, [(bid, 10**12)], [(bid + 2, 10**12)])
    desk.venue.advance(FRIDAY_NS + 60 * 3_600 * SECOND)
    assert [spot.bid for spot in client.messages("ProtoOASpotEvent")] == [121_000, 111_000]


def test_cancelling_is_possible_while_closed_and_amending_is_not() -> None:
    desk, client = friday()
    order_id = client.order("LIMIT", "BUY", LOT, limitPrice=1.05)[0].order.orderId
    desk.wait(60)
    client.messages()
    assert client.ask("ProtoOAAmendOrderReq", orderId=order_id, limitPrice=1.06).errorCode == "MARKET_CLOSED"
    assert kinds([client.ask("ProtoOACancelOrderReq", orderId=order_id)]) == ["ORDER_CANCELLED"]


def test_a_holiday_is_listed_and_has_a_code_of_its_own() -> None:
    desk = Desk(start_ns=FRIDAY_NS)
    client = listening(desk)
    holiday = Holiday(TODAY, 22 * 3_600, 23 * 3_600, time_zone="UTC")
    desk.venue.change_symbol(EURUSD, holidays=(holiday,))
    assert [list(event.symbolId) for event in client.messages("ProtoOASymbolChangedEvent")] == [[EURUSD]]
    (listed,) = client.ask("ProtoOASymbolByIdReq", symbolId=[EURUSD]).symbol[0].holiday
    assert (listed.holidayDate, listed.startSecond, listed.endSecond) == (TODAY, 22 * 3_600, 23 * 3_600)
    assert (listed.isRecurring, listed.scheduleTimeZone) == (False, "UTC")
    assert kinds(client.order("MARKET", "BUY", LOT)) == FILL
    desk.wait(60)
    assert refusal(client.order("MARKET", "BUY", LOT)) == "SYMBOL_HAS_HOLIDAY"
    assert kinds(client.order("MARKET", "BUY", LOT, symbol_id=USDJPY)) == FILL
    desk.wait(3_600)
    assert kinds(told(client.order("MARKET", "BUY", LOT))) == FILL


# -- stops -------------------------------------------------------------------------------------------------------------


def test_a_stopped_symbol_is_silent_and_closed_until_it_is_resumed() -> None:
    desk = Desk()
    client = listening(desk)
    client.order("STOP", "BUY", LOT, stopPrice=1.15)
    desk.venue.stop_trading(EURUSD)
    desk.price(EURUSD, 116_000, 116_002)
    assert client.messages() == []
    assert refusal(client.order("MARKET", "BUY", LOT)) == "MARKET_CLOSED"
    desk.venue.resume_trading(EURUSD)
    spot, depth, filled = client.messages()
    assert (spot.bid, len(depth.newQuotes), len(depth.deletedQuotes)) == (116_000, 2, 2)
    assert kinds([filled]) == ["ORDER_FILLED"]
    assert kinds(client.order("MARKET", "BUY", LOT)) == FILL


def test_a_position_in_a_stopped_symbol_is_not_stopped_out_before_it_trades_again() -> None:
    desk = Desk(balance=Decimal(250))
    client = desk.client()
    client.order("MARKET", "BUY", LOT)
    desk.venue.stop_trading(EURUSD)
    desk.price(EURUSD, 109_000, 109_002)
    desk.price(USDJPY, 15_000_100, 15_000_200)
    assert len(desk.account.positions) == 1
    desk.venue.resume_trading(EURUSD)
    assert desk.account.positions == {}


# -- modes -------------------------------------------------------------------------------------------------------------


def test_close_only_mode_lets_reductions_through_and_nothing_else() -> None:
    desk = Desk()
    client = desk.client()
    position = client.order("MARKET", "BUY", 2 * LOT)[1].position
    client.order("LIMIT", "BUY", LOT, limitPrice=1.05)
    desk.venue.set_trading_mode(EURUSD, "CLOSE_ONLY_MODE")
    assert [body.DESCRIPTOR.name for body in client.messages()] == ["ProtoOASymbolChangedEvent"]
    assert client.ask("ProtoOASymbolByIdReq", symbolId=[EURUSD]).symbol[0].tradingMode == 3
    assert refusal(client.order("MARKET", "BUY", LOT)) == "TRADING_DISABLED"
    assert refusal(client.order("MARKET", "SELL", LOT)) == "TRADING_DISABLED"  # hedged: a position of its own
    assert kinds(client.order("MARKET", "SELL", LOT, positionId=position.positionId)) == FILL
    assert kinds(close(client, position.positionId)) == FILL
    desk.price(EURUSD, 104_000, 104_002)
    assert (client.messages(), len(desk.account.orders)) == ([], 1)
    desk.venue.set_trading_mode(EURUSD, "ENABLED")
    assert kinds(client.messages()) == ["ProtoOASymbolChangedEvent", "ORDER_FILLED"]


def test_on_a_netted_account_close_only_refuses_what_would_flip() -> None:
    desk = Desk(account_type="netted")
    client = desk.client()
    client.order("MARKET", "BUY", 2 * LOT)
    desk.venue.set_trading_mode(EURUSD, "CLOSE_ONLY_MODE")
    client.messages()
    assert refusal(client.order("MARKET", "SELL", 3 * LOT)) == "TRADING_DISABLED"
    assert kinds(client.order("MARKET", "SELL", 2 * LOT)) == FILL


@pytest.mark.parametrize(
    ("mode", "pendings_act"),
    [("DISABLED_WITHOUT_PENDINGS_EXECUTION", False), ("DISABLED_WITH_PENDINGS_EXECUTION", True)],
)
def test_a_disabled_symbol_takes_no_orders_and_its_name_says_whether_pendings_act(
    mode: str, pendings_act: bool
) -> None:
    desk = Desk()
    client = desk.client()
    position = client.order("MARKET", "BUY", LOT, relativeStopLoss=1_000)[1].position
    client.order("LIMIT", "SELL", LOT, limitPrice=1.2)
    desk.venue.set_trading_mode(EURUSD, mode)
    assert refusal(client.order("MARKET", "BUY", LOT)) == "TRADING_DISABLED"
    assert refusal(close(client, position.positionId)) == "TRADING_DISABLED"
    desk.price(EURUSD, 108_000, 108_002)
    assert (position.positionId in desk.account.positions) != pendings_act
    desk.price(EURUSD, 121_000, 121_002)
    assert bool(desk.account.orders) != pendings_act
    desk.venue.set_trading_mode(EURUSD, "ENABLED")
    assert desk.account.orders == {}


def test_a_symbol_that_cannot_be_sold_short_can_still_be_closed() -> None:
    desk = Desk()
    client = desk.client()
    position = client.order("MARKET", "BUY", LOT)[1].position
    desk.venue.change_symbol(EURUSD, short_selling=False)
    client.messages()
    assert not client.ask("ProtoOASymbolByIdReq", symbolId=[EURUSD]).symbol[0].enableShortSelling
    assert refusal(client.order("MARKET", "SELL", LOT)) == "SHORT_SELLING_NOT_ALLOWED"
    assert kinds(close(client, position.positionId)) == FILL


def test_a_symbol_that_is_not_enabled_stays_listed_and_does_not_trade() -> None:
    desk = Desk()
    client = desk.client()
    desk.venue.change_symbol(EURUSD, enabled=False)
    client.messages()
    listed = {symbol.symbolId: symbol.enabled for symbol in client.ask("ProtoOASymbolsListReq").symbol}
    assert (listed[EURUSD], listed[USDJPY]) == (False, True)
    assert refusal(client.order("MARKET", "BUY", LOT)) == "TRADING_DISABLED"
    desk.venue.change_symbol(EURUSD, enabled=True)
    assert kinds(client.order("MARKET", "BUY", LOT)[1:]) == FILL


def test_what_became_possible_at_the_weekend_happens_at_the_opening_without_any_new_price() -> None:
    desk, client = friday()
    client.order("LIMIT", "BUY", LOT, limitPrice=1.1)
    desk.venue.set_trading_mode(EURUSD, "DISABLED_WITHOUT_PENDINGS_EXECUTION")
    desk.price(EURUSD, 109_940, 109_942)
    desk.wait(60)
    desk.venue.set_trading_mode(EURUSD, "ENABLED")
    assert len(desk.account.orders) == 1
    client.messages()
    desk.wait(WEEKEND_S + 3_600)
    assert kinds(told(client.messages())) == ["ORDER_FILLED"]


def test_an_order_tied_to_a_position_closes_what_is_left_of_it_even_under_close_only() -> None:
    desk = Desk()
    client = desk.client()
    position = client.order("MARKET", "BUY", 2 * LOT)[1].position
    client.order("LIMIT", "SELL", 2 * LOT, limitPrice=1.12, positionId=position.positionId)
    close(client, position.positionId)
    desk.venue.set_trading_mode(EURUSD, "CLOSE_ONLY_MODE")
    client.messages()
    desk.price(EURUSD, 112_000, 112_002)
    (filled,) = client.messages()
    assert (kinds([filled]), filled.deal.filledVolume) == (["ORDER_PARTIAL_FILL"], LOT)
    desk.price(EURUSD, 112_010, 112_012)
    (cancelled,) = client.messages()
    assert (kinds([cancelled]), cancelled.order.executedVolume) == (["ORDER_CANCELLED"], LOT)
    assert desk.account.positions == {}
