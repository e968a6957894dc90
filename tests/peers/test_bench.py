"""The bench runs, prints every row, and its stream is what it says: deterministic, uncrossed, unique ids."""

import importlib.util
import json
import subprocess
import sys
from array import array
from collections import Counter
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

import pytest
from bench_peers import report
from bench_peers.environments import ENVIRONMENTS, ROOT, in_one_line
from bench_peers.stream import ADD, ASK, BID, DELETE, LEVELS, RESIZE, events, write_stream
from bench_peers.timing import cut_frames

from bot.ctrader.framing import FrameReader
from bot.ctrader.inbound import read_frame

COUNT = 1_000


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    """The script as a module."""
    loader = SourceFileLoader("bench_script", str(ROOT / "scripts" / "bench"))
    spec = importlib.util.spec_from_loader("bench_script", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


@pytest.mark.slow
def test_a_quick_run_without_peers_prints_every_row(tmp_path: Path) -> None:
    result = tmp_path / "result.json"
    command = [sys.executable, str(ROOT / "scripts" / "bench"), "--quick", "--no-peers", "--json", str(result)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    for line in report.LINES:
        assert f"| {line.work} | {report.NAMES[line.side]} | {line.does} |" in done.stdout
    for what in report.LATENCIES.values():
        assert f"| {what} |" in done.stdout
    results = json.loads(result.read_text(encoding="utf-8"))
    assert all(row["median_us"] > 0 for row in results["rows"] if row["side"] == report.OURS)
    assert {row.get("missing") for row in results["rows"] if row["side"] != report.OURS} == {"left out: --no-peers"}
    assert all(row["p99_us"] >= row["p50_us"] > 0 and row["count"] >= 20 for row in results["latencies"])


def test_the_stream_is_the_same_every_time_and_another_with_another_seed(tmp_path: Path) -> None:
    written = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        (tmp_path / name).mkdir()
        written.append([path.read_bytes() for path in write_stream(tmp_path / name, COUNT, seed)])
    assert written[0] == written[1]
    assert written[0][0] != written[2][0] and written[0][1] != written[2][1]


def test_the_wire_and_the_decoded_changes_of_an_event_say_the_same() -> None:
    for data, changes, symbol in events(COUNT):
        (body,) = FrameReader().receive(data)
        _, event, _ = read_frame(body)
        assert event.symbolId == symbol + 1
        if changes is not None:
            assert list(event.deletedQuotes) == [c[2] for c in changes if c[0] == DELETE]
            new = [(ASK if q.ask else BID, q.id, q.ask or q.bid, q.size) for q in event.newQuotes]
            assert new == [c[1:] for c in changes if c[0] != DELETE]


def test_every_book_of_the_stream_has_ten_levels_a_side_and_is_never_crossed() -> None:
    books: dict[int, dict[int, tuple[int, int]]] = {}
    used: set[int] = set()
    for _, changes, symbol in events(COUNT):
        quotes = books.setdefault(symbol, {})
        for action, side, quote_id, price_e5, _ in changes or ():
            if action == DELETE:
                assert quotes.pop(quote_id) == (side, price_e5)
                continue
            assert (quote_id in quotes) == (action == RESIZE)
            if action == ADD:
                assert quote_id not in used
                used.add(quote_id)
            quotes[quote_id] = (side, price_e5)
            bids, asks = ([price for s, price in quotes.values() if s == each] for each in (BID, ASK))
            assert not bids or not asks or max(bids) < min(asks)
        prices = Counter(quotes.values())
        assert set(prices.values()) == {1}
        assert [side for side, _ in prices].count(BID) == LEVELS == len(quotes) - LEVELS


def test_a_third_of_the_events_are_spots_and_a_depth_event_changes_six_quotes() -> None:
    found = [changes for _, changes, _ in events(COUNT)][6:]  # the first six are whole books
    assert found.count(None) == pytest.approx(COUNT / 3, abs=2)
    assert {tuple(sorted(Counter(c[0] for c in changes).items())) for changes in found if changes} == {
        ((ADD, 2), (RESIZE, 2), (DELETE, 2))
    }


@pytest.mark.parametrize("frames_each", [1, 7, 64])
def test_deliveries_hold_whole_frames_and_all_of_them(frames_each: int) -> None:
    data = b"".join(frame for frame, _, _ in events(100))
    deliveries = cut_frames(data, frames_each)
    assert b"".join(deliveries) == data
    counts = [len(FrameReader().receive(delivery)) for delivery in deliveries]
    assert sum(counts) == 100 and set(counts[:-1]) <= {frames_each}


@pytest.mark.parametrize(
    ("theirs", "agrees", "says"),
    [
        ([0.1, 0.2], True, "exactly"),
        ([0.1, 0.2 + 1e-16], True, "rounding"),
        ([0.1, 0.2 + 1e-9], False, "DISAGREES"),
        ([0.1, float("nan")], False, "DISAGREES"),
        ([0.1], False, "DISAGREES"),
        ([], False, "DISAGREES"),
    ],
)
def test_a_side_that_did_other_work_is_found(
    bench: ModuleType, tmp_path: Path, theirs: list[float], agrees: bool, says: str
) -> None:
    for name, figures in ((report.OURS, [0.1, 0.2]), ("sdk", theirs)):
        (tmp_path / f"{name}.figures").write_bytes(array("d", figures).tobytes())
    found, words = bench.agreement(tmp_path, "sdk")
    assert found == agrees and says in words


def test_times_ours_is_the_ratio_of_medians_within_the_run() -> None:
    measured = {report.OURS: {"decode": [1.0, 2.0, 9.0]}, "sdk": {"decode": [30.0, 20.0, 10.0]}}
    rows = report.summarised(measured, {"nautilus": "not installed: no wheel"})
    sdk = next(row for row in rows if row["side"] == "sdk" and row["row"] == "decode")
    assert (sdk["times_ours"], sdk["median_us"], sdk["min_us"], sdk["max_us"]) == (10.0, 20.0, 10.0, 30.0)
    nautilus = next(row for row in rows if row["side"] == "nautilus")
    assert nautilus["missing"] == "not installed: no wheel" and "times_ours" not in nautilus


def test_a_document_is_renewed_between_its_markers_and_nowhere_else() -> None:
    document = f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n"
    assert report.written_into(document, "new\n") == f"before\n{report.BEGIN}\n\nnew\n\n{report.END}\nafter\n"
    with pytest.raises(ValueError, match="needs the lines"):
        report.written_into("no markers", "new")


def test_a_reason_names_no_address_and_no_folder() -> None:
    words = in_one_line("error: Failed to fetch\n  https://registry.example/simple/x/ into `/home/me/.cache/uv/x.whl`")
    assert "example" not in words and "/home" not in words and "Failed to fetch" in words


def test_the_overridden_sdk_differs_in_protobuf_only() -> None:
    pinned, overridden = (ENVIRONMENTS[name].requirements().splitlines() for name in ("sdk", "sdk-upb"))
    differing = [pair for pair in zip(pinned, overridden, strict=True) if pair[0] != pair[1]]
    assert [pair[0].partition("==")[0] for pair in differing] == ["protobuf"]
