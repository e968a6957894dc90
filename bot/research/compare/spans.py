"""The spans of a comparison: calm, rollover, known releases, crises found from the data, and whatever a caller adds.

Crises are the same for every arm and come from no arm's detector: a minute belongs to one where the spread of any
symbol, its mean over the minute, is `CRISIS_RATIO` times what the calibration days had in the same quarter of an hour
of New York, and of all their minutes together, in the median. Minutes up to `CRISIS_GAP_MINUTES` apart are one crisis;
it lasts `CRISIS_AFTER_MINUTES` beyond its last minute. Numbers were stated before any arm was run; the ratio so that
a week of two pairs has about ten crises, and fewer say nothing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from bot.market.calendar import bin_of
from bot.research.compare.minutes import DAY_NS, MINUTE_NS, Minutes
from bot.research.metrics.arm_run import Span
from bot.research.metrics.detection import with_peaks

CRISIS_RATIO = 2.0
CRISIS_GAP_MINUTES = 5
CRISIS_AFTER_MINUTES = 5
CALM, ROLLOVER, CRISIS = "calm", "rollover", "crisis"
NOT_EVENTS = (CALM, ROLLOVER)
"""Kinds of spans that a crisis detector need not find."""
_ROLLOVER = (time(16, 45), time(18, 15))
_NEW_YORK = ZoneInfo("America/New_York")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Release:
    """A scheduled release. Units: UTC ns; minutes before and after that belong to it."""

    name: str
    time_ns: int
    before_minutes: float = 5.0
    after_minutes: float = 30.0

    @property
    def span(self) -> Span:
        """The time that belongs to it."""
        before_ns, after_ns = (round(m * MINUTE_NS) for m in (self.before_minutes, self.after_minutes))
        return Span(self.time_ns - before_ns, self.time_ns + after_ns, self.name)


def spans_of(
    minutes: Minutes,
    releases: Iterable[Release],
    calibration_until_ns: int,
    from_ns: int,
    until_ns: int,
    more: Sequence[Span] = (),
) -> tuple[Span, ...]:
    """Return the spans in [from_ns, until_ns), a kind in the order of time; calm is what none of the others is.

    Args: `calibration_until_ns` ends the days that say what a usual spread is; `more` other spans, such as shocks.
    """
    found = [
        *rollovers(from_ns, until_ns),
        *sorted((each.span for each in releases), key=lambda span: span.from_ns),
        *crises(minutes, calibration_until_ns, from_ns, until_ns),
        *more,
    ]
    inside = [span for span in found if span.from_ns < until_ns and span.to_ns > from_ns]
    with np.errstate(invalid="ignore"):
        spreads = np.where(np.isfinite(minutes.spreads_bps), minutes.spreads_bps, -np.inf)
    rows, symbol = np.arange(len(spreads)), spreads.argmax(axis=1)
    widest = spreads[rows, symbol]
    # Of what is known of minutes alone the end: at the begin of a minute nothing of it has happened.
    at_ns = minutes.times_ns + MINUTE_NS if minutes.widest_ns is None else minutes.widest_ns[rows, symbol]
    peaked = with_peaks(inside, minutes.times_ns, np.where(widest >= 0, widest, np.nan), at_ns)
    # Who knows the peak better, as a script of shocks does, is believed.
    told = [span if span.peak_ns is not None else peak for span, peak in zip(inside, peaked, strict=True)]
    return (*_calm(inside, from_ns, until_ns), *told)


def rollovers(from_ns: int, until_ns: int) -> list[Span]:
    """Return 16:45 to 18:15 of New York of every day. Source: models 11."""
    found = []
    for day in range(from_ns // DAY_NS - 1, until_ns // DAY_NS + 1):
        date = (_EPOCH + timedelta(days=day)).date()
        edges = [round(datetime.combine(date, clock, _NEW_YORK).timestamp()) * 1_000_000_000 for clock in _ROLLOVER]
        if edges[1] > from_ns and edges[0] < until_ns:
            found.append(Span(edges[0], edges[1], ROLLOVER))
    return found


def crises(minutes: Minutes, calibration_until_ns: int, from_ns: int, until_ns: int) -> list[Span]:
    """Return the crises in [from_ns, until_ns) by the spread alone; none where calibration shows no spread."""
    times_ns = minutes.times_ns
    quarters, quarter_of_minute = np.unique(times_ns // (15 * MINUTE_NS), return_inverse=True)
    bin_of_minute = np.array([bin_of(int(q) * 15 * MINUTE_NS)[0] for q in quarters])[quarter_of_minute]
    is_taught = times_ns < calibration_until_ns
    is_crisis = np.zeros(len(times_ns), np.bool_)
    for spread in minutes.spreads_bps.T:
        is_known = is_taught & np.isfinite(spread)
        if not is_known.any():
            continue
        overall = float(np.median(spread[is_known]))
        usual = np.full(96, overall)
        for b in np.unique(bin_of_minute[is_known]):
            usual[b] = max(float(np.median(spread[is_known & (bin_of_minute == b)])), overall)
        with np.errstate(invalid="ignore"):
            is_crisis |= spread >= CRISIS_RATIO * np.maximum(usual[bin_of_minute], 1e-12)
    is_crisis &= (times_ns >= from_ns) & (times_ns < until_ns)
    found: list[Span] = []
    for at_ns in times_ns[is_crisis]:
        end_ns = int(at_ns) + (1 + CRISIS_AFTER_MINUTES) * MINUTE_NS
        if found and at_ns <= found[-1].to_ns + (CRISIS_GAP_MINUTES - CRISIS_AFTER_MINUTES) * MINUTE_NS:
            found[-1] = Span(found[-1].from_ns, end_ns, CRISIS)
        else:
            found.append(Span(int(at_ns), end_ns, CRISIS))
    return found


def _calm(others: Sequence[Span], from_ns: int, until_ns: int) -> list[Span]:
    found, at_ns = [], from_ns
    for span in sorted(others, key=lambda span: span.from_ns):
        if span.from_ns > at_ns:
            found.append(Span(at_ns, span.from_ns, CALM))
        at_ns = max(at_ns, span.to_ns)
    if at_ns < until_ns:
        found.append(Span(at_ns, until_ns, CALM))
    return found
