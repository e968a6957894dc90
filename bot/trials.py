"""The composition root of research: a config and recordings become a backtest, and its result.

A trial is the user's own config, in `mode: trade` against a replayed venue; what an arm of a comparison does otherwise
is a change of the engine's settings, made here and nowhere else.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

import numpy as np

from bot.assembly import Run, assemble, engine_settings
from bot.config import Config
from bot.config.secrets import ClientSecrets, Token
from bot.engine.decision import Decision
from bot.engine.events import UsualRestored
from bot.engine.settings import EngineSettings
from bot.research.backtest.backtest import Backtest
from bot.research.backtest.conditions import Conditions, Swap
from bot.research.backtest.latency import Latency, latency
from bot.research.backtest.messages import EMPTY, Messages, merged
from bot.research.backtest.record import FILL, Day, Recorder, clock_dtype
from bot.research.backtest.replayed_venue import ReplayedVenue
from bot.research.backtest.result import Result
from bot.research.backtest.venue_books import VenueBooks
from bot.research.sources import Source

_ACCOUNT = 1_000_001
_KEY = "backtest"


def _same_settings(settings: EngineSettings) -> EngineSettings:
    return settings


def _same_messages(pieces: Iterator[Messages]) -> Iterator[Messages]:
    return pieces


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """What is run.

    Args: `sources` in the order of the config's symbols; `from_ns`, `until_ns` bound the time; `record_s` the least
        time between two rows of the result; `change` alters the engine's settings; `alter` the messages on their way;
        `told_first` what of usual values earlier days have taught; `on_now` is told the time before each decision.
    """

    name: str
    config: Config
    sources: Sequence[Source]
    conditions: Conditions
    from_ns: int = 0
    until_ns: int = 2**62
    record_s: float = 1.0
    change: Callable[[EngineSettings], EngineSettings] = _same_settings
    alter: Callable[[Iterator[Messages]], Iterator[Messages]] = _same_messages
    told_first: dict[str, dict[str, object]] = field(default_factory=dict)
    on_now: Callable[[int], None] = lambda now_ns: None


def conditions_of(config: Config, *, seed: int = 1, measured: Latency | None = None) -> Conditions:
    """Return what a config's section `backtest` assumes.

    Args: `measured` is the latency for `latency: ledger`.
    Raises: ConfigError naming the key.
    """
    given = config.backtest
    if given.latency == "ledger":
        if measured is None:
            raise config.error_at("backtest.latency", "is 'ledger', but no ledger has measured any order yet")
        way: Latency = measured
    else:
        try:
            way = latency(given.latency)
        except ValueError as error:
            raise config.error_at("backtest.latency", str(error)) from None
    return Conditions(
        balance=Decimal(str(given.balance)),
        deposit_currency=given.deposit_currency,
        account_type=given.account_type,
        leverage=given.leverage,
        commission_per_million=Decimal(str(given.commission_per_million)),
        stop_out_frac=config.risk.stop_out_level_frac,
        latency=way,
        clock_s=given.clock_s,
        resilience_half_life_s=given.resilience_half_life_s,
        rejects_dead_quotes=given.reject_dead_quotes,
        swaps={name: Swap(swap.long_bps, swap.short_bps) for name, swap in given.swaps.items()},
        seed=seed,
    )


def as_trial(config: Config) -> Config:
    """Return a config that trades on a simulator, whatever it says of where and how it runs."""
    return config.model_copy(
        update={
            "mode": "trade",
            "account": config.account.model_copy(update={"id": _ACCOUNT}),
            "venue": config.venue.model_copy(update={"environment": "simulator"}),
        }
    )


def run_trial(
    trial: Trial,
    *,
    on_progress: Callable[[int, int], None] = lambda rows, now_ns: None,
    on_day: Callable[[Day], None] | None = None,
    watch: Callable[[Run, Decision], None] = lambda run, decision: None,
) -> Result:
    """Run a trial to its end and return its result.

    Args: `on_progress` is told rows and time; `on_day` takes each day's rows, which are then not in the result;
        `watch` sees every Decision.
    Raises: ConfigError, ValueError or BacktestFailed, one line each.
    """
    config, sources, conditions = as_trial(trial.config), trial.sources, trial.conditions
    run = assemble(config, _CLIENT, _TOKEN, "backtest", change=trial.change)
    specs = [source.spec for source in sources]
    books = VenueBooks(len(specs))
    start_ns = max(trial.from_ns, min(source.span_ns[0] for source in sources))
    venue = ReplayedVenue(specs, books, _ACCOUNT, conditions, start_ns, {s.spec.name: s.label for s in sources}, _KEY)
    days: list[Day] = []
    symbols = tuple(config.symbols)
    recorder = Recorder(run.engine, books, len(symbols), round(trial.record_s * 1e9), on_day or days.append)

    def decided(decision: Decision, now_ns: int) -> None:
        recorder.decided(decision, now_ns, is_asleep=backtest.is_asleep)
        watch(run, decision)

    backtest = Backtest(run.session, run.engine, run.pipeline, venue, conditions, decided, trial.on_now)
    if trial.told_first:
        run.engine.receive(UsualRestored(0, trial.told_first))
    backtest.run(played(trial), on_progress)
    recorder.finish()
    clocks = np.concatenate([np.empty(0, clock_dtype(len(symbols))), *(day.clocks for day in days)])
    return Result(
        trial.name,
        symbols,
        {source.spec.name: source.label for source in sources},
        run.engine.strategy.factor_names,
        config.strategy.base_leverage,
        clocks,
        np.concatenate([np.empty(0, FILL), *(day.fills for day in days)]),
        {
            "decisions": recorder.decisions,
            "rows": backtest.events,
            "messages": backtest.message_count,
            "orders": dict(recorder.orders),
            "refused": dict(recorder.refused),
            "rejected": dict(recorder.rejected),
            "dead_quotes": backtest.dead_quotes,
            "connections": backtest.connections,
            "stop_outs_ns": recorder.stop_outs_ns,
            "swaps": [[time_ns, float(money)] for time_ns, money in venue.swaps_booked],
            "engine_equity": run.engine.valuation.equity,
            "venue_equity": float(venue.equity()),
        },
        {"seed": conditions.seed, **config.backtest.model_dump(mode="json")},
    )


def played(trial: Trial) -> Iterator[Messages]:
    """Yield the messages of a trial, as the venue and the engine of its run get them."""
    pieces = merged([source.stream(place, trial.from_ns) for place, source in enumerate(trial.sources)])
    return trial.alter(_within(pieces, trial.from_ns, trial.until_ns))


_CLIENT, _TOKEN = ClientSecrets(_KEY, _KEY), Token(_KEY, _KEY)


def settings_of(config: Config) -> EngineSettings:
    """Return the engine's settings of a trial. Raises: ConfigError."""
    return engine_settings(as_trial(config), "backtest")


def _within(pieces: Iterator[Messages], from_ns: int, until_ns: int) -> Iterator[Messages]:
    """Cut a stream of messages at its ends. What comes before the beginning is told as one message there."""
    for piece in pieces:
        first = int(np.searchsorted(piece.times_ns, from_ns, side="left"))
        last = int(np.searchsorted(piece.times_ns, until_ns, side="left"))
        if first:  # a book is followed from its own beginning
            early = np.maximum(piece.times_ns, from_ns)
            piece = Messages(early, piece.ends, piece.rows)
        yield piece if last == len(piece.times_ns) else piece.part(0, last)
        if last < len(piece.times_ns):
            return
    yield EMPTY
