"""One message of delta rows applied to books, for those who look at the books after each message and not each batch."""

import numpy as np
from numba import njit

from bot.market import book
from bot.market.book import BookArrays, apply_row
from bot.market.delta import END_DEPTH, END_SPOT


@njit(cache=True, error_model="numpy")
def _apply(
    quotes: np.ndarray, levels: np.ndarray, heads: np.ndarray, rows: np.ndarray, start: int, end: int, now_ns: int
) -> int:
    """Apply rows up to `end`; return where it stands: before it when the tables are full and must grow first."""
    for i in range(start, end):
        row = rows[i]
        kind = row.kind
        if kind == END_SPOT or kind == END_DEPTH:
            continue
        if apply_row(quotes, levels, heads, row.symbol, kind, row.quote_id, row.price_e5, row.size_cents, now_ns) < 0:
            return i
    return end


def apply_message(books: BookArrays, rows: np.ndarray, start: int, end: int, now_ns: int) -> BookArrays:
    """Apply the rows from `start` to `end`, exclusive; return the books, which are others when they had to grow.

    Shapes: `rows` (N,) of `bot.market.delta.DELTA`.
    """
    while (start := _apply(*books, rows, start, end, now_ns)) < end:
        books = book.grown(books)
    return books
