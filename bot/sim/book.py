"""The venue's own book of one symbol, and what an order of ours would get from it.

How it works: quotes live in a dict by id; levels are sorted only when an order has to walk them, because market data
changes thousands of times for each order. Our fills do not consume this book: the account is taken to be small beside
the quoted liquidity, and a book that never recovers would make every later measurement a measurement of ourselves. A
backtest's book is told of them (`taken`), and recovers.
"""

from dataclasses import dataclass
from decimal import Decimal

from bot.sim.change import Change, Quote

PRICE_STEP = Decimal("1e-8")
"""Execution prices are averages over levels, kept to this many decimals: well within what a double carries."""


@dataclass(frozen=True, slots=True)
class Fill:
    """What a walk of the book gives. Units: volume 0.01 base unit; price in quote currency per unit (average)."""

    volume_cents: int
    price: Decimal


class VenueBook:
    """Spot prices and resting quotes of one symbol.

    Missing: `bid_e5` and `ask_e5` are None until the market has given them.
    """

    def __init__(self) -> None:
        self.quotes: dict[int, Quote] = {}
        self.bid_e5: int | None = None
        self.ask_e5: int | None = None

    def apply(self, change: Change) -> None:
        """Take a change in: deletions, then new quotes, then spot prices."""
        quotes = self.quotes
        for quote_id in change.deleted:
            quotes.pop(quote_id, None)
        for quote in change.new:
            quotes[quote.quote_id] = quote
        if change.bid_e5 is not None:
            self.bid_e5 = change.bid_e5
        if change.ask_e5 is not None:
            self.ask_e5 = change.ask_e5

    @property
    def has_quotes(self) -> bool:
        """Whether both spot prices are known."""
        return self.bid_e5 is not None and self.ask_e5 is not None

    @property
    def mid(self) -> Decimal | None:
        """The middle of the spot prices; None before both are known."""
        if self.bid_e5 is None or self.ask_e5 is None:
            return None
        return Decimal(self.bid_e5 + self.ask_e5) / 200_000

    def levels(self, *, is_bid: bool) -> list[tuple[int, int]]:
        """Return (price_e5, size_cents) of a side, best first; quotes at one price are added up."""
        sizes: dict[int, int] = {}
        for quote in self.quotes.values():
            if quote.is_bid == is_bid:
                sizes[quote.price_e5] = sizes.get(quote.price_e5, 0) + quote.size_cents
        return sorted(sizes.items(), reverse=is_bid)

    def walk(self, *, buy: bool, volume_cents: int, limit: Decimal | None = None) -> Fill | None:
        """Return what an order takes from the opposite side, level by level, no further than `limit`.

        What lies beyond the book is not filled: the fill is then smaller than asked, or None when nothing is there.
        Units: volume 0.01 base unit; limit in quote currency per unit, inclusive.
        """
        limit_e5 = None if limit is None else limit * 100_000
        left, cost = volume_cents, 0
        for price_e5, size_cents in self.levels(is_bid=not buy):
            if left == 0 or (limit_e5 is not None and (price_e5 > limit_e5 if buy else price_e5 < limit_e5)):
                break
            taken = min(left, size_cents)
            left -= taken
            cost += taken * price_e5
        filled = volume_cents - left
        if filled == 0:
            return None
        return Fill(filled, (Decimal(cost) / filled / 100_000).quantize(PRICE_STEP))

    def taken(self, *, buy: bool, volume_cents: int) -> None:
        """Hear that an order has filled this volume, as `walk` said. This book does not change for it."""
