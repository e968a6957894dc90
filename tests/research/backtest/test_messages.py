"""Messages in arrays: merged as a heap would, cut, and books that are followed from them or from objects alike."""

import heapq
from collections.abc import Iterator
from operator import itemgetter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from recordings import recording

from bot.market.delta import DELTA, DEPTH_BID, END_DEPTH
from bot.research.backtest.messages import Messages, collected, merged
from bot.research.backtest.venue_books import VenueBooks
from bot.research.depth_messages import depth_messages
from bot.research.recordings import EVENT_COLUMNS
from bot.research.streams import Batch, depth_batches
from bot.sim.recording import column_batches

times = st.lists(st.integers(0, 60), max_size=25).map(sorted)


def _batches(symbol: int, stamps: list[int]) -> list[Batch]:
    batches = []
    for i, stamp in enumerate(stamps):
        rows = np.zeros(1 + (i + symbol) % 3, DELTA)
        rows["symbol"], rows["quote_id"], rows["kind"] = symbol, 100 * symbol + i, DEPTH_BID
        rows["kind"][-1] = END_DEPTH
        batches.append((stamp, rows))
    return batches


def _plain(pieces: Iterator[Messages]) -> list[tuple[int, int, list[int]]]:
    told = []
    for piece in pieces:
        assert not piece.rows.flags.writeable
        start = 0
        for time_ns, end in zip(piece.times_ns.tolist(), piece.ends.tolist(), strict=True):
            rows = piece.rows[start:end]
            told.append((time_ns, int(rows["symbol"][0]), rows["quote_id"].tolist()))
            start = end
        assert start == len(piece.rows)
    return told


@given(st.lists(times, min_size=1, max_size=4), st.integers(1, 7))
def test_merged_streams_are_what_a_heap_makes_of_them(stamps: list[list[int]], size: int) -> None:
    streams = [_batches(s, each) for s, each in enumerate(stamps)]
    expected = [
        (stamp, int(rows["symbol"][0]), rows["quote_id"].tolist())
        for stamp, rows in heapq.merge(*streams, key=itemgetter(0))
    ]
    found = _plain(merged([collected(iter(stream), size) for stream in streams]))
    # Within one time the streams may take turns; each keeps its own order, and no time runs backwards.
    assert [stamp for stamp, _, _ in found] == [stamp for stamp, _, _ in expected]
    assert sorted(found) == sorted(expected)
    for s in range(len(streams)):
        assert [f for f in found if f[1] == s] == [e for e in expected if e[1] == s]


@given(times.filter(bool), st.data())
def test_a_part_is_its_messages_and_nothing_else(stamps: list[int], data: st.DataObject) -> None:
    (piece,) = collected(iter(_batches(1, stamps)), 1_000)
    first = data.draw(st.integers(0, len(stamps)))
    last = data.draw(st.integers(first, len(stamps)))
    assert _plain(iter([piece.part(first, last)])) == _plain(iter([piece]))[first:last]


def test_symbols_are_renamed_and_nothing_else() -> None:
    (piece,) = collected(iter(_batches(1, [1, 2, 3])), 10)
    renamed = piece.of_symbols(np.array([5, 7], np.int32))
    assert set(renamed.rows["symbol"].tolist()) == {7}
    assert (renamed.rows["quote_id"] == piece.rows["quote_id"]).all()


def _columns(rows: list[tuple[int, int, int, int, float, float, int]], size: int) -> Iterator[dict[str, np.ndarray]]:
    names = ("seq", "ts_recv_ns", "kind", "side", "price", "qty", "update_id")
    kinds = (np.int64, np.int64, np.int64, np.int64, np.float64, np.float64, np.int64)
    for start in range(0, len(rows), size):
        part = rows[start : start + size]
        yield {n: np.array([row[i] for row in part], k) for i, (n, k) in enumerate(zip(names, kinds, strict=True))}


@pytest.mark.parametrize("size", [1, 3, 100])
def test_updates_before_a_snapshot_are_folded_into_it_and_the_last_word_counts(size: int) -> None:
    rows = [
        (1, 10, 1, 0, 100.0, 9.0, 5),  # older than the snapshot
        (2, 20, 1, 0, 99.0, 0.0, 7),  # takes a level of the snapshot away
        (2, 20, 1, 0, 98.0, 4.0, 7),
        (3, 30, 3, 0, 100.5, 1.0, 1),  # a trade
        (4, 40, 0, 0, 100.0, 1.0, 6),
        (4, 40, 0, 0, 99.0, 2.0, 6),
        (4, 40, 0, 1, 101.0, 3.0, 6),
        (5, 50, 2, 0, 100.0, 1.0, 0),
        (5, 50, 2, 1, 101.0, 1.0, 0),
        (6, 60, 2, 0, 100.0, 2.0, 0),  # the same prices again: no news
        (6, 60, 2, 1, 101.0, 2.0, 0),
        (7, 70, 1, 1, 101.0, 0.0, 8),
        (7, 70, 1, 1, 102.0, 5.0, 8),
    ]
    books = VenueBooks(1)
    told = list(depth_messages(_columns(rows, size), 0))
    for piece in told:
        books.take(piece, 0, len(piece.times_ns))
    assert books.levels(0, 0) == [(10_000_000, 100), (9_800_000, 400)]
    assert books.levels(0, 1) == [(10_200_000, 500)]
    assert [t for piece in told for t in piece.times_ns.tolist()] == [40, 50, 70]


@pytest.mark.slow
@pytest.mark.parametrize("venue", ["coinm_BTCUSD_PERP", "spot_BTCUSDT", "usdm_BTCUSDT"])
def test_a_recorded_book_is_the_same_from_arrays_as_from_objects(venue: str) -> None:
    path = recording(f"l2_binance_{venue}_events.parquet")
    ours, theirs = VenueBooks(1), VenueBooks(1)
    columns = column_batches(path, EVENT_COLUMNS | {"update_id"}, 20_000)
    pieces = depth_messages(columns, 0)
    objects = depth_batches(path, 0)
    waiting = next(objects)
    looks = 0
    for piece in pieces:
        ours.take(piece, 0, len(piece.times_ns))
        last_ns = int(piece.times_ns[-1])
        while waiting is not None and waiting[0] <= last_ns:
            (each,) = collected(iter([waiting]))
            theirs.take(each, 0, 1)
            waiting = next(objects, None)  # type: ignore[assignment]
        for side in (0, 1):
            assert ours.levels(0, side) == theirs.levels(0, side)
            assert ours.spot_e5(0, side) == theirs.spot_e5(0, side)
        looks += 1
    assert looks > 10
