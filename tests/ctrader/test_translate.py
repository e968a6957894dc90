"""What is on the wire and what the bot knows are the same thing in two forms."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_venue import ACCOUNT, ASSETS, build, detail, light, trader

from bot.ctrader import trade_messages, translate
from bot.ctrader.catalogue import Catalogue
from bot.ctrader.schema import enum
from bot.engine.foreign_order import terms
from bot.execution.requests import AmendOrder, CancelOrder, ClosePosition, PlaceOrder
from bot.market.symbols import Holiday

BUY, SELL = 1, 2
volumes = st.integers(-(10**12), 10**12).filter(bool)


def trade_data(volume: int = 1000, side: int = BUY, symbol_id: int = 11, **fields):
    return build("TradeData", symbolId=symbol_id, volume=volume, tradeSide=side, **fields)


def wire_order(**fields):
    defaults = {"orderId": 5, "tradeData": trade_data(), "orderType": 1, "orderStatus": 1}
    return build("Order", **(defaults | fields))


def wire_position(**fields):
    return build(
        "Position", **({"positionId": 9, "tradeData": trade_data(), "positionStatus": 1, "swap": -12} | fields)
    )


def wire_deal(**fields):
    defaults = {
        "dealId": 7,
        "orderId": 5,
        "positionId": 9,
        "volume": 2000,
        "filledVolume": 1000,
        "symbolId": 11,
        "createTimestamp": 1,
        "executionTimestamp": 1_700_000_000_123,
        "executionPrice": 1.1,
        "tradeSide": SELL,
        "dealStatus": 2,
        "commission": -35,
    }
    return build("Deal", **(defaults | fields))


def place(**fields) -> PlaceOrder:
    defaults = {
        "client_order_id": "c1",
        "symbol_id": 11,
        "volume_cents": 1000,
        "order_type": "market",
        "label": "microlev",
    }
    return PlaceOrder(**(defaults | fields))


@given(st.integers(-(10**18), 10**18), st.integers(0, 8))
def test_money_is_exact(minor: int, digits: int) -> None:
    assert translate.money(minor, digits) * 10**digits == minor


@given(volumes)
def test_a_volume_goes_out_and_comes_back_with_its_sign(volume: int) -> None:
    wire = trade_messages.new_order(place(volume_cents=volume), ACCOUNT, None)
    assert wire.volume > 0
    assert translate.signed_cents(wire.volume, wire.tradeSide) == volume


def test_money_digits_left_out_are_two() -> None:
    account = translate.account_state(trader(), {1: "EUR"}, None)
    bare = trader()
    bare.ClearField("moneyDigits")
    assert translate.account_state(bare, {1: "EUR"}, None) == account
    assert account.balance == Decimal("10000.00")


def test_an_account_reads_as_the_broker_states_it() -> None:
    wire = trader(accountType=1, totalMarginCalculationType=2, accessRights=1, moneyDigits=8, leverageInCents=5_000)
    account = translate.account_state(wire, {}, True)
    assert (account.account_type, account.margin_calculation, account.access_rights) == ("NETTED", "NET", "CLOSE_ONLY")
    assert (account.leverage, account.balance, account.deposit_asset) == (50.0, Decimal("0.01"), "1")
    assert translate.account_state(trader(leverageInCents=0), {}, None).leverage is None


def test_a_short_position_is_negative_and_a_closed_one_has_no_volume() -> None:
    short = translate.position(
        wire_position(tradeData=trade_data(500, SELL, label="x"), usedMargin=1234, moneyDigits=3)
    )
    assert (short.volume_cents, short.label, short.used_margin, short.swap) == (
        -500,
        "x",
        Decimal("1.234"),
        Decimal("-0.012"),
    )
    closed = translate.position(wire_position(positionStatus=enum("ProtoOAPositionStatus")["POSITION_STATUS_CLOSED"]))
    assert closed.volume_cents == 0
    assert closed.used_margin is None


def test_a_position_keeps_its_protection_and_none_is_none() -> None:
    bare = translate.position(wire_position())
    assert (bare.stop_loss, bare.take_profit, bare.is_trailing) == (None, None, False)
    held = translate.position(wire_position(stopLoss=1.09, takeProfit=1.2, trailingStopLoss=True))
    assert (held.stop_loss, held.take_profit, held.is_trailing) == (1.09, 1.2, True)


def test_a_position_that_only_reserves_an_id_is_no_position() -> None:
    created = wire_position(positionStatus=enum("ProtoOAPositionStatus")["POSITION_STATUS_CREATED"])
    assert translate.position(created) is None
    assert [p.position_id for p in translate.open_positions([created, wire_position()])] == [9]


def test_an_order_reads_with_the_documented_strings() -> None:
    order = translate.order(wire_order(orderType=5, orderStatus=5, executedVolume=400, closingOrder=True, positionId=9))
    assert (order.order_type, order.status, order.executed_cents, order.closing) == (
        "market_range",
        "cancelled",
        400,
        True,
    )
    assert (order.client_order_id, order.limit_price, order.position_id) == (None, None, 9)
    names = {translate.order(wire_order(orderType=n)).order_type for n in enum("ProtoOAOrderType").values()}
    assert names == {"market", "limit", "stop", "stop_loss_take_profit", "market_range", "stop_limit"}


def test_a_deal_takes_its_filled_volume_and_its_close_its_own_money_digits() -> None:
    opened = translate.deal(wire_deal())
    assert (opened.volume_cents, opened.commission, opened.executed_ns) == (
        -1000,
        Decimal("-0.35"),
        1_700_000_000_123_000_000,
    )
    assert (opened.gross_profit, opened.balance, opened.closed_volume_cents) == (None, None, 0)
    detail_ = build(
        "ClosePositionDetail", entryPrice=1.0, grossProfit=-5000, swap=1, commission=2, balance=7_000, moneyDigits=3
    )
    closed = translate.deal(wire_deal(closePositionDetail=detail_))
    assert (closed.gross_profit, closed.balance, closed.closed_volume_cents) == (Decimal(-5), Decimal(7), 1000)


@pytest.mark.parametrize("status", ["REJECTED", "INTERNALLY_REJECTED", "ERROR", "MISSED"])
def test_a_deal_that_executed_nothing_is_no_deal(status: str) -> None:
    assert translate.deal(wire_deal(dealStatus=enum("ProtoOADealStatus")[status])) is None


def test_every_execution_type_has_a_kind() -> None:
    for number in enum("ProtoOAExecutionType").values():
        event = build("ExecutionEvent", executionType=number)
        assert translate.execution_reported(event, None, 1).kind


def test_a_withdrawal_is_negative_whatever_its_sign_on_the_wire() -> None:
    for delta in (500, -500):
        for name, sign in (("BALANCE_WITHDRAW", -1), ("BALANCE_DEPOSIT", 1)):
            transfer = build(
                "DepositWithdraw",
                operationType=enum("ProtoOAChangeBalanceType")[name],
                balanceHistoryId=1,
                balance=1000,
                delta=delta,
                changeBalanceTimestamp=1,
                balanceVersion=8,
            )
            event = build("ExecutionEvent", executionType=10, depositWithdraw=transfer)
            told = translate.execution_reported(event, None, 1)
            assert (told.kind, told.balance_change, told.balance, told.balance_version) == (
                "deposit_withdraw",
                sign * Decimal(5),
                Decimal(10),
                8,
            )


def test_an_order_keeps_its_own_client_id_before_the_one_we_matched() -> None:
    event = build("ExecutionEvent", executionType=2, order=wire_order(clientOrderId="own"))
    assert translate.execution_reported(event, "matched", 1).client_order_id == "own"
    event = build("ExecutionEvent", executionType=2, order=wire_order())
    assert translate.execution_reported(event, "matched", 1).client_order_id == "matched"


TERMS = {
    "expirationTimestamp": 1_700_000_000_000, "stopLoss": 1.05, "takeProfit": 1.25, "relativeStopLoss": 70,
    "relativeTakeProfit": 80, "trailingStopLoss": True, "stopTriggerMethod": 3, "slippageInPoints": 7,
}  # fmt: skip


@pytest.mark.parametrize("price", ["limitPrice", "stopPrice"])
@given(st.sets(st.sampled_from(sorted(TERMS))))
def test_all_that_an_order_carries_comes_in_and_goes_out_again_in_an_amendment(price: str, given: set[str]) -> None:
    stated = {name: TERMS[name] for name in given} | {price: 1.15}
    trade = trade_data()
    trade.guaranteedStopLoss, trade.comment = True, "by hand"
    seen = translate.order(wire_order(tradeData=trade, **stated))
    assert (seen.guaranteed, seen.comment, seen.time_in_force) == (True, "by hand", "")
    wire = trade_messages.amend_order(AmendOrder("c1", 11, 5, 400, **terms(seen)), ACCOUNT, None)
    sent = {field.name: value for field, value in wire.ListFields()}
    expected = {"ctidTraderAccountId": ACCOUNT, "orderId": 5, "volume": 400, "guaranteedStopLoss": True} | stated
    assert {name: value for name, value in sent.items() if name != "payloadType"} == expected


def test_what_an_order_does_not_carry_is_not_sent() -> None:
    seen = translate.order(wire_order(limitPrice=1.1, trailingStopLoss=False))
    wire = trade_messages.amend_order(AmendOrder("c1", 11, 5, 400, **terms(seen)), ACCOUNT, None)
    names = {field.name for field, _ in wire.ListFields()} - {"payloadType"}
    assert names == {"ctidTraderAccountId", "orderId", "volume", "limitPrice"}


def test_a_stop_limit_order_goes_out_with_its_expiry_and_protection() -> None:
    order = place(
        order_type="stop_limit", stop_price=1.15, slippage_points=7, expires_ns=1_700_000_000_000_000_000,
        stop_loss=1.1, take_profit=1.3, trailing=True, guaranteed=True, trigger_method="opposite", comment="by hand",
    )  # fmt: skip
    wire = trade_messages.new_order(order, ACCOUNT, None)
    assert (wire.orderType, wire.timeInForce) == (6, enum("ProtoOATimeInForce")["GOOD_TILL_DATE"])
    assert (wire.stopPrice, wire.slippageInPoints, wire.expirationTimestamp) == (1.15, 7, 1_700_000_000_000)
    assert (wire.stopLoss, wire.takeProfit, wire.trailingStopLoss, wire.guaranteedStopLoss) == (1.1, 1.3, True, True)
    assert (wire.stopTriggerMethod, wire.comment) == (2, "by hand")


def test_prices_go_out_rounded_to_the_symbols_digits() -> None:
    spec = translate.symbol_spec(detail(12), "USDJPY", "USD", "JPY")
    wire = trade_messages.new_order(place(order_type="limit", limit_price=155.12345), ACCOUNT, spec)
    assert (wire.limitPrice, wire.timeInForce) == (155.123, enum("ProtoOATimeInForce")["GOOD_TILL_CANCEL"])
    ranged = place(order_type="market_range", base_price=155.12351, slippage_points=7, position_id=9)
    wire = trade_messages.new_order(ranged, ACCOUNT, spec)
    assert (wire.baseSlippagePrice, wire.slippageInPoints, wire.positionId) == (155.124, 7, 9)
    assert trade_messages.new_order(place(order_type="stop", stop_price=1.0), ACCOUNT, None).stopPrice == 1.0


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"volume_cents": 0}, "volume 0"),
        ({"client_order_id": "x" * 51}, "at most 50"),
        ({"label": "x" * 101}, "100 of label"),
        ({"order_type": "iceberg"}, "iceberg"),
        ({"order_type": "limit"}, "needs limit_price"),
        ({"order_type": "market_range", "base_price": 1.0}, "needs slippage_points"),
    ],
)
def test_an_order_the_venue_cannot_take_is_not_made(fields, text) -> None:
    with pytest.raises(ValueError, match=text):
        trade_messages.new_order(place(**fields), ACCOUNT, None)


def test_an_amendment_sends_every_field_that_a_resting_order_has() -> None:
    wire = trade_messages.amend_order(AmendOrder("a", 11, 5, 400_000, limit_price=1.1), ACCOUNT, None)
    assert {field.name: getattr(wire, field.name) for field, _ in wire.ListFields()} == {
        "ctidTraderAccountId": ACCOUNT,
        "orderId": 5,
        "volume": 400_000,
        "limitPrice": 1.1,
    }
    stop = trade_messages.amend_order(AmendOrder("a", 11, 5, 400_000, stop_price=1.2), ACCOUNT, None)
    assert (stop.HasField("limitPrice"), stop.stopPrice) == (False, 1.2)


@pytest.mark.parametrize("fields", [{"volume_cents": 0, "limit_price": 1.1}, {"volume_cents": 100}])
def test_an_amendment_without_a_volume_or_a_price_is_not_made(fields) -> None:
    with pytest.raises(ValueError, match="amendment of order 5 needs a volume above 0 and a price"):
        trade_messages.amend_order(AmendOrder("a", 11, 5, **fields), ACCOUNT, None)


def test_a_close_and_a_cancel_carry_their_ids() -> None:
    assert trade_messages.close_position(ClosePosition("c", 11, 9, 500), ACCOUNT).volume == 500
    assert trade_messages.cancel_order(CancelOrder("c", 11, 5), ACCOUNT).orderId == 5
    with pytest.raises(ValueError, match="volume 0"):
        trade_messages.close_position(ClosePosition("c", 11, 9, 0), ACCOUNT)


@pytest.mark.parametrize(
    ("leverages", "expected"),
    [
        ([500, 200, 100], [500, 200, 100]),
        ([50_000, 20_000, 10_000], [500, 200, 100]),
        ([50_000, 5_000], [50_000, 5_000]),  # ambiguous: read as ratios, for the expected margin to catch
        ([], []),
    ],
)
def test_tiers_are_plain_ratios_unless_every_one_is_absurd(leverages, expected) -> None:
    steps = [build("DynamicLeverageTier", volume=(n + 1) * 10**8, leverage=v) for n, v in enumerate(leverages)]
    tiers = translate.leverage_tiers(build("DynamicLeverage", leverageId=1, tiers=reversed(steps)))
    assert tiers == tuple(((n + 1) * 1e6, float(v)) for n, v in enumerate(expected))


def test_a_commission_rate_has_the_scale_of_its_type() -> None:
    per_lot = translate.symbol_spec(detail(11, commissionType=2, preciseTradingCommissionRate=350_000_000), "", "", "")
    assert (per_lot.commission_type, per_lot.commission_rate) == ("USD_PER_LOT", 3.5)
    percent = translate.symbol_spec(detail(11, commissionType=3, preciseTradingCommissionRate=5_000), "", "", "")
    assert percent.commission_rate == 0.05
    assert translate.symbol_spec(detail(11), "", "", "").commission_rate is None


def test_a_symbol_keeps_its_hours_and_names_what_it_lacks() -> None:
    hours = [build("Interval", startSecond=1, endSecond=2)]
    wire = detail(11, schedule=hours, scheduleTimeZone="America/New_York", tradingMode=3, enableShortSelling=False)
    spec = translate.symbol_spec(wire, "EURUSD", "EUR", "USD")
    assert (spec.schedule, spec.schedule_time_zone) == (((1, 2),), "America/New_York")
    assert (spec.trading_mode, spec.short_selling) == ("CLOSE_ONLY_MODE", False)
    assert translate.untradable_fields(wire) == ()
    assert translate.untradable_fields(detail(11, lotSize=0, stepVolume=0)) == ("lotSize", "stepVolume")


def test_a_symbol_states_how_much_of_it_an_account_may_hold() -> None:
    assert translate.symbol_spec(detail(11, maxExposure=7_000), "EURUSD", "EUR", "USD").max_exposure_cents == 7_000
    for none in ({}, {"maxExposure": 0}):
        assert translate.symbol_spec(detail(11, **none), "EURUSD", "EUR", "USD").max_exposure_cents == 0


def test_a_symbol_keeps_the_least_distances_of_protection() -> None:
    assert translate.symbol_spec(detail(11), "EURUSD", "EUR", "USD").least_distance(0, 1.1) == 0
    in_points = translate.symbol_spec(detail(11, slDistance=20, tpDistance=30, distanceSetIn=1), "EURUSD", "", "")
    assert (in_points.stop_distance, in_points.profit_distance) == (20, 30)
    assert in_points.least_distance(20, 1.1) == pytest.approx(0.0002)
    in_percent = translate.symbol_spec(detail(11, slDistance=20, distanceSetIn=2), "EURUSD", "", "")
    assert in_percent.least_distance(20, 1.1) == pytest.approx(0.0022), "hundredths of a percent"


def test_a_holiday_without_bounds_is_the_whole_day() -> None:
    named = {"holidayId": 1, "name": "x", "scheduleTimeZone": "Europe/London", "holidayDate": 20_000}
    days = [
        build("Holiday", isRecurring=True, **named),
        build("Holiday", isRecurring=False, startSecond=60, **named),
        build("Holiday", isRecurring=False, endSecond=60, **named),
    ]
    assert translate.symbol_spec(detail(11, holiday=days), "EURUSD", "EUR", "USD").holidays == (
        Holiday(20_000, 0, 86_400, True, "Europe/London"),
        Holiday(20_000, 60, 86_400, False, "Europe/London"),
        Holiday(20_000, 0, 60, False, "Europe/London"),
    )


def test_a_chain_with_a_gap_gives_no_rate() -> None:
    catalogue = Catalogue(("EURUSD",))
    catalogue.add_assets([build("Asset", assetId=i, name=n) for i, n in ASSETS.items()])
    catalogue.add_symbols([light(11), light(12), light(13)])
    catalogue.add_details([detail(11), detail(12)])
    catalogue.deposit_asset_id = 3
    catalogue.resolve_traded()
    catalogue.chains = {(1, 3): (13,), (2, 3): (12,)}  # no details of 13
    loaded = catalogue.loaded(1)
    assert set(loaded.conversions) == {"JPY", "USD"}
    catalogue.chains = {(1, 3): (12, 11), (2, 3): (12, 11)}  # a chain in the wrong order, and one that goes elsewhere
    assert set(catalogue.loaded(1).conversions) == {"JPY"}


def test_a_text_of_the_venue_cannot_steer_a_terminal() -> None:
    assert translate.text("\x1b]0;mine\x07\x1b[2Jno\r\nfunds\x9b1m\u202e!") == "�]0;mine��[2Jno��funds�1m�!"
    assert translate.text(b"no \xff funds\x1b") == "no � funds�"
    plain = "米ドル\u3000円 – Überziehung\xa0100 €"
    assert translate.text(plain) == translate.text(plain.encode()) == plain
