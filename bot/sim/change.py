"""One change of a symbol's market: what the venue publishes, before anyone's wire format."""

from dataclasses import dataclass
from typing import NamedTuple


class Quote(NamedTuple):
    """One resting quote of the venue's book. Units: price 1/100000, size 0.01 base unit."""

    quote_id: int
    is_bid: bool
    price_e5: int
    size_cents: int


@dataclass(frozen=True, slots=True)
class Change:
    """What happened to one symbol at one instant: a depth change, a spot change, or both.

    `bid_e5` and `ask_e5` are the spot prices that moved (None: that side did not). `deleted` quote ids go before
    `new` quotes come; a known id in `new` replaces the whole quote.
    """

    time_ns: int
    symbol_id: int
    bid_e5: int | None = None
    ask_e5: int | None = None
    new: tuple[Quote, ...] = ()
    deleted: tuple[int, ...] = ()
