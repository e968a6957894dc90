"""What `microlev backtest` says: how far it is, and what came of it, for people or as JSON lines."""

import json as writer
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from bot.cli.backtest_text import comparison_text, run_text
from bot.research.backtest.result import Result
from bot.research.compare.comparison import Comparison
from bot.research.metrics.plain import plain
from bot.research.metrics.summary import RunSummary
from bot.telemetry.plain import iso_time
from bot.trial_pool import Progressed, Task


class BacktestLines:
    """The watcher of a backtest: a bar on a terminal, a line a run elsewhere, on standard error; results on output."""

    def __init__(self, *, json: bool) -> None:
        self._json = json
        self._console = Console(stderr=True)
        self._bar: Progress | None = None
        self._began_s = time.monotonic()
        self._runs = self._done = self._total_ns = 0
        self._rows: dict[str, int] = {}
        self._first_ns: dict[str, int] = {}
        self._passed_ns: dict[str, int] = {}

    # -- on the way ---------------------------------------------------------------------------------------------

    def begun(self, runs: int, total_ns: int) -> None:
        """Take how much there is to do."""
        self._runs, self._total_ns = runs, max(total_ns, 1)
        if self._console.is_terminal:
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                TaskProgressColumn(),
                TextColumn("{task.fields[speed]}"),
                TimeRemainingColumn(),
                console=self._console,
                transient=True,
            )
            self._bar.start()
            self._bar.add_task("", total=self._total_ns, speed="")

    def found(self, task: Task, lasts_ns: int) -> None:
        """Take a run of an earlier command: it is not run again."""
        self._done += 1
        self._total_ns = max(self._total_ns - lasts_ns, 1)
        if self._bar is None and self._runs > 1:
            self._tell(f"{task.name}: is there already")

    def progressed(self, news: Progressed) -> None:
        """Take how far a run is."""
        name = news.task.name
        first_ns = self._first_ns.setdefault(name, max(news.task.from_ns, 0) or news.now_ns)
        self._rows[name] = news.rows
        if not news.is_done:
            self._passed_ns[name] = news.now_ns - first_ns
        else:
            self._done += 1
        rows_s = sum(self._rows.values()) / max(time.monotonic() - self._began_s, 1e-9)
        if self._bar is not None:
            at = "" if news.is_done else iso_time(news.now_ns)[:16].replace("T", " ")
            self._bar.update(
                self._bar.task_ids[0],
                completed=min(sum(self._passed_ns.values()), self._total_ns),
                total=self._total_ns,
                description=f"run {min(self._done + 1, self._runs)} of {self._runs}  {name}  {at}",
                speed=f"{rows_s:,.0f} rows/s",
            )
        elif news.is_done and self._runs > 1:
            self._tell(f"{name}: done, {self._done} of {self._runs}, {rows_s:,.0f} rows/s")

    def note(self, text: str) -> None:
        """Tell a person something on the way."""
        self._tell(text)

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _tell(self, text: str) -> None:
        if self._json:
            return
        if self._bar is not None:
            self._bar.console.print(text, markup=False, highlight=False)
        else:
            print(text, file=sys.stderr, flush=True)

    # -- what came of it ----------------------------------------------------------------------------------------

    def ran(self, result: Result, summary: RunSummary, folder: Path) -> None:
        """Tell what one run came to."""
        self.close()
        rows_s = None
        if rows := sum(self._rows.values()):
            rows_s = rows / max(time.monotonic() - self._began_s, 1e-9)
        if self._json:
            figures: Mapping[str, Any] = result.figures
            self._write({
                "type": "backtest", "summary": plain(summary), "figures": plain(dict(figures)), "labels": result.labels,
                "assumptions": plain(result.assumptions), "rows_per_s": rows_s, "folder": str(folder),
            })  # fmt: skip
        else:
            print(run_text(result, summary, rows_s))
            print(f"kept in {folder}")

    def compared(self, comparison: Comparison, folder: Path) -> None:
        """Tell what a comparison found."""
        self.close()
        if not self._json:
            print(comparison_text(comparison))
            print(f"kept in {folder}")
            return
        content = plain(comparison)
        parts = {"arms": "arm", "differences": "difference", "in_spans": "in_span", "judged": "judged"}
        whole = {key: each for key, each in content.items() if key not in parts}
        self._write({"type": "comparison", **whole, "folder": str(folder)})
        for key, kind in parts.items():
            for each in content[key]:
                self._write({"type": kind, **each})

    def written(self, report: Path) -> None:
        """Tell where the report is."""
        if self._json:
            self._write({"type": "report", "file": str(report)})
        else:
            print(f"report: {report}")

    def _write(self, line: dict[str, Any]) -> None:
        print(writer.dumps(line, default=str, allow_nan=False), flush=True)
