"""What a run over days scored: the figure after each day, at the end how sure it is, and what luck is judged by."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self

import numpy as np
from numpy.lib.recfunctions import repack_fields

from bot.research.backtest.record import FILL, Day
from bot.research.backtest.result import Result
from bot.research.metrics.arm_run import ArmRun, TradingTime
from bot.research.metrics.bar_figures import BAR_FIGURES
from bot.research.metrics.bars import Bars, bars_of
from bot.research.metrics.interval import HOURLY, bar_interval
from bot.research.metrics.plain import plain
from bot.research.sweep.split import DAY_NS, Stretch

Direction = Literal["maximize", "minimize"]
_KEPT = ["time_ns", "equity", "leverage", "crisis_level", "exit_cost_bps", "bound"]
_MORE_IS_BETTER = ("net_return_frac", "net_sharpe")
_EITHER = ("mean_leverage", "turnover_per_day", "capped_frac", "crisis_frac")


def direction_of(metric: str, given: Direction | None) -> Direction:
    """Return whether more of a figure is better.

    Raises: ValueError for an unknown figure, or one of which either may be wanted and nobody has said which.
    """
    if metric not in BAR_FIGURES:
        raise ValueError(f"there is no figure {metric!r}; there are: {', '.join(BAR_FIGURES)}")
    if given is None and metric in _EITHER:
        raise ValueError(f"more of {metric} may be better or worse: say `direction: maximize` or `minimize`")
    return given or ("maximize" if metric in _MORE_IS_BETTER else "minimize")


@dataclass(frozen=True, slots=True)
class Moments:
    """The returns of the bars of a run. Units: `sharpe` a bar; `kurtosis` 3 for a normal distribution."""

    sharpe: float
    observations: int
    skewness: float
    kurtosis: float


@dataclass(frozen=True, slots=True)
class Score:
    """What a run came to.

    `figure` after the last day that was run, `by_day` after each; `low`, `high` its interval, NaN with a `remark` that
    says why where it is unknown; `figures` every figure of bars; `reason` why there is nothing, or not all.
    """

    state: Literal["complete", "pruned", "failed"]
    figure: float = math.nan
    by_day: tuple[float, ...] = ()
    low: float = math.nan
    high: float = math.nan
    remark: str = ""
    moments: Moments | None = None
    figures: dict[str, float] = field(default_factory=dict)
    reason: str = ""

    @classmethod
    def of_plain(cls, content: dict[str, Any]) -> Self:
        """Return what `plain` has made JSON of."""
        rest: dict[str, Any] = dict(content)
        moments, by_day, figures = rest.pop("moments"), rest.pop("by_day"), rest.pop("figures")
        return cls(
            **_with_nan(rest),
            moments=None if moments is None else Moments(**_with_nan(moments)),
            by_day=tuple(math.nan if each is None else each for each in by_day),
            figures=_with_nan(figures),
        )

    def plain(self) -> dict[str, Any]:
        """Return it as what JSON can hold."""
        content: dict[str, Any] = plain(self)
        return content


class Pruned(Exception):
    """The days so far say that the rest is not worth the time."""


class Scorer:
    """Keeps the scored days of a run, and tells the figure after each.

    Of the days before them it keeps the fills: what is held when scoring begins.

    Args: `weights` of the config's symbols, in its order; `is_hopeless` is told the figures so far, and may end the run
        before the last day; `trading_time` annualises, that of weekdays where none is given.
    """

    def __init__(
        self,
        metric: str,
        stretch: Stretch,
        weights: Mapping[str, float],
        base_leverage: float,
        is_hopeless: Callable[[Sequence[float]], bool] = lambda by_day: False,
        trading_time: TradingTime | None = None,
    ) -> None:
        self._metric, self._stretch, self._is_hopeless = metric, stretch, is_hopeless
        self._weights, self._base_leverage = dict(weights), base_leverage
        self._trading_time = trading_time
        self._clocks: list[np.ndarray] = []
        self._fills: list[np.ndarray] = []
        self.by_day: list[float] = []

    def __call__(self, day: Day) -> None:
        """Take a day that is over. Raises: Pruned."""
        self._fills.append(day.fills)
        if not len(day.clocks):
            return
        number = int(day.clocks["time_ns"][0]) // DAY_NS
        if number not in self._stretch.scored:
            return
        self._clocks.append(repack_fields(day.clocks[_KEPT]))
        self.by_day.append(self._figure(self._bars(self._run())))
        if number != self._stretch.scored[-1] and self._is_hopeless(self.by_day):
            raise Pruned

    def pruned(self) -> Score:
        """Return what the days so far came to."""
        return Score("pruned", self.by_day[-1], tuple(self.by_day), reason=f"pruned after {len(self.by_day)} day(s)")

    def score(self, *, with_interval: bool) -> Score:
        """Return what the run came to; an interval takes a thousand draws."""
        if not self._clocks:
            return Score("failed", reason="the engine was never ready on the days that are scored")
        run = self._run()
        bars = self._bars(run)
        figures = {name: float(figure(bars, bars.everything)) for name, figure in BAR_FIGURES.items()}
        value = figures[self._metric]
        if not math.isfinite(value):
            reason = f"{self._metric} is unknown: {'no variation' if len(run.fills) else 'no fill'}"
            return Score("failed", math.nan, tuple(self.by_day), figures=figures, reason=reason)
        moments = _moments(bars)
        if not with_interval:
            return Score("complete", value, tuple(self.by_day), moments=moments, figures=figures)
        interval = bar_interval(BAR_FIGURES[self._metric], bars, HOURLY)
        bounds = (interval.low, interval.high, interval.remark)
        return Score("complete", value, tuple(self.by_day), *bounds, moments, figures)

    def _figure(self, bars: Bars) -> float:
        return float(BAR_FIGURES[self._metric](bars, bars.everything))

    def _bars(self, run: ArmRun) -> Bars:
        return bars_of(run, self._trading_time)

    def _run(self) -> ArmRun:
        clocks = np.concatenate(self._clocks)
        fills = np.concatenate([np.empty(0, FILL), *self._fills])
        result = Result("trial", tuple(self._weights), {}, (), self._base_leverage, clocks, fills)
        return result.arm_run(self._stretch.scored[0] * DAY_NS, tuple(self._weights.values()))


def _with_nan(content: dict[str, Any]) -> dict[str, Any]:
    return {key: math.nan if each is None else each for key, each in content.items()}


def _moments(bars: Bars) -> Moments:
    from scipy.stats import kurtosis, skew

    returns = bars.rows["return_frac"]
    if len(returns) < 2 or not returns.std() > 1e-15:
        return Moments(math.nan, len(returns), math.nan, math.nan)
    shape = float(skew(returns)), float(kurtosis(returns, fisher=False))
    return Moments(float(returns.mean() / returns.std(ddof=1)), len(returns), *shape)
