"""What the engine asks of a venue. Requests are imperative and frozen; `ctrader/translate.py` puts them on the wire."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PlaceOrder:
    """Place an order.

    Units: `volume_cents` signed by side, 0.01 base unit; prices in quote currency per unit, rounded to the symbol's
        digits; `slippage_points` in 10^-digits, used with `base_price` by market-range orders; protection relative to
        the fill, positive distances in 1/100000 of price, or absolute ones for orders that rest.
    Source: ProtoOANewOrderReq.
    """

    client_order_id: str
    symbol_id: int
    volume_cents: int
    order_type: str  # market | market_range | limit | stop | stop_limit
    label: str
    position_id: int | None = None
    limit_price: float | None = None
    stop_price: float | None = None
    base_price: float | None = None
    slippage_points: int | None = None
    relative_stop_loss_e5: int | None = None
    relative_take_profit_e5: int | None = None
    stop_loss: float | None = None
    take_profit: float | None = None
    expires_ns: int | None = None
    trailing: bool = False
    guaranteed: bool = False
    trigger_method: str = ""
    comment: str = ""


@dataclass(frozen=True, slots=True)
class ClosePosition:
    """Close a position, or part of it. The wire carries no client id; `client_order_id` is ours alone.

    Units: `volume_cents` positive, 0.01 base unit.
    Source: ProtoOAClosePositionReq.
    """

    client_order_id: str
    symbol_id: int
    position_id: int
    volume_cents: int


@dataclass(frozen=True, slots=True)
class AmendOrder:
    """Change a resting order. Every field is sent anew: what the venue does with one left out is not documented.

    The wire carries no client id; `client_order_id` is that of the amendment, not of the order, and ours alone.
    `reduces_risk` says that it takes volume away, or moves the price away from the market: it is then sent before
    anything that grows a position.
    Units: `volume_cents` positive, the whole order with what of it is executed, 0.01 base unit; prices in quote
        currency per unit, rounded to the symbol's digits; the rest as in `PlaceOrder`.
    Source: ProtoOAAmendOrderReq.
    """

    client_order_id: str
    symbol_id: int
    order_id: int
    volume_cents: int
    limit_price: float | None = None
    stop_price: float | None = None
    reduces_risk: bool = False
    slippage_points: int | None = None
    relative_stop_loss_e5: int | None = None
    relative_take_profit_e5: int | None = None
    stop_loss: float | None = None
    take_profit: float | None = None
    expires_ns: int | None = None
    trailing: bool = False
    guaranteed: bool = False
    trigger_method: str = ""


@dataclass(frozen=True, slots=True)
class CancelOrder:
    """Cancel a resting order. `client_order_id` is that of the cancellation, and ours alone.

    Source: ProtoOACancelOrderReq.
    """

    client_order_id: str
    symbol_id: int
    order_id: int


@dataclass(frozen=True, slots=True)
class ProtectPosition:
    """Set both protective legs of a position: what is left out is removed. `client_order_id` is ours alone.

    Units: prices in quote currency per unit, rounded to the symbol's digits.   Source: ProtoOAAmendPositionSLTPReq.
    """

    client_order_id: str
    symbol_id: int
    position_id: int
    stop_loss: float | None
    take_profit: float | None


@dataclass(frozen=True, slots=True)
class AskExpectedMargin:
    """Ask the broker what margin new orders of these sizes would use. Units: 0.01 base unit, positive.

    Source: ProtoOAExpectedMarginReq.
    """

    symbol_id: int
    volumes_cents: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class AskProfit:
    """Ask the broker for the unrealised profit of every open position.

    Source: ProtoOAGetPositionUnrealizedPnLReq.
    """


@dataclass(frozen=True, slots=True)
class AskCashFlow:
    """Ask the broker what was paid in and out between two times, a week apart at most.

    Source: ProtoOACashFlowHistoryListReq.
    """

    from_ns: int
    to_ns: int


@dataclass(frozen=True, slots=True)
class ResolveOrders:
    """Ask the venue what became of orders of unknown outcome: reconcile, order list and deal list since `from_ns`.

    Source: ProtoOAReconcileReq, ProtoOAOrderListReq, ProtoOADealListReq.
    """

    from_ns: int


@dataclass(frozen=True, slots=True)
class ResubscribeDepth:
    """Drop and renew the depth subscription of a symbol whose book is in doubt."""

    symbol_id: int


@dataclass(frozen=True, slots=True)
class CheckFeed:
    """No open market has had a price for `quiet_s` seconds: ask whether the session stands, or make a new connection.

    Source: ProtoOAAccountAuthReq, which a session that stands answers with ALREADY_LOGGED_IN.
    """

    quiet_s: float
    reconnect: bool


TradeRequest = PlaceOrder | ClosePosition | AmendOrder | CancelOrder | ProtectPosition
"""What changes orders or positions: a dry run keeps these on paper."""

Question = AskExpectedMargin | AskProfit | AskCashFlow
"""What only asks; an answer that does not come is asked for again."""

Request = TradeRequest | Question | ResolveOrders | ResubscribeDepth | CheckFeed
