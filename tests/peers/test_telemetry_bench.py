"""The telemetry bench runs, every arm does what it is named after, and the table has each of them."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from bench_peers import telemetry_bench
from bench_peers.environments import ROOT
from bench_peers.telemetry_bench import ARMS, KINDS


@pytest.mark.slow
def test_a_quick_run_measures_every_arm(tmp_path: Path) -> None:
    result = tmp_path / "result.json"
    command = [sys.executable, str(ROOT / "scripts" / "bench"), "--telemetry", "--quick", "--json", str(result)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    rows = {row["arm"]: row for row in json.loads(result.read_text(encoding="utf-8"))["rows"]}
    assert set(rows) == set(ARMS)
    for row in rows.values():
        for kind in KINDS:
            assert 0 < row[f"{kind}_p50_us"] <= row[f"{kind}_p99_us"]
        assert row["decisions"] > 300
    assert rows["off"]["made"] == 0 and rows["page"]["made"] > 5 and rows["stuck"]["made"] > 5
    assert all(what in done.stdout for what in (*ARMS.values(), *KINDS.values()))


def told(times: dict[str, list[float]], **counts: Any) -> dict[str, Any]:
    """Return what the side would tell: in each round of an arm 99 quiet times and one that is ten times as long."""
    rounds = len(times["off"])
    seen = {arm: {"made": 0, "dropped": 0} for arm in ARMS} | {"page": {"made": 9, "dropped": 0}}
    seen["stuck"] = {"made": 9, "dropped": 3}
    return {
        "rounds": [
            {arm: {kind: [times[arm][n]] * 98 + [10 * times[arm][n]] * 2 for kind in KINDS} for arm in ARMS}
            for n in range(rounds)
        ],
        "counts": {arm: seen[arm] | counts.get(arm, {}) for arm in ARMS},
    }


def test_percentiles_are_over_all_rounds_and_compared_with_those_without(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    times = {"off": [1.0, 2.0, 3.0], "page": [2.0, 2.5, 2.0], "stuck": [1.0, 2.0, 3.0], "again": [1.0, 2.0, 4.0]}
    monkeypatch.setattr(telemetry_bench, "run_side", lambda rounds, folder: told(times))
    results, good = telemetry_bench.measure(3, tmp_path, lambda text: None)
    rows = {row["arm"]: row for row in results["rows"]}
    assert good and [row["arm"] for row in results["rows"]] == list(ARMS)
    assert rows["page"]["decision_p50_us"] == 2.0 and rows["page"]["decision_p50_ratio"] == 1.0
    assert rows["off"]["whole_p99_us"] == 20.0 and rows["page"]["whole_p99_us"] == 20.0
    assert rows["again"]["whole_p99_rounds_us"] == [10.0, 20.0, 40.0] and rows["off"]["decisions"] == 300
    table = telemetry_bench.table(results | {"date": "2026-11-28", "machine": "two cores"})
    assert (
        "| one reader at the page's rate, four snapshots a second | 2 (2 to 2) | 1.00 | 20 (20 to 25) | 1.00 |" in table
    )
    assert "- one reader that asks for the same and never reads: 300 decisions, 9 snapshots made, 3 dropped" in table


@pytest.mark.parametrize(
    "counts",
    [
        {"off": {"made": 1}},
        {"again": {"made": 1}},
        {"page": {"made": 0}},
        {"page": {"dropped": 1}},
        {"stuck": {"dropped": 0}},
    ],
)
def test_an_arm_that_is_not_what_it_is_named_after_makes_the_run_fail(
    counts: dict[str, dict[str, int]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    times = {arm: [1.0] for arm in ARMS}
    monkeypatch.setattr(telemetry_bench, "run_side", lambda rounds, folder: told(times, **counts))
    assert not telemetry_bench.measure(1, tmp_path, lambda text: None)[1]
