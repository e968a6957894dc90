"""How sure a figure is: the stationary bootstrap over blocks of time, of one arm or of two on the same clock.

How it works: places of bars are drawn in blocks of random length (mean `block_s`, wrapping round at the end), the
figure is computed anew from the bars at these places, and the spread of the draws gives the interval. Two arms are
drawn at the same places, so that what moved both cancels. Too few blocks say nothing, and are said to say nothing.

Source: Politis and Romano (1994), stationary bootstrap; Efron and Tibshirani (1993), intervals; by the library arch.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from bot.research.metrics.bar_figures import BarFigure
from bot.research.metrics.bars import Bars
from bot.research.metrics.windows import WindowFigure

Method = Literal["percentile", "basic", "bca"]
Comparison = Literal["difference", "reduction"]
LEAST_BLOCKS = 10.0
"""Fewer independent blocks are too few. Measured: `docs/metrics.md`, intervals."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to draw. Units: `block_s` seconds of open market, the mean length of a block; `level_frac` coverage.

    `methods` are computed from the same draws; the first that works makes `low` and `high`.
    """

    block_s: float = 3600.0
    resamples: int = 1000
    seed: int = 1
    level_frac: float = 0.95
    methods: tuple[Method, ...] = ("percentile", "basic")
    least_blocks: float = LEAST_BLOCKS


HOURLY = Sampling()
DAILY = Sampling(block_s=86_400.0)


@dataclass(frozen=True, slots=True)
class Bounds:
    """An interval read from the draws in one way."""

    method: str
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure and how sure it is.

    `is_known` false means that nothing is known about how sure it is; then `low` and `high` are NaN and `remark` says
    why. `blocks` is how many independent blocks there are: the time, or the windows, over the mean block.
    """

    estimate: float
    low: float
    high: float
    method: str
    level_frac: float
    resamples: int
    seed: int
    unit: str
    block_units: int
    blocks: float
    is_known: bool
    remark: str
    bounds: tuple[Bounds, ...]


def bar_interval(figure: BarFigure, bars: Bars, sampling: Sampling = HOURLY) -> Interval:
    """Return how sure a figure of bars is."""
    return _interval(lambda chosen: figure(bars, chosen), len(bars.rows), *_bar_block(bars, sampling), sampling)


def paired_bar_interval(
    figure: BarFigure,
    arm: Bars,
    other: Bars,
    comparison: Comparison = "difference",
    sampling: Sampling = HOURLY,
    among: np.ndarray | None = None,
) -> Interval:
    """Return how sure it is that two arms differ in a figure of bars.

    Args: `comparison` "difference": arm - other; "reduction": 1 - arm / other, 0.2 when the arm's is a fifth lower,
        NaN where the other's is not above 0. `among` places of the only bars that count, (N,), in the order of time.
    Raises: ValueError when the two have not the same bars.
    """
    _check_paired(arm, other)
    places = np.arange(len(arm.rows)) if among is None else among

    def compared(chosen: np.ndarray) -> float:
        bars = places[chosen]
        return _compared(figure(arm, bars), figure(other, bars), comparison)

    return _interval(compared, len(places), *_bar_block(arm, sampling), sampling)


def paired_group_interval(
    figure: BarFigure,
    arm: Bars,
    other: Bars,
    groups: Sequence[np.ndarray],
    comparison: Comparison = "difference",
    sampling: Sampling = HOURLY,
) -> Interval:
    """Return the same over groups of bars, such as those of each crisis: a group is one draw, whatever `block_s`.

    Args: `groups` places of the bars of each, (N,) each.
    """
    _check_paired(arm, other)

    def compared(chosen: np.ndarray) -> float:
        bars = np.concatenate([groups[place] for place in chosen])
        return _compared(figure(arm, bars), figure(other, bars), comparison)

    return _interval(compared, len(groups), "window", 1, sampling)


def window_interval(figure: WindowFigure, windows: np.ndarray, sampling: Sampling = HOURLY) -> Interval:
    """Return how sure a figure of windows is; each window is one block, whatever `block_s`."""
    return _interval(lambda chosen: figure(windows, chosen), len(windows), "window", 1, sampling)


def paired_window_interval(
    figure: WindowFigure,
    arm: np.ndarray,
    other: np.ndarray,
    comparison: Comparison = "difference",
    sampling: Sampling = HOURLY,
) -> Interval:
    """Return how sure it is that two arms differ in a figure of windows. Comparison and errors as of bars."""
    if arm["from_ns"].tobytes() != other["from_ns"].tobytes():
        raise ValueError(f"the two arms have different windows ({len(arm)} and {len(other)}): cannot be paired")

    def compared(chosen: np.ndarray) -> float:
        return _compared(figure(arm, chosen), figure(other, chosen), comparison)

    return _interval(compared, len(arm), "window", 1, sampling)


def _check_paired(arm: Bars, other: Bars) -> None:
    if arm.rows["time_ns"].tobytes() != other.rows["time_ns"].tobytes():
        raise ValueError(f"the two arms have different bars ({len(arm.rows)} and {len(other.rows)}): cannot be paired")


def optimal_block_s(bars: Bars) -> float:
    """Return the block length that suits the returns of bars, in seconds of open market; NaN where none can be told.

    Source: Politis and White (2004), Patton, Politis and White (2009), by the library arch.
    """
    from arch.bootstrap import optimal_block_length

    returns = bars.rows["return_frac"]
    if len(returns) < 2 or not returns.std() > 0:
        return math.nan
    length = float(optimal_block_length(returns)["stationary"].iloc[0])
    return max(length, 1.0) * float(bars.rows["open_s"].mean())


def _compared(ours: float, theirs: float, comparison: Comparison) -> float:
    if math.isinf(ours) or math.isinf(theirs):  # there was no exit: how much less that is than another is unknown
        return math.nan
    if comparison == "difference":
        return ours - theirs
    return 1 - ours / theirs if theirs > 0 else math.nan


def _bar_block(bars: Bars, sampling: Sampling) -> tuple[str, int]:
    bar_s = float(bars.rows["open_s"].mean())
    return "bar", max(round(sampling.block_s / bar_s), 1)


def _interval(
    figure: Callable[[np.ndarray], float], count: int, unit: str, block_units: int, sampling: Sampling
) -> Interval:
    estimate, blocks = (figure(np.arange(count)) if count else math.nan), count / block_units

    def interval(bounds: tuple[Bounds, ...], resamples: int, remark: str) -> Interval:
        first = bounds[0] if bounds else Bounds("", math.nan, math.nan)
        fixed = (sampling.level_frac, resamples, sampling.seed, unit, block_units, blocks, bool(bounds), remark)
        return Interval(estimate, first.low, first.high, first.method, *fixed, bounds)

    if math.isinf(estimate):
        return interval((), 0, "unknown: the figure is infinite")
    if not math.isfinite(estimate):
        return interval((), 0, "unknown: there is no figure to begin with")
    if blocks < sampling.least_blocks:
        of = f"blocks of {block_units} {unit}{'s' if block_units > 1 else ''}"
        return interval((), 0, f"unknown: {blocks:.3g} {of}, and fewer than {sampling.least_blocks:g} say nothing")
    bounds, failed = _drawn_bounds(figure, count, block_units, sampling)
    remark = f"no interval by {' or '.join(failed)}" if failed else ""
    if not bounds:
        remark = f"unknown: {remark}: some draws have no figure, or none differ"
    return interval(bounds, sampling.resamples, remark)


def _drawn_bounds(
    figure: Callable[[np.ndarray], float], count: int, block_units: int, sampling: Sampling
) -> tuple[tuple[Bounds, ...], list[str]]:
    """Return the bounds by each method that works, and the names of those that do not."""
    from arch.bootstrap import StationaryBootstrap

    drawn: Any = StationaryBootstrap(block_units, np.arange(count), seed=sampling.seed)
    found: list[Bounds] = []
    failed: list[str] = []
    for place, method in enumerate(sampling.methods):
        how = {"method": method, "size": sampling.level_frac, "reuse": place > 0}
        try:
            with np.errstate(all="ignore"):
                low, high = (float(each[0]) for each in drawn.conf_int(figure, sampling.resamples, **how))
        except RuntimeError:  # BCa, where all draws lie on one side of the estimate
            low = high = math.nan
        if math.isfinite(low) and math.isfinite(high):
            found.append(Bounds(method, low, high))
        else:
            failed.append(method)
    return tuple(found), failed
