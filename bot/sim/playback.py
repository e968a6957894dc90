"""Recorded rows to changes of a market: order-book events, book snapshots, best quotes.

How it works: arrays come in batches; prices and sizes are scaled for a whole batch at once, then rows that share a
message (or a stamp) become one change. A price level gets a fresh quote id when it appears, keeps it while it stands,
and loses it when it goes, because the recordings know levels and the protocol knows ids.
"""

import itertools
from collections.abc import Iterable, Iterator

import numpy as np

from bot.sim.change import Change, Quote

Columns = dict[str, np.ndarray]

_SNAPSHOT, _DEPTH, _BEST = 0, 1, 2


class Clock:
    """Maps recorded time to venue time: the first stamp seen is `start_ns`, later ones are `speed` times as dense."""

    def __init__(self, start_ns: int, speed: float) -> None:
        self._start_ns, self._speed = start_ns, speed
        self._zero_ns: int | None = None

    def venue_times(self, recorded_ns: np.ndarray) -> list[int]:
        """Return venue times for a batch of recorded ones, never running backwards within the batch."""
        if self._zero_ns is None:
            self._zero_ns = int(recorded_ns[0])
        elapsed = np.maximum.accumulate(recorded_ns - self._zero_ns)
        if self._speed != 1.0:
            elapsed = (elapsed / self._speed).astype(np.int64)
        times: list[int] = (elapsed + self._start_ns).tolist()
        return times


class LevelIds:
    """Quote ids of price levels, and the wire form of their changes.

    A level is known by its key, price_e5 * 2 + side (0 bid, 1 ask): one integer is much cheaper to look up than a pair.
    """

    def __init__(self, symbol_id: int) -> None:
        self._ids: dict[int, int] = {}
        self._next_id = symbol_id * 1_000_000_000 + 1

    def changed(self, keys: Iterable[int], sizes_cents: Iterable[int]) -> tuple[tuple[Quote, ...], tuple[int, ...]]:
        """Return new quotes and deleted ids for levels with new sizes (0: the level is gone)."""
        ids = self._ids
        new: list[Quote] = []
        deleted: list[int] = []
        for key, size_cents in zip(keys, sizes_cents, strict=True):
            if size_cents:
                quote_id = ids.get(key)
                if quote_id is None:
                    quote_id = ids[key] = self._next_id
                    self._next_id += 1
                new.append(Quote(quote_id, not key & 1, key >> 1, size_cents))
            elif key in ids:
                deleted.append(ids.pop(key))
        return tuple(new), tuple(deleted)

    def replaced(self, before: dict[int, int], now: dict[int, int]) -> tuple[tuple[Quote, ...], tuple[int, ...]]:
        """Return what turns one whole book (size by key) into another."""
        changes = dict.fromkeys(sorted(before.keys() - now.keys()), 0)
        changes |= {key: size for key, size in now.items() if before.get(key) != size}
        return self.changed(changes.keys(), changes.values())

    def standing(self) -> list[int]:
        """Return the key of every level that has an id."""
        return list(self._ids)


def to_e5(prices: np.ndarray) -> np.ndarray:
    """Return prices in 1/100000. Missing: 0 where the price is NaN."""
    scaled: np.ndarray = np.rint(np.nan_to_num(prices) * 100_000).astype(np.int64)
    return scaled


def to_cents(sizes: np.ndarray) -> np.ndarray:
    """Return sizes in 0.01 unit: at least 1 for anything there is, 0 for nothing or NaN."""
    sizes = np.nan_to_num(sizes)
    cents: np.ndarray = np.where(sizes > 0, np.maximum(1, np.rint(sizes * 100)), 0).astype(np.int64)
    return cents


class _SpotSide:
    """Remembers a spot price and tells only changes."""

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last: int | None = None

    def moved(self, price_e5: int | None) -> int | None:
        if price_e5 is None or price_e5 == self._last:
            return None
        self._last = price_e5
        return price_e5


def whole_messages(batches: Iterator[Columns], name: str) -> Iterator[tuple[Columns, list[int]]]:
    """Yield batches cut between messages, with the row at which each message begins and the row count at the end.

    Rows that share the number in column `name` are one message; the last of a batch may go on in the next one.
    """
    kept: Columns | None = None
    for batch in batches:
        if kept is not None:
            batch = {column: np.concatenate([kept[column], batch[column]]) for column in batch}
        starts = [0, *(np.flatnonzero(np.diff(batch[name])) + 1).tolist()]
        kept = {column: rows[starts[-1] :] for column, rows in batch.items()}
        if len(starts) > 1:
            yield {column: rows[: starts[-1]] for column, rows in batch.items()}, starts
    if kept is not None:
        yield kept, [0, len(kept[name])]


def depth_events(batches: Iterator[Columns], symbol_id: int, clock: Clock) -> Iterator[Change]:
    """Yield the changes of an order-book recording.

    Depth messages before the snapshot cannot be applied alone: they are kept, and those whose update id is at least
    the snapshot's are applied right after it, as one change with it. One message is one change.
    Source: `l2_*_events`: kind 0 snapshot level, 1 depth level, 2 best quote, 3 trade; quantity 0 removes a level.
    """
    ids = LevelIds(symbol_id)
    spots = (_SpotSide(), _SpotSide())
    early: list[tuple[int, list[int], list[int]]] = []
    snapshot_id: int | None = None
    for batch, bounds in whole_messages(batches, "seq"):
        times, kinds = clock.venue_times(batch["ts_recv_ns"]), batch["kind"].tolist()
        prices_e5 = to_e5(batch["price"])
        keys, sizes = (prices_e5 * 2 + batch["side"]).tolist(), to_cents(batch["qty"]).tolist()
        update_ids = batch["update_id"].tolist()
        for start, end in itertools.pairwise(bounds):
            kind = kinds[start]
            if kind == _BEST:
                moved = dict.fromkeys((0, 1)) | {key & 1: spots[key & 1].moved(key >> 1) for key in keys[start:end]}
                if moved[0] is not None or moved[1] is not None:
                    yield Change(times[start], symbol_id, moved[0], moved[1])
                continue
            if kind == _DEPTH and snapshot_id is None:
                early.append((update_ids[start], keys[start:end], sizes[start:end]))
                continue
            if kind == _SNAPSHOT:
                snapshot_id = update_ids[start]
                levels = dict.fromkeys(ids.standing(), 0) | dict(zip(keys[start:end], sizes[start:end], strict=True))
                for update_id, early_keys, early_sizes in early:
                    if update_id >= snapshot_id:
                        levels |= dict(zip(early_keys, early_sizes, strict=True))
                early.clear()
                new, deleted = ids.changed(levels.keys(), levels.values())
            elif kind == _DEPTH and snapshot_id is not None and update_ids[start] >= snapshot_id:
                new, deleted = ids.changed(keys[start:end], sizes[start:end])
            else:
                continue
            if new or deleted:
                yield Change(times[start], symbol_id, None, None, new, deleted)


def snapshots(batches: Iterator[Columns], symbol_id: int, clock: Clock) -> Iterator[Change]:
    """Yield the changes between successive snapshots of the best 20 levels; spot prices are the best of them.

    Source: `l2_*_book20`: bp0..19, bq0..19, ap0..19, aq0..19, best first, NaN where there are fewer.
    """
    ids = LevelIds(symbol_id)
    bid, ask = _SpotSide(), _SpotSide()
    before: dict[int, int] = {}
    sides = np.repeat([0, 1], 20)
    for batch in batches:
        prices = to_e5(np.stack([batch[f"{side}p{level}"] for side in "ba" for level in range(20)], axis=1))
        sizes = to_cents(np.stack([batch[f"{side}q{level}"] for side in "ba" for level in range(20)], axis=1)).tolist()
        times, best = clock.venue_times(batch["ts_recv_ns"]), prices[:, [0, 20]].tolist()
        for time_ns, row_keys, row_sizes, (best_bid, best_ask) in zip(
            times, (prices * 2 + sides).tolist(), sizes, best, strict=True
        ):
            now = {key: size for key, size in zip(row_keys, row_sizes, strict=True) if key > 1 and size > 0}
            new, deleted = ids.replaced(before, now)
            before = now
            moved_bid, moved_ask = bid.moved(best_bid or None), ask.moved(best_ask or None)
            if new or deleted or moved_bid is not None or moved_ask is not None:
                yield Change(time_ns, symbol_id, moved_bid, moved_ask, new, deleted)


def best_quotes(batches: Iterator[Columns], symbol_id: int, clock: Clock) -> Iterator[Change]:
    """Yield the changes of a best-quote recording: a book of one level a side, spot prices the same.

    Rows of one stamp are one change, the last of a side counts; rows marked suspicious are left out.
    Source: `l1_*_quotes`: side 0 bid, 1 ask; size in shares.
    """
    ids = LevelIds(symbol_id)
    spots = (_SpotSide(), _SpotSide())
    before: dict[int, int] = {}
    for batch, bounds in whole_messages(_trustworthy(batches), "ts_us"):
        times = clock.venue_times(batch["ts_us"] * 1_000)
        keys = (to_e5(batch["px"]) * 2 + batch["side"]).tolist()
        sizes = to_cents(batch["size"]).tolist()
        for start, end in itertools.pairwise(bounds):
            last = {key & 1: (key, size) for key, size in zip(keys[start:end], sizes[start:end], strict=True)}
            now = {key: size for key, size in before.items() if key & 1 not in last} | dict(last.values())
            new, deleted = ids.replaced(before, now)
            before = now
            moved = [spots[side].moved(last[side][0] >> 1 if side in last else None) for side in (0, 1)]
            if new or deleted:
                yield Change(times[start], symbol_id, moved[0], moved[1], new, deleted)


def _trustworthy(batches: Iterator[Columns]) -> Iterator[Columns]:
    for batch in batches:
        good = batch["suspicious"] == 0
        if good.any():
            yield {name: column[good] for name, column in batch.items()}
