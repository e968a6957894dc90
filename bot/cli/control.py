"""`microlev status`, `halt`, `resume`, `flatten`: steering a bot that runs, from another terminal."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bot.cli.options import duration

if TYPE_CHECKING:
    from bot.config import Config

EXIT_NOT_DONE = 1
EXIT_UNREACHABLE = 4
_POLL_S = 0.25

_Config = Annotated[Path, typer.Argument(metavar="CONFIG", help="The config file of the running bot.")]


def status(
    config: _Config,
    json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
    day: Annotated[
        str | None,
        typer.Option(metavar="[YYYY-MM-DD]", help="The report of a day instead, today without a date; see `report`."),
    ] = None,
    ready: Annotated[
        bool, typer.Option("--ready", help="Only say in a line whether it is READY: exit 0 if so, 1 if not.")
    ] = False,
) -> int:
    """Show the state of a running bot.

    Account, trading state and its causes, positions, orders, leverage and why.
    """
    if ready:
        if json or day is not None:
            raise typer.BadParameter("stands alone, without --json and --day", param_hint="--ready")
        return _Bot(config).say_whether_ready()
    if day is not None:
        from bot.cli.report import chosen_days, report_of

        typer.echo(report_of(_place(config), *chosen_days(day), json=json))
        return 0

    def show(state: dict[str, Any]) -> int:
        import json as codec

        from bot.cli.status import in_words

        typer.echo(codec.dumps(state) if json else in_words(state))
        return 0

    return _Bot(config).do("status", show)


def halt(
    config: _Config,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why, for the log and for `status`.")] = "",
) -> int:
    """Let a running bot take no new risk, until `resume`.

    Reductions go on; resting orders that would grow a position are cancelled.
    """
    return _Bot(config).do("halt", _has_halted, reason=reason)


def resume(config: _Config) -> int:
    """Let a halted bot trade on.

    After `halt`, `flatten`, the stop file (which is taken away), or a limit that waits for a person.
    """
    return _Bot(config).do("resume", _told)


def flatten(
    config: _Config,
    wait: Annotated[
        float, typer.Option(metavar="SECONDS", help="Wait this long until all is closed.", min=0.0, callback=duration)
    ] = 30.0,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why, for the log and for `status`.")] = "",
) -> int:
    """Halt a running bot and close everything of ours.

    Exits with 1 when something is left after --wait.
    """
    bot = _Bot(config)
    return bot.do("flatten", lambda state: _until_flat(bot, state, wait), reason=reason)


def _place(path: Path) -> "Config":
    import os

    from bot.config import load_place

    return load_place(path, os.environ)


class _Bot:
    """A running bot, as its config finds it."""

    def __init__(self, path: Path) -> None:
        from bot.config import state_directory

        config = _place(path)
        self._account_id = config.account.id
        self._directory = state_directory(config).absolute()

    def ask(self, command: str, *, reason: str = "") -> dict[str, Any]:
        """Return the bot's state after a command. Raises: NotReachable, Refused."""
        from bot.net.control_client import ask

        return ask(self._directory, self._account_id, command, reason=reason)

    def say_whether_ready(self) -> int:
        """Say in a line whether the bot runs and is READY; return 0 if so and 1 if not, for a health check."""
        from bot.net.control_client import NotReachable, Refused

        try:
            state = self.ask("status")
        except (NotReachable, Refused) as error:
            typer.echo(f"not ready: no answer from a running bot: {error}")
            return EXIT_NOT_DONE
        if not state["ready"]:
            typer.echo(f"not ready: {'; '.join(state['texts']) or 'starting'}")
            return EXIT_NOT_DONE
        typer.echo(f"ready, trading {state['trading']}")
        return 0

    def do(self, command: str, show: Callable[[dict[str, Any]], int], *, reason: str = "") -> int:
        """Give a command, show the state after it, and return the exit code."""
        from bot.net.control_client import NotReachable, Refused
        from bot.net.stop_file import STOP_FILE_NAME

        try:
            state = self.ask(command, reason=reason)
        except NotReachable as error:
            text = f"no running bot can be reached in {self._directory}: {error}"
            if command in ("halt", "flatten"):
                word = " with the word flatten in it" if command == "flatten" else ""
                text += f"; a file {self._directory / STOP_FILE_NAME}{word} does the same within a second"
            typer.echo(text, err=True)
            return EXIT_UNREACHABLE
        except Refused as error:
            typer.echo(f"not done: {error}", err=True)
            return EXIT_NOT_DONE
        return show(state)


def _has_halted(state: dict[str, Any]) -> int:
    _told(state)
    if state["trading"] != "halted":
        typer.echo("not done: the bot has heard it and has not halted; stop it with Ctrl-C", err=True)
        return EXIT_NOT_DONE
    return 0


def _told(state: dict[str, Any]) -> int:
    from bot.cli.status import trading_lines

    for line in trading_lines(state):
        typer.echo(line)
    return 0


def _until_flat(bot: _Bot, state: dict[str, Any], wait_s: float) -> int:
    """Wait until nothing of ours is left, and say so, or what is left."""
    import time

    from bot.cli.status import left_lines
    from bot.net.control_client import NotReachable, Refused

    until_s = time.monotonic() + wait_s
    why = f"after {wait_s:g} s"
    while not _is_flat(state) and time.monotonic() < until_s:
        time.sleep(min(_POLL_S, max(0.0, until_s - time.monotonic())))
        try:
            state = bot.ask("status")
        except (NotReachable, Refused) as error:
            why = f"when it could not be asked any more ({error})"
            break
    _told(state)
    if _is_flat(state):
        typer.echo("nothing of ours is left")
        return 0
    for line in left_lines(state, why):
        typer.echo(line, err=True)
    return EXIT_NOT_DONE


def _is_flat(state: dict[str, Any]) -> bool:
    # Until it is ready nobody knows what is held.
    is_empty = not state["orders"] and not any(position["ours"] for position in state["positions"])
    return bool(state["ready"]) and is_empty
