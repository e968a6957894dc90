"""Semi-synthetic depth as delta rows, chunk by chunk: what `bot.sim.shape.ticks` tells, without an object a level.

How it works: all levels of a chunk of ticks, and those of the tick before it, are sorted by level and then by tick. A
level that stands at one tick after the other is a run there: it has one quote id, is told again where its size
changes, and is deleted at the tick after its run.
"""

import numpy as np

from bot.market.delta import DELTA, DEPTH_ASK, DEPTH_BID, DEPTH_DELETE, END_DEPTH
from bot.market.symbols import SymbolSpec
from bot.sim.shape import LEVELS, shaped_levels

Part = tuple[np.ndarray, np.ndarray]
"""(rows, counts): rows (M,) of `DELTA` in the order of ticks, and how many of them each tick has, (N,)."""


class DepthShaper:
    """Makes the depth messages of one symbol's ticks.

    Args: `shapes` (K, 4, LEVELS) the fields of K `Shape`s, used in turn, over and over; `symbol` index in the
        evaluator's arrays; `best_size_cents` mean size at the best price, 0.01 unit.
    """

    def __init__(self, spec: SymbolSpec, shapes: np.ndarray, symbol: int, best_size_cents: int) -> None:
        self._tick_e5, self._shapes, self._shape = spec.tick_e5, shapes, 0
        self._symbol, self._best_size_cents = symbol, best_size_cents
        self._next_id = spec.symbol_id * 1_000_000_000 + 1
        # The levels of the last tick; size 0: not there.
        self._keys, self._sizes, self._ids = np.zeros((3, 2 * LEVELS), np.int64)

    def parts(self, bids_e5: np.ndarray, asks_e5: np.ndarray) -> list[Part]:
        """Return the deletions, the insertions and the end rows of a chunk's depth messages.

        Shapes: both (N,), N > 0.   Units: 1/100000.
        """
        count = len(bids_e5)
        turns = (self._shape + np.arange(count)) % len(self._shapes)
        self._shape = (self._shape + count) % len(self._shapes)
        levels = shaped_levels(bids_e5, asks_e5, self._shapes[turns], self._tick_e5, self._best_size_cents)
        keys, sizes = (np.vstack([old, new]) for old, new in zip((self._keys, self._sizes), levels, strict=True))
        ticks, places = np.nonzero(sizes)
        key, size = keys[ticks, places], sizes[ticks, places]

        order = np.argsort(key, kind="stable")  # rows are in order of ticks already
        goes_on = np.zeros(len(order), np.bool_)
        goes_on[1:] = (np.diff(key[order]) == 0) & (np.diff(ticks[order]) == 1)
        is_fresh = np.empty_like(goes_on)
        is_fresh[order] = ~goes_on
        is_fresh &= ticks > 0
        ids = np.where(is_fresh, self._next_id + np.cumsum(is_fresh) - 1, self._ids[places])
        begins = np.maximum.accumulate(np.where(goes_on, 0, np.arange(len(order))))
        ids[order] = ids[order][begins]
        self._next_id += int(is_fresh.sum())

        is_told = is_fresh
        is_told[order[1:]] |= goes_on[1:] & (np.diff(size[order]) != 0)
        told = np.flatnonzero(is_told)
        ends = order[np.append(~goes_on[1:], True)]
        ends = ends[ticks[ends] < count]
        deleted = ends[np.argsort(ticks[ends], kind="stable")]  # within a tick in the order of levels, as `replaced`

        last = ticks == count
        self._keys, self._sizes, self._ids = keys[-1], sizes[-1], np.zeros(2 * LEVELS, np.int64)
        self._ids[places[last]] = ids[last]

        deletions, insertions = self._blank(len(deleted)), self._blank(len(told))
        deletions["kind"], deletions["quote_id"] = DEPTH_DELETE, ids[deleted]
        insertions["kind"] = np.where(key[told] & 1, DEPTH_ASK, DEPTH_BID)
        insertions["quote_id"], insertions["price_e5"] = ids[told], key[told] >> 1
        insertions["size_cents"] = size[told]
        deletion_counts = np.bincount(ticks[deleted], minlength=count)[:count]
        insertion_counts = np.bincount(ticks[told], minlength=count + 1)[1:]
        has_message = (deletion_counts + insertion_counts > 0).astype(np.int64)
        ending = self._blank(int(has_message.sum()))
        ending["kind"] = END_DEPTH
        return [(deletions, deletion_counts), (insertions, insertion_counts), (ending, has_message)]

    def _blank(self, count: int) -> np.ndarray:
        rows = np.zeros(count, DELTA)
        rows["symbol"] = self._symbol
        return rows
