"""The telemetry bench: what a dashboard, and a reader that never reads, cost a decision. Three arms, turn by turn.

How it works: each arm is a process of its own, given the same bytes at the same pace: without telemetry, with one
reader at the page's rate, with one that asks and never reads. Rounds alternate the order. Compared are the medians of
the rounds' percentiles, and, because a busy machine moves all three, the median of the ratios within a round.
"""

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bench_peers.environments import ROOT, in_one_line

BEGIN, END = "<!-- telemetry: begin -->", "<!-- telemetry: end -->"
ARMS = {
    "off": "without telemetry",
    "page": "one reader at the page's rate, four snapshots a second",
    "stuck": "one reader that asks for the same and never reads",
}
KINDS = {"decision": "bytes in → decision", "whole": "byte leaves the market → all is done about it"}
_WITHIN_S = 600


def run_arm(arm: str, deliveries: int, per_s: float, folder: Path) -> dict[str, Any]:
    """Measure an arm once. Raises: RuntimeError with its last words when it fails."""
    command = [sys.executable, "-m", "bench_peers.telemetry_side", "--arm", arm]
    command += ["--deliveries", str(deliveries), "--per-s", str(per_s)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "scripts"), str(ROOT)])}
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=_WITHIN_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"{arm} has not ended within {_WITHIN_S} s") from None
    if done.returncode:
        raise RuntimeError(in_one_line(done.stderr))
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def measure(
    rounds: int, deliveries: int, per_s: float, folder: Path, say: Callable[[str], None]
) -> tuple[dict[str, Any], bool]:
    """Run every arm in every round; return the results, and whether the arms did what they are named after."""
    measured: dict[str, list[dict[str, Any]]] = {arm: [] for arm in ARMS}
    for number in range(rounds):
        order = list(ARMS)[number % len(ARMS) :] + list(ARMS)[: number % len(ARMS)]
        for arm in order:
            say(f"round {number + 1} of {rounds}: {ARMS[arm]}")
            measured[arm].append(run_arm(arm, deliveries, per_s, folder))
    good = all(not each["made"] for each in measured["off"])
    good = good and all(each["made"] and not each["dropped"] for each in measured["page"])
    good = good and all(each["made"] and (each["dropped"] or deliveries < 4_000) for each in measured["stuck"])
    settings = f"{deliveries} deliveries, {per_s:g} a second, rounds: {rounds}, garbage collector on"
    return {"settings": settings, "rows": [_row(arm, measured) for arm in ARMS]}, good


def _row(arm: str, measured: Mapping[str, list[dict[str, Any]]]) -> dict[str, Any]:
    row: dict[str, Any] = {"arm": arm}
    for kind in KINDS:
        for place, share in enumerate(("p50", "p99")):
            times = [each[kind][place] for each in measured[arm]]
            ratios = [time / base[kind][place] for time, base in zip(times, measured["off"], strict=True)]
            row[f"{kind}_{share}_us"] = statistics.median(times)
            row[f"{kind}_{share}_spread_us"] = [min(times), max(times)]
            row[f"{kind}_{share}_ratio"] = statistics.median(ratios)
    for count in ("made", "dropped", "decisions"):
        row[count] = statistics.median(each[count] for each in measured[arm])
    return row


def table(results: Mapping[str, Any]) -> str:
    """Return the results as Markdown."""
    lines = [f"{results['date']}, {results['machine']}. {results['settings']}.", ""]
    for kind, what in KINDS.items():
        lines += [
            f"| {what} | p50, µs: median of rounds (min to max) | times without | p99, µs | times without |",
            "|---|---|---|---|---|",
        ]
        for row in results["rows"]:
            cells = [ARMS[row["arm"]]]
            for share in ("p50", "p99"):
                low, high = row[f"{kind}_{share}_spread_us"]
                cells.append(f"{row[f'{kind}_{share}_us']:.0f} ({low:.0f} to {high:.0f})")
                cells.append("" if row["arm"] == "off" else f"{row[f'{kind}_{share}_ratio']:.2f}")
            lines.append(f"| {' | '.join(cells)} |")
        lines.append("")
    for row in results["rows"]:
        counts = f"{row['decisions']:.0f} decisions, {row['made']:.0f} snapshots made, {row['dropped']:.0f} dropped"
        lines.append(f"- {ARMS[row['arm']]}: {counts}")
    return "\n".join(lines) + "\n"
