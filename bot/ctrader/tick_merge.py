"""Bid and ask ticks of a period as one series of quotes, a row a change."""

from typing import NamedTuple

import numpy as np

from bot.ctrader.tick_pages import Ticks


class Quotes(NamedTuple):
    """Quotes in time order, one a change.

    Shapes: all (N,) int64.   Units: ms since the epoch UTC; 1/100000.
    """

    times_ms: np.ndarray
    bids_e5: np.ndarray
    asks_e5: np.ndarray


def merge_sides(bids: Ticks, asks: Ticks) -> Quotes:
    """Return the quotes that two series of ticks make: each row has the last bid and the last ask.

    Within one millisecond nothing tells which side came first: the first bid is taken with the first ask of it, the
    second with the second, so that a quote that moves as a whole is one row, and no spread appears that never was.
    The first row is where both sides are known; a tick that repeats its price makes no row.
    """
    keys = [_keys(side.times_ms) for side in (bids, asks)]
    every = np.unique(np.concatenate(keys))
    rows = []
    known = np.ones(len(every), dtype=bool)
    for side, own in zip((bids, asks), keys, strict=True):
        last = np.searchsorted(own, every, side="right") - 1
        known &= last >= 0
        rows.append(side.prices_e5[np.maximum(last, 0)] if len(own) else np.zeros(len(every), np.int64))
    times_ms, bids_e5, asks_e5 = (column[known] for column in (every >> _RANK_BITS, *rows))
    changed = np.ones(len(times_ms), dtype=bool)
    changed[1:] = (np.diff(bids_e5) != 0) | (np.diff(asks_e5) != 0)
    return Quotes(times_ms[changed], bids_e5[changed], asks_e5[changed])


_RANK_BITS = 20
"""More ticks in one millisecond than a page can hold; the time in ms has 43 bits left, until the year 2248."""


def _keys(times_ms: np.ndarray) -> np.ndarray:
    """Return a number a tick that orders them: the time, then the place within its millisecond."""
    place = np.arange(len(times_ms)) - np.searchsorted(times_ms, times_ms)
    keys: np.ndarray = (times_ms << _RANK_BITS) + place
    return keys
