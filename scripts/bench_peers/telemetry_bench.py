"""The telemetry bench: what a dashboard, and a reader that never reads, cost a decision. Four arms, turn by turn.

How it works: one process lets the arms follow each other every few seconds, in an order that rotates, so that a noisy
minute of the machine meets them all; one of them is there twice, which says how far two measurements of the same lie
apart. Percentiles are over all rounds together; the spread is that of the rounds' own.
"""

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench_peers.environments import ROOT, in_one_line

BEGIN, END = "<!-- telemetry: begin -->", "<!-- telemetry: end -->"
ARMS = {
    "off": "without telemetry",
    "page": "one reader at the page's rate, four snapshots a second",
    "stuck": "one reader that asks for the same and never reads",
    "again": "without telemetry, measured once more",
}
KINDS = {"decision": "bytes in → decision", "whole": "byte leaves the market → all is done about it"}
PER_S = 400.0
_SHARES = {"p50": 0.5, "p99": 0.99}
_WITHIN_S = 3_600


def run_side(rounds: int, folder: Path) -> dict[str, Any]:
    """Measure every arm in so many rounds. Raises: RuntimeError with the side's last words when it fails."""
    command = [sys.executable, "-m", "bench_peers.telemetry_side", "--rounds", str(rounds), "--per-s", str(PER_S)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "scripts"), str(ROOT)])}
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=_WITHIN_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"the bot has not ended within {_WITHIN_S} s") from None
    if done.returncode:
        raise RuntimeError(in_one_line(done.stderr))
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def measure(rounds: int, folder: Path, say: Callable[[str], None]) -> tuple[dict[str, Any], bool]:
    """Run every arm in every round; return the results, and whether the arms did what they are named after."""
    say(f"{rounds} rounds of {len(ARMS)} arms: {rounds * len(ARMS) * 4.5:.0f} s")
    told = run_side(rounds, folder)
    counts = told["counts"]
    good = not counts["off"]["made"] and not counts["again"]["made"]
    good = good and counts["page"]["made"] > 0 and not counts["page"]["dropped"] and counts["stuck"]["dropped"] > 0
    settings = f"{PER_S:g} reads of the socket a second, rounds: {rounds}, garbage collector on"
    return {"settings": settings, "rows": [_row(arm, told["rounds"]) | counts[arm] for arm in ARMS]}, good


def _row(arm: str, rounds: Sequence[Mapping[str, Mapping[str, Sequence[float]]]]) -> dict[str, Any]:
    row: dict[str, Any] = {"arm": arm}
    for kind in KINDS:
        for name, share in _SHARES.items():
            each = [_percentile(times[arm][kind], share) for times in rounds]
            pooled, base = (_percentile([t for r in rounds for t in r[a][kind]], share) for a in (arm, "off"))
            row[f"{kind}_{name}_us"], row[f"{kind}_{name}_ratio"] = pooled, pooled / base
            row[f"{kind}_{name}_rounds_us"] = [min(each), statistics.median(each), max(each)]
    row["decisions"] = sum(len(times[arm]["decision"]) for times in rounds)
    return row


def _percentile(times: Sequence[float], share: float) -> float:
    return sorted(times)[int(share * (len(times) - 1))]


def table(results: Mapping[str, Any]) -> str:
    """Return the results as Markdown."""
    lines = [f"{results['date']}, {results['machine']}. {results['settings']}.", ""]
    for kind, what in KINDS.items():
        lines += [
            f"| {what} | p50, µs (rounds: min to max) | times without | p99, µs (rounds: min to max) | times without |",
            "|---|---|---|---|---|",
        ]
        for row in results["rows"]:
            cells = [ARMS[row["arm"]]]
            for name in _SHARES:
                low, _, high = row[f"{kind}_{name}_rounds_us"]
                cells.append(f"{row[f'{kind}_{name}_us']:.0f} ({low:.0f} to {high:.0f})")
                cells.append("" if row["arm"] == "off" else f"{row[f'{kind}_{name}_ratio']:.2f}")
            lines.append(f"| {' | '.join(cells)} |")
        lines.append("")
    for row in results["rows"]:
        counts = f"{row['decisions']} decisions, {row['made']} snapshots made, {row['dropped']} dropped"
        lines.append(f"- {ARMS[row['arm']]}: {counts}")
    return "\n".join(lines) + "\n"
