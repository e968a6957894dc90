"""`microlev record`: journal a venue's market data, and what a dry run would have decided on it."""

from pathlib import Path
from typing import Annotated

import typer

from bot.cli.options import duration


def record(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="The config file.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the recordings; made when missing.")],
    seconds: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", help="Stop this long after the first READY.", min=0.0, callback=duration),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="JSON lines on standard output.")] = False,
) -> int:
    """Record the wire as received into DIR. No order is ever sent: the config is run as a dry run.

    The recording is cut into segments and compressed, as `recording` in the config says; the last line says what it is.
    """
    import os

    from bot.cli.live import run_and_show
    from bot.cli.recordings import tell_recording
    from bot.config import load_config
    from bot.journal.recording_index import Lines

    def recorded(lines: Lines) -> None:
        kept.append(lines)

    kept: list[Lines] = []
    loaded = load_config(config, os.environ).as_dry_run()
    code = run_and_show(loaded, json=json, seconds=seconds, journal_directory=out, recorded=recorded)
    for lines in kept:
        tell_recording(lines, json=json)
    return code
