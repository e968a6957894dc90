"""Recordings as delta rows: small files by hand, the simulator's changes as oracle, and recorded books rebuilt."""

import itertools
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recordings import recording

from bot.market.delta import DELTA, DEPTH_ASK, DEPTH_BID, DEPTH_DELETE, END_DEPTH, END_SPOT, SPOT_ASK, SPOT_BID
from bot.research import recordings
from bot.research.shaped_depth import DepthShaper
from bot.research.streams import Batch, change_batches, depth_batches, shape_table, tick_batches
from bot.sim.change import Change, Quote
from bot.sim.listing import FX, recorded_symbol
from bot.sim.playback import Clock
from bot.sim.shape import Shape, built_in_shapes, ticks

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

EURUSD = recorded_symbol("EURUSD", 5, FX)
Rows = list[tuple[int, ...]]


def _write(path: Path, **columns: Any) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


def _plain(batches: Iterable[Batch]) -> list[tuple[int, Rows]]:
    return [(recv_ns, [tuple(map(int, row)) for row in rows]) for recv_ns, rows in batches]


def test_a_change_becomes_a_spot_message_and_then_a_depth_message_deletions_first() -> None:
    changes = [
        Change(5, 1, 100, None, (Quote(8, True, 90, 3), Quote(9, False, 110, 4)), (7,)),
        Change(6, 1),  # nothing happened: no batch
        Change(7, 1, None, 111),
    ]
    assert _plain(change_batches(changes, symbol=2)) == [
        (
            5,
            [
                (SPOT_BID, 2, 0, 100, 0),
                (END_SPOT, 2, 0, 0, 0),
                (DEPTH_DELETE, 2, 7, 0, 0),
                (DEPTH_BID, 2, 8, 90, 3),
                (DEPTH_ASK, 2, 9, 110, 4),
                (END_DEPTH, 2, 0, 0, 0),
            ],
        ),
        (7, [(SPOT_ASK, 2, 0, 111, 0), (END_SPOT, 2, 0, 0, 0)]),
    ]


def test_an_order_book_recording_keeps_its_times_and_a_returning_level_gets_a_fresh_id(tmp_path: Path) -> None:
    rows = [
        (0, 1_000, 0, 0, 100.0, 0.001, 1),
        (1, 2_000, 1, 0, 100.0, 0.0, 2),
        (2, 2_500, 2, 0, 100.0, 1.0, 2),
        (2, 2_500, 2, 1, 100.5, 1.0, 2),
        (3, 2_400, 1, 0, 100.0, 0.002, 3),  # a stamp that runs backwards is held back
    ]
    names = ("seq", "ts_recv_ns", "kind", "side", "price", "qty", "update_id")
    path = _write(tmp_path / "l2_x_events.parquet", **dict(zip(names, zip(*rows, strict=True), strict=True)))
    batches = _plain(depth_batches(path, 0, size_scale=1e5))
    assert [recv_ns for recv_ns, _ in batches] == [1_000, 2_000, 2_500, 2_500]
    first, deleted, spot, again = (rows for _, rows in batches)
    assert first[0][3:] == (10_000_000, 10_000), "0.001 coin at a scale of 1e5, in cents"
    assert deleted == [(DEPTH_DELETE, 0, first[0][2], 0, 0), (END_DEPTH, 0, 0, 0, 0)]
    assert [row[0] for row in spot] == [SPOT_BID, SPOT_ASK, END_SPOT]
    assert again[0][0] == DEPTH_BID and again[0][2] != first[0][2]


def test_ticks_tell_only_the_sides_that_moved(tmp_path: Path) -> None:
    path = _write(tmp_path / "fx.parquet", ts_us=[1, 2, 3, 4], bid=[1.1, 1.1, 1.1, 1.2], ask=[1.2, 1.3, 1.3, 1.4])
    bid, ask, end = (SPOT_BID, 1, 0, 110_000, 0), (SPOT_ASK, 1, 0, 120_000, 0), (END_SPOT, 1, 0, 0, 0)
    assert _plain(tick_batches(path, 1)) == [
        (1_000, [bid, ask, end]),
        (2_000, [(SPOT_ASK, 1, 0, 130_000, 0), end]),
        (4_000, [(SPOT_BID, 1, 0, 120_000, 0), (SPOT_ASK, 1, 0, 140_000, 0), end]),
    ]


def test_batches_are_read_only_rows_of_the_decoders_form(tmp_path: Path) -> None:
    path = _write(tmp_path / "fx.parquet", ts_us=[1], bid=[1.1], ask=[1.2])
    for _, rows in [*tick_batches(path, 0), *change_batches([Change(5, 1, 100)], 0)]:
        assert rows.dtype == DELTA
        with pytest.raises(ValueError, match="read-only"):
            rows["kind"] = 0


def _walk(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Ticks that move a little, stand still, lock and cross."""
    random = np.random.default_rng(9)
    bid_e5 = 110_000 + np.cumsum(random.integers(-2, 3, count) * (random.random(count) < 0.7))
    return bid_e5, bid_e5 + random.integers(-1, 6, count)


def _shapes() -> Iterator[Shape]:
    """Two shapes in turn, so that sizes change where levels do not; then one twice, so that nothing changes."""
    (one,) = itertools.islice(built_in_shapes(), 1)
    other = one._replace(bid_sizes=one.bid_sizes[::-1], ask_distances=tuple(x * 1.5 for x in one.ask_distances))
    return itertools.cycle([one, other, other])


def test_shaped_depth_is_what_the_simulator_tells_row_by_row_over_batch_edges(tmp_path: Path) -> None:
    bid_e5, ask_e5 = _walk(9_000)  # more than one batch of the reader
    # The first tick of the reader's second batch moves nothing, so what it tells shows what was remembered.
    bid_e5[8_192], ask_e5[8_192] = bid_e5[8_191], ask_e5[8_191]
    stamps = np.arange(9_000) // 2
    path = _write(tmp_path / "fx.parquet", ts_us=stamps, bid=bid_e5 / 1e5, ask=ask_e5 / 1e5)
    columns = recordings.load(path, recordings.TICK_COLUMNS)
    oracle = change_batches(ticks(iter([columns]), EURUSD, _shapes(), 1_000, Clock(0, 1.0)), 4)
    # The table repeats what the iterator repeats.
    ours = tick_batches(path, 4, EURUSD, shape_table(_shapes(), 3), 1_000)
    for (_, expected), (recv_ns, rows) in zip(oracle, ours, strict=True):
        assert np.array_equal(rows, expected)
        assert recv_ns % 1_000 == 0


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 39), max_size=6).map(sorted))
def test_where_a_chunk_ends_makes_no_difference(cuts: list[int]) -> None:
    bid_e5, ask_e5 = _walk(40)
    table = shape_table(_shapes(), 3)

    def told(edges: list[int]) -> list[Rows]:
        shaper = DepthShaper(EURUSD, table, 0, 1_000)
        kinds: list[Rows] = [[], [], []]
        for start, end in itertools.pairwise(edges):
            if start < end:
                for rows, (part, counts) in zip(kinds, shaper.parts(bid_e5[start:end], ask_e5[start:end]), strict=True):
                    assert len(part) == counts.sum()
                    rows += [tuple(map(int, row)) for row in part]
        return kinds

    assert told([0, *cuts, 40]) == told([0, 40])


def test_a_level_without_a_positive_price_is_not_there(tmp_path: Path) -> None:
    path = _write(tmp_path / "fx.parquet", ts_us=[1], bid=[0.00002], ask=[0.00004])
    ((_, rows),) = tick_batches(path, 0, EURUSD, shape_table(built_in_shapes(), 1), 1_000)
    bids = rows[rows["kind"] == DEPTH_BID]
    assert len(bids) == 1 and bids["price_e5"].tolist() == [2]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["coinm_BTCUSD_PERP", "spot_BTCUSDT", "usdm_BTCUSDT"])
def test_a_recorded_book_rebuilt_from_rows_has_the_levels_of_its_snapshots(name: str) -> None:
    """The snapshots were made by another program, with its own rules for the first snapshot and the early messages."""
    scale = 1.0 if name.startswith("coinm") else 1e5
    ladders = recordings.ladders_of_snapshots(
        recordings.load(recording(f"l2_binance_{name}_book20.parquet"), recordings.SNAPSHOT_COLUMNS)
    )
    expected = zip(ladders.time_ns.tolist(), ladders.bid, ladders.bid_size, ladders.ask, ladders.ask_size, strict=True)
    quotes: dict[int, tuple[int, int, int]] = {}
    compared = 0
    snapshot = next(expected)
    for recv_ns, rows in depth_batches(recording(f"l2_binance_{name}_events.parquet"), 0, scale):
        if rows["kind"][-1] != END_DEPTH:
            continue
        for kind, _, quote_id, price_e5, size_cents in rows.tolist():
            if kind == DEPTH_DELETE:
                del quotes[quote_id]
            elif kind != END_DEPTH:
                quotes[quote_id] = (kind, price_e5, size_cents)
        # Messages that change nothing make no batch, but the snapshots hold them: they repeat the one before.
        while snapshot is not None and snapshot[0] < recv_ns:
            snapshot = next(expected, None)
        if snapshot is None or snapshot[0] != recv_ns or compared >= 3_000:
            continue
        compared += 1
        if compared % 10 == 0:
            for kind, prices, sizes in ((DEPTH_BID, *snapshot[1:3]), (DEPTH_ASK, *snapshot[3:5])):
                side = sorted(((p, s) for k, p, s in quotes.values() if k == kind), reverse=kind == DEPTH_BID)[:20]
                assert [price for price, _ in side] == np.rint(prices * 1e5).astype(int).tolist()
                # The snapshots hold sizes in single precision.
                assert [size for _, size in side] == pytest.approx(sizes * scale * 100, rel=1e-6)
    assert compared >= 3_000


@pytest.mark.slow
def test_a_month_of_ticks_is_streamed_whole_and_in_order() -> None:
    path = recording("fx_oanda_XAUUSD_2014-05.parquet")
    last_ns, batches, bid_e5 = 0, 0, math.nan
    for recv_ns, rows in tick_batches(path, 0):
        assert recv_ns >= last_ns
        last_ns, batches = recv_ns, batches + 1
        if rows["kind"][0] == SPOT_BID:
            bid_e5 = int(rows["price_e5"][0])
    columns = recordings.load(path, recordings.TICK_COLUMNS)
    changed = (np.diff(columns["bid"]) != 0) | (np.diff(columns["ask"]) != 0)
    assert batches == 1 + np.count_nonzero(changed)
    assert bid_e5 == round(columns["bid"][-1] * 1e5)
