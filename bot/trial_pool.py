"""Runs many trials, in this process or in several, and keeps each in its file.

How it works: a worker process gets the ground once (config, where the sources are, the directions) and opens the
sources for itself; then it is told one task after the other. A task needs nothing of another one's process, so that the
same seed makes the same files with any number of processes. Workers end when their parent does, however it ends.
"""

import multiprocessing
import os
import queue
import signal
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import strategies
from bot import __version__
from bot.assembly import split_parameters
from bot.config import Config
from bot.config.model import StrategyConfig
from bot.engine.settings import EngineSettings
from bot.research.backtest.backtest import BacktestFailed
from bot.research.backtest.conditions import Conditions
from bot.research.backtest.messages import Messages
from bot.research.backtest.result import Result
from bot.research.compare.arm_strategy import Directed, Now
from bot.research.compare.arms import OWN, PLACEBO, SCHEDULE, Arm, arm_settings
from bot.research.compare.schedule import TimeOfDay
from bot.research.compare.shuffled import Lent, Shuffled
from bot.research.compare.signals import Directions
from bot.research.shocks.shock import Shock
from bot.research.sources import Source
from bot.sizing.strategy import Strategy
from bot.trial_variants import with_shocks
from bot.trials import Trial, run_trial

_LOOK_S = 0.5
Alter = Callable[[Iterator[Messages]], Iterator[Messages]]


def same_messages(pieces: Iterator[Messages]) -> Iterator[Messages]:
    """Return messages as they are."""
    return pieces


@dataclass(frozen=True, slots=True, eq=False)
class Ground:
    """What every run of a comparison has in common.

    Args: `opened` opens the sources, in every process anew; `directions` of each signal; `alter` changes the messages
        on their way; `shocks` those that are played, each in the runs whose time it is in.
    """

    config: Config
    opened: Callable[[], Sequence[Source]]
    conditions: Conditions
    directions: Mapping[str, Directions] = field(default_factory=dict)
    alter: Alter = same_messages
    record_s: float = 1.0
    shocks: Sequence[Shock] = ()


@dataclass(frozen=True, slots=True)
class Task:
    """One run. `arm` None runs the config as it is; `lent` is the run that the placebo borrows from, by `lenders`."""

    name: str
    path: Path
    digest: str
    from_ns: int
    until_ns: int
    arm: Arm | None = None
    signal: str = ""
    scale: float = 1.0
    lent: Path | None = None
    lenders: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Progressed:
    """How far a run has come: rows of market data, virtual time; `is_done` at its end."""

    task: Task
    rows: int
    now_ns: int
    is_done: bool = False


class Stopped(Exception):
    """Somebody wants the runs to end."""


def trial_of(ground: Ground, sources: Sequence[Source], task: Task) -> Trial:
    """Return the trial of a task. Raises: ConfigError; ValueError for a shock that cannot be played."""
    trial = _quiet_trial(ground, sources, task)
    shocks = [shock for shock in ground.shocks if task.from_ns <= shock.at_ns < task.until_ns]
    return with_shocks(trial, shocks) if shocks else trial


def _quiet_trial(ground: Ground, sources: Sequence[Source], task: Task) -> Trial:
    config, arm = ground.config, task.arm
    fixed: dict[str, Any] = {
        "sources": sources,
        "conditions": ground.conditions,
        "from_ns": task.from_ns,
        "until_ns": task.until_ns,
        "record_s": ground.record_s,
        "alter": ground.alter,
    }
    if arm is None:
        return Trial(task.name, config, **fixed)
    now = Now()
    size = config.strategy.base_leverage * task.scale
    # Every rule of `sizing` is in force for every arm; `constant` would else have none but those that are written down.
    own, _ = split_parameters(config.strategy.parameters)
    of_market = {key: given for key, given in config.strategy.parameters.items() if key not in own}
    neutral = StrategyConfig(name="composite", base_leverage=size, parameters=of_market)
    scaled = config.model_copy(update={"strategy": neutral})

    def change(settings: EngineSettings) -> EngineSettings:
        model = _model(arm, config, task, now)
        return arm_settings(arm, settings, Directed(model, ground.directions[task.signal], now, arm.left_out))

    return Trial(arm.name, scaled, change=change, on_now=now.tell, **fixed)


def _model(arm: Arm, config: Config, task: Task, now: Now) -> Strategy:
    if arm.name == SCHEDULE:
        return TimeOfDay(now)
    own, _ = split_parameters(config.strategy.parameters)
    if arm.name == OWN or arm.strategy == config.strategy.name:
        model = strategies.load(config.strategy.name, own, on_error=config.strategy.on_error)
    else:
        model = strategies.load(arm.strategy, {})
    if arm.name == PLACEBO:
        assert task.lent is not None
        return Shuffled(model, Lent.of(Result.load(task.lent)), dict(task.lenders), now)
    return model


def run_task(
    ground: Ground,
    sources: Sequence[Source],
    task: Task,
    tell: Callable[[Progressed], None],
    is_stopped: Callable[[], bool] = lambda: False,
) -> None:
    """Run one task and keep what it came to. Raises: as `run_trial`, with the run's name; Stopped."""

    def advanced(rows: int, now_ns: int) -> None:
        if is_stopped():
            raise Stopped
        tell(Progressed(task, rows, now_ns))

    try:
        result = run_trial(
            trial_of(ground, sources, task),
            on_progress=advanced,
            checkpoint=task.path.with_suffix(".checkpoint"),
            key=f"{__version__} {task.digest} {task.name}",
        )
    except BacktestFailed as error:
        raise ValueError(f"run {task.name}: {error}") from None
    kept = {**result.assumptions, "inputs": task.digest, "signal": task.signal, "scale": task.scale}
    replace(result, assumptions=kept).save(task.path)
    tell(Progressed(task, int(result.figures["rows"]), task.until_ns, is_done=True))


def run_all(ground: Ground, tasks: Sequence[Task], jobs: int, tell: Callable[[Progressed], None]) -> None:
    """Run tasks, `jobs` at a time; return when all are done. Raises: as `run_task`."""
    if jobs == 1 or len(tasks) < 2:
        sources = ground.opened()
        for task in tasks:
            run_task(ground, sources, task, tell)
        return
    context = multiprocessing.get_context("spawn")
    given, told, stop = context.Queue(), context.Queue(), context.Event()
    workers = [context.Process(target=_work, args=(ground, given, told, stop)) for _ in range(min(jobs, len(tasks)))]
    for entry in [*tasks, *(None for _ in workers)]:
        given.put(entry)
    try:
        for worker in workers:
            worker.start()
        left = len(tasks)
        while left:
            try:
                news = told.get(timeout=_LOOK_S)
            except queue.Empty:
                if any(worker.exitcode for worker in workers):
                    raise ValueError(
                        "a process of this backtest has ended; the same command goes on from here"
                    ) from None
                continue
            if isinstance(news, Exception):
                raise news
            tell(news)
            left -= news.is_done
    finally:
        stop.set()
        for each in (given, told):
            each.cancel_join_thread()
        for worker in workers:
            if worker.pid is not None:
                worker.join()


def _work(ground: Ground, given: Any, told: Any, stop: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent says when to stop
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    try:
        sources = ground.opened()
        for task in iter(given.get, None):
            run_task(ground, sources, task, told.put, stop.is_set)
            if stop.is_set():
                break
    except Stopped:
        pass
    except ValueError as error:
        told.put(ValueError(str(error)))  # of its own kind it may not come through
        return
    except Exception:
        told.put(RuntimeError(f"in a process of this backtest:\n{traceback.format_exc()}"))
        return
    if stop.is_set():
        told.cancel_join_thread()  # nobody listens


def _end_with(parent: Any) -> None:
    parent.join()
    os._exit(1)  # a parent that was killed asks for nothing any more
