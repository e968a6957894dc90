"""Market data messages in arrays: many at a time, in time order, of one symbol or of several merged.

How it works: a `Messages` holds delta rows one after the other and says where each message ends and when it came. To
merge streams, what all of them have told up to the earliest of their last times is put in order of time at once, so
that nothing is done for a single message in Python.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from bot.market.delta import DELTA


class Messages(NamedTuple):
    """Messages in time order.

    Shapes: `times_ns` (M,) when each came; `ends` (M,) the row behind its last one; `rows` (N,) of `DELTA`, read-only.
    """

    times_ns: np.ndarray
    ends: np.ndarray
    rows: np.ndarray

    def part(self, first: int, last: int) -> "Messages":
        """Return the messages from `first` up to, and without, `last`."""
        start = int(self.ends[first - 1]) if first else 0
        end = int(self.ends[last - 1]) if last else 0
        return Messages(self.times_ns[first:last], self.ends[first:last] - start, self.rows[start:end])

    def of_symbols(self, places: np.ndarray) -> "Messages":
        """Return the same with `places[i]` in place of symbol i."""
        rows = self.rows.copy()
        rows["symbol"] = places[rows["symbol"]]
        rows.flags.writeable = False
        return Messages(self.times_ns, self.ends, rows)


def messages(times_ns: np.ndarray, counts: np.ndarray, rows: np.ndarray) -> Messages:
    """Return messages with `counts` rows each; those without any row are left out."""
    has_rows = counts > 0
    rows.flags.writeable = False
    return Messages(times_ns[has_rows], np.cumsum(counts)[has_rows], rows)


def collected(batches: Iterable[tuple[int, np.ndarray]], size: int = 4_096) -> Iterator[Messages]:
    """Yield single (time, rows) batches as messages, `size` at a time."""
    times: list[int] = []
    parts: list[np.ndarray] = []
    for time_ns, rows in batches:
        times.append(time_ns)
        parts.append(rows)
        if len(times) == size:
            yield _joined(times, parts)
            times, parts = [], []
    if times:
        yield _joined(times, parts)


def _joined(times: Sequence[int], parts: Sequence[np.ndarray]) -> Messages:
    counts = np.array([len(part) for part in parts], np.int64)
    return messages(np.array(times, np.int64), counts, np.concatenate(parts))


def merged(streams: Sequence[Iterator[Messages]]) -> Iterator[Messages]:
    """Yield the messages of all streams in time order; at one time in the order of the streams.

    No more is held than one piece of each stream.
    """
    waiting = [(i, stream, first) for i, stream in enumerate(streams) if (first := _next(stream)) is not None]
    while len(waiting) > 1:
        horizon_ns = min(int(piece.times_ns[-1]) for _, _, piece in waiting)
        taken: list[Messages] = []
        left: list[tuple[int, Iterator[Messages], Messages]] = []
        for i, stream, piece in waiting:
            # What another stream tells at the horizon itself may go on in its next piece: one piece ends there.
            count = int(np.searchsorted(piece.times_ns, horizon_ns, side="right"))
            if count:
                taken.append(piece.part(0, count))
            following = piece.part(count, len(piece.times_ns)) if count < len(piece.times_ns) else _next(stream)
            if following is not None:
                left.append((i, stream, following))
        waiting = left
        yield _in_order(taken)
    for _, stream, piece in waiting:
        yield piece
        yield from stream


def _next(stream: Iterator[Messages]) -> Messages | None:
    for piece in stream:
        if len(piece.times_ns):
            return piece
    return None


def _in_order(pieces: Sequence[Messages]) -> Messages:
    if len(pieces) == 1:
        return pieces[0]
    times_ns = np.concatenate([piece.times_ns for piece in pieces])
    counts = np.concatenate([np.diff(piece.ends, prepend=0) for piece in pieces])
    rows = np.concatenate([piece.rows for piece in pieces])
    starts = np.cumsum(counts) - counts
    order = np.argsort(times_ns, kind="stable")
    counts = counts[order]
    ends = np.cumsum(counts)
    places = np.repeat(starts[order] - (ends - counts), counts) + np.arange(len(rows))
    ordered = rows[places]
    ordered.flags.writeable = False
    return Messages(times_ns[order], ends, ordered)


EMPTY = Messages(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, DELTA))
"""No message at all."""


def silence(until_ns: int) -> Messages:
    """Return a piece that says nothing up to a time: what is due by then happens, and nothing is heard."""
    return Messages(np.array([until_ns], np.int64), np.zeros(1, np.int64), EMPTY.rows)
