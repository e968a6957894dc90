"""Partial fills and rejections by arrangement: the documented event sequences, and history that agrees with them."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from venue_client import ACCOUNT, EURUSD, SECOND, Client, Desk, kinds

from bot.ctrader.schema import enum
from bot.sim.entities import AccountSettings
from bot.sim.mishaps import PartialFill

LOT = 10_000_000
FILL = ["ORDER_ACCEPTED", "ORDER_FILLED"]
OTHER = AccountSettings(2_000_002)
DELAY_S = 0.2


def close(client: Client, position_id: int, volume: int) -> list[Any]:
    return [body for _, body in client.send("ProtoOAClosePositionReq", positionId=position_id, volume=volume)]


def test_a_part_is_filled_and_the_rest_cancelled() -> None:
    desk = Desk()
    client = desk.client()
    desk.venue.partial_fill(ACCOUNT, 0.25)
    events = client.order("MARKET", "BUY", LOT)
    assert kinds(events) == ["ORDER_ACCEPTED", "ORDER_PARTIAL_FILL", "ORDER_CANCELLED"]
    assert events[1].deal.filledVolume == events[1].position.tradeData.volume == LOT // 4
    assert events[1].deal.dealStatus == enum("ProtoOADealStatus")["PARTIALLY_FILLED"]
    assert (events[2].order.executedVolume, events[2].position.tradeData.volume) == (LOT // 4, LOT // 4)
    assert kinds(client.order("MARKET", "BUY", LOT)) == FILL  # it happens once


def test_the_rest_can_be_filled_by_a_second_deal_a_little_later() -> None:
    desk = Desk()
    client = desk.client()
    desk.venue.partial_fill(None, 0.5, rest="filled", delay_ns=SECOND // 5)
    base = {"baseSlippagePrice": 1.1, "slippageInPoints": 100}
    events = client.order("MARKET_RANGE", "SELL", LOT, clientOrderId="mine", **base)
    assert kinds(events) == ["ORDER_ACCEPTED", "ORDER_PARTIAL_FILL"]
    (working,) = client.ask("ProtoOAReconcileReq").order
    assert (working.clientOrderId, working.executedVolume) == ("mine", LOT // 2)
    assert desk.venue.next_event_ns() == desk.now_ns + SECOND // 5
    desk.wait(DELAY_S - 0.01)
    assert client.messages() == []
    desk.wait(0.01)
    (filled,) = client.messages()
    assert (kinds([filled]), filled.deal.filledVolume) == (["ORDER_FILLED"], LOT // 2)
    assert (filled.order.executedVolume, filled.position.tradeData.volume) == (LOT, LOT)
    assert filled.deal.dealId != events[1].deal.dealId
    assert desk.account.orders == {}


def test_while_the_second_part_is_on_its_way_nothing_else_acts_on_the_order() -> None:
    desk = Desk()
    client = desk.client()
    desk.venue.partial_fill(None, 0.5, rest="filled", delay_ns=5 * SECOND)
    order_id = client.order("MARKET", "BUY", LOT)[0].order.orderId
    assert client.ask("ProtoOACancelOrderReq", orderId=order_id).errorCode == "CONCURRENT_MODIFICATION"
    assert client.ask("ProtoOAAmendOrderReq", orderId=order_id, volume=LOT).errorCode == "CONCURRENT_MODIFICATION"
    desk.price(EURUSD, 110_019, 110_021)
    assert client.messages() == []
    desk.wait(4)
    assert client.messages()[0].deal.executionPrice == 1.10021


def test_a_close_can_be_filled_in_part_too() -> None:
    desk = Desk()
    client = desk.client()
    position = client.order("MARKET", "BUY", LOT)[1].position
    desk.venue.partial_fill(ACCOUNT, 0.3)
    events = close(client, position.positionId, LOT)
    assert kinds(events) == ["ORDER_ACCEPTED", "ORDER_PARTIAL_FILL", "ORDER_CANCELLED"]
    assert events[2].position.tradeData.volume == LOT * 7 // 10
    assert events[1].deal.closePositionDetail.closedVolume == LOT * 3 // 10


def test_a_late_second_part_of_a_close_never_closes_more_than_is_left() -> None:
    desk = Desk()
    client = desk.client()
    position = client.order("MARKET", "BUY", LOT)[1].position
    desk.venue.partial_fill(ACCOUNT, 0.5, rest="filled", delay_ns=SECOND)
    close(client, position.positionId, LOT)
    assert kinds(close(client, position.positionId, LOT // 4)) == FILL
    desk.wait(1)
    filled, cancelled = client.messages()
    assert kinds([filled, cancelled]) == ["ORDER_PARTIAL_FILL", "ORDER_CANCELLED"]
    assert (filled.deal.filledVolume, cancelled.order.executedVolume) == (LOT // 4, LOT * 3 // 4)
    assert desk.account.positions == {}


@pytest.mark.parametrize("account_type", ["hedged", "netted"])
def test_a_second_part_that_finds_its_position_gone_is_cancelled(account_type: str) -> None:
    desk = Desk(account_type=account_type)
    client = desk.client()
    position = client.order("MARKET", "BUY", LOT)[1].position
    desk.venue.partial_fill(ACCOUNT, 0.5, rest="filled", delay_ns=SECOND)
    close(client, position.positionId, LOT)
    close(client, position.positionId, LOT // 2)
    desk.wait(1)
    (cancelled,) = client.messages()
    assert (kinds([cancelled]), cancelled.order.executedVolume) == (["ORDER_CANCELLED"], LOT // 2)
    assert desk.account.positions == {}


def test_a_second_part_that_finds_the_market_closed_is_cancelled() -> None:
    desk = Desk()
    client = desk.client()
    desk.venue.partial_fill(ACCOUNT, 0.5, rest="filled", delay_ns=SECOND)
    client.order("MARKET", "BUY", LOT)
    desk.venue.stop_trading(EURUSD)
    desk.wait(1)
    (cancelled,) = client.messages()
    assert (kinds([cancelled]), cancelled.order.executedVolume) == (["ORDER_CANCELLED"], LOT // 2)
    assert cancelled.isServerEvent


def test_a_second_part_that_there_is_no_money_for_any_more_is_cancelled() -> None:
    desk = Desk(balance=Decimal(500))
    client = desk.client()
    desk.venue.partial_fill(ACCOUNT, 0.5, rest="filled", delay_ns=SECOND)
    client.order("MARKET", "BUY", 2 * LOT)
    desk.venue.withdraw(ACCOUNT, 200)
    client.messages()
    desk.wait(1)
    (cancelled,) = client.messages()
    assert (kinds([cancelled]), cancelled.order.executedVolume) == (["ORDER_CANCELLED"], LOT)


def test_an_order_of_one_step_a_fill_or_kill_and_a_resting_one_are_spared() -> None:
    desk = Desk()
    client = desk.client()
    desk.venue.partial_fill(ACCOUNT, 0.5)
    assert kinds(client.order("MARKET", "BUY", 100_000)) == FILL
    kill = enum("ProtoOATimeInForce")["FILL_OR_KILL"]
    assert kinds(client.order("MARKET", "BUY", LOT, timeInForce=kill)) == FILL
    assert kinds(client.order("LIMIT", "BUY", LOT, limitPrice=1.2)) == FILL
    assert kinds(client.order("MARKET", "BUY", LOT))[1:] == ["ORDER_PARTIAL_FILL", "ORDER_CANCELLED"]


def test_a_stop_out_is_never_divided() -> None:
    desk = Desk(balance=Decimal(300))
    client = desk.client()
    client.order("MARKET", "BUY", LOT)
    desk.venue.partial_fill(None, 0.5)
    desk.venue.reject_next(None, "NOT_ENOUGH_MONEY")
    desk.price(EURUSD, 109_750, 109_752)
    assert kinds([m for m in client.messages() if m.DESCRIPTOR.name == "ProtoOAExecutionEvent"]) == FILL


def test_a_mishap_of_one_account_leaves_the_others_alone() -> None:
    desk = Desk(others=(OTHER,))
    client = desk.client()
    client.ask("ProtoOAAccountAuthReq", ctidTraderAccountId=OTHER.account_id, accessToken="trade")
    desk.venue.partial_fill(OTHER.account_id, 0.5)
    desk.venue.reject_next(OTHER.account_id, "MARKET_CLOSED")
    assert kinds(client.order("MARKET", "BUY", LOT)) == FILL
    there = {"ctidTraderAccountId": OTHER.account_id}
    assert kinds(client.order("MARKET", "BUY", LOT, **there)) == ["ORDER_ACCEPTED", "ORDER_REJECTED"]
    assert "ORDER_PARTIAL_FILL" in kinds(client.order("MARKET", "BUY", LOT, **there))


@given(st.integers(1, 10**9), st.integers(1, 10**6), st.floats(0.001, 0.999))
def test_a_part_is_on_the_grid_and_smaller_than_the_whole(volume: int, step: int, fraction: float) -> None:
    part = PartialFill(None, fraction, "cancelled", 0).part(volume, step)
    if part is None:
        assert volume <= step
    else:
        assert 0 < part < volume
        assert part % step == 0
        assert part <= max(step, volume * fraction)


@pytest.mark.parametrize("kind", ["MARKET", "LIMIT", "STOP"])
def test_an_order_can_be_rejected_after_its_acceptance_and_history_knows_it(kind: str) -> None:
    desk = Desk()
    client = desk.client()
    desk.venue.reject_next(ACCOUNT, "NOT_ENOUGH_MONEY")
    prices = {"LIMIT": {"limitPrice": 1.05}, "STOP": {"stopPrice": 1.15}}.get(kind, {})
    (first_id, accepted), (second_id, rejected) = client.send(
        "ProtoOANewOrderReq", symbolId=EURUSD, orderType=enum("ProtoOAOrderType")[kind], tradeSide=1, volume=LOT,
        clientOrderId="mine", **prices,
    )  # fmt: skip
    assert (first_id, second_id) == (client.last_id, None)
    assert kinds([accepted, rejected]) == ["ORDER_ACCEPTED", "ORDER_REJECTED"]
    assert (rejected.errorCode, rejected.order.clientOrderId, rejected.HasField("deal")) == (
        "NOT_ENOUGH_MONEY", "mine", False)  # fmt: skip
    (listed,) = client.ask("ProtoOAOrderListReq").order
    assert listed.orderStatus == enum("ProtoOAOrderStatus")["ORDER_STATUS_REJECTED"]
    truth = client.ask("ProtoOAReconcileReq")
    assert (len(truth.order), len(truth.position)) == (0, 0)
    assert kinds(client.order("MARKET", "BUY", LOT)) == FILL


def test_a_rejection_can_come_alone_and_strike_a_close() -> None:
    desk = Desk()
    client = desk.client()
    position = client.order("MARKET", "BUY", LOT)[1].position
    desk.venue.reject_next(ACCOUNT, "TIMEOUT_ERROR", accepted_first=False)
    ((msg_id, rejected),) = client.send("ProtoOAClosePositionReq", positionId=position.positionId, volume=LOT)
    assert (msg_id, kinds([rejected]), rejected.errorCode) == (client.last_id, ["ORDER_REJECTED"], "TIMEOUT_ERROR")
    assert list(desk.account.positions) == [position.positionId]


@pytest.mark.parametrize(("fraction", "rest", "delay_ns"), [(0, "cancelled", 0), (1, "filled", 0), (0.5, "kept", 0),
                                                            (0.5, "filled", -1)])  # fmt: skip
def test_a_senseless_mishap_is_refused_in_one_line(fraction: float, rest: str, delay_ns: int) -> None:
    with pytest.raises(ValueError, match=r"partial fill|delay") as error:
        Desk().venue.partial_fill(ACCOUNT, fraction, rest, delay_ns)
    assert "\n" not in str(error.value)
