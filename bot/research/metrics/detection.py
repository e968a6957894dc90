"""How well crisis levels find events that are known: how late, how often for nothing, what was held at the worst."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from bot.research.metrics.arm_run import SECOND_NS, ArmRun, Span, TradingTime


@dataclass(frozen=True, slots=True)
class Found:
    """What the detector made of one event.

    Units: seconds from its begin until the level left 0, 0 when it was above 0 already; gross leverage in equities,
        just before the event and at its peak. Missing: NaN when it was missed, or when its peak is not stated.
    """

    kind: str
    from_ns: int
    delay_s: float
    leverage_before: float
    leverage_at_peak: float


@dataclass(frozen=True, slots=True)
class Detection:
    """What the detector made of all events. Missing: NaN where there is no event to judge by.

    `detected_frac` is the share of events that were found; delays are of those; `peak_leverage_frac` is the mean of the
    leverage at the peak over that before, of events before which something was held.
    """

    events: int
    detected_frac: float
    delay_p50_s: float
    delay_worst_s: float
    mean_leverage_at_peak: float
    peak_leverage_frac: float
    false_alarms: int
    false_alarms_per_day: float
    found: tuple[Found, ...]


def with_peaks(
    spans: Sequence[Span], time_ns: np.ndarray, severity: np.ndarray, worst_ns: np.ndarray | None = None
) -> list[Span]:
    """Return spans with the time at which each was worst: the first row of the greatest severity, such as a spread.

    Args: `worst_ns` when each row was worst, where rows are stretches of time that begin at `time_ns`; the last moment
        of the span where that is after it.
    Shapes: all (T,). Missing: NaN rows do not count; a span without a known one keeps its `peak_ns`.
    """
    found = []
    for span in spans:
        begin, end = np.searchsorted(time_ns, [span.from_ns, span.to_ns])
        inside = severity[begin:end]
        if np.isfinite(inside).any():
            row = int(begin + np.nanargmax(inside))
            peak_ns = int(time_ns[row]) if worst_ns is None else min(int(worst_ns[row]), span.to_ns - 1)
            span = replace(span, peak_ns=peak_ns)
        found.append(span)
    return found


def detection_of(
    run: ArmRun,
    events: Sequence[Span],
    *,
    symbol: int | None = None,
    lead_s: float = 0.0,
    grace_s: float = 60.0,
    trading_time: TradingTime | None = None,
) -> Detection:
    """Return what crisis levels made of events. Events in which the clock has no row do not count.

    An event counts as found when the level is above 0 between its begin and `grace_s` after its end. An alarm is the
    level leaving 0; it is false when that happens in no event, `lead_s` before and `grace_s` after included.

    Args: `symbol` whose level and leverage are looked at; None: the highest level and the gross leverage of all.
    Source: models 17.5; average delay and false alarm rate as in Page (1954).
    """
    trading_time = TradingTime() if trading_time is None else trading_time
    chosen = slice(None) if symbol is None else slice(symbol, symbol + 1)
    is_on = np.asarray((run.crisis_level[:, chosen] >= 1).any(axis=1))
    leverage = np.abs(run.leverage[:, chosen]).sum(axis=1)
    found = [each for event in events if (each := _found(run.time_ns, is_on, leverage, event, grace_s)) is not None]
    alarm_ns = run.time_ns[np.diff(is_on.astype(np.int8), prepend=0) == 1]
    is_false = np.ones(len(alarm_ns), np.bool_)
    for event in events:
        begin_ns, end_ns = event.from_ns - lead_s * SECOND_NS, event.to_ns + grace_s * SECOND_NS
        is_false &= (alarm_ns < begin_ns) | (alarm_ns >= end_ns)
    days = float(run.open_s.sum()) / trading_time.day_s
    delays = np.array([each.delay_s for each in found if math.isfinite(each.delay_s)])
    peaks = [each for each in found if math.isfinite(each.leverage_at_peak)]
    left = [each.leverage_at_peak / each.leverage_before for each in peaks if each.leverage_before > 0]
    return Detection(
        len(found),
        len(delays) / len(found) if found else math.nan,
        float(np.median(delays)) if len(delays) else math.nan,
        float(delays.max()) if len(delays) else math.nan,
        float(np.mean([each.leverage_at_peak for each in peaks])) if peaks else math.nan,
        float(np.mean(left)) if left else math.nan,
        int(is_false.sum()),
        float(is_false.sum()) / days,
        tuple(found),
    )


def _found(time_ns: np.ndarray, is_on: np.ndarray, leverage: np.ndarray, event: Span, grace_s: float) -> Found | None:
    begin, end = np.searchsorted(time_ns, [event.from_ns, event.to_ns])
    if begin == end:
        return None
    until = int(np.searchsorted(time_ns, event.to_ns + round(grace_s * SECOND_NS)))
    above = np.flatnonzero(is_on[begin:until])
    before = max(int(begin) - 1, 0)
    delay_s = math.nan
    if len(above):
        was_on = begin > 0 and is_on[begin - 1] and above[0] == 0
        delay_s = 0.0 if was_on else max(float(time_ns[begin + above[0]] - event.from_ns) / SECOND_NS, 0.0)
    at_peak = math.nan
    if event.peak_ns is not None:
        at_peak = float(leverage[max(int(np.searchsorted(time_ns, event.peak_ns, side="right")) - 1, 0)])
    return Found(event.kind, event.from_ns, delay_s, float(leverage[before]), at_peak)
