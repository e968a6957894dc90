"""`microlev run`: the bot, from a config file."""

from pathlib import Path
from typing import Annotated

import typer

from bot.cli.options import duration


def run(
    config: Annotated[
        list[Path], typer.Argument(metavar="CONFIG", help="The config file; more of them share one connection.")
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Send no order, whatever the config says.")] = False,
    live: Annotated[bool, typer.Option("--live", help="Say that real money may be traded.")] = False,
    seconds: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", help="Stop this long after the first READY.", min=0.0, callback=duration),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="JSON lines on standard output.")] = False,
    exit_on_halt: Annotated[bool, typer.Option("--exit-on-halt", help="Exit with 5 when a risk limit halts.")] = False,
) -> int:
    """Run the bot. It trades only if the config says `mode: trade`; with real money only with --live as well.

    With several configs, one for each account, the accounts share one connection and its limits; each has its own
    engine, ledger and risk limits, and their JSON lines carry an `account` key.
    """
    import os

    from bot.cli.live import run_and_show
    from bot.config import check_supported, load_config

    loaded = [load_config(path, os.environ) for path in config]
    if dry_run:
        loaded = [each.as_dry_run() for each in loaded]
    for each in loaded:
        for warning in check_supported(each):
            typer.echo(f"warning: {warning}", err=True)
    shown = config[0] if len(config) == 1 else None
    return run_and_show(*loaded, json=json, seconds=seconds, live=live, exit_on_halt=exit_on_halt, steer_by=shown)
