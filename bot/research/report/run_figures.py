"""The figures of runs: equity, drawdown, leverage beside the market, costs, slippage, exit costs, depth."""

from collections.abc import Iterator, Sequence

import numpy as np

from bot.research.backtest.result import Result
from bot.research.metrics.arm_run import SECOND_NS
from bot.research.report.arm_drawn import ArmDrawn, arm_drawn
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
from bot.research.report.thinning import thinned_over_time
from bot.research.report.words import clock

MOST_ARMS = 16
"""More lines than this in one figure cannot be told apart."""
MOST_BESIDE = 3
_TIME = Axis("time", "UTC", is_time=True)
_ZOOM_S = 3600


def figures_of_runs(
    results: Sequence[Result],
    depth: Sequence[DepthMap],
    shades: Sequence[Shade] = (),
    main: str = "",
    from_ns: int = 0,
) -> Iterator[Figure]:
    """Yield the figures of runs, one after the other, so that no more than one is held.

    Args: `results` are looked at one by one; `main` names the run that the verdict is about: its market is shown, its
        line is the thickest; `from_ns` is where the days that only taught end.
    """
    places, arms = list[int](), list[ArmDrawn]()
    for place, each in enumerate(results):
        if len(arms) < MOST_ARMS and len(each.clocks) and each.clocks["time_ns"][-1] >= from_ns:
            places.append(place)
            arms.append(arm_drawn(each, from_ns))
    if arms:
        note = ""
        if len(results) > MOST_ARMS:
            note = f"The first {MOST_ARMS} of {len(results)} runs; all of them are in the tables."
        strong = next((i for i, each in enumerate(arms) if each.name == main), 0)
        yield _equity(arms, strong, shades, note)
        yield _drawdown(arms, strong, shades, note)
        beside = [strong, *(i for i in range(len(arms)) if i != strong)][:MOST_BESIDE]
        whole = [(i, _between(results[places[i]], from_ns, 2**62)) for i in beside]
        for s, symbol in enumerate(whole[0][1].symbols):
            yield _leverage(whole, s, symbol, shades)
            if (close := _worst_hour(whole, s, symbol)) is not None:
                yield close
        del whole
        yield _costs(arms, note)
        if any(each.fills for each in arms):
            yield _slippage([(i, arms[i]) for i in beside])
        yield _exit_costs(arms, strong, note)
    for one in depth:
        yield _depth(one)


def _equity(arms: Sequence[ArmDrawn], strong: int, shades: Sequence[Shade], note: str) -> Figure:
    lines = tuple(Line(arm.name, *arm.equity, colour=i, is_strong=i == strong) for i, arm in enumerate(arms))
    best, worst = max(arms, key=lambda arm: arm.gain_percent), min(arms, key=lambda arm: arm.gain_percent)
    sentence = f"Equity of {best.name} over time, net of every cost: {best.gain_percent:+.2f} %."
    if len(arms) > 1:
        sentence = (
            f"Equity over time, net of every cost: at the end {best.name} stands highest ({best.gain_percent:+.2f} %), "
            f"{worst.name} lowest ({worst.gain_percent:+.2f} %)."
        )
    panel = Panel(Axis("equity", "deposit currency"), lines)
    return Figure("equity", "Equity", sentence, _TIME, (panel,), tuple(shades), note)


def _drawdown(arms: Sequence[ArmDrawn], strong: int, shades: Sequence[Shade], note: str) -> Figure:
    lines = tuple(Line(arm.name, *arm.below_peak, colour=i, is_strong=i == strong) for i, arm in enumerate(arms))
    deepest = max(arms, key=lambda arm: arm.deepest_percent)
    sentence = "How far equity stood below its highest value so far: "
    sentence += f"{deepest.name} fell deepest, by {deepest.deepest_percent:.2f} %."
    panel = Panel(Axis("below the peak", "%"), lines)
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


def _costs(arms: Sequence[ArmDrawn], note: str) -> Figure:
    totals = [sum(arm.costs.values()) for arm in arms]
    dearest, cheapest = int(np.argmax(totals)), int(np.argmin(totals))
    sentence = f"What trading cost {arms[0].name}: {totals[0]:.2f} bps of equity a day, by part."
    if len(arms) > 1:
        sentence = (
            f"What trading cost, by part: {arms[dearest].name} paid most, {totals[dearest]:,.2f} bps of equity a day, "
            f"{arms[cheapest].name} least, {totals[cheapest]:,.2f}."
        )
    parts = list(arms[0].costs)
    bars = tuple(Bars(part, np.array([arm.costs[part] for arm in arms]), colour=i) for i, part in enumerate(parts))
    panel = Panel(Axis("", categories=tuple(arm.name for arm in arms)), bars)
    note = f"{note} Own impact is part of what walking the book costs, shown apart where it is known.".strip()
    return Figure("costs", "What trading cost", sentence, Axis("cost", "bps of equity a day"), (panel,), note=note)


def _slippage(arms: Sequence[tuple[int, ArmDrawn]]) -> Figure:
    known = [(i, arm) for i, arm in arms if arm.fills and len(arm.slippage[0])]
    points = tuple(Line(arm.name, *arm.slippage, colour=i, is_points=True) for i, arm in known)
    ends = [0.0, *(float(arm.slippage[0][place]) for _, arm in known for place in (0, -1))]
    line = np.array([min(ends), max(ends)])
    panel = Panel(Axis("realised", "bps"), (*points, Line("as predicted", line, line, colour=MUTED, is_dashed=True)))
    words = [f"{arm.name} {arm.slippage_error_bps:+.3f} ({arm.fills:,} fills)" for _, arm in known]
    sentence = "Slippage of each fill against what was predicted for it; above the dashed line it was dearer. "
    sentence += f"Median difference in bps: {'; '.join(words)}."
    return Figure(
        "slippage", "Slippage, predicted and realised", sentence, Axis("predicted", "bps"), (panel,), wanted_px=460
    )


def _exit_costs(arms: Sequence[ArmDrawn], strong: int, note: str) -> Figure:
    lines = tuple(
        Line(arm.name, *arm.exit_cost, colour=i, is_step=True, is_strong=i == strong)
        for i, arm in enumerate(arms)
        if len(arm.exit_cost[0])
    )
    known = [arm for arm in arms if not np.isnan(arm.exit_cost_p99_bps)]
    sentence = "No position was held, or nowhere was it known what closing it would have cost."
    if known:
        worst, best = (of(known, key=lambda arm: arm.exit_cost_p99_bps) for of in (max, min))
        sentence = "How much of the time closing a position would have cost so much or more. The 99th percentile is "
        sentence += f"{_bps(worst.exit_cost_p99_bps)} with {worst.name}"
        sentence += f", {_bps(best.exit_cost_p99_bps)} with {best.name}." if best is not worst else "."
    if shut := [f"{arm.no_exit_percent:.2g} % of held time with {arm.name}" for arm in arms if arm.no_exit_percent > 0]:
        sentence += f" There was nothing to close against for {', '.join(shut)}."
    panel = Panel(Axis("time at or above", "%", is_log=True), lines)
    axis = Axis("cost of closing a position", "bps of its notional", is_log=True)
    return Figure("exit-costs", "Exit cost", sentence, axis, (panel,), note=note, wanted_px=420)


def _bps(cost: float) -> str:
    return f"{cost:.2f} bps" if np.isfinite(cost) else "infinite"


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
