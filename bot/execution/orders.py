"""An order as the venue describes it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OrderSnapshot:
    """An order as the venue describes it at one moment.

    Units: volumes in 0.01 base unit, `volume_cents` signed by side, `executed_cents` positive; prices in quote
        currency; relative distances in 1/100000 of price; `slippage_points` in 10^-digits.
    Missing: None where the venue states none; `trigger_method` and `time_in_force` are empty then.
    Source: ProtoOAOrder, ProtoOATradeData.
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
    expires_ns: int | None = None
    stop_loss: float | None = None
    take_profit: float | None = None
    relative_stop_loss_e5: int | None = None
    relative_take_profit_e5: int | None = None
    slippage_points: int | None = None
    trailing: bool = False
    guaranteed: bool = False
    trigger_method: str = ""  # trade | opposite | double_trade | double_opposite
    time_in_force: str = ""  # good_till_cancel | good_till_date | …
    comment: str = ""
