"""From runs to what a comparison says: figures of the test days, intervals, paired differences, tests, the verdict.

How it works: every arm is seen at the times at which the reference arm has a row, with the last row it had by then,
since arms are asked at different moments while orders are under way. A run is read, summed up and let go, so that many
arms of many days fit in memory.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from bot.market.hours import SymbolHours
from bot.research.backtest.result import Result
from bot.research.compare.arms import ADAPTIVE, COMPOSITE, CONSTANT, OWN, PLACEBO, SCHEDULE
from bot.research.compare.closed_hours import closed_growth
from bot.research.compare.comparison import ArmFound, Difference, Judged
from bot.research.compare.spans import CRISIS, NOT_EVENTS
from bot.research.metrics.arm_run import ArmRun, Span, TradingTime
from bot.research.metrics.bar_figures import BAR_FIGURES
from bot.research.metrics.bars import Bars, bars_of
from bot.research.metrics.deflated_sharpe import deflated_sharpe
from bot.research.metrics.interval import (
    Interval,
    Sampling,
    bar_interval,
    paired_bar_interval,
    paired_window_interval,
)
from bot.research.metrics.summary import RunSummary, summary_of
from bot.research.metrics.superior_ability import Gains, SuperiorAbility, gains_of, superior_ability
from bot.research.metrics.verdict import Evidence, Tails, no_verdict, verdict_on
from bot.research.metrics.windows import WINDOW_FIGURES, windows_of

PRIMARY = "net_sharpe"
SHOWN = (
    PRIMARY, "net_return_frac", "realised_volatility_frac", "shortfall_bps_per_day", "resize_cost_bps_per_day",
    "exit_cost_p99_bps", "mean_leverage",
)  # fmt: skip
"""Figures of every arm that have an interval."""
CRISIS_LOSS, EXIT_COST, RESIZE_COST = "mean_drawdown_frac", "exit_cost_p99_bps", "resize_cost_bps_per_day"
REDUCED = (EXIT_COST, "shortfall_bps_per_day")
MAJORS = ("EURUSD", "GBPUSD", "USDJPY", "USDCHF", "AUDUSD", "USDCAD", "NZDUSD")
RIVALS = (CONSTANT, ADAPTIVE, SCHEDULE, PLACEBO)
"""What the composite arm is compared with; the others are compared with the constant one."""


@dataclass(frozen=True, slots=True)
class Judging:
    """How arms are judged.

    Units: `from_ns` the test begins; `spans` of the test days, `shocks` those of a script; `hours` when each symbol
        trades, none given: all of them while the clock has rows; `weights` of each symbol, none given: 1.
    """

    from_ns: int
    spans: tuple[Span, ...]
    trading_time: TradingTime
    sampling: Sampling
    shocks: tuple[Span, ...] = ()
    hours: tuple[SymbolHours, ...] = ()
    weights: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """A run as it is judged: its test days on the common clock, summed up.

    `windows` are its spans by their kind; `majors` the bars of each major by itself.
    """

    summary: RunSummary
    bars: Bars
    windows: Mapping[str, np.ndarray]
    majors: Mapping[str, Bars] = field(default_factory=dict)


def on_clock(run: ArmRun, time_ns: np.ndarray) -> ArmRun:
    """Return a run at other times, (T,): each row is the last at or before it, the first where there is none."""
    rows = run.row_at(time_ns)
    return replace(
        run,
        time_ns=time_ns,
        equity=run.equity[rows],
        leverage=run.leverage[rows],
        crisis_level=run.crisis_level[rows],
        exit_cost_bps=run.exit_cost_bps[rows],
        is_capped=run.is_capped[rows],
        closed_growth=None if run.closed_growth is None else run.closed_growth[rows],
    )


def seen(result: Result, clock_ns: np.ndarray, judging: Judging) -> Seen:
    """Return a run as it is judged. Args: `clock_ns` the times of the reference arm's rows."""
    own = result.arm_run(judging.from_ns, judging.weights)
    mids = result.clocks["mid"][-len(own.time_ns) :]
    # On the arm's own rows: at the opening it may be asked a moment after the reference is.
    run = on_clock(replace(own, closed_growth=closed_growth(own, mids, judging.hours)), clock_ns)
    bars = bars_of(run, judging.trading_time)
    summary = summary_of(run, judging.spans, not_events=NOT_EVENTS, trading_time=judging.trading_time)
    majors = {
        symbol: bars_of(_of_symbol(run, s), judging.trading_time)
        for s, symbol in enumerate(result.symbols)
        if symbol.replace("/", "") in MAJORS
    }
    kinds = dict.fromkeys([CRISIS, *(span.kind for span in judging.spans)])
    return Seen(summary, bars, {kind: windows_of(run, judging.spans, kind) for kind in kinds}, majors)


def _of_symbol(run: ArmRun, s: int) -> ArmRun:
    only = slice(s, s + 1)
    return replace(
        run,
        leverage=run.leverage[:, only],
        crisis_level=run.crisis_level[:, only],
        exit_cost_bps=run.exit_cost_bps[:, only],
        is_capped=run.is_capped[:, only],
        fills=run.fills[run.fills["symbol"] == s],
    )


def arm_found(
    arm: str, signal: str, matching: str, scale: float, found: Seen, judging: Judging, path: Path | None
) -> ArmFound:
    """Return what one arm came to, with intervals."""
    intervals = {name: bar_interval(BAR_FIGURES[name], found.bars, judging.sampling) for name in SHOWN}
    return ArmFound(arm, signal, matching, scale, replace(found.summary, arm=arm), intervals, path)


def differences(arms: Mapping[str, Seen], signal: str, matching: str, judging: Judging) -> list[Difference]:
    """Return the pairs that matter: the composite arm against its rivals, every other against the constant arm."""
    pairs = [(COMPOSITE, rival) for rival in RIVALS]
    pairs += [(arm, CONSTANT) for arm in arms if arm not in (COMPOSITE, CONSTANT)]
    found = []
    for arm, against in pairs:
        if arm not in arms or against not in arms:
            continue
        ours, theirs = arms[arm], arms[against]
        told = (arm, against, signal, matching)
        found.append(Difference(*told, PRIMARY, False, _paired(PRIMARY, ours, theirs, judging, "difference")))
        for name in REDUCED:
            found.append(Difference(*told, name, True, _paired(name, ours, theirs, judging, "reduction")))
        found.append(Difference(*told, CRISIS_LOSS, True, _crisis_loss(ours, theirs, judging)))
    return found


def judged(arms: Mapping[str, Seen], signal: str, matching: str, tries: int, judging: Judging) -> Judged:
    """Return what the arms of one table together say of the composite arm, or of the config's own; nothing of others.

    What all tables together say, `superior`, is left empty: `superior_to_benchmarks` tells it.

    Args: `tries` how many variants were tried, all told.
    """
    arm = next((name for name in (COMPOSITE, OWN) if name in arms), None)
    if arm is None:
        return Judged(signal, matching, no_verdict(), (), None)
    ours = arms[arm]

    def tails(against: str) -> Tails:
        if against not in arms:
            return Tails(against, _not_run(against, judging), _not_run(against, judging))
        theirs = arms[against]
        exit_cost = _paired(EXIT_COST, ours, theirs, judging, "reduction")
        return Tails(against, _crisis_loss(ours, theirs, judging), exit_cost)

    sharpe = (
        _paired(PRIMARY, ours, arms[ADAPTIVE], judging, "difference")
        if ADAPTIVE in arms
        else _not_run(ADAPTIVE, judging)
    )
    resize = {
        symbol: bar_interval(BAR_FIGURES[RESIZE_COST], bars, judging.sampling) for symbol, bars in ours.majors.items()
    }
    others = tuple(tails(against) for against in (SCHEDULE, PLACEBO))
    verdict = verdict_on(Evidence(arm, sharpe, tails(ADAPTIVE), others, resize))
    returns = np.array([each.bars.rows["return_frac"] for each in arms.values()])
    deflated = deflated_sharpe(returns, list(arms).index(arm), float(tries))
    return Judged(signal, matching, verdict, (), deflated)


def without_exit(arms: Mapping[str, Seen]) -> str:
    """Return for how much of its held time each arm had nothing to close against, in words; nothing where none had."""
    shares = {name: each.summary.exposure.no_exit_frac for name, each in arms.items()}
    told = ", ".join(f"{100 * share:.2g} % ({name})" for name, share in shares.items() if share > 0)
    return f"{told} of held time" if told else ""


def gains_in(arms: Mapping[str, Seen], signal: str, matching: str) -> list[Gains]:
    """Return what the arms of one table earned more than each benchmark that stands in it."""
    bars = {name: each.bars for name, each in arms.items()}
    benchmarks = [name for name in (CONSTANT, ADAPTIVE) if name in bars and len(bars) > 1]
    return [gains_of(bars, benchmark, f"{signal}, {matching}") for benchmark in benchmarks]


def superior_to_benchmarks(gains: Sequence[Gains], judging: Judging) -> tuple[SuperiorAbility, ...]:
    """Return for each benchmark whether any arm of any signal and matching earns more. Args: `gains` of all tables."""
    tables: dict[str, list[Gains]] = {}
    for each in gains:
        tables.setdefault(each.benchmark, []).append(each)
    return tuple(superior_ability(of_benchmark, judging.sampling) for of_benchmark in tables.values())


def _paired(name: str, ours: Seen, theirs: Seen, judging: Judging, how: str) -> Interval:
    figure: Callable[[Bars, np.ndarray], float] = BAR_FIGURES[name]
    return paired_bar_interval(figure, ours.bars, theirs.bars, how, judging.sampling)  # type: ignore[arg-type]


def _crisis_loss(ours: Seen, theirs: Seen, judging: Judging) -> Interval:
    crises = ours.windows[CRISIS], theirs.windows[CRISIS]
    return paired_window_interval(WINDOW_FIGURES[CRISIS_LOSS], *crises, "reduction", judging.sampling)


def _not_run(arm: str, judging: Judging) -> Interval:
    nan, how = math.nan, judging.sampling
    remark = f"unknown: arm {arm} was not run"
    return Interval(nan, nan, nan, "", how.level_frac, 0, how.seed, "bar", 0, 0.0, False, remark, ())
