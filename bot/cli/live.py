"""What `run` and `record` share: a run against a venue, shown until it is over."""

from pathlib import Path

import typer

from bot.config import Config


def run_and_show(
    config: Config,
    *,
    json: bool,
    seconds: float | None,
    live: bool = False,
    exit_on_halt: bool = False,
    journal_directory: Path | None = None,
) -> int:
    """Run a config, show it as JSON lines, a table or plain lines, and return the exit code.

    Args: `live` says that real money may be traded; `journal_directory` wins over the config's `recording.directory`.
    """
    from bot.app import run_live
    from bot.cli.screen import Screen, log_to_stderr

    log_to_stderr()
    screen = Screen(json=json)
    try:
        code, text = run_live(
            config,
            live=live,
            seconds=seconds,
            exit_on_halt=exit_on_halt,
            watch=screen.watch,
            summarise=screen.summarise,
            journal_directory=journal_directory,
        )
    finally:
        screen.finish()  # whatever happened: a live table hides the cursor
    if code and text:
        typer.echo(text, err=True)
    return code
