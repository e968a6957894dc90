"""The composition root: the only place where the parts meet, one function a mode.

run      config -> session + engine + driver -> live venue (dry run: paper venue); several configs: one connection
demo     embedded venue on loopback TLS <-> run
replay   journal -> session + engine -> the same Decisions, compared
"""

import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bot.agreement import agreement_at
from bot.assembly import (
    Run,
    assemble,
    engine_settings,
    keep_usual,
    new_run_id,
    open_journal,
    open_ledger,
    restored,
    user_state_folder,
    write_steering_config,
)
from bot.config import Config, check_live, check_together, client_secrets, load_token
from bot.config.loading import OF_THE_PLACE
from bot.config.secrets import ClientSecrets, Token
from bot.config.token_file import write_token_file
from bot.engine.decision import Decision
from bot.journal.recording_index import Lines
from bot.journal.replay import HowFar, ReplayResult, replay
from bot.journal.run_reader import open_run
from bot.recorded import recorded_run, refuse_without_beginning
from bot.warm_up import warm_up


def run_live(
    config: Config,
    *others: Config,
    live: bool,
    seconds: float | None,
    exit_on_halt: bool,
    watch: Callable[[Run], Sequence[Callable[[Decision], None]]],
    summarise: Callable[[Run, Any], dict[str, Any]],
    ended: Callable[[Run, str], None] = lambda run, text: None,
    recorded: Callable[[Lines], None] = lambda lines: None,
    journal_directory: Path | None = None,
    steerable: bool = True,
    reactor: Any = None,
    client: ClientSecrets | None = None,
    token: Token | None = None,
) -> tuple[int, str]:
    """Run the bot against a venue until it is over; return the exit code and a line for a code that is not 0.

    Args: `others` are run beside the first, each with its own account, engine and ledger, on the same connection;
        `watch` is asked once a run for the functions that see every Decision; `summarise` is called at its end, and
        `ended` with its line, empty when all is well, which may be long before the others end; `recorded` is told of
        a recording that is put away;
        one that is not `steerable` has no control socket and heeds no stop file: it only looks;
        `reactor` is a running-to-be Twisted reactor, None takes the process's own.
    Raises: ConfigError for what cannot start.
    """
    configs = (config, *others)
    for each in configs:
        check_live(each, live)
    check_together(configs)
    client = client or client_secrets(config)
    renewable = token is None and config.credentials.access_token is None
    token = token or load_token(config)
    runs = [assemble(each, client, token, new_run_id(), renewable=renewable, sharers=len(configs)) for each in configs]
    if reactor is None:
        from twisted.internet import reactor
    from twisted.internet.defer import DeferredList
    from twisted.logger import Logger

    from bot.engine.paper_fills import paper_venue
    from bot.net.address import venue_address
    from bot.net.background import Background
    from bot.net.client import LinkListener, VenueClient
    from bot.net.clock import run_clock
    from bot.net.companion import Companions
    from bot.net.driver import Driver
    from bot.net.oauth import OAuthClient, oauth_base
    from bot.net.outcome import EXIT_INTERRUPTED, DriverSettings, Outcome
    from bot.net.run_alerts import RunAlerts
    from bot.net.shared_link import SharedLink
    from bot.net.single_task import run_task
    from bot.net.steering import steered
    from bot.net.telemetry import Telemetry, opened
    from bot.net.token_keeper import TokenKeeper
    from bot.net.trust import TrustUnavailable, trust_roots

    venue = config.venue
    try:
        trust_roots(venue.ca_file)  # before any file is made
    except TrustUnavailable as error:
        raise config.error_at("venue.ca_file", str(error)) from None
    alerts = RunAlerts(configs if steerable else ())  # who only looks has nothing to tell
    warm_up(*(engine_settings(each, "rehearsal") for each in configs))

    def connect(listener: LinkListener) -> VenueClient:
        host, port = venue_address(config)
        return VenueClient(reactor, host, port, venue.ca_file, listener, jitter=secrets.SystemRandom().random)

    shared = SharedLink(reactor, connect) if others else None
    clock, log, beside = run_clock(), Logger("bot.app"), Background(reactor)
    listening: list[Telemetry] = []

    def tell(text: str) -> None:
        log.warn("{text}", text=text)

    def drive(run: Run) -> Driver:
        name = f"account {run.config.account.id}: " if others else ""
        if run.config.mode == "trade":
            open_ledger(run)
        else:
            run.paper = paper_venue(run.engine)
        telemetry = opened(reactor, run.config, run.session, run.engine, name)
        listening.extend([telemetry] if telemetry else [])
        directory = journal_directory or run.config.recording.directory
        if directory is not None:
            open_journal(run, directory, client, token, beside=beside, tell=tell)

        told_first, keeper = keep_usual(run, tell)

        def summarise_and_keep(finished: Driver) -> dict[str, Any]:
            if keeper is not None:
                keeper.write()
            return summarise(run, finished)

        def keep_token(driver: Driver) -> TokenKeeper:
            # The secrets of a simulator are nothing to the real OAuth server.
            has_server = venue.environment != "simulator" or venue.oauth_url is not None
            oauth = OAuthClient(reactor, oauth_base(config), venue.ca_file, client) if has_server else None
            path = config.credentials.token_file
            told = driver.session_step, driver.learn_secret
            return TokenKeeper(reactor, path, run.session, oauth, driver.now_ns, *told, name=driver.name)

        def beside_run(driver: Driver) -> Companions:
            steering = steered(reactor, run.config, run.session, run.engine, driver, directory) if steerable else None
            shown = telemetry.beside(driver, steering and steering.answer) if telemetry is not None else None
            return Companions([each for each in (steering, shown) if each is not None])

        return Driver(
            reactor,
            DriverSettings(run.config.venue.connect_timeout_s, seconds, exit_on_halt),
            run.session,
            run.engine,
            run.pipeline,
            connect if shared is None else lambda driver: shared.seat(driver, run.session),
            clock,
            figures=run.figures,
            paper=run.paper,
            ledger=run.ledger,
            journal=run.journal,
            keep_token=keep_token if renewable else None,
            watchers=[
                *watch(run),
                *([keeper] if keeper else []),
                *([telemetry.watch] if telemetry else []),
                *alerts.watchers(run.config, run.session, run.engine, client, beside, run.ledger, name),
            ],
            summarise=summarise_and_keep,
            name=name,
            first_inputs=[*told_first, *restored(run)],
            beside=beside_run,
        )

    def told(end: Any, run: Run) -> Any:
        alerts.ended(run.session, end)
        if isinstance(end, Outcome):
            ended(run, end.text)
        return end

    def stop_all() -> None:
        for driver in drivers:
            driver.stop(Outcome(EXIT_INTERRUPTED, "interrupted"))

    try:
        drivers = [drive(run) for run in runs]
        ends: list[tuple[bool, Any]] = run_task(
            reactor,
            lambda: DeferredList(
                [driver.start().addBoth(told, run) for driver, run in zip(drivers, runs, strict=True)],
                consumeErrors=True,
            ),
            stop_all,
        )
    finally:
        for telemetry in listening:
            telemetry.stop()  # of a run that has not begun, because another one could not
        beside.close()
        alerts.close()
        for run in runs:
            if run.journal is not None:
                recorded(run.journal.put_away())
    for is_outcome, end in ends:
        if not is_outcome:
            end.raiseException()  # a Failure: an error of ours, and its traceback is what helps
    worst = next((end for _, end in ends if end.exit_code), ends[0][1])
    return worst.exit_code, worst.text


# The demo's symbols when the market is synthetic: two dollar pairs on either side, and gold.
_DEMO_SYMBOLS: dict[str, dict[str, Any]] = {
    "EURUSD": {"direction": "long"},
    "USDJPY": {"direction": "short", "weight": 0.5},
    "XAUUSD": {"direction": "long", "weight": 0.5},
}
_DEMO_ACCOUNT = 1_000_001


def demo_config(
    symbols: Mapping[str, Any], *, trade: bool, venue: Mapping[str, Any], state: Path, telemetry: bool = False
) -> Config:
    """Return the demo's config: the defaults, but quick, so that half a minute shows something.

    Args: `telemetry` lets a page look on, on any free port of loopback.
    """
    return Config.model_validate(
        {
            "venue": {"environment": "simulator", "host": "localhost", **venue},
            "credentials": {"token_file": str(state / "token.json")},
            "account": {"id": _DEMO_ACCOUNT},
            "mode": "trade" if trade else "dry-run",
            "symbols": {name: dict(choice) for name, choice in symbols.items()},
            "strategy": {
                "name": "composite",
                "base_leverage": 3,
                "parameters": {"liquidity_base_s": 60, "liquidity_smoothing_s": 2, "volatility_sample_s": 0.5},
            },
            "sizing": {
                "warm_up_s": 3,
                "persistence_s": 1,
                "max_increase_frac_per_min": 1,
                "band": 0.05,
                "time_of_day": False,
            },
            "state": {"directory": str(state)},
            "telemetry": {"enabled": telemetry},
        }
    )


def preset_config(
    preset: Config, *, trade: bool, venue: Mapping[str, Any], state: Path, telemetry: bool = False
) -> Config:
    """Return a demo's config that trades as a file says: all of it but where it runs and what it keeps."""
    place = demo_config({"EURUSD": {}}, trade=trade, venue=venue, state=state, telemetry=telemetry)
    return preset.model_copy(update={section: getattr(place, section) for section in OF_THE_PLACE})


def _check_preset(preset: Config, market: str, seed: int) -> None:
    """Raises: ConfigError, with the line, for a symbol the venue has not, or what the strategy does not know."""
    from bot.sim.listing import extra_symbols
    from bot.sim.market import open_market

    every = [spec.name for spec in extra_symbols()]
    listed = [spec.name for spec in open_market(market, seed=seed, start_ns=0, speed=1.0, symbols=every).specs]
    for name in preset.symbols:
        if name not in listed:
            raise preset.error_at(f"symbols.{name}", f"the embedded venue has no {name}; it has: {', '.join(listed)}")
    engine_settings(preset, "")


def run_demo(
    *,
    market: str,
    preset: Config | None = None,
    seed: int,
    trade: bool,
    seconds: float | None,
    faults: Path | None,
    journal_directory: Path | None,
    watch: Callable[[Run], Sequence[Callable[[Decision], None]]],
    summarise: Callable[[Run, Any], dict[str, Any]],
    steer_by: Callable[[Path], None] = lambda path: None,
    telemetry: bool = False,
    state_directory: Path | None = None,
) -> tuple[int, str]:
    """Run the embedded venue and the bot against it in one process; return as `run_live`.

    Args: `preset` says what is traded and how, from `load_preset`; None: the demo's own symbols, and quick sizing;
        `faults` is a file of faults for the venue to play, as `microlev sim --faults` takes it; `steer_by` is told of
        a config by which `status`, `halt`, `resume` and `flatten` find this demo; with `telemetry` its folder holds
        `telemetry.json` once somebody can look on; `state_directory` is that folder, None for one that goes again.
    Raises: ValueError, one line, for a market or a file of faults that cannot be opened, or a preset that does not fit.
    """
    if preset is not None:
        _check_preset(preset, market, seed)  # at once, before anything is compiled
    rehearsed = preset or demo_config(_DEMO_SYMBOLS, trade=trade, venue={}, state=Path())
    warm_up(engine_settings(rehearsed, ""))  # before the venue starts, or its market would run ahead of the bot
    from twisted.internet import reactor

    from bot.net.clock import run_clock
    from bot.net.fault_script import load_faults
    from bot.net.outcome import EXIT_FAILED
    from bot.net.simulator import start_simulator
    from bot.sim.entities import AccountSettings
    from bot.sim.market import open_market
    from bot.sim.venue import Venue

    now_ns = run_clock()
    client = ClientSecrets("microlev-demo", secrets.token_urlsafe(24))
    token = Token(secrets.token_urlsafe(24), secrets.token_urlsafe(24))
    start_ns = now_ns()
    names = () if preset is None else preset.symbols
    source = open_market(market, seed=seed, start_ns=start_ns, speed=1.0, symbols=names)
    venue = Venue(
        source,
        accounts=[AccountSettings(_DEMO_ACCOUNT, "hedged", "USD", Decimal(10_000))],
        start_ns=start_ns,
        client_id=client.client_id,
        client_secret=client.client_secret,
        access_token=token.access_token,
        refresh_token=str(token.refresh_token),
        faults=None if faults is None else load_faults(faults, [spec.name for spec in source.specs]),
        seed=seed,
    )
    server = start_simulator(reactor, venue, 0, now_ns=now_ns)
    differs = ""

    def summarise_and_compare(run: Run, driver: Any) -> dict[str, Any]:
        nonlocal differs
        summary = summarise(run, driver)
        if run.ledger is not None and run.session.ready:  # without a connection the venue may know more
            summary["agreement"], differs = agreement_at(run.ledger.path, venue.desks[_DEMO_ACCOUNT].account)
        return summary

    recorded = [name for name, kind in source.descriptions.items() if not kind.startswith("synthetic")]
    symbols = {name: {"direction": "long"} for name in recorded} or _DEMO_SYMBOLS
    kept = nullcontext(str(state_directory)) if state_directory else TemporaryDirectory(prefix="microlev-demo-")
    with kept as state:
        where = {"port": server.port, "ca_file": str(server.ca_file), "oauth_url": server.oauth_url}
        place = {"trade": trade, "venue": where, "state": Path(state), "telemetry": telemetry}
        config = demo_config(symbols, **place) if preset is None else preset_config(preset, **place)
        write_token_file(config.credentials.token_file, token)
        steer_by(write_steering_config(config, Path(state)))
        try:
            code, text = run_live(
                config,
                live=False,
                seconds=seconds,
                exit_on_halt=False,
                watch=watch,
                summarise=summarise_and_compare,
                journal_directory=journal_directory or user_state_folder() / "demo",
                reactor=reactor,
                client=client,
            )
            return (EXIT_FAILED, differs) if differs and not code else (code, text)
        finally:
            server.stop()


def replay_journal(
    path: Path,
    *,
    watch: Callable[[Run], Sequence[Callable[[Decision], None]]] = lambda run: (),
    on_progress: Callable[[HowFar], None] = lambda how_far: None,
    to_the_end: bool = False,
) -> ReplayResult:
    """Decide a recorded run again, and compare. Args: `path` any file of the run, or the folder it is alone in.

    Raises: JournalError for a file that is no journal, is corrupt, or comes from a version that decided otherwise.
    """
    with open_run(path) as reader:
        refuse_without_beginning(path, reader)
        run = recorded_run(path, reader.header)
        config = run.config
        warm_up(engine_settings(config, "rehearsal"))
        watchers = list(watch(run))

        def on_decision(decision: Decision) -> None:
            for see in watchers:
                see(decision)

        return replay(reader, run.pipeline, on_decision, on_progress, to_the_end=to_the_end)
