"""The backtest bench: every side on the same recordings, compared figure by figure, and the memory of a long run.

How it works: our side runs first in each round, on one recording after the other, and leaves the decoded rows, the
seconds it decided at and those it sat out; the others read these. A side whose imbalances, positions or number of
orders are others than ours is named, and the run fails.
"""

import json
import os
import subprocess
import sys
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench_peers import backtest_report
from bench_peers.backtest_memory import NAME as TICKS
from bench_peers.backtest_recording import ROOT, found_recordings, write_synthetic
from bench_peers.environments import in_one_line
from bench_peers.report import OURS

MODULES = {OURS: "backtest_ours", "hftbacktest": "backtest_hftbacktest", "nautilus": "backtest_nautilus"}
_WITHIN_S = 3_600
_ALLOWED = 1e-12


@dataclass(frozen=True)
class Wanted:
    """How much is measured. `seconds` of each recording, 0 for all; `memory_days` 0 measures no memory."""

    rounds: int
    seconds: float
    memory_days: int
    memory_ticks: int


def run_module(python: str, module: str, arguments: Sequence[str], folder: Path, *, ours: bool) -> dict[str, Any]:
    """Run a side once. Raises: RuntimeError with its last words when it fails."""
    paths = [str(ROOT / "scripts"), *([str(ROOT)] if ours else [])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    command = [python, "-m", f"bench_peers.{module}", *arguments]
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=_WITHIN_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"it has not ended within {_WITHIN_S} s") from None
    if done.returncode:
        raise RuntimeError(in_one_line(done.stderr))
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def disagreement(ours: Sequence[float], theirs: Sequence[float], our_orders: int, their_orders: int) -> str:
    """Return how a side's decisions differ from ours, in words; empty when they do not.

    Args: imbalance and position of each decision, one after the other.
    """
    if len(ours) != len(theirs) or not ours:
        return f"{len(theirs) // 2} decisions of the rule, we have {len(ours) // 2}"
    for k in range(0, len(ours), 2):
        if not abs(ours[k] - theirs[k]) <= _ALLOWED:  # not so with NaN
            return f"imbalance {theirs[k]} at decision {k // 2 + 1}, we have {ours[k]}"
        if ours[k + 1] != theirs[k + 1]:
            return f"position {theirs[k + 1]:g} at decision {k // 2 + 1}, we have {ours[k + 1]:g}"
    return "" if our_orders == their_orders else f"{their_orders} orders, we have {our_orders}"


def read_figures(path: Path) -> list[float]:
    """Return the doubles that a side has written."""
    return array("d", path.read_bytes()).tolist()


class Bench:
    """One measurement of all sides.

    Args: `pythons` of the sides that are there; `missing` why others are not.
    """

    def __init__(
        self, pythons: Mapping[str, str], missing: Mapping[str, str], wanted: Wanted, folder: Path,
        say: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._pythons, self._missing = dict(pythons), dict(missing)
        self._wanted, self._folder, self._say = wanted, folder, say
        self._measured: dict[str, dict[str, list[float]]] = {}
        self._told: dict[str, dict[str, dict[str, int]]] = {}
        self._versions: dict[str, str] = {}
        self._disagreements: dict[str, str] = {}
        self._startups: list[float] = []
        self._looks = self._sat_out = self._events = 0
        self.is_good = True

    def run(self) -> dict[str, Any]:
        """Measure, and return the results. Raises: RuntimeError when our own side fails."""
        recordings = found_recordings()
        what = "recordings: " + ", ".join(path.name.removesuffix(".parquet") for path in recordings)
        if not recordings:
            path = self._folder / "l2_synthetic_BTCUSD_events.parquet"
            write_synthetic(path, round(self._wanted.seconds or 600))
            recordings, what = [path], "a synthetic recording, the real ones are not here"
        for number in range(self._wanted.rounds):
            in_round: dict[str, dict[str, float]] = {}
            for recording in recordings:
                self._say(f"round {number + 1} of {self._wanted.rounds}: {recording.name}")
                self._run_recording(recording, in_round, is_first=number == 0)
            for side, rows in in_round.items():
                for row, seconds in rows.items():
                    self._measured.setdefault(side, {}).setdefault(row, []).append(seconds)
        beginning = f", their first {self._wanted.seconds:g} s" if self._wanted.seconds else ""
        settings = f"{what}{beginning}: {self._events:,} events, {self._looks:,} decisions of the rule, "
        settings += f"{self._sat_out:,} of them sat out; rounds: {self._wanted.rounds}, garbage collector on"
        results: dict[str, Any] = {
            "settings": settings,
            "events": self._events,
            "rows": backtest_report.summarised(self._measured, self._events, self._missing),
            "told": self._told,
            "versions": self._versions,
            "startup_s": sorted(self._startups)[len(self._startups) // 2],
            "agreement": self._agreement(),
        }
        if self._wanted.memory_days:
            results["memory"] = self._memory()
        return results

    def _run_recording(self, recording: Path, in_round: dict[str, dict[str, float]], *, is_first: bool) -> None:
        name = recording.stem
        files = {
            option: str(self._folder / f"{name}.{option}.npy") for option in ("rows", "sat-out", "looks")
        }  # what our side leaves, and the others read
        arguments = [part for option, file in files.items() for part in (f"--{option}", file)]
        figures: dict[str, list[float]] = {}
        orders: dict[str, int] = {}
        for side in [side for side in MODULES if side in self._pythons]:
            own = ["--recording", str(recording), "--seconds", str(self._wanted.seconds)] if side == OURS else []
            out = self._folder / f"{name}.{side}.figures"
            try:
                told = run_module(
                    self._pythons[side], MODULES[side], [*arguments, "--figures", str(out), *own], self._folder,
                    ours=side == OURS,
                )  # fmt: skip
            except RuntimeError as error:
                if side == OURS:
                    raise
                self._missing[side], self.is_good = f"failed: {error}", False
                for measured in (self._measured, in_round, self._told, self._pythons):
                    measured.pop(side, None)  # type: ignore[attr-defined]
                continue
            self._take(side, told, in_round, is_first=is_first)
            figures[side] = read_figures(out)
            orders[side] = next(iter(told["told"].values()))["orders"]
            if side == OURS:
                continue
            if words := disagreement(figures[OURS], figures[side], orders[OURS], orders[side]):
                self.is_good = False
                self._disagreements.setdefault(side, f"DISAGREES on {name}: {words}")

    def _take(self, side: str, told: dict[str, Any], in_round: dict[str, dict[str, float]], *, is_first: bool) -> None:
        for row, (seconds,) in told["rows"].items():
            rows = in_round.setdefault(side, {})
            rows[row] = rows.get(row, 0.0) + seconds
        self._versions[side] = ", ".join(f"{name} {release}" for name, release in told["versions"].items())
        if side == OURS:
            self._startups.append(told["startup_s"])
        if not is_first:
            return
        if side == OURS:
            self._events += told["events"]
            self._sat_out += told["sat_out"]
            self._looks += told["told"]["rule_1"]["looks"]
        for row, counts in told["told"].items():
            kept = self._told.setdefault(side, {}).setdefault(row, {})
            for name, key in (("decisions", "decisions" if "decisions" in counts else "looks"), ("orders", "orders")):
                kept[name] = kept.get(name, 0) + counts[key]

    def _agreement(self) -> list[str]:
        words = [f"microlev: the same imbalances, positions and orders by every clock ({self._looks:,} decisions)"]
        for side in MODULES:
            if side == OURS or side not in self._pythons:
                continue
            said = self._disagreements.get(side) or "every imbalance to 1e-12, every position and all orders as ours"
            words.append(f"{backtest_report.SIDES[side]}: {said}")
        return words

    def _memory(self) -> dict[str, Any]:
        self._say(f"memory: {self._wanted.memory_days} days")
        arguments = ["--days", str(self._wanted.memory_days), "--ticks", str(self._wanted.memory_ticks)]
        folder = Path(os.environ.get("MICROLEV_DATA") or ROOT.parent / "shared" / "data")
        if self._wanted.seconds:
            arguments += ["--span-s", str(self._wanted.memory_ticks)]
        if (folder / TICKS).is_file() and not self._wanted.seconds:
            arguments += ["--recording", str(folder / TICKS)]
        return run_module(sys.executable, "backtest_memory", arguments, self._folder, ours=True)
