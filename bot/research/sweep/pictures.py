"""Pictures of a sweep: importance of each parameter, and how steady the figure is around the choice. PNG and HTML."""

import math
from pathlib import Path
from typing import Any

from bot.research.sweep.found import Steadiness, SweepFound

_TRAIN, _TEST, _TRIAL, _CHOSEN = "#1f77b4", "#d62728", "#b0b0b0", "#2ca02c"


def importance_png(found: SweepFound, path: Path) -> None:
    """Draw the importance of each parameter."""
    names, shares = _importance(found)
    figure, axes = _subplots(1, 1, 7, 1.2 + 0.4 * max(len(names), 1))
    axes[0].barh(names[::-1], shares[::-1], color=_TRAIN)
    axes[0].set_xlabel("importance (PED-ANOVA, of the train days), share")
    axes[0].set_title(_importance_title(found))
    figure.savefig(path, dpi=120)


def stability_png(found: SweepFound, path: Path) -> None:
    """Draw, for each parameter, the trials' figures, and those of the choice's neighbours on train and test days."""
    count = max(len(found.steadiness), 1)
    columns = min(count, 3)
    figure, axes = _subplots(math.ceil(count / columns), columns, 4.6 * columns, 3.4 * math.ceil(count / columns))
    for place, each in zip(axes, found.steadiness, strict=False):
        xs, ys = _trials(found, each)
        positions = _positions(each, xs)
        place.scatter([positions(x) for x in xs], ys, s=14, color=_TRIAL, label="trials, train")
        values = [positions(one.value) for one in each.beside]
        place.plot(values, [one.train for one in each.beside], "o-", color=_TRAIN, label="neighbours, train")
        place.plot(values, [one.test for one in each.beside], "s--", color=_TEST, label="neighbours, test")
        place.axvline(positions(found.chosen.changes[each.parameter]), color=_CHOSEN, lw=1, label="chosen")
        place.set_xlabel(each.parameter)
        place.set_ylabel(found.metric)
        place.set_title(_shape(each), fontsize=9)
        if positions is not float:
            place.set_xticks(range(len(_names(each, xs))), _names(each, xs))
        elif _is_log(found, each):
            place.set_xscale("log")
    for place in axes[len(found.steadiness) :]:
        place.set_visible(False)
    if found.steadiness:
        axes[0].legend(fontsize=7)
    figure.savefig(path, dpi=120)


def page_html(found: SweepFound, lines: str, path: Path) -> None:
    """Write one page that opens without a network: the text of the result, and both pictures to look into."""
    from html import escape

    import plotly.graph_objects as graph
    from plotly.subplots import make_subplots

    names, shares = _importance(found)
    bars = graph.Figure(graph.Bar(x=shares[::-1], y=names[::-1], orientation="h"))
    bars.update_layout(title=_importance_title(found), height=200 + 40 * len(names), template="plotly_white")
    titles = [f"{each.parameter}: {_shape(each)}" for each in found.steadiness]
    page = make_subplots(rows=max(len(titles), 1), cols=1, subplot_titles=titles)
    for row, each in enumerate(found.steadiness, 1):
        xs, ys = _trials(found, each)
        positions = _positions(each, xs)
        values = [one.value if positions is float else _text(one.value) for one in each.beside]
        drawn = [
            graph.Scatter(
                x=xs if positions is float else [_text(x) for x in xs],
                y=ys,
                mode="markers",
                name="trials, train",
                marker_color=_TRIAL,
            ),
            graph.Scatter(x=values, y=[o.train for o in each.beside], name="neighbours, train", line_color=_TRAIN),
            graph.Scatter(x=values, y=[o.test for o in each.beside], name="neighbours, test", line_color=_TEST),
        ]
        for one in drawn:
            one.showlegend = row == 1
            page.add_trace(one, row=row, col=1)
        page.update_yaxes(title_text=found.metric, row=row, col=1)
        if _is_log(found, each):
            page.update_xaxes(type="log", row=row, col=1)
    page.update_layout(height=120 + 320 * max(len(titles), 1), template="plotly_white")
    first = bars.to_html(full_html=False, include_plotlyjs=True)
    second = page.to_html(full_html=False, include_plotlyjs=False)
    head = f"<!doctype html><html><head><meta charset='utf-8'><title>sweep: {escape(found.metric)}</title></head>"
    body = f"<body style='font-family: sans-serif'><pre>{escape(lines)}</pre>{first}{second}</body></html>"
    path.write_text(head + body, encoding="utf-8")


def _subplots(rows: int, columns: int, width: float, height: float) -> tuple[Any, list[Any]]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, list(figure.subplots(rows, columns, squeeze=False).flat)


def _importance(found: SweepFound) -> tuple[list[str], list[float]]:
    ordered = sorted(found.importance.items(), key=lambda each: -each[1])
    return [name for name, _ in ordered], [share for _, share in ordered]


def _importance_title(found: SweepFound) -> str:
    return f"what decides {found.metric}" if found.importance else "too few trials to tell what is important"


def _trials(found: SweepFound, each: Steadiness) -> tuple[list[Any], list[float]]:
    known = [(changes[each.parameter], figure) for changes, state, figure in found.tried if state == "complete"]
    return [value for value, _ in known], [figure for _, figure in known]


def _names(each: Steadiness, xs: list[Any]) -> list[str]:
    return sorted({_text(value) for value in [*xs, *(one.value for one in each.beside)]})


def _positions(each: Steadiness, xs: list[Any]) -> Any:
    """Return what makes a number of a value: itself, or the place of its text among the choices."""
    values = [*xs, *(one.value for one in each.beside)]
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return float
    names = _names(each, xs)
    return lambda value: names.index(_text(value))


def _is_log(found: SweepFound, each: Steadiness) -> bool:
    return bool(found.settled["ranges"][each.parameter].get("log"))


def _shape(each: Steadiness) -> str:
    return "cannot be told" if each.shape == "unknown" else f"{each.shape}, loses {each.lost_frac:.0%} beside"


def _text(value: Any) -> str:
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
