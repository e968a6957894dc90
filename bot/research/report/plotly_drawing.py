"""Figures as plotly.js draws them on a page: plain dictionaries, and the library itself as one text.

Colours of text, grid and background are the page's, light or dark: its script sets them. Texts are escaped, because the
library takes them for a kind of HTML. Series are base64 of plain arrays, which is a third of what digits would take.
"""

import base64
import html
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from bot.research.report.figure import (
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
    positive_range,
)

_MOST_SHADES = 60
_MOST_WORDS = 12
_GAP = 0.05


def check_library() -> None:
    """Raise ImportError when the library is not installed."""
    import plotly  # noqa: F401


def library() -> str:
    """Return plotly.js, whole."""
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())


def figure_json(figure: Figure) -> str:
    """Return a figure's traces, layout and height as JSON that may stand in a script element."""
    traces: list[dict[str, Any]] = []
    layout = _layout(figure)
    for place, (panel, domain) in enumerate(zip(figure.panels, _domains(figure.panels), strict=True)):
        axis = "" if place == 0 else str(place + 1)
        lines = [each for each in panel.drawn if isinstance(each, Line)]
        layout[f"yaxis{axis}"] = _axis(panel.y, [each.y for each in lines]) | {"domain": domain, "anchor": "x"}
        for drawn in panel.drawn:
            traces += [each | {"xaxis": "x", "yaxis": f"y{axis}"} for each in _traces(drawn, figure.x.is_time)]
    named = [each["name"] for each in traces if each.get("showlegend", True)]
    layout["showlegend"] = len(named) > 1
    # The library gives every entry of a legend the room of the longest one.
    legend = {"entries": len(named), "entry_px": 50 + 7 * max(map(len, named), default=0)}
    spec = {"data": traces, "layout": layout, "height": figure.height_px, "legend": legend}
    # A script element ends at the first "</script", wherever that stands.
    return json.dumps(spec, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def _layout(figure: Figure) -> dict[str, Any]:
    last = "y" if len(figure.panels) == 1 else f"y{len(figure.panels)}"
    across = [each.x for panel in figure.panels for each in panel.drawn if isinstance(each, Line)]
    layout: dict[str, Any] = {
        "xaxis": _axis(figure.x, across, is_horizontal=True) | {"anchor": last, "automargin": True},
        "margin": {"l": 8, "r": 8, "t": 18, "b": 8},
        "barmode": "relative",
        "hovermode": "x" if figure.x.is_time else "closest",
        "legend": {"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "x": 0},
        "dragmode": "zoom" if figure.x.is_time else False,
        "shapes": [_shape(each) for each in figure.shades[:_MOST_SHADES]],
    }
    if len(figure.shades) <= _MOST_WORDS:
        layout["annotations"] = [_word(each) for each in figure.shades]
    return layout


def _shape(shade: Shade) -> dict[str, Any]:
    ends = {"x0": shade.from_x / 1e6, "x1": shade.to_x / 1e6}
    rest = {"xref": "x", "yref": "paper", "y0": 0, "y1": 1, "layer": "below", "line": {"width": 0}}
    return {"type": "rect", "fillcolor": "rgba(220,76,76,0.14)", **ends, **rest}


def _word(shade: Shade) -> dict[str, Any]:
    place = {"x": shade.from_x / 1e6, "xref": "x", "y": 1, "yref": "paper", "xanchor": "left", "yanchor": "bottom"}
    return {"text": _text(shade.word), "showarrow": False, "font": {"size": 10}, **place}


def _domains(panels: tuple[Panel, ...]) -> list[list[float]]:
    """Return where each panel stands, from below, the first one on top."""
    room = 1 - _GAP * (len(panels) - 1)
    whole = sum(panel.share for panel in panels)
    found, top = [], 1.0
    for panel in panels:
        height = room * panel.share / whole
        found.append([max(round(top - height, 6), 0.0), round(top, 6)])
        top -= height + _GAP
    return found


def _axis(axis: Axis, drawn: Sequence[np.ndarray], *, is_horizontal: bool = False) -> dict[str, Any]:
    found: dict[str, Any] = {"automargin": True}
    if axis.words:
        words = axis.words if is_horizontal else axis.words.replace(" (", "\n(", 1)
        found["title"] = {"text": _text(words), "standoff": 6, "font": {"size": 11}}
    if axis.is_time:
        return found | {"type": "date"}
    if axis.categories:
        names = [_text(name) for name in axis.categories]
        ends = [len(names) - 0.5, -0.5]
        return found | {"tickvals": list(range(len(names))), "ticktext": names, "range": ends, "zeroline": False}
    if axis.is_log:
        marks = log_ticks(*positive_range(drawn))
        return found | {"type": "log", "tickvals": marks, "ticktext": [f"{mark:,.10g}" for mark in marks]}
    if axis.low is not None and axis.high is not None:
        found["range"] = [axis.low, axis.high]
    return found | {"exponentformat": "none", "zeroline": True}


def _traces(drawn: Line | Bars | Intervals | HeatMap, is_time: bool) -> list[dict[str, Any]]:
    match drawn:
        case Line():
            return [_line(drawn, is_time)]
        case Bars():
            place = _array(np.arange(len(drawn.lengths), dtype=float))
            shown = {"marker": {"color": colour_of(drawn.colour)}, "hovertemplate": "%{x:.3f}"}
            return [
                {"type": "bar", "orientation": "h", "name": drawn.name, "y": place, "x": _array(drawn.lengths)} | shown
            ]
        case Intervals():
            return _intervals(drawn)
        case HeatMap():
            return [_heat_map(drawn, is_time)]


def _line(line: Line, is_time: bool) -> dict[str, Any]:
    colour = colour_of(line.colour)
    found: dict[str, Any] = {"type": "scatter", "name": _text(line.name), "x": _x(line.x, is_time), "y": _array(line.y)}
    found["hovertemplate"] = "%{y:.5~g}" if is_time else "%{x:.4~g}, %{y:.4~g}"
    if line.is_points:
        return found | {"mode": "markers", "marker": {"color": colour, "size": 6, "opacity": 0.65}}
    style: dict[str, Any] = {"color": colour, "width": 2.4 if line.is_strong else 1.3}
    style["shape"] = "hv" if line.is_step else "linear"
    if line.is_dashed or is_dashed_arm(line.colour):
        style["dash"] = "dash" if line.is_dashed else "dot"
    if line.is_filled:
        found |= {"fill": "tozeroy", "fillcolor": f"{colour}40"}
    return found | {"mode": "lines", "line": style}


def _intervals(intervals: Intervals) -> list[dict[str, Any]]:
    found = []
    known = np.isfinite(intervals.low) & np.isfinite(intervals.high)
    for name, chosen, colour, symbol in (
        (_text(intervals.name), known & intervals.is_telling, colour_of(intervals.colour), "circle"),
        ("does not", known & ~intervals.is_telling, "#808890", "circle"),
        ("interval unknown", ~known & np.isfinite(intervals.estimate), "#808890", "circle-open"),
    ):
        place = np.flatnonzero(chosen)
        if not len(place):
            continue
        at = intervals.estimate[place]
        trace: dict[str, Any] = {"type": "scatter", "mode": "markers", "name": name, "x": _array(at)}
        trace |= {"y": _array(place.astype(float)), "marker": {"color": colour, "size": 9, "symbol": symbol}}
        trace["hovertemplate"] = "%{x:.4~g}"
        if symbol == "circle":
            up, down = _array(intervals.high[place] - at), _array(at - intervals.low[place])
            trace["error_x"] = {"type": "data", "symmetric": False, "array": up, "arrayminus": down, "thickness": 1.6}
        found.append(trace)
    return found


def _heat_map(cells: HeatMap, is_time: bool) -> dict[str, Any]:
    bar = {"orientation": "h", "y": 1.0, "yanchor": "bottom", "thickness": 10, "len": 0.6, "x": 0, "xanchor": "left"}
    bar["title"] = {"text": _text(f"{cells.name} ({cells.unit})"), "side": "top"}  # type: ignore[assignment]
    found = {"type": "heatmap", "name": cells.name, "x": _x(cells.x, is_time), "y": _array(cells.y), "colorbar": bar}
    return found | {"z": _array(cells.z), "colorscale": "Cividis", "hoverongaps": False, "showlegend": False}


def _x(x: np.ndarray, is_time: bool) -> dict[str, str]:
    """Return places on the horizontal axis; times as the milliseconds that a date axis takes, in whole precision."""
    return _array(x / 1e6, "f8") if is_time else _array(x)


def _array(array: np.ndarray, kind: str = "f4") -> dict[str, str]:
    """Return an array as the library reads it: little-endian bytes in base64, with its shape where it is a grid."""
    found = {"dtype": kind, "bdata": base64.b64encode(np.ascontiguousarray(array, f"<{kind}").tobytes()).decode()}
    return found | {"shape": ", ".join(map(str, array.shape))} if array.ndim > 1 else found


def _text(text: str) -> str:
    return html.escape(text, quote=False).replace("\n", "<br>")
