"""Trading requests in the form of the wire: the other direction of `translate.py`."""

from typing import Any

from google.protobuf.message import Message

from bot.ctrader.schema import enum, message
from bot.ctrader.translate import NS_PER_MS
from bot.execution.requests import AmendOrder, CancelOrder, ClosePosition, PlaceOrder, ProtectPosition
from bot.market.symbols import SymbolSpec

MAX_CLIENT_ORDER_ID, MAX_LABEL = 50, 100
RESTING_TYPES = ("limit", "stop", "stop_limit")


def new_order(request: PlaceOrder, account_id: int, spec: SymbolSpec | None) -> Message:
    """Return the wire form of an order. Prices are rounded to the symbol's digits when `spec` is known.

    Raises: ValueError for an order the venue cannot take: no volume, a missing price, an id or label too long.
    Source: ProtoOANewOrderReq.
    """
    if request.volume_cents == 0:
        raise ValueError(f"order {request.client_order_id} has volume 0")
    if len(request.client_order_id) > MAX_CLIENT_ORDER_ID or len(request.label) > MAX_LABEL:
        raise ValueError(
            f"order {request.client_order_id}: at most {MAX_CLIENT_ORDER_ID} characters of client order id "
            f"and {MAX_LABEL} of label"
        )
    needed = {
        "market": (),
        "market_range": ("base_price", "slippage_points"),
        "limit": ("limit_price",),
        "stop": ("stop_price",),
        "stop_limit": ("stop_price", "slippage_points"),
    }.get(request.order_type)
    if needed is None:
        raise ValueError(f"order {request.client_order_id} has the unknown type {request.order_type!r}")
    wire = message("ProtoOANewOrderReq")(
        ctidTraderAccountId=account_id,
        symbolId=request.symbol_id,
        orderType=enum("ProtoOAOrderType")[request.order_type.upper()],
        tradeSide=enum("ProtoOATradeSide")["BUY" if request.volume_cents > 0 else "SELL"],
        volume=abs(request.volume_cents),
        clientOrderId=request.client_order_id,
    )
    if request.label:
        wire.label = request.label
    if request.position_id is not None:
        wire.positionId = request.position_id
    if request.comment:
        wire.comment = request.comment
    if request.order_type in RESTING_TYPES:
        wire.timeInForce = enum("ProtoOATimeInForce")["GOOD_TILL_DATE" if request.expires_ns else "GOOD_TILL_CANCEL"]
    wire_names = {"limit_price": "limitPrice", "stop_price": "stopPrice", "base_price": "baseSlippagePrice"}
    for field in needed:
        given = getattr(request, field)
        if given is None:
            raise ValueError(f"order {request.client_order_id} of type {request.order_type} needs {field}")
        if field == "slippage_points":
            wire.slippageInPoints = given
        else:
            setattr(wire, wire_names[field], spec.round_price(given) if spec else given)
    _add_terms(wire, request, spec)
    return wire  # type: ignore[no-any-return]  # message classes are made at run time


def _add_terms(wire: Any, request: PlaceOrder | AmendOrder, spec: SymbolSpec | None) -> None:
    """Add expiry and protection. A flag that is off, or a method that is the default, means the same when left out."""
    if request.expires_ns is not None:
        wire.expirationTimestamp = request.expires_ns // NS_PER_MS
    if request.relative_stop_loss_e5 is not None:
        wire.relativeStopLoss = request.relative_stop_loss_e5
    if request.relative_take_profit_e5 is not None:
        wire.relativeTakeProfit = request.relative_take_profit_e5
    if request.stop_loss is not None:
        wire.stopLoss = spec.round_price(request.stop_loss) if spec else request.stop_loss
    if request.take_profit is not None:
        wire.takeProfit = spec.round_price(request.take_profit) if spec else request.take_profit
    if request.trailing:
        wire.trailingStopLoss = True
    if request.guaranteed:
        wire.guaranteedStopLoss = True
    if request.trigger_method:
        wire.stopTriggerMethod = enum("ProtoOAOrderTriggerMethod")[request.trigger_method.upper()]


def close_position(request: ClosePosition, account_id: int) -> Message:
    """Return the wire form of a close.

    Raises: ValueError for a volume that is not positive.
    Source: ProtoOAClosePositionReq.
    """
    if request.volume_cents <= 0:
        raise ValueError(f"close of position {request.position_id} has volume {request.volume_cents}")
    return message("ProtoOAClosePositionReq")(  # type: ignore[no-any-return]
        ctidTraderAccountId=account_id, positionId=request.position_id, volume=request.volume_cents
    )


def amend_order(request: AmendOrder, account_id: int, spec: SymbolSpec | None) -> Message:
    """Return the wire form of an amendment, with everything that the order has.

    Raises: ValueError for a volume that is not positive, or no price.
    Source: ProtoOAAmendOrderReq; what becomes of fields left out is not documented, so none is.
    """
    if request.volume_cents <= 0 or (request.limit_price is None and request.stop_price is None):
        raise ValueError(f"amendment of order {request.order_id} needs a volume above 0 and a price")
    wire = message("ProtoOAAmendOrderReq")(
        ctidTraderAccountId=account_id, orderId=request.order_id, volume=request.volume_cents
    )
    if request.limit_price is not None:
        wire.limitPrice = spec.round_price(request.limit_price) if spec else request.limit_price
    if request.stop_price is not None:
        wire.stopPrice = spec.round_price(request.stop_price) if spec else request.stop_price
    if request.slippage_points is not None:
        wire.slippageInPoints = request.slippage_points
    _add_terms(wire, request, spec)
    return wire  # type: ignore[no-any-return]


def cancel_order(request: CancelOrder, account_id: int) -> Message:
    """Return the wire form of a cancel. Source: ProtoOACancelOrderReq."""
    return message("ProtoOACancelOrderReq")(  # type: ignore[no-any-return]
        ctidTraderAccountId=account_id, orderId=request.order_id
    )


def protect_position(request: ProtectPosition, account_id: int, spec: SymbolSpec | None) -> Message:
    """Return the wire form of a position's protection: both legs, because one that is left out is removed.

    Source: ProtoOAAmendPositionSLTPReq.
    """
    wire = message("ProtoOAAmendPositionSLTPReq")(ctidTraderAccountId=account_id, positionId=request.position_id)
    if request.stop_loss is not None:
        wire.stopLoss = spec.round_price(request.stop_loss) if spec else request.stop_loss
    if request.take_profit is not None:
        wire.takeProfit = spec.round_price(request.take_profit) if spec else request.take_profit
    return wire  # type: ignore[no-any-return]
