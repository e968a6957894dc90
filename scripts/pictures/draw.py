"""Draws leverage, spread and crisis level on three aligned panels: `draw.py COLUMNS.json FOLDER [--png FOLDER]`.

Runs in the throw-away environment of `pins.txt`. Text stays text, coordinates are rounded to a tenth of a point, and
nothing in a file depends on the time or the machine, so that a picture changes only when its figures do. There is no
background, and what is written is of a grey that can be read on white and on black.
"""

import argparse
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

GREY, BLUE, ORANGE, RED = "#808080", "#3b82f6", "#d97706", "#dc4c4c"
STYLE = {
    "svg.fonttype": "none", "svg.hashsalt": "microlev", "font.family": "sans-serif", "font.size": 9,
    "text.color": GREY, "axes.labelcolor": GREY, "xtick.color": GREY, "ytick.color": GREY, "axes.edgecolor": GREY,
    "axes.spines.top": False, "axes.spines.right": False, "grid.color": GREY, "grid.alpha": 0.25,
    "axes.facecolor": "none", "legend.frameon": False, "legend.fontsize": 8,
    "path.simplify": True, "path.simplify_threshold": 0.2,
}  # fmt: skip


def steps(times: list[float], figures: list[float | None]) -> tuple[list[float], list[float]]:
    """Return a line of steps without the points at which nothing changes."""
    xs: list[float] = []
    ys: list[float] = []
    for x, y in zip(times, figures, strict=True):
        y = float("nan") if y is None else y
        if ys and y == ys[-1]:
            continue
        if ys:
            xs.append(x)
            ys.append(ys[-1])
        xs.append(x)
        ys.append(y)
    if xs:
        xs.append(times[-1])
        ys.append(ys[-1])
    return xs, ys


def draw(picture: dict[str, Any]) -> Any:
    """Return the figure of one stretch."""
    shown = picture["columns"]
    times, begin_s = shown["time_s"], picture["from_ns"] / 1e9
    spread = [(t, s) for t, s in zip(times, shown["spread_bps"], strict=True) if s is not None and s > 0]
    figure, (top, middle, bottom) = plt.subplots(
        3, 1, sharex=True, figsize=(8.0, 5.6), height_ratios=(3, 3, 1.4), layout="constrained"
    )
    figure.suptitle(picture["title"], fontsize=10, color=GREY, x=0.02, ha="left")
    top.plot(*steps(times, shown["wanted"]), color=ORANGE, linewidth=0.8, linestyle="--", label="wanted")
    top.plot(*steps(times, shown["held"]), color=BLUE, linewidth=2.0, label="held")
    top.set_ylabel("leverage\n(equities)")
    top.set_ylim(bottom=-0.03)
    middle.plot(*zip(*spread, strict=True), color=BLUE, linewidth=0.9, label="spread, widest of each step")
    middle.plot(*steps(times, shown["usual_bps"]), color=ORANGE, linewidth=1.2, linestyle="--", label="usual spread")
    middle.set_yscale("log")
    middle.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    middle.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
    middle.yaxis.set_minor_formatter(NullFormatter())
    middle.set_ylabel("spread\n(bps, log)")
    xs, ys = steps(times, shown["level"])
    bottom.fill_between(xs, ys, color=RED, alpha=0.35, hatch="///", linewidth=0)
    bottom.plot(xs, ys, color=RED, linewidth=1.2)
    bottom.set_ylim(-0.1, 3.3)
    bottom.set_yticks((0, 1, 2, 3))
    bottom.set_ylabel("crisis\nlevel")
    bottom.set_xlabel("time (UTC)")
    span_s = times[-1] - times[0]
    grid_s = next(s for s in (60, 120, 300, 600, 1800, 3600, 7200, 10_800) if span_s / s <= 10)
    first_s = -begin_s % grid_s
    bottom.set_xticks([first_s + i * grid_s for i in range(int((span_s - first_s) // grid_s) + 1)])
    bottom.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{datetime.fromtimestamp(begin_s + x, UTC):%H:%M}"))
    for axes in (top, middle, bottom):
        axes.grid(visible=True, axis="both")
        axes.margins(x=0)
        for at_ns, _ in picture["marks"]:
            axes.axvline(at_ns / 1e9 - begin_s, color=GREY, linewidth=1.0, linestyle=":")
    for at_ns, word in picture["marks"]:
        top.annotate(word, (at_ns / 1e9 - begin_s, 1.0), xycoords=("data", "axes fraction"), xytext=(3, -9),
                     textcoords="offset points", fontsize=8)  # fmt: skip
    top.legend(loc="upper right", bbox_to_anchor=(1.0, 1.12), ncols=2)
    middle.legend(loc="upper right", bbox_to_anchor=(1.0, 1.12), ncols=2)
    return figure


def compact(svg: str) -> str:
    """Round what paths and positions are given in; take out what is of no use to a reader."""
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    short = re.compile(r"(-?\d+\.\d)\d+")
    svg = re.sub(r' (?:d|x|y|transform)="[^"]*"', lambda found: short.sub(r"\1", found[0]), svg)
    return re.sub(r"\n\s*([LMz])", r" \1", svg)


def main() -> None:
    """Draw every stretch in the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("columns", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--png", type=Path, metavar="FOLDER", help="write them as PNG, too")
    wanted = parser.parse_args()
    plt.rcParams.update(STYLE)
    wanted.folder.mkdir(parents=True, exist_ok=True)
    for picture in json.loads(wanted.columns.read_text(encoding="utf-8")):
        figure = draw(picture)
        target = wanted.folder / f"{picture['name']}.svg"
        figure.savefig(target, transparent=True, metadata={"Date": None})
        target.write_text(compact(target.read_text(encoding="utf-8")), encoding="utf-8")
        if wanted.png:
            wanted.png.mkdir(parents=True, exist_ok=True)
            figure.savefig(wanted.png / f"{picture['name']}.png", dpi=110, facecolor="white")
            dark = wanted.png / f"{picture['name']}_dark.png"
            figure.savefig(dark, dpi=110, facecolor="#0d1117")
        plt.close(figure)


if __name__ == "__main__":
    main()
