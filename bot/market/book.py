"""Order books of all symbols, keyed by quote id, as struct-of-arrays changed by compiled loops.

How it works: each symbol has a hash table of quotes (id -> side, price, size) and, per side, its price levels
aggregated and sorted with the best level last, so that changes near the touch move few elements. A message is applied
row by row and is complete at its `END_*` row. A full table stops the loop before the row that does not fit; the arrays
are doubled and the loop goes on from that row, so nothing is lost.

Invariants: a level's size is the sum of its quotes; a level exists while it has a quote; ids are unique per symbol.
Source: ProtoOADepthEvent (newQuotes upsert the whole entry, deletedQuotes remove; several ids may share a price).
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from bot.market.delta import CLEAR_BOOK, DEPTH_ASK, DEPTH_BID, DEPTH_DELETE, SPOT_ASK, SPOT_BID

BID, ASK = 0, 1

# Counters kept per symbol; none of them is an error by itself, all of them are shown.
UNKNOWN_DELETES, REPRICED, DEPTH_EVENTS, SPOT_EVENTS = range(4)
COUNTER_NAMES = ("unknown_deletes", "repriced", "depth_events", "spot_events")


class BookArrays(NamedTuple):
    """The state of S books.

    Shapes: quote table (S, H), H a power of two; levels (2, S, L) with side first; the rest (S,) or (C, S).
    Units: prices in 1/100000, sizes in 0.01 base unit. `level_key` is the price for bids and minus the price for asks,
        ascending, so that the best level of either side is the last.
    Missing: `spot_e5[side]` holds no price while `spot_known[side]` is False.
    """

    quote_used: np.ndarray
    quote_id: np.ndarray
    quote_side: np.ndarray
    quote_key: np.ndarray
    quote_size: np.ndarray
    quote_count: np.ndarray
    level_key: np.ndarray
    level_size: np.ndarray
    level_quotes: np.ndarray
    level_count: np.ndarray
    spot_e5: np.ndarray
    spot_known: np.ndarray
    counters: np.ndarray


def empty_books(symbol_count: int, quotes: int = 256, levels: int = 128) -> BookArrays:
    """Return empty books for `symbol_count` symbols with room for `quotes` / 2 quotes (a power of two) and `levels`."""
    s, h, n = symbol_count, quotes, levels
    return BookArrays(
        quote_used=np.zeros((s, h), np.bool_),
        quote_id=np.zeros((s, h), np.uint64),
        quote_side=np.zeros((s, h), np.int8),
        quote_key=np.zeros((s, h), np.int64),
        quote_size=np.zeros((s, h), np.int64),
        quote_count=np.zeros(s, np.int64),
        level_key=np.zeros((2, s, n), np.int64),
        level_size=np.zeros((2, s, n), np.int64),
        level_quotes=np.zeros((2, s, n), np.int32),
        level_count=np.zeros((2, s), np.int64),
        spot_e5=np.zeros((2, s), np.int64),
        spot_known=np.zeros((2, s), np.bool_),
        counters=np.zeros((len(COUNTER_NAMES), s), np.int64),
    )


def grown(books: BookArrays) -> BookArrays:
    """Return the same books with twice the room for quotes and levels."""
    s, h = books.quote_used.shape
    n = books.level_key.shape[2]
    bigger = empty_books(s, 2 * h, 2 * n)
    for side in (BID, ASK):
        bigger.level_key[side, :, :n] = books.level_key[side]
        bigger.level_size[side, :, :n] = books.level_size[side]
        bigger.level_quotes[side, :, :n] = books.level_quotes[side]
    for field in ("quote_count", "level_count", "spot_e5", "spot_known", "counters"):
        getattr(bigger, field)[...] = getattr(books, field)
    _rehash(books, bigger)
    return bigger


@njit(cache=True)
def _home(quote_id: int, slots: int) -> int:
    """Return the slot where a quote id wants to be (Fibonacci hashing: ids are often consecutive)."""
    mixed = (np.uint64(quote_id) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(40)
    return np.int64(mixed & np.uint64(slots - 1))


@njit(cache=True)
def _find(books: BookArrays, s: int, quote_id: int) -> int:
    """Return the slot of a quote id, or the free slot where it belongs."""
    slots = books.quote_used.shape[1]
    i = _home(quote_id, slots)
    while books.quote_used[s, i] and books.quote_id[s, i] != quote_id:
        i = (i + 1) & (slots - 1)
    return i


@njit(cache=True)
def _rehash(old: BookArrays, new: BookArrays) -> None:
    for s in range(old.quote_used.shape[0]):
        for i in range(old.quote_used.shape[1]):
            if old.quote_used[s, i]:
                j = _find(new, s, old.quote_id[s, i])
                new.quote_used[s, j] = True
                new.quote_id[s, j] = old.quote_id[s, i]
                new.quote_side[s, j] = old.quote_side[s, i]
                new.quote_key[s, j] = old.quote_key[s, i]
                new.quote_size[s, j] = old.quote_size[s, i]


@njit(cache=True)
def _free_slot(books: BookArrays, s: int, i: int) -> None:
    """Empty a slot and move back the entries that were displaced past it (no tombstones to pile up)."""
    slots = books.quote_used.shape[1]
    j = i
    while True:
        j = (j + 1) & (slots - 1)
        if not books.quote_used[s, j]:
            break
        home = _home(books.quote_id[s, j], slots)
        if ((j - home) & (slots - 1)) < ((j - i) & (slots - 1)):
            continue  # it still reaches its home without passing the hole
        books.quote_id[s, i] = books.quote_id[s, j]
        books.quote_side[s, i] = books.quote_side[s, j]
        books.quote_key[s, i] = books.quote_key[s, j]
        books.quote_size[s, i] = books.quote_size[s, j]
        i = j
    books.quote_used[s, i] = False
    books.quote_count[s] -= 1


@njit(cache=True)
def _level_at(books: BookArrays, side: int, s: int, key: int) -> int:
    """Return the first level whose key is not below `key` (binary search)."""
    low, high = 0, books.level_count[side, s]
    while low < high:
        middle = (low + high) // 2
        if books.level_key[side, s, middle] < key:
            low = middle + 1
        else:
            high = middle
    return low


@njit(cache=True)
def _add_to_level(books: BookArrays, side: int, s: int, key: int, size: int) -> None:
    i = _level_at(books, side, s, key)
    n = books.level_count[side, s]
    if i < n and books.level_key[side, s, i] == key:
        books.level_size[side, s, i] += size
        books.level_quotes[side, s, i] += 1
        return
    for j in range(n, i, -1):
        books.level_key[side, s, j] = books.level_key[side, s, j - 1]
        books.level_size[side, s, j] = books.level_size[side, s, j - 1]
        books.level_quotes[side, s, j] = books.level_quotes[side, s, j - 1]
    books.level_key[side, s, i] = key
    books.level_size[side, s, i] = size
    books.level_quotes[side, s, i] = 1
    books.level_count[side, s] = n + 1


@njit(cache=True)
def _take_from_level(books: BookArrays, side: int, s: int, key: int, size: int) -> None:
    i = _level_at(books, side, s, key)
    books.level_size[side, s, i] -= size
    books.level_quotes[side, s, i] -= 1
    if books.level_quotes[side, s, i] > 0:
        return
    n = books.level_count[side, s] - 1
    for j in range(i, n):
        books.level_key[side, s, j] = books.level_key[side, s, j + 1]
        books.level_size[side, s, j] = books.level_size[side, s, j + 1]
        books.level_quotes[side, s, j] = books.level_quotes[side, s, j + 1]
    books.level_count[side, s] = n


@njit(cache=True)
def clear_depth(books: BookArrays, s: int) -> None:
    """Forget the depth of symbol `s`; its spot prices stay."""
    books.quote_used[s, :] = False
    books.quote_count[s] = 0
    books.level_count[0, s] = 0
    books.level_count[1, s] = 0


@njit(cache=True)
def clear_book(books: BookArrays, s: int) -> None:
    """Forget every quote of symbol `s`, spot prices included."""
    clear_depth(books, s)
    books.spot_known[0, s] = False
    books.spot_known[1, s] = False


@njit(cache=True)
def apply_row(books: BookArrays, kind: int, s: int, quote_id: int, price_e5: int, size_cents: int) -> bool:
    """Apply one delta row; return False, with nothing changed, when the tables are full and must grow first."""
    if kind == SPOT_BID or kind == SPOT_ASK:
        side = kind - SPOT_BID
        books.spot_e5[side, s] = price_e5
        books.spot_known[side, s] = True
    elif kind == DEPTH_DELETE:
        i = _find(books, s, quote_id)
        if books.quote_used[s, i]:
            _take_from_level(books, books.quote_side[s, i], s, books.quote_key[s, i], books.quote_size[s, i])
            _free_slot(books, s, i)
        else:
            books.counters[UNKNOWN_DELETES, s] += 1
    elif kind == DEPTH_BID or kind == DEPTH_ASK:
        side = kind - DEPTH_BID
        if 2 * (books.quote_count[s] + 1) > books.quote_used.shape[1]:
            return False
        if books.level_count[side, s] + 1 > books.level_key.shape[2]:
            return False
        key = price_e5 if side == BID else -price_e5
        i = _find(books, s, quote_id)
        if books.quote_used[s, i]:
            if books.quote_side[s, i] != side or books.quote_key[s, i] != key:
                books.counters[REPRICED, s] += 1
            _take_from_level(books, books.quote_side[s, i], s, books.quote_key[s, i], books.quote_size[s, i])
        else:
            books.quote_used[s, i] = True
            books.quote_id[s, i] = quote_id
            books.quote_count[s] += 1
        books.quote_side[s, i] = side
        books.quote_key[s, i] = key
        books.quote_size[s, i] = size_cents
        _add_to_level(books, side, s, key, size_cents)
    elif kind == CLEAR_BOOK:
        clear_depth(books, s)
    return True


def levels(books: BookArrays, side: int, s: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the aggregated levels of one side, best first: prices (1/100000), sizes (0.01 unit), (L,) each."""
    n = books.level_count[side, s]
    keys = books.level_key[side, s, :n][::-1]
    return (keys if side == BID else -keys).copy(), books.level_size[side, s, :n][::-1].copy()
