"""What the figures need of one run: series that are thinned already, so that runs are looked at one by one."""

import math
from dataclasses import dataclass

import numpy as np

from bot.research.backtest.result import Result
from bot.research.metrics.arm_run import ArmRun
from bot.research.metrics.bars import Bars, bars_of
from bot.research.metrics.fill_shortfall import FillShortfall, shortfall_of
from bot.research.report.thinning import thinned, thinned_over_time

_POINTS = 300
Series = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, slots=True, eq=False)
class ArmDrawn:
    """One run, as it is drawn.

    Shapes: a series is x and y, (N,) each.
    Units: equity in deposit currency, `below_peak` in percent, costs in bps of equity a day by part, slippage in bps
        (predicted, realised), `exit_cost` bps of notional and percent of time at or above it, as far as it is finite;
        `no_exit_percent` of the time in which it was known that there was nothing to close against.
    Missing: `slippage_error_bps` and `exit_cost_p99_bps` NaN where there is nothing to measure.
    """

    name: str
    equity: Series
    gain_percent: float
    below_peak: Series
    deepest_percent: float
    costs: dict[str, float]
    slippage: Series
    slippage_error_bps: float
    fills: int
    exit_cost: Series
    exit_cost_p99_bps: float
    no_exit_percent: float


def arm_drawn(result: Result, from_ns: int = 0) -> ArmDrawn:
    """Return what is drawn of a run from a time on. Raises: ValueError when it has no row from then on."""
    run = result.arm_run(from_ns)
    bars, costs, equity = bars_of(run), shortfall_of(run.fills), run.known_equity
    peak = np.maximum.accumulate(equity)
    fall = -100 * np.divide(peak - equity, peak, out=np.zeros(len(equity)), where=peak > 0)
    slippage, error, fills = _slippage(run, costs)
    exit_cost, tail, no_exit = _exit_cost(bars)
    return ArmDrawn(
        result.name,
        thinned_over_time(run.time_ns, equity),
        100 * (float(equity[-1] / equity[0]) - 1) if equity[0] > 0 else math.nan,
        thinned_over_time(run.time_ns, fall),
        -float(np.nanmin(fall, initial=0.0)),
        _cost_parts(run, costs, float(bars.rows["open_s"].sum()) / 86_400),
        slippage,
        error,
        fills,
        exit_cost,
        tail,
        no_exit,
    )


def _cost_parts(run: ArmRun, costs: FillShortfall, days: float) -> dict[str, float]:
    """Return the parts of what trading cost, bps of equity a day; together shortfall and charged swap."""
    equity = run.fills["equity"]
    is_owned = np.isfinite(equity) & (equity > 0)
    share = np.divide(1.0, equity, out=np.zeros(len(equity)), where=is_owned)
    start = next((float(e) for e in run.equity if np.isfinite(e) and e > 0), math.nan)

    def of_equity(money: np.ndarray) -> float:
        return 1e4 * float((money * share).sum()) / days

    swap = -1e4 * run.swap / start / days
    return {
        "spread and walking the book": of_equity(costs.slippage - costs.delay - costs.impact),
        "own impact": of_equity(costs.impact),
        "delay": of_equity(costs.delay),
        "commission": of_equity(costs.commission),
        "swap": swap if math.isfinite(swap) else 0.0,
    }


def _slippage(run: ArmRun, costs: FillShortfall) -> tuple[Series, float, int]:
    """Return predicted and realised slippage, the median of their difference, and of how many fills."""
    realised, predicted = costs.slippage_bps, run.fills["predicted_slippage_bps"]
    known = np.flatnonzero(np.isfinite(realised) & np.isfinite(predicted))
    order = known[np.argsort(predicted[known], kind="stable")]
    error = float(np.median(realised[known] - predicted[known])) if len(known) else math.nan
    return thinned(predicted[order], realised[order], _POINTS), error, len(known)


def _exit_cost(bars: Bars) -> tuple[Series, float, float]:
    """Return exit costs with the percent of the time at or above each, their 99th percentile, and that without exit."""
    samples = bars.exit_cost
    if not len(samples.sorted_bps):
        return (np.empty(0), np.empty(0)), math.nan, 0.0
    so_far, total_s = np.cumsum(samples.open_s), samples.open_s.sum()
    left = 100 * (1 - (so_far - samples.open_s) / total_s)
    # As `bar_figures` counts: at most a hundredth of the time is above it, up to the last digit of a sum.
    place = int(np.argmax(total_s - so_far <= 0.01 * total_s * (1 + 1e-9)))
    finite = np.isfinite(samples.sorted_bps)
    shut = 100 * float(samples.open_s[~finite].sum() / total_s)
    drawn = thinned(samples.sorted_bps[finite], left[finite], _POINTS) if finite.any() else (np.empty(0), np.empty(0))
    return drawn, float(samples.sorted_bps[place]), shut
