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
from bot.market.memory import address, carray, pointer
from bot.market.state import STATE

_PLACES = ("heads", "quotes", "levels", "state", "table")
_SIZES = ("symbol_count", "slots", "room")
CONTEXT = np.dtype([(name, np.int64) for name in (*_PLACES, *_SIZES, "looked_ns")], align=True)
"""Addresses of the arrays; the sizes that they do not have in common, quotes and levels a symbol; and the time of the
last batch, written by the loop."""


def new_context(books: BookArrays, state: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Return the context of these arrays, (1,) of `CONTEXT`; it is good while they are alive."""
    places = map(address, (books.heads, books.quotes, books.levels, state, table))
    return np.array([(*places, *books.quotes.shape, books.levels.shape[2], -1)], CONTEXT)


@njit(cache=True, error_model="numpy")
def _receive(context: int, rows: int, count: int, start: int, now_ns: int) -> int:
    c = carray(pointer(context), (1,), CONTEXT)[0]
    symbols = c.symbol_count
    c.looked_ns = now_ns
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


@njit(cache=True, error_model="numpy")
def receive_batch(context: int, rows: np.ndarray, start: int, now_ns: int) -> int:
    """Do what `estimators.receive` does. Return what it returns. Args: `context` the address of one."""
    return _receive(context, rows.ctypes.data, rows.shape[0], start, now_ns)


@cache
def batch_function() -> Any:
    """Return the same as a C function of `SINK_SIGNATURE`; compiled, or loaded, when it is first asked for."""
    return cfunc(SINK_SIGNATURE, cache=True)(_take)


def _take(context: int, rows: int, count: int, now_ns: int) -> int:
    return _receive(context, rows, count, 0, now_ns)
