"""The market minute by minute, from one pass over a recording: what signals and crisis windows are made of.

How it works: the best bid and ask of spot messages are followed symbol by symbol. A minute keeps the mid as it stood
just before it began, so that nothing of the minute itself is in it, and the mean spread over the time for which quotes
were there. Everything is streamed: no more than one piece of messages and the minutes are in memory.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from bot.market.delta import SPOT_ASK, SPOT_BID
from bot.research.backtest.messages import Messages

MINUTE_NS = 60_000_000_000
DAY_NS = 86_400_000_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Minutes:
    """Minutes of S symbols.

    Shapes: `mids`, `spreads_bps`, `widest_ns` (K, S); row k is the minute that begins `first + k` minutes after 1970.
    Units: `mids` in price, the last one before the minute began; `spreads_bps` bps of the mid, mean over time within
        the minute, a crossed quote counted as no spread; `widest_ns` when the widest spread of the minute began.
    Missing: NaN before the first quote, and in `spreads_bps` where no quote was younger than a minute; there 0 in
        `widest_ns`, which is None where nothing finer than minutes is known.
    """

    first: int
    mids: np.ndarray
    spreads_bps: np.ndarray
    widest_ns: np.ndarray | None = None

    @property
    def times_ns(self) -> np.ndarray:
        """When each minute begins, (K,)."""
        return (self.first + np.arange(len(self.mids))) * MINUTE_NS

    def days(self) -> list[int]:
        """Return the UTC days, counted from 1970, on which anything was quoted."""
        is_quoted = np.isfinite(self.spreads_bps).any(axis=1)
        return sorted({int(day) for day in self.times_ns[is_quoted] // DAY_NS})


def minutes_of(pieces: Iterable[Messages], symbol_count: int) -> Minutes:
    """Return the minutes of a stream of messages. Raises: ValueError when it quotes nothing."""
    symbols = [_Symbol() for _ in range(symbol_count)]
    for piece in pieces:
        rows = piece.rows
        is_spot = (rows["kind"] == SPOT_BID) | (rows["kind"] == SPOT_ASK)
        times_ns = np.repeat(piece.times_ns, np.diff(piece.ends, prepend=0))[is_spot]
        spots = rows[is_spot]
        for s, symbol in enumerate(symbols):
            of_symbol = spots["symbol"] == s
            symbol.take(times_ns[of_symbol], spots["kind"][of_symbol] == SPOT_BID, spots["price_e5"][of_symbol])
    begun = [symbol.first_ns for symbol in symbols if symbol.first_ns is not None]
    if not begun:
        raise ValueError("the sources quote nothing in the time that was asked for")
    first = min(begun) // MINUTE_NS
    count = max(symbol.last_ns for symbol in symbols if symbol.first_ns is not None) // MINUTE_NS - first + 1
    columns = [symbol.columns(first, count) for symbol in symbols]
    return Minutes(first, *(np.column_stack(each) for each in zip(*columns, strict=True)))


class _Symbol:
    """Follows one symbol through pieces."""

    def __init__(self) -> None:
        self.first_ns: int | None = None
        self.last_ns = 0
        self._bid = self._ask = np.nan
        self._edges: list[np.ndarray] = []
        self._mids: list[np.ndarray] = []
        self._sums: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        self._widest: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []

    def take(self, times_ns: np.ndarray, is_bid: np.ndarray, prices_e5: np.ndarray) -> None:
        if not len(times_ns):
            return
        if self.first_ns is None:
            self.first_ns = self.last_ns = int(times_ns[0])
        # State i holds from its time until that of state i + 1; state 0 is what the last piece left.
        at_ns = np.concatenate([[self.last_ns], times_ns])
        bid = _carried(self._bid, np.where(is_bid, prices_e5 / 1e5, np.nan))
        ask = _carried(self._ask, np.where(is_bid, np.nan, prices_e5 / 1e5))
        mid = (bid + ask) / 2
        spread_bps = 1e4 * np.maximum(ask - bid, 0.0) / mid

        edges = np.arange(at_ns[0] // MINUTE_NS + 1, at_ns[-1] // MINUTE_NS + 1)
        edges_ns = edges * MINUTE_NS
        self._edges.append(edges)
        self._mids.append(mid[np.searchsorted(at_ns, edges_ns, side="left") - 1])

        cuts_ns = np.sort(np.concatenate([at_ns, edges_ns]))
        begin_ns, lasting_ns = cuts_ns[:-1], np.diff(cuts_ns)
        state = np.searchsorted(at_ns, begin_ns, side="right") - 1
        counts = np.isfinite(spread_bps[state]) & (begin_ns - at_ns[state] < MINUTE_NS) & (lasting_ns > 0)
        minute, lasting = begin_ns[counts] // MINUTE_NS, lasting_ns[counts].astype(np.float64)
        if len(minute):
            place, base = minute - minute[0], int(minute[0])
            weighted = np.bincount(place, lasting * spread_bps[state][counts])
            self._sums.append((base + np.arange(len(weighted)), weighted, np.bincount(place, lasting)))
            self._widest.append(_widest(minute, spread_bps[state][counts], begin_ns[counts]))
        self.last_ns, self._bid, self._ask = int(at_ns[-1]), float(bid[-1]), float(ask[-1])

    def columns(self, first: int, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return mids and spreads of `count` minutes, and when each was widest, (K,) each."""
        mids, weighted, lasting = np.full(count, np.nan), np.zeros(count), np.zeros(count)
        for edges, found in zip(self._edges, self._mids, strict=True):
            mids[edges - first] = found
        for minute, sums, weights in self._sums:
            weighted[minute - first] += sums
            lasting[minute - first] += weights
        spreads = np.divide(weighted, lasting, out=np.full(count, np.nan), where=lasting > 0)
        widest, at_ns = np.full(count, -1.0), np.zeros(count, np.int64)
        for minute, spread, began_ns in self._widest:
            wider = spread > widest[minute - first]
            widest[minute[wider] - first], at_ns[minute[wider] - first] = spread[wider], began_ns[wider]
        return _carried(np.nan, mids)[1:], spreads, at_ns


def _widest(minute: np.ndarray, spread: np.ndarray, begin_ns: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return each minute once, its widest spread, and when that first began. Shapes: (N,), minutes in order."""
    begins = np.flatnonzero(np.append(True, np.diff(minute) != 0))
    widest = np.maximum.reduceat(spread, begins)
    group = np.repeat(np.arange(len(begins)), np.diff(np.append(begins, len(minute))))
    rows = np.flatnonzero(spread == widest[group])
    first = rows[np.append(True, np.diff(group[rows]) != 0)]
    return minute[begins], widest, begin_ns[first]


def _carried(before: float, each: np.ndarray) -> np.ndarray:
    """Return a value before, then each or the last known one where it is unknown. Shapes: (N,) gives (N + 1,)."""
    every = np.concatenate([[before], each])
    place = np.maximum.accumulate(np.where(np.isfinite(every), np.arange(len(every)), 0))
    return np.asarray(every[place])
