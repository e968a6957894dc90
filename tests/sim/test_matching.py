"""Resting orders and protections: when they act, at what price, and what ends them."""

from decimal import Decimal
from typing import Any

import pytest
from venue_client import EURUSD, USDJPY, Desk, kinds

from bot.ctrader.schema import enum
from bot.sim.change import Change

LOT = 10_000_000


def _status(order: Any) -> str:
    return next(name for name, number in enum("ProtoOAOrderStatus").items() if number == order.orderStatus)


# -- resting orders ----------------------------------------------------------------------------------------------------


def test_a_limit_rests_until_the_market_comes_to_it_and_fills_at_its_price_or_better() -> None:
    desk = Desk()
    client = desk.client()
    (accepted,) = client.order("LIMIT", "BUY", LOT, limitPrice=1.0995, clientOrderId="rest")
    assert kinds([accepted]) == ["ORDER_ACCEPTED"]
    (resting,) = client.ask("ProtoOAReconcileReq").order
    assert (resting.clientOrderId, resting.limitPrice, _status(resting)) == ("rest", 1.0995, "ORDER_STATUS_ACCEPTED")
    desk.price(EURUSD, 109_950, 109_951)
    assert client.messages() == []
    desk.price(EURUSD, 109_947, 109_949)
    (filled,) = client.messages()
    assert kinds([filled]) == ["ORDER_FILLED"]
    assert filled.deal.executionPrice == 1.09949
    assert client.ask("ProtoOAReconcileReq").order == []


def test_a_limit_that_the_book_fills_only_in_part_keeps_resting() -> None:
    desk = Desk()
    client = desk.client()
    desk.quote(EURUSD, [(109_999, LOT)], [(110_001, LOT)])
    assert kinds(client.order("LIMIT", "BUY", 3 * LOT, limitPrice=1.10005)) == ["ORDER_ACCEPTED", "ORDER_PARTIAL_FILL"]
    desk.quote(EURUSD, [(109_999, LOT)], [(110_004, 5 * LOT)])
    (filled,) = client.messages()
    assert (kinds([filled]), filled.deal.filledVolume) == (["ORDER_FILLED"], 2 * LOT)
    assert filled.position.tradeData.volume == 3 * LOT


def test_a_buy_stop_is_triggered_by_the_ask_and_a_sell_stop_by_the_bid() -> None:
    desk = Desk()
    client = desk.client()
    client.order("STOP", "BUY", LOT, stopPrice=1.1005)
    client.order("STOP", "SELL", LOT, stopPrice=1.0995)
    desk.price(EURUSD, 110_040, 110_049)
    assert client.messages() == []
    desk.price(EURUSD, 110_040, 110_050)
    (bought,) = client.messages()
    assert (kinds([bought]), bought.deal.executionPrice) == (["ORDER_FILLED"], 1.1005)
    desk.price(EURUSD, 109_951, 109_990)
    assert client.messages() == []
    desk.price(EURUSD, 109_949, 109_990)
    (sold,) = client.messages()
    assert (sold.deal.executionPrice, sold.deal.tradeSide) == (1.09949, 2)


def test_a_stop_limit_fills_only_within_its_range_and_rests_there() -> None:
    desk = Desk()
    client = desk.client()
    client.order("STOP_LIMIT", "BUY", LOT, stopPrice=1.1005, slippageInPoints=3)
    desk.price(EURUSD, 110_058, 110_060)
    assert client.messages() == []
    desk.price(EURUSD, 110_050, 110_053)
    (filled,) = client.messages()
    assert filled.deal.executionPrice == 1.10053


def test_a_cancelled_order_leaves_and_never_fills() -> None:
    desk = Desk()
    client = desk.client()
    order_id = client.order("LIMIT", "BUY", LOT, limitPrice=1.0995)[0].order.orderId
    cancelled = client.ask("ProtoOACancelOrderReq", orderId=order_id)
    assert kinds([cancelled]) == ["ORDER_CANCELLED"]
    assert _status(cancelled.order) == "ORDER_STATUS_CANCELLED"
    desk.price(EURUSD, 109_900, 109_901)
    assert client.messages() == []
    assert client.ask("ProtoOACancelOrderReq", orderId=order_id).errorCode == "ORDER_NOT_FOUND"


def test_an_amended_order_keeps_what_was_not_named_and_acts_on_its_new_price() -> None:
    client = Desk().client()
    order_id = client.order("LIMIT", "BUY", LOT, limitPrice=1.0995, takeProfit=1.2)[0].order.orderId
    replaced = client.ask("ProtoOAAmendOrderReq", orderId=order_id, volume=2 * LOT)
    assert kinds([replaced]) == ["ORDER_REPLACED"]
    assert (replaced.order.limitPrice, replaced.order.takeProfit) == (1.0995, 1.2)
    events = [body for _, body in client.send("ProtoOAAmendOrderReq", orderId=order_id, limitPrice=1.1001)]
    assert kinds(events) == ["ORDER_REPLACED", "ORDER_FILLED"]
    assert events[1].deal.filledVolume == 2 * LOT


def test_a_bad_amendment_is_refused_and_changes_nothing() -> None:
    client = Desk().client()
    order_id = client.order("LIMIT", "BUY", LOT, limitPrice=1.0995)[0].order.orderId
    before = client.ask("ProtoOAReconcileReq").order[0]
    for fields in ({"volume": 7}, {"limitPrice": -1.0}, {"limitPrice": 1.05, "stopLoss": 1.06},
                   {"volume": 2 * LOT, "expirationTimestamp": 1}):  # fmt: skip
        client.ask("ProtoOAAmendOrderReq", orderId=order_id, **fields)
        assert client.ask("ProtoOAReconcileReq").order[0] == before


def test_an_amendment_can_move_the_date_the_range_and_the_volume_but_not_below_what_is_executed() -> None:
    desk = Desk()
    client = desk.client()
    order = client.order("STOP_LIMIT", "BUY", 3 * LOT, stopPrice=1.1005, slippageInPoints=3)[0].order
    when_ms = desk.now_ns // 1_000_000 + 60_000
    amended = client.ask("ProtoOAAmendOrderReq", orderId=order.orderId, slippageInPoints=9, expirationTimestamp=when_ms)
    assert (amended.order.slippageInPoints, amended.order.expirationTimestamp) == (9, when_ms)
    desk.quote(EURUSD, [(110_055, LOT)], [(110_059, 2 * LOT)])
    assert kinds(client.messages()) == ["ORDER_PARTIAL_FILL"]
    refused = client.ask("ProtoOAAmendOrderReq", orderId=order.orderId, volume=2 * LOT)
    assert refused.errorCode == "TRADING_BAD_VOLUME"


@pytest.mark.parametrize(("method", "ask_e5", "bid_e5"), [(2, 110_070, 110_050), (1, 110_050, 110_030)])
def test_an_opposite_trigger_looks_at_the_other_side(method: int, ask_e5: int, bid_e5: int) -> None:
    desk = Desk()
    client = desk.client()
    client.order("STOP", "BUY", LOT, stopPrice=1.1005, stopTriggerMethod=method)
    desk.price(EURUSD, bid_e5 - 1, ask_e5 - 1)
    assert client.messages() == []
    desk.price(EURUSD, bid_e5, ask_e5)
    assert kinds(client.messages()) == ["ORDER_FILLED"]


def test_a_position_id_of_another_symbol_is_refused() -> None:
    client = Desk().client()
    position = client.order("MARKET", "BUY", LOT)[1].position
    (refused,) = client.order("MARKET", "BUY", LOT, symbol_id=USDJPY, positionId=position.positionId)
    assert (refused.errorCode, refused.positionId) == ("POSITION_NOT_FOUND", position.positionId)


def test_a_dated_order_expires_at_its_time_by_the_server() -> None:
    desk = Desk()
    client = desk.client()
    when_ms = desk.now_ns // 1_000_000 + 5_000
    client.order("LIMIT", "BUY", LOT, limitPrice=1.0995, timeInForce=1, expirationTimestamp=when_ms)
    assert desk.venue.next_event_ns() == when_ms * 1_000_000
    desk.venue.advance(when_ms * 1_000_000 - 1)
    assert client.messages() == []
    desk.venue.advance(when_ms * 1_000_000)
    (expired,) = client.messages()
    assert (kinds([expired]), expired.isServerEvent) == (["ORDER_EXPIRED"], True)


def test_a_resting_order_without_margin_at_its_fill_is_rejected() -> None:
    desk = Desk(balance=Decimal(500))
    client = desk.client()
    client.order("LIMIT", "BUY", 3 * LOT, limitPrice=1.0995)
    desk.price(EURUSD, 109_900, 109_901)
    (rejected,) = client.messages()
    assert (kinds([rejected]), rejected.errorCode) == (["ORDER_REJECTED"], "NOT_ENOUGH_MONEY")


def test_an_order_tied_to_a_position_dies_with_it() -> None:
    desk = Desk()
    client = desk.client()
    position = client.order("MARKET", "BUY", LOT)[1].position
    client.order("LIMIT", "SELL", LOT, limitPrice=1.2, positionId=position.positionId)
    client.send("ProtoOAClosePositionReq", positionId=position.positionId, volume=LOT)
    desk.price(EURUSD, 120_100, 120_101)
    (cancelled,) = client.messages()
    assert (kinds([cancelled]), cancelled.isServerEvent) == (["ORDER_CANCELLED"], True)
    assert client.ask("ProtoOAReconcileReq").position == []


# -- protections -------------------------------------------------------------------------------------------------------


def test_a_relative_stop_loss_counts_from_the_fill_and_closes_by_the_server() -> None:
    desk = Desk()
    client = desk.client()
    position = client.order("MARKET", "BUY", LOT, relativeStopLoss=100, relativeTakeProfit=200)[1].position
    assert (position.stopLoss, position.takeProfit) == (1.09901, 1.10201)
    listed = client.ask("ProtoOAReconcileReq", returnProtectionOrders=True).order
    assert [(o.orderType, o.stopPrice, o.limitPrice, o.HasField("stopLoss")) for o in listed] == [
        (4, 1.09901, 1.10201, False)]  # fmt: skip
    assert client.ask("ProtoOAReconcileReq").order == []
    desk.price(EURUSD, 109_902, 109_904)
    assert client.messages() == []
    desk.price(EURUSD, 109_900, 109_902)
    (closed,) = client.messages()
    assert (kinds([closed]), closed.isServerEvent, closed.order.orderType) == (["ORDER_FILLED"], True, 4)
    assert closed.order.orderId == listed[0].orderId
    assert client.ask("ProtoOAReconcileReq").position == []


def test_a_take_profit_of_a_short_acts_on_the_ask() -> None:
    desk = Desk()
    client = desk.client()
    position_id = client.order("MARKET", "SELL", LOT)[1].position.positionId
    client.ask("ProtoOAAmendPositionSLTPReq", positionId=position_id, takeProfit=1.0990, stopLoss=1.2)
    desk.price(EURUSD, 109_890, 109_901)
    assert client.messages() == []
    desk.price(EURUSD, 109_890, 109_900)
    (closed,) = client.messages()
    assert closed.deal.closePositionDetail.grossProfit == 9_900


def test_an_omitted_leg_is_removed_and_a_leg_on_the_wrong_side_is_refused() -> None:
    client = Desk().client()
    position_id = client.order("MARKET", "BUY", LOT)[1].position.positionId
    both = client.ask("ProtoOAAmendPositionSLTPReq", positionId=position_id, stopLoss=1.09, takeProfit=1.2)
    assert kinds([both]) == ["ORDER_REPLACED"]
    one = client.ask("ProtoOAAmendPositionSLTPReq", positionId=position_id, takeProfit=1.2).position
    assert (one.HasField("stopLoss"), one.takeProfit) == (False, 1.2)
    wrong = client.ask("ProtoOAAmendPositionSLTPReq", positionId=position_id, stopLoss=1.15)
    assert wrong.errorCode == "TRADING_BAD_STOPS"


def test_a_trailing_stop_follows_the_market_one_way() -> None:
    desk = Desk()
    client = desk.client()
    position_id = client.order("MARKET", "BUY", LOT)[1].position.positionId
    client.ask("ProtoOAAmendPositionSLTPReq", positionId=position_id, stopLoss=1.09899, trailingStopLoss=True)
    desk.price(EURUSD, 110_050, 110_052)
    (moved,) = client.messages()
    assert (moved.DESCRIPTOR.name, moved.stopPrice) == ("ProtoOATrailingSLChangedEvent", 1.0995)
    desk.price(EURUSD, 109_980, 109_982)
    assert client.messages() == []
    desk.price(EURUSD, 109_949, 109_951)
    assert kinds(client.messages()) == ["ORDER_FILLED"]


def test_a_protection_that_a_thin_book_fills_in_part_stays_on_the_rest() -> None:
    desk = Desk()
    client = desk.client()
    position_id = client.order("MARKET", "BUY", 2 * LOT, relativeStopLoss=100)[1].position.positionId
    desk.quote(EURUSD, [(109_890, LOT)], [(109_892, LOT)])
    partial, cancelled = client.messages()
    assert kinds([partial, cancelled]) == ["ORDER_PARTIAL_FILL", "ORDER_CANCELLED"]
    assert cancelled.isServerEvent
    (rest,) = client.ask("ProtoOAReconcileReq", returnProtectionOrders=True).order
    assert (rest.positionId, rest.tradeData.volume, rest.orderId > partial.order.orderId) == (position_id, LOT, True)
    desk.quote(EURUSD, [(109_890, LOT)], [(109_892, LOT)])
    assert kinds(client.messages()) == ["ORDER_FILLED"]


def test_a_protection_waits_while_there_is_nothing_to_close_against() -> None:
    desk = Desk()
    client = desk.client()
    client.order("MARKET", "BUY", LOT, relativeStopLoss=100)
    desk.price(EURUSD, 109_950, 109_952)
    desk.market.queue.append(Change(desk.now_ns, EURUSD, 109_800, 109_802, (), tuple(desk.venue.books[EURUSD].quotes)))
    desk.venue.advance(desk.now_ns)
    assert client.messages() == []
    desk.price(EURUSD, 109_800, 109_802)
    assert kinds(client.messages()) == ["ORDER_FILLED"]
