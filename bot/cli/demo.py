"""`microlev demo`: the embedded venue and the whole bot in one process, over the real protocol on loopback TLS."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bot.cli.options import MARKET_HELP, duration

if TYPE_CHECKING:
    from contextlib import ExitStack

    from bot.cli.screen import Screen


def demo(
    seconds: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help="Stop this long after the first READY; default: 30, with --dashboard when interrupted.",
            min=0.0,
            callback=duration,
        ),
    ] = None,
    market: Annotated[str, typer.Option(metavar="SOURCE", help=MARKET_HELP)] = "synthetic:calm",
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="A config whose symbols, strategy, sizing, risk and execution are to be shown."
        ),
    ] = None,
    trade: Annotated[bool, typer.Option("--trade", help="Send the orders to the embedded venue.")] = False,
    json: Annotated[bool, typer.Option("--json", help="JSON lines on standard output.")] = False,
    seed: Annotated[int, typer.Option(help="Seed of the synthetic market.")] = 1,
    faults: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Faults for the venue to play, see config/faults/.")
    ] = None,
    record: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of the journal; default: the user's state folder.")
    ] = None,
    dashboard: Annotated[bool, typer.Option("--dashboard", help="Show it on a page in the browser as well.")] = False,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="With --dashboard: print the link and open no browser.")
    ] = False,
) -> int:
    """Watch the bot work, against a venue that it brings along.

    No account is needed. It trades on paper, unless --trade sends the orders to that venue.

    With --config, what the file says of trading counts as it stands; its venue, account, credentials, mode and folders
    do not.
    """
    import os
    import sys
    from contextlib import ExitStack

    from bot.cli.dashboard import refuse_without_extra

    if dashboard:
        refuse_without_extra()
    elif no_browser:
        raise typer.BadParameter("--no-browser belongs to --dashboard")
    if seconds is None and not dashboard:
        seconds = 30.0
    from bot.app import run_demo
    from bot.cli.screen import Screen, log_to_stderr
    from bot.config import check_supported, load_preset

    preset = None if config is None else load_preset(config, os.environ)
    if preset is not None:
        for warning in check_supported(preset):
            typer.echo(f"warning: {warning}", err=True)
        warm_up_s = preset.effective_sizing().warm_up_s
        if seconds is not None and warm_up_s >= seconds:
            typer.echo(
                f"hint: sizing.warm_up_s is {warm_up_s:g}, so no leverage grows in the {seconds:g} s of this demo; "
                f"give --seconds {warm_up_s + 60:g}, for example",
                err=True,
            )
    if not json:
        typer.echo("starting the embedded venue and the bot; the first start compiles for some seconds", err=True)
    log_to_stderr()
    screen = Screen(json=json)
    beside = ExitStack()

    def steer_by(path: Path) -> None:
        screen.steer_by = path
        if not json:
            typer.echo(f"steer it by: microlev status {path}", err=True)

    try:
        state_directory = _with_page(beside, screen, no_browser=no_browser) if dashboard else None
        code, text = run_demo(
            market=market,
            preset=preset,
            seed=seed,
            trade=trade,
            seconds=seconds,
            faults=faults,
            journal_directory=record,
            watch=screen.watch,
            summarise=screen.summarise,
            steer_by=steer_by,
            telemetry=dashboard,
            state_directory=state_directory,
        )
    except ValueError as error:
        if screen.has_begun:
            raise  # ours, not the person's who named a market
        typer.echo(str(error), err=True)
        return 2
    finally:
        screen.finish()
        beside.close()
    if code and text:
        typer.echo(text, err=True)
    elif not json:
        print("this was a simulation: no account was used and no money was at risk", file=sys.stdout, flush=True)
    return code


def _with_page(beside: "ExitStack", screen: "Screen", *, no_browser: bool) -> Path:
    """Start the dashboard at once, so that it is there when the bot is; return the folder in which it looks for it."""
    from tempfile import TemporaryDirectory

    from bot.cli.page_process import PageProcess, page_command
    from bot.net.telemetry_file import FILE_NAME

    folder = Path(beside.enter_context(TemporaryDirectory(prefix="microlev-demo-")))
    command = page_command(folder / FILE_NAME, *(["--no-browser"] if no_browser else []))
    page = PageProcess(command, screen.tell)
    screen.page = lambda: page.link
    beside.callback(page.end)
    return folder
