"""Figures as PNG, by matplotlib, without a screen and without its global state."""

import io
import textwrap
from typing import Any

import numpy as np

from bot.research.report.figure import (
    MUTED,
    Axis,
    Bars,
    Figure,
    HeatMap,
    Intervals,
    Line,
    Panel,
    Shade,
    colour_of,
    is_dashed_arm,
    log_ticks,
)

_DPI = 120
_WIDTH_IN = 9.0
_TITLE_LETTERS = 80  # of bold 13 point type, in that width
_NS_PER_DAY = 86_400e9
_GREY = "#606870"
_MOST_SHADES = 60
_MOST_WORDS = 12


def check_library() -> None:
    """Raise ImportError when the library is not installed."""
    import matplotlib  # noqa: F401


def png(figure: Figure) -> bytes:
    """Return a figure as the bytes of a PNG: title, sentence, panels, legend. The same figure gives the same bytes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Canvas

    words = textwrap.wrap(figure.sentence, 120) + (textwrap.wrap(figure.note, 120) if figure.note else [])
    title = textwrap.wrap(figure.title, _TITLE_LETTERS)
    lines = sum(not isinstance(drawn, HeatMap) for panel in figure.panels for drawn in panel.drawn)
    height_in = figure.height_px / 100 + 0.17 * len(words) + 0.1 + 0.2 * len(title) + 0.2 * ((lines + 3) // 4)
    canvas = Canvas(figsize=(_WIDTH_IN, height_in), dpi=_DPI, layout="constrained", facecolor="white")
    FigureCanvasAgg(canvas)
    shares = [panel.share for panel in figure.panels]
    grid = canvas.subplots(len(figure.panels), 1, sharex=True, squeeze=False, gridspec_kw={"height_ratios": shares})
    every = [axes for row in grid for axes in row]
    for axes, panel in zip(every, figure.panels, strict=True):
        _panel(canvas, axes, panel, figure.x)
        _shades(axes, figure.shades, with_words=axes is every[0] and len(figure.shades) <= _MOST_WORDS)
    _ends(every[-1], figure.x)
    canvas.suptitle(_text("\n".join(title)), x=0.01, ha="left", fontsize=13, fontweight="bold")
    every[0].set_title(_text("\n".join(words)), loc="left", fontsize=8.5, color=_GREY)
    handles, names = _legend(every)
    if len(names) > 1:
        canvas.legend(handles, names, loc="outside lower left", ncols=4, fontsize=8, frameon=False)
    file = io.BytesIO()
    canvas.savefig(file, format="png", metadata={"Software": None, "Description": figure.sentence})
    return file.getvalue()


def _legend(every: list[Any]) -> tuple[list[Any], list[str]]:
    found: dict[str, Any] = {}
    for axes in every:
        handles, names = axes.get_legend_handles_labels()
        for handle, name in zip(handles, names, strict=True):
            found.setdefault(name, handle)
    return list(found.values()), list(found)


def _panel(canvas: Any, axes: Any, panel: Panel, x: Axis) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(visible=True, color="#d5d9dd", linewidth=0.6, axis="x" if panel.y.categories else "both")
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8, colors=_GREY)
    axes.margins(x=0.01)
    left: dict[str, np.ndarray] = {}
    for drawn in panel.drawn:
        match drawn:
            case Line():
                _line(axes, drawn, x)
            case Bars():
                _bars(axes, drawn, left)
            case Intervals():
                _intervals(axes, drawn)
            case HeatMap():
                _heat_map(canvas, axes, drawn, x)
    axes.set_ylabel(_text(panel.y.words.replace(" (", "\n(", 1)), fontsize=8.5)
    if panel.y.is_log:
        _log(axes.yaxis, axes.set_yscale)
    if panel.y.low is not None and panel.y.high is not None:
        axes.set_ylim(panel.y.low, panel.y.high)
    if panel.y.categories:
        names = panel.y.categories
        axes.set_yticks(range(len(names)), [_text(name) for name in names], fontsize=8)
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.axvline(0, color="#404850", linewidth=0.8)


def _ends(axes: Any, x: Axis) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    axes.set_xlabel(_text(x.words), fontsize=8.5)
    if x.is_time:
        locator: Any = AutoDateLocator(minticks=5, maxticks=12)  # type: ignore[no-untyped-call]
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    elif x.is_log:
        _log(axes.xaxis, axes.set_xscale)


def _log(axis: Any, set_scale: Any) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    set_scale("log")
    axis.set_major_locator(FixedLocator(log_ticks(*axis.get_data_interval())))
    axis.set_major_formatter(FuncFormatter(lambda at, _: f"{at:,.10g}"))
    axis.set_minor_locator(NullLocator())


def _line(axes: Any, line: Line, x: Axis) -> None:
    places, colour, name = _places(line.x, x), colour_of(line.colour), _text(line.name)
    if line.is_points:
        axes.plot(places, line.y, "o", color=colour, markersize=3.5, alpha=0.6, label=name, markeredgewidth=0)
        return
    style = "--" if line.is_dashed else ":" if is_dashed_arm(line.colour) else "-"
    drawstyle = "steps-post" if line.is_step else "default"
    width = 1.9 if line.is_strong else 1.0
    axes.plot(places, line.y, style, color=colour, linewidth=width, drawstyle=drawstyle, label=name)
    if line.is_filled:
        step = "post" if line.is_step else None
        axes.fill_between(places, line.y, step=step, color=colour, alpha=0.25, linewidth=0)


def _bars(axes: Any, bars: Bars, left: dict[str, np.ndarray]) -> None:
    """Stack a part on those before it, what is above 0 to the right and what is below to the left."""
    up, down = np.maximum(bars.lengths, 0), np.minimum(bars.lengths, 0)
    places, colour = np.arange(len(bars.lengths)), colour_of(bars.colour)
    for side, lengths in (("up", up), ("down", down)):
        begin = left.setdefault(side, np.zeros(len(places)))
        axes.barh(places, lengths, 0.65, begin, color=colour, label=_text(bars.name) if side == "up" else None)
        left[side] = begin + lengths


def _intervals(axes: Any, intervals: Intervals) -> None:
    known = np.isfinite(intervals.low) & np.isfinite(intervals.high)
    for name, chosen, colour, face in (
        (_text(intervals.name), known & intervals.is_telling, colour_of(intervals.colour), None),
        ("does not", known & ~intervals.is_telling, colour_of(MUTED), None),
        ("interval unknown", ~known & np.isfinite(intervals.estimate), colour_of(MUTED), "none"),
    ):
        place = np.flatnonzero(chosen)
        if not len(place):
            continue
        at = intervals.estimate[place]
        if face is None:
            axes.hlines(place, intervals.low[place], intervals.high[place], color=colour, linewidth=1.6)
        axes.plot(at, place, "o", color=colour, markersize=5.5, markerfacecolor=face or colour, label=name)


def _heat_map(canvas: Any, axes: Any, cells: HeatMap, x: Axis) -> None:
    mesh = axes.pcolormesh(_places(cells.x, x), cells.y, cells.z, cmap="cividis", shading="nearest", rasterized=True)
    bar = canvas.colorbar(mesh, ax=axes, fraction=0.03, pad=0.01)
    bar.set_label(_text(f"{cells.name} ({cells.unit})"), fontsize=8)
    bar.ax.tick_params(labelsize=7)


def _shades(axes: Any, shades: tuple[Shade, ...], *, with_words: bool) -> None:
    for shade in shades[:_MOST_SHADES]:
        axes.axvspan(shade.from_x / _NS_PER_DAY, shade.to_x / _NS_PER_DAY, color="#dc4c4c", alpha=0.12, linewidth=0)
        if with_words:
            axes.annotate(_text(shade.word), (shade.from_x / _NS_PER_DAY, 1), xycoords=("data", "axes fraction"),
                          xytext=(2, -9), textcoords="offset points", fontsize=7, color=_GREY)  # fmt: skip


def _places(x: np.ndarray, axis: Axis) -> np.ndarray:
    """Return places on the horizontal axis; times as the days since 1970 that the library counts."""
    return np.asarray(x / _NS_PER_DAY if axis.is_time else x)


def _text(text: str) -> str:
    return text.replace("$", r"\$")  # else it would be mathematics
