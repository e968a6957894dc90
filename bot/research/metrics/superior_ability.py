"""Whether any of many arms is better than a benchmark, given that the best of many always looks good.

How it works: arms may stand in several tables, as those of each signal do, each with a benchmark of its own. `gains_of`
takes from one table what its arms earned more than its benchmark, a bar at a time; the test puts the gains of all
tables beside each other on one clock, and draws the same bars of all of them.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bot.research.metrics.arm_run import SECOND_NS
from bot.research.metrics.bars import BAR_S, Bars
from bot.research.metrics.interval import HOURLY, Sampling

_BAR_NS = round(BAR_S * SECOND_NS)


@dataclass(frozen=True, slots=True, eq=False)
class Gains:
    """What the arms of one table earned more than their benchmark. Shapes: `bar`, `open_s` (B,); `frac` (B, arms).

    Units: `bar` the place of a bar on the grid of five minutes since 1970; `open_s` seconds of open market.
    """

    benchmark: str
    arms: tuple[str, ...]
    bar: np.ndarray
    open_s: np.ndarray
    frac: np.ndarray


@dataclass(frozen=True, slots=True)
class SuperiorAbility:
    """The test of one benchmark against all other arms, those of every table together.

    `arms` are all that were tested, `tables` how many tables they stand in.
    `p_consistent` is the one to quote: the probability of so good a best arm if none were better than the benchmark;
    `p_lower` and `p_upper` bound it (the latter is White's reality check). `best` has the largest studentised
    mean difference of returns, `best_t`. `is_known` false: too few blocks or nothing differs, and `remark` says so.
    """

    benchmark: str
    arms: tuple[str, ...]
    tables: int
    best: str
    best_t: float
    p_lower: float
    p_consistent: float
    p_upper: float
    resamples: int
    blocks: float
    is_known: bool
    remark: str


def gains_of(arms: Mapping[str, Bars], benchmark: str, label: str = "") -> Gains:
    """Return what the arms of a table earned more than one of them, each called by its name and `label`.

    Raises: ValueError when the benchmark is no arm, stands alone, or when bars differ.
    """
    if benchmark not in arms or len(arms) < 2:
        raise ValueError(f"benchmark {benchmark}: not one of at least two arms ({', '.join(arms)})")
    base = arms[benchmark].rows
    if odd := [name for name, bars in arms.items() if bars.rows["time_ns"].tobytes() != base["time_ns"].tobytes()]:
        raise ValueError(f"arm {odd[0]} has other bars than benchmark {benchmark}: cannot be compared")
    bar = base["time_ns"] // _BAR_NS
    if len(np.unique(bar)) < len(bar):
        raise ValueError(f"benchmark {benchmark}: bars shorter than {BAR_S:g} s cannot be put beside each other")
    names = tuple(name for name in arms if name != benchmark)
    frac = np.column_stack([arms[name].rows["return_frac"] - base["return_frac"] for name in names])
    told = tuple(f"{name} ({label})" if label else name for name in names)
    return Gains(benchmark, told, bar, base["open_s"].copy(), frac)


def superior_ability(tables: Sequence[Gains], sampling: Sampling = HOURLY) -> SuperiorAbility:
    """Test whether any arm of any table earns more than the benchmark of its table, a bar at a time, net of everything.

    The differences are divided by their bootstrap standard errors first: the library studentises only its choice of the
    arms that are far behind, and a noisy arm would else decide the test. Match the arms before: this compares means.
    A bar that a table has not counts as no gain there: what moved meanwhile is in the table's next bar.

    Raises: ValueError when there is no table, or they have different benchmarks.
    Source: Hansen (2005), equations 2 to 6, by the library arch; White (2000).
    """
    from arch.bootstrap import SPA, StationaryBootstrap

    if len(benchmarks := {each.benchmark for each in tables}) != 1:
        raise ValueError(f"superior ability is against one benchmark, not {', '.join(sorted(benchmarks)) or 'none'}")
    (benchmark,) = benchmarks
    names = tuple(name for each in tables for name in each.arms)
    gains, open_s = _side_by_side(tables)
    block = max(round(sampling.block_s / float(open_s.mean())), 1)
    blocks = len(gains) / block

    def unknown(why: str) -> SuperiorAbility:
        nan, of = math.nan, (benchmark, names, len(tables))
        return SuperiorAbility(*of, "", nan, nan, nan, nan, 0, blocks, False, f"unknown: {why}")

    if blocks < sampling.least_blocks:
        return unknown(f"{blocks:.3g} blocks, and fewer than {sampling.least_blocks:g} say nothing")
    if not np.isfinite(gains).all():
        return unknown("some returns are unknown")
    drawn = StationaryBootstrap(block, gains, seed=sampling.seed)
    errors = np.sqrt(drawn.var(lambda rows: rows.mean(axis=0), sampling.resamples))
    moving = errors > 1e-15
    if not moving.any():
        return unknown(f"no arm ever differs from {benchmark}")
    scaled = gains[:, moving] / errors[moving]
    ranked = scaled.mean(axis=0)
    best = int(np.argmax(ranked))
    test = SPA(np.zeros(len(scaled)), -scaled, block, sampling.resamples, seed=sampling.seed)
    test.compute()
    p = {str(name): float(each) for name, each in test.pvalues.items()}
    left = ", ".join(name for name, is_moving in zip(names, moving, strict=True) if not is_moving)
    remark = f"no different from the benchmark, left out: {left}" if left else ""
    tested = tuple(name for name, is_moving in zip(names, moving, strict=True) if is_moving)
    return SuperiorAbility(
        benchmark, tested, len(tables), tested[best], float(ranked[best]), p["lower"], p["consistent"], p["upper"],
        sampling.resamples, blocks, True, remark,
    )  # fmt: skip


def _side_by_side(tables: Sequence[Gains]) -> tuple[np.ndarray, np.ndarray]:
    """Return the gains of all tables on the bars that any of them has, (B, arms), and the time of each bar, (B,)."""
    bars = np.unique(np.concatenate([each.bar for each in tables]))
    gains, open_s, first = np.zeros((len(bars), sum(len(each.arms) for each in tables))), np.zeros(len(bars)), 0
    for each in tables:
        place = np.searchsorted(bars, each.bar)
        gains[place, first : first + len(each.arms)] = each.frac
        open_s[place] = np.maximum(open_s[place], each.open_s)
        first += len(each.arms)
    return gains, open_s
