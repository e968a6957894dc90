"""Trading at the venue: events in the documented order, refusals, money to the cent."""

from decimal import Decimal
from typing import Any

import pytest
from venue_client import EURJPY, EURUSD, USDJPY, Desk, kinds

from bot.ctrader.schema import enum

LOT = 10_000_000
FILL = ["ORDER_ACCEPTED", "ORDER_FILLED"]
PARTIAL = ["ORDER_ACCEPTED", "ORDER_PARTIAL_FILL", "ORDER_CANCELLED"]


def _status(order: Any) -> str:
    return next(name for name, number in enum("ProtoOAOrderStatus").items() if number == order.orderStatus)


# -- market orders -----------------------------------------------------------------------------------------------------


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


# -- closing and money -------------------------------------------------------------------------------------------------


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


# -- hedged and netted -------------------------------------------------------------------------------------------------


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


def test_a_netted_position_can_be_flipped_by_its_id_too() -> None:
    client = Desk(account_type="netted").client()
    first = client.order("MARKET", "BUY", LOT)[1].position
    flip = client.order("MARKET", "SELL", 3 * LOT, positionId=first.positionId)
    assert kinds(flip) == ["ORDER_ACCEPTED", "ORDER_PARTIAL_FILL", "ORDER_FILLED"]
    assert flip[2].position.tradeData.volume == 2 * LOT


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


# -- refusals ----------------------------------------------------------------------------------------------------------


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


def test_an_account_holds_no_more_of_a_symbol_than_it_may() -> None:
    desk = Desk(account_type="netted")
    client = desk.client()
    desk.venue.change_symbol(EURUSD, max_exposure_cents=2 * LOT)
    client.messages()
    assert client.ask("ProtoOASymbolByIdReq", symbolId=[EURUSD]).symbol[0].maxExposure == 2 * LOT
    assert kinds(client.order("MARKET", "BUY", 2 * LOT)) == FILL
    (refused,) = client.order("MARKET", "BUY", 100_000)
    assert refused.errorCode == "MAX_EXPOSURE_REACHED"
    assert kinds(client.order("MARKET", "BUY", LOT, symbol_id=USDJPY)) == FILL, "it is one symbol's limit"
    (refused,) = client.order("MARKET", "SELL", 5 * LOT)
    assert refused.errorCode == "MAX_EXPOSURE_REACHED", "three the other way"
    assert client.order("MARKET", "SELL", 4 * LOT)[-1].DESCRIPTOR.name == "ProtoOAExecutionEvent"
    assert [p.volume_cents for p in desk.account.positions.values() if p.symbol_id == EURUSD] == [2 * LOT]


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
