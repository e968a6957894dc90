"""`microlev sim`: the embedded venue as a server for any cTrader client."""

from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Any

import typer

from bot.cli.options import MARKET_HELP

ACCOUNT_ID = 1_000_001
PAST_DAYS = 60
"""Days before its start of which the venue makes up ticks, for `microlev download`."""

EXIT_USAGE = 2
EXIT_UNREACHABLE = 4


def sim(
    port: Annotated[int, typer.Option(help="TCP port on 127.0.0.1; 0 takes a free one.", min=0, max=65_535)] = 0,
    market: Annotated[str, typer.Option(metavar="SOURCE", help=MARKET_HELP)] = "synthetic:calm",
    symbols: Annotated[
        str, typer.Option(metavar="A,B", help="Symbols beside the six default ones: US500, JP225, XAGUSD, ETHUSD.")
    ] = "",
    speed: Annotated[float, typer.Option(help="How many times faster than the clock the market runs.")] = 1.0,
    seed: Annotated[int, typer.Option(help="Seed of the synthetic market.")] = 1,
    account_type: Annotated[str, typer.Option(metavar="TYPE", help="hedged or netted.")] = "hedged",
    deposit_currency: Annotated[str, typer.Option(metavar="CCY", help="Currency of the account.")] = "USD",
    balance: Annotated[str, typer.Option(metavar="X", help="Opening balance in deposit currency.")] = "10000",
    oauth_port: Annotated[
        int, typer.Option(help="TCP port of the OAuth pages on 127.0.0.1; 0 takes a free one.", min=0, max=65_535)
    ] = 0,
    faults: Annotated[
        Path | None, typer.Option(metavar="FILE", help="YAML file of faults to play; see docs/faults.md.")
    ] = None,
    token_life: Annotated[float, typer.Option(metavar="SECONDS", help="Life of an access token.")] = 2_628_000.0,
) -> None:
    """Run the embedded venue: a cTrader Open API server on loopback.

    Prints one JSON line when it accepts connections, then serves until interrupted. A view-scope token is the
    printed access token with "-view" behind it.
    """
    import json
    import secrets
    import signal
    import sys

    from twisted.internet.error import CannotListenError
    from twisted.logger import globalLogBeginner, textFileLogObserver

    from bot.net.clock import run_clock
    from bot.net.fault_script import load_faults
    from bot.net.simulator import start_simulator
    from bot.sim.entities import AccountSettings
    from bot.sim.market import open_market
    from bot.sim.past import DAY_MS, Past, synthetic_days
    from bot.sim.venue import Venue

    now_ns = run_clock()
    access_token = secrets.token_urlsafe(24)
    try:
        start_ns = now_ns()
        start_ms = start_ns // 1_000_000
        account = AccountSettings(ACCOUNT_ID, account_type, deposit_currency.upper(), _money(balance))
        extra = [name.strip() for name in symbols.split(",") if name.strip()]
        source = open_market(market, seed=seed, start_ns=start_ns, speed=speed, symbols=extra)
        venue = Venue(
            source,
            accounts=[account],
            start_ns=start_ns,
            client_id="microlev-sim",
            client_secret=secrets.token_urlsafe(24),
            access_token=access_token,
            refresh_token=secrets.token_urlsafe(24),
            view_token=access_token + "-view",
            token_life_s=token_life,
            faults=None if faults is None else load_faults(faults, [spec.name for spec in source.specs]),
            seed=seed,
            past=Past(synthetic_days(seed), begin_ms=start_ms - PAST_DAYS * DAY_MS, end_ms=start_ms),
        )
    except ValueError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(EXIT_USAGE) from None
    observer: Any = textFileLogObserver(sys.stderr)
    globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False)
    import twisted.internet.reactor  # installs the reactor: not before every option is known to be good

    reactor: Any = twisted.internet.reactor
    try:
        server = start_simulator(reactor, venue, port, now_ns=now_ns, oauth_port=oauth_port)
    except CannotListenError as error:
        typer.echo(f"cannot listen on 127.0.0.1:{error.port}: {error.socketError}", err=True)
        raise typer.Exit(EXIT_UNREACHABLE) from None
    reactor.callWhenRunning(lambda: print(json.dumps(server.ready_line()), flush=True))
    reactor.addSystemEventTrigger("before", "shutdown", server.stop)

    def interrupted(_number: int, _frame: Any) -> None:
        # A second Ctrl-C while it stops must not be answered with Twisted's traceback.
        reactor.callFromThread(lambda: reactor.running and reactor.stop())

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupted)
    reactor.run(installSignalHandlers=False)


def _money(text: str) -> Decimal:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        raise ValueError(f"--balance must be a number, not {text!r}") from None
    if not amount.is_finite():
        raise ValueError(f"--balance must be a number, not {text!r}")
    return amount
