"""A small run and a small comparison, made by hand, with names that would be markup if anybody let them."""

from typing import Any

import numpy as np

from bot.research.backtest.record import FILL, clock_dtype
from bot.research.backtest.result import Result
from bot.research.compare.comparison import BY_VOLATILITY, ArmFound, Comparison, Difference, InSpan, Judged
from bot.research.metrics.arm_run import SECOND_NS, Span
from bot.research.metrics.interval import Bounds, Interval
from bot.research.metrics.summary import summary_of
from bot.research.metrics.superior_ability import SuperiorAbility
from bot.research.metrics.verdict import Evidence, Tails, verdict_on

MONDAY_NS = 1_399_248_000 * SECOND_NS  # 2014-05-05 00:00 UTC
SYMBOL = "EUR<script>$USD$"
LABEL = "recorded quotes, semi-synthetic depth"


def result(name: str = "composite", count: int = 40, **changed: Any) -> Result:
    """A run of one symbol, a row a minute, that loses a little and fills twice."""
    clocks = np.zeros(count, clock_dtype(1))
    clocks["time_ns"] = MONDAY_NS + 60 * SECOND_NS * np.arange(count)
    clocks["equity"] = 100_000 - np.arange(count)
    clocks["mid"], clocks["spread_bps"], clocks["leverage"], clocks["target"] = 1.1, 0.5, 1.0, 1.2
    clocks["spread_bps"][count // 2] = 9.0
    clocks["bid_depth_units"] = clocks["ask_depth_units"] = 1e6
    clocks["exit_cost_bps"] = np.linspace(0.2, 4, count)[:, None]
    clocks["crisis_level"][count // 2 :] = 2
    fills = np.zeros(2, FILL)
    fills["time_ns"] = clocks["time_ns"][[3, 9]]
    fills["units"], fills["price"], fills["mid_at_decision"], fills["mid_at_fill"] = 1000, 1.1001, 1.1, 1.1
    fills["predicted_slippage_bps"], fills["notional"], fills["equity"], fills["own_impact_bps"] = 0.5, 1100, 1e5, 0.1
    assumptions = {"seed": 7, "latency": "50ms:250ms", "swaps": {"EURUSD": {"long_bps": -0.3}}}
    figures = {"rows": 12, "decisions": 40, "orders": {"sent": 2, "filled": 2}, "refused": {"stale_quote": 1}}
    made = {"labels": {SYMBOL: LABEL}, "figures": figures, "assumptions": assumptions} | changed
    return Result(
        name, (SYMBOL,), made["labels"], (), 1.0, clocks, fills, made["figures"], made["assumptions"]
    )  # fmt: skip


def interval(low: float, at: float, high: float) -> Interval:
    bounds = (Bounds("percentile", low, high),)
    return Interval(at, low, high, "percentile", 0.95, 100, 1, "bar", 12, 20.0, True, "", bounds)


def unknown(at: float = 0.1) -> Interval:
    nan = float("nan")
    why = "unknown: 3 blocks of 1 window, and fewer than 10 say nothing"
    return Interval(at, nan, nan, "", 0.95, 0, 1, "window", 1, 3.0, False, why, ())


def comparison(**changed: Any) -> Comparison:
    """Two arms of one signal: one difference leaves out 0, one does not, one is unknown."""
    run = result().arm_run()
    spans = (Span(MONDAY_NS + 600 * SECOND_NS, MONDAY_NS + 900 * SECOND_NS, "crisis"),)
    kept = {"net_sharpe": interval(-1.0, 0.5, 2.0)}
    arms = [ArmFound(n, "trend", BY_VOLATILITY, 1.25, summary_of(run, spans), kept) for n in ("composite", "constant")]
    about = ("composite", "constant", "trend", BY_VOLATILITY)
    differences = (
        Difference(*about, "net_sharpe", False, interval(-1.0, 0.25, 1.5)),
        Difference(*about, "exit_cost_p99_bps", True, interval(0.1, 0.33, 0.5)),
        Difference(*about, "mean_drawdown_frac", True, unknown()),
    )
    tails = Tails("constant", unknown(), interval(0.1, 0.33, 0.5))
    evidence = Evidence("composite", interval(-1.0, 0.25, 1.5), tails, (), {"EURUSD": interval(2.0, 3.0, 4.0)})
    data = ({"symbol": SYMBOL, "source": "ticks", "kind": LABEL},)
    in_spans = (
        InSpan(*about, "crisis", 12, "mean_drawdown_frac", True, 0.001, 0.002, interval(0.2, 0.5, 0.7)),
        InSpan(*about, "crisis", 12, "mean_loss_frac", False, 0.001, 0.002, interval(-0.002, -0.001, 0.0005)),
        InSpan(*about, "payrolls", 1, "mean_loss_frac", False, 0.001, 0.002, unknown(-0.001)),
    )
    made = {"data": data, "differences": differences, "arms": tuple(arms), "in_spans": in_spans} | changed
    best, p = "composite (trend, realised volatility)", (0.2, 0.31, 0.4)
    superior = SuperiorAbility("constant", (best,) * 8, 2, best, 1.1, *p, 100, 20.0, True, "")
    judged = (Judged("trend", BY_VOLATILITY, verdict_on(evidence), (superior,), None),)
    return Comparison(
        "net_sharpe", 24, (SYMBOL,), made["data"], {"seed": 7}, MONDAY_NS, MONDAY_NS + 300 * SECOND_NS,
        MONDAY_NS + 2400 * SECOND_NS, spans, made["arms"], made["differences"], judged,
        in_spans=made["in_spans"],
    )  # fmt: skip
