"""The composition root of sweeps: variants of a config as trials over train days, the choice, and its test.

How it works: the test days are looked at after the last trial only, for the choice, the config as it is, and the
choice's neighbours. Workers get the config's text and the names of the data, and read the data themselves.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bot.config import ConfigError
from bot.config.model import RangeConfig, SweepConfig
from bot.config.variants import Variants
from bot.research.backtest.backtest import BacktestFailed
from bot.research.compare.kept_runs import digest_of
from bot.research.metrics.trading_year import trading_time_of
from bot.research.sources import Source
from bot.research.sweep.found import Beside, Scored, SweepFound, better_by, deflated, steadiness
from bot.research.sweep.ranges import Choice, Range, described
from bot.research.sweep.score import Direction, Pruned, Score, Scorer, direction_of
from bot.research.sweep.split import Split, Stretch, split_days, trading_days
from bot.research.sweep.study import Changes, Earlier, SweepStudy, Tried, is_hopeless
from bot.trial_assumptions import conditions_of, inputs_of, open_trial_sources
from bot.trials import Trial, run_trial, settings_of
from bot.workforce import Workforce

_RECORD_S = 10.0  # rows of a trial: bars are of five minutes, and a year of seconds would fill the memory


@dataclass(frozen=True, slots=True)
class Job:
    """One run of one variant over some days, as a worker gets it. `earlier` is what it is pruned by."""

    config_text: str
    changes: Mapping[str, Choice]
    data: tuple[str, ...]
    stretch: Stretch
    metric: str
    direction: Direction
    seed: int
    with_interval: bool
    earlier: Earlier = ()


def run_job(job: Job) -> Score:
    """Run a job. A variant that is no config, or cannot be run, has failed for a reason and is no error."""
    try:
        config = Variants.of_text(job.config_text).config(job.changes)
        sources = open_trial_sources(config, job.data, job.seed)
        conditions = conditions_of(config, seed=job.seed)
        scorer = Scorer(
            job.metric,
            job.stretch,
            {name: symbol.weight for name, symbol in config.symbols.items()},
            config.strategy.base_leverage,
            lambda by_day: is_hopeless(job.direction, job.earlier, by_day),
            trading_time_of(source.spec for source in sources[: len(config.symbols)]),
        )
        bounds = {"from_ns": job.stretch.from_ns, "until_ns": job.stretch.until_ns}
        run_trial(Trial("trial", config, sources, conditions, record_s=_RECORD_S, **bounds), on_day=scorer)  # type: ignore[arg-type]
    except Pruned:
        return scorer.pruned()
    except (ValueError, BacktestFailed) as error:
        return Score("failed", reason=" ".join(str(error).split()))
    return scorer.score(with_interval=job.with_interval)


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """What is settled before the first trial. `labels` say what kind of data each symbol has."""

    variants: Variants
    ranges: Mapping[str, Range]
    metric: str
    direction: Direction
    split: Split
    data: tuple[str, ...]
    seed: int
    labels: Mapping[str, str] = field(default_factory=dict)
    sources: Sequence[Mapping[str, Any]] = ()
    inputs: str = ""
    """A digest of what else its scores are made from: files, the strategy's own, the latency, the version."""

    def settled(self) -> dict[str, Any]:
        """Return what the study is held to, as what JSON can hold; the figure first."""
        return {
            "metric": self.metric,
            "direction": self.direction,
            "ranges": described(self.ranges),
            "split": {
                "calibration": len(self.split.calibration),
                "train": list(self.split.train),
                "embargo": list(self.split.embargo),
                "test": list(self.split.test),
            },
            "data": list(self.sources),
            "files, strategy, latency or version": self.inputs,
            "seed": self.seed,
            "config": json.loads(self.variants.text())["tree"] | {"sweep": None},
        }

    def job(self, changes: Mapping[str, Choice], stretch: Stretch, *, final: bool, earlier: Earlier = ()) -> Job:
        """Return the job of one variant."""
        text = self.variants.text()
        figure = (self.metric, self.direction, self.seed)
        return Job(text, changes, self.data, stretch, *figure, with_interval=final, earlier=earlier)


def plan_of(variants: Variants, given: SweepConfig, data: Sequence[str], metric: str | None, seed: int) -> Plan:
    """Return what a sweep will do, everything checked that can be before the first trial.

    Raises: ConfigError or ValueError, one line: a range that no config takes, an unknown figure, data that cannot be
        read, too few days.
    """
    if not given.ranges:
        raise ConfigError(
            "sweep.ranges: is empty; name at least one key, as `strategy.base_leverage: {low: 1, high: 5}`"
        )
    wanted = metric or given.metric
    direction = direction_of(wanted, given.direction if wanted == given.metric else None)
    config = variants.config({})
    settings_of(config)
    conditions = conditions_of(config, seed=seed)
    ranges = {name: _checked_range(variants, name, each) for name, each in given.ranges.items()}
    placed = tuple(each if each.startswith("synthetic") else str(Path(each).absolute()) for each in data)
    sources = open_trial_sources(config, placed, seed)
    days = trading_days(sources)
    split = split_days(days, config.backtest.calibration_days, given.train_frac, given.embargo_days)
    labels = {source.spec.name: source.label for source in sources}
    kinds = [_kind(source) for source in sources]
    inputs = inputs_of(config, placed, conditions)
    return Plan(variants, ranges, wanted, direction, split, placed, seed, labels, kinds, digest_of(inputs))


def _kind(source: Source) -> dict[str, Any]:
    name, symbol = Path(source.name).name, source.spec.name
    return {"name": name, "symbol": symbol, "label": source.label, "span_ns": list(source.span_ns)}


def _checked_range(variants: Variants, name: str, given: RangeConfig) -> Range:
    """Return a range whose values a config takes, each by itself."""
    if given.low is not None and given.high is not None:
        each = Range(given.low, given.high, given.step, given.log)
    else:
        each = Range(choices=tuple(given.choices or ()))
    for value in each.probes():
        try:
            config = variants.config({name: value})
        except ConfigError as error:
            said = str(error)
            if said.startswith("sweep.ranges:"):
                raise
            if f": {name}:" in said:
                hint = "; `step: 1` makes whole numbers" if isinstance(value, float) and "fractional" in said else ""
                raise ConfigError(f"sweep.ranges: {name}: {value!r} cannot be tried: {said}{hint}") from None
            continue  # it may fit together with other values: a trial will tell
        try:
            settings_of(config)
        except ConfigError as error:
            raise ConfigError(f"sweep.ranges: {name}: {value!r} cannot be tried: {error}") from None
    return each


def sweep(
    plan: Plan,
    study: SweepStudy,
    trials: int,
    workforce: Workforce[Job, Score],
    *,
    on_trial: Callable[[Tried, Tried | None], None] = lambda tried, best: None,
    on_final: Callable[[int, int], None] = lambda done, total: None,
) -> SweepFound:
    """Run trials until there are `trials` in all, then test the choice.

    Args: `on_trial` is told each trial and the best so far, on train days; `on_final` how many of the runs of the end
        are done.
    Raises: NothingFound when no trial has a score.
    """
    _run_trials(plan, study, trials, workforce, on_trial)
    best = study.best()
    if best is None:
        reasons = sorted({each.score.reason for each in study.tried() if each.score.reason})
        raise NothingFound(
            f"no trial of {trials} has a score; for example: {reasons[0] if reasons else 'none was run'}"
        )
    return _tested(plan, study, best, workforce, on_final)


class NothingFound(Exception):
    """There is nothing to choose from; the text gives a reason in one line."""


def _run_trials(
    plan: Plan,
    study: SweepStudy,
    trials: int,
    workforce: Workforce[Job, Score],
    on_trial: Callable[[Tried, Tried | None], None],
) -> None:
    under_way: dict[int, Changes] = {}
    while (left := trials - len(study.tried()) - len(under_way)) > 0 or under_way:
        if left > 0 and workforce.has_room:
            number, changes = study.ask(plan.seed, in_parallel=workforce.jobs > 1)
            under_way[number] = changes
            workforce.start(number, plan.job(changes, plan.split.train_stretch, final=False, earlier=study.earlier()))
            continue
        number, outcome = workforce.take()
        score = _score(outcome)
        study.tell(number, score)
        on_trial(Tried(number, under_way.pop(number), score), study.best())


def _score(outcome: Score | Exception) -> Score:
    if isinstance(outcome, Exception):
        said = " ".join(str(outcome).split())
        return Score("failed", reason=f"{type(outcome).__name__}: {said}" if said else type(outcome).__name__)
    return outcome


def _tested(
    plan: Plan,
    study: SweepStudy,
    best: Tried,
    workforce: Workforce[Job, Score],
    on_final: Callable[[int, int], None],
) -> SweepFound:
    beside = {
        name: [{**best.changes, name: value} for value in each.neighbours(best.changes[name])]
        for name, each in plan.ranges.items()
    }
    wanted = [best.changes, {}, *(changes for each in beside.values() for changes in each)]
    scored = _scored(plan, study, wanted, workforce, on_final)

    def both(changes: Changes) -> Scored:
        return Scored(changes, scored["train", _text(changes)], scored["test", _text(changes)])

    study.note_choice(best.changes)
    chosen, tried = both(best.changes), study.tried()
    trains = [each.score.figure for each in tried if each.score.state == "complete"]
    steady = []
    for name, each in plan.ranges.items():
        points = [both(changes) for changes in (best.changes, *beside[name])]
        found = [Beside(one.changes[name], one.train.figure, one.test.figure) for one in points]
        found.sort(key=lambda one: each.place(one.value))
        steady.append(steadiness(name, each, best.changes[name], plan.direction, found, trains))
    run = [each for each in tried if each.score.state != "failed"]
    sharpes = [_bar_sharpe(each.score) for each in run]
    states = [each.score.state for each in tried]
    return SweepFound(
        study.name,
        plan.settled(),
        plan.metric,
        plan.direction,
        plan.split,
        {state: states.count(state) for state in ("complete", "pruned", "failed")},
        chosen,
        both({}),
        better_by(plan.direction, chosen.train.figure, chosen.test.figure),
        len(run),
        deflated(chosen.train, sharpes) if plan.metric == "net_sharpe" else None,
        study.importance(),
        tuple(steady),
        study.test_looks(),
        plan.labels,
        tuple((each.changes, each.score.state, each.score.figure) for each in tried),
        {name: plan.variants.given(name) for name in plan.ranges},
    )


def _scored(
    plan: Plan,
    study: SweepStudy,
    wanted: Sequence[Changes],
    workforce: Workforce[Job, Score],
    on_final: Callable[[int, int], None],
) -> dict[tuple[str, str], Score]:
    """Return the scores of variants on train and test days; those that the study remembers are not run again.

    A run that ended by an error of the machinery, as when its worker died, has no score, and is not remembered.
    """
    stretches = {"train": plan.split.train_stretch, "test": plan.split.test_stretch}
    unique = {(part, _text(changes)): changes for changes in wanted for part in stretches}
    scored = {key: kept for key, changes in unique.items() if (kept := study.remembered(key[0], changes)) is not None}
    waiting = [key for key in unique if key not in scored]
    total, under_way = len(unique), 0
    while waiting or under_way:
        if waiting and workforce.has_room:
            key = waiting.pop(0)
            workforce.start(key, plan.job(unique[key], stretches[key[0]], final=True))
            under_way += 1
            continue
        key, outcome = workforce.take()
        under_way -= 1
        scored[key] = _score(outcome)
        if not isinstance(outcome, Exception):
            study.remember(key[0], unique[key], outcome)
        on_final(len(scored), total)
    return scored


def _bar_sharpe(score: Score) -> float:
    return score.moments.sharpe if score.moments is not None else math.nan


def _text(changes: Mapping[str, Any]) -> str:
    return json.dumps(dict(changes), sort_keys=True)
