"""The `microlev` command: its commands, its exit codes, and one line instead of a traceback for a person's mistake.

How it works: each module beside this one holds thin functions with typed parameters; what they need is imported when
they run, so that `microlev --help` loads neither numba nor Twisted. A command ends by returning (0), by returning an
exit code, or by `raise typer.Exit(code)`; bad usage and bad configuration end with 2, an interrupt with 130.
"""

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from bot import __version__
from bot.cli.alerts import alerts
from bot.cli.auth import auth
from bot.cli.backtest import backtest
from bot.cli.check import check, schema
from bot.cli.completion import complete_for
from bot.cli.control import flatten, halt, resume, status
from bot.cli.dashboard import dashboard
from bot.cli.demo import demo
from bot.cli.doctor import doctor
from bot.cli.download import download
from bot.cli.explain import explain
from bot.cli.export import export
from bot.cli.fills import fills
from bot.cli.import_ticks import import_ticks
from bot.cli.look_ahead import look_ahead
from bot.cli.options import DayMayStandAlone
from bot.cli.record import record
from bot.cli.recordings import recordings
from bot.cli.replay import replay
from bot.cli.report import report
from bot.cli.run import run
from bot.cli.sim import sim
from bot.cli.snapshots import snapshots
from bot.cli.sweep import sweep
from bot.cli.symbols import symbols

EXIT_USAGE = 2
EXIT_INTERRUPTED = 130

app = typer.Typer(
    name="microlev",
    help="Leverage from market microstructure, for cTrader brokers.",
    no_args_is_help=True,
    rich_markup_mode=None,  # plain help: rendering it with Rich triples the time of `--help`
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (
    demo, run, dashboard, status, halt, resume, flatten, explain, report, check, sim, record, recordings, replay,
    snapshots, export, schema, symbols, doctor, download, fills, backtest, sweep,
):  # fmt: skip
    app.command(cls=DayMayStandAlone if command is status else None)(command)
app.command("import")(import_ticks)
app.command("look-ahead")(look_ahead)
app.add_typer(auth, name="auth")
app.add_typer(alerts, name="alerts")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"microlev {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Args: `arguments` without the program's name; None takes those of the process.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    command = typer.main.get_command(app)
    try:
        done = complete_for(given)
        result = done if done is not None else command.main(args=given, prog_name="microlev", standalone_mode=False)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except typer.Abort:
        return EXIT_INTERRUPTED
    except typer.TyperException as error:
        return _refused(_usage_line(error))
    except ValueError as error:
        from bot.config.errors import ConfigError

        if not isinstance(error, ConfigError):
            raise
        return _refused(str(error))
    return result if isinstance(result, int) else 0


def _usage_line(error: typer.TyperException) -> str:
    """Return what is wrong with a command line, on one line; the whole help where a group was given no command."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "microlev"
    said = error.format_message() if hasattr(error, "format_message") else str(error)
    if said.startswith("Usage: "):  # of a group that was given no command
        return said.rstrip("\n")
    return f"{path}: {' '.join(said.split()).rstrip('.')}; see `{path} --help`"


def _refused(line: str) -> int:
    typer.echo(line, err=True)
    return EXIT_USAGE


if __name__ == "__main__":
    sys.exit(main())
