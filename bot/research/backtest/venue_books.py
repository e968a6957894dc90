"""The venue's books in a backtest: compiled, and woken only where a price could matter to somebody.

How it works: messages go into the same flat tables as the engine's books, but into tables of their own, at their own
times. While orders rest or positions are open, each symbol has a `Band`: as long as its prices stay inside, nothing can
be triggered, so the loop runs on; at the first message that leaves it, it stops and says which symbol it was.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numba import njit

from bot.market import book
from bot.market.book import ASK, BID
from bot.market.delta_sink import DeltaSink, pour
from bot.market.memory import address
from bot.research.backtest.messages import Messages

NEVER_LOW, NEVER_HIGH = -(2**62), 2**62

BAND = np.dtype(
    [
        ("bid_low", np.int64),
        ("bid_high", np.int64),
        ("ask_low", np.int64),
        ("ask_high", np.int64),
        ("best_bid_high", np.int64),
        ("best_ask_low", np.int64),
    ]
)
"""Prices in 1/100000 that wake: a spot bid or ask below its low or above its high; depth whose best bid is at or above
`best_bid_high`, or whose best ask is at or below `best_ask_low`."""

OPEN_BAND = (NEVER_LOW, NEVER_HIGH, NEVER_LOW, NEVER_HIGH, NEVER_HIGH, NEVER_LOW)
"""Nothing wakes."""
_DONE, _WOKEN, _FULL = range(3)


@njit(cache=True, error_model="numpy")
def _leaves(head, levels, s, band) -> bool:  # type: ignore[no-untyped-def]
    if head.spot_known[0] and (head.spot_e5[0] < band.bid_low or head.spot_e5[0] > band.bid_high):
        return True
    if head.spot_known[1] and (head.spot_e5[1] < band.ask_low or head.spot_e5[1] > band.ask_high):
        return True
    bids, asks = head.level_count[0], head.level_count[1]
    if bids and levels[BID, s, bids - 1].key >= band.best_bid_high:
        return True
    return bool(asks > 0 and -levels[ASK, s, asks - 1].key <= band.best_ask_low)


@njit(cache=True, error_model="numpy")
def _take(  # type: ignore[no-untyped-def]
    quotes, levels, heads, bands, rows, ends, times_ns, message, row, last
) -> tuple[int, int, int]:
    """Apply messages up to `last`; return the next message, the next row, and why it stopped."""
    while message < last:
        end = ends[message]
        symbol = -1
        while row < end:
            r = rows[row]
            symbol = r.symbol
            taken = book.apply_row(
                quotes, levels, heads, symbol, r.kind, r.quote_id, r.price_e5, r.size_cents, times_ns[message]
            )
            if taken < 0:
                return message, row, _FULL
            row += 1
        message += 1
        if symbol >= 0 and _leaves(heads[symbol], levels, symbol, bands[symbol]):
            return message, row, _WOKEN
    return message, row, _DONE


@njit(error_model="numpy", cache=True)
def _pour_messages(function, context, rows, row_bytes, ends, times_ns, message, row, last):  # type: ignore[no-untyped-def]
    """Hand messages to a sink, each at its own time; return where it stopped for want of room."""
    while message < last:
        count = ends[message] - row
        taken = pour(function, context, rows + row * row_bytes, count, times_ns[message])
        row += taken
        if taken < count:
            return message, row
        message += 1
    return message, row


def pour_messages(sink: DeltaSink, piece: Messages, first: int, last: int) -> None:
    """Hand messages `first` up to `last` of a piece to a sink, each at its own time."""
    row = int(piece.ends[first - 1]) if first else 0
    message, at = first, address(piece.rows)
    while message < last:
        message, row = _pour_messages(
            sink.function, sink.context, at, piece.rows.itemsize, piece.ends, piece.times_ns, message, row, last
        )
        if message < last:  # no room: the sink's owner makes some, with the rest of this message
            end = int(piece.ends[message])
            sink.rest(piece.rows[row:end], int(piece.times_ns[message]))
            message, row = message + 1, end


class Woken(NamedTuple):
    """Where taking messages stopped: before `message`; `symbol` left its band at `time_ns`, -1 when none did."""

    message: int
    symbol: int
    time_ns: int


class VenueBooks:
    """The books of S symbols, and the bands in which nothing happens to anybody."""

    def __init__(self, symbol_count: int) -> None:
        self.arrays = book.empty_books(symbol_count)
        self.bands = np.array([OPEN_BAND] * symbol_count, BAND)

    def take(self, piece: Messages, first: int, last: int) -> Woken:
        """Apply messages `first` up to `last` of a piece, or until one leaves its symbol's band."""
        message, row = first, int(piece.ends[first - 1]) if first else 0
        while True:
            a = self.arrays
            message, row, why = _take(
                a.quotes, a.levels, a.heads, self.bands, piece.rows, piece.ends, piece.times_ns, message, row, last
            )
            if why == _FULL:
                self.arrays = book.grown(a)
                continue
            if why == _WOKEN:
                return Woken(int(message), int(piece.rows["symbol"][row - 1]), int(piece.times_ns[message - 1]))
            return Woken(int(message), -1, 0)

    def spot_e5(self, s: int, side: int) -> int | None:
        """Return a spot price in 1/100000; None before there was one."""
        head = self.arrays.heads[s]
        return int(head["spot_e5"][side]) if head["spot_known"][side] else None

    def levels(self, s: int, side: int) -> list[tuple[int, int]]:
        """Return (price_e5, size_cents) of a side, best first."""
        prices, sizes = book.levels(self.arrays, side, s)
        return list(zip(prices.tolist(), sizes.tolist(), strict=True))

    def set_band(self, s: int, band: Sequence[int]) -> None:
        """Set what wakes a symbol, in the order of `BAND`."""
        self.bands[s] = tuple(band)
