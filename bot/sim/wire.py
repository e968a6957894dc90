"""The venue's entities as protocol messages.

Every field that the 0.9.2 schema calls required is set, so that old clients can read all of it; enum fields are always
written out. Source: ProtoOAOrder, ProtoOAPosition, ProtoOADeal, ProtoOATrader, ProtoOASymbol and their parts.
"""

from decimal import Decimal
from typing import Any

from bot.ctrader.schema import enum, message
from bot.market.symbols import SymbolSpec
from bot.sim.account import Account
from bot.sim.entities import BalanceChange, SimDeal, SimOrder, SimPosition
from bot.sim.listing import Asset

BROKER = "microlev-sim"


def ms(time_ns: int) -> int:
    """Return protocol time (milliseconds since the epoch)."""
    return time_ns // 1_000_000


def _price(target: Any, **prices: Decimal | None) -> None:
    for name, price in prices.items():
        if price is not None:
            setattr(target, name, float(price))


def side_number(is_buy: bool) -> int:
    """Return the number of a trade side."""
    return enum("ProtoOATradeSide")["BUY" if is_buy else "SELL"]


def order_message(order: SimOrder) -> Any:
    """Return a ProtoOAOrder."""
    result = message("ProtoOAOrder")(
        orderId=order.order_id,
        orderType=enum("ProtoOAOrderType")[order.order_type],
        orderStatus=enum("ProtoOAOrderStatus")["ORDER_STATUS_" + order.status],
        executedVolume=order.executed_cents,
        utcLastUpdateTimestamp=ms(order.updated_ns or order.opened_ns),
        closingOrder=order.closing,
        timeInForce=enum("ProtoOATimeInForce")[order.time_in_force],
        positionId=order.position_id,
        isStopOut=order.is_stop_out,
        trailingStopLoss=order.trailing,
        stopTriggerMethod=enum("ProtoOAOrderTriggerMethod")[order.trigger_method],
    )
    trade = result.tradeData
    trade.symbolId, trade.volume, trade.tradeSide = order.symbol_id, order.volume_cents, side_number(order.is_buy)
    trade.openTimestamp, trade.label, trade.comment = ms(order.opened_ns), order.label, order.comment
    _price(
        result,
        executionPrice=order.execution_price,
        limitPrice=order.limit_price,
        stopPrice=order.stop_price,
        stopLoss=order.stop_loss,
        takeProfit=order.take_profit,
        baseSlippagePrice=order.base_price,
    )
    if order.slippage_points is not None:
        result.slippageInPoints = order.slippage_points
    if order.relative_stop_loss_e5 is not None:
        result.relativeStopLoss = order.relative_stop_loss_e5
    if order.relative_take_profit_e5 is not None:
        result.relativeTakeProfit = order.relative_take_profit_e5
    if order.client_order_id:
        result.clientOrderId = order.client_order_id
    if order.expires_ns is not None:
        result.expirationTimestamp = ms(order.expires_ns)
    return result


def position_message(position: SimPosition, money_digits: int) -> Any:
    """Return a ProtoOAPosition; CLOSED when nothing is left of it."""
    status = "POSITION_STATUS_OPEN" if position.volume_cents else "POSITION_STATUS_CLOSED"
    result = message("ProtoOAPosition")(
        positionId=position.position_id,
        positionStatus=enum("ProtoOAPositionStatus")[status],
        swap=position.swap,
        price=float(position.price),
        utcLastUpdateTimestamp=ms(position.updated_ns),
        commission=position.commission,
        marginRate=float(position.margin_rate),
        mirroringCommission=0,
        guaranteedStopLoss=False,
        usedMargin=position.used_margin,
        moneyDigits=money_digits,
        trailingStopLoss=position.trailing_distance is not None,
    )
    trade = result.tradeData
    trade.symbolId, trade.volume, trade.tradeSide = (
        position.symbol_id,
        position.volume_cents,
        side_number(position.is_buy),
    )
    trade.openTimestamp, trade.label, trade.comment = ms(position.opened_ns), position.label, position.comment
    if not position.volume_cents:
        trade.closeTimestamp = ms(position.updated_ns)
    _price(result, stopLoss=position.stop_loss, takeProfit=position.take_profit)
    return result


def created_position_message(order: SimOrder, money_digits: int) -> Any:
    """Return the empty position that the venue holds for an accepted order."""
    result = message("ProtoOAPosition")(
        positionId=order.position_id,
        positionStatus=enum("ProtoOAPositionStatus")["POSITION_STATUS_CREATED"],
        swap=0,
        utcLastUpdateTimestamp=ms(order.opened_ns),
        commission=0,
        usedMargin=0,
        moneyDigits=money_digits,
    )
    trade = result.tradeData
    trade.symbolId, trade.volume, trade.tradeSide = order.symbol_id, 0, side_number(order.is_buy)
    trade.label, trade.comment = order.label, order.comment
    return result


def deal_message(deal: SimDeal, money_digits: int) -> Any:
    """Return a ProtoOADeal, with closePositionDetail when it closed something."""
    result = message("ProtoOADeal")(
        dealId=deal.deal_id,
        orderId=deal.order_id,
        positionId=deal.position_id,
        volume=deal.order_cents,
        filledVolume=deal.filled_cents,
        symbolId=deal.symbol_id,
        createTimestamp=ms(deal.executed_ns),
        executionTimestamp=ms(deal.executed_ns),
        utcLastUpdateTimestamp=ms(deal.executed_ns),
        executionPrice=float(deal.price),
        tradeSide=side_number(deal.is_buy),
        dealStatus=enum("ProtoOADealStatus")["PARTIALLY_FILLED" if deal.partial else "FILLED"],
        marginRate=float(deal.margin_rate),
        commission=deal.commission,
        baseToUsdConversionRate=float(deal.usd_rate),
        moneyDigits=money_digits,
    )
    if deal.closing is not None:
        detail = result.closePositionDetail
        detail.entryPrice = float(deal.closing.entry_price)
        detail.grossProfit, detail.swap = deal.closing.gross_profit, deal.closing.swap
        detail.commission, detail.balance = deal.closing.commission, deal.closing.balance
        detail.quoteToDepositConversionRate = float(deal.closing.conversion_rate)
        detail.closedVolume, detail.balanceVersion = deal.closing.closed_cents, deal.closing.balance_version
        detail.moneyDigits, detail.pnlConversionFee = money_digits, 0
    return result


def protection_order_message(position: SimPosition) -> Any:
    """Return the order that the venue keeps for a position's stop loss and take profit: in stopPrice and limitPrice."""
    assert position.protection_order_id is not None
    order = SimOrder(
        position.protection_order_id, position.symbol_id, "STOP_LOSS_TAKE_PROFIT", not position.is_buy,
        position.volume_cents, position.updated_ns, position.position_id, closing=True, tied=True,
        stop_price=position.stop_loss, limit_price=position.take_profit, label=position.label,
        trailing=position.trailing_distance is not None,
    )  # fmt: skip
    return order_message(order)


def balance_message(change: BalanceChange, money_digits: int) -> Any:
    """Return a ProtoOADepositWithdraw. Its delta has no sign: the operation type tells the direction."""
    return message("ProtoOADepositWithdraw")(
        operationType=enum("ProtoOAChangeBalanceType")["BALANCE_WITHDRAW" if change.delta < 0 else "BALANCE_DEPOSIT"],
        balanceHistoryId=change.change_id,
        balance=change.balance,
        delta=abs(change.delta),
        changeBalanceTimestamp=ms(change.changed_ns),
        balanceVersion=change.version,
        equity=change.equity,
        moneyDigits=money_digits,
    )


def trader_message(account: Account, deposit_asset: Asset) -> Any:
    """Return a ProtoOATrader."""
    settings = account.settings
    return message("ProtoOATrader")(
        ctidTraderAccountId=settings.account_id,
        balance=account.balance,
        balanceVersion=account.balance_version,
        managerBonus=0,
        ibBonus=0,
        nonWithdrawableBonus=0,
        accessRights=enum("ProtoOAAccessRights")[account.access_rights],
        depositAssetId=deposit_asset.asset_id,
        swapFree=False,
        leverageInCents=settings.leverage * 100,
        totalMarginCalculationType=enum("ProtoOATotalMarginCalculationType")[settings.margin_calculation],
        maxLeverage=account.max_leverage * 100,
        frenchRisk=False,
        traderLogin=settings.account_id + 8_000_000,
        accountType=enum("ProtoOAAccountType")[settings.account_type.upper()],
        brokerName=BROKER,
        registrationTimestamp=ms(account.opened_ns),
        isLimitedRisk=False,
        moneyDigits=account.money_digits,
        fairStopOut=True,
        stopOutStrategy=0,
    )


def light_symbol_message(
    spec: SymbolSpec, assets: dict[str, Asset], description: str, *, category_id: int, enabled: bool
) -> Any:
    """Return a ProtoOALightSymbol."""
    return message("ProtoOALightSymbol")(
        symbolId=spec.symbol_id,
        symbolName=spec.name,
        enabled=enabled,
        baseAssetId=assets[spec.base_asset].asset_id,
        quoteAssetId=assets[spec.quote_asset].asset_id,
        symbolCategoryId=category_id,
        description=description,
    )


def symbol_message(spec: SymbolSpec, commission_per_million: Decimal) -> Any:
    """Return a ProtoOASymbol. Commission is of the kind USD per million USD."""
    result = message("ProtoOASymbol")(
        symbolId=spec.symbol_id,
        digits=spec.digits,
        pipPosition=spec.pip_position,
        enableShortSelling=spec.short_selling,
        guaranteedStopLoss=False,
        swapRollover3Days=enum("ProtoOADayOfWeek")["WEDNESDAY"],
        swapLong=0.0,
        swapShort=0.0,
        maxVolume=spec.max_volume_cents,
        minVolume=spec.min_volume_cents,
        stepVolume=spec.step_volume_cents,
        commission=0,
        commissionType=enum("ProtoOACommissionType")["USD_PER_MILLION_USD"],
        slDistance=0,
        tpDistance=0,
        gslDistance=0,
        gslCharge=0,
        distanceSetIn=enum("ProtoOASymbolDistanceType")["SYMBOL_DISTANCE_IN_POINTS"],
        minCommission=0,
        minCommissionType=enum("ProtoOAMinCommissionType")["CURRENCY"],
        minCommissionAsset="USD",
        scheduleTimeZone=spec.schedule_time_zone,
        tradingMode=enum("ProtoOATradingMode")[spec.trading_mode],
        swapCalculationType=enum("ProtoOASwapCalculationType")["PIPS"],
        lotSize=spec.lot_size_cents,
        preciseTradingCommissionRate=int(commission_per_million.scaleb(8)),
        preciseMinCommission=0,
        pnlConversionFeeRate=0,
        leverageId=spec.leverage_id,
        measurementUnits=spec.base_asset,
    )
    if spec.max_exposure_cents:
        result.maxExposure = spec.max_exposure_cents
    for start, end in spec.schedule:
        result.schedule.add(startSecond=start, endSecond=end)
    for number, holiday in enumerate(spec.holidays, 1):
        result.holiday.add(
            holidayId=number,
            name=f"Holiday {number}",
            scheduleTimeZone=holiday.time_zone or spec.schedule_time_zone,
            holidayDate=holiday.day,
            isRecurring=holiday.recurring,
            startSecond=holiday.start_s,
            endSecond=holiday.end_s,
        )
    return result
