"""A batch for the evaluator with one argument instead of arrays: the place of a context that says where they lie.

How it works: `CONTEXT` is one record with the addresses and sizes of what an evaluator owns; the compiled functions lay
the structured arrays over it and call the loop. The evaluator renews the record when its tables grow.
"""

from functools import cache
from typing import Any

import numpy as np
from numba import cfunc, njit

from bot.market.book import HEAD, LEVEL, QUOTE, BookArrays
from bot.market.delta import DELTA
from bot.market.delta_sink import SINK_SIGNATURE
from bot.market.estimators import receive
from bot.market.feature_table import FEATURES
from bot.market.memory import address, carray, layout, pointer
from bot.market.state import STATE

_PLACES = ("heads", "quotes", "levels", "state", "table")
_SIZES = ("symbol_count", "slots", "room")
CONTEXT = np.dtype([(name, np.int64) for name in (*_PLACES, *_SIZES, "looked_ns", "layout")], align=True)
"""Addresses of the arrays; the sizes that they do not have in common, quotes and levels a symbol; and, written by the
loop, the time of the last batch and the layout that it was compiled for."""

LAYOUT = layout(HEAD, QUOTE, LEVEL, STATE, FEATURES, DELTA, CONTEXT)


def new_context(books: BookArrays, state: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Return the context of these arrays, (1,) of `CONTEXT`; it is good while they are alive."""
    places = map(address, (books.heads, books.quotes, books.levels, state, table))
    return np.array([(*places, *books.quotes.shape, books.levels.shape[2], -1, LAYOUT)], CONTEXT)


@njit(error_model="numpy")  # not kept by itself: it takes addresses
def _receive(context: int, rows: int, count: int, start: int, now_ns: int, compiled_for: int) -> int:
    c = carray(pointer(context), (1,), CONTEXT)[0]
    symbols = c.symbol_count
    c.looked_ns, c.layout = now_ns, compiled_for
    return receive(
        carray(pointer(c.quotes), (symbols, c.slots), QUOTE),
        carray(pointer(c.levels), (2, symbols, c.room), LEVEL),
        carray(pointer(c.heads), (symbols,), HEAD),
        carray(pointer(c.state), (symbols,), STATE),
        carray(pointer(c.table), (symbols,), FEATURES),
        carray(pointer(rows), (count,), DELTA),
        start,
        now_ns,
    )


def _loops(compiled_for: int) -> tuple[Any, Any]:
    @njit(cache=True, error_model="numpy")
    def receive_batch(context: int, rows: np.ndarray, start: int, now_ns: int) -> int:
        return _receive(context, rows.ctypes.data, rows.shape[0], start, now_ns, compiled_for)

    def take(context: int, rows: int, count: int, now_ns: int) -> int:
        return _receive(context, rows, count, 0, now_ns, compiled_for)

    return receive_batch, take


receive_batch, _take = _loops(LAYOUT)
"""Does what `estimators.receive` does, with the address of a context; returns what it returns."""


@cache
def batch_function() -> Any:
    """Return the same as a C function of `SINK_SIGNATURE`; compiled, or loaded, when it is first asked for."""
    return cfunc(SINK_SIGNATURE, cache=True)(_take)
