"""The figures of runs: equity, drawdown, leverage beside the market, costs, slippage, exit costs, depth."""

from collections.abc import Iterator, Sequence

import numpy as np

from bot.research.backtest.result import Result
from bot.research.metrics.arm_run import SECOND_NS, ArmRun
from bot.research.metrics.bars import bars_of
from bot.research.metrics.fill_shortfall import shortfall_of
from bot.research.report.depth_map import DepthMap
from bot.research.report.figure import (
    CRISIS,
    DEPTH,
    MUTED,
    SPREAD,
    Axis,
    Bars,
    Figure,
    HeatMap,
    Line,
    Panel,
    Shade,
)
from bot.research.report.thinning import thinned, thinned_over_time
from bot.research.report.words import clock

MOST_ARMS = 16
"""More lines than this in one figure cannot be told apart."""
MOST_BESIDE = 3
_TIME = Axis("time", "UTC", is_time=True)
_ZOOM_S = 3600


def figures_of_runs(
    results: Sequence[Result], depth: Sequence[DepthMap], shades: Sequence[Shade] = (), main: str = ""
) -> Iterator[Figure]:
    """Yield the figures of runs, one after the other, so that no more than one is held.

    Args: `main` names the run that the verdict is about: its market is shown, its line is the thickest.
    """
    results = [each for each in results if len(each.clocks)]
    if results:
        shown, note = results[:MOST_ARMS], ""
        if len(results) > MOST_ARMS:
            note = f"The first {MOST_ARMS} of {len(results)} runs; all of them are in the tables."
        runs = [each.arm_run() for each in shown]
        strong = next((i for i, each in enumerate(shown) if each.name == main), 0)
        yield _equity(runs, strong, shades, note)
        yield _drawdown(runs, strong, shades, note)
        beside = [strong, *(i for i in range(len(shown)) if i != strong)][:MOST_BESIDE]
        for s, symbol in enumerate(shown[strong].symbols):
            yield _leverage([(i, shown[i]) for i in beside], s, symbol, shades)
            if (close := _worst_hour([(i, shown[i]) for i in beside], s, symbol)) is not None:
                yield close
        yield _costs(runs, note)
        if any(len(each.fills) for each in runs):
            yield _slippage([(i, runs[i]) for i in beside])
        yield _exit_costs(runs, strong, note)
    for each in depth:
        yield _depth(each)


def _equity(runs: Sequence[ArmRun], strong: int, shades: Sequence[Shade], note: str) -> Figure:
    lines = [
        Line(run.name, *thinned_over_time(run.time_ns, run.known_equity), colour=i, is_strong=i == strong)
        for i, run in enumerate(runs)
    ]
    gains = {run.name: 100 * (run.known_equity[-1] / run.known_equity[0] - 1) for run in runs}
    best, worst = max(gains, key=lambda name: gains[name]), min(gains, key=lambda name: gains[name])
    sentence = f"Equity of {runs[0].name} over time, net of every cost: {gains[runs[0].name]:+.2f} %."
    if len(runs) > 1:
        sentence = (
            f"Equity over time, net of every cost: at the end {best} stands highest ({gains[best]:+.2f} %), "
            f"{worst} lowest ({gains[worst]:+.2f} %)."
        )
    panel = Panel(Axis("equity", "deposit currency"), tuple(lines))
    return Figure("equity", "Equity", sentence, _TIME, (panel,), tuple(shades), note)


def _drawdown(runs: Sequence[ArmRun], strong: int, shades: Sequence[Shade], note: str) -> Figure:
    lines, depths = [], {}
    for i, run in enumerate(runs):
        equity = run.known_equity
        peak = np.maximum.accumulate(equity)
        fall = -100 * np.divide(peak - equity, peak, out=np.zeros(len(equity)), where=peak > 0)
        depths[run.name] = -float(np.nanmin(fall, initial=0.0))
        lines.append(Line(run.name, *thinned_over_time(run.time_ns, fall), colour=i, is_strong=i == strong))
    deepest = max(depths, key=lambda name: depths[name])
    sentence = (
        f"How far equity stood below its highest value so far: {deepest} fell deepest, by {depths[deepest]:.2f} %."
    )
    panel = Panel(Axis("below the peak", "%"), tuple(lines))
    return Figure("drawdown", "Drawdown", sentence, _TIME, (panel,), tuple(shades), note)


def _leverage(
    arms: Sequence[tuple[int, Result]], s: int, symbol: str, shades: Sequence[Shade], name: str = "leverage"
) -> Figure:
    main = arms[0][1]
    held = [
        Line(f"{each.name}, held", *_over_time(each, "leverage", s), colour=i, is_step=True, is_strong=each is main)
        for i, each in arms
    ]
    wanted = Line(f"{main.name}, target", *_over_time(main, "target", s), colour=MUTED, is_step=True, is_dashed=True)
    clocks = main.clocks
    time_ns = clocks["time_ns"]
    depth = np.fmin(clocks["bid_depth_units"][:, s], clocks["ask_depth_units"][:, s])
    level = np.asarray(clocks["crisis_level"][:, s], float)
    is_made_up = "semi-synthetic" in main.labels.get(symbol, "")
    unit = "units, semi-synthetic" if is_made_up else "base units"
    spread = np.where(clocks["spread_bps"][:, s] > 0, clocks["spread_bps"][:, s], np.nan)
    panels = (
        Panel(Axis("leverage", "equities"), (*held, wanted), 1.6),
        Panel(
            Axis("spread", "bps", is_log=True),
            (Line("spread", *thinned_over_time(time_ns, spread), colour=SPREAD),),
            1.0,
        ),
        Panel(
            Axis("thinner side", unit, is_log=True),
            (Line("depth", *thinned_over_time(time_ns, np.where(depth > 0, depth, np.nan)), colour=DEPTH),),
        ),
        Panel(
            Axis("crisis level", low=0.0, high=3.2),
            (Line("crisis level", *thinned_over_time(time_ns, level), colour=CRISIS, is_step=True, is_filled=True),),
            0.6,
        ),
    )
    sentence = f"{symbol}: leverage held, above the spread, the depth of the thinner side and the crisis level. "
    if np.isfinite(spread).any():
        worst = int(np.nanargmax(spread))
        usual = float(np.nanmedian(spread))
        sentence += (
            f"At {clock(int(time_ns[worst]))} the spread was widest, {spread[worst] / usual:.0f} times its median; "
            f"{main.name} then held {_held(clocks['leverage'][worst, s])}."
        )
    return Figure(f"{name}-{symbol}", f"Leverage and the market: {symbol}", sentence, _TIME, panels, tuple(shades))


def _held(leverage: float) -> str:
    return "nothing" if leverage == 0 else f"{leverage:.2f} times its equity"


def _worst_hour(arms: Sequence[tuple[int, Result]], s: int, symbol: str) -> Figure | None:
    """Return the hour about the widest spread at full resolution; None where a run is short enough to see it."""
    main = arms[0][1]
    time_ns, spread = main.clocks["time_ns"], main.clocks["spread_bps"][:, s]
    if float(time_ns[-1] - time_ns[0]) < 4 * _ZOOM_S * SECOND_NS or not np.isfinite(spread).any():
        return None
    middle_ns, half_ns = int(time_ns[np.nanargmax(spread)]), _ZOOM_S * SECOND_NS // 2
    close = [(i, _between(each, middle_ns - half_ns, middle_ns + half_ns)) for i, each in arms]
    found = _leverage([each for each in close if len(each[1].clocks)], s, symbol, (), "worst-hour")
    return Figure(found.name, f"The hour of the widest spread: {symbol}", found.sentence, found.x, found.panels)


def _between(result: Result, from_ns: int, until_ns: int) -> Result:
    begin, end = np.searchsorted(result.clocks["time_ns"], [from_ns, until_ns])
    return Result(
        result.name, result.symbols, result.labels, result.factor_names, result.base_leverage,
        result.clocks[begin:end], result.fills[:0],
    )  # fmt: skip


def _over_time(result: Result, name: str, s: int) -> tuple[np.ndarray, np.ndarray]:
    return thinned_over_time(result.clocks["time_ns"], result.clocks[name][:, s])


def _costs(runs: Sequence[ArmRun], note: str) -> Figure:
    parts: dict[str, list[float]] = {}
    for run in runs:
        for name, cost in _cost_parts(run).items():
            parts.setdefault(name, []).append(cost)
    totals = np.sum(list(parts.values()), axis=0)
    dearest, cheapest = int(np.argmax(totals)), int(np.argmin(totals))
    sentence = f"What trading cost {runs[0].name}: {totals[0]:.2f} bps of equity a day, by part."
    if len(runs) > 1:
        sentence = (
            f"What trading cost, by part: {runs[dearest].name} paid most, {totals[dearest]:.2f} bps of equity a day, "
            f"{runs[cheapest].name} least, {totals[cheapest]:.2f}."
        )
    bars = tuple(Bars(name, np.array(costs), colour=i) for i, (name, costs) in enumerate(parts.items()))
    panel = Panel(Axis("", categories=tuple(run.name for run in runs)), bars)
    note = f"{note} Own impact is part of what walking the book costs, shown apart where it is known.".strip()
    return Figure("costs", "What trading cost", sentence, Axis("cost", "bps of equity a day"), (panel,), note=note)


def _cost_parts(run: ArmRun) -> dict[str, float]:
    """Return the parts of what trading cost, bps of equity a day; together shortfall and charged swap."""
    costs, equity = shortfall_of(run.fills), run.fills["equity"]
    is_owned = np.isfinite(equity) & (equity > 0)
    share = np.divide(1.0, equity, out=np.zeros(len(equity)), where=is_owned)
    days = float(bars_of(run).rows["open_s"].sum()) / 86_400
    start = next((float(e) for e in run.equity if np.isfinite(e) and e > 0), np.nan)

    def of_equity(money: np.ndarray) -> float:
        return 1e4 * float((money * share).sum()) / days

    swap = 1e4 * -run.swap / start / days if np.isfinite(run.swap) and np.isfinite(start) else 0.0
    return {
        "spread and walking the book": of_equity(costs.slippage - costs.delay - costs.impact),
        "own impact": of_equity(costs.impact),
        "delay": of_equity(costs.delay),
        "commission": of_equity(costs.commission),
        "swap": swap,
    }


def _slippage(arms: Sequence[tuple[int, ArmRun]]) -> Figure:
    points, words, ends = [], [], [0.0]
    for i, run in arms:
        realised, predicted = shortfall_of(run.fills).slippage_bps, run.fills["predicted_slippage_bps"]
        known = np.flatnonzero(np.isfinite(realised) & np.isfinite(predicted))
        if not len(known):
            continue
        order = known[np.argsort(predicted[known], kind="stable")]
        x, y = thinned(predicted[order], realised[order], 300)
        points.append(Line(run.name, x, y, colour=i, is_points=True))
        error = float(np.median(realised[known] - predicted[known]))
        words.append(f"{run.name} {error:+.3f} ({len(known)} fills)")
        ends += [float(x[0]), float(x[-1])]
    line = np.array([min(ends), max(ends)])
    panel = Panel(Axis("realised", "bps"), (*points, Line("as predicted", line, line, colour=MUTED, is_dashed=True)))
    sentence = "Slippage of each fill against what was predicted for it; above the dashed line it was dearer. "
    sentence += f"Median difference in bps: {'; '.join(words)}." if words else "No fill has both figures."
    return Figure(
        "slippage", "Slippage, predicted and realised", sentence, Axis("predicted", "bps"), (panel,), wanted_px=460
    )


def _exit_costs(runs: Sequence[ArmRun], strong: int, note: str) -> Figure:
    lines, tails = [], {}
    for i, run in enumerate(runs):
        samples = bars_of(run).exit_cost
        if not len(samples.sorted_bps):
            continue
        left = 1 - (np.cumsum(samples.open_s) - samples.open_s) / samples.open_s.sum()
        x, y = thinned(samples.sorted_bps, 100 * left, 300)
        lines.append(Line(run.name, x, y, colour=i, is_step=True, is_strong=i == strong))
        tails[run.name] = float(samples.sorted_bps[np.argmax(left <= 0.01)]) if (left <= 0.01).any() else x[-1]
    sentence = "No position was held, or nowhere was it known what closing it would have cost."
    if tails:
        worst, best = max(tails, key=lambda name: tails[name]), min(tails, key=lambda name: tails[name])
        sentence = "How much of the time closing a position cost more than so much: one hundredth of it "
        sentence += f"{tails[worst]:.2f} bps or more with {worst}"
        sentence += f", {tails[best]:.2f} with {best}." if best != worst else "."
    panel = Panel(Axis("time at or above", "%", is_log=True), tuple(lines))
    axis = Axis("cost of closing a position", "bps of its notional", is_log=True)
    return Figure("exit-costs", "Exit cost", sentence, axis, (panel,), note=note, wanted_px=420)


def _depth(depth: DepthMap) -> Figure:
    volume = np.where(depth.units > 0, np.log10(np.maximum(depth.units, 1e-12)), np.nan)
    best = (
        Line("best bid", depth.time_ns, depth.bid_bps, colour=CRISIS, is_step=True),
        Line("best ask", depth.time_ns, depth.ask_bps, colour=CRISIS, is_step=True),
    )
    cells = HeatMap("resting volume", "log10 of base units", depth.time_ns, depth.distance_bps, volume)
    total = np.nansum(depth.units, axis=0)
    thinnest = int(np.argmin(total))
    share = total[thinnest] / median if (median := float(np.median(total))) > 0 else np.nan
    sentence = (
        f"Resting volume of {depth.symbol} by its distance from the mid, a column a step: thinnest at "
        f"{clock(int(depth.time_ns[thinnest]))}, with {100 * share:.0f} % of the median volume in this range."
    )
    note = f"Data: {depth.label}."
    if depth.is_semi_synthetic:
        note += " The quotes are real and the depth behind them is made up: draw no conclusions about real depth."
    reach = float(np.abs(depth.distance_bps).max())
    panel = Panel(Axis("distance from the mid", "bps", low=-reach, high=reach), (cells, *best))
    begin, end = clock(int(depth.time_ns[0])), clock(int(depth.time_ns[-1]))
    title = f"Book depth, {depth.symbol}, {begin} to {end}"
    return Figure(f"depth-{depth.symbol}-{begin}", title, sentence, _TIME, (panel,), note=note, wanted_px=480)
