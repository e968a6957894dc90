"""Delta rows: market data as the engine receives it, one row a changed quote.

A message from the venue becomes a run of rows that ends with an `END_*` row; the run is applied as one atomic change.
In a depth message deletions come before insertions. This is the form the compiled book reads, and the form a decoder
may write without building an object an event.
"""

from typing import Any

import numpy as np

Record = Any
"""One record of a structured array in compiled code: numba knows its fields, mypy does not."""

# Row kinds. A spot message may move one side only; a depth row names its side by its kind.
SPOT_BID, SPOT_ASK, DEPTH_DELETE, DEPTH_BID, DEPTH_ASK, END_SPOT, END_DEPTH, CLEAR_BOOK = range(8)

DELTA = np.dtype(
    [
        ("kind", np.uint8),
        ("symbol", np.int32),
        ("quote_id", np.uint64),
        ("price_e5", np.int64),
        ("size_cents", np.int64),
    ]
)
"""Fields: `kind` as above; `symbol` = index of the symbol in the engine's arrays (not the broker's id); `quote_id` of a
depth quote; `price_e5` in 1/100000; `size_cents` in 0.01 base unit. Fields a kind does not use are 0; a price
and a size that are used are positive: the decoder counts and drops others."""


def delta_rows(rows: list[tuple[int, int, int, int, int]]) -> np.ndarray:
    """Return a read-only array of delta rows from (kind, symbol, quote_id, price_e5, size_cents) tuples."""
    array = np.array(rows, dtype=DELTA)
    array.flags.writeable = False
    return array
