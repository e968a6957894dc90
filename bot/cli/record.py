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

    from bot.app import run_live
    from bot.cli.screen import Screen, log_to_stderr
    from bot.config import load_config

    loaded = load_config(config, os.environ).as_dry_run()
    log_to_stderr()
    screen = Screen(json=json)
    try:
        code, text = run_live(
            loaded,
            live=False,
            seconds=seconds,
            exit_on_halt=False,
            watch=screen.watch,
            summarise=screen.summarise,
            journal_directory=out,
        )
    finally:
        screen.finish()
    if code and text:
        typer.echo(text, err=True)
    return code
