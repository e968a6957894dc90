"""The backtest bench prints every row, names a side that decided otherwise; a long run takes no more memory."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from bench_peers import backtest_report
from bench_peers.backtest_bench import disagreement
from bench_peers.backtest_recording import BEST, DELETE, open_depth, plain_rows, write_synthetic
from bench_peers.backtest_rule import FULL_CENTS, aim_cents
from bench_peers.environments import ROOT
from bench_peers.report import OURS, written_into

from bot.market.delta import CLEAR_BOOK, END_DEPTH, delta_rows
from bot.research.backtest.messages import collected


@pytest.mark.slow
def test_a_quick_run_without_peers_prints_every_row(tmp_path: Path) -> None:
    result = tmp_path / "result.json"
    command = [sys.executable, str(ROOT / "scripts" / "bench"), "--backtest", "--quick", "--no-peers"]
    environment = {**os.environ, "MICROLEV_DATA": str(tmp_path)}  # no recordings there: a synthetic one
    done = subprocess.run(
        [*command, "--json", str(result)], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for line in backtest_report.LINES:
        assert f"| {backtest_report.SIDES[line.side]} | {line.does} |" in done.stdout
    assert "a synthetic recording" in done.stdout
    results = json.loads(result.read_text(encoding="utf-8"))
    ours = {row["row"]: row for row in results["rows"] if row["side"] == OURS}
    assert all(row["median"] > 0 for row in ours.values())
    assert {row.get("missing") for row in results["rows"] if row["side"] != OURS} == {"left out: --no-peers"}
    told = results["told"][OURS]
    assert told["rule_1"]["orders"] == told["rule_0"]["orders"] > 5
    assert told["rule_1"]["decisions"] < told["rule_025"]["decisions"] < told["rule_0"]["decisions"]
    assert results["memory"]["marks"][-1]["peak_mb"] > 0


@pytest.mark.slow
def test_a_run_of_eight_days_takes_no_more_memory_than_one_of_two() -> None:
    """Decoded, a day of these ticks is 20 MB: a run that held them all would take 120 MB more."""

    def peak_mb(days: int) -> float:
        command = [sys.executable, "-m", "bench_peers.backtest_memory", "--days", str(days), "--ticks", "20000"]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "scripts"), str(ROOT)])}
        done = subprocess.run(
            [*command, "--span-s", "600"], env=environment, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stderr
        marks = json.loads(done.stdout)["marks"]
        assert marks[-1]["days"] == days
        return float(marks[-1]["peak_mb"])

    assert peak_mb(8) - peak_mb(2) < 30


@pytest.mark.parametrize(
    ("imbalance", "held", "aim"),
    [
        (0.2, 0, 0), (-0.2, 7, 0), (1.0, 0, FULL_CENTS), (-1.0, 0, -FULL_CENTS), (0.6, 3, FULL_CENTS // 2),
        (0.6, -3, 0), (0.5, 0, 38), (0.5 - 1e-16, 0, 38), (-0.5, 0, -38),
    ],
)  # fmt: skip
def test_the_rule_aims_at_what_the_imbalance_exceeds_its_threshold_by(imbalance: float, held: int, aim: int) -> None:
    assert aim_cents(imbalance, held) == aim


@pytest.mark.parametrize(
    ("theirs", "orders", "says"),
    [
        ([0.5, 0.0, 0.1, 38.0], 1, ""),
        ([0.5 + 1e-15, 0.0, 0.1, 38.0], 1, ""),
        ([0.5 + 1e-9, 0.0, 0.1, 38.0], 1, "imbalance 0.500000001 at decision 1, we have 0.5"),
        ([float("nan"), 0.0, 0.1, 38.0], 1, "imbalance nan at decision 1"),
        ([0.5, 0.0, 0.1, 37.0], 1, "position 37 at decision 2, we have 38"),
        ([0.5, 0.0, 0.1, 38.0], 2, "2 orders, we have 1"),
        ([0.5, 0.0], 1, "1 decisions of the rule, we have 2"),
    ],
)
def test_a_side_that_decided_otherwise_is_told_how(theirs: list[float], orders: int, says: str) -> None:
    words = disagreement([0.5, 0.0, 0.1, 38.0], theirs, 1, orders)
    assert words == says if not says else words.startswith(says)


def test_the_rows_of_a_recording_make_a_book_that_is_never_crossed(tmp_path: Path) -> None:
    path = tmp_path / "l2_synthetic_BTCUSD_events.parquet"
    write_synthetic(path, 5)
    source = open_depth(path)
    rows = plain_rows(source.stream(0, 0))
    assert (np.diff(rows["time_ns"]) >= 0).all() and set(np.diff(rows["message"])) == {0, 1}
    book: dict[tuple[int, int], int] = {}
    for number, (_, message, what, side, price_e5, size) in enumerate(rows.tolist()):
        if what == DELETE:
            del book[side, price_e5]
        elif what != BEST:
            book[side, price_e5] = size
        if number + 1 == len(rows) or rows["message"][number + 1] != message:
            bids, asks = ([price for s, price in book if s == each] for each in (0, 1))
            assert max(bids) < min(asks)
    with pytest.raises(ValueError, match="second snapshot"):
        plain_rows(collected([(1, delta_rows([(CLEAR_BOOK, 0, 0, 0, 0), (END_DEPTH, 0, 0, 0, 0)]))]))


def test_a_document_has_markers_for_each_bench() -> None:
    document = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    both = written_into(written_into(document, "one"), "two", (backtest_report.BEGIN, backtest_report.END))
    assert "\none\n" in both and "\ntwo\n" in both
