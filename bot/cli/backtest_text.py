"""A backtest's outcome in words: a short table of one run, or of every arm of a comparison."""

import math
from collections.abc import Sequence

import numpy as np

from bot.research.backtest.result import Result
from bot.research.compare.comparison import ArmFound, Comparison
from bot.research.metrics.interval import Interval
from bot.research.metrics.summary import InSpans, RunSummary
from bot.research.report.span_table import inside_lines
from bot.research.report.words import superior_words
from bot.telemetry.plain import iso_time

_UNIT_NAMES = {0: "one unit of money", 2: "the cent"}


def run_text(result: Result, summary: RunSummary, rows_s: float | None) -> str:
    """Return the table of one run. Args: `rows_s` rows of market data a second; None for a run that was there."""
    performance, costs, exposure = summary.performance, summary.costs, summary.exposure
    figures, labels = result.figures, result.labels
    predicted, realised = _slippage(result.fills)
    levels = ", ".join(
        f"{_percent(frac)} at {level}" for level, frac in enumerate(exposure.time_at_level_frac) if level
    )
    differ = abs(figures["engine_equity"] - figures["venue_equity"])
    digits = figures.get("money_digits", 2)  # in which the venue counts: yen have none
    unit = 10.0**-digits
    lines = [
        ("data", "; ".join(f"{symbol}: {label}" for symbol, label in labels.items())),
        ("time", f"{iso_time(int(result.clocks['time_ns'][0]))} to {iso_time(int(result.clocks['time_ns'][-1]))}"),
        ("net return", _percent(performance.net_return_frac)),
        ("volatility", f"{_percent(performance.realised_volatility_frac)} a year"),
        ("Sharpe", f"{_number(performance.net_sharpe)} a year"),
        ("drawdown", _percent(performance.max_drawdown.depth_frac)),
        ("costs", f"{costs.costs:,.2f}: slippage, commission {costs.commission:,.2f}, swap {costs.swap:,.2f}"),
        ("slippage", f"{_number(realised)} bps of notional, predicted {_number(predicted)}"),
        ("exit cost p99", f"{_number(exposure.exit_cost_p99_bps)} bps of notional"
                          + (f"; no exit for {100 * exposure.no_exit_frac:.2g} % of held time"
                             if exposure.no_exit_frac > 0 else "")),
        ("mean leverage", _number(exposure.mean_leverage)),
        ("orders", _counts(figures["orders"])),
        ("rejections", _counts(figures["rejected"])),
        ("refusals", _counts(figures["refused"])),
        ("crisis levels", levels),
        ("rows", f"{figures['rows']:,}" + ("; run earlier" if rows_s is None else f"; {rows_s:,.0f} a second")),
        ("equity", f"{figures['venue_equity']:,.2f} by the venue: engine and venue "
                   + (f"agree to {_UNIT_NAMES.get(digits, f'{unit:g}')}" if differ < unit
                      else f"DIFFER by {differ:,.2f}")),
    ]  # fmt: skip
    return "\n".join(f"{name:<14} {text}" for name, text in lines)


def comparison_text(comparison: Comparison) -> str:
    """Return a table for each signal and matching, the differences that matter, and the verdicts."""
    c = comparison
    days = f"{iso_time(c.calibration_until_ns)[:16]} to {iso_time(c.until_ns)[:16]}"
    counted: dict[str, int] = {}
    for span in c.spans:
        counted[span.kind] = counted.get(span.kind, 0) + 1
    lines = [
        f"primary figure: {c.primary}, named before anything was run; {c.tries} variants tried",
        *(f"data: {each['symbol']}: {each['label']}, {each['source']}" for each in c.data),
        f"calibration until {iso_time(c.calibration_until_ns)[:16]}; every figure is of the test, {days} UTC",
        "spans: " + ", ".join(f"{count} {kind}" for kind, count in counted.items()),
        *(f"note: {remark}" for remark in c.remarks),
    ]
    for judged in c.judged:
        table = [a for a in c.arms if (a.signal, a.matching) == (judged.signal, judged.matching)]
        lines += ["", f"signal {judged.signal}, matched by {judged.matching}", *_table(table)]
        for each in c.differences:
            is_here = (each.signal, each.matching) == (judged.signal, judged.matching)
            if is_here and each.figure == c.primary and each.interval.is_known:
                lines.append(f"  {each.arm} less {each.against}: {each.figure} {_interval(each.interval)}")
        lines += [f"  {line}" for line in inside_lines(c, (judged.signal, judged.matching))]
        if judged.deflated is not None:
            lines.append(f"  deflated Sharpe of {judged.verdict.arm}: {_percent(judged.deflated.probability_frac)}")
        lines.append(f"  verdict: {judged.verdict.sentence}")
        lines += [f"    ({part.part}) {part.sentence}" for part in judged.verdict.parts]
    for test in c.judged[0].superior if c.judged else ():  # of all of them together, and the same in each
        says = f"p {test.p_consistent:.2f}, best {test.best}" if test.is_known else test.remark
        lines += ["", f"superior ability against {test.benchmark}, {superior_words(test)}: {says}"]
    return "\n".join(lines)


_COLUMNS = (
    "arm", "scale", "return", "vol.", "Sharpe", "95 %", "drawdown", "bps/day", "exit p99", "crisis loss", "leverage",
)  # fmt: skip


def _table(arms: Sequence[ArmFound]) -> list[str]:
    rows = [_COLUMNS, *(_row(arm) for arm in arms)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(_COLUMNS))]
    return [
        "  "
        + "  ".join(
            cell.ljust(w) if not i else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]


def _row(arm: ArmFound) -> tuple[str, ...]:
    performance, costs, exposure = arm.summary.performance, arm.summary.costs, arm.summary.exposure
    sharpe = arm.intervals["net_sharpe"]
    crisis: list[InSpans] = [each for each in arm.summary.in_spans if each.kind == "crisis"]
    return (
        arm.arm,
        f"{arm.scale:.2f}",
        _percent(performance.net_return_frac),
        _percent(performance.realised_volatility_frac),
        _number(performance.net_sharpe),
        f"{sharpe.low:+.1f} to {sharpe.high:+.1f}" if sharpe.is_known else "unknown",
        _percent(performance.max_drawdown.depth_frac),
        _number(costs.shortfall_bps_per_day),
        _number(exposure.exit_cost_p99_bps),
        _percent(crisis[0].mean_drawdown_frac) if crisis else "-",
        _number(exposure.mean_leverage),
    )


def _interval(interval: Interval) -> str:
    return f"{interval.estimate:+.2f} ({interval.low:+.2f} to {interval.high:+.2f})"


def _slippage(fills: np.ndarray) -> tuple[float, float]:
    """Return predicted and realised slippage of the fills that have both, weighted by notional; NaN without any."""
    with np.errstate(divide="ignore", invalid="ignore"):
        realised = 1e4 * np.sign(fills["units"]) * (fills["price"] / fills["mid_at_decision"] - 1)
    predicted = fills["predicted_slippage_bps"]
    known = np.isfinite(realised) & np.isfinite(predicted) & (fills["notional"] > 0)
    if not known.any():
        return math.nan, math.nan
    weights = fills["notional"][known]
    return float(np.average(predicted[known], weights=weights)), float(np.average(realised[known], weights=weights))


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items(), key=lambda each: -each[1])) or "none"


def _percent(frac: float) -> str:
    return f"{100 * frac:.2f} %" if math.isfinite(frac) else "unknown"


def _number(number: float) -> str:
    return "unknown" if math.isnan(number) else "infinite" if math.isinf(number) else f"{number:.2f}"
