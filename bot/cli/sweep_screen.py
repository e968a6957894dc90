"""What is shown while a sweep runs: a bar on a terminal, else a line a trial."""

import json as codec
import math
import sys
import time
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from bot.cli.sweep_text import trial_line
from bot.research.sweep.study import Tried


class SweepScreen:
    """Writes progress to standard error, and JSON lines to standard output where wanted.

    Args: `trials` in all, of which `done` are from earlier starts.
    """

    def __init__(self, trials: int, done: int, metric: str, *, json: bool) -> None:
        self._trials, self._done, self._metric, self._json = trials, done, metric, json
        self._counts = {"complete": 0, "pruned": 0, "failed": 0}
        self._began_s = time.monotonic()
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        if sys.stderr.isatty():
            columns: list[Any] = [
                TextColumn("{task.description}"),
                BarColumn(20),
                TextColumn("{task.completed}/{task.total}"),
            ]
            columns += [TextColumn("{task.fields[said]}"), TimeElapsedColumn(), TimeRemainingColumn()]
            self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
            self._task = self._bar.add_task("trials", total=trials, completed=done, said="")

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        elif not self._json and self._done:
            print(f"goes on after {self._done} trial(s) of an earlier start", file=sys.stderr, flush=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def tried(self, tried: Tried, best: Tried | None) -> None:
        """Show a trial that is over, and the best so far."""
        self._done += 1
        self._counts[tried.score.state] += 1
        if self._json:
            print(codec.dumps(trial_line(tried)), flush=True)
        said = f"{self._counts['pruned']} pruned, {self._counts['failed']} failed; {self._best(best)}; {self._rate()}"
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=self._done, said=said)
        elif not self._json:
            why = tried.score.reason or f"train {_number(tried.score.figure)}, test at the end"
            print(
                f"{self._done}/{self._trials} {tried.score.state}: {why}; {self._best(best)}",
                file=sys.stderr,
                flush=True,
            )

    def final(self, done: int, total: int) -> None:
        """Show how many of the runs at the end are done."""
        if self._bar is not None and self._task is not None:
            self._bar.update(
                self._task, description="testing", completed=done, total=total, said="the choice and its neighbours"
            )
        elif not self._json and done == total:
            print(f"scored the choice, the default and its neighbours: {total} runs", file=sys.stderr, flush=True)

    def _best(self, best: Tried | None) -> str:
        if best is None:
            return "none has a score yet"
        return f"best {self._metric}: train {_number(best.score.figure)}, test at the end"

    def _rate(self) -> str:
        minutes = (time.monotonic() - self._began_s) / 60
        return f"{sum(self._counts.values()) / max(minutes, 1e-9):.3g} a minute"


def _number(figure: float) -> str:
    return f"{figure:.4g}" if math.isfinite(figure) else "unknown"
