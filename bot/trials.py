"""The composition root of research: a config and recordings become a backtest, and its result.

A trial is the user's own config, in `mode: trade` against a replayed venue; what an arm of a comparison does otherwise
is a change of the engine's settings, made here and nowhere else.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bot.assembly import Run, assemble, engine_settings
from bot.config import Config
from bot.config.secrets import ClientSecrets, Token
from bot.engine.decision import Decision
from bot.engine.events import UsualRestored
from bot.engine.settings import EngineSettings
from bot.research.backtest.backtest import Backtest
from bot.research.backtest.checkpoint import load_checkpoint, save_checkpoint
from bot.research.backtest.conditions import Conditions
from bot.research.backtest.drop import Drop
from bot.research.backtest.messages import EMPTY, Messages, merged
from bot.research.backtest.record import FILL, Day, Recorder, clock_dtype
from bot.research.backtest.replayed_venue import ReplayedVenue
from bot.research.backtest.result import Result
from bot.research.backtest.venue_books import VenueBooks
from bot.research.sources import Source

_ACCOUNT = 1_000_001
_DAY_NS = 86_400_000_000_000
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
        `drops` when the connection is lost; `told_first` what of usual values earlier days have taught; `on_now` is
        told the time before each decision.
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
    drops: Sequence[Drop] = ()
    told_first: dict[str, dict[str, object]] = field(default_factory=dict)
    on_now: Callable[[int], None] = lambda now_ns: None


def span_ns(trial: Trial) -> tuple[int, int]:
    """Return when a trial begins and ends, by what its sources have."""
    begin_ns = min(source.span_ns[0] for source in trial.sources)
    return max(trial.from_ns, begin_ns), min(trial.until_ns, max(source.span_ns[1] for source in trial.sources) + 1)


def as_trial(config: Config) -> Config:
    """Return a config that trades on a simulator, whatever it says of where and how it runs."""
    return config.model_copy(
        update={
            "mode": "trade",
            "account": config.account.model_copy(update={"id": _ACCOUNT}),
            "venue": config.venue.model_copy(update={"environment": "simulator"}),
        }
    )


@dataclass(slots=True)
class _World:
    """Everything of a run that goes on after a checkpoint. `pieces` of the stream are played; `day` the last kept."""

    run: Run
    venue: ReplayedVenue
    recorder: Recorder
    backtest: Backtest
    days: list[Day]
    pieces: int = 0
    day: int = -1


def _new_world(trial: Trial) -> _World:
    config, sources, conditions = as_trial(trial.config), trial.sources, trial.conditions
    run = assemble(config, _CLIENT, _TOKEN, "backtest", change=trial.change)
    specs = [source.spec for source in sources]
    books = VenueBooks(len(specs))
    start_ns = max(trial.from_ns, min(source.span_ns[0] for source in sources))
    venue = ReplayedVenue(specs, books, _ACCOUNT, conditions, start_ns, {s.spec.name: s.label for s in sources}, _KEY)
    days: list[Day] = []
    recorder = Recorder(run.engine, venue, len(config.symbols), round(trial.record_s * 1e9), days.append)
    backtest = Backtest(
        run.session, run.engine, run.pipeline, venue, conditions, _nobody_sees, trial.on_now, trial.drops
    )
    if trial.told_first:
        run.engine.receive(UsualRestored(0, trial.told_first))
    return _World(run, venue, recorder, backtest, days)


def _nobody_sees(decision: Decision, now_ns: int) -> None: ...


def run_trial(
    trial: Trial,
    *,
    on_progress: Callable[[int, int], None] = lambda rows, now_ns: None,
    on_day: Callable[[Day], None] | None = None,
    watch: Callable[[Run, Decision], None] = lambda run, decision: None,
    checkpoint: Path | None = None,
    key: str = "",
) -> Result:
    """Run a trial to its end and return its result.

    Args: `on_progress` is told rows and time; `on_day` takes each day's rows, which are then not in the result;
        `watch` sees every Decision; `checkpoint` a file that keeps the whole state at the end of each day, from which
        a run with the same `key` goes on: what inputs and version it is of. It is removed at the end.
    Raises: ConfigError, ValueError or BacktestFailed, one line each.
    """
    world = None if checkpoint is None else load_checkpoint(checkpoint, key)
    if world is None:
        world = _new_world(trial)
    run, backtest, recorder, venue = world.run, world.backtest, world.recorder, world.venue

    def decided(decision: Decision, now_ns: int) -> None:
        recorder.decided(decision, now_ns, is_asleep=backtest.is_asleep)
        watch(run, decision)

    def keep(rows: int, now_ns: int) -> None:
        world.pieces += 1
        if checkpoint is not None and now_ns // _DAY_NS != world.day:
            world.day = now_ns // _DAY_NS
            backtest.moved(_nobody_sees)  # who looks on is not of the world
            recorder.on_day = world.days.append
            save_checkpoint(checkpoint, key, world)
            attach()
        on_progress(rows, now_ns)

    def attach() -> None:
        backtest.moved(decided)
        recorder.on_day = on_day or world.days.append

    attach()
    backtest.run(itertools.islice(played(trial), world.pieces, None), keep)
    recorder.finish()
    if checkpoint is not None:
        checkpoint.unlink(missing_ok=True)
    config, symbols, days = as_trial(trial.config), tuple(trial.config.symbols), world.days
    clocks = np.concatenate([np.empty(0, clock_dtype(len(symbols))), *(day.clocks for day in days)])
    return Result(
        trial.name,
        symbols,
        {source.spec.name: source.label for source in trial.sources},
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
            "money_digits": venue.account.money_digits,
        },
        {"seed": trial.conditions.seed, **config.backtest.model_dump(mode="json")},
    )


def played(trial: Trial) -> Iterator[Messages]:
    """Yield the messages of a trial, as the venue and the engine of its run get them; no piece is empty."""
    pieces = merged([source.stream(place, trial.from_ns) for place, source in enumerate(trial.sources)])
    # A run that goes on from a checkpoint leaves out as many as were played: an empty one would not have been counted.
    return (piece for piece in trial.alter(_within(pieces, trial.from_ns, trial.until_ns)) if len(piece.times_ns))


_CLIENT, _TOKEN = ClientSecrets(_KEY, _KEY), Token(_KEY, _KEY)


def settings_of(config: Config) -> EngineSettings:
    """Return the engine's settings of a trial. Raises: ConfigError."""
    return engine_settings(as_trial(config), "backtest")


def _within(pieces: Iterator[Messages], from_ns: int, until_ns: int) -> Iterator[Messages]:
    """Cut a stream of messages at its ends. What comes before the beginning is told there."""
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
