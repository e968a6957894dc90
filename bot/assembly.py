"""Puts the parts of one run together from its config: settings, session, engine, pipeline, journal, ledger.

Nothing here starts anything; `app.py` does.
"""

import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

import strategies
from bot import __version__
from bot.account.leverage_plan import Band, Window
from bot.account.risk import RiskLimits
from bot.config import Config, ConfigError
from bot.config.model import LeverageWindow
from bot.config.secrets import ClientSecrets, Token
from bot.config.state_folder import state_directory as state_directory
from bot.config.state_folder import user_state_folder as user_state_folder
from bot.ctrader.pipeline import Pipeline
from bot.ctrader.redact import MARKER
from bot.ctrader.session import Session, SessionPlan
from bot.engine.decision import Decision
from bot.engine.engine import Engine
from bot.engine.events import Event, GuardRestored, IntentsRestored, OpenIntent, UsualRestored
from bot.engine.limit_watch import WatchLimits
from bot.engine.look_ups import CLOCK_SLACK_NS
from bot.engine.settings import EngineSettings, SymbolChoice
from bot.execution.paper import PaperVenue
from bot.execution.plan import OrderStyle
from bot.execution.protection import Protection
from bot.journal.format import JournalError
from bot.journal.ledger import Ledger, LedgerError
from bot.journal.recording import Beside, Recording, RecordingLimits, at_once
from bot.journal.sealing import seal_left
from bot.journal.usual_file import UsualKeeper, path_to_read, read_usual, usual_path
from bot.market.evaluator import Evaluator, EvaluatorSettings
from bot.sizing.leverage import LeverageLimits, Pace
from bot.sizing.strategy import Strategy, StrategyError, UnknownParameter
from bot.telemetry.figures import RunFigures

# Parameters of the evaluator that a strategy's `parameters` may set beside its own.
_MOST_DEALS = 2_000  # that a run is told its ledger has; what is beyond them may be told again
_EVALUATOR_PARAMETERS = {
    "liquidity_base_s": "liquidity_base_half_life_s",
    "liquidity_smoothing_s": "liquidity_smoothing_half_life_s",
    "spread_s": "spread_half_life_s",
    "flow_s": "flow_half_life_s",
    "imbalance_s": "imbalance_half_life_s",
    "slow_imbalance_s": "slow_imbalance_half_life_s",
    "imbalance_scale_s": "imbalance_scale_half_life_s",
    "lambda_s": "lambda_half_life_s",
    "volatility_s": "volatility_half_life_s",
    "slow_volatility_s": "slow_volatility_half_life_s",
    "volatility_sample_s": "volatility_sample_s",
    "exit_cost_cap_bps": "exit_cost_cap_bps",
}


@dataclass(slots=True)
class Run:
    """One run, put together and not yet started: what watchers and summaries look at. Its driver counts `figures`."""

    config: Config
    session: Session
    engine: Engine
    pipeline: Pipeline[Decision]
    run_id: str
    journal: Recording | None = None
    ledger: Ledger | None = None
    paper: PaperVenue | None = None
    figures: RunFigures = field(default_factory=RunFigures)


def new_run_id() -> str:
    """Return an id no other run has: the time it began and some chance. It starts every message and order id."""
    return f"{datetime.now(UTC):%y%m%d%H%M%S}{secrets.token_hex(3)}"


def engine_settings(config: Config, run_id: str) -> EngineSettings:
    """Return the engine's settings from a config.

    Raises: ConfigError for a strategy or a parameter that does not exist.
    """
    try:
        own, shared = split_parameters(config.strategy.parameters)
        strategy = strategies.load(config.strategy.name, own, on_error=config.strategy.on_error)
    except UnknownParameter as error:
        raise config.error_at("strategy.parameters", str(error.beside(_EVALUATOR_PARAMETERS))) from None
    except StrategyError as error:
        key = "parameters" if config.strategy.name in strategies.BUILT_IN else "name"
        raise config.error_at(f"strategy.{key}", str(error)) from None
    _check_symbols(config, strategy)
    sizing, risk, execution = config.effective_sizing(), config.risk, config.execution
    evaluator = EvaluatorSettings(**shared, time_of_day=sizing.time_of_day)
    return EngineSettings(
        symbols=tuple(SymbolChoice(name, s.direction, s.weight) for name, s in config.symbols.items()),
        strategy=strategy,
        base_leverage=config.strategy.base_leverage,
        pace=Pace(
            warm_up_s=sizing.warm_up_s,
            persistence_s=sizing.persistence_s,
            max_increase_frac_per_min=sizing.max_increase_frac_per_min,
            band_frac=None if sizing.band == "auto" else sizing.band,
            heeds_crisis=sizing.crisis,
        ),
        leverage_limits=LeverageLimits(risk.max_symbol_leverage, risk.max_leverage, risk.stop_out_level_frac),
        risk_limits=RiskLimits(
            max_leverage=risk.max_leverage,
            max_symbol_leverage=risk.max_symbol_leverage,
            max_margin_use_frac=risk.max_margin_use_frac,
            min_margin_level_frac=risk.min_margin_level_frac,
            max_orders_per_minute=risk.max_orders_per_minute,
            stale_quote_s=risk.stale_quote_s,
            stop_out_level_frac=risk.stop_out_level_frac,
            max_spread_bps=risk.max_spread_bps,
            heeds_crisis=sizing.crisis,
        ),
        watch_limits=WatchLimits(
            max_reject_frac=risk.max_reject_frac,
            max_slippage_beyond_bps=risk.max_slippage_beyond_bps,
            max_clock_step_s=risk.max_clock_step_s,
            min_disk_free_mb=risk.min_disk_free_mb,
            min_margin_level_frac=risk.min_margin_level_frac,
        ),
        style=OrderStyle(
            execution.order_type,
            execution.max_slippage_bps,
            config.account.label,
            is_sliced=execution.slicing == "almgren-chriss",
            protection=Protection(execution.stop_loss_bps, execution.take_profit_bps),
        ),
        evaluator=evaluator,
        calendar=sizing.calendar,
        label=config.account.label,
        manage_all=config.manage == "all",
        respect_manual_close=config.on_manual_close == "respect",
        min_interval_s=execution.min_interval_s,
        order_timeout_s=execution.order_timeout_s,
        settle_s=execution.settle_s,
        max_daily_loss_frac=risk.max_daily_loss_frac,
        max_drawdown_frac=risk.max_drawdown_frac,
        flatten_on_loss=risk.on_loss_limit == "flatten",
        flatten_on_stop=config.on_stop == "flatten",
        keep_on_stop=config.on_stop == "keep",
        run_id=run_id,
        expected_margin_tolerance_frac=risk.expected_margin_tolerance_frac,
        profit_tolerance_frac=risk.profit_tolerance_frac,
        leverage_bands=tuple(Band(band.equity_from, band.leverage) for band in risk.leverage_bands),
        leverage_windows=tuple(map(_window, risk.leverage_windows)),
    )


def _window(given: LeverageWindow) -> Window:
    at_ns, minute_ns = round(given.at.timestamp() * 1000) * 1_000_000, 60_000_000_000
    from_ns = at_ns - round(given.minutes_before * minute_ns)
    until_ns = at_ns + round(given.minutes_after * minute_ns)
    return Window(from_ns, until_ns, given.leverage, tuple(given.symbols))


def _check_symbols(config: Config, strategy: Strategy) -> None:
    """Refuse symbols that the strategy cannot serve, and a strategy that misses one. Raises: ConfigError."""
    for name, choice in config.symbols.items():
        if choice.direction == "signal" and not strategy.has_direction:
            text = f"is 'signal', but the strategy {strategy.name!r} has no direction; use long, short or follow"
            raise config.error_at(f"symbols.{name}.direction", text)
    missing = [name for name in strategy.symbols_needed if name not in config.symbols]
    if missing:
        text = f"strategy {strategy.name} needs {', '.join(missing)} among the symbols"
        raise config.error_at("strategy.parameters", text)


def split_parameters(parameters: Mapping[str, object]) -> tuple[dict[str, object], dict[str, float]]:
    """Return a strategy's own parameters, and those of the evaluator by the evaluator's names.

    Raises: StrategyError for one of the evaluator's that is no number above 0.
    """
    own = {key: value for key, value in parameters.items() if key not in _EVALUATOR_PARAMETERS}
    shared: dict[str, float] = {}
    for key, name in _EVALUATOR_PARAMETERS.items():
        value = parameters.get(key)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
            raise StrategyError(f"parameter {key!r} must be a number above 0, not {value!r}")
        shared[name] = float(value)
    return own, shared


def assemble(
    config: Config,
    client: ClientSecrets,
    token: Token,
    run_id: str,
    *,
    renewable: bool = False,
    sharers: int = 1,
    change: Callable[[EngineSettings], EngineSettings] = lambda settings: settings,
) -> Run:
    """Return session, engine and pipeline of a run, joined and idle.

    Args: `renewable` says that the token comes from its file, where another may be found or put; `sharers` is how
        many accounts share the connection; `change` alters what the engine is told, for studies.
    """
    plan = SessionPlan(
        client_id=client.client_id,
        client_secret=client.client_secret,
        access_token=token.access_token,
        refresh_token=token.refresh_token,
        account_id=config.account.id,
        environment=config.venue.environment,
        trade=config.mode == "trade",
        symbols=tuple(config.symbols),
        run_id=run_id,
        token_expires_ns=token.expires_ns,
        renewable=renewable,
        sharers=sharers,
        label=config.account.label,
    )
    session, engine = Session(plan), Engine(change(engine_settings(config, run_id)))
    return Run(config, session, engine, Pipeline(session, engine, orders_to_venue=plan.trade), run_id)


def journal_header(config: Config, plan: SessionPlan) -> dict[str, Any]:
    """Return what a journal says of its run: enough to decide it again, and no secret."""
    return {
        "software": "microlev",
        "version": __version__,
        "run_id": plan.run_id,
        "started": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "mode": config.mode,
        "symbols": list(config.symbols),
        "config": _replayable(config),
        "sharers": plan.sharers,
        "token": {
            "renewable": plan.renewable,
            "can_refresh": plan.refresh_token is not None,
            "expires_at": None if plan.token_expires_ns is None else plan.token_expires_ns // 1_000_000_000,
        },
    }


def journalled_token(header: Mapping[str, Any]) -> tuple[Token, bool]:
    """Return the token of a journal's run, a marker in place of its secrets, and whether it was renewable."""
    told = header.get("token", {})
    refresh_token = MARKER if told.get("can_refresh") else None
    return Token(MARKER, refresh_token, told.get("expires_at")), bool(told.get("renewable"))


def _replayable(config: Config) -> dict[str, Any]:
    """Return the whole config without its credentials; of `sizing` what the file gives, since that decides the rest."""
    content = config.model_dump(mode="json", exclude={"credentials"})
    content["sizing"] = config.sizing.model_dump(mode="json", exclude_unset=True)
    return content


def open_journal(
    run: Run,
    directory: Path,
    client: ClientSecrets,
    token: Token,
    *,
    beside: Beside = at_once,
    tell: Callable[[str], None] = lambda text: None,
) -> None:
    """Start the run's journal in a folder, which is made when it is missing; put away what dead runs have left there.

    Args: `beside` does what is not to hold the run up; `tell` takes a line for a person.
    Raises: ConfigError when the folder cannot be written to.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for text in seal_left(directory):
            tell(text)
        known = (client.client_secret, token.access_token, token.refresh_token)
        run.journal = Recording(
            directory,
            run.run_id,
            journal_header(run.config, run.session.plan),
            limits=_recording_limits(run.config),
            secrets=[secret.encode() for secret in known if secret],
            standing=run.engine.standing_market,
            beside=beside,
            tell=tell,
        )
    except (OSError, JournalError) as error:
        raise ConfigError(f"{directory}: the journal cannot be written: {error}") from None


def _recording_limits(config: Config) -> RecordingLimits:
    given = config.recording
    return RecordingLimits(
        segment_bytes=round(given.segment_mb * 1e6),
        segment_ns=round(given.segment_minutes * 60e9),
        max_bytes=None if given.max_disk_gb is None else round(given.max_disk_gb * 1e9),
    )


def keep_usual(run: Run, tell: Callable[[str], None]) -> tuple[list[Event], UsualKeeper | None]:
    """Return what the engine is to be told of earlier runs, and who keeps what this one learns of usual values.

    Without `sizing.time_of_day`, or a folder that can be made, nothing is kept. `tell` takes a line about what cannot
    be read or written: it costs patience and no money, so the run goes on.
    """
    if not run.config.effective_sizing().time_of_day:
        return [], None
    path = usual_path(state_directory(run.config), run.config.account.id)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        tell(f"{path.parent}: usual values cannot be kept: {error.strerror}")
        return [], None
    source = path_to_read(path)
    contents, trouble = read_usual(source)
    if trouble is not None:
        tell(trouble)
    for name in list(contents):
        try:
            Evaluator(np.ones(1), EvaluatorSettings()).restore_usual(0, contents[name])
        except ValueError as error:
            tell(f"{source}: what it says of {name} cannot be used ({error}); that is learnt anew")
            del contents[name]
    events: list[Event] = [UsualRestored(0, contents)] if contents else []
    return events, UsualKeeper(path, run.engine.usual, tell)


def ledger_path(config: Config) -> Path:
    """Return where the ledger of a config's account is, or would be."""
    return state_directory(config) / "ledger.sqlite3"


def restored(run: Run) -> list[Event]:
    """Return what the engine is to be told of earlier runs of its account, by their ledger.

    That is: halts and the references of the loss limits, intents without an end, since when deals may be missing and
    which ones are not, and the orders that still count towards the order rate.
    Raises: ConfigError when the ledger cannot be read, or says what no run has written.
    """
    if run.ledger is None:
        return []
    try:
        intents = tuple(
            OpenIntent(
                i.client_order_id, i.symbol_id, i.action, i.volume_cents, i.order_type, i.created_ns, i.position_id
            )
            for i in run.ledger.open_intents()
        )
        guard, listed = run.ledger.recall("guard"), run.ledger.recall("listed")
        since_ns = listed["to_ns"] if listed is not None else None
        sent_ns = run.ledger.last_sent_ns(run.config.risk.max_orders_per_minute)
        oldest_ns = min([i.created_ns for i in intents] + [0 if since_ns is None else since_ns])
        deal_ids = run.ledger.last_deal_ids(oldest_ns - 2 * CLOCK_SLACK_NS, _MOST_DEALS)
    except LedgerError as error:
        raise ConfigError(str(error)) from None
    told: list[Event] = []
    if guard is not None:
        told.append(GuardRestored(0, guard))
        try:
            Engine(engine_settings(run.config, "trial")).receive(told[0])
        except ValueError as error:
            raise ConfigError(f"{run.ledger.path}: what it keeps of the loss limits cannot be used: {error}") from None
    if intents or sent_ns or deal_ids or since_ns is not None:
        told.append(IntentsRestored(0, intents, since_ns, sent_ns, deal_ids))
    return told


def open_ledger(run: Run) -> None:
    """Open the ledger of the run's account; another process that has it is an error.

    Raises: ConfigError when it cannot be opened.
    """
    path = ledger_path(run.config)
    directory = path.parent
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        run.ledger = Ledger(path)
    except (OSError, LedgerError) as error:
        raise ConfigError(f"{directory}: the ledger cannot be opened: {error}") from None


def write_steering_config(config: Config, folder: Path) -> Path:
    """Write what finds a demo that runs; JSON is YAML. Returns: the file."""
    where: dict[str, Any] = {
        "venue": {"environment": config.venue.environment},
        "account": {"id": config.account.id},
        "state": {"directory": str(folder)},
        "symbols": {name: {} for name in config.symbols},
    }
    path = folder / "demo.yaml"
    path.write_text(json.dumps(where) + "\n", encoding="utf-8")
    return path
