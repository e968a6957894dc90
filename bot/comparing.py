"""A comparison of arms, from sources to what it found. The procedure of models 17; `docs/backtest.md` tells it.

How it works: one pass over the market gives minutes; they give the directions, the days and the crises. On the
calibration days every arm runs at the same base, and what its rows show there, and nothing else, says how much larger
or smaller it has to be to carry the reference's risk. Then each arm runs over all days in one go, so that what is usual
is learnt walking forward, and the days of the test alone are judged.

No figure of a test day may reach a parameter. What is passed on from the calibration to the test are the factors of
`_scales`, made of runs that end with the calibration days; signals look back only; the threshold of a crisis is made of
calibration minutes; the placebo's calibration days borrow from each other.
"""

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any, Protocol

from bot.config import Config
from bot.market.hours import SymbolHours
from bot.research.backtest.conditions import Conditions
from bot.research.backtest.result import Result
from bot.research.compare.arms import CONSTANT, LENDER, PLACEBO, Arm
from bot.research.compare.comparison import BY_MEAN_LEVERAGE, BY_VOLATILITY, ArmFound, Comparison
from bot.research.compare.in_spans import in_spans
from bot.research.compare.judging import (
    PRIMARY,
    Judging,
    Seen,
    arm_found,
    differences,
    gains_in,
    judged,
    on_clock,
    seen,
    superior_to_benchmarks,
    without_exit,
)
from bot.research.compare.kept_runs import COMPARISON, RunFolder, digest_of
from bot.research.compare.minutes import DAY_NS, MINUTE_NS, Minutes, minutes_of
from bot.research.compare.shuffled import lenders
from bot.research.compare.signals import ALL_SIGNALS, SIGNALS, directions_of
from bot.research.compare.spans import CRISIS_RATIO, Release, spans_of
from bot.research.metrics.arm_run import Span
from bot.research.metrics.interval import Sampling
from bot.research.metrics.matching import match
from bot.research.metrics.plain import plain
from bot.research.metrics.trading_year import trading_time_of
from bot.research.shocks.shock import Shock
from bot.research.shocks.shock import spans as spans_of_shocks
from bot.research.sources import Source
from bot.trial_assumptions import sides_of
from bot.trial_pool import Alter, Ground, Progressed, Task, run_all, same_messages
from bot.trials import Trial, played

MATCHINGS = (BY_VOLATILITY, BY_MEAN_LEVERAGE)
_FILE_WORDS = {BY_VOLATILITY: "volatility", BY_MEAN_LEVERAGE: "leverage"}


class Watch(Protocol):
    """Who is told how far a comparison has come."""

    def begun(self, runs: int, total_ns: int) -> None:
        """Take how many runs there will be, and how much virtual time all of them have together."""
        ...

    def found(self, task: Task, lasts_ns: int) -> None:
        """Take a run that was done by an earlier command, and how much virtual time it has."""
        ...

    def progressed(self, news: Progressed) -> None:
        """Take how far a run has come."""
        ...

    def note(self, text: str) -> None:
        """Take a line for a person."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Contest:
    """What is compared, on what.

    Args: `opened` opens the sources, in the order of the config's symbols, in every process anew; `releases` and
        `more_spans` the spans that the data do not tell; `alter` changes the messages on their way; `shocks` returns
        those to play between two times, which are those of the test; `resamples` how often intervals are drawn.
    """

    config: Config
    opened: Callable[[], Sequence[Source]]
    conditions: Conditions
    folder: RunFolder
    arms: Sequence[Arm]
    signals: Sequence[str] = tuple(SIGNALS)
    releases: Sequence[Release] = ()
    more_spans: Sequence[Span] = ()
    from_ns: int = 0
    until_ns: int = 2**62
    jobs: int = 1
    alter: Alter = same_messages
    record_s: float = 1.0
    shocks: Callable[[int, int], Sequence[Shock]] = lambda from_ns, until_ns: ()
    resamples: int = 1000


def compare(contest: Contest, watch: Watch) -> Comparison:
    """Run what has not been run yet, judge all of it, and keep the outcome in the folder, which is locked.

    Raises: ConfigError or ValueError, one line each: too few days, an arm that cannot be, a source that is corrupt.
    """
    if len(contest.arms) < 2:
        raise ValueError("there is nothing to compare: name an arm besides constant")
    return _Comparing(contest, watch).found()


def calibration_end_ns(minutes: Minutes, days: int) -> int:
    """Return the midnight, UTC, that ends the first `days` days with quotes.

    Raises: ValueError when no day is left after them.
    """
    quoted = minutes.days()
    if len(quoted) <= days:
        raise ValueError(
            f"too few days: quotes on {_listed(quoted)}, and backtest.calibration_days takes {days} of them, so that "
            "none is left to test"
        )
    return (quoted[days - 1] + 1) * DAY_NS


def calibration_minutes_end_ns(minutes: Minutes, count: int, *, borrows_days: bool) -> int:
    """Return the end of the first `count` minutes, of a recording that is too short for days.

    Args: `borrows_days` says that an arm needs another day of the recording.
    Raises: ValueError when nothing is left after them, or there is no other day.
    """
    if borrows_days and len(minutes.days()) < 2:
        raise ValueError("placebo borrows from other days, and there is one: name the other arms instead of `all`")
    first_ns, last_ns = int(minutes.times_ns[0]), int(minutes.times_ns[-1])
    end_ns = first_ns + count * MINUTE_NS
    if end_ns > last_ns:
        told = (last_ns - first_ns) // MINUTE_NS + 1
        raise ValueError(
            f"too short: {told} minutes, and backtest.calibration_minutes takes {count} of them, so that none is left "
            "to test"
        )
    return end_ns


class _Comparing:
    """One comparison under way."""

    def __init__(self, contest: Contest, watch: Watch) -> None:
        self._contest, self._watch = contest, watch
        config, self._seed = contest.config, contest.conditions.seed
        self._symbols = tuple(config.symbols)
        self._weights = tuple(symbol.weight for symbol in config.symbols.values())
        self._sources = contest.opened()
        bounds = contest.from_ns, contest.until_ns
        looked_at = Trial("market", config, self._sources, contest.conditions, *bounds, alter=contest.alter)
        self._minutes = minutes_of(played(looked_at), len(self._sources))
        given = config.backtest
        if given.calibration_minutes is None:
            self._test_ns = calibration_end_ns(self._minutes, given.calibration_days)
        else:
            borrows = any(arm.name == PLACEBO for arm in contest.arms)
            self._test_ns = calibration_minutes_end_ns(self._minutes, given.calibration_minutes, borrows_days=borrows)
        self._begin_ns = int(self._minutes.times_ns[0])
        self._end_ns = min(int(self._minutes.times_ns[-1]) + MINUTE_NS, contest.until_ns)
        self._shocks = tuple(contest.shocks(self._test_ns, self._end_ns))
        self._ground = Ground(
            config,
            contest.opened,
            contest.conditions,
            {
                name: directions_of(name, self._minutes, self._symbols, self._seed, sides_of(config))
                for name in contest.signals
            },
            contest.alter,
            contest.record_s,
            self._shocks,
        )
        self._trading_time = trading_time_of(source.spec for source in self._sources[: len(self._symbols)])
        borrowed = lenders(self._minutes.days(), self._test_ns // DAY_NS, self._seed)
        self._lenders = tuple(sorted(borrowed.items()))
        self._remarks: list[str] = []

    def found(self) -> Comparison:
        contest, arms, signals = self._contest, self._contest.arms, self._contest.signals
        calibration_ns, whole_ns = self._test_ns - self._begin_ns, self._end_ns - self._begin_ns
        matched = (len(arms) - 1) * len(MATCHINGS) + 1
        runs = len(signals) * (len(arms) + matched)
        self._watch.begun(runs, len(signals) * (len(arms) * calibration_ns + matched * whole_ns))

        taught = {(signal, arm.name): self._calibration(signal, arm) for signal in signals for arm in arms}
        self._run(taught)
        scales = {signal: self._scales(signal, taught) for signal in signals}
        if not any(scales.values()):
            raise ValueError("no arm held anything on the calibration days: there is nothing to match")
        tasks = {
            (signal, matching, arm.name): self._matched(signal, matching, arm, scales[signal])
            for signal in signals
            for matching in MATCHINGS
            for arm in arms
            if (arm.name, matching) in scales[signal]
        }
        self._run(tasks)

        scripted = spans_of_shocks(self._shocks)
        told = (*contest.more_spans, *scripted)
        spans = spans_of(self._minutes, contest.releases, self._test_ns, self._test_ns, self._end_ns, told)
        sampling = Sampling(resamples=contest.resamples, seed=self._seed)
        hours = tuple(SymbolHours(source.spec) for source in self._sources[: len(self._symbols)])
        judging = Judging(self._test_ns, spans, self._trading_time, sampling, scripted, hours, self._weights)
        tries = len({task.name for task in tasks.values()})
        comparison = self._comparison(tasks, judging, tries)
        contest.folder.write(COMPARISON, as_json(comparison))
        return comparison

    # -- runs ---------------------------------------------------------------------------------------------------

    def _task(self, name: str, signal: str, arm: Arm, scale: float, until_ns: int, lent: Task | None) -> Task:
        folder, from_ns = self._contest.folder, self._contest.from_ns
        special = [asdict(arm), signal, scale, from_ns, until_ns]
        if lent is not None:
            special += [lent.digest, self._lenders]
        return Task(
            name,
            folder.path_of(name),
            digest_of([folder.digest, *special]),
            from_ns,
            until_ns,
            arm,
            signal,
            scale,
            None if lent is None else lent.path,
            () if lent is None else self._lenders,
        )

    def _calibration(self, signal: str, arm: Arm) -> Task:
        lent = self._calibration(signal, LENDER) if arm.name == PLACEBO else None
        return self._task(f"calibration-{signal}-{arm.name}", signal, arm, 1.0, self._test_ns, lent)

    def _matched(self, signal: str, matching: str, arm: Arm, scales: Mapping[tuple[str, str], float]) -> Task:
        # The reference is matched to itself in either way: one run serves both tables.
        word = "reference" if arm.name == CONSTANT else _FILE_WORDS[matching]
        lent = self._matched(signal, matching, LENDER, scales) if arm.name == PLACEBO else None
        scale = scales[arm.name, matching]
        return self._task(f"{word}-{signal}-{arm.name}", signal, arm, scale, self._contest.until_ns, lent)

    def _run(self, tasks: Mapping[Any, Task]) -> None:
        """Run what is not there yet; what borrows from another run comes after it."""
        folder = self._contest.folder
        wanted = {task.name: task for task in tasks.values()}
        for is_second in (False, True):
            missing = []
            for task in wanted.values():
                if (task.lent is not None) == is_second:
                    if folder.has(task.name, task.digest):
                        self._watch.found(task, min(task.until_ns, self._end_ns) - self._begin_ns)
                    else:
                        missing.append(task)
            if missing:
                run_all(self._ground, missing, self._contest.jobs, self._watch.progressed)

    # -- matching -----------------------------------------------------------------------------------------------

    def _scales(self, signal: str, taught: Mapping[tuple[str, str], Task]) -> dict[tuple[str, str], float]:
        """Return what each arm's base is multiplied by, from the calibration days; without arms that held nothing."""
        reference = Result.load(taught[signal, CONSTANT].path).arm_run()
        found: dict[tuple[str, str], float] = {}
        for arm in self._contest.arms:
            run = on_clock(Result.load(taught[signal, arm.name].path).arm_run(), reference.time_ns)
            factors = match(run, reference, self._test_ns, self._trading_time)
            both = zip(MATCHINGS, (factors.volatility_factor, factors.leverage_factor), strict=True)
            for matching, scale in both:
                is_lent = arm.name != PLACEBO or (LENDER.name, matching) in found
                base = self._contest.config.strategy.base_leverage * max(self._weights) * scale
                most = self._contest.config.risk.max_symbol_leverage
                if base > most:
                    self._remark(
                        f"{arm.name}, {signal}: matched by {matching} its base leverage is {base:.1f}, and "
                        f"risk.max_symbol_leverage {most:g} bends the match"
                    )
                if math.isfinite(scale) and is_lent:
                    found[arm.name, matching] = 1.0 if arm.name == CONSTANT else scale
                else:
                    self._remark(
                        f"{arm.name}, {signal}: held nothing on the calibration days, not matched by {matching}"
                    )
        return found

    def _remark(self, text: str) -> None:
        self._remarks.append(text)
        self._watch.note(text)

    # -- judging ------------------------------------------------------------------------------------------------

    def _comparison(self, tasks: Mapping[tuple[str, str, str], Task], judging: Judging, tries: int) -> Comparison:
        contest = self._contest
        found: list[ArmFound] = []
        differ, inside, verdicts, gains = [], [], [], []
        for signal in contest.signals:
            for matching in MATCHINGS:
                table = {arm: task for (s, m, arm), task in tasks.items() if (s, m) == (signal, matching)}
                if len(table) < 2:
                    continue
                runs = self._seen(table, judging)
                self._note_halts(table)
                for arm, each in runs.items():
                    task = table[arm]
                    found.append(arm_found(arm, signal, matching, task.scale, each, judging, task.path))
                differ += differences(runs, signal, matching, judging)
                inside += in_spans(runs, signal, matching, judging)
                verdicts.append(judged(runs, signal, matching, tries, judging))
                gains += gains_in(runs, signal, matching)
                if shut := without_exit(runs):
                    self._remark(f"{signal}, matched by {matching}: no exit for {shut}")
        superior = superior_to_benchmarks(gains, judging)
        return Comparison(
            primary=PRIMARY,
            tries=tries,
            symbols=self._symbols,
            data=tuple(map(_facts, self._sources)),
            assumptions={
                "seed": self._seed,
                **contest.config.backtest.model_dump(mode="json"),
                "base_leverage": contest.config.strategy.base_leverage,
                "signals": {name: ALL_SIGNALS[name] for name in contest.signals},
                "arms": {arm.name: arm.says for arm in contest.arms},
                "crisis": f"spread at least {CRISIS_RATIO:g} times that of the calibration days at this time of day",
                "block_s": judging.sampling.block_s,
                "resamples": judging.sampling.resamples,
            },
            from_ns=self._begin_ns,
            calibration_until_ns=self._test_ns,
            until_ns=self._end_ns,
            spans=judging.spans,
            arms=tuple(found),
            differences=tuple(differ),
            judged=tuple(replace(each, superior=superior) for each in verdicts),
            remarks=tuple(self._remarks),
            in_spans=tuple(inside),
        )

    def _note_halts(self, table: Mapping[str, Task]) -> None:
        for arm, task in table.items():
            refused = Result.load(task.path).figures["refused"]
            for check in ("daily_loss", "drawdown"):
                if check in refused:
                    self._remark(f"{arm}, {task.name}: halted by the limit risk.max_{check}_frac of the config")

    def _seen(self, table: Mapping[str, Task], judging: Judging) -> dict[str, Seen]:
        times_ns = Result.load(table[CONSTANT].path).clocks["time_ns"]
        clock_ns = times_ns[times_ns >= judging.from_ns].copy()
        return {arm: seen(Result.load(task.path), clock_ns, judging) for arm, task in table.items()}


def as_json(comparison: Comparison) -> str:
    """Return a comparison as JSON, files by their names."""
    return json.dumps(plain(comparison), default=lambda path: path.name, indent=1) + "\n"


def _facts(source: Source) -> dict[str, Any]:
    return {
        "symbol": source.spec.name,
        "source": source.name,
        "label": source.label,
        "is_semi_synthetic": source.is_semi_synthetic,
        "from_ns": source.span_ns[0],
        "to_ns": source.span_ns[1],
    }


def _listed(days: Iterable[int]) -> str:
    return ", ".join(datetime.fromtimestamp(day * 86_400, UTC).date().isoformat() for day in days)
