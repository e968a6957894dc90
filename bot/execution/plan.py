"""From an approved target to one request: open, increase in place, reduce or close.

One request at a time and symbol: the next step is planned when this one has its outcome, on the market of that moment.
"""

import math
from dataclasses import dataclass
from typing import Literal

from bot.account.position import Position
from bot.account.risk import ApprovedTarget
from bot.execution.protection import NO_PROTECTION, Protection, relative_e5
from bot.execution.reduction import first_to_reduce, reduction_cents
from bot.execution.requests import ClosePosition, PlaceOrder
from bot.market.symbols import SymbolSpec

Action = Literal["open", "increase", "reduce", "close"]


@dataclass(frozen=True, slots=True)
class OrderStyle:
    """How orders are sent, in slices or not. Units: `max_slippage_bps` bps of the price, for market-range orders."""

    order_type: str  # market | market_range | limit
    max_slippage_bps: float
    label: str
    is_sliced: bool = False
    protection: Protection = NO_PROTECTION


@dataclass(frozen=True, slots=True)
class PlannedOrder:
    """One step towards a target. Units: `volume_cents` signed by the side of the trade, 0.01 base unit."""

    action: Action
    volume_cents: int
    order_type: str
    position_id: int | None
    request: PlaceOrder | ClosePosition


def plan(
    approved: ApprovedTarget,
    spec: SymbolSpec,
    positions: list[Position],
    bid: float,
    ask: float,
    style: OrderStyle,
    client_order_id: str,
    *,
    netted: bool,
) -> PlannedOrder | None:
    """Return the next request towards `approved`, or None when there is nothing tradable to do.

    Args: `positions` ours in this symbol, of which `reduction.py` says what goes first; `bid`, `ask` spot prices, the
        base of a market-range order.
    Source: ProtoOANewOrderReq with positionId increases a position in place; ProtoOAClosePositionReq reduces one.
    """
    change = approved.target_cents - approved.held_cents
    if change == 0:
        return None
    if abs(approved.target_cents) < abs(approved.held_cents):
        return _reduction(approved, spec, positions, client_order_id)
    if style.order_type == "limit":
        return None  # growth rests in the book, and is planned by who rests it
    same_side = [p for p in positions if p.volume_cents * change > 0]
    # A netted account merges orders by itself; naming the position there is neither needed nor sure to be taken.
    position_id = same_side[0].position_id if same_side and not netted else None
    base_price = ask if change > 0 else bid
    ranged = style.order_type == "market_range"
    # In place it would be measured from this fill, not from the entry of the whole: that is sent once it is known.
    legs = (None, None) if same_side else relative_e5(style.protection, spec, base_price, ask - bid)
    request = PlaceOrder(
        client_order_id=client_order_id,
        symbol_id=spec.symbol_id,
        volume_cents=change,
        order_type=style.order_type,
        label=style.label,
        position_id=position_id,
        base_price=spec.round_price(base_price) if ranged else None,
        slippage_points=slippage_points(spec, base_price, style.max_slippage_bps) if ranged else None,
        relative_stop_loss_e5=legs[0],
        relative_take_profit_e5=legs[1],
    )
    return PlannedOrder("increase" if same_side else "open", change, style.order_type, position_id, request)


def slippage_points(spec: SymbolSpec, price: float, max_slippage_bps: float) -> int:
    """Return the slippage bound in points (10^-digits), rounded down, at least one point.

    Source: ProtoOANewOrderReq.slippageInPoints.
    """
    points = price * max_slippage_bps / 1e4 * 10.0**spec.digits
    return max(1, math.floor(points + 1e-9))


def _reduction(
    approved: ApprovedTarget, spec: SymbolSpec, positions: list[Position], client_order_id: str
) -> PlannedOrder | None:
    change = approved.target_cents - approved.held_cents
    position = first_to_reduce(positions, change)
    if position is None:
        return None
    held, volume = abs(position.volume_cents), reduction_cents(position, change, spec)
    if volume == 0:
        return None
    request = ClosePosition(client_order_id, spec.symbol_id, position.position_id, volume)
    return PlannedOrder(
        "close" if volume == held else "reduce",
        volume if change > 0 else -volume,
        "market",
        position.position_id,
        request,
    )
