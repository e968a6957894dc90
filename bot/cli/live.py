"""What `run` and `record` share: a run against a venue, shown until it is over."""

from collections.abc import Callable, Sequence
from pathlib import Path

import typer

from bot.assembly import Run
from bot.config import Config
from bot.engine.decision import Decision
from bot.journal.recording_index import Lines


def run_and_show(
    *configs: Config,
    json: bool,
    seconds: float | None,
    live: bool = False,
    exit_on_halt: bool = False,
    journal_directory: Path | None = None,
    recorded: Callable[[Lines], None] = lambda lines: None,
    steer_by: Path | None = None,
) -> int:
    """Run a config, show it as JSON lines, a table or plain lines, and return the exit code.

    Several configs are run side by side; their lines then say which account they are about.

    Args: `live` says that real money may be traded; `journal_directory` wins over the config's `recording.directory`;
        `recorded` is told of the recording when it is put away; `steer_by` is the file of the config, for those who
        look at the table.
    """
    from bot.app import run_live
    from bot.cli.screen import Screen, log_to_stderr

    log_to_stderr()
    screens: dict[str, Screen] = {}

    def watch(run: Run) -> Sequence[Callable[[Decision], None]]:
        account = run.config.account.id if len(configs) > 1 else None
        screens[run.run_id] = Screen(json=json, account=account, steer_by=steer_by)
        return screens[run.run_id].watch(run)

    def ended(run: Run, text: str) -> None:
        screens[run.run_id].finish()
        if len(configs) > 1:
            typer.echo(f"account {run.config.account.id}: {text or 'done'}", err=True)

    try:
        code, text = run_live(
            *configs,
            live=live,
            seconds=seconds,
            exit_on_halt=exit_on_halt,
            watch=watch,
            summarise=lambda run, driver: screens[run.run_id].summarise(run, driver),
            ended=ended,
            journal_directory=journal_directory,
            recorded=recorded,
        )
    finally:
        for screen in screens.values():
            screen.finish()  # whatever happened: a live table hides the cursor
    if code and text and len(configs) == 1:
        typer.echo(text, err=True)
    return code
