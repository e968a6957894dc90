"""Our top-5 imbalance of a recorded market equals that of NautilusTrader's order book, after every event.

How it works: our book gets the recording as the venue plays it, with quote ids made up for price levels. The other book
gets it twice: once keyed by the same ids (L3), and once keyed by price (L2) from the file itself, read here without any
of our code, so that the making of ids is tested, too. The other book runs in an environment of its own.
Equal means to float rounding, 1e-12: our sums are whole numbers, that book hands out each size as a rounded double.
"""

import os
import subprocess
from collections.abc import Iterator
from itertools import groupby, islice
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest
from bench_peers.environments import ENVIRONMENTS, ROOT, NotInstalled, installed
from bench_peers.stream import ADD, ASK, BID, CHANGE, DELETE, RESIZE
from recordings import recording

from bot.market import book
from bot.market.delta import DEPTH_ASK, DEPTH_BID, DEPTH_DELETE, END_DEPTH, delta_rows
from bot.market.evaluator import Evaluator, EvaluatorSettings
from bot.sim.change import Change
from bot.sim.recording import open_recording

pytestmark = pytest.mark.slow

RECORDING = "l2_binance_usdm_BTCUSDT_events.parquet"
EVENTS = 4_000
SNAPSHOT, DEPTH = 0, 1
ROUNDING = 1e-12


@pytest.fixture(scope="module")
def path() -> Path:
    return recording(RECORDING)


@pytest.fixture(scope="module")
def peer() -> str:
    """The Python that has the other book."""
    try:
        return installed(ENVIRONMENTS["nautilus"])
    except NotInstalled as error:
        if os.environ.get("CI"):
            pytest.fail(f"NautilusTrader is not installed: {error}")
        pytest.skip(f"NautilusTrader is not installed: {error}")


@pytest.fixture(scope="module")
def changes(path: Path) -> list[Change]:
    """The recording's depth as the venue plays it."""
    depth = (change for change in open_recording(str(path)).changes(1, 1.0) if change.new or change.deleted)
    return list(islice(depth, EVENTS))


@pytest.fixture(scope="module")
def ours(changes: list[Change]) -> np.ndarray:
    """Our imbalance after each event."""
    evaluator = Evaluator(np.array([1.0]), EvaluatorSettings())
    found = []
    for number, change in enumerate(changes):
        rows = [(DEPTH_DELETE, 0, quote_id, 0, 0) for quote_id in change.deleted]
        rows += [(DEPTH_BID if q.is_bid else DEPTH_ASK, 0, q.quote_id, q.price_e5, q.size_cents) for q in change.new]
        evaluator.receive(delta_rows([*rows, (END_DEPTH, 0, 0, 0, 0)]), number + 1)
        bid, ask = (int(book.levels(evaluator.books, side, 0)[1][:5].sum()) for side in (book.BID, book.ASK))
        found.append((bid - ask) / (bid + ask))
    return np.array(found)


def by_id(changes: list[Change]) -> Iterator[tuple[int, ...]]:
    """Yield the changes of quotes; a deletion names side and price, which the other book wants to be told."""
    known: dict[int, tuple[int, int]] = {}
    for number, change in enumerate(changes):
        for quote_id in change.deleted:
            side, price_e5 = known.pop(quote_id)
            yield number, 0, DELETE, side, quote_id, price_e5, 0
        for quote in change.new:
            side = BID if quote.is_bid else ASK
            action = RESIZE if quote.quote_id in known else ADD
            known[quote.quote_id] = (side, quote.price_e5)
            yield number, 0, action, side, quote.quote_id, quote.price_e5, quote.size_cents


def by_price(path: Path) -> Iterator[tuple[int, ...]]:
    """Yield the changes of price levels, from the file.

    Depth before the snapshot counts when it is not older than that, and is one event with it. Source: the recording's
    own description. A message that only deletes levels which are not there is no event.
    """
    columns = ["seq", "kind", "side", "price", "qty", "update_id"]
    rows = zip(*pyarrow.parquet.read_table(path, columns=columns).to_pydict().values(), strict=True)
    standing: set[tuple[int, int]] = set()
    early: list[tuple[int, list[tuple[int, int, int]]]] = []
    snapshot_id, number = None, -1
    for _, message in groupby(rows, key=lambda row: row[0]):
        parts = list(message)
        kind, update_id = parts[0][1], parts[0][5]
        levels = [(side, round(price * 100_000), _cents(qty)) for _, _, side, price, qty, _ in parts]
        if kind == SNAPSHOT:
            snapshot_id = update_id
            for early_id, more in early:
                levels += more if early_id >= snapshot_id else []
        elif kind != DEPTH or (snapshot_id is not None and update_id < snapshot_id):
            continue
        elif snapshot_id is None:
            early.append((update_id, levels))
            continue
        levels = [level for level in levels if level[2] or level[:2] in standing]
        number += bool(levels)
        if number == EVENTS:
            return
        for side, price_e5, size_cents in levels:
            action = DELETE if not size_cents else RESIZE if (side, price_e5) in standing else ADD
            if action == DELETE and (side, price_e5) not in standing:
                continue
            (standing.discard if action == DELETE else standing.add)((side, price_e5))
            yield number, 0, action, side, 2 * price_e5 + side, price_e5, size_cents


def _cents(quantity: float) -> int:
    return max(1, round(quantity * 100)) if quantity > 0 else 0


def imbalances_of(peer: str, kind: str, rows: Iterator[tuple[int, ...]], folder: Path) -> np.ndarray:
    """Return the other book's imbalances."""
    np.save(folder / "changes.npy", np.array(list(rows), CHANGE))
    command = [peer, "-m", "bench_peers.nautilus_side", "--book", kind, "--repetitions", "0"]
    command += ["--changes", str(folder / "changes.npy"), "--figures", str(folder / "figures")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "scripts")}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return np.fromfile(folder / "figures")


def test_our_imbalance_equals_that_of_a_book_keyed_by_the_same_ids(
    peer: str, changes: list[Change], ours: np.ndarray, tmp_path: Path
) -> None:
    theirs = imbalances_of(peer, "L3_MBO", by_id(changes), tmp_path)
    assert len(theirs) == len(ours) == EVENTS
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=ROUNDING)


def test_our_imbalance_equals_that_of_a_book_keyed_by_price_and_fed_from_the_file_itself(
    peer: str, path: Path, ours: np.ndarray, tmp_path: Path
) -> None:
    theirs = imbalances_of(peer, "L2_MBP", by_price(path), tmp_path)
    assert len(theirs) == len(ours) == EVENTS
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=ROUNDING)


def test_the_recording_moves_the_imbalance_enough_to_tell_books_apart(ours: np.ndarray) -> None:
    assert len(np.unique(ours)) > EVENTS / 2
    assert ours.min() < -0.5 and ours.max() > 0.5
