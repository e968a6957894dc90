"""What the composite arm gains and loses against its rivals in calm time, at rollover, in a release, a crisis, a shock.

How it works: bars of five minutes that touch a span count for its kind, those that touch none are calm. Each span is
one draw, whose bars are drawn together; in calm time, an hour. Every span is a window as well. Spans shorter than a
bar, as shocks are, are windows only. What moved while a market was closed is in no kind. What one payrolls minute says
of the next is unknown, and is called so.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from bot.research.compare.arms import COMPOSITE
from bot.research.compare.comparison import InSpan
from bot.research.compare.judging import RIVALS, Judging, Seen
from bot.research.compare.spans import CALM
from bot.research.metrics.arm_run import SECOND_NS, Span
from bot.research.metrics.bar_figures import BAR_FIGURES
from bot.research.metrics.bars import BAR_S
from bot.research.metrics.interval import (
    Comparison,
    Interval,
    paired_bar_interval,
    paired_group_interval,
    paired_window_interval,
)
from bot.research.metrics.windows import WINDOW_FIGURES

EVERY_SHOCK = "every shock"
OF_BARS = (
    ("net_return_frac", False), ("shortfall_bps_per_day", False), ("mean_leverage", False),
    ("exit_cost_of_equity_p99_bps", True),
)  # fmt: skip
OF_WINDOWS = (("mean_loss_frac", False), ("mean_drawdown_frac", True))
"""Figures, and whether they are told as the share by which ours is lower."""
_HOW: Mapping[bool, Comparison] = {False: "difference", True: "reduction"}
_BAR_NS = round(BAR_S * SECOND_NS)


def in_spans(arms: Mapping[str, Seen], signal: str, matching: str, judging: Judging) -> list[InSpan]:
    """Return the composite arm against each of its rivals, by kind of span and figure."""
    ours = arms.get(COMPOSITE)
    if ours is None:
        return []
    found = []
    for kind, kinds in kinds_of(judging.spans, judging.shocks).items():
        groups = bars_in(ours.bars.rows["time_ns"], judging.spans, kinds)
        windows = windows_among(ours.windows, kinds)
        for against in (rival for rival in RIVALS if rival in arms and len(windows)):
            theirs = arms[against]
            told = (COMPOSITE, against, signal, matching, kind, len(windows))
            found += [InSpan(*told, *each) for each in _of_bars(ours, theirs, kind, groups, judging)]
            others = windows_among(theirs.windows, kinds)
            found += [InSpan(*told, *each) for each in _of_windows(windows, others, judging)]
    return found


_Told = tuple[str, bool, float, float, Interval]


def _of_bars(ours: Seen, theirs: Seen, kind: str, groups: Sequence[np.ndarray], judging: Judging) -> Iterator[_Told]:
    if not groups:
        return
    our_bars, their_bars = (arm.bars.without_closed_hours() for arm in (ours, theirs))
    among = np.concatenate(groups)
    for name, is_reduction in OF_BARS:
        figure, how = BAR_FIGURES[name], _HOW[is_reduction]
        # Calm is one long time, in which an hour is a draw; of anything else, each time that it happened.
        if kind == CALM:
            interval = paired_bar_interval(figure, our_bars, their_bars, how, judging.sampling, among)
        else:
            interval = paired_group_interval(figure, our_bars, their_bars, groups, how, judging.sampling)
        yield name, is_reduction, figure(our_bars, among), figure(their_bars, among), interval


def _of_windows(ours: np.ndarray, theirs: np.ndarray, judging: Judging) -> Iterator[_Told]:
    every = np.arange(len(ours))
    for name, is_reduction in OF_WINDOWS:
        figure, how = WINDOW_FIGURES[name], _HOW[is_reduction]
        interval = paired_window_interval(figure, ours, theirs, how, judging.sampling)
        yield name, is_reduction, figure(ours, every), figure(theirs, every), interval


def kinds_of(spans: Iterable[Span], shocks: Iterable[Span]) -> dict[str, tuple[str, ...]]:
    """Return which kinds of spans go by which name: each by its own, and all of the script's shocks together."""
    found: dict[str, tuple[str, ...]] = {kind: (kind,) for kind in dict.fromkeys(span.kind for span in spans)}
    scripted = tuple(dict.fromkeys(span.kind for span in shocks))
    return {**found, EVERY_SHOCK: scripted} if len(scripted) > 1 else found


def bars_in(time_ns: np.ndarray, spans: Sequence[Span], kinds: Sequence[str]) -> list[np.ndarray]:
    """Return which bars count for spans of some kinds, those of each span; none where a span is shorter than a bar.

    A bar that touches two of them is the earlier one's; calm has one group, the bars that touch nothing else.

    Args: `time_ns` (B,) a time within each bar. Returns: places, (N,) each, none of them empty.
    """
    begin_ns = time_ns // _BAR_NS * _BAR_NS
    is_calm = CALM in kinds
    chosen = [span for span in spans if (span.kind != CALM if is_calm else span.kind in kinds)]
    if not is_calm and any(span.to_ns - span.from_ns < _BAR_NS for span in chosen):
        return []
    is_free = np.ones(len(time_ns), np.bool_)
    groups = []
    for span in sorted(chosen, key=lambda span: span.from_ns):
        touched = is_free & (begin_ns < span.to_ns) & (begin_ns + _BAR_NS > span.from_ns)
        is_free &= ~touched
        groups.append(np.flatnonzero(touched))
    return [group for group in ([np.flatnonzero(is_free)] if is_calm else groups) if len(group)]


def windows_among(windows: Mapping[str, np.ndarray], kinds: Sequence[str]) -> np.ndarray:
    """Return the windows of some kinds in the order of time, (W,)."""
    found = np.concatenate([windows[kind] for kind in kinds])
    return np.asarray(found[np.argsort(found["from_ns"], kind="stable")])
