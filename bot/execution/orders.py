"""An order as the venue describes it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OrderSnapshot:
    """An order as the venue describes it at one moment.

    Units: volumes in 0.01 base unit, `volume_cents` signed by side, `executed_cents` positive.
    Source: ProtoOAOrder.
    """

    order_id: int
    symbol_id: int
    volume_cents: int
    executed_cents: int
    order_type: str  # market | market_range | limit | stop | stop_limit | stop_loss_take_profit
    status: str  # accepted | filled | rejected | expired | cancelled
    client_order_id: str | None = None
    position_id: int | None = None
    label: str = ""
    closing: bool = False
    is_stop_out: bool = False
    limit_price: float | None = None
    stop_price: float | None = None
    execution_price: float | None = None
    updated_ns: int | None = None
