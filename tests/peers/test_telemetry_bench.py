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
        assert row["decisions"] > 500
    assert rows["off"]["made"] == 0 and rows["page"]["made"] > 15 and rows["stuck"]["made"] > 15
    assert all(what in done.stdout for what in (*ARMS.values(), *KINDS.values()))


def measured(times: dict[str, list[float]], **counts: Any) -> Any:
    """Return what `run_arm` would: each arm's p50 of one round after the other, p99 ten times as long."""
    rounds = {arm: iter(each) for arm, each in times.items()}

    def run_arm(arm: str, *_: object) -> dict[str, Any]:
        p50 = next(rounds[arm])
        seen = {"made": 0, "dropped": 0} if arm == "off" else {"made": 9, "dropped": 3 * (arm == "stuck")}
        return {kind: [p50, 10 * p50] for kind in KINDS} | seen | {"decisions": 7} | counts.get(arm, {})

    return run_arm


def test_ratios_are_those_within_a_round_and_their_median(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    times = {"off": [1.0, 100.0, 10.0], "page": [1.1, 105.0, 30.0], "stuck": [1.0, 100.0, 10.0]}
    monkeypatch.setattr(telemetry_bench, "run_arm", measured(times))
    said: list[str] = []
    results, good = telemetry_bench.measure(3, 8_000, 400.0, tmp_path, said.append)
    rows = {row["arm"]: row for row in results["rows"]}
    assert good and len(said) == 9
    assert rows["page"]["decision_p50_us"] == 30.0 and rows["page"]["decision_p50_ratio"] == pytest.approx(1.1)
    assert rows["page"]["whole_p99_spread_us"] == [11.0, 1050.0]
    assert [text.rpartition(": ")[2] for text in said[:4]] == [*ARMS.values(), ARMS["page"]], "the order rotates"
    table = telemetry_bench.table(results | {"date": "2026-11-28", "machine": "two cores"})
    assert (
        "| one reader at the page's rate, four snapshots a second | 30 (1 to 105) | 1.10 | 300 (11 to 1050) | 1.10 |"
        in table
    )


@pytest.mark.parametrize(
    "counts",
    [
        {"off": {"made": 1}},
        {"page": {"made": 0}},
        {"page": {"dropped": 1}},
        {"stuck": {"dropped": 0}},
    ],
)
def test_an_arm_that_is_not_what_it_is_named_after_makes_the_run_fail(
    counts: dict[str, dict[str, int]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    times = {arm: [1.0] for arm in ARMS}
    monkeypatch.setattr(telemetry_bench, "run_arm", measured(times, **counts))
    _, good = telemetry_bench.measure(1, 8_000, 400.0, tmp_path, lambda text: None)
    assert not good
