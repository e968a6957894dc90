"""`microlev record`: journal a venue's market data, and what a dry run would have decided on it."""

from pathlib import Path
from typing import Annotated

import typer

from bot.cli.options import duration


def record(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="The config file.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the journal; made when missing.")],
    seconds: Annotated[
        float | None, typer.Option(help="Stop this long after the first READY.", min=0.0, callback=duration)
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="JSON lines on standard output.")] = False,
) -> int:
    """Record the wire as received into DIR. No order is ever sent: the config is run as a dry run."""
    import os

    from bot.cli.live import run_and_show
    from bot.config import load_config

    loaded = load_config(config, os.environ).as_dry_run()
    return run_and_show(loaded, json=json, seconds=seconds, journal_directory=out)
