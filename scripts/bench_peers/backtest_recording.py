"""The recordings of the backtest bench: the real ones or a synthetic one, and the rows of one as every side gets them.

How it works: our reader decodes a recording once, and its rows are written as plain numbers (`ROW`), a message's rows
one after the other, deletions first. A side makes of them, outside the timing, what it reads.
"""

import os
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from random import Random

import numpy as np

from bot.market.delta import CLEAR_BOOK, DEPTH_ASK, DEPTH_BID, DEPTH_DELETE, END_DEPTH, END_SPOT, SPOT_ASK, SPOT_BID
from bot.research.backtest.messages import Messages
from bot.research.sources import Source, open_sources

ROOT = Path(__file__).resolve().parent.parent.parent
NAMES = tuple(f"l2_binance_{market}_events.parquet" for market in ("coinm_BTCUSD_PERP", "spot_BTCUSDT", "usdm_BTCUSDT"))
SET, DELETE, BEST = range(3)
ROW = np.dtype(
    [
        ("time_ns", np.int64), ("message", np.int64), ("what", np.int64), ("side", np.int64), ("price_e5", np.int64),
        ("size_cents", np.int64),
    ]
)  # fmt: skip
"""A level that is set or deleted, or a best quote. `side` 0 bid, 1 ask. Units: 1/100000 and 0.01 coin."""
_SNAPSHOT, _DEPTH, _BEST = range(3)


def found_recordings() -> list[Path]:
    """Return the real recordings: of the folder in MICROLEV_DATA, else of `shared/data` beside the repository."""
    folder = Path(os.environ.get("MICROLEV_DATA") or ROOT.parent / "shared" / "data")
    return [path for name in NAMES if (path := folder / name).is_file()]


def open_depth(path: Path) -> Source:
    """Return a recording of BTCUSD's depth."""
    (source,) = open_sources([str(path)], ["BTCUSD"])
    return source


def beginning(source: Source, until_ns: int) -> Iterator[Messages]:
    """Yield a source's messages before a time."""
    for piece in takewhile(lambda piece: piece.times_ns[0] < until_ns, source.stream(0, 0)):
        yield piece.part(0, int(np.searchsorted(piece.times_ns, until_ns)))


def plain_rows(pieces: Iterator[Messages]) -> np.ndarray:
    """Return the rows of messages as `ROW`. Raises: ValueError for a second snapshot, which no peer is told here."""
    parts, message = [], 0
    for piece in pieces:
        counts = np.diff(piece.ends, prepend=0)
        numbers = np.repeat(np.arange(message, message + len(counts)), counts)
        message += len(counts)
        rows, kinds = piece.rows, piece.rows["kind"]
        if (kinds == CLEAR_BOOK).any():  # the first snapshot is told as changes
            raise ValueError("a recording with a second snapshot")
        told = (kinds != END_DEPTH) & (kinds != END_SPOT)
        rows, kinds = rows[told], kinds[told]
        part = np.zeros(len(rows), ROW)
        part["time_ns"] = np.repeat(piece.times_ns, counts)[told]
        part["message"] = numbers[told]
        is_best, is_deleted = (kinds == SPOT_BID) | (kinds == SPOT_ASK), kinds == DEPTH_DELETE
        part["what"] = np.where(is_best, BEST, np.where(is_deleted, DELETE, SET))
        part["side"] = np.where((kinds == DEPTH_ASK) | (kinds == SPOT_ASK), 1, 0)
        # A level's quote id is made of its price and side, and a deletion tells nothing else.
        ids = rows["quote_id"].astype(np.int64)
        part["side"][is_deleted] = ids[is_deleted] % 2
        part["price_e5"] = np.where(is_deleted, ids // 2, rows["price_e5"])
        part["size_cents"] = rows["size_cents"]
        assert np.isin(kinds, (SPOT_BID, SPOT_ASK, DEPTH_BID, DEPTH_ASK, DEPTH_DELETE)).all()
        parts.append(part)
    return np.concatenate(parts)


def write_synthetic(path: Path, seconds: int, seed: int = 1) -> None:
    """Write a synthetic recording of the same layout: 40 depth messages a second about a walking price, 300 levels."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    random, tick, levels, mid = Random(seed), 0.1, 300, 500_000
    columns: dict[str, list[float]] = {
        name: [] for name in ("seq", "ts_recv_ns", "ts_exch_ms", "kind", "side", "price", "qty", "update_id")
    }
    start_ns = 1_767_571_200_000_000_000

    def tell(seq: int, time_ns: int, kind: int, side: int, ticks: int, size: float) -> None:
        told = (seq, time_ns, time_ns // 1_000_000, kind, side, round(ticks * tick, 1), size, seq)
        for column, content in zip(columns.values(), told, strict=True):
            column.append(content)

    def size() -> float:
        return random.randint(5, 400) / 100

    for i in range(1, levels + 1):
        tell(0, start_ns, _SNAPSHOT, 0, mid - i, size())
        tell(0, start_ns, _SNAPSHOT, 1, mid + i, size())
    seq = 1
    for step in range(1, seconds * 40):
        time_ns = start_ns + step * 25_000_000 + random.randrange(1_000_000)
        moved = random.choice((-1, 0, 0, 0, 1))
        # The price between the sides moves by a tick: there one side loses its best level, the other wins one.
        if moved:
            tell(seq, time_ns, _DEPTH, int(moved > 0), mid + moved, 0.0)
            tell(seq, time_ns, _DEPTH, int(moved < 0), mid, size())
            mid += moved
        for _ in range(6):
            side, away = random.randrange(2), min(1 + int(random.expovariate(0.05)), levels)
            tell(seq, time_ns, _DEPTH, side, mid + (away if side else -away), size())
        seq += 1
        tell(seq, time_ns, _BEST, 0, mid - 1, size())
        tell(seq, time_ns, _BEST, 1, mid + 1, size())
        seq += 1
    kinds = {"kind": pa.int8(), "side": pa.int8(), "price": pa.float64(), "qty": pa.float64()}
    table = pa.table({name: pa.array(column, kinds.get(name, pa.int64())) for name, column in columns.items()})
    pq.write_table(table, path, compression="zstd")
