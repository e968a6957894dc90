"""The account's owner trades by hand: clients hear of it, without anything of theirs in it."""

import pytest
from venue_client import ACCOUNT, EURUSD, USDJPY, Desk, kinds

from bot.sim.entities import OrderRefused

LOT = 10_000_000
FILL = ["ORDER_ACCEPTED", "ORDER_FILLED"]


def test_a_trade_by_hand_is_told_to_every_link_without_label_or_ids_of_a_client() -> None:
    desk = Desk()
    links = [desk.client(), desk.client()]
    desk.venue.trade_by_hand(ACCOUNT, EURUSD, "SELL", LOT)
    for client in links:
        received = client.received()
        assert [msg_id for msg_id, _ in received] == [None, None]
        accepted, filled = (body for _, body in received)
        assert kinds([accepted, filled]) == FILL
        assert (filled.order.clientOrderId, filled.order.tradeData.label, filled.position.tradeData.label) == ("",) * 3
        assert (filled.deal.filledVolume, filled.deal.tradeSide, filled.isServerEvent) == (LOT, 2, False)
    (position,) = links[0].ask("ProtoOAReconcileReq").position
    assert (position.tradeData.volume, position.tradeData.tradeSide) == (LOT, 2)


def test_a_clients_position_can_be_closed_in_part_whole_or_with_all_others() -> None:
    desk = Desk()
    client = desk.client()
    first = client.order("MARKET", "BUY", 2 * LOT, label="bot")[1].position
    client.order("MARKET", "SELL", LOT, symbol_id=USDJPY, label="bot")
    desk.venue.close_by_hand(ACCOUNT, first.positionId, LOT)
    closed = client.messages()
    assert kinds(closed) == FILL
    assert (closed[1].position.tradeData.volume, closed[0].order.closingOrder) == (LOT, True)
    desk.venue.close_by_hand(ACCOUNT, first.positionId)
    assert client.messages()[1].position.tradeData.volume == 0
    client.order("MARKET", "BUY", LOT)
    desk.venue.close_by_hand(ACCOUNT)
    assert kinds(client.messages()) == FILL * 2
    assert desk.account.positions == {}
    desk.venue.close_by_hand(ACCOUNT)
    assert client.messages() == []


def test_an_order_can_be_cancelled_by_hand() -> None:
    desk = Desk()
    client = desk.client()
    order_id = client.order("LIMIT", "BUY", LOT, limitPrice=1.05, clientOrderId="mine")[0].order.orderId
    desk.venue.cancel_by_hand(order_id)
    (event,) = client.messages()
    assert (kinds([event]), event.order.clientOrderId) == (["ORDER_CANCELLED"], "mine")
    with pytest.raises(OrderRefused, match="ORDER_NOT_FOUND"):
        desk.venue.cancel_by_hand(order_id)


def test_a_refusal_goes_to_the_owner_and_clients_hear_nothing() -> None:
    desk = Desk()
    client = desk.client()
    position = client.order("MARKET", "BUY", LOT)[1].position
    with pytest.raises(OrderRefused, match="TRADING_BAD_VOLUME"):
        desk.venue.trade_by_hand(ACCOUNT, EURUSD, "buy", 1)
    with pytest.raises(OrderRefused, match="SYMBOL_NOT_FOUND"):
        desk.venue.trade_by_hand(ACCOUNT, 99, "buy", LOT)
    with pytest.raises(OrderRefused, match="POSITION_NOT_FOUND"):
        desk.venue.close_by_hand(ACCOUNT, 1)
    with pytest.raises(ValueError, match="buy or sell"):
        desk.venue.trade_by_hand(ACCOUNT, EURUSD, "long", LOT)
    desk.venue.stop_trading(EURUSD)
    with pytest.raises(OrderRefused, match="MARKET_CLOSED"):
        desk.venue.close_by_hand(ACCOUNT, position.positionId)
    assert client.messages() == []


def test_closing_all_closes_what_can_be_closed_and_says_what_could_not() -> None:
    desk = Desk()
    client = desk.client()
    client.order("MARKET", "BUY", LOT)
    client.order("MARKET", "BUY", LOT, symbol_id=USDJPY)
    desk.venue.stop_trading(EURUSD)
    with pytest.raises(OrderRefused, match="MARKET_CLOSED"):
        desk.venue.close_by_hand(ACCOUNT)
    assert [position.symbol_id for position in desk.account.positions.values()] == [EURUSD]


def test_an_order_rests_is_changed_and_cancelled_by_hand() -> None:
    desk = Desk()
    client = desk.client()
    order_id = desk.venue.rest_by_hand(ACCOUNT, EURUSD, "limit", "buy", LOT, limitPrice=1.0, stopLoss=0.9)
    (accepted,) = client.messages()
    assert kinds([accepted]) == ["ORDER_ACCEPTED"]
    assert (accepted.order.orderId, accepted.order.limitPrice, accepted.order.clientOrderId) == (order_id, 1.0, "")
    desk.venue.amend_by_hand(order_id, volume=2 * LOT)
    (replaced,) = client.messages()
    assert kinds([replaced]) == ["ORDER_REPLACED"]
    assert (replaced.order.tradeData.volume, replaced.order.stopLoss) == (2 * LOT, 0.9)
    desk.venue.cancel_by_hand(order_id)
    assert kinds(client.messages()) == ["ORDER_CANCELLED"]
    for act in (desk.venue.cancel_by_hand, desk.venue.amend_by_hand):
        with pytest.raises(OrderRefused, match="ORDER_NOT_FOUND"):
            act(order_id)
    assert desk.venue.rest_by_hand(ACCOUNT, EURUSD, "limit", "buy", LOT, limitPrice=1000.0) == 0, "filled at once"
