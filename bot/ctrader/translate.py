"""Conversion of the venue's messages into the bot's own types; the other way is `trade_messages.py`.

On the wire: volumes with a side, money as integers with `moneyDigits`, times in milliseconds, enums as numbers.
Inside: signed volumes (long positive), Decimal money, nanoseconds, the strings documented at each type.
"""

import unicodedata
from decimal import Decimal
from typing import Any

from bot.account.account import AccountState
from bot.account.position import Deal, Position
from bot.ctrader.schema import enum
from bot.engine.events import CashChange, ExecutionReported, MarginStated, StopTrailed
from bot.execution.orders import OrderSnapshot
from bot.market.symbols import DAY_S, Holiday, SymbolSpec

NS_PER_MS = 1_000_000
# Where a message does not state its money digits. Source: none; two is what every observed message states.
DEFAULT_MONEY_DIGITS = 2

_KINDS = {
    "ORDER_ACCEPTED": "accepted",
    "ORDER_FILLED": "filled",
    "ORDER_REPLACED": "replaced",
    "ORDER_CANCELLED": "cancelled",
    "ORDER_EXPIRED": "expired",
    "ORDER_REJECTED": "rejected",
    "ORDER_CANCEL_REJECTED": "cancel_rejected",
    "SWAP": "swap",
    "DEPOSIT_WITHDRAW": "deposit_withdraw",
    "ORDER_PARTIAL_FILL": "partially_filled",
    "BONUS_DEPOSIT_WITHDRAW": "bonus",
}


def _name(entity: Any, field: str) -> str:
    """Return the name of an enum field's value, its default when it is absent."""
    descriptor = entity.DESCRIPTOR.fields_by_name[field]
    return str(descriptor.enum_type.values_by_number[getattr(entity, field)].name)


def _stated(entity: Any, field: str) -> str:
    """Return the name of an enum field's value in small letters; empty where the venue left it out."""
    return _name(entity, field).lower() if entity.HasField(field) else ""


def text(wire: str | bytes) -> str:
    """Return a wire string that can be shown, on a terminal, too: what would steer one in it is replaced.

    One that is not UTF-8 comes as bytes: what cannot be read in it is replaced as well.
    """
    found = _decoded(wire)
    if found.isprintable():
        return found
    return "".join(c if c.isprintable() or unicodedata.category(c) == "Zs" else "\ufffd" for c in found)


def _decoded(wire: str | bytes) -> str:
    return wire if isinstance(wire, str) else wire.decode("utf-8", "replace")


def _optional(entity: Any, field: str) -> Any:
    return getattr(entity, field) if entity.HasField(field) else None


def _time_ns(entity: Any, field: str) -> int | None:
    return getattr(entity, field) * NS_PER_MS if entity.HasField(field) else None


def _digits(entity: Any, otherwise: int = DEFAULT_MONEY_DIGITS) -> int:
    return int(entity.moneyDigits) if entity.HasField("moneyDigits") else otherwise


def money(minor_units: int, digits: int) -> Decimal:
    """Return money in currency units, exactly. Units: `minor_units` in 10^-digits of the currency."""
    return Decimal(minor_units).scaleb(-digits)


def signed_cents(volume: int, side: int) -> int:
    """Return a wire volume with the sign of its side. Source: ProtoOATradeSide (BUY 1, SELL 2)."""
    return volume if side == enum("ProtoOATradeSide")["BUY"] else -volume


def account_state(trader: Any, asset_names: dict[int, str], is_live: bool | None) -> AccountState:
    """Return the account as the broker states it.

    Missing: `leverage` None where the broker states none; an asset outside the list is named by its id.
    Source: ProtoOATrader; leverageInCents is 100 times the ratio (5000 for 1:50).
    """
    digits = _digits(trader)
    return AccountState(
        account_id=trader.ctidTraderAccountId,
        deposit_asset=asset_names.get(trader.depositAssetId, str(trader.depositAssetId)),
        balance=money(trader.balance, digits),
        balance_version=_optional(trader, "balanceVersion"),
        leverage=trader.leverageInCents / 100 if trader.leverageInCents > 0 else None,
        account_type=_name(trader, "accountType"),
        margin_calculation=_name(trader, "totalMarginCalculationType"),
        access_rights=_name(trader, "accessRights"),
        is_live=is_live,
        is_limited_risk=trader.isLimitedRisk,
        money_digits=digits,
        opened_ns=_time_ns(trader, "registrationTimestamp"),
    )


def untradable_fields(symbol: Any) -> tuple[str, ...]:
    """Return the volume fields without which a symbol cannot be traded and that the broker left out or sent as 0."""
    return tuple(f for f in ("lotSize", "minVolume", "stepVolume", "maxVolume") if getattr(symbol, f) <= 0)


def symbol_spec(symbol: Any, name: str, base_asset: str, quote_asset: str) -> SymbolSpec:
    """Return a symbol as the bot knows it.

    Missing: volume fields left out read as 1; call `untradable_fields` first for a symbol to be traded. A holiday
        without bounds is the whole day.
    Source: ProtoOASymbol; preciseTradingCommissionRate is 10^8 times the rate, 10^5 times for PERCENTAGE_OF_VALUE.
    """
    commission_type = _name(symbol, "commissionType") if symbol.HasField("commissionType") else None
    scale = 10**5 if commission_type == "PERCENTAGE_OF_VALUE" else 10**8
    rate = _optional(symbol, "preciseTradingCommissionRate")
    return SymbolSpec(
        symbol_id=symbol.symbolId,
        name=name,
        base_asset=base_asset,
        quote_asset=quote_asset,
        digits=symbol.digits,
        pip_position=symbol.pipPosition,
        lot_size_cents=max(1, symbol.lotSize),
        min_volume_cents=max(1, symbol.minVolume),
        step_volume_cents=max(1, symbol.stepVolume),
        max_volume_cents=max(1, symbol.maxVolume),
        leverage_id=_optional(symbol, "leverageId"),
        trading_mode=_name(symbol, "tradingMode"),
        short_selling=symbol.enableShortSelling if symbol.HasField("enableShortSelling") else True,
        schedule=tuple((interval.startSecond, interval.endSecond) for interval in symbol.schedule),
        schedule_time_zone=text(symbol.scheduleTimeZone) or "UTC",
        commission_type=commission_type,
        commission_rate=None if rate is None else rate / scale,
        holidays=tuple(map(_holiday, symbol.holiday)),
        max_exposure_cents=max(0, symbol.maxExposure),
        stop_distance=symbol.slDistance,
        profit_distance=symbol.tpDistance,
        is_distance_in_points=not symbol.HasField("distanceSetIn") or _name(symbol, "distanceSetIn").endswith("POINTS"),
    )


def _holiday(holiday: Any) -> Holiday:
    """Return a holiday; without bounds it is the whole day. Source: ProtoOAHoliday."""
    return Holiday(
        day=holiday.holidayDate,
        start_s=holiday.startSecond,
        end_s=holiday.endSecond if holiday.HasField("endSecond") else DAY_S,
        recurring=holiday.isRecurring,
        time_zone=text(holiday.scheduleTimeZone),
    )


def leverage_tiers(leverage: Any) -> tuple[tuple[float, float], ...]:
    """Return (upper bound of open volume in USD, leverage as a plain ratio), ascending by volume.

    Whether the wire carries a tier's leverage as a ratio (500) or in hundredths (50000) is documented nowhere. A ratio
    of 10000 on every tier is offered by nobody, while 1:100 and above in hundredths is common: only a table that lies
    wholly at 10000 or above is read as hundredths. What stays ambiguous is read as a ratio, and the check of the
    broker's expected margin has to catch it.
    Source: ProtoOADynamicLeverageTier; volume in USD cents.
    """
    in_hundredths = all(tier.leverage >= 10_000 for tier in leverage.tiers)
    scale = 100 if in_hundredths else 1
    return tuple(sorted((tier.volume / 100, tier.leverage / scale) for tier in leverage.tiers))


def margin_stated(event: Any, recv_ns: int) -> MarginStated:
    """Return the new margin of a position. Source: ProtoOAMarginChangedEvent."""
    return MarginStated(recv_ns, event.positionId, money(event.usedMargin, _digits(event)))


def stop_trailed(event: Any, recv_ns: int) -> StopTrailed:
    """Return where the stop of a position is now. Source: ProtoOATrailingSLChangedEvent."""
    moved_ns = event.utcLastUpdateTimestamp * NS_PER_MS
    return StopTrailed(recv_ns, event.positionId, event.orderId, event.stopPrice, moved_ns)


def position(entity: Any) -> Position | None:
    """Return a position, with volume 0 when it is closed; None for one that only reserves an id (CREATED).

    Source: ProtoOAPosition.
    """
    status = _name(entity, "positionStatus")
    if status == "POSITION_STATUS_CREATED":
        return None
    trade, digits = entity.tradeData, _digits(entity)
    volume = 0 if status == "POSITION_STATUS_CLOSED" else trade.volume
    return Position(
        position_id=entity.positionId,
        symbol_id=trade.symbolId,
        volume_cents=signed_cents(volume, trade.tradeSide),
        price=entity.price,
        label=text(trade.label),
        swap=money(entity.swap, digits),
        commission=money(entity.commission, digits),
        used_margin=money(entity.usedMargin, digits) if entity.HasField("usedMargin") else None,
        margin_rate=_optional(entity, "marginRate"),
        opened_ns=_time_ns(trade, "openTimestamp"),
        stop_loss=_optional(entity, "stopLoss"),
        take_profit=_optional(entity, "takeProfit"),
        is_trailing=entity.trailingStopLoss,
    )


def open_positions(entities: Any) -> tuple[Position, ...]:
    """Return the positions of a reconcile that are exposure: not the closed ones, not the reserved ones."""
    return tuple(p for p in map(position, entities) if p is not None and p.volume_cents != 0)


def order(entity: Any) -> OrderSnapshot:
    """Return an order as the venue describes it. Source: ProtoOAOrder."""
    trade = entity.tradeData
    return OrderSnapshot(
        order_id=entity.orderId,
        symbol_id=trade.symbolId,
        volume_cents=signed_cents(trade.volume, trade.tradeSide),
        executed_cents=entity.executedVolume,
        order_type=_name(entity, "orderType").lower(),
        status=_name(entity, "orderStatus").removeprefix("ORDER_STATUS_").lower(),
        client_order_id=_decoded(entity.clientOrderId) or None,
        position_id=entity.positionId or None,
        label=text(trade.label),
        closing=entity.closingOrder,
        is_stop_out=entity.isStopOut,
        limit_price=_optional(entity, "limitPrice"),
        stop_price=_optional(entity, "stopPrice"),
        execution_price=_optional(entity, "executionPrice"),
        updated_ns=_time_ns(entity, "utcLastUpdateTimestamp"),
        expires_ns=_time_ns(entity, "expirationTimestamp"),
        stop_loss=_optional(entity, "stopLoss"),
        take_profit=_optional(entity, "takeProfit"),
        relative_stop_loss_e5=_optional(entity, "relativeStopLoss"),
        relative_take_profit_e5=_optional(entity, "relativeTakeProfit"),
        slippage_points=_optional(entity, "slippageInPoints"),
        trailing=entity.trailingStopLoss,
        guaranteed=trade.guaranteedStopLoss,
        trigger_method=_stated(entity, "stopTriggerMethod"),
        time_in_force=_stated(entity, "timeInForce"),
        comment=text(trade.comment),
    )


def deal(entity: Any) -> Deal | None:
    """Return an execution; None for a deal that executed nothing (rejected, missed, in error).

    Source: ProtoOADeal; the balance after it is in closePositionDetail, which has money digits of its own.
    """
    if _name(entity, "dealStatus") not in ("FILLED", "PARTIALLY_FILLED"):
        return None
    digits = _digits(entity)
    closed = entity.closePositionDetail if entity.HasField("closePositionDetail") else None
    opened: dict[str, Any] = {
        "deal_id": entity.dealId,
        "order_id": entity.orderId,
        "position_id": entity.positionId,
        "symbol_id": entity.symbolId,
        "volume_cents": signed_cents(entity.filledVolume, entity.tradeSide),
        "price": entity.executionPrice,
        "commission": money(entity.commission, digits),
        "executed_ns": entity.executionTimestamp * NS_PER_MS,
    }
    if closed is None:
        return Deal(**opened)
    close_digits = _digits(closed, digits)
    return Deal(
        **opened,
        closed_volume_cents=closed.closedVolume if closed.HasField("closedVolume") else entity.filledVolume,
        gross_profit=money(closed.grossProfit, close_digits),
        swap=money(closed.swap, close_digits),
        close_commission=money(closed.commission, close_digits),
        balance=money(closed.balance, close_digits),
        balance_version=_optional(closed, "balanceVersion"),
    )


def executed_deals(entities: Any) -> tuple[Deal, ...]:
    """Return the deals of a list that executed something."""
    return tuple(d for d in map(deal, entities) if d is not None)


def cash_change(transfer: Any) -> CashChange:
    """Return a deposit or withdrawal.

    A withdrawal's delta is negative here whatever its sign on the wire: only its operation type is documented.
    Source: ProtoOADepositWithdraw.
    """
    change = money(abs(transfer.delta), _digits(transfer))
    is_withdrawal = _name(transfer, "operationType").startswith("BALANCE_WITHDRAW")
    return CashChange(
        delta=-change if is_withdrawal else change,
        balance=money(transfer.balance, _digits(transfer)),
        balance_version=_optional(transfer, "balanceVersion"),
        changed_ns=transfer.changeBalanceTimestamp * NS_PER_MS,
    )


def execution_reported(event: Any, client_order_id: str | None, recv_ns: int) -> ExecutionReported:
    """Return an execution event; `client_order_id` is used where the order carries none (a close).

    Source: ProtoOAExecutionEvent, ProtoOADepositWithdraw.
    """
    its_order = order(event.order) if event.HasField("order") else None
    its_deal = deal(event.deal) if event.HasField("deal") else None
    balance = its_deal.balance if its_deal else None
    balance_version = its_deal.balance_version if its_deal else None
    change = None
    if event.HasField("depositWithdraw"):
        transfer = cash_change(event.depositWithdraw)
        balance, balance_version, change = transfer.balance, transfer.balance_version, transfer.delta
    own_id = its_order.client_order_id if its_order else None
    return ExecutionReported(
        recv_ns=recv_ns,
        kind=_KINDS[_name(event, "executionType")],
        client_order_id=own_id or client_order_id,
        order=its_order,
        deal=its_deal,
        position=position(event.position) if event.HasField("position") else None,
        balance=balance,
        balance_version=balance_version,
        balance_change=change,
        error_code=text(event.errorCode) or None,
    )
