"""`microlev recordings`: what a folder of recordings holds, from its indexes, while somebody records and after."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from bot.journal.recording_index import Lines


def recordings(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder of recordings.")],
    json: Annotated[bool, typer.Option("--json", help="JSON lines on standard output, one a run.")] = False,
) -> int:
    """List the recorded runs in a folder.

    When, what, how much, how they ended, and what is missing. An index that does not fit its files is made anew
    from them, which takes a second for each hundred megabytes.
    """
    from bot.journal.format import JournalError
    from bot.journal.recording_index import recorded_runs
    from bot.journal.run_summary import run_summary

    try:
        runs = [run_summary(lines) for lines in recorded_runs(folder).values()]
    except JournalError as error:
        typer.echo(str(error), err=True)
        return 2
    if json:
        import json as codec

        for run in runs:
            typer.echo(codec.dumps(run, allow_nan=False))
    elif runs:
        _print_table(runs)
    else:
        typer.echo(f"{folder} holds no recording")
    return 0


def tell_recording(lines: "Lines", *, json: bool) -> None:
    """Print what a run has recorded, as one line."""
    import json as codec

    from bot.journal.run_summary import run_summary

    if lines:
        run = run_summary(lines)
        typer.echo(codec.dumps(run, allow_nan=False) if json else in_words(run))


def in_words(run: dict[str, Any]) -> str:
    """Return a run's summary as one line for a person."""
    span = "nothing" if run["from"] is None else f"{run['from']} to {run['to']}"
    return (
        f"recorded  run {run['run_id']}: {run['segments']} segment(s), {run['records']} records, "
        f"{run['frames']} frames, {span}, {megabytes(run['journal_bytes'])} -> {megabytes(run['bytes'])} MB, "
        f"gaps: {gaps_in_words(run)}"
    )


def gaps_in_words(run: dict[str, Any]) -> str:
    """Return how many gaps there are, and how long they are together."""
    return "none" if not run["breaks"] else f"{run['breaks']} ({run['break_s']:g} s)"


def megabytes(size: int) -> str:
    """Return a size in MB, with three figures or so."""
    return f"{size / 1e6:.{3 if size < 1e6 else 1}f}"


def _print_table(runs: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    for name in ("run", "from"):
        table.add_column(name, no_wrap=True)
    table.add_column("hours", justify="right")
    table.add_column("symbols")
    for name in ("seg-\nments", "MB on\ndisk"):
        table.add_column(name, justify="right")
    table.add_column("end")
    table.add_column("gaps", justify="right")
    for run in runs:
        symbols = run["symbols"]
        table.add_row(
            run["run_id"],
            "-" if run["from"] is None else run["from"][:16].replace("T", " "),
            "-" if run["seconds"] is None else f"{run['seconds'] / 3600:.2f}",
            "".join(symbols[:1]) + (f"+{len(symbols) - 1}" if len(symbols) > 1 else ""),
            str(run["segments"]),
            megabytes(run["bytes"]),
            run["end"],
            str(run["breaks"]),
        )
    console = Console()
    console.print(table)
    for run in runs:
        for text in _remarks(run):
            console.print(f"{run['run_id']}: {text}", highlight=False, markup=False)


def _remarks(run: dict[str, Any]) -> list[str]:
    remarks = [f"segment(s) {_numbers(run['removed_segments'])} removed for the disk budget"]
    remarks = remarks if run["removed_segments"] else []
    if run["missing_segments"]:
        remarks.append(f"segment(s) {_numbers(run['missing_segments'])} missing")
    if run["end"] == "rotated":
        remarks.append("the run went on in a segment that is not here, or was killed between two")
    return remarks + run["damage"]


def _numbers(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers))
