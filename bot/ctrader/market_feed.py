"""Spot and depth events of the symbols we asked for, as batches of delta rows; others are counted and dropped."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from bot.ctrader.hotpath import HotPath
from bot.ctrader.quotes import QuoteBatch
from bot.engine.events import MarketDataChanged, SymbolsLoaded
from bot.market.symbols import SymbolSpec


class MarketFeed:
    """Turns market data into rows by the index of its symbol."""

    def __init__(self, counters: Counter[str]) -> None:
        self.index: dict[int, int] = {}
        self.specs: dict[int, SymbolSpec] = {}
        self._counters = counters
        self._quotes = QuoteBatch(counters)
        self.hot_path = HotPath()
        self._finished: list[MarketDataChanged] = []

    def symbols_loaded(self, event: SymbolsLoaded) -> None:
        """Learn the symbols."""
        self.index = {spec.symbol_id: i for i, spec in enumerate(event.symbols)}
        self.specs = {spec.symbol_id: spec for spec in event.symbols}
        self.hot_path.learn(self.index)

    def take(self) -> Sequence[MarketDataChanged]:
        """Return what has come since the last call."""
        event = self._quotes.take()
        if not self._finished:
            return () if event is None else (event,)
        finished, self._finished = self._finished, []
        if event is not None:
            finished.append(event)
        return finished

    def add(self, rows: bytes, bad_quotes: int, recv_ns: int) -> None:
        """Take what `hot_path` has read: rows of whole messages, and the number of quotes that could not be one."""
        quotes = self._quotes if recv_ns == self._quotes.recv_ns else self._batch(recv_ns)
        quotes.rows.append(rows)
        if bad_quotes:
            self._counters["bad_quotes"] += bad_quotes

    def spot(self, event: Any, account_id: int | None, recv_ns: int) -> None:
        """Take a ProtoOASpotEvent; `account_id` None when nothing was asked for."""
        index = self.index.get(event.symbolId)
        if account_id is None or index is None or event.ctidTraderAccountId != account_id:
            self._ignore(event, account_id)
        else:
            self._batch(recv_ns).add_spot(event, index)

    def depth(self, event: Any, account_id: int | None, recv_ns: int) -> None:
        """Take a ProtoOADepthEvent; `account_id` None when nothing was asked for."""
        index = self.index.get(event.symbolId)
        if account_id is None or index is None or event.ctidTraderAccountId != account_id:
            self._ignore(event, account_id)
        else:
            self._batch(recv_ns).add_depth(event, index)

    def clear_book(self, symbol_id: int, recv_ns: int) -> None:
        """Empty a symbol's book: its depth subscription has ended."""
        self._batch(recv_ns).clear_book(self.index[symbol_id])

    def _ignore(self, event: Any, account_id: int | None) -> None:
        is_ours = account_id is not None and event.ctidTraderAccountId == account_id
        self._counters["unknown_symbols" if is_ours else "market_data_ignored"] += 1

    def _batch(self, recv_ns: int) -> QuoteBatch:
        # Rows of one event have one receive time.
        quotes = self._quotes
        if recv_ns != quotes.recv_ns:
            if quotes.rows and (event := quotes.take()) is not None:
                self._finished.append(event)
            quotes.recv_ns = recv_ns
        return quotes
