"""Recordings as delta rows: what a session would hand to the evaluator, with the recorded times.

How it works: a recording of depth or of best quotes goes through `bot.sim.playback`, as it does at the embedded venue,
and each of its changes becomes the rows of a spot message, a depth message, or both. Ticks are many and their messages
are all alike, so they are made in chunks of rows without an object a tick; their depth is shaped in `shaped_depth.py`.
Everything is streamed: no more than a chunk is in memory.
"""

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from bot.market.delta import DELTA, DEPTH_ASK, DEPTH_BID, DEPTH_DELETE, END_DEPTH, END_SPOT, SPOT_ASK, SPOT_BID
from bot.market.symbols import SymbolSpec
from bot.research.backtest.messages import Messages, messages
from bot.research.recordings import EVENT_COLUMNS, TICK_COLUMNS
from bot.research.shaped_depth import DepthShaper, Part
from bot.sim.change import Change
from bot.sim.playback import Clock, depth_events, to_e5
from bot.sim.recording import column_batches
from bot.sim.shape import Shape

Batch = tuple[int, np.ndarray]
"""(recv_ns, rows): what arrived at one time, (N,) of `DELTA`, read-only."""

Columns = dict[str, np.ndarray]


def depth_batches(path: Path, symbol: int, size_scale: float = 1.0) -> Iterator[Batch]:
    """Yield the batches of an order-book recording, one for each message that changes something.

    A depth message is one atomic event with a fresh id for each level that appears. A best-quote message becomes a
    spot message of the sides that moved.

    Args: `symbol` index in the evaluator's arrays; `size_scale` multiplies sizes, which are whole cents (0.01 unit)
        afterwards: use 1e5 for coins, or most levels are rounded.
    Source: `l2_*_events`.
    """
    columns = column_batches(path, EVENT_COLUMNS | {"update_id"})
    return change_batches(depth_events(_scaled(columns, size_scale), 1, _RecordedClock()), symbol)


def tick_batches(
    path: Path,
    symbol: int,
    spec: SymbolSpec | None = None,
    shapes: np.ndarray | None = None,
    best_size_cents: int = 0,
) -> Iterator[Batch]:
    """Yield the batches of a tick recording, one a tick: a spot message of the sides that moved.

    With `spec`, `shapes` and `best_size_cents` (the mean size at the best price, 0.01 unit) a depth message follows
    it, shaped like the depth of another market: label what is made of it *semi-synthetic*. A tick that changes
    nothing is left out.

    Args: `symbol` index in the evaluator's arrays; `shapes` (K, 4, LEVELS) as `shape_table` returns.
    Source: `fx_*`.
    """
    for piece in tick_messages(column_batches(path, TICK_COLUMNS), symbol, spec, shapes, best_size_cents):
        start = 0
        for time_ns, end in zip(piece.times_ns.tolist(), piece.ends.tolist(), strict=True):
            yield time_ns, piece.rows[start:end]
            start = end


def tick_messages(
    batches: Iterable[Columns],
    symbol: int,
    spec: SymbolSpec | None = None,
    shapes: np.ndarray | None = None,
    best_size_cents: int = 0,
) -> Iterator[Messages]:
    """Yield the messages of ticks, one a tick that changes something: the same as `tick_batches`, in arrays.

    Args: `batches` of the columns of `fx_*`.
    """
    spots = _SpotRows(symbol)
    shaper = DepthShaper(spec, shapes, symbol, best_size_cents) if spec is not None and shapes is not None else None
    for columns in batches:
        times_ns, bids_e5, asks_e5 = columns["ts_us"] * 1_000, to_e5(columns["bid"]), to_e5(columns["ask"])
        parts = [spots.part(bids_e5, asks_e5), *(shaper.parts(bids_e5, asks_e5) if shaper is not None else ())]
        yield _in_ticks(times_ns, parts)


def shape_table(shapes: Iterable[Shape], count: int, averaged: int = 1) -> np.ndarray:
    """Return `count` shapes of `bot.sim.shape` as one (count, 4, LEVELS) array, their fields in order.

    Args: `averaged` takes the mean of so many consecutive ones for each: a tick of a slow market lasts as long as many
        changes of a fast one, and one of those alone is often a moment in which the best level is nearly empty.
    """
    taken = iter(shapes)
    return np.array([np.mean(list(itertools.islice(taken, averaged)), axis=0) for _ in range(count)])


def change_batches(changes: Iterable[Change], symbol: int) -> Iterator[Batch]:
    """Yield the batch of each change: its spot message, then its depth message, deletions before insertions."""
    for change in changes:
        rows: list[tuple[int, int, int, int, int]] = []
        if change.bid_e5 is not None:
            rows.append((SPOT_BID, symbol, 0, change.bid_e5, 0))
        if change.ask_e5 is not None:
            rows.append((SPOT_ASK, symbol, 0, change.ask_e5, 0))
        if rows:
            rows.append((END_SPOT, symbol, 0, 0, 0))
        if change.new or change.deleted:
            rows += [(DEPTH_DELETE, symbol, quote_id, 0, 0) for quote_id in change.deleted]
            rows += [
                (DEPTH_BID if is_bid else DEPTH_ASK, symbol, quote_id, price_e5, size_cents)
                for quote_id, is_bid, price_e5, size_cents in change.new
            ]
            rows.append((END_DEPTH, symbol, 0, 0, 0))
        if rows:
            yield change.time_ns, _sealed(np.array(rows, dtype=DELTA))


class _RecordedClock(Clock):
    """Keeps the recorded times, except that none runs backwards."""

    def __init__(self) -> None:
        super().__init__(0, 1.0)
        self._latest_ns = 0

    def venue_times(self, recorded_ns: np.ndarray) -> list[int]:
        times: list[int] = np.maximum.accumulate(np.maximum(recorded_ns, self._latest_ns)).tolist()
        self._latest_ns = times[-1]
        return times


class _SpotRows:
    """Rows of the spot messages of chunk after chunk; remembers the last tick between two of them."""

    def __init__(self, symbol: int) -> None:
        self._symbol = symbol
        self._last = (-1, -1)

    def part(self, bids_e5: np.ndarray, asks_e5: np.ndarray) -> Part:
        moved = [
            np.diff(side_e5, prepend=last) != 0 for side_e5, last in zip((bids_e5, asks_e5), self._last, strict=True)
        ]
        self._last = (int(bids_e5[-1]), int(asks_e5[-1]))
        shown = np.stack([*moved, moved[0] | moved[1]], axis=1)
        rows = np.zeros(shown.shape, DELTA)
        rows["symbol"] = self._symbol
        rows["kind"] = (SPOT_BID, SPOT_ASK, END_SPOT)
        rows["price_e5"][:, 0], rows["price_e5"][:, 1] = bids_e5, asks_e5
        return rows[shown], shown.sum(axis=1)


def _in_ticks(times_ns: np.ndarray, parts: list[Part]) -> Messages:
    """Put the rows of a chunk tick by tick, part after part within a tick."""
    totals = np.sum([counts for _, counts in parts], axis=0)
    ends = np.cumsum(totals)
    rows = np.empty(int(ends[-1]), DELTA)
    starts = ends - totals
    for part, counts in parts:
        places = np.repeat(starts - (np.cumsum(counts) - counts), counts) + np.arange(len(part))
        rows[places] = part
        starts = starts + counts
    return messages(times_ns, totals, rows)


def _scaled(batches: Iterator[Columns], size_scale: float) -> Iterator[Columns]:
    for batch in batches:
        yield batch | {"qty": batch["qty"] * size_scale}


def _sealed(rows: np.ndarray) -> np.ndarray:
    rows.flags.writeable = False
    return rows
