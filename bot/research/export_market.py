"""The market of a run as rows: spot quotes, one a change, and the best levels of the book after each depth message.

How it works: the engine's books stand as of the end of a batch, which may hold several messages of a symbol. So the
rows are applied once more, message by message, to books of our own.
"""

from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from bot.engine import events as ev
from bot.market import book
from bot.market.book import ASK, BID
from bot.market.delta import CLEAR_BOOK, END_DEPTH, END_SPOT
from bot.market.message import apply_message
from bot.market.symbols import SymbolSpec
from bot.research.export_columns import LEVELS

_E5 = 100_000


class QuoteRows:
    """Spot quotes that wait to be written."""

    def __init__(self) -> None:
        self._columns: dict[str, list[Any]] = {"ts_us": [], "symbol": [], "bid": [], "ask": []}

    def __len__(self) -> int:
        return len(self._columns["ts_us"])

    def add(self, recv_ns: int, symbol: str, bid: float, ask: float) -> None:
        """Take one quote."""
        for column, content in zip(self._columns.values(), (recv_ns // 1000, symbol, bid, ask), strict=True):
            column.append(content)

    def batch(self, schema: pa.Schema) -> pa.RecordBatch:
        """Return what waits, and wait for more."""
        taken = pa.RecordBatch.from_pydict({name: self._columns[name] for name in schema.names}, schema=schema)
        for column in self._columns.values():
            column.clear()
        return taken


class BookRows:
    """Ladders that wait to be written. Args: `most` how many at once."""

    def __init__(self, most: int) -> None:
        self._levels = np.empty((most, 4, LEVELS))  # bid prices, bid sizes, ask prices, ask sizes
        self._recv_ns = np.empty(most, np.int64)
        self._symbols: list[str] = []
        self._written = 0

    def __len__(self) -> int:
        return len(self._symbols)

    def add(
        self, recv_ns: int, symbol: str, bids: tuple[np.ndarray, np.ndarray], asks: tuple[np.ndarray, np.ndarray]
    ) -> None:
        """Take a ladder. Shapes: prices and sizes (L,) each, best first. Units: 1/100000 and 0.01 base unit."""
        row = len(self._symbols)
        ladder = self._levels[row]
        ladder[:] = np.nan
        for first, (prices, sizes) in ((0, bids), (2, asks)):
            count = min(LEVELS, len(prices))
            ladder[first, :count] = prices[:count] / _E5
            ladder[first + 1, :count] = sizes[:count] / 100
        self._recv_ns[row] = recv_ns
        self._symbols.append(symbol)

    def batch(self, schema: pa.Schema) -> pa.RecordBatch:
        """Return what waits, and wait for more."""
        count = len(self._symbols)
        columns: dict[str, Any] = {
            "seq": np.arange(self._written, self._written + count),
            "ts_recv_ns": self._recv_ns[:count].copy(),
            "ts_exch_ms": np.full(count, -1, np.int64),
            "symbol": self._symbols,
        }
        for side, name in enumerate(("bp", "bq", "ap", "aq")):
            for level in range(LEVELS):
                columns[f"{name}{level}"] = self._levels[:count, side, level].copy()
        taken = pa.RecordBatch.from_pydict({name: columns[name] for name in schema.names}, schema=schema)
        self._written += count
        self._symbols = []
        return taken


class Takes(Protocol):
    """Who takes the rows: as `QuoteRows` or `BookRows` do."""

    def add(self, *row: Any) -> None:
        """Take one row."""


class MarketRows:
    """Hears the events of an engine and fills quotes and ladders, either of which may be unwanted (None).

    Args: `symbol` the one that is wanted; None for all.
    """

    def __init__(self, quotes: Takes | None, ladders: Takes | None, symbol: str | None) -> None:
        self._quotes, self._ladders, self.only = quotes, ladders, symbol
        self._specs: tuple[SymbolSpec, ...] = ()
        self._books = book.empty_books(0)
        self._told: dict[int, tuple[int, int]] = {}  # the last quote of each symbol, by its index

    def hear(self, event: ev.Event) -> None:
        """Take what an engine takes in."""
        if isinstance(event, ev.MarketDataChanged):
            self._apply(event.rows, event.recv_ns)
        elif isinstance(event, ev.SymbolsLoaded):
            self._load(event.symbols)
        elif isinstance(event, ev.ReadinessChanged) and {"disconnected", "account_disconnected"} & set(event.reasons):
            book.clear_books(self._books)
            self._told.clear()

    def _load(self, specs: tuple[SymbolSpec, ...]) -> None:
        """Learn the symbols; those that were known keep their books, wherever they stand now."""
        before = {spec.symbol_id: i for i, spec in enumerate(self._specs)}
        if [spec.symbol_id for spec in specs] != list(before):
            old, told = self._books, self._told
            _, slots = old.quotes.shape if self._specs else (0, 256)
            self._books = book.empty_books(len(specs), slots, old.levels.shape[2])
            self._told = {}
            for here, spec in enumerate(specs):
                there = before.get(spec.symbol_id)
                if there is None:
                    continue
                self._books.quotes[here], self._books.heads[here] = old.quotes[there], old.heads[there]
                self._books.levels[:, here] = old.levels[:, there]
                if there in told:
                    self._told[here] = told[there]
        self._specs = specs

    def _apply(self, rows: np.ndarray, recv_ns: int) -> None:
        if rows.flags.writeable:
            rows = rows.view()
            rows.flags.writeable = False  # one array type, so the loop is compiled once
        kinds, symbols = rows["kind"], rows["symbol"]
        start = 0
        for last in np.flatnonzero((kinds == END_SPOT) | (kinds == END_DEPTH) | (kinds == CLEAR_BOOK)).tolist():
            self._books = apply_message(self._books, rows, start, last + 1, recv_ns)
            start, s, kind = last + 1, int(symbols[last]), kinds[last]
            if self.only is not None and self._specs[s].name != self.only:
                continue
            if kind == END_SPOT:
                self._spot_ended(s, recv_ns)
            elif kind == END_DEPTH and self._ladders is not None:
                bids, asks = (book.levels(self._books, side, s) for side in (BID, ASK))
                self._ladders.add(recv_ns, self._specs[s].name, bids, asks)

    def _spot_ended(self, s: int, recv_ns: int) -> None:
        head = self._books.heads[s]
        if self._quotes is None or not head["spot_known"].all():
            return
        bid_e5, ask_e5 = head["spot_e5"].tolist()
        if self._told.get(s) != (bid_e5, ask_e5):
            self._told[s] = bid_e5, ask_e5
            self._quotes.add(recv_ns, self._specs[s].name, bid_e5 / _E5, ask_e5 / _E5)
