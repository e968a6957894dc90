"""`write_report`: one HTML page with everything in it, and a PNG of each figure in a folder beside it.

How it works: all is drawn first, then the folder and the page are written under other names and renamed, the page last;
a page that is there is whole. `OUT.html` has its pictures in `OUT_files`, numbered in the order of the page.
"""

import os
import re
import shutil
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

from bot.research.backtest.result import Result
from bot.research.compare.comparison import Comparison
from bot.research.metrics.arm_run import TradingTime
from bot.research.report import plotly_drawing, png_drawing, sections
from bot.research.report.comparison_figures import other_figures, primary_figures
from bot.research.report.depth_map import DepthMap
from bot.research.report.figure import Figure, Shade
from bot.research.report.kept_results import kept_results
from bot.research.report.markup import Html, joined, tag
from bot.research.report.run_figures import figures_of_runs
from bot.research.report.style import CSS, POLICY, SCRIPT
from bot.research.report.words import slug

_OURS = re.compile(r"\d\d-[a-z0-9-]+\.png")


def check_libraries() -> None:
    """Find out whether a report could be drawn, before hours are spent on what it would say.

    Raises: ImportError when a library is not installed: `microlev[research]` has them.
    """
    plotly_drawing.check_library()
    png_drawing.check_library()


def write_report(
    path: Path,
    comparison: Comparison | None,
    results: Sequence[Result],
    depth: Sequence[DepthMap] = (),
    trading_time: TradingTime | None = None,
    *,
    force: bool = False,
) -> list[Path]:
    """Write the page and its pictures, whole or not at all; return what was written, the page first.

    Args: `results` are the runs to draw, at most 16 of them; when there are none, those that a `comparison` has kept in
        files, of its first signal and matching. `depth` are drawn as heat maps; `trading_time` of the runs, which
        a comparison has in its figures already. `force` replaces a page that is there;
        other files in its folder are left alone.
    Raises: ValueError, one line, when there is nothing to report, or when what is to be written is there.
    """
    if comparison is not None and not len(results):
        results = kept_results(comparison)
    folder = path.with_name(f"{path.stem}_files")
    if not force:
        for taken in (path, folder):
            if taken.exists():
                raise ValueError(f"{taken} is there already; choose another name, or replace it with --force")
    pictures: dict[str, bytes] = {}
    parts: list[Html] = []
    for place, figure in enumerate(_figures(comparison, results, depth), 1):
        parts.append(sections.figure_section(figure, place, plotly_drawing.figure_json(figure)))
        pictures[f"{place:02d}-{slug(figure.name)}.png"] = png_drawing.png(figure)
    text = page(comparison, results, parts, folder.name, trading_time)
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    waiting = path.with_name(f".{folder.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        waiting.mkdir()
        for name, picture in pictures.items():
            (waiting / name).write_bytes(picture)
        with beside.open("w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        _move(waiting, folder, set(pictures))
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
        shutil.rmtree(waiting, ignore_errors=True)
    return [path, *(folder / name for name in pictures)]


def _move(waiting: Path, folder: Path, names: set[str]) -> None:
    """Put pictures in place; of a report that is replaced, only what a report has written goes."""
    if not folder.exists():
        waiting.replace(folder)
        return
    for name in names:
        (waiting / name).replace(folder / name)
    for old in folder.iterdir():
        if _OURS.fullmatch(old.name) and old.name not in names:
            old.unlink()


def page(
    comparison: Comparison | None,
    results: Sequence[Result],
    figures: Sequence[Html],
    folder: str,
    trading_time: TradingTime | None = None,
) -> str:
    """Return the page with figures that are markup already. `folder` is where their pictures are."""
    symbols, *_ = sections.scope(comparison, results)
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("meta", name_="viewport", content="width=device-width,initial-scale=1"),
        tag("title", f"microlev: {', '.join(symbols)}"),
        tag("style", Html(CSS)),
    )
    without = f"The figures need JavaScript; the folder {folder} beside this page has a picture of each."
    main = [sections.verdicts(comparison)] if comparison is not None else []
    main += [
        sections.all_tables(comparison, results, trading_time),
        tag("h2", "Figures"),
        tag("noscript", tag("p", without)),
    ]
    promise = (
        "A backtest promises nothing: fills, latency and our own impact are modelled, the past does not come back, and "
        "leverage multiplies losses as well as gains. Nothing here is advice."
    )
    body = tag(
        "body",
        tag("header", sections.heading(comparison, results)),
        tag("main", *main, *figures),
        tag("footer", tag("p", promise), tag("p", f"A PNG of each figure is in {folder}.")),
        tag("script", Html(plotly_drawing.library())),
        tag("script", Html(SCRIPT)),
    )
    return joined(Html("<!doctype html>\n"), tag("html", head, body, lang="en")) + "\n"


def _figures(comparison: Comparison | None, results: Sequence[Result], depth: Sequence[DepthMap]) -> Iterator[Figure]:
    shades: list[Shade] = []
    main, from_ns = "", 0
    if comparison is not None:
        from_ns = comparison.calibration_until_ns
        shades = [Shade(span.from_ns, span.to_ns, span.kind) for span in comparison.spans if span.kind != "calm"]
        judged = comparison.judged[0].verdict.arm if comparison.judged else ""
        main = next((each.name for each in results if judged and judged in each.name), "")
        main = next((each.name for each in results if each.name == judged), main)
    runs = figures_of_runs(results, depth, shades, main, from_ns)
    return runs if comparison is None else chain(primary_figures(comparison), runs, other_figures(comparison))
