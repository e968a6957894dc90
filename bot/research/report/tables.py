"""The tables of a report, as cells with words: what arms came to, how they differ, what was tested and counted."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from bot.research.backtest.result import Result
from bot.research.compare.comparison import Comparison, Difference
from bot.research.metrics.arm_run import TradingTime
from bot.research.metrics.interval import Interval
from bot.research.metrics.summary import RunSummary
from bot.research.metrics.superior_ability import SuperiorAbility
from bot.research.report.words import (
    TELLING,
    UNKNOWN,
    Words,
    difference_words,
    excludes_zero,
    moment,
    number,
    span,
    superior_words,
    words_of,
)


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell: its text, what stands small below it, and whether it is to be noticed."""

    text: str
    detail: str = ""
    is_telling: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table. `columns` are (title, unit); the first cell of a row is its head; `is_secondary` may be folded away;
    `is_of_words` holds texts rather than numbers."""

    caption: str
    columns: tuple[tuple[str, str], ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""
    is_secondary: bool = False
    is_of_words: bool = False


Group = tuple[str, str]
SIGNIFICANT = 0.05

_ARM_FIGURES = (
    "net_return_frac", "net_sharpe", "realised_volatility_frac", "max_drawdown_frac", "shortfall_bps_per_day",
    "exit_cost_p99_bps", "mean_leverage", "turnover_per_day",
)  # fmt: skip
_MORE_ARM_FIGURES: tuple[tuple[str, str, Callable[[RunSummary], float], int], ...] = (
    ("fills", "", lambda s: s.costs.fills, 0),
    ("stop-outs", "", lambda s: s.exposure.stop_outs, 0),
    ("slippage less predicted", "bps", lambda s: s.costs.prediction_error_bps, 3),
    ("no exit", "% of held time", lambda s: 100 * s.exposure.no_exit_frac, 2),
    ("costs of gross profit", "%", lambda s: 100 * s.costs.cost_per_gross_profit, 1),
)


def figure_of(summary: RunSummary, name: str, intervals: Mapping[str, Interval]) -> float:
    """Return a figure of a run by its name in `bar_figures`; NaN where the summary has none."""
    if name == "max_drawdown_frac" and name not in intervals:
        return summary.performance.max_drawdown.depth_frac
    for part in (summary.performance, summary.costs, summary.exposure):
        if hasattr(part, name):
            return float(getattr(part, name))
    return intervals[name].estimate if name in intervals else math.nan


def arms_table(comparison: Comparison, group: Group) -> Table:
    """Return what each arm of a signal and matching came to, with intervals where they were computed."""
    arms = [each for each in comparison.arms if (each.signal, each.matching) == group]
    rows = [(each.arm, each.summary, each.intervals, each.scale) for each in arms]
    first = () if comparison.primary in _ARM_FIGURES else (comparison.primary,)
    return _summaries(rows, (*first, *_ARM_FIGURES), f"What each arm came to{of(group)}", comparison.primary)


def runs_table(results: Sequence[Result], trading_time: TradingTime | None = None) -> Table:
    """Return what each run came to, when there is no comparison to say it with intervals."""
    from bot.research.metrics.summary import summary_of

    rows: list[tuple[str, RunSummary, Mapping[str, Interval], float]]
    rows = [
        (each.name, summary_of(each.arm_run(), trading_time=trading_time), {}, 1.0)
        for each in results
        if len(each.clocks)
    ]
    table = _summaries(rows, _ARM_FIGURES, "What it came to", "")
    return Table(table.caption, table.columns, table.rows, "Without intervals: a comparison computes them.")


def _summaries(
    rows: Sequence[tuple[str, RunSummary, Mapping[str, Interval], float]],
    figures: Sequence[str],
    caption: str,
    primary: str,
) -> Table:
    has_scales = any(scale != 1 for *_, scale in rows)
    columns = [("arm", "")] + ([("base multiplied by", "")] if has_scales else [])
    for name in figures:
        words = words_of(name)
        columns.append((f"{words.name}{', primary' if name == primary else ''}", words.unit))
    columns += [(title, unit) for title, unit, *_ in _MORE_ARM_FIGURES]
    found = []
    for arm, summary, intervals, scale in rows:
        cells = [Cell(arm)] + ([Cell(number(scale))] if has_scales else [])
        for name in figures:
            words, interval = words_of(name), intervals.get(name)
            detail = span(interval, words) if interval is not None else ""
            cells.append(Cell(number(figure_of(summary, name, intervals), words), detail))
        cells += [Cell(number(read(summary), Words("", "", 1.0, n))) for _, _, read, n in _MORE_ARM_FIGURES]
        found.append(tuple(cells))
    note = _why_unknown(interval for _, _, intervals, _ in rows for interval in intervals.values())
    return Table(caption, tuple(columns), tuple(found), note)


def _why_unknown(intervals: Iterable[Interval]) -> str:
    whys = dict.fromkeys(each.remark.removeprefix("unknown: ") for each in intervals if not each.is_known)
    return f"Unknown intervals: {'; '.join(whys)}." if whys else ""


def differences_table(comparison: Comparison, group: Group) -> Table | None:
    """Return how arms differ: a row a pair of arms, a column a figure, the primary one first."""
    found = [each for each in comparison.differences if (each.signal, each.matching) == group]
    if not found:
        return None
    figures = list(dict.fromkeys((each.figure, each.is_reduction) for each in found))
    figures.sort(key=lambda name: name[0] != comparison.primary)
    by_place = {(each.arm, each.against, each.figure, each.is_reduction): each for each in found}
    columns = [("arm against another", "")]
    for figure, is_reduction in figures:
        words = difference_words(figure, is_reduction=is_reduction)
        columns.append((f"{words.name}{', primary' if figure == comparison.primary else ''}", words.unit))
    rows = []
    for arm, against in dict.fromkeys((each.arm, each.against) for each in found):
        cells = [Cell(f"{arm} against {against}")]
        cells += [difference_cell(by_place.get((arm, against, *figure))) for figure in figures]
        rows.append(tuple(cells))
    coverage = found[0].interval.level_frac
    note = (
        f"Differences are the first arm less the second, reductions the share by which it is lower; paired in time. "
        f"{coverage:.0%} intervals. {TELLING} marks those that leave out 0. With so many differences some leave it out "
        f"by chance: the primary figure was named beforehand, the others describe. "
    )
    note = (note + _why_unknown(each.interval for each in found)).strip()
    return Table(f"How the arms differ{of(group)}", tuple(columns), tuple(rows), note)


def difference_cell(difference: Difference | None) -> Cell:
    """Return a difference as a cell; one that nobody computed is empty."""
    if difference is None:
        return Cell("")
    words, interval = difference_words(difference.figure, is_reduction=difference.is_reduction), difference.interval
    is_telling = excludes_zero(interval)
    text = number(interval.estimate, words, signed=True)
    return Cell(f"{text} {TELLING}" if is_telling else text, span(interval, words, signed=True), is_telling)


def tests_table(comparison: Comparison) -> Table | None:
    """Return what the tests of many arms said: superior ability against benchmarks, deflated Sharpe ratios."""
    rows = []
    for test in comparison.judged[0].superior if comparison.judged else ():  # of all tables, and the same in each
        p = _p_value(test) if test.is_known else UNKNOWN
        bounds = f"{number(test.p_lower)} to {number(test.p_upper)}" if test.is_known else ""
        rows.append(
            (
                Cell(f"any arm above {test.benchmark}", superior_words(test)),
                Cell("p-value of superior ability"),
                Cell(p, bounds, test.is_known and test.p_consistent < SIGNIFICANT),
                Cell(f"best: {test.best}" if test.is_known else test.remark),
            )
        )
    for judged in comparison.judged:
        if judged.deflated is not None:
            deflated = judged.deflated
            head = Cell(judged.verdict.arm, f"signal {judged.signal}, {judged.matching}")
            share = number(deflated.probability_frac, Words("", "", 100.0, 1))
            share = share if share == UNKNOWN else f"{share} %"
            what = (
                f"after {number(deflated.tries, Words('', '', 1.0, 1))} independent tries, {deflated.observations} bars"
            )
            rows.append((head, Cell("probability that its Sharpe ratio is above 0"), Cell(share), Cell(what)))
    if not rows:
        return None
    note = (
        "A small p-value says that so good a best arm is unlikely if none were better than the benchmark of its own "
        "signal and matching (Hansen 2005); all signals and matchings are tested together."
    )
    columns = (("of", ""), ("figure", ""), ("is", ""), ("", ""))
    return Table("Tests that allow for the number of tries", columns, tuple(rows), note, is_of_words=True)


def _p_value(test: SuperiorAbility) -> str:
    """Return a p-value as written: a bootstrap that never saw as much says only how often it looked."""
    return (
        number(test.p_consistent, Words("", "", 1.0, 3)) if test.p_consistent > 0 else f"below {1 / test.resamples:.2g}"
    )


def spans_table(comparison: Comparison, group: Group) -> Table | None:
    """Return what happened to each arm inside the named stretches of time, and how the detector did."""
    rows = []
    for each in comparison.arms:
        if (each.signal, each.matching) != group:
            continue
        detection = each.summary.detection
        late = number(detection.delay_p50_s, Words("", "", 1.0, 1))
        found = number(detection.detected_frac, Words("", "", 100.0, 0))
        alarms = number(detection.false_alarms_per_day)
        for inside in each.summary.in_spans:
            figures = ("mean_drawdown_frac", "worst_drawdown_frac", "mean_loss_frac", "worst_slippage_bps")
            cells = [Cell(number(getattr(inside, name), words_of(name))) for name in figures]
            rows.append((Cell(each.arm), Cell(f"{inside.kind} ({inside.windows})"), *cells, Cell(found), Cell(late),
                         Cell(alarms)))  # fmt: skip
    if not rows:
        return None
    columns = (
        ("arm", ""), ("stretches", "how many"), ("mean drawdown", "%"), ("worst drawdown", "%"), ("mean loss", "%"),
        ("worst slippage", "bps"), ("events detected", "%"), ("median delay", "s"), ("false alarms", "a day"),
    )  # fmt: skip
    return Table(f"Inside named stretches of time{of(group)}", columns, tuple(rows), is_secondary=True)


def counted_table(results: Sequence[Result], from_ns: int = 0) -> Table | None:
    """Return what was counted in each run: decisions, orders by their end, refusals, rejections.

    Args: `from_ns` is where the days that only taught end. Counts have no times, and are of the whole run; stop-outs
        have, and are of the days after.
    """
    stop_outs = ("stop-outs", "of the test days" if from_ns else "")
    columns = (
        ("run", ""), ("rows of data", ""), ("decisions", ""), ("orders sent", ""), ("filled", ""), ("rejected", ""),
        ("refused by the risk gate", ""), ("dead quotes", ""), stop_outs, ("equity, engine less venue", ""),
    )  # fmt: skip
    rows = []
    for each in results:
        figures, orders = each.figures, each.figures.get("orders", {})
        refused, rejected = figures.get("refused", {}), figures.get("rejected", {})
        apart = figures.get("engine_equity", math.nan) - figures.get("venue_equity", math.nan)
        cells = (
            Cell(each.name),
            *(Cell(_count(figures.get(name))) for name in ("rows", "decisions")),
            Cell(_count(orders.get("sent", 0))),
            Cell(_count(orders.get("filled", 0))),
            Cell(_count(orders.get("rejected", 0)), _named(rejected)),
            Cell(_count(sum(refused.values())), _named(refused)),
            Cell(_count(figures.get("dead_quotes"))),
            Cell(_count(sum(time_ns >= from_ns for time_ns in figures.get("stop_outs_ns", ())))),
            Cell(number(apart)),
        )
        rows.append(cells)
    caption = "What was counted in whole runs, the days that only taught included" if from_ns else "What was counted"
    return Table(caption, columns, tuple(rows), is_secondary=True) if rows else None


def data_table(comparison: Comparison | None, results: Sequence[Result]) -> Table:
    """Return what data each symbol had: its kind above all."""
    if comparison is not None and comparison.data:
        names = list(dict.fromkeys(key for each in comparison.data for key in each))
        rows = [tuple(Cell(_written(key, each.get(key))) for key in names) for each in comparison.data]
        return Table(
            "Data",
            tuple((name.removesuffix("_ns").replace("_", " "), "") for name in names),
            tuple(rows),
            is_of_words=True,
        )
    labels = {name: label for each in results for name, label in each.labels.items()}
    pairs = [(Cell(name), Cell(label)) for name, label in labels.items()]
    return Table("Data", (("symbol", ""), ("kind of data", "")), tuple(pairs), is_of_words=True)


def verdicts_table(comparison: Comparison) -> Table | None:
    """Return the outcomes of several verdicts at a glance; None where there is one at most."""
    if len(comparison.judged) < 2:
        return None
    parts = list(dict.fromkeys(part.part for each in comparison.judged for part in each.verdict.parts))
    columns = (("signal", ""), ("matched by", ""), ("verdict", ""), *((f"({part})", "") for part in parts))
    rows = []
    for each in comparison.judged:
        found = {part.part: part.outcome for part in each.verdict.parts}
        outcomes = [Cell(found.get(part, UNKNOWN)) for part in parts]
        rows.append((Cell(each.signal), Cell(each.matching), Cell(each.verdict.outcome), *outcomes))
    return Table("All verdicts", columns, tuple(rows), is_of_words=True)


def of(group: Group) -> str:
    """Return the words for a signal and how its arms were made comparable."""
    signal, matching = group
    return f": signal {signal}, {matching if matching == 'as configured' else f'matched by {matching}'}"


def _written(key: str, value: object) -> str:
    if key.endswith("_ns") and isinstance(value, int):
        return moment(value)
    if isinstance(value, list | tuple):
        return ", ".join(_written(key, each) for each in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return UNKNOWN if value is None else str(value)


def _count(count: object) -> str:
    return f"{count:,}" if isinstance(count, int) else UNKNOWN


def _named(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())
