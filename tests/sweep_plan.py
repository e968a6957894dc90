"""A sweep without an engine: a plan over made-up days, and an objective that is a formula."""

from collections.abc import Callable
from typing import Any

from bot.config.source import ConfigSource
from bot.config.variants import Variants
from bot.research.sweep.ranges import Range
from bot.research.sweep.score import Moments, Score
from bot.research.sweep.split import split_days
from bot.sweeps import Job, Plan

TREE = {"symbols": {"EURUSD": {}}, "venue": {"environment": "simulator"}}
DAYS = tuple(range(20_000, 20_014))
BAND, BASE = "sizing.band", "strategy.base_leverage"


def plan(seed: int = 1, **given: Any) -> Plan:
    """Return a plan over two parameters and fourteen days."""
    ranges = {BAND: Range(0.0, 1.0), BASE: Range(1.0, 9.0)}
    variants = Variants(TREE, ConfigSource("test.yaml"))
    split = split_days(DAYS, 3, 0.7, 1)
    return Plan(variants, **{"ranges": ranges, "metric": "net_sharpe", "direction": "maximize", "split": split} | given,
                data=("none",), seed=seed)  # fmt: skip


def scoring(figure: Callable[[float, float, int], float]) -> Callable[[Job], Score]:
    """Return what runs a job: the mean over days of `figure(band, base, day)`, after each day."""

    def run(job: Job) -> Score:
        band, base = float(job.changes.get(BAND, 0.5) or 0.0), float(job.changes.get(BASE, 5.0) or 0.0)  # type: ignore[arg-type]
        daily = [figure(band, base, day) for day in job.stretch.scored]
        by_day = tuple(sum(daily[: n + 1]) / (n + 1) for n in range(len(daily)))
        return Score("complete", by_day[-1], by_day, moments=Moments(by_day[-1] / 100, 1000, 0.0, 3.0))

    return run


def planted(band: float, base: float, day: int) -> float:
    """Return a figure that is best at a band of 0.3 and a base of 4, whatever the day."""
    return 10 - 40 * (band - 0.3) ** 2 - (base - 4) ** 2
