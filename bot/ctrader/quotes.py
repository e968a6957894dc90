"""Market data messages to delta rows, and the batch they collect in.

A quote that cannot be one (no side, both sides, a price or size of zero) is dropped and counted: its message goes on.
"""

from collections import Counter
from struct import Struct
from typing import Any

import numpy as np

from bot.engine.events import MarketDataChanged
from bot.market.delta import (
    CLEAR_BOOK,
    DELTA,
    DEPTH_ASK,
    DEPTH_BID,
    DEPTH_DELETE,
    END_DEPTH,
    END_SPOT,
    SPOT_ASK,
    SPOT_BID,
)

_INT64_MAX = 2**63 - 1
# One row of DELTA as bytes: packing it and joining the rows costs a third of handing tuples to numpy.
_pack = Struct("=BiQqq").pack


class QuoteBatch:
    """Rows of consecutive market data messages with one receive time, until something else must be told.

    `rows` holds them as bytes of `DELTA`, one row or more in a piece.
    """

    def __init__(self, counters: Counter[str]) -> None:
        self.recv_ns = 0
        self.rows: list[bytes] = []
        self._counters = counters

    def add_spot(self, event: Any, symbol_index: int) -> None:
        """Add a spot event: a row for each side that is present, then the end of the message.

        Presence is tested: an absent side reads as 0, and a side that is there with 0 is worth counting.
        Source: ProtoOASpotEvent, prices in 1/100000.
        """
        for kind, field in ((SPOT_BID, "bid"), (SPOT_ASK, "ask")):
            if event.HasField(field):
                price_e5 = getattr(event, field)
                if 0 < price_e5 <= _INT64_MAX:
                    self.rows.append(_pack(kind, symbol_index, 0, price_e5, 0))
                else:
                    self._counters["bad_quotes"] += 1
        self.rows.append(_pack(END_SPOT, symbol_index, 0, 0, 0))

    def add_depth(self, event: Any, symbol_index: int) -> None:
        """Add a depth event: deletions, then upserts, then the end of the message.

        Source: ProtoOADepthEvent; ProtoOADepthQuote has exactly one of bid and ask, size in 0.01 unit.
        """
        rows = self.rows
        for quote_id in event.deletedQuotes:
            rows.append(_pack(DEPTH_DELETE, symbol_index, quote_id, 0, 0))
        for quote in event.newQuotes:
            # An absent side reads as 0, which is no price either: exactly one side may be positive.
            bid_e5, ask_e5, size_cents = quote.bid, quote.ask, quote.size
            price_e5 = bid_e5 or ask_e5
            if (bid_e5 and ask_e5) or not (0 < price_e5 <= _INT64_MAX and 0 < size_cents <= _INT64_MAX):
                self._counters["bad_quotes"] += 1
                continue
            rows.append(_pack(DEPTH_BID if bid_e5 else DEPTH_ASK, symbol_index, quote.id, price_e5, size_cents))
        rows.append(_pack(END_DEPTH, symbol_index, 0, 0, 0))

    def clear_book(self, symbol_index: int) -> None:
        """Add the row that empties a symbol's depth."""
        self.rows.append(_pack(CLEAR_BOOK, symbol_index, 0, 0, 0))

    def take(self) -> MarketDataChanged | None:
        """Return the rows collected as one event and start anew; None when there are none."""
        rows = self.rows
        if not rows:
            return None
        self.rows = []
        # An array over immutable bytes is read-only.
        return MarketDataChanged(self.recv_ns, np.frombuffer(rows[0] if len(rows) == 1 else b"".join(rows), DELTA))
