"""What the venue refuses before it accepts an order, and the order it makes of a request that passes.

Source: ProtoOANewOrderReq, ProtoOAAmendOrderReq and the error codes of ProtoOAErrorCode.
"""

from decimal import Decimal
from typing import Any

from bot.ctrader.schema import enum
from bot.market.symbols import SymbolSpec
from bot.sim.book import VenueBook
from bot.sim.entities import OrderRefused, Refused, SimOrder

_NEEDED = {
    "LIMIT": ("limitPrice",),
    "STOP": ("stopPrice",),
    "MARKET_RANGE": ("baseSlippagePrice", "slippageInPoints"),
    "STOP_LIMIT": ("stopPrice", "slippageInPoints"),
}
_MAX_PRICE = 1_000_000_000
_TEXT_LIMITS = (("label", 100), ("comment", 512), ("clientOrderId", 50))


def name_of(enum_name: str, number: int) -> str:
    """Return an enum value's name."""
    return next(name for name, value in enum(enum_name).items() if value == number)


def _bad_request(description: str) -> Refused:
    return Refused("INVALID_REQUEST", description)


def check_volume(spec: SymbolSpec, volume_cents: int, *, whole: int | None = None) -> None:
    """Check a volume against the symbol's grid; `whole` is a position's volume, which may always be closed entirely.

    Raises: OrderRefused (TRADING_BAD_VOLUME).
    """
    if whole is not None and volume_cents == whole:
        return
    smallest, step, largest = spec.min_volume_cents, spec.step_volume_cents, spec.max_volume_cents
    if whole is not None and volume_cents > whole:
        raise OrderRefused("TRADING_BAD_VOLUME", f"volume {volume_cents} is above the position's {whole}")
    if volume_cents < smallest or volume_cents > largest or volume_cents % step:
        raise OrderRefused(
            "TRADING_BAD_VOLUME",
            f"{spec.name} takes {smallest} to {largest} in steps of {step}, not {volume_cents} (0.01 unit)",
        )


def price_of(request: Any, field: str, spec: SymbolSpec) -> Decimal | None:
    """Return a price field as a decimal; None when it is not set.

    Raises: OrderRefused for a price that is not positive or has more digits than the symbol.
    """
    if not request.HasField(field):
        return None
    number = getattr(request, field)
    if not 0 < number < _MAX_PRICE:
        raise OrderRefused("TRADING_BAD_PRICES", f"{field} must be a price between 0 and {_MAX_PRICE:,}, not {number}")
    price = Decimal(repr(number))
    if price != round(price, spec.digits):
        raise _bad_request(f"{field} {number} has more digits than {spec.name} allows ({spec.digits})")
    return price


def relative_of(request: Any, field: str, spec: SymbolSpec) -> int | None:
    """Return a relative distance in 1/100000; None when it is not set.

    Raises: OrderRefused for one that is not positive or finer than the symbol's tick.
    """
    if not request.HasField(field):
        return None
    distance: int = getattr(request, field)
    if distance <= 0 or distance % spec.tick_e5:
        raise _bad_request(f"{field} must be a positive multiple of {spec.tick_e5} for {spec.name}, not {distance}")
    return distance


def check_protection(
    book: VenueBook, *, is_buy: bool, stop_loss: Decimal | None, take_profit: Decimal | None, at: Decimal | None = None
) -> None:
    """Check that stop loss and take profit lie on their sides of the market, or of the entry price `at`.

    Raises: OrderRefused (TRADING_BAD_STOPS).
    """
    reference_e5 = book.bid_e5 if is_buy else book.ask_e5
    reference = at if at is not None else None if reference_e5 is None else Decimal(reference_e5) / 100_000
    if reference is None:
        return
    sign = 1 if is_buy else -1
    if stop_loss is not None and sign * (reference - stop_loss) <= 0:
        raise OrderRefused("TRADING_BAD_STOPS", f"stop loss {stop_loss} is on the wrong side of {reference}")
    if take_profit is not None and sign * (take_profit - reference) <= 0:
        raise OrderRefused("TRADING_BAD_STOPS", f"take profit {take_profit} is on the wrong side of {reference}")


def check_stop_price(book: VenueBook, *, is_buy: bool, stop_price: Decimal) -> None:
    """Check that a stop order is not beyond the market already.

    Raises: OrderRefused (TRADING_BAD_PRICES).
    """
    market_e5 = book.ask_e5 if is_buy else book.bid_e5
    if market_e5 is None:
        return
    stop_e5 = stop_price * 100_000
    if stop_e5 <= market_e5 if is_buy else stop_e5 >= market_e5:
        raise OrderRefused(
            "TRADING_BAD_PRICES",
            f"a {'buy' if is_buy else 'sell'} stop at {stop_price} is beyond the market {Decimal(market_e5) / 100_000}",
        )


def read_order(request: Any, spec: SymbolSpec, book: VenueBook, now_ns: int) -> SimOrder:
    """Return the order that a ProtoOANewOrderReq asks for, without ids.

    Raises: OrderRefused with the code the venue answers.
    """
    order_type = name_of("ProtoOAOrderType", request.orderType)
    if order_type == "STOP_LOSS_TAKE_PROFIT":
        raise _bad_request("STOP_LOSS_TAKE_PROFIT orders are made by the server")
    for field in _NEEDED.get(order_type, ()):
        if not request.HasField(field):
            raise _bad_request(f"a {order_type} order needs {field}")
    for field, limit in _TEXT_LIMITS:
        if len(getattr(request, field)) > limit:
            raise _bad_request(f"{field} is longer than {limit} characters")
    if order_type == "MARKET" and (request.HasField("stopLoss") or request.HasField("takeProfit")):
        raise _bad_request("absolute stopLoss and takeProfit are allowed only for LIMIT, STOP, STOP_LIMIT orders")
    if request.guaranteedStopLoss:
        raise _bad_request("guaranteed stop losses are not offered here")
    check_volume(spec, request.volume)
    at_once = order_type in ("MARKET", "MARKET_RANGE")
    time_in_force = name_of("ProtoOATimeInForce", request.timeInForce)
    if at_once and not request.HasField("timeInForce"):
        time_in_force = "IMMEDIATE_OR_CANCEL"
    expires_ns = request.expirationTimestamp * 1_000_000 if request.HasField("expirationTimestamp") else None
    if (time_in_force == "GOOD_TILL_DATE" and expires_ns is None) or (expires_ns is not None and expires_ns <= now_ns):
        raise OrderRefused("TRADING_BAD_EXPIRATION_DATE", "expirationTimestamp must lie in the future")
    if request.HasField("slippageInPoints") and request.slippageInPoints < 0:
        raise _bad_request(f"slippageInPoints must not be negative, not {request.slippageInPoints}")
    order = SimOrder(
        order_id=0,
        symbol_id=spec.symbol_id,
        order_type=order_type,
        is_buy=request.tradeSide == enum("ProtoOATradeSide")["BUY"],
        volume_cents=request.volume,
        opened_ns=now_ns,
        position_id=0,
        limit_price=price_of(request, "limitPrice", spec) if order_type == "LIMIT" else None,
        stop_price=price_of(request, "stopPrice", spec) if order_type.startswith("STOP") else None,
        base_price=price_of(request, "baseSlippagePrice", spec),
        slippage_points=request.slippageInPoints if request.HasField("slippageInPoints") else None,
        stop_loss=price_of(request, "stopLoss", spec),
        take_profit=price_of(request, "takeProfit", spec),
        relative_stop_loss_e5=relative_of(request, "relativeStopLoss", spec),
        relative_take_profit_e5=relative_of(request, "relativeTakeProfit", spec),
        trailing=request.trailingStopLoss,
        time_in_force=time_in_force,
        trigger_method=name_of("ProtoOAOrderTriggerMethod", request.stopTriggerMethod),
        expires_ns=expires_ns,
        label=request.label,
        comment=request.comment,
        client_order_id=request.clientOrderId,
    )
    if order.stop_price is not None:
        check_stop_price(book, is_buy=order.is_buy, stop_price=order.stop_price)
    check_protection(
        book,
        is_buy=order.is_buy,
        stop_loss=order.stop_loss,
        take_profit=order.take_profit,
        at=order.limit_price or order.stop_price,
    )
    return order
