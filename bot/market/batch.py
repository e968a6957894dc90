"""One batch into the evaluator's tables, as a call that costs little: two blocks of bytes in place of five tables.

A compiled call pays for every array it is given, most of all for structured ones; of a batch of one message that would
be a third of the time. So the tables that belong together lie in one block each, and are cut out of it behind the call.
"""

import numpy as np
from numba import njit

from bot.market.book import HEAD, LEVEL, QUOTE
from bot.market.estimators import receive
from bot.market.feature_table import FEATURES
from bot.market.state import STATE

_HEAD_BYTES, _QUOTE_BYTES, _STATE_BYTES = HEAD.itemsize, QUOTE.itemsize, STATE.itemsize


def evaluator_memory(symbol_count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a block of bytes, and in it the state, (S,) of `STATE`, and the features, (S,) of `FEATURES`; all zero."""
    state_bytes = symbol_count * _STATE_BYTES
    memory = np.zeros(state_bytes + symbol_count * FEATURES.itemsize, np.uint8)
    return memory, memory[:state_bytes].view(STATE), memory[state_bytes:].view(FEATURES)


@njit(cache=True, error_model="numpy")
def receive_batch(
    books: np.ndarray,
    memory: np.ndarray,
    rows: np.ndarray,
    start: int,
    now_ns: int,
    symbol_count: int,
    slots: int,
    room: int,
) -> int:
    """Do what `estimators.receive` does. Return what it returns.

    Args: `books` the memory of books with room for `slots` quotes and `room` levels; `memory` as of `evaluator_memory`.
    """
    quotes_at = symbol_count * _HEAD_BYTES
    levels_at = quotes_at + symbol_count * slots * _QUOTE_BYTES
    state_bytes = symbol_count * _STATE_BYTES
    return receive(
        books[quotes_at:levels_at].view(QUOTE).reshape((symbol_count, slots)),
        books[levels_at:].view(LEVEL).reshape((2, symbol_count, room)),
        books[:quotes_at].view(HEAD),
        memory[:state_bytes].view(STATE),
        memory[state_bytes:].view(FEATURES),
        rows,
        start,
        now_ns,
    )
