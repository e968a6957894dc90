"""A comparison for a terminal, at most 100 characters wide, and as one JSON object for machines."""

import json
import textwrap
from collections.abc import Sequence
from typing import Any

from bot import __version__
from bot.research.compare.comparison import Comparison, Difference
from bot.research.metrics.plain import plain
from bot.research.report.comparison_figures import groups_of
from bot.research.report.sections import semi_synthetic
from bot.research.report.span_table import inside_lines
from bot.research.report.tables import difference_cell, figure_of, of
from bot.research.report.words import UNKNOWN, difference_words, excludes_zero, moment, number, words_of

WIDTH = 100
FORMAT = 1
_COLUMNS = (
    ("net_return_frac", "return %"),
    ("net_sharpe", "Sharpe"),
    ("realised_volatility_frac", "vol. %"),
    ("max_drawdown_frac", "drawdn. %"),
    ("shortfall_bps_per_day", "cost/day"),
    ("exit_cost_p99_bps", "exit p99"),
    ("mean_leverage", "leverage"),
)


def document(comparison: Comparison) -> dict[str, Any]:
    """Return a comparison as one object for JSON, with null for what is unknown."""
    return {"format": FORMAT, "software": f"microlev {__version__}", **plain(comparison)}


def json_text(comparison: Comparison) -> str:
    """Return a comparison as JSON, files by their names."""
    return json.dumps(document(comparison), allow_nan=False, indent=1, default=lambda path: path.name) + "\n"


def text(comparison: Comparison) -> str:
    """Return a comparison for a terminal: what was run, the verdict, the arms, the differences that tell."""
    primary = words_of(comparison.primary)
    lines = [
        f"{', '.join(comparison.symbols)}, {moment(comparison.from_ns)} to {moment(comparison.until_ns)}",
        f"primary figure, named beforehand: {primary.name}; {comparison.tries:,} variants tried, all told",
    ]
    if made_up := semi_synthetic(comparison, ()):
        lines.append(f"SEMI-SYNTHETIC depth: {', '.join(made_up)}; what depends on it says nothing of real depth")
    lines += [f"note: {remark}" for remark in comparison.remarks]
    for judged in comparison.judged:
        group = (judged.signal, judged.matching)
        lines += ["", f"{judged.verdict.outcome.upper()}{of(group)}: {judged.verdict.sentence}"]
        lines += [f"  ({part.part}) {part.claim}: {part.sentence}" for part in judged.verdict.parts]
    found = [piece for line in lines for piece in _wrapped(line)]
    for group in groups_of(comparison):
        found += ["", *_wrapped(f"arms{of(group)}"), *_arms(comparison, group)]
        found += ["", *_differences(comparison, group)]
        found += (piece for line in inside_lines(comparison, group) for piece in _wrapped(line))
    found += ["", "exit p99 in bps of notional, cost/day in bps of equity; a backtest promises nothing"]
    return "\n".join(found) + "\n"


def _arms(comparison: Comparison, group: tuple[str, str]) -> list[str]:
    rows = [["arm", *(title for _, title in _COLUMNS)]]
    for each in comparison.arms:
        if (each.signal, each.matching) == group:
            figures = ((name, figure_of(each.summary, name, each.intervals)) for name, _ in _COLUMNS)
            rows.append([each.arm, *(number(found, words_of(name)) for name, found in figures)])
    return _columns(rows, 30)


def _differences(comparison: Comparison, group: tuple[str, str]) -> list[str]:
    every = [each for each in comparison.differences if (each.signal, each.matching) == group]
    shown = [each for each in every if each.figure == comparison.primary or excludes_zero(each.interval)]
    if not shown:
        return [f"{len(every)} differences, none of them of the primary figure, and none told from chance"]
    names = list(dict.fromkeys((each.figure, each.is_reduction) for each in shown))
    rows: list[list[str]] = []
    heads: dict[int, str] = {}
    for name in sorted(names, key=lambda name: name[0] != comparison.primary):
        words = difference_words(name[0], is_reduction=name[1])
        heads[len(rows)] = f"{words.name} ({words.unit})" if words.unit else words.name
        rows += [_difference(each) for each in shown if (each.figure, each.is_reduction) == name]
    lines = []
    for place, line in enumerate(_columns(rows, 56)):
        lines += [heads[place]] if place in heads else []
        lines.append(f"  {line}")
    if left := len(every) - len(shown):
        lines.append(f"and {left} others, none of them told from chance")
    return lines


def _difference(difference: Difference) -> list[str]:
    cell = difference_cell(difference)
    known = cell.detail if difference.interval.is_known else UNKNOWN
    # The mark keeps its place, so that the numbers stand below each other.
    return [f"{difference.arm} - {difference.against}", cell.text if cell.is_telling else f"{cell.text}  ", known]


def _columns(rows: Sequence[Sequence[str]], *most: int) -> list[str]:
    """Return rows as columns, texts to the left and the others to the right; the first ones are cut at `most`."""
    cut = [[_cut(cell, most[i]) if i < len(most) else cell for i, cell in enumerate(row)] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cut, strict=True)]
    lines = []
    for row in cut:
        cells = [
            cell.ljust(width) if i < len(most) else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append(_cut("  ".join(cells).rstrip(), WIDTH - 2))
    return lines


def _cut(cell: str, most: int) -> str:
    return cell if len(cell) <= most else f"{cell[: most - 1]}…"


def _wrapped(line: str) -> list[str]:
    return textwrap.wrap(line, WIDTH, subsequent_indent="    " if line.startswith(" ") else "") or [""]
