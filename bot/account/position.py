"""A position and a deal, as the broker reports them; volumes are signed here (long positive)."""

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Position:
    """One open position.

    Units: `volume_cents` signed, 0.01 base unit; `price` the volume-weighted entry; money in deposit currency;
        `stop_loss`, `take_profit` prices, None where there is none; `is_trailing` says that the stop moves by itself.
    Source: ProtoOAPosition; swap, commission and used margin divided by 10^moneyDigits.
    """

    position_id: int
    symbol_id: int
    volume_cents: int
    price: float
    label: str = ""
    swap: Decimal = Decimal(0)
    commission: Decimal = Decimal(0)
    used_margin: Decimal | None = None
    margin_rate: float | None = None
    opened_ns: int | None = None
    stop_loss: float | None = None
    take_profit: float | None = None
    is_trailing: bool = False


@dataclass(frozen=True, slots=True)
class Deal:
    """One execution. Positions are built from these, once per `deal_id`.

    Units: `volume_cents` signed by the side of the trade (a sale that closes a long is negative); money in deposit
        currency. `balance` and `balance_version` are set when the deal closed something.
    Source: ProtoOADeal and its closePositionDetail.
    """

    deal_id: int
    order_id: int
    position_id: int
    symbol_id: int
    volume_cents: int
    price: float
    commission: Decimal
    executed_ns: int
    closed_volume_cents: int = 0
    gross_profit: Decimal | None = None
    swap: Decimal | None = None
    close_commission: Decimal | None = None
    balance: Decimal | None = None
    balance_version: int | None = None
    paper: bool = False
