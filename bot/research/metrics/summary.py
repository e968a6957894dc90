"""What a run of an arm came to, in one object."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bot.research.metrics import bar_figures, windows
from bot.research.metrics.arm_run import ArmRun, Span, TradingTime
from bot.research.metrics.bars import BAR_S, Bars, bars_of
from bot.research.metrics.detection import Detection, detection_of
from bot.research.metrics.fill_shortfall import shortfall_of
from bot.research.metrics.windows import Drawdown, drawdown_of, windows_of


@dataclass(frozen=True, slots=True)
class Costs:
    """What trading cost. Units: `_bps` of notional, `_bps_per_day` of equity; `costs`, `swap` in the deposit currency.

    `unknown_fills` have no known price, mid or notional, and so no slippage; what else is known of them counts, as
    their commission does. `prediction_error_bps` is slippage less what was predicted, weighted by notional. `costs` are
    slippage, commission and charged swap; `cost_per_gross_profit` divides them by the profit before them, and is NaN
    where there was none.
    """

    fills: int
    unknown_fills: int
    shortfall_bps: float
    slippage_bps: float
    delay_bps: float
    prediction_error_bps: float
    own_impact_bps: float
    shortfall_bps_per_day: float
    slippage_bps_per_day: float
    own_impact_bps_per_day: float
    resize_cost_bps_per_day: float
    turnover_per_day: float
    commission: float
    swap: float
    costs: float
    cost_per_gross_profit: float


@dataclass(frozen=True, slots=True)
class Performance:
    """What came of it. Units: fractions of equity; volatility and Sharpe a year; `gross_profit` deposit currency."""

    trading_days: float
    net_profit: float
    gross_profit: float
    net_return_frac: float
    realised_volatility_frac: float
    net_sharpe: float
    max_drawdown: Drawdown


@dataclass(frozen=True, slots=True)
class Exposure:
    """What was held. Units: gross leverage in equities, shares of time, exit cost in bps of notional (or of equity).

    `exit_cost_known_frac` is the share of the time of positions for which the cost of closing them is known,
    `no_exit_frac` that for which it is known that there was nothing to close against.
    """

    mean_leverage: float
    capped_frac: float
    time_at_level_frac: tuple[float, ...]
    exit_cost_p50_bps: float
    exit_cost_p95_bps: float
    exit_cost_p99_bps: float
    exit_cost_of_equity_p99_bps: float
    exit_cost_known_frac: float
    no_exit_frac: float
    stop_outs: int


@dataclass(frozen=True, slots=True)
class InSpans:
    """What happened inside the spans of one kind. Units: as of `windows.WINDOW`."""

    kind: str
    windows: int
    mean_drawdown_frac: float
    worst_drawdown_frac: float
    mean_loss_frac: float
    worst_slippage_bps: float


@dataclass(frozen=True, slots=True)
class RunSummary:
    """What a run of an arm came to."""

    arm: str
    base_leverage: float
    costs: Costs
    performance: Performance
    exposure: Exposure
    in_spans: tuple[InSpans, ...]
    detection: Detection


def summary_of(
    run: ArmRun,
    spans: Sequence[Span] = (),
    *,
    not_events: Sequence[str] = ("calm",),
    trading_time: TradingTime | None = None,
    bar_s: float = BAR_S,
) -> RunSummary:
    """Return what a run came to. Args: `not_events` the kinds of spans that the crisis detector need not find."""
    bars = bars_of(run, trading_time, bar_s)
    equity = run.known_equity
    net_profit = float(equity[-1] - equity[0])
    costs = _costs(run, bars, net_profit)
    kinds = dict.fromkeys(span.kind for span in spans)
    events = [span for span in spans if span.kind not in not_events]
    at = bars.everything
    performance = Performance(
        bar_figures.trading_days(bars, at),
        net_profit,
        net_profit + costs.costs,
        bar_figures.net_return_frac(bars, at),
        bar_figures.realised_volatility_frac(bars, at),
        bar_figures.net_sharpe(bars, at),
        drawdown_of(run.time_ns, equity),
    )
    in_spans = tuple(_in_spans(windows_of(run, spans, kind), kind) for kind in kinds)
    detection = detection_of(run, events, trading_time=trading_time)
    return RunSummary(run.name, run.base_leverage, costs, performance, _exposure(run, bars), in_spans, detection)


def _costs(run: ArmRun, bars: Bars, net_profit: float) -> Costs:
    at, each = bars.everything, shortfall_of(run.fills)
    total = float(each.shortfall.sum()) - run.swap
    gross = net_profit + total
    return Costs(
        len(run.fills),
        int((~each.is_known).sum()),
        bar_figures.shortfall_bps(bars, at),
        bar_figures.slippage_bps(bars, at),
        bar_figures.delay_bps(bars, at),
        _prediction_error_bps(run.fills, each.slippage_bps),
        bar_figures.own_impact_bps(bars, at),
        bar_figures.shortfall_bps_per_day(bars, at),
        bar_figures.slippage_bps_per_day(bars, at),
        bar_figures.own_impact_bps_per_day(bars, at),
        bar_figures.resize_cost_bps_per_day(bars, at),
        bar_figures.turnover_per_day(bars, at),
        float(each.commission.sum()),
        run.swap,
        total,
        total / gross if gross > 0 else math.nan,
    )


def _prediction_error_bps(fills: np.ndarray, slippage_bps: np.ndarray) -> float:
    error = slippage_bps - fills["predicted_slippage_bps"]
    known = np.isfinite(error)
    return float(np.average(error[known], weights=fills["notional"][known])) if known.any() else math.nan


def _exposure(run: ArmRun, bars: Bars) -> Exposure:
    at = bars.everything
    held_s = float(((run.leverage != 0) * run.open_s[:, None]).sum())
    return Exposure(
        bar_figures.mean_leverage(bars, at),
        bar_figures.capped_frac(bars, at),
        bar_figures.time_at_level_frac(bars, at),
        bar_figures.exit_cost_p50_bps(bars, at),
        bar_figures.exit_cost_p95_bps(bars, at),
        bar_figures.exit_cost_p99_bps(bars, at),
        bar_figures.exit_cost_of_equity_p99_bps(bars, at),
        float(bars.exit_cost.open_s.sum()) / held_s if held_s > 0 else math.nan,
        float(bars.exit_cost.open_s[np.isinf(bars.exit_cost.sorted_bps)].sum()) / held_s if held_s > 0 else math.nan,
        len(run.stop_outs_ns),
    )


def _in_spans(found: np.ndarray, kind: str) -> InSpans:
    at = np.arange(len(found))
    return InSpans(
        kind,
        len(found),
        windows.mean_drawdown_frac(found, at),
        windows.worst_drawdown_frac(found, at),
        windows.mean_loss_frac(found, at),
        windows.worst_slippage_bps(found, at),
    )
