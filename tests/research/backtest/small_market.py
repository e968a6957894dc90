"""Small markets by hand: quotes at given times as a source of a trial."""

from collections.abc import Iterator, Sequence
from typing import Any

from bot.config import Config
from bot.market.symbols import SymbolSpec
from bot.research.backtest.messages import Messages, collected
from bot.research.backtest.venue_books import VenueBooks
from bot.research.sources import Source
from bot.research.streams import change_batches
from bot.sim.change import Change, Quote
from bot.sim.listing import FX, recorded_symbol

SECOND = 1_000_000_000
START = 1_767_571_200 * SECOND  # Monday 2026-01-05 00:00 UTC
EURUSD = recorded_symbol("EURUSD", 5, FX)
Level = tuple[int, int]  # price in 1/100000, size in units


def book(
    at_s: float, bids: Sequence[Level], asks: Sequence[Level], before: Change | None = None, spec: SymbolSpec = EURUSD
) -> Change:
    """Return the change to a whole new book; `before` is the one that it takes the place of."""
    time_ns = START + round(at_s * SECOND)
    sides = [(True, level) for level in bids] + [(False, level) for level in asks]
    new = tuple(
        Quote(time_ns // 1_000 + i, is_bid, price_e5, units * 100)
        for i, (is_bid, (price_e5, units)) in enumerate(sides)
    )
    deleted = () if before is None else tuple(quote.quote_id for quote in before.new)
    return Change(time_ns, spec.symbol_id, bids[0][0], asks[0][0], new, deleted)


def books(quotes: Sequence[tuple[float, Sequence[Level], Sequence[Level]]], spec: SymbolSpec = EURUSD) -> list[Change]:
    """Return the changes from one whole book to the next."""
    changes: list[Change] = []
    for at_s, bids, asks in quotes:
        changes.append(book(at_s, bids, asks, changes[-1] if changes else None, spec))
    return changes


def source(changes: Sequence[Change], spec: SymbolSpec = EURUSD, piece: int = 4_096) -> Source:
    """Return changes as a source, told so many at a time."""

    def stream(place: int, from_ns: int) -> Iterator[Messages]:
        return collected((c for c in change_batches(changes, place) if c[0] >= from_ns), piece)

    return Source("by hand", spec, "by hand", (changes[0].time_ns, changes[-1].time_ns), stream)


def config(**sections: Any) -> Config:
    """Return a config that wants a constant leverage of 3 at once; `sections` replace whole ones."""
    content: dict[str, Any] = {
        "venue": {"environment": "simulator"},
        "symbols": {"EURUSD": {"direction": "long"}},
        "strategy": {"name": "constant", "base_leverage": 3},
        "sizing": {"crisis": False},
        "backtest": {"latency": "0", "commission_per_million": 0, "resilience_half_life_s": 0},
    }
    return Config.model_validate(content | sections)


BookLevels = list[tuple[int, int]]


def filled_books(bids: BookLevels, asks: BookLevels, spot: tuple[int, int]) -> VenueBooks:
    """Return compiled books of one symbol with these levels (price in 1/100000, units), best first."""
    books = VenueBooks(1)
    new = [Quote(i + 1, True, p, units * 100) for i, (p, units) in enumerate(bids)]
    new += [Quote(i + 101, False, p, units * 100) for i, (p, units) in enumerate(asks)]
    (piece,) = collected(change_batches([Change(START, 1, *spot, tuple(new))], 0))
    books.take(piece, 0, 1)
    return books
