"""A recorded run as Parquet files: what it was told, measured and decided, as the engine decides it again.

How it works: `watch` is told of the engine before the journal is fed to it, `hear` of every event (for quotes and the
book), `decided` of every Decision. Rows wait until a row group is full, so that memory stays flat. The files have
temporary names until `finish`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from bot.engine.decision import Decision
from bot.engine.events import Event, SymbolsLoaded
from bot.engine.observed import ObservedEngine
from bot.research.export_columns import (
    BOOK,
    DEALS,
    DECISIONS,
    FEATURES,
    ORDERS,
    QUOTES,
    columns_of,
    schema_of,
)
from bot.research.export_file import ExportError, TableFile, check_free
from bot.research.export_market import BookRows, MarketRows, QuoteRows
from bot.research.export_rows import DecisionRows, FeatureRows, ListedRows, deal_row, order_row

MOST_ROWS = {QUOTES: 65_536, BOOK: 8_192, FEATURES: 8_192, DECISIONS: 16_384, ORDERS: 4_096, DEALS: 4_096}
"""Rows of a row group, at most: some megabytes of memory each."""


class _Rows(Protocol):
    """Rows that wait to be written."""

    def __len__(self) -> int:
        """Return how many there are."""

    def batch(self, schema: pa.Schema) -> pa.RecordBatch:
        """Return what waits, and wait for more."""


class _Table:
    """One table: the rows that wait, and the file that they go to as soon as its columns are known."""

    def __init__(self, name: str, path: Path, rows: Any, *, most: int, force: bool) -> None:
        check_free(path, force=force)
        self.name, self.path, self._rows, self._most, self._force = name, path, rows, most, force
        self.file: TableFile | None = None

    def begin(self, schema: pa.Schema) -> None:
        self.file = TableFile(self.path, schema, force=self._force)

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, *row: Any, **more: Any) -> None:
        self._rows.add(*row, **more)
        if len(self._rows) >= self._most:
            self.flush()

    def flush(self) -> None:
        if len(self._rows):
            assert self.file is not None
            try:
                batch = self._rows.batch(self.file.schema)
            except pa.ArrowInvalid as error:  # money of more digits than there is room for
                raise ExportError(f"{self.path}: the table {self.name} cannot hold a row: {error}") from None
            self.file.write(batch)


class Export:
    """Tables of one run on their way to files.

    Args: `places` the file of each table that is wanted; `symbol` the one that is wanted, None for all; `facts` of the
        run, for the metadata; `most_rows` of a row group.
    Raises: ExportError for a place that is taken or cannot be written.
    """

    def __init__(
        self,
        places: Mapping[str, Path],
        *,
        symbol: str | None = None,
        force: bool = False,
        facts: Mapping[str, str] | None = None,
        most_rows: Mapping[str, int] = MOST_ROWS,
    ) -> None:
        self._symbol, self._facts = symbol, {"software": "microlev", **(facts or {})}
        self._force, self._most = force, most_rows
        self._tables: dict[str, _Table] = {}
        self._places = dict(places)
        for path in self._places.values():
            check_free(path, force=force)
        self._market: MarketRows | None = None
        self._engine: ObservedEngine | None = None
        self._is_paper = False
        self._number = 0
        self._names: dict[str, int] = {}  # every symbol that was loaded, and its digits

    @property
    def wants_events(self) -> bool:
        """Whether `hear` has to be told of events: only quotes and the book need them."""
        return bool({QUOTES, BOOK} & self._places.keys())

    @property
    def rows(self) -> dict[str, int]:
        """How many rows each table has, by name; what waits counts."""
        return {
            name: len(table) + (0 if table.file is None else table.file.rows) for name, table in self._tables.items()
        }

    def watch(self, engine: ObservedEngine, *, is_paper: bool) -> None:
        """Take the engine that is to decide. Args: `is_paper` says that its orders are those of a dry run."""
        self._engine, self._is_paper = engine, is_paper
        factor_names = engine.strategy.factor_names
        rows = {
            QUOTES: QuoteRows(),
            BOOK: BookRows(self._most[BOOK]),
            FEATURES: FeatureRows(self._symbol),
            DECISIONS: DecisionRows(len(factor_names), self._symbol),
            ORDERS: ListedRows(),
            DEALS: ListedRows(),
        }
        for name, path in self._places.items():
            table = _Table(name, path, rows[name], most=self._most[name], force=self._force)
            self._tables[name] = table
            if name not in (QUOTES, BOOK):  # their columns go by how many symbols there are
                table.begin(schema_of(columns_of(name, factor_names=factor_names), self._facts | {"table": name}))
        if self.wants_events:
            self._market = MarketRows(self._tables.get(QUOTES), self._tables.get(BOOK), self._symbol)

    def hear(self, event: Event) -> None:
        """Take what the engine takes in."""
        assert self._market is not None
        if isinstance(event, SymbolsLoaded):
            self._names |= {spec.name: spec.digits for spec in event.symbols}
            if self._market.only is None and len(event.symbols) == 1 and not self._is_market_open:
                self._market.only = event.symbols[0].name
            self._open_market()
        self._market.hear(event)

    def decided(self, decision: Decision) -> None:
        """Take what the engine has decided."""
        engine, tables = self._engine, self._tables
        assert engine is not None
        self._number += 1
        number, now_ns = self._number, decision.now_ns
        if len(engine.specs) > len(self._names):
            self._names |= {spec.name: spec.digits for spec in engine.specs}
        for name in (FEATURES, DECISIONS):
            if name in tables:
                tables[name].add(number, decision, engine)
        if ORDERS in tables:
            for change in decision.order_changes:
                if self._symbol in (None, change.order.symbol):
                    tables[ORDERS].add(order_row(number, now_ns, change, paper=self._is_paper or change.paper))
        if DEALS in tables:
            for counted in decision.deals:
                if self._symbol in (None, counted.symbol):
                    tables[DEALS].add(deal_row(number, now_ns, counted))

    def finish(self, facts: Mapping[str, str]) -> None:
        """Write what waits, and give the files their names. `facts` are known only now.

        Raises: ExportError also when the run never had the symbol that is wanted.
        """
        if self._symbol is not None and self._symbol not in self._names:
            had = f"it had: {', '.join(sorted(self._names))}" if self._names else "it had none yet"
            raise ExportError(f"the run had no symbol {self._symbol}; {had}")
        if self._market is not None:
            self._open_market()
        account = None if self._engine is None else self._engine.account
        told = {**facts, "deposit_currency": "" if account is None else account.deposit_asset}
        files = []
        for table in self._tables.values():
            table.flush()
            assert table.file is not None
            table.file.close(told)
            files.append(table.file)
        for file in files:
            file.publish()

    def abandon(self) -> None:
        """Take away what has been written under temporary names; after `finish` there is nothing."""
        for table in self._tables.values():
            if table.file is not None:
                table.file.abandon()

    @property
    def market_symbol(self) -> str | None:
        """The one symbol of quotes and book; None where they hold several, or are not wanted."""
        return None if self._market is None else self._market.only

    @property
    def left_out(self) -> tuple[str, ...]:
        """Symbols that came after quotes and book had been begun as those of the only one."""
        if self._symbol is not None or self.market_symbol is None:
            return ()
        return tuple(sorted(self._names.keys() - {self.market_symbol}))

    @property
    def _is_market_open(self) -> bool:
        return any(name in self._tables and self._tables[name].file is not None for name in (QUOTES, BOOK))

    def _open_market(self) -> None:
        """Begin the files of quotes and book: the layouts of recordings where there is one symbol."""
        if self._is_market_open:
            return
        only = self.market_symbol
        facts = dict(self._facts)
        if only is not None:
            facts |= {"symbol": only, "digits": str(self._names.get(only, 5))}
        for name in (QUOTES, BOOK):
            if name in self._tables:
                self._tables[name].begin(schema_of(columns_of(name, with_symbol=only is None), facts | {"table": name}))
