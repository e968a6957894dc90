"""Order books of all symbols, keyed by quote id, as flat tables changed by compiled loops.

How it works: each symbol has a hash table of quotes (id -> side, price, size, birth) and, per side, its price levels
aggregated and sorted with the best level last, so that changes near the touch move few elements. A message is applied
row by row and is complete at its `END_*` row. A full table stops the loop before the row that does not fit; the tables
are doubled and the loop goes on from that row, so nothing is lost.

Invariants: a level's size is the sum of its quotes; a level exists while it has a quote; ids are unique per symbol.
Source: ProtoOADepthEvent (newQuotes upsert the whole entry, deletedQuotes remove; several ids may share a price).
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from bot.market.delta import CLEAR_BOOK, DEPTH_ASK, DEPTH_BID, DEPTH_DELETE, SPOT_ASK, SPOT_BID, Record

BID, ASK = 0, 1

# Counters kept per symbol; none of them is an error by itself, all of them are shown.
UNKNOWN_DELETES, REPRICED, DEPTH_EVENTS, SPOT_EVENTS = range(4)
COUNTER_NAMES = ("unknown_deletes", "repriced", "depth_events", "spot_events")

QUOTE = np.dtype(
    [
        ("id", np.uint64),
        ("key", np.int64),
        ("size", np.int64),
        ("born_ns", np.int64),
        ("side", np.int8),
        ("used", np.uint8),
    ],
    align=True,
)
LEVEL = np.dtype([("key", np.int64), ("size", np.int64), ("quotes", np.int64)], align=True)
HEAD = np.dtype(
    [
        ("level_count", np.int64, (2,)),
        ("told_key", np.int64, (2,)),
        ("quote_count", np.int64),
        ("spot_e5", np.int64, (2,)),
        ("spot_known", np.uint8, (2,)),
        ("counters", np.int64, (len(COUNTER_NAMES),)),
    ],
    align=True,
)


class BookArrays(NamedTuple):
    """The state of S books.

    Shapes: `quotes` (S, H) of `QUOTE`, H a power of two; `levels` (2, S, L) of `LEVEL` with side first; `heads` (S,) of
        `HEAD`.
    Units: prices in 1/100000, sizes in 0.01 base unit, `born_ns` when the id came up at its present price. A level's
        `key` is the price for bids and minus the price for asks, ascending, so that the best level of either side is
        the last. `told_key` is that of the best price as the last message left it, which is what others could see.
    Missing: `told_key[side]` is 0 without one; `spot_e5[side]` holds no price while `spot_known[side]` is 0.
    """

    quotes: np.ndarray
    levels: np.ndarray
    heads: np.ndarray


def empty_books(symbol_count: int, quotes: int = 256, levels: int = 128) -> BookArrays:
    """Return empty books for `symbol_count` symbols with room for `quotes` / 2 quotes (a power of two) and `levels`."""
    return BookArrays(
        np.zeros((symbol_count, quotes), QUOTE),
        np.zeros((2, symbol_count, levels), LEVEL),
        np.zeros(symbol_count, HEAD),
    )


def grown(books: BookArrays) -> BookArrays:
    """Return the same books with twice the room for quotes and levels."""
    symbol_count, quotes = books.quotes.shape
    levels_before = books.levels.shape[2]
    bigger = empty_books(symbol_count, 2 * quotes, 2 * levels_before)
    bigger.levels[:, :, :levels_before] = books.levels
    bigger.heads[:] = books.heads
    _rehash(books.quotes, bigger.quotes)
    return bigger


@njit(cache=True, error_model="numpy")
def _home(quote_id: int, slots: int) -> int:
    """Return the slot where a quote id wants to be (Fibonacci hashing: ids are often consecutive)."""
    mixed = (np.uint64(quote_id) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(40)
    return np.int64(mixed & np.uint64(slots - 1))


@njit(cache=True, error_model="numpy")
def _find(quotes: np.ndarray, s: int, quote_id: int) -> int:
    """Return the slot of a quote id, or the free slot where it belongs."""
    slots = quotes.shape[1]
    i = _home(quote_id, slots)
    while quotes[s, i].used and quotes[s, i].id != quote_id:
        i = (i + 1) & (slots - 1)
    return i


@njit(cache=True, error_model="numpy")
def _rehash(old: np.ndarray, new: np.ndarray) -> None:
    for s in range(old.shape[0]):
        for i in range(old.shape[1]):
            if old[s, i].used:
                new[s, _find(new, s, old[s, i].id)] = old[s, i]


@njit(cache=True, error_model="numpy")
def _free_slot(quotes: np.ndarray, s: int, i: int) -> None:
    """Empty a slot and move back the entries that were displaced past it (no tombstones to pile up)."""
    slots = quotes.shape[1]
    j = i
    while True:
        j = (j + 1) & (slots - 1)
        if not quotes[s, j].used:
            break
        home = _home(quotes[s, j].id, slots)
        if ((j - home) & (slots - 1)) < ((j - i) & (slots - 1)):
            continue  # it still reaches its home without passing the hole
        quotes[s, i] = quotes[s, j]
        i = j
    quotes[s, i].used = 0


@njit(cache=True, error_model="numpy")
def _level_at(levels: np.ndarray, side: int, s: int, count: int, key: int) -> int:
    """Return the first level whose key is not below `key` (binary search)."""
    low, high = 0, count
    while low < high:
        middle = (low + high) // 2
        if levels[side, s, middle].key < key:
            low = middle + 1
        else:
            high = middle
    return low


@njit(cache=True, error_model="numpy")
def _add_to_level(levels: np.ndarray, heads: np.ndarray, side: int, s: int, key: int, size: int) -> None:
    n = heads[s].level_count[side]
    i = _level_at(levels, side, s, n, key)
    if i < n and levels[side, s, i].key == key:
        levels[side, s, i].size += size
        levels[side, s, i].quotes += 1
        return
    for j in range(n, i, -1):
        levels[side, s, j] = levels[side, s, j - 1]
    levels[side, s, i].key = key
    levels[side, s, i].size = size
    levels[side, s, i].quotes = 1
    heads[s].level_count[side] = n + 1


@njit(cache=True, error_model="numpy")
def _take_from_level(levels: np.ndarray, heads: np.ndarray, side: int, s: int, key: int, size: int) -> None:
    n = heads[s].level_count[side]
    i = _level_at(levels, side, s, n, key)
    levels[side, s, i].size -= size
    levels[side, s, i].quotes -= 1
    if levels[side, s, i].quotes > 0:
        return
    for j in range(i, n - 1):
        levels[side, s, j] = levels[side, s, j + 1]
    heads[s].level_count[side] = n - 1


@njit(cache=True, error_model="numpy")
def _born_at_touch(head: Record, quote: Record) -> int:
    """Return when a quote was born if it rests at the best price that was told of its side, else 0.

    Not at what is best for a moment within a message: a ladder that is told anew is deleted row by row, and each of its
    levels would have its turn at the top.
    """
    return quote.born_ns if quote.key == head.told_key[quote.side] else 0


@njit(cache=True, error_model="numpy")
def remember_best(levels: np.ndarray, head: Record, s: int) -> None:
    """Remember the best prices as a message that ends leaves them."""
    for side in range(2):
        n = head.level_count[side]
        head.told_key[side] = levels[side, s, n - 1].key if n else 0


@njit(cache=True, error_model="numpy")
def clear_depth(quotes: np.ndarray, heads: np.ndarray, s: int) -> None:
    """Forget the depth of symbol `s`; its spot prices stay."""
    for i in range(quotes.shape[1]):
        quotes[s, i].used = 0
    heads[s].quote_count = 0
    heads[s].level_count[0] = 0
    heads[s].level_count[1] = 0
    heads[s].told_key[0] = heads[s].told_key[1] = 0


def clear_books(books: BookArrays) -> None:
    """Forget every quote of every symbol, spot prices included; counters stay."""
    books.quotes["used"] = 0
    for name in ("quote_count", "level_count", "told_key", "spot_known"):
        books.heads[name] = 0


@njit(cache=True, error_model="numpy")
def apply_row(
    quotes: np.ndarray,
    levels: np.ndarray,
    heads: np.ndarray,
    s: int,
    kind: int,
    quote_id: int,
    price_e5: int,
    size_cents: int,
    now_ns: int,
) -> int:
    """Apply one delta row. Return -1, with nothing changed, when the tables are full and must grow first.

    Otherwise the birth time of a quote that the row took away from the best price as the last message left it, 0 when
    it took none from there.
    """
    head = heads[s]
    if kind == SPOT_BID or kind == SPOT_ASK:
        head.spot_e5[kind - SPOT_BID] = price_e5
        head.spot_known[kind - SPOT_BID] = 1
    elif kind == DEPTH_DELETE:
        i = _find(quotes, s, quote_id)
        if not quotes[s, i].used:
            head.counters[UNKNOWN_DELETES] += 1
            return 0
        born_ns = _born_at_touch(head, quotes[s, i])
        _take_from_level(levels, heads, quotes[s, i].side, s, quotes[s, i].key, quotes[s, i].size)
        _free_slot(quotes, s, i)
        head.quote_count -= 1
        return born_ns
    elif kind == DEPTH_BID or kind == DEPTH_ASK:
        side = kind - DEPTH_BID
        if 2 * (head.quote_count + 1) > quotes.shape[1] or head.level_count[side] + 1 > levels.shape[2]:
            return -1
        key = price_e5 if side == BID else -price_e5
        i = _find(quotes, s, quote_id)
        q = quotes[s, i]
        born_ns = 0
        if q.used:
            if q.side == side and q.key == key:
                levels[side, s, _level_at(levels, side, s, head.level_count[side], key)].size += size_cents - q.size
                q.size = size_cents
                return 0
            head.counters[REPRICED] += 1
            born_ns = _born_at_touch(head, q)
            _take_from_level(levels, heads, q.side, s, q.key, q.size)
        else:
            q.used = 1
            q.id = quote_id
            head.quote_count += 1
        q.side = side
        q.key = key
        q.size = size_cents
        q.born_ns = now_ns
        _add_to_level(levels, heads, side, s, key, size_cents)
        return born_ns
    elif kind == CLEAR_BOOK:
        clear_depth(quotes, heads, s)
    return 0


def levels(books: BookArrays, side: int, s: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the aggregated levels of one side, best first: prices (1/100000), sizes (0.01 unit), (L,) each."""
    n = books.heads["level_count"][s, side]
    of_side = books.levels[side, s, :n][::-1]
    keys = of_side["key"]
    return (keys if side == BID else -keys).copy(), of_side["size"].copy()


def standing_quotes(books: BookArrays, s: int) -> dict[int, tuple[int, int, int]]:
    """Return the quotes of one symbol by id: side, price (1/100000), size (0.01 unit)."""
    used = books.quotes[s][books.quotes[s]["used"] != 0]
    return {int(q["id"]): (int(q["side"]), abs(int(q["key"])), int(q["size"])) for q in used}
