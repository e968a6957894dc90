"""The truth of the venue at one moment, to hold a client's view of it against."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.sim.change import Quote

if TYPE_CHECKING:
    from bot.sim.venue import Venue


@dataclass(frozen=True, slots=True)
class HeldPosition:
    """An open position. Units: volume in 0.01 base unit, below 0 for a short."""

    position_id: int
    symbol_id: int
    signed_volume_cents: int


@dataclass(frozen=True, slots=True)
class WorkingOrder:
    """An order that can still be filled. Units: what is left of it in 0.01 base unit, below 0 for a sell."""

    order_id: int
    symbol_id: int
    signed_left_cents: int
    order_type: str
    label: str
    client_order_id: str


@dataclass(frozen=True, slots=True)
class ShownMarket:
    """What is shown of a symbol. Units: prices 1/100000. Missing: None for a spot side that never had a price."""

    bid_e5: int | None
    ask_e5: int | None
    quotes: dict[int, Quote]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An account and all markets. Units: money in minor units of the deposit currency."""

    now_ns: int
    positions: tuple[HeldPosition, ...]
    orders: tuple[WorkingOrder, ...]
    balance: int
    balance_version: int
    equity: int
    used_margin: int
    money_digits: int
    markets: dict[int, ShownMarket]

    def net_cents(self, symbol_id: int) -> int:
        """Return the signed volume of all positions in a symbol."""
        return sum(held.signed_volume_cents for held in self.positions if held.symbol_id == symbol_id)


def snapshot(venue: "Venue", account_id: int) -> Snapshot:
    """Return the truth of now; later changes do not touch it.

    Raises: KeyError for an account the venue does not have.
    """
    account = venue.desks[account_id].account
    return Snapshot(
        now_ns=venue.now_ns,
        positions=tuple(
            HeldPosition(p.position_id, p.symbol_id, p.volume_cents if p.is_buy else -p.volume_cents)
            for p in account.positions.values()
        ),
        orders=tuple(
            WorkingOrder(
                o.order_id, o.symbol_id, o.left_cents if o.is_buy else -o.left_cents, o.order_type, o.label,
                o.client_order_id,
            )
            for o in account.orders.values()
        ),
        balance=account.balance,
        balance_version=account.balance_version,
        equity=account.equity(),
        used_margin=account.used_margin(),
        money_digits=account.money_digits,
        markets={
            symbol_id: ShownMarket(
                book.bid_e5, book.ask_e5, {} if symbol_id in venue.hidden_depth else dict(book.quotes)
            )
            for symbol_id, book in venue.books.items()
        },
    )  # fmt: skip
