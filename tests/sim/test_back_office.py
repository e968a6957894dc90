"""What the broker changes on accounts and symbols, as clients hear and feel it."""

from decimal import Decimal
from typing import Any

import pytest
from venue_client import ACCOUNT, BTCUSD, EURUSD, GBPUSD, Client, Desk, kinds

from bot.ctrader.schema import enum
from bot.sim.entities import AccountSettings, OrderRefused, Refused
from bot.sim.listing import FX_WEEK

LOT = 10_000_000
FILL = ["ORDER_ACCEPTED", "ORDER_FILLED"]
OTHER = AccountSettings(2_000_002, balance=Decimal(5_000))


def names(client: Client) -> list[str]:
    return kinds(client.messages())


def _reports(desk: Desk) -> list[Client]:
    """Two links of the account, and one that is not logged in to anything."""
    return [desk.client(), desk.client(), desk.client(stage="app")]


# -- leverage and margin -----------------------------------------------------------------------------------------------


def test_a_change_of_leverage_is_told_to_every_link_of_the_account_with_the_margins_that_follow() -> None:
    desk = Desk(balance=Decimal(100_000))
    first, second, stranger = _reports(desk)
    position = first.order("MARKET", "BUY", LOT)[1].position
    second.messages()
    desk.venue.set_leverage(ACCOUNT, 100)
    for client in (first, second):
        updated, changed = client.messages()
        assert (updated.DESCRIPTOR.name, updated.trader.leverageInCents) == ("ProtoOATraderUpdatedEvent", 10_000)
        assert (changed.positionId, changed.usedMargin) == (position.positionId, 110_000)
    assert stranger.messages() == []
    assert first.ask("ProtoOATraderReq").trader.leverageInCents == 10_000
    assert first.ask("ProtoOAReconcileReq").position[0].usedMargin == 110_000
    assert first.ask("ProtoOAExpectedMarginReq", symbolId=EURUSD, volume=[LOT]).margin[0].buyMargin == 110_000
    desk.venue.set_leverage(ACCOUNT, 200)
    first.messages()
    assert first.ask("ProtoOATraderReq").trader.maxLeverage == 50_000


def test_fixed_margin_stays_what_it_was_at_opening_and_shrinks_with_the_volume() -> None:
    desk = Desk(balance=Decimal(100_000), margin_mode="fixed")
    client = desk.client()
    position = client.order("MARKET", "BUY", 2 * LOT)[1].position
    assert position.usedMargin == 44_000
    desk.venue.set_leverage(ACCOUNT, 100)
    assert names(client) == ["ProtoOATraderUpdatedEvent"]
    half = client.send("ProtoOAClosePositionReq", positionId=position.positionId, volume=LOT)[1][1]
    assert half.position.usedMargin == 22_000
    grown = client.order("MARKET", "BUY", LOT, positionId=position.positionId)[1]
    assert grown.position.usedMargin == 22_000 + 110_000


def test_lower_leverage_can_bring_the_stop_out_at_the_next_price() -> None:
    desk = Desk(balance=Decimal(1_000))
    client = desk.client()
    client.order("MARKET", "BUY", 4 * LOT)
    desk.venue.set_leverage(ACCOUNT, 100)
    assert len(desk.account.positions) == 1
    desk.price(EURUSD, 109_998, 110_000)
    assert desk.account.positions == {}


def test_a_positions_margin_can_be_changed_alone_and_keeps_its_factor() -> None:
    desk = Desk(balance=Decimal(100_000))
    client = desk.client()
    first, second = (client.order("MARKET", "BUY", LOT)[1].position for _ in range(2))
    desk.venue.set_margin(first.positionId, 2.5)
    (changed,) = client.messages()
    assert (changed.DESCRIPTOR.name, changed.usedMargin) == ("ProtoOAMarginChangedEvent", 55_000)
    assert changed.positionId == first.positionId
    grown = client.order("MARKET", "BUY", LOT, positionId=first.positionId)[1].position
    assert grown.usedMargin == 110_000
    assert {p.positionId: p.usedMargin for p in client.ask("ProtoOAReconcileReq").position}[second.positionId] == 22_000
    desk.venue.set_margin(first.positionId, 1)
    assert [event.usedMargin for event in client.messages()] == [44_000]
    desk.venue.set_margin(first.positionId, 1)
    assert client.messages() == []


def test_a_symbols_margin_changes_through_tiers_of_its_own() -> None:
    desk = Desk(balance=Decimal(100_000))
    client = desk.client()
    position = client.order("MARKET", "BUY", LOT)[1].position
    desk.venue.set_margin(None, 5, symbol_id=EURUSD)
    changed, margin = client.messages()
    assert (changed.DESCRIPTOR.name, list(changed.symbolId)) == ("ProtoOASymbolChangedEvent", [EURUSD])
    assert (margin.positionId, margin.usedMargin) == (position.positionId, 110_000)
    listed = client.ask("ProtoOASymbolByIdReq", symbolId=[EURUSD, GBPUSD]).symbol
    assert listed[0].leverageId != listed[1].leverageId
    tiers = client.ask("ProtoOAGetDynamicLeverageByIDReq", leverageId=listed[0].leverageId).leverage.tiers
    assert [tier.leverage for tier in tiers] == [100, 40, 20]
    assert client.ask("ProtoOAExpectedMarginReq", symbolId=EURUSD, volume=[LOT]).margin[0].buyMargin == 110_000
    light = {symbol.symbolId: symbol.symbolCategoryId for symbol in client.ask("ProtoOASymbolsListReq").symbol}
    assert light[EURUSD] == light[GBPUSD]


def test_tiers_can_change_under_their_id() -> None:
    desk = Desk(balance=Decimal(100_000))
    client = desk.client()
    client.order("MARKET", "BUY", LOT)
    desk.venue.back_office.set_tiers(1, ((1_000_000, 50),))
    changed, margin = client.messages()
    assert list(changed.symbolId) == [1, 2, 3, 4]
    assert margin.usedMargin == 220_000
    fresh = Desk().client()
    assert fresh.ask("ProtoOAGetDynamicLeverageByIDReq", leverageId=1).leverage.tiers[0].leverage == 500


# -- access rights -----------------------------------------------------------------------------------------------------


def test_close_only_lets_reductions_through_and_resting_orders_wait() -> None:
    desk = Desk()
    client = desk.client()
    position = client.order("MARKET", "BUY", LOT)[1].position
    client.order("LIMIT", "BUY", LOT, limitPrice=1.05)
    desk.venue.set_access_rights(ACCOUNT, "CLOSE_ONLY")
    (updated,) = client.messages()
    assert updated.trader.accessRights == enum("ProtoOAAccessRights")["CLOSE_ONLY"]
    (refused,) = client.order("MARKET", "BUY", LOT)
    assert (refused.DESCRIPTOR.name, refused.errorCode) == ("ProtoOAOrderErrorEvent", "TRADING_NOT_ALLOWED")
    assert client.ask("ProtoOATraderReq").trader.accessRights == updated.trader.accessRights
    desk.price(EURUSD, 104_000, 104_002)
    assert client.messages() == []
    closing = client.send("ProtoOAClosePositionReq", positionId=position.positionId, volume=LOT)
    assert kinds([body for _, body in closing]) == FILL
    desk.venue.set_access_rights(ACCOUNT, "FULL_ACCESS")
    assert names(client) == ["ProtoOATraderUpdatedEvent", "ORDER_FILLED"]


def test_no_trading_refuses_everything_and_blocks_stop_loss_and_stop_out() -> None:
    desk = Desk(balance=Decimal(400))
    client = desk.client()
    position = client.order("MARKET", "BUY", LOT, relativeStopLoss=100)[1].position
    order_id = client.order("LIMIT", "SELL", 100_000, limitPrice=1.2)[0].order.orderId
    desk.venue.set_access_rights(ACCOUNT, "NO_TRADING")
    client.messages()
    asked: list[tuple[str, dict[str, Any]]] = [
        ("ProtoOAClosePositionReq", {"positionId": position.positionId, "volume": LOT}),
        ("ProtoOACancelOrderReq", {"orderId": order_id}),
        ("ProtoOAAmendOrderReq", {"orderId": order_id, "limitPrice": 1.3}),
        ("ProtoOAAmendPositionSLTPReq", {"positionId": position.positionId}),
    ]
    assert client.order("MARKET", "BUY", LOT)[0].errorCode == "TRADING_NOT_ALLOWED"
    assert [client.ask(name, **fields).errorCode for name, fields in asked] == ["TRADING_NOT_ALLOWED"] * 4
    desk.price(EURUSD, 109_000, 109_002)
    assert set(names(client)) <= {"ProtoOAMarginCallTriggerEvent"}
    assert list(desk.account.positions) == [position.positionId]
    desk.venue.set_access_rights(ACCOUNT, "FULL_ACCESS")
    assert desk.account.positions == {}


def test_no_login_ends_the_sessions_and_refuses_new_ones_until_it_is_lifted() -> None:
    desk = Desk(others=(OTHER,))
    client = desk.client()
    client.ask("ProtoOAAccountAuthReq", ctidTraderAccountId=OTHER.account_id, accessToken="trade")
    client.send("ProtoOASubscribeSpotsReq", symbolId=[EURUSD])
    desk.venue.set_access_rights(ACCOUNT, "NO_LOGIN")
    updated, gone = client.messages()
    assert updated.DESCRIPTOR.name == "ProtoOATraderUpdatedEvent"
    assert (gone.DESCRIPTOR.name, gone.ctidTraderAccountId) == ("ProtoOAAccountDisconnectEvent", ACCOUNT)
    desk.price(EURUSD, 109_000, 109_002)
    assert client.messages() == []
    auth = {"accessToken": "trade"}
    assert client.ask("ProtoOAAccountAuthReq", **auth).errorCode == "RET_ACCOUNT_DISABLED"
    assert client.ask("ProtoOATraderReq").errorCode == "ACCOUNT_NOT_AUTHORIZED"
    assert client.ask("ProtoOATraderReq", ctidTraderAccountId=OTHER.account_id).trader.balance == 500_000
    desk.venue.set_access_rights(ACCOUNT, "FULL_ACCESS")
    assert client.ask("ProtoOAAccountAuthReq", **auth).DESCRIPTOR.name == "ProtoOAAccountAuthRes"


# -- money -------------------------------------------------------------------------------------------------------------


def test_a_deposit_and_a_withdrawal_are_events_and_cash_flow() -> None:
    desk = Desk()
    client, second, _ = _reports(desk)
    desk.wait(1)
    desk.venue.deposit(ACCOUNT, "250.50")
    desk.venue.withdraw(ACCOUNT, 50)
    for listener in (client, second):
        paid_in, paid_out = listener.messages()
        assert kinds([paid_in, paid_out]) == ["DEPOSIT_WITHDRAW"] * 2
        assert paid_in.isServerEvent and paid_out.isServerEvent
        assert not paid_in.HasField("order") and not paid_in.HasField("position")
        kind = enum("ProtoOAChangeBalanceType")
        moved = [(e.depositWithdraw.operationType, e.depositWithdraw.delta) for e in (paid_in, paid_out)]
        assert moved == [(kind["BALANCE_DEPOSIT"], 25_050), (kind["BALANCE_WITHDRAW"], 5_000)]
        assert [e.depositWithdraw.balance for e in (paid_in, paid_out)] == [1_025_050, 1_020_050]
        assert [e.depositWithdraw.balanceVersion for e in (paid_in, paid_out)] == [2, 3]
    trader = client.ask("ProtoOATraderReq").trader
    assert (trader.balance, trader.balanceVersion) == (1_020_050, 3)
    week_ms = 604_800_000
    now_ms = desk.now_ns // 1_000_000
    flow = client.ask("ProtoOACashFlowHistoryListReq", fromTimestamp=now_ms - week_ms, toTimestamp=now_ms)
    assert [change.balance for change in flow.depositWithdraw] == [1_000_000, 1_025_050, 1_020_050]
    assert len({change.balanceHistoryId for change in flow.depositWithdraw}) == 3
    (entry,) = client.ask("ProtoOAGetAccountListByAccessTokenReq", accessToken="trade").ctidTraderAccount
    assert entry.lastBalanceUpdateTimestamp == now_ms


@pytest.mark.parametrize("money", [0, -5, "NaN", "Infinity"])
def test_a_transfer_must_be_a_sum_of_money(money: Any) -> None:
    desk = Desk()
    with pytest.raises(ValueError, match="above 0"):
        desk.venue.deposit(ACCOUNT, money)
    with pytest.raises(ValueError, match="above 0"):
        desk.venue.withdraw(ACCOUNT, money)
    assert desk.account.balance_version == 1


def test_more_than_the_balance_cannot_be_withdrawn() -> None:
    desk = Desk()
    with pytest.raises(Refused, match="NOT_ENOUGH_MONEY"):
        desk.venue.withdraw(ACCOUNT, "10000.01")
    desk.venue.withdraw(ACCOUNT, 10_000)
    assert desk.account.balance == 0


def test_a_swap_is_booked_on_the_position_and_reaches_the_balance_at_its_close() -> None:
    desk = Desk()
    client = desk.client()
    position = client.order("MARKET", "BUY", LOT)[1].position
    desk.venue.book_swap(position.positionId, "-1.25")
    (event,) = client.messages()
    assert (kinds([event]), event.isServerEvent) == (["SWAP"], True)
    assert (event.position.positionId, event.position.swap) == (position.positionId, -125)
    (row,) = client.ask("ProtoOAGetPositionUnrealizedPnLReq").positionUnrealizedPnL
    assert row.netUnrealizedPnL == row.grossUnrealizedPnL - 125
    assert client.ask("ProtoOATraderReq").trader.balance == 1_000_000
    closed = client.send("ProtoOAClosePositionReq", positionId=position.positionId, volume=LOT)[1][1]
    detail = closed.deal.closePositionDetail
    assert (detail.swap, detail.balance) == (-125, 1_000_000 - 125 + detail.grossProfit)
    with pytest.raises(OrderRefused, match="POSITION_NOT_FOUND"):
        desk.venue.book_swap(position.positionId, 1)


# -- symbols -----------------------------------------------------------------------------------------------------------


def test_a_changed_volume_grid_is_announced_served_and_enforced() -> None:
    desk = Desk(others=(OTHER,))
    client = desk.client()
    client.ask("ProtoOAAccountAuthReq", ctidTraderAccountId=OTHER.account_id, accessToken="trade")
    desk.venue.change_symbol(EURUSD, min_volume_cents=200_000, step_volume_cents=200_000, max_volume_cents=LOT)
    events = client.messages()
    assert [(e.DESCRIPTOR.name, e.ctidTraderAccountId) for e in events] == [
        ("ProtoOASymbolChangedEvent", ACCOUNT), ("ProtoOASymbolChangedEvent", OTHER.account_id)]  # fmt: skip
    symbol = client.ask("ProtoOASymbolByIdReq", symbolId=[EURUSD]).symbol[0]
    assert (symbol.minVolume, symbol.stepVolume, symbol.maxVolume) == (200_000, 200_000, LOT)
    codes = [client.order("MARKET", "BUY", volume)[0].errorCode for volume in (100_000, 300_000, 2 * LOT)]
    assert codes == ["TRADING_BAD_VOLUME"] * 3
    filled = client.order("MARKET", "BUY", 400_000)
    assert kinds(filled) == FILL


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"digits": 3}, "no changeable 'digits'"),
        ({"colour": "red"}, "no changeable 'colour'"),
        ({"min_volume_cents": 0}, "volumes must be positive"),
        ({"step_volume_cents": -1}, "volumes must be positive"),
        ({"max_volume_cents": 1}, "min <= max"),
        ({"trading_mode": "OFF"}, "unknown trading mode 'OFF'"),
        ({"leverage_id": 99}, "no dynamic leverage 99"),
        ({"schedule": ((5, 4),)}, "schedule span"),
        ({"schedule_time_zone": "Moon"}, "unknown time zone"),
    ],
)
def test_a_senseless_change_of_a_symbol_changes_nothing(fields: dict[str, Any], said: str) -> None:
    desk = Desk()
    client = desk.client()
    before = dict(desk.venue.specs)
    with pytest.raises(ValueError, match=said) as error:
        desk.venue.change_symbol(EURUSD, **fields)
    assert "\n" not in str(error.value)
    assert (desk.venue.specs, client.messages()) == (before, [])


@pytest.mark.parametrize(
    "act",
    [
        lambda venue: venue.set_leverage(ACCOUNT, 0),
        lambda venue: venue.set_access_rights(ACCOUNT, "ANYTHING"),
        lambda venue: venue.set_margin(None, 0, symbol_id=EURUSD),
        lambda venue: venue.set_margin(1, -1),
        lambda venue: venue.back_office.set_tiers(1, ()),
        lambda venue: venue.back_office.set_tiers(1, ((10, 5), (10, 2))),
        lambda venue: venue.back_office.set_tiers(1, ((10, 0),)),
        lambda venue: venue.empty_book(EURUSD, "left"),
    ],
)
def test_senseless_arguments_are_one_line_and_change_nothing(act: Any) -> None:
    desk = Desk()
    client = desk.client()
    with pytest.raises(ValueError) as error:  # noqa: PT011 - each has words of its own
        act(desk.venue)
    assert "\n" not in str(error.value)
    assert client.messages() == []


def test_what_does_not_exist_is_refused_by_name() -> None:
    venue = Desk().venue
    for act in (
        lambda: venue.set_leverage(7, 100),
        lambda: venue.deposit(7, 100),
        lambda: venue.change_symbol(99, short_selling=False),
        lambda: venue.stop_trading(99),
        lambda: venue.cross_book(99, 1),
        lambda: venue.set_margin(7, 2),
    ):
        with pytest.raises(Refused, match=r"\b(7|99)\b"):
            act()


# -- hosts -------------------------------------------------------------------------------------------------------------


def test_an_account_on_the_other_host_is_listed_with_its_kind_and_cannot_be_reached() -> None:
    live = AccountSettings(3_000_003, is_live=True)
    desk = Desk(others=(live,), options={"host_kind": "demo"})
    client = desk.client(stage="app")
    listed = client.ask("ProtoOAGetAccountListByAccessTokenReq", accessToken="trade").ctidTraderAccount
    assert {entry.ctidTraderAccountId: entry.isLive for entry in listed} == {ACCOUNT: False, live.account_id: True}
    there = {"ctidTraderAccountId": live.account_id}
    assert client.ask("ProtoOAAccountAuthReq", accessToken="trade", **there).errorCode == "CANT_ROUTE_REQUEST"
    assert client.ask("ProtoOATraderReq", **there).errorCode == "CANT_ROUTE_REQUEST"
    assert client.ask("ProtoOAAccountAuthReq", accessToken="trade").DESCRIPTOR.name == "ProtoOAAccountAuthRes"


def test_a_live_host_takes_live_accounts_only_and_any_host_takes_all() -> None:
    live = Desk(options={"host_kind": "live"}).client(stage="app")
    assert live.ask("ProtoOAAccountAuthReq", accessToken="trade").errorCode == "CANT_ROUTE_REQUEST"
    live = Desk(options={"host_kind": "live"}, is_live=True).client(stage="app")
    assert live.ask("ProtoOAAccountAuthReq", accessToken="trade").DESCRIPTOR.name == "ProtoOAAccountAuthRes"
    anywhere = Desk(is_live=True).client(stage="app")
    assert anywhere.ask("ProtoOAAccountAuthReq", accessToken="trade").DESCRIPTOR.name == "ProtoOAAccountAuthRes"
    with pytest.raises(ValueError, match="any, demo or live"):
        Desk(options={"host_kind": "paper"})


def test_crypto_keeps_its_hours_when_the_others_get_theirs() -> None:
    desk = Desk()
    desk.venue.put_hours(FX_WEEK)
    zones = {symbol_id: spec.schedule_time_zone for symbol_id, spec in desk.venue.specs.items()}
    assert zones.pop(BTCUSD) == "UTC"
    assert set(zones.values()) == {"America/New_York"}
