"""`microlev snapshots`: a recorded run as the snapshots that a page would have shown, for programs.

How it works: the journal is decided again, as `replay` does, and looked at on a grid of recorded time. What is written
is kept back until the Decision that it shows has been compared: what came out otherwise than recorded is not shown.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from bot.assembly import Run
    from bot.engine.decision import Decision
    from bot.journal.replay import HowFar, ReplayResult

EXIT_USAGE = 2
EXIT_DIFFERENT = 1
FINEST_NS = 250_000_000
DEFAULT_MOST = 4000
_PROGRESS_S = 0.2
_LEAST_S = 0.001


def _every_ns(text: str) -> int | None:
    """Return an interval in ns; None for `auto`. Raises: typer.BadParameter."""
    if text == "auto":
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not _LEAST_S <= seconds <= 1e9:
        raise typer.BadParameter(f"must be auto or seconds from {_LEAST_S:g} on, not {text!r}", param_hint="--every")
    return round(seconds * 1e9)


def snapshots(
    journal: Annotated[Path, typer.Argument(metavar="JOURNAL", help="Any file of a recorded run, or its folder.")],
    every: Annotated[
        str, typer.Option(metavar="SECONDS|auto", help="Recorded time from one snapshot to the next.")
    ] = "auto",
    most: Annotated[
        int, typer.Option(min=2, help="With auto: no more snapshots than these, and the last moment.")
    ] = DEFAULT_MOST,
) -> int:
    """Write a recorded run as a page would have shown it.

    JSON lines on standard output, moment by moment. The run is decided again and compared, as by `replay`; it is
    shown up to the first Decision that differs, and the exit code is 1 then. docs/journal.md says what the lines
    are.
    """
    from bot.app import replay_journal
    from bot.cli.screen import write_into_nothing
    from bot.journal.format import JournalError

    lines = None
    fixed_ns = _every_ns(every)

    def watch(run: "Run") -> list[Any]:
        nonlocal lines
        lines = SnapshotLines(run, journal, fixed_ns, most)
        return [lines]

    def on_progress(far: "HowFar") -> None:
        if lines is not None:
            lines.progress(far)

    try:
        result = replay_journal(journal, watch=watch, on_progress=on_progress)
        assert lines is not None
        lines.finish(result)
    except JournalError as error:
        typer.echo(str(error), err=True)
        return EXIT_USAGE
    except BrokenPipeError:
        write_into_nothing()
        return 0
    return 0 if result.difference is None else EXIT_DIFFERENT


class SnapshotLines:
    """Writes the lines of one replay. Args: `every_ns` None for as short as `most` allows."""

    def __init__(self, run: "Run", path: Path, every_ns: int | None, most: int) -> None:
        from bot.journal.recording_index import indexed_span
        from bot.journal.segments import segments_for
        from bot.telemetry.replayed import ReplayedRun
        from bot.telemetry.time_grid import TimeGrid

        self._run = ReplayedRun(run.config, run.session, run.engine)
        self._grid = TimeGrid(every_ns or FINEST_NS, None if every_ns else most)
        self._kept_back: dict[str, Any] | None = None
        self._written = 0
        self._told_s = 0.0
        self._is_shown = True  # the last Decision; before the first there is nothing to show
        first_ns, last_ns = indexed_span(segments_for(path))
        if first_ns is not None and last_ns is not None:
            self._grid.make_room_for(first_ns, last_ns)
        self._write(
            {
                "type": "recording",
                "run_id": run.session.plan.run_id,
                "account_id": run.config.account.id,
                "environment": run.config.venue.environment,
                "mode": run.config.mode,
                "strategy": run.config.strategy.name,
                "symbols": list(run.config.symbols),
                "first_ns": first_ns,
                "last_ns": last_ns,
                "every_ns": self._grid.every_ns,
            }
        )

    def __call__(self, decision: "Decision") -> None:
        """Take one Decision. That there is one says that the one before was as recorded."""
        self._let_go()
        self._run(decision)
        before_ns = self._grid.every_ns
        is_taken = self._grid.takes(decision.now_ns)
        if self._grid.every_ns != before_ns:
            self._write({"type": "thin", "every_ns": self._grid.every_ns})
        self._is_shown = is_taken
        if is_taken:
            self._kept_back = self._run.snapshot()

    def progress(self, far: "HowFar") -> None:
        """Say how much has been read, a few times a second."""
        from time import monotonic

        now_s = monotonic()
        if now_s - self._told_s >= _PROGRESS_S:
            self._told_s = now_s
            frac = far.bytes_read / far.bytes_total if far.bytes_total else 0.0
            self._write({"type": "progress", "read_frac": round(min(frac, 1.0), 4)})

    def finish(self, result: "ReplayResult") -> None:
        """Write what was kept back, the last moment, and the end; but for a moment that came out otherwise."""
        different = result.difference
        if different is None:
            self._let_go()
            if not self._is_shown:
                self._kept_back = self._run.snapshot()
                self._let_go()
        text = None
        if different is not None:
            text = f"different at decision {different.number} ({different.at_ns} ns): {different.what}"
        self._write(
            {
                "type": "end",
                "snapshots": self._written,
                "decisions": result.decisions,
                "every_ns": self._grid.every_ns,
                "differs": text,
                "truncated_at": result.truncated_at,
                "clean_stop": result.clean_stop,
            }
        )

    def _let_go(self) -> None:
        if self._kept_back is not None:
            snapshot, self._kept_back = self._kept_back, None
            self._written += 1
            self._write(snapshot)

    def _write(self, line: dict[str, Any]) -> None:
        import json

        print(json.dumps(line, allow_nan=False, separators=(",", ":")), flush=True)
