"""Margin in use, and what happens when there is too little: refusals, notices, the stop-out."""

from decimal import Decimal

import pytest
from venue_client import EURUSD, Desk, kinds

LOT = 10_000_000
FILL = ["ORDER_ACCEPTED", "ORDER_FILLED"]


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
