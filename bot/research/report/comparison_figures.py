"""The figures of a comparison: the primary figure of every arm, and differences of arms, with intervals."""

import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np

from bot.research.compare.comparison import Comparison, Difference
from bot.research.metrics.interval import Interval
from bot.research.report.figure import Axis, Figure, Intervals, Panel
from bot.research.report.words import Words, difference_words, excludes_zero, words_of

MOST_ROWS = 40
MOST_FIGURES = 8
"""Figures of differences that are not the primary one; all differences are in the tables."""


def groups_of(comparison: Comparison) -> list[tuple[str, str]]:
    """Return the (signal, matching) pairs in the order in which they appear."""
    pairs = [(each.signal, each.matching) for each in comparison.judged]
    pairs += [(each.signal, each.matching) for each in comparison.arms]
    pairs += [(each.signal, each.matching) for each in comparison.differences]
    return list(dict.fromkeys(pairs))


def primary_figures(comparison: Comparison) -> Iterator[Figure]:
    """Yield the primary figure of every arm, and its differences, for each signal and matching."""
    for group in groups_of(comparison):
        found = _by_arm(comparison, group)
        if found is not None:
            yield found
    yield from _of_figures(comparison, is_primary=True)


def other_figures(comparison: Comparison) -> Iterator[Figure]:
    """Yield the differences in the other figures, the first of them."""
    yield from itertools.islice(_of_figures(comparison, is_primary=False), MOST_FIGURES)


def _of_figures(comparison: Comparison, *, is_primary: bool) -> Iterator[Figure]:
    names = dict.fromkeys((each.figure, each.is_reduction) for each in comparison.differences)
    for name in names:
        if (name[0] == comparison.primary) != is_primary:
            continue
        for group in groups_of(comparison):
            rows = [each for each in comparison.differences if (each.signal, each.matching) == group]
            if rows := [each for each in rows if (each.figure, each.is_reduction) == name]:
                yield _differences(rows, group, *name, is_primary=is_primary)


def _by_arm(comparison: Comparison, group: tuple[str, str]) -> Figure | None:
    arms = [each for each in comparison.arms if (each.signal, each.matching) == group]
    known = [(each.arm, each.intervals[comparison.primary]) for each in arms if comparison.primary in each.intervals]
    if not known:
        return None
    words = words_of(comparison.primary)
    estimates = {name: interval.estimate for name, interval in known if math.isfinite(interval.estimate)}
    sentence = f"{_upper(words.name)} of each arm, with its interval; named before anything was run."
    if estimates:
        top = max(estimates, key=lambda name: estimates[name])
        sentence += f" Highest: {top}. Intervals of single arms overlap more than those of their differences."
    shown = [interval for _, interval in known]
    drawn = _intervals(words.name, words, shown, np.ones(len(shown), np.bool_))
    panel = Panel(Axis("", categories=tuple(name for name, _ in known)), (drawn,))
    title = f"{_upper(words.name)} by arm{_of(group)}"
    return Figure(f"primary-{'-'.join(group)}", title, sentence, Axis(words.name, words.unit), (panel,))


def _differences(
    rows: Sequence[Difference], group: tuple[str, str], figure: str, is_reduction: bool, *, is_primary: bool
) -> Figure:
    words: Words = difference_words(figure, is_reduction=is_reduction)
    shown = rows[:MOST_ROWS]
    telling = [f"{each.arm} against {each.against}" for each in shown if excludes_zero(each.interval)]
    what = "By how much the first arm lowers" if is_reduction else "The first arm less the second in"
    sentence = f"{what} {words_of(figure).name}, paired in time: "
    if not telling:
        sentence += "no interval leaves out 0, so none of these differences is told from chance."
    else:
        more = f" and {len(telling) - 3} more" if len(telling) > 3 else ""
        sentence += f"intervals leave out 0 for {', '.join(telling[:3])}{more}."
    intervals = [each.interval for each in shown]
    drawn = _intervals("leaves out 0", words, intervals, np.array([excludes_zero(each) for each in intervals]))
    panel = Panel(Axis("", categories=tuple(f"{each.arm}\nvs {each.against}" for each in shown)), (drawn,))
    note = f"The first {MOST_ROWS} of {len(rows)}; the table has all." if len(rows) > MOST_ROWS else ""
    first = "Primary figure" if is_primary else "Difference"
    kind = "reduction" if is_reduction else "difference"
    return Figure(
        f"{kind}-{figure}-{'-'.join(group)}", f"{first}: {words.name}{_of(group)}", sentence,
        Axis(words.name if is_reduction else f"difference in {words.name}", words.unit), (panel,), note=note,
    )  # fmt: skip


def _intervals(name: str, words: Words, shown: Sequence[Interval], is_telling: np.ndarray) -> Intervals:
    estimate = np.array([each.estimate for each in shown]) * words.times
    low, high = (np.array([getattr(each, side) for each in shown]) * words.times for side in ("low", "high"))
    return Intervals(name, estimate, low, high, is_telling)


def _of(group: tuple[str, str]) -> str:
    signal, matching = group
    return f" (signal {signal}, matched by {matching})" if matching != "as configured" else f" (signal {signal})"


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]
