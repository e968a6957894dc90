"""Whether any of many arms is better than a benchmark, given that the best of many always looks good."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bot.research.metrics.bars import Bars
from bot.research.metrics.interval import HOURLY, Sampling


@dataclass(frozen=True, slots=True)
class SuperiorAbility:
    """The test of one benchmark against all other arms.

    `p_consistent` is the one to quote: the probability of so good a best arm if none were better than the benchmark;
    `p_lower` and `p_upper` bound it (the latter is White's reality check). `best` has the largest studentised
    mean difference of returns, `best_t`. `is_known` false: too few blocks or nothing differs, and `remark` says so.
    """

    benchmark: str
    arms: tuple[str, ...]
    best: str
    best_t: float
    p_lower: float
    p_consistent: float
    p_upper: float
    resamples: int
    blocks: float
    is_known: bool
    remark: str


def superior_ability(arms: Mapping[str, Bars], benchmark: str, sampling: Sampling = HOURLY) -> SuperiorAbility:
    """Test whether any arm earns more than a benchmark, a bar at a time, net of everything.

    The differences are divided by their bootstrap standard errors first: the library studentises only its choice of the
    arms that are far behind, and a noisy arm would else decide the test. Match the arms before: this compares means.

    Raises: ValueError when the benchmark is no arm, stands alone, or when bars differ.
    Source: Hansen (2005), equations 2 to 6, by the library arch; White (2000).
    """
    from arch.bootstrap import SPA, StationaryBootstrap

    if benchmark not in arms or len(arms) < 2:
        raise ValueError(f"benchmark {benchmark}: not one of at least two arms ({', '.join(arms)})")
    base = arms[benchmark].rows
    if odd := [name for name, bars in arms.items() if bars.rows["time_ns"].tobytes() != base["time_ns"].tobytes()]:
        raise ValueError(f"arm {odd[0]} has other bars than benchmark {benchmark}: cannot be compared")
    names = tuple(name for name in arms if name != benchmark)
    gains = np.column_stack([arms[name].rows["return_frac"] - base["return_frac"] for name in names])
    block = max(round(sampling.block_s / float(base["open_s"].mean())), 1)
    blocks = len(base) / block

    def unknown(why: str) -> SuperiorAbility:
        nan = math.nan
        return SuperiorAbility(benchmark, names, "", nan, nan, nan, nan, 0, blocks, False, f"unknown: {why}")

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
        benchmark, tested, tested[best], float(ranked[best]), p["lower"], p["consistent"], p["upper"],
        sampling.resamples, blocks, True, remark,
    )  # fmt: skip
