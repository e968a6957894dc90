"""What an account holds: orders, positions and deals, as the venue keeps them.

Volumes are positive and in 0.01 base unit; the side stands beside them. Money is in minor units of the deposit asset.
"""

from dataclasses import dataclass, field
from decimal import Decimal


class Refused(Exception):
    """The venue refuses a request, with an error response. `code` is a name of the protocol's error enums."""

    def __init__(self, code: str, description: str) -> None:
        super().__init__(f"{code}: {description}")
        self.code, self.description = code, description


class OrderRefused(Refused):
    """The market or the account does not allow what is asked: answered by an order error event with these ids."""

    def __init__(self, code: str, description: str, *, order_id: int = 0, position_id: int = 0) -> None:
        super().__init__(code, description)
        self.order_id, self.position_id = order_id, position_id


@dataclass(slots=True)
class SimOrder:
    """An order from its acceptance on. `status` and `order_type` are the protocol's enum names without prefix."""

    order_id: int
    symbol_id: int
    order_type: str
    is_buy: bool
    volume_cents: int
    opened_ns: int
    position_id: int
    status: str = "ACCEPTED"
    tied: bool = False  # to a position that existed when the order came: dies with it
    closing: bool = False
    executed_cents: int = 0
    executed_cost: Decimal = Decimal(0)
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    base_price: Decimal | None = None
    slippage_points: int | None = None
    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None
    relative_stop_loss_e5: int | None = None
    relative_take_profit_e5: int | None = None
    trailing: bool = False
    time_in_force: str = "GOOD_TILL_CANCEL"
    trigger_method: str = "TRADE"
    expires_ns: int | None = None
    triggered: bool = False
    label: str = ""
    comment: str = ""
    client_order_id: str = ""
    is_stop_out: bool = False
    updated_ns: int = 0
    continues_ns: int | None = None  # a second execution is on its way: nothing else may act on the order before it

    @property
    def is_done(self) -> bool:
        """Whether nothing more can happen to the order."""
        return self.status != "ACCEPTED"

    @property
    def left_cents(self) -> int:
        """Volume not executed yet."""
        return self.volume_cents - self.executed_cents

    @property
    def execution_price(self) -> Decimal | None:
        """Average price of what was executed; None before the first execution."""
        return self.executed_cost / self.executed_cents if self.executed_cents else None


@dataclass(slots=True)
class Lot:
    """A part of a position that one deal opened and that is not closed yet."""

    deal_id: int
    left_cents: int


@dataclass(slots=True)
class SimPosition:
    """An open position. `volume_cents` is 0 once it is closed.

    `margin_rate` is base -> deposit and `usd_rate` base -> USD, both of the time the volume was opened (weighted), so
    that margin does not move while nothing is traded. `used_margin` is `nominal_margin` times `margin_factor`.
    """

    position_id: int
    symbol_id: int
    is_buy: bool
    volume_cents: int
    price: Decimal
    opened_ns: int
    margin_rate: Decimal
    usd_rate: Decimal
    label: str = ""
    comment: str = ""
    commission: int = 0
    swap: int = 0
    used_margin: int = 0
    nominal_margin: int = 0
    margin_factor: Decimal = Decimal(1)
    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None
    trailing_distance: Decimal | None = None
    protection_order_id: int | None = None
    updated_ns: int = 0
    lots: list[Lot] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Closing:
    """What a closing deal realised, in minor units; `balance` is the account's after it."""

    entry_price: Decimal
    gross_profit: int
    swap: int
    commission: int
    balance: int
    balance_version: int
    closed_cents: int
    conversion_rate: Decimal


@dataclass(frozen=True, slots=True)
class SimDeal:
    """One execution. `offsets` lists (deal id, volume) of the opening deals that it closed."""

    deal_id: int
    order_id: int
    position_id: int
    symbol_id: int
    is_buy: bool
    order_cents: int
    filled_cents: int
    price: Decimal
    executed_ns: int
    partial: bool
    commission: int
    margin_rate: Decimal
    usd_rate: Decimal
    closing: Closing | None = None
    offsets: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class BalanceChange:
    """A deposit (`delta` above 0) or a withdrawal (below). Money in minor units, after the change."""

    change_id: int
    balance: int
    delta: int
    version: int
    changed_ns: int
    equity: int


@dataclass(frozen=True, slots=True)
class AccountSettings:
    """What an account is made with.

    Units: `balance` in deposit currency units; `leverage` a plain ratio; `commission_per_million` in USD per million
        USD traded, a side; `stop_out_frac` is equity / used margin below which positions are closed;
        `history_limit` bounds orders, deals and cash flow each, the oldest are forgotten first.
    `margin_mode` is what a change of leverage or tiers does to open positions: their margin is "recomputed", or "fixed"
    at opening. Brokers choose; no field of the protocol tells which.
    """

    account_id: int
    account_type: str = "hedged"
    deposit_currency: str = "USD"
    balance: Decimal = Decimal(10_000)
    leverage: int = 500
    margin_calculation: str = "MAX"
    commission_per_million: Decimal = Decimal(0)
    stop_out_frac: float = 0.5
    is_live: bool = False
    margin_mode: str = "recomputed"
    history_limit: int = 100_000

    def __post_init__(self) -> None:
        if self.account_type not in ("hedged", "netted"):
            raise ValueError(f"account type must be hedged or netted, not {self.account_type!r}")
        if self.margin_calculation not in ("MAX", "SUM", "NET"):
            raise ValueError(f"margin calculation must be MAX, SUM or NET, not {self.margin_calculation!r}")
        if not (self.balance.is_finite() and self.balance > 0):
            raise ValueError(f"balance must be above 0, not {self.balance}")
        if not self.leverage >= 1:
            raise ValueError(f"leverage must be 1 or more, not {self.leverage}")
        if self.margin_mode not in ("recomputed", "fixed"):
            raise ValueError(f"margin mode must be recomputed or fixed, not {self.margin_mode!r}")
        if not self.history_limit >= 1:
            raise ValueError(f"history limit must be 1 or more, not {self.history_limit}")
