"""Conversion between assets through the venue's own quotes."""

from collections import deque
from collections.abc import Mapping
from decimal import Decimal

from bot.market.symbols import SymbolSpec
from bot.sim.book import VenueBook


class Rates:
    """Finds the shortest chain of symbols between two assets and walks it at mid prices.

    The real venue's choice of side is not documented; the mid keeps a round trip at no cost.
    """

    def __init__(self, specs: tuple[SymbolSpec, ...], books: Mapping[int, VenueBook]) -> None:
        self._specs, self._books = specs, books
        self._chains: dict[tuple[str, str], tuple[tuple[SymbolSpec, bool], ...] | None] = {}

    def chain(self, source: str, target: str) -> tuple[tuple[SymbolSpec, bool], ...] | None:
        """Return the symbols to walk from `source` to `target`, each with whether its price divides.

        Missing: None when no chain of symbols joins the two; empty when they are the same.
        """
        key = (source, target)
        if key not in self._chains:
            self._chains[key] = self._search(source, target)
        return self._chains[key]

    def rate(self, source: str, target: str) -> Decimal | None:
        """Return how much of `target` one unit of `source` is; None without a chain or without quotes on it."""
        chain = self.chain(source, target)
        if chain is None:
            return None
        rate = Decimal(1)
        for spec, divides in chain:
            mid = self._books[spec.symbol_id].mid
            if mid is None or mid <= 0:
                return None
            rate = rate / mid if divides else rate * mid
        return rate

    def _search(self, source: str, target: str) -> tuple[tuple[SymbolSpec, bool], ...] | None:
        paths: dict[str, tuple[tuple[SymbolSpec, bool], ...]] = {source: ()}
        queue = deque([source])
        while queue:
            asset = queue.popleft()
            if asset == target:
                return paths[asset]
            for spec in self._specs:
                for here, there, divides in (
                    (spec.base_asset, spec.quote_asset, False),
                    (spec.quote_asset, spec.base_asset, True),
                ):
                    if here == asset and there not in paths:
                        paths[there] = (*paths[asset], (spec, divides))
                        queue.append(there)
        return None
