"""Trading at the venue: events in the documented order, refusals, money to the cent."""

from decimal import Decimal
from typing import Any

import pytest
from venue_client import BTCUSD, EURJPY, EURUSD, USDJPY, XAUUSD, Desk, kinds

from bot.ctrader.schema import enum

LOT = 10_000_000
FILL = ["ORDER_ACCEPTED", "ORDER_FILLED"]
PARTIAL = ["ORDER_ACCEPTED", "ORDER_PARTIAL_FILL", "ORDER_CANCELLED"]


def _status(order: Any) -> str:
    return next(name for name, number in enum("ProtoOAOrderStatus").items() if number == order.orderStatus)


# -- market orders ----------------------------------------------------------------------------------------------------


def test_a_market_order_is_accepted_then_filled_with_a_deal_and_a_position() -> None:
    client = Desk().client()
    sent = client.send("ProtoOANewOrderReq", symbolId=EURUSD, orderType=1, tradeSide=1, volume=LOT, label="me",
                       clientOrderId="mine-1", comment="why")  # fmt: skip
    (first_id, accepted), (second_id, filled) = sent
    assert (first_id, second_id) == (client.last_id, None)
    assert kinds([accepted, filled]) == FILL
    assert accepted.position.positionStatus == enum("ProtoOAPositionStatus")["POSITION_STATUS_CREATED"]
    assert (filled.deal.filledVolume, filled.deal.executionPrice) == (LOT, 1.10001)
    assert (filled.position.tradeData.volume, filled.position.price) == (LOT, 1.10001)
    assert filled.order.clientOrderId == accepted.order.clientOrderId == "mine-1"
    assert (filled.position.tradeData.label, filled.position.tradeData.comment) == ("me", "why")
    assert (filled.order.executedVolume, _status(filled.order)) == (LOT, "ORDER_STATUS_FILLED")
    assert not filled.deal.HasField("closePositionDetail")
    assert filled.deal.positionId == filled.position.positionId == accepted.order.positionId


def test_a_large_order_pays_the_average_of_the_levels_it_takes() -> None:
    desk = Desk()
    desk.quote(EURUSD, [(109_999, LOT)], [(110_001, LOT), (110_003, LOT), (110_009, 10**10)])
    filled = desk.client().order("MARKET", "BUY", 3 * LOT)[1]
    assert filled.deal.executionPrice == pytest.approx((1.10001 + 1.10003 + 1.10009) / 3, abs=1e-8)


def test_what_is_beyond_the_book_is_not_filled_and_the_cancellation_says_what_was() -> None:
    desk = Desk()
    desk.quote(EURUSD, [(109_999, LOT)], [(110_001, LOT)])
    client = desk.client()
    events = client.order("MARKET", "BUY", 3 * LOT)
    assert kinds(events) == PARTIAL
    assert events[1].deal.filledVolume == LOT
    assert events[1].deal.dealStatus == enum("ProtoOADealStatus")["PARTIALLY_FILLED"]
    assert events[2].order.executedVolume == events[2].position.tradeData.volume == LOT
    assert not events[2].HasField("deal")
    (position,) = client.ask("ProtoOAReconcileReq").position
    assert position.tradeData.volume == LOT


def test_a_market_order_into_an_empty_side_is_cancelled_with_nothing_executed() -> None:
    desk = Desk()
    desk.quote(EURUSD, [(109_999, LOT)], [])
    events = desk.client().order("MARKET", "BUY", LOT)
    assert kinds(events) == ["ORDER_ACCEPTED", "ORDER_CANCELLED"]
    assert (events[1].order.executedVolume, events[1].HasField("position")) == (0, False)


@pytest.mark.parametrize(("slippage", "filled"), [(0, 1), (1, 1), (2, 2), (7, 2), (8, 3), (100, 3)])
def test_a_market_range_order_fills_only_within_its_range(slippage: int, filled: int) -> None:
    desk = Desk()
    desk.quote(EURUSD, [(109_999, LOT)], [(110_001, LOT), (110_003, LOT), (110_009, LOT)])
    events = desk.client().order("MARKET_RANGE", "BUY", 3 * LOT, baseSlippagePrice=1.10001, slippageInPoints=slippage)
    assert kinds(events) == (FILL if filled == 3 else PARTIAL)
    assert events[1].deal.filledVolume == filled * LOT


def test_the_points_of_a_range_are_those_of_the_symbols_digits() -> None:
    desk = Desk()
    desk.quote(USDJPY, [(14_999_900, LOT)], [(15_000_000, LOT), (15_000_200, LOT)])
    order = {"symbol_id": USDJPY, "baseSlippagePrice": 150.0}
    client = desk.client()
    assert kinds(client.order("MARKET_RANGE", "BUY", 2 * LOT, slippageInPoints=1, **order)) == PARTIAL
    assert kinds(client.order("MARKET_RANGE", "BUY", 2 * LOT, slippageInPoints=2, **order)) == FILL


def test_fill_or_kill_is_all_or_nothing() -> None:
    desk = Desk()
    desk.quote(EURUSD, [(109_999, LOT)], [(110_001, LOT)])
    client = desk.client()
    kill = enum("ProtoOATimeInForce")["FILL_OR_KILL"]
    assert kinds(client.order("MARKET", "BUY", 2 * LOT, timeInForce=kill)) == ["ORDER_ACCEPTED", "ORDER_CANCELLED"]
    assert kinds(client.order("MARKET", "BUY", LOT, timeInForce=kill)) == FILL


def test_two_links_of_one_account_both_hear_and_only_the_asker_gets_its_id() -> None:
    desk = Desk()
    asker, other = desk.client(), desk.client()
    assert kinds(asker.order("MARKET", "BUY", LOT)) == FILL
    heard = other.received()
    assert kinds([body for _, body in heard]) == FILL
    assert [msg_id for msg_id, _ in heard] == [None, None]


# -- closing and money ------------------------------------------------------------------------------------------------


def test_a_close_is_accepted_as_a_closing_order_and_its_deal_carries_the_balance() -> None:
    desk = Desk()
    client = desk.client()
    position = client.order("MARKET", "BUY", LOT)[1].position
    desk.price(EURUSD, 110_051, 110_053)
    accepted, filled = (
        body for _, body in client.send("ProtoOAClosePositionReq", positionId=position.positionId, volume=LOT)
    )
    assert kinds([accepted, filled]) == FILL
    assert accepted.order.closingOrder
    assert accepted.order.tradeData.tradeSide == 2
    detail = filled.deal.closePositionDetail
    assert (detail.entryPrice, detail.grossProfit, detail.closedVolume) == (1.10001, 5_000, LOT)
    assert (detail.balance, detail.balanceVersion) == (1_005_000, 2)
    assert filled.position.positionStatus == enum("ProtoOAPositionStatus")["POSITION_STATUS_CLOSED"]
    assert filled.position.tradeData.volume == filled.position.usedMargin == 0
    trader = client.ask("ProtoOATraderReq").trader
    assert (trader.balance, trader.balanceVersion) == (1_005_000, 2)


def test_a_partial_close_leaves_the_rest_at_its_price() -> None:
    client = Desk().client()
    position = client.order("MARKET", "SELL", LOT)[1].position
    filled = client.send("ProtoOAClosePositionReq", positionId=position.positionId, volume=LOT // 4)[1][1]
    assert filled.position.tradeData.volume == LOT * 3 // 4
    assert filled.position.price == position.price
    assert filled.deal.closePositionDetail.grossProfit == -50  # the spread of 0.2 pip on 25,000


def test_profit_in_yen_is_converted_at_the_venues_own_mid() -> None:
    desk = Desk()
    client = desk.client()
    position = client.order("MARKET", "BUY", LOT, symbol_id=EURJPY)[1].position
    desk.price(EURJPY, 16_600_000, 16_601_000)
    pnl = client.ask("ProtoOAGetPositionUnrealizedPnLReq").positionUnrealizedPnL[0]
    detail = client.send("ProtoOAClosePositionReq", positionId=position.positionId, volume=LOT)[1][1].deal
    yen = Decimal("166.00000") - Decimal(str(position.price))
    assert detail.closePositionDetail.grossProfit == round(yen * 100_000 / Decimal(150) * 100)
    assert pnl.grossUnrealizedPnL == pnl.netUnrealizedPnL == detail.closePositionDetail.grossProfit


def test_commission_is_charged_on_both_sides_and_leaves_the_balance_at_the_close() -> None:
    desk = Desk(commission_per_million=Decimal(30))
    client = desk.client()
    filled = client.order("MARKET", "BUY", LOT)[1]
    assert filled.deal.commission == filled.position.commission == -330
    assert client.ask("ProtoOATraderReq").trader.balance == 1_000_000
    closed = client.send("ProtoOAClosePositionReq", positionId=filled.position.positionId, volume=LOT)[1][1]
    detail = closed.deal.closePositionDetail
    assert (detail.commission, detail.grossProfit) == (-660, -200)
    assert detail.balance == 1_000_000 - 660 - 200
    symbol = client.ask("ProtoOASymbolByIdReq", symbolId=[EURUSD]).symbol[0]
    assert symbol.preciseTradingCommissionRate == 30 * 10**8


def test_a_deposit_in_yen_has_no_decimals() -> None:
    client = Desk(deposit_currency="JPY", balance=Decimal(1_000_000)).client()
    trader = client.ask("ProtoOATraderReq").trader
    assert (trader.balance, trader.moneyDigits) == (1_000_000, 0)
    position = client.order("MARKET", "BUY", LOT)[1].position
    assert position.usedMargin == round(100_000 * 1.1 * 150 / 500)


def test_offsets_name_the_oldest_opening_deals_first() -> None:
    client = Desk().client()
    first = client.order("MARKET", "BUY", LOT)[1]
    position_id = first.position.positionId
    second = client.order("MARKET", "BUY", LOT, positionId=position_id)[1]
    assert second.position.tradeData.volume == 2 * LOT
    close = client.send("ProtoOAClosePositionReq", positionId=position_id, volume=LOT + LOT // 2)[1][1]
    offsets = client.ask("ProtoOADealOffsetListReq", dealId=close.deal.dealId)
    assert [(o.dealId, o.volume) for o in offsets.offsetting] == [
        (first.deal.dealId, LOT), (second.deal.dealId, LOT // 2)]  # fmt: skip
    back = client.ask("ProtoOADealOffsetListReq", dealId=second.deal.dealId)
    assert [(o.dealId, o.volume) for o in back.offsetBy] == [(close.deal.dealId, LOT // 2)]


def test_unrealised_profit_of_a_short_is_valued_at_the_ask() -> None:
    desk = Desk()
    client = desk.client()
    client.order("MARKET", "SELL", LOT)
    desk.price(EURUSD, 109_900, 109_949)
    (row,) = client.ask("ProtoOAGetPositionUnrealizedPnLReq").positionUnrealizedPnL
    assert row.grossUnrealizedPnL == row.netUnrealizedPnL == 5_000
    assert desk.account.equity() == 1_005_000


# -- hedged and netted ------------------------------------------------------------------------------------------------


def test_on_a_hedged_account_every_order_opens_its_own_position() -> None:
    client = Desk().client()
    client.order("MARKET", "BUY", LOT)
    client.order("MARKET", "SELL", LOT)
    assert len(client.ask("ProtoOAReconcileReq").position) == 2


def test_an_order_with_a_position_id_grows_that_position_at_the_average_price() -> None:
    desk = Desk()
    client = desk.client()
    position = client.order("MARKET", "BUY", LOT)[1].position
    desk.price(EURUSD, 110_040, 110_041)
    grown = client.order("MARKET", "BUY", 3 * LOT, positionId=position.positionId)[1].position
    assert grown.positionId == position.positionId
    assert grown.price == pytest.approx((1.10001 + 3 * 1.10041) / 4, abs=1e-12)


def test_an_opposite_order_with_a_position_id_shrinks_it_and_cannot_exceed_it() -> None:
    client = Desk().client()
    position = client.order("MARKET", "BUY", 2 * LOT)[1].position
    shrunk = client.order("MARKET", "SELL", LOT, positionId=position.positionId)[1]
    assert shrunk.position.tradeData.volume == LOT
    assert shrunk.deal.HasField("closePositionDetail")
    (refused,) = client.order("MARKET", "SELL", 2 * LOT, positionId=position.positionId)
    assert refused.errorCode == "TRADING_BAD_VOLUME"


def test_on_a_netted_account_orders_merge_reduce_and_flip_with_two_deals() -> None:
    client = Desk(account_type="netted").client()
    first = client.order("MARKET", "BUY", LOT)[1].position
    merged = client.order("MARKET", "BUY", LOT)[1].position
    assert (merged.positionId, merged.tradeData.volume) == (first.positionId, 2 * LOT)
    reduced = client.order("MARKET", "SELL", LOT)[1]
    assert (reduced.position.positionId, reduced.position.tradeData.volume) == (first.positionId, LOT)
    flip = client.order("MARKET", "SELL", 3 * LOT)
    assert kinds(flip) == ["ORDER_ACCEPTED", "ORDER_PARTIAL_FILL", "ORDER_FILLED"]
    assert (flip[1].deal.closePositionDetail.closedVolume, flip[1].position.tradeData.volume) == (LOT, 0)
    assert (flip[2].deal.filledVolume, flip[2].position.tradeData.tradeSide) == (2 * LOT, 2)
    assert flip[2].position.positionId != first.positionId
    (left,) = client.ask("ProtoOAReconcileReq").position
    assert (left.tradeData.volume, left.tradeData.tradeSide) == (2 * LOT, 2)


def test_an_order_that_outlives_the_netted_position_it_was_meant_for_opens_one_with_a_new_id() -> None:
    desk = Desk(account_type="netted")
    client = desk.client()
    first = client.order("MARKET", "BUY", LOT)[1].position
    client.order("LIMIT", "BUY", LOT, limitPrice=1.0995, takeProfit=1.2)
    client.send("ProtoOAClosePositionReq", positionId=first.positionId, volume=LOT)
    desk.price(EURUSD, 109_940, 109_942)
    (filled,) = client.messages()
    assert filled.position.positionId != first.positionId
    assert filled.position.takeProfit == 1.2


def test_an_order_that_reduces_a_netted_position_does_not_protect_it() -> None:
    client = Desk(account_type="netted").client()
    client.order("MARKET", "BUY", 2 * LOT)
    reduced = client.order("MARKET", "SELL", LOT, relativeStopLoss=100)[1].position
    assert not reduced.HasField("stopLoss")
    flipped = client.order("MARKET", "SELL", 2 * LOT, relativeStopLoss=100)[2].position
    assert flipped.stopLoss == 1.10099


# -- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("volume", [0, 99_999, 150_000, 1_000_100_000, -100_000])
def test_a_volume_off_the_grid_is_refused(volume: int) -> None:
    (refused,) = Desk().client().order("MARKET", "BUY", volume)
    assert refused.DESCRIPTOR.name == "ProtoOAOrderErrorEvent"
    assert refused.errorCode == "TRADING_BAD_VOLUME"
    assert refused.HasField("orderId")
    assert refused.HasField("positionId")


@pytest.mark.parametrize(
    ("kind", "fields", "code"),
    [
        ("MARKET", {"stopLoss": 1.0}, "INVALID_REQUEST"),
        ("MARKET", {"takeProfit": 1.2}, "INVALID_REQUEST"),
        ("LIMIT", {}, "INVALID_REQUEST"),
        ("STOP", {}, "INVALID_REQUEST"),
        ("MARKET_RANGE", {"baseSlippagePrice": 1.1}, "INVALID_REQUEST"),
        ("STOP_LIMIT", {"stopPrice": 1.2}, "INVALID_REQUEST"),
        ("STOP_LOSS_TAKE_PROFIT", {}, "INVALID_REQUEST"),
        ("LIMIT", {"limitPrice": 1.123456}, "INVALID_REQUEST"),
        ("LIMIT", {"limitPrice": -1.0}, "TRADING_BAD_PRICES"),
        ("LIMIT", {"limitPrice": 1e300}, "TRADING_BAD_PRICES"),
        ("LIMIT", {"limitPrice": float("nan")}, "TRADING_BAD_PRICES"),
        ("LIMIT", {"limitPrice": 1.05, "stopLoss": 1.06}, "TRADING_BAD_STOPS"),
        ("LIMIT", {"limitPrice": 1.05, "takeProfit": 1.04}, "TRADING_BAD_STOPS"),
        ("STOP", {"stopPrice": 1.05}, "TRADING_BAD_PRICES"),
        ("LIMIT", {"limitPrice": 1.05, "timeInForce": 1}, "TRADING_BAD_EXPIRATION_DATE"),
        ("LIMIT", {"limitPrice": 1.05, "expirationTimestamp": 1}, "TRADING_BAD_EXPIRATION_DATE"),
        ("MARKET", {"label": "x" * 101}, "INVALID_REQUEST"),
        ("MARKET", {"clientOrderId": "x" * 51}, "INVALID_REQUEST"),
        ("MARKET", {"guaranteedStopLoss": True}, "INVALID_REQUEST"),
        ("MARKET", {"relativeStopLoss": -5}, "INVALID_REQUEST"),
        ("MARKET", {"positionId": 7}, "POSITION_NOT_FOUND"),
    ],
)
def test_a_senseless_order_is_refused_with_its_code_and_changes_nothing(
    kind: str, fields: dict[str, Any], code: str
) -> None:
    desk = Desk()
    client = desk.client()
    (refused,) = client.order(kind, "BUY", LOT, **fields)
    assert refused.errorCode == code
    assert desk.account.order_history == {}


def test_an_unknown_symbol_and_one_without_a_price_are_refused() -> None:
    desk = Desk(quoted=False)
    client = desk.client()
    assert client.order("MARKET", "BUY", LOT, symbol_id=99)[0].errorCode == "SYMBOL_NOT_FOUND"
    assert client.order("MARKET", "BUY", LOT)[0].errorCode == "NO_QUOTES"
    expected = client.ask("ProtoOAExpectedMarginReq", symbolId=EURUSD, volume=[LOT])
    assert expected.errorCode == "NO_QUOTES"


def test_an_order_needing_more_margin_than_equity_is_refused() -> None:
    client = Desk(balance=Decimal(500)).client()
    assert kinds(client.order("MARKET", "BUY", 2 * LOT)) == FILL  # 440 of margin
    (refused,) = client.order("MARKET", "BUY", LOT)
    assert refused.errorCode == "NOT_ENOUGH_MONEY"
    assert kinds(client.order("MARKET", "SELL", LOT)) == FILL  # under MAX a hedge needs no margin of its own


def test_positions_and_orders_that_do_not_exist_are_named_in_the_refusal() -> None:
    client = Desk().client()
    refused = client.ask("ProtoOAClosePositionReq", positionId=7, volume=LOT)
    assert (refused.errorCode, refused.positionId) == ("POSITION_NOT_FOUND", 7)
    refused = client.ask("ProtoOACancelOrderReq", orderId=8)
    assert (refused.errorCode, refused.orderId) == ("ORDER_NOT_FOUND", 8)


def test_a_close_of_more_than_the_position_is_refused() -> None:
    client = Desk().client()
    position = client.order("MARKET", "BUY", LOT)[1].position
    for volume in (LOT + 100_000, 50_000, 150_000, 0):
        refused = client.ask("ProtoOAClosePositionReq", positionId=position.positionId, volume=volume)
        assert refused.errorCode == "TRADING_BAD_VOLUME"


# -- resting orders ---------------------------------------------------------------------------------------------------


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


# -- protections ------------------------------------------------------------------------------------------------------


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


# -- margin -----------------------------------------------------------------------------------------------------------


def test_expected_margin_follows_the_tiers_and_is_what_the_position_then_uses() -> None:
    client = Desk(balance=Decimal(100_000)).client()
    volumes = [LOT, 10 * LOT, 100 * LOT]
    margins = client.ask("ProtoOAExpectedMarginReq", symbolId=EURUSD, volume=volumes).margin
    # 110 k, 1.1 M and 11 M USD at 1:500 to 1 M, 1:200 to 5 M, 1:100 above
    assert [m.buyMargin for m in margins] == [22_000, 250_000, 200_000 + 2_000_000 + 6_000_000]
    assert [m.sellMargin for m in margins] == [m.buyMargin for m in margins]
    position = client.order("MARKET", "BUY", 10 * LOT)[1].position
    assert position.usedMargin == margins[1].buyMargin
    further = client.ask("ProtoOAExpectedMarginReq", symbolId=EURUSD, volume=[LOT]).margin[0]
    assert (further.buyMargin, further.sellMargin) == (55_000, 22_000)


@pytest.mark.parametrize(("rule", "used"), [("MAX", 44_000), ("SUM", 66_000), ("NET", 22_000)])
def test_used_margin_of_a_hedge_follows_the_accounts_rule(rule: str, used: int) -> None:
    desk = Desk(margin_calculation=rule)
    client = desk.client()
    client.order("MARKET", "BUY", 2 * LOT)
    client.order("MARKET", "SELL", LOT)
    assert desk.account.used_margin() == used


def test_the_accounts_own_leverage_caps_that_of_the_tier() -> None:
    client = Desk(leverage=30).client()
    assert client.ask("ProtoOATraderReq").trader.leverageInCents == 3_000
    assert client.ask("ProtoOAExpectedMarginReq", symbolId=EURUSD, volume=[LOT]).margin[0].buyMargin == 366_667


def test_closing_the_first_position_moves_the_others_to_lower_tiers_and_says_so() -> None:
    client = Desk(balance=Decimal(100_000)).client()
    first = client.order("MARKET", "BUY", 9 * LOT)[1].position
    second = client.order("MARKET", "BUY", 9 * LOT)[1].position
    assert second.usedMargin > first.usedMargin
    closing = [b for _, b in client.send("ProtoOAClosePositionReq", positionId=first.positionId, volume=9 * LOT)]
    assert kinds(closing) == [*FILL, "ProtoOAMarginChangedEvent"]
    assert (closing[2].positionId, closing[2].usedMargin) == (second.positionId, first.usedMargin)


def test_the_stop_out_closes_the_position_with_most_margin_until_the_level_is_met() -> None:
    desk = Desk(balance=Decimal(1_000))
    client = desk.client()
    big = client.order("MARKET", "BUY", 3 * LOT)[1].position  # 660 of margin
    small = client.order("MARKET", "BUY", LOT)[1].position  # 220 of margin
    desk.price(EURUSD, 109_861, 109_863)  # 140 points on 400,000: equity 440 of 880
    assert "ORDER_ACCEPTED" not in kinds(client.messages())
    desk.price(EURUSD, 109_860, 109_862)
    events = [e for e in client.messages() if e.DESCRIPTOR.name == "ProtoOAExecutionEvent"]
    assert kinds(events) == FILL
    assert all(event.order.isStopOut and event.order.closingOrder for event in events)
    assert events[1].isServerEvent
    assert events[1].position.positionId == big.positionId
    assert [p.positionId for p in client.ask("ProtoOAReconcileReq").position] == [small.positionId]


def test_one_fall_can_stop_out_several_positions() -> None:
    desk = Desk(balance=Decimal(1_000))
    client = desk.client()
    for _ in range(3):
        client.order("MARKET", "BUY", LOT)
    desk.price(EURUSD, 109_721, 109_723)  # equity 160 of 660, then of 440, then of 220
    events = [event for event in client.messages() if event.DESCRIPTOR.name == "ProtoOAExecutionEvent"]
    assert kinds(events) == FILL * 2
    assert len(client.ask("ProtoOAReconcileReq").position) == 1


def test_margin_calls_are_told_once_in_ten_minutes() -> None:
    desk = Desk(balance=Decimal(1_000))
    client = desk.client()
    client.order("MARKET", "BUY", 4 * LOT)
    desk.price(EURUSD, 109_960, 109_962)
    called = [m for m in client.messages() if m.DESCRIPTOR.name == "ProtoOAMarginCallTriggerEvent"]
    assert [m.marginCall.marginCallType for m in called] == [61]
    desk.price(EURUSD, 109_959, 109_961)
    assert client.messages() == []
    desk.quote(EURUSD, [(109_960, 10**12)], [(109_962, 10**12)], wait_s=600)
    assert len(client.messages("ProtoOAMarginCallTriggerEvent")) == 1


# -- histories --------------------------------------------------------------------------------------------------------


def test_histories_list_orders_and_deals_of_the_period_only() -> None:
    desk = Desk()
    client = desk.client()
    client.order("MARKET", "BUY", LOT, clientOrderId="first")
    middle_ms = desk.now_ns // 1_000_000 + 500
    desk.price(EURUSD, 110_010, 110_012)
    filled = client.order("MARKET", "BUY", LOT, clientOrderId="second")[1]
    deals = client.ask("ProtoOADealListReq", fromTimestamp=middle_ms, toTimestamp=middle_ms + 10_000)
    assert [deal.dealId for deal in deals.deal] == [filled.deal.dealId]
    orders = client.ask("ProtoOAOrderListReq", fromTimestamp=middle_ms, toTimestamp=middle_ms + 10_000)
    assert [order.clientOrderId for order in orders.order] == ["second"]
    assert len(client.ask("ProtoOADealListReq").deal) == len(client.ask("ProtoOAOrderListReq").order) == 2
    page = client.ask("ProtoOADealListReq", maxRows=1)
    assert (len(page.deal), page.hasMore) == (1, True)
    details = client.ask("ProtoOAOrderDetailsReq", orderId=filled.order.orderId)
    assert [deal.dealId for deal in details.deal] == [filled.deal.dealId]
    by_position = client.ask("ProtoOADealListByPositionIdReq", positionId=filled.position.positionId)
    assert [deal.dealId for deal in by_position.deal] == [filled.deal.dealId]


def test_bounds_that_are_no_period_are_refused() -> None:
    client = Desk().client()
    for name in ("ProtoOADealListReq", "ProtoOAOrderListReq", "ProtoOACashFlowHistoryListReq"):
        assert client.ask(name, fromTimestamp=2, toTimestamp=1).errorCode == "INCORRECT_BOUNDARIES"
    week = client.ask("ProtoOACashFlowHistoryListReq", fromTimestamp=0, toTimestamp=604_800_001)
    assert week.errorCode == "INCORRECT_BOUNDARIES"


def test_the_opening_deposit_is_in_the_cash_flow() -> None:
    desk = Desk()
    now_ms = desk.now_ns // 1_000_000
    (deposit,) = desk.client().ask(
        "ProtoOACashFlowHistoryListReq", fromTimestamp=now_ms, toTimestamp=now_ms
    ).depositWithdraw  # fmt: skip
    assert (deposit.delta, deposit.balance, deposit.moneyDigits) == (1_000_000, 1_000_000, 2)


def test_what_is_listed_joins_up() -> None:
    client = Desk().client()
    assets = {asset.name: asset.assetId for asset in client.ask("ProtoOAAssetListReq").asset}
    assert set(assets) == {"EUR", "USD", "JPY", "GBP", "XAU", "BTC"}
    light = {symbol.symbolName: symbol for symbol in client.ask("ProtoOASymbolsListReq").symbol}
    assert (light["XAUUSD"].baseAssetId, light["XAUUSD"].quoteAssetId) == (assets["XAU"], assets["USD"])
    chain = client.ask("ProtoOASymbolsForConversionReq", firstAssetId=assets["JPY"], lastAssetId=assets["GBP"])
    assert [symbol.symbolName for symbol in chain.symbol] == ["USDJPY", "GBPUSD"]
    unknown = client.ask("ProtoOASymbolsForConversionReq", firstAssetId=77, lastAssetId=1)
    assert unknown.errorCode == "ENTITY_NOT_FOUND"
    full = client.ask("ProtoOASymbolByIdReq", symbolId=[XAUUSD, BTCUSD]).symbol
    assert [(s.digits, s.lotSize, s.minVolume, s.stepVolume) for s in full] == [
        (2, 10_000, 100, 100), (2, 100, 1, 1)]  # fmt: skip
    tiers = client.ask("ProtoOAGetDynamicLeverageByIDReq", leverageId=1).leverage.tiers
    assert [(tier.volume, tier.leverage) for tier in tiers][:2] == [(100_000_000, 500), (500_000_000, 200)]
    assert client.ask("ProtoOAGetDynamicLeverageByIDReq", leverageId=9).errorCode == "ENTITY_NOT_FOUND"
