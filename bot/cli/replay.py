"""`microlev replay`: decide a recorded run again."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

if TYPE_CHECKING:
    from bot.assembly import Run
    from bot.engine.decision import Decision
    from bot.journal.replay import HowFar


def replay(
    journal: Annotated[Path, typer.Argument(metavar="JOURNAL", help="Any file of a recorded run, or its folder.")],
    verify: Annotated[bool, typer.Option("--verify", help="Only compare; print one line.")] = False,
    json: Annotated[bool, typer.Option("--json", help="JSON lines on standard output.")] = False,
) -> int:
    """Decide a recorded run again, and compare it bit for bit.

    It goes through the same decoder, books and engine, and every Decision is compared. Without --verify the
    decisions are printed as well. Exit code 1 when a Decision differs.
    """
    import json as codec
    import sys

    from bot.app import replay_journal
    from bot.cli.screen import Screen
    from bot.journal.format import JournalError

    screen = Screen(json=json, source="journal")

    def watch(run: "Run") -> "list[Callable[[Decision], None]]":
        return [] if verify else [run.figures.count, *(_to_the_end(see) for see in screen.watch(run))]

    try:
        result = replay_journal(journal, watch=watch, on_progress=_Progress(sys.stderr))
    except JournalError as error:
        typer.echo(str(error), err=True)
        return 2
    finally:
        screen.finish()
    same = result.difference is None
    if json:
        line = {
            "type": "replay",
            "decisions": result.decisions,
            "frames": result.frames,
            "equal": same,
            "difference": None if same or result.difference is None else result.difference.what,
            "at_decision": None if same or result.difference is None else result.difference.number,
            "truncated_at": result.truncated_at,
            "clean_stop": result.clean_stop,
        }
        print(codec.dumps(line), flush=True)
    else:
        torn = "" if result.truncated_at is None else f"; the last record is torn at byte {result.truncated_at}"
        stop = "" if result.clean_stop else "; the run did not stop cleanly"
        if result.difference is None:
            print(
                f"equal: {result.decisions} decisions from {result.frames} frames decided again bit for bit{stop}{torn}"
            )
        else:
            d = result.difference
            print(f"different at decision {d.number} ({d.at_ns} ns): {d.what}{stop}{torn}")
    return 0 if same else 1


def _to_the_end(see: "Callable[[Decision], None]") -> "Callable[[Decision], None]":
    """Compare on when nobody reads any more: the exit code still tells."""

    def call(decision: "Decision") -> None:
        with suppress(BrokenPipeError):
            see(decision)

    return call


class _Progress:
    """A line that counts, on a terminal only."""

    def __init__(self, out: TextIO) -> None:
        self._out = out if out.isatty() else None

    def __call__(self, how_far: "HowFar") -> None:
        if self._out is not None:
            self._out.write(f"\r{how_far.records} records")
            self._out.flush()
