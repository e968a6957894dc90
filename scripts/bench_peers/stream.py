"""The stream that every side reads: wire frames of six symbols, and the same depth changes already decoded.

How it works: each symbol has a book of ten levels a side, one quote a level, one tick apart. A depth event deletes two
quotes, adds two and resizes two: the book moves a tick up or down, or two quotes are taken back and put in again. After
two depth events comes a spot event. Everything follows from the seed.

Invariants: a quote id is never used twice; no book is crossed, not even between two changes of an event as they are
listed (deletions first); a price has at most one quote, so that a level and a quote are the same thing to every side.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from bot.ctrader.framing import frame
from bot.ctrader.schema import envelope, message
from bot.market.symbols import SymbolSpec
from bot.sim.listing import default_symbols

ACCOUNT = 1_000_001
LEVELS = 10
BID, ASK = 0, 1
ADD, RESIZE, DELETE = 0, 1, 2
_SPREAD_TICKS = 3
_MIDS = {"EURUSD": 1.1, "USDJPY": 150.0, "EURJPY": 165.0, "GBPUSD": 1.3, "XAUUSD": 2400.0, "BTCUSD": 60_000.0}

CHANGE = np.dtype(
    [
        ("event", "<i4"),
        ("symbol", "<i4"),
        ("action", "u1"),
        ("side", "u1"),
        ("quote_id", "<u8"),
        ("price_e5", "<i8"),
        ("size_cents", "<i8"),
    ]
)
"""One changed quote, decoded. `event` counts depth events from 0, `symbol` is an index from 0. A deletion names side
and price too, which the wire does not, because some books want them."""

Change = tuple[int, int, int, int, int]  # action, side, quote id, price, size


@dataclass
class _Book:
    """One symbol's book: levels best first, as (quote id, size)."""

    spec: SymbolSpec
    best_bid_e5: int
    sides: tuple[list[list[int]], list[list[int]]] = field(default_factory=lambda: ([], []))

    def price_e5(self, side: int, level: int) -> int:
        tick = self.spec.tick_e5
        return self.best_bid_e5 - level * tick if side == BID else self.best_bid_e5 + (_SPREAD_TICKS + level) * tick


class Stream:
    """Yields events one after another; see the module."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._next_id = 1
        self._books = [_Book(spec, _start_e5(spec)) for spec in default_symbols()]

    def depth(self, symbol: int) -> list[Change]:
        """Return the changes of the next depth event of a symbol, deletions first."""
        book = self._books[symbol]
        if not book.sides[BID]:
            return self._filled(book)
        kind = self._random.randrange(3)
        deleted, added = (self._moved(book, up=kind == 0)) if kind < 2 else self._put_in_again(book)
        fresh = {quote_id for _, _, quote_id, _, _ in added}
        resized = []
        for side in (BID, ASK):
            level = self._random.choice([i for i, quote in enumerate(book.sides[side]) if quote[0] not in fresh])
            quote = book.sides[side][level]
            quote[1] = self._size(book)
            resized.append((RESIZE, side, quote[0], book.price_e5(side, level), quote[1]))
        return deleted + added + resized

    def spot(self, symbol: int) -> tuple[int | None, int | None]:
        """Return the bid and ask of the next spot event; one of them may be missing."""
        book = self._books[symbol]
        bid_e5, ask_e5 = book.price_e5(BID, 0), book.price_e5(ASK, 0)
        return [(bid_e5, ask_e5), (bid_e5, None), (None, ask_e5)][self._random.randrange(3)]

    def _filled(self, book: _Book) -> list[Change]:
        for side in (BID, ASK):
            book.sides[side].extend(self._quote(book) for _ in range(LEVELS))
        return [
            (ADD, side, quote[0], book.price_e5(side, level), quote[1])
            for side in (BID, ASK)
            for level, quote in enumerate(book.sides[side])
        ]

    def _moved(self, book: _Book, *, up: bool) -> tuple[list[Change], list[Change]]:
        """Move by a tick: one side loses its best and gains a worst, the other the opposite."""
        near, far = (BID, ASK) if up else (ASK, BID)
        gone = [(near, LEVELS - 1), (far, 0)]
        deleted = [(DELETE, side, book.sides[side][i][0], book.price_e5(side, i), 0) for side, i in gone]
        del book.sides[near][-1], book.sides[far][0]
        book.best_bid_e5 += book.spec.tick_e5 if up else -book.spec.tick_e5
        book.sides[near].insert(0, self._quote(book))
        book.sides[far].append(self._quote(book))
        return deleted, [self._added(book, near, 0), self._added(book, far, LEVELS - 1)]

    def _put_in_again(self, book: _Book) -> tuple[list[Change], list[Change]]:
        deleted, added = [], []
        for side in (BID, ASK):
            level = self._random.randrange(LEVELS)
            deleted.append((DELETE, side, book.sides[side][level][0], book.price_e5(side, level), 0))
            book.sides[side][level] = self._quote(book)
            added.append(self._added(book, side, level))
        return deleted, added

    def _added(self, book: _Book, side: int, level: int) -> Change:
        quote_id, size = book.sides[side][level]
        return ADD, side, quote_id, book.price_e5(side, level), size

    def _quote(self, book: _Book) -> list[int]:
        self._next_id += 1
        return [self._next_id, self._size(book)]

    def _size(self, book: _Book) -> int:
        return self._random.randint(1, 50) * book.spec.lot_size_cents


def _start_e5(spec: SymbolSpec) -> int:
    return round(_MIDS[spec.name] * 100_000) // spec.tick_e5 * spec.tick_e5


def events(count: int, seed: int = 1) -> Iterator[tuple[bytes, list[Change] | None, int]]:
    """Yield frame, depth changes (None in a spot event) and symbol index of `count` events."""
    stream, specs = Stream(seed), default_symbols()
    spot_kind, depth_kind = message("ProtoOASpotEvent"), message("ProtoOADepthEvent")
    order = Random(seed + 1)
    for number in range(count):
        # The first event of each symbol is its whole book.
        symbol = number if number < len(specs) else order.randrange(len(specs))
        ids: dict[str, Any] = {"ctidTraderAccountId": ACCOUNT, "symbolId": specs[symbol].symbol_id}
        if number < len(specs) or number % 3:
            changes = stream.depth(symbol)
            event = depth_kind(**ids)
            for action, side, quote_id, price_e5, size_cents in changes:
                if action == DELETE:
                    event.deletedQuotes.append(quote_id)
                else:
                    price = {"bid": price_e5} if side == BID else {"ask": price_e5}
                    event.newQuotes.add(id=quote_id, size=size_cents, **price)
            yield frame(envelope(event)), changes, symbol
        else:
            bid_e5, ask_e5 = stream.spot(symbol)
            yield frame(envelope(spot_kind(**ids, bid=bid_e5, ask=ask_e5))), None, symbol


def write_stream(folder: Path, count: int, seed: int = 1) -> tuple[Path, Path]:
    """Write the stream; return the file of frames, one after another as on the wire, and that of decoded changes."""
    frames_path, changes_path = folder / "frames.bin", folder / "changes.npy"
    rows, depth_count = [], 0
    with frames_path.open("wb") as file:
        for data, changes, symbol in events(count, seed):
            file.write(data)
            if changes is not None:
                rows += [(depth_count, symbol, *change) for change in changes]
                depth_count += 1
    np.save(changes_path, np.array(rows, CHANGE))
    return frames_path, changes_path
