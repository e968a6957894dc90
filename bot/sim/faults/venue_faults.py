"""What the broker, the market and the account's owner can do meanwhile.

They concern the account and the symbol of their `Fault`; without one: every account, every symbol. Money is in units
of the deposit currency, volumes in 0.01 base unit.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any


@dataclass(frozen=True, slots=True)
class MarginChange:
    """The margin of open positions is multiplied by `factor`; `tiers`: the symbol's dynamic leverage is divided by it
    instead, which concerns new positions too."""

    factor: float
    tiers: bool = False


@dataclass(frozen=True, slots=True)
class LeverageChange:
    """The account's leverage becomes `ratio` (500 means 1:500)."""

    ratio: int


@dataclass(frozen=True, slots=True)
class AccessRights:
    """What the account may do: FULL_ACCESS, CLOSE_ONLY, NO_TRADING or NO_LOGIN. Lasts; FULL_ACCESS comes back."""

    rights: str


@dataclass(frozen=True, slots=True)
class SymbolChange:
    """The broker changes fields of a symbol, named as in `SymbolSpec` (min_volume_cents, trading_mode, …)."""

    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ManualTrade:
    """The account's owner trades by hand: `action` is open, close (the oldest position, or `volume_cents` of it),
    close_all or cancel (the oldest working order)."""

    action: str = "open"
    side: str = "buy"
    volume_cents: int | None = None


@dataclass(frozen=True, slots=True)
class Deposit:
    """Money comes in."""

    amount: Decimal


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Money goes out."""

    amount: Decimal


@dataclass(frozen=True, slots=True)
class CloseMarket:
    """Trading stops, unplanned: no quotes, MARKET_CLOSED on orders. Lasts."""


@dataclass(frozen=True, slots=True)
class OpenMarket:
    """Trading goes on."""


@dataclass(frozen=True, slots=True)
class TradingMode:
    """The symbol's trading mode, by its name in ProtoOATradingMode. Lasts; ENABLED comes back."""

    mode: str


@dataclass(frozen=True, slots=True)
class Holiday:
    """Today (UTC) becomes a holiday of the symbol, from `start_s` to `end_s` of the day."""

    start_s: int = 0
    end_s: int = 86_400


@dataclass(frozen=True, slots=True)
class CrossedBook:
    """Bids stand above asks. Lasts, and needs an end."""


@dataclass(frozen=True, slots=True)
class EmptyBook:
    """One side of the book, or both, has no quotes. Lasts, and needs an end."""

    side: str = "both"  # bid | ask | both


@dataclass(frozen=True, slots=True)
class Shift:
    """A symbol's prices are `bps` / 10000 away from its market, while the others stand. Lasts, and needs an end."""

    bps: float


@dataclass(frozen=True, slots=True)
class NoDepth:
    """No depth is published, as brokers do for many CFDs: a subscription is taken and stays empty, quotes that stood
    are withdrawn; spot prices go on and orders are filled. Lasts."""


@dataclass(frozen=True, slots=True)
class StopQuotes:
    """Nothing is published, while orders are still taken. Lasts, and needs an end."""
