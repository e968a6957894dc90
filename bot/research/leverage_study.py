"""What leverage did when liquidity vanished, from the records of a run over ticks.

How it works: spreads come from the recording itself and are measured against what the run held for usual a moment
before, so that the detector is not asked about its own work. A spread has *opened* when it stood at so many times its
usual value for a quarter of a second; what goal and holding did is counted from the first tick of that.

Units: times UTC ns, delays seconds, leverage in equities, costs in bps of equity.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from bot.market.crisis import ENTRY, HOLD_DOWN_NS
from bot.research.fill_costs import CRISIS_CUT
from bot.research.recordings import Quotes

SECOND_NS = 1_000_000_000
DAY_NS = 86_400 * SECOND_NS
LASTING_NS = 250_000_000
OPEN, WIDE_OPEN = 3.0, 4.0
ALARMING = 5.5
"""Times the usual spread at which that alone asks for level 1: half way up the ramp from 3 to 8 of models 12."""
_NEAR_NS = 300 * SECOND_NS
_AROUND_NS = 5 * SECOND_NS
_JUDGE_NS = 100_000_000
_LEAST_SPREAD_PIPS = 0.2  # many times nothing is nothing


@dataclass(frozen=True, slots=True)
class Moment:
    """A scheduled minute. Units: `before_s`, `after_s` how far around it its effects are looked for."""

    name: str
    at_ns: int
    before_s: float = 120.0
    after_s: float = 300.0

    @property
    def window_ns(self) -> tuple[int, int]:
        """Begin and end of what belongs to it."""
        return self.at_ns - round(self.before_s * SECOND_NS), self.at_ns + round(self.after_s * SECOND_NS)


@dataclass(frozen=True, slots=True)
class Answer:
    """What happened around a moment. Missing: None where there was no such time, or nothing was held.

    `open_ns`, `wide_ns` and `alarming_ns` say when the spread opened to 3, 4 and 5.5 times the usual one, `crisis_ns`
    when the level left 0. `goal_cut_s` and `held_cut_s` count from `wide_ns`, else from `open_ns`, until half of what
    they were before was left; below 0: a crisis had begun earlier, and "before" is before that. `level_before` is the
    crisis level then; `level` the highest one reached.
    """

    moment: Moment
    greatest_ratio: float
    open_ns: int | None
    wide_ns: int | None
    alarming_ns: int | None = None
    crisis_ns: int | None = None
    goal_before: float | None = None
    goal_least: float | None = None
    goal_cut_s: float | None = None
    held_before: float | None = None
    held_least: float | None = None
    held_cut_s: float | None = None
    level_before: int = 0
    level: int = 0


@dataclass(frozen=True, slots=True)
class Crisis:
    """From level 0 to level 0. Units: `cost_bps` of what it sold; `saved_bps` what the price did to that afterwards.

    `saved_bps` and `saved_5min_bps` are the loss that what was sold would have made until the level was 0 again, and
    five minutes after it was sold, at mid; below 0: the profit that was missed.
    """

    begin_ns: int
    end_ns: int | None
    level: int
    ratio: float  # greatest spread over the usual one, within five seconds of the beginning
    scheduled: str  # the moment it belongs to; empty: none
    sold: float
    cost_bps: float
    saved_bps: float
    saved_5min_bps: float

    @property
    def is_false_alarm(self) -> bool:
        """Whether nothing was scheduled, and the spread had not opened."""
        return not self.scheduled and self.ratio < OPEN


def known_moments() -> list[Moment]:
    """Return the scheduled minutes of the recordings of 1 to 9 May 2014: releases, and 17:00 New York of each day."""
    at = [(2, 12, 30, "US payrolls"), (8, 11, 45, "ECB decision"), (8, 12, 30, "ECB press conference")]
    found = [Moment(name, _may_ns(day, hour, minute), 120, 1500) for day, hour, minute, name in at]
    for day in (1, 5, 6, 7, 8):
        found.append(Moment(f"rollover of {day} May", _may_ns(day, 21, 0), 300, 1200))
    for day in (2, 9):
        found.append(Moment(f"end of the week, {day} May", _may_ns(day, 21, 0), 900, 0))
    found.append(Moment("beginning of the week, 4 May", _may_ns(4, 21, 0), 0, 1200))
    return sorted(found, key=lambda moment: moment.at_ns)


def _may_ns(day: int, hour: int, minute: int) -> int:
    return round(datetime(2014, 5, day, hour, minute, tzinfo=UTC).timestamp()) * SECOND_NS


def spread_ratio(quotes: Quotes, seconds: np.ndarray, pip: float) -> np.ndarray:
    """Return each quote's spread over the usual one of the last record before it, (N,); NaN before there is one.

    Args: `seconds` (M,) of `RECORD`, of one symbol.
    """
    spread_bps = np.maximum(quotes.spread_bps, 1e4 * _LEAST_SPREAD_PIPS * pip / quotes.mid)
    before = np.searchsorted(seconds["time_ns"], quotes.time_ns, side="left") - 1
    usual = np.where(before >= 0, seconds["usual_spread_bps"][np.maximum(before, 0)], np.nan)
    return np.asarray(spread_bps / usual)


def first_lasting(time_ns: np.ndarray, is_so: np.ndarray, window_ns: tuple[int, int]) -> int | None:
    """Return when something began that was so for `LASTING_NS` on end, within a window; None when nothing was.

    Shapes: both (N,). A state lasts until the first time at which it is over; the last one known does not count.
    """
    edges = np.diff(is_so.astype(np.int8), prepend=0)
    begins, ends = time_ns[edges == 1], time_ns[edges == -1]
    begins = begins[: len(ends)]
    found = begins[(ends - begins >= LASTING_NS) & (begins >= window_ns[0]) & (begins < window_ns[1])]
    return int(found[0]) if len(found) else None


def answer(moment: Moment, records: np.ndarray, time_ns: np.ndarray, ratio: np.ndarray) -> Answer | None:
    """Return what happened around a moment; None where the recording has no quotes then.

    Args: `records` (N,) of `RECORD`, seconds and moves of one symbol in the order of time; `ratio` (M,) as of
        `spread_ratio`, at `time_ns`.
    """
    begin_ns, end_ns = moment.window_ns
    inside = (time_ns >= begin_ns) & (time_ns < end_ns)
    if not np.isfinite(ratio[inside]).any():
        return None
    greatest = float(np.nanmax(ratio[inside]))
    opened = (first_lasting(time_ns, ratio >= times, (begin_ns, end_ns)) for times in (OPEN, WIDE_OPEN, ALARMING))
    open_ns, wide_ns, alarming_ns = opened
    since_ns = wide_ns if wide_ns is not None else open_ns
    records = records[records["time_ns"] < end_ns]
    entries = records["time_ns"][np.diff((records["level"] > 0).astype(np.int8), prepend=0) == 1]
    entries = entries[entries >= begin_ns]
    crisis_ns = int(entries[0]) if len(entries) else None
    from_ns = moment.at_ns if since_ns is None else since_ns
    if crisis_ns is not None:
        from_ns = min(from_ns, crisis_ns)
    before, after = records[records["time_ns"] < from_ns], records[records["time_ns"] >= from_ns]
    if not len(before) or not len(after):
        return Answer(moment, greatest, open_ns, wide_ns, alarming_ns, crisis_ns)
    last = before[-1]
    goal, held = np.abs(after["goal"]), np.abs(after["held"])
    return Answer(
        moment, greatest, open_ns, wide_ns, alarming_ns, crisis_ns,
        goal_before=abs(float(last["goal"])),
        goal_least=float(np.nanmin(goal)),
        goal_cut_s=None if since_ns is None else _halved_s(after["time_ns"], goal, abs(last["goal"]), since_ns),
        held_before=abs(float(last["held"])),
        held_least=float(held.min()),
        held_cut_s=None if since_ns is None else _halved_s(after["time_ns"], held, abs(last["held"]), since_ns),
        level_before=int(last["level"]),
        level=int(after["level"].max()),
    )  # fmt: skip


def crises(
    records: np.ndarray, fills: np.ndarray, time_ns: np.ndarray, ratio: np.ndarray, moments: Sequence[Moment]
) -> list[Crisis]:
    """Return every crisis of a run. Arguments as of `answer`; `fills` (F,) of `FILL`, of the same symbol."""
    found = []
    level = records["level"]
    edges = np.flatnonzero(np.diff((level > 0).astype(np.int8), prepend=0))
    for i in range(0, len(edges), 2):
        begin, end = edges[i], edges[i + 1] if i + 1 < len(edges) else len(records) - 1
        begin_ns, end_ns = int(records["time_ns"][begin]), int(records["time_ns"][end])
        near = np.abs(time_ns - begin_ns) <= _AROUND_NS
        cuts = fills[(fills["time_ns"] >= begin_ns) & (fills["time_ns"] <= end_ns) & (fills["tag"] == CRISIS_CUT)]
        at_end = float(records["mid"][end])
        sold = cuts["held_before"] - cuts["held_after"]
        later = records["mid"][np.minimum(_after(records, cuts["time_ns"] + 300 * SECOND_NS), len(records) - 1)]
        known = ratio[near][np.isfinite(ratio[near])]
        found.append(
            Crisis(
                begin_ns,
                end_ns if i + 1 < len(edges) else None,
                int(level[begin:end].max(initial=0)),
                float(known.max(initial=0.0)),
                next((m.name for m in moments if abs(m.at_ns - begin_ns) <= _NEAR_NS), ""),
                float(sold.sum()),
                float(cuts["cost_bps"].sum()),
                float((1e4 * sold * (cuts["mid"] - at_end) / cuts["mid"]).sum()),
                float((1e4 * sold * (cuts["mid"] - later) / cuts["mid"]).sum()),
            )
        )
    return found


def hold_down_breaches(records: np.ndarray) -> list[str]:
    """Return what is wrong with the falls of the level: too early, too far, or while the score was still high.

    Args: `records` (N,) of `RECORD` of one symbol, in which every change of the level is.
    """
    level = records["level"]
    found, since_ns = [], None
    for i in (np.flatnonzero(np.diff(level)) + 1).tolist():
        was, now, at_ns = int(level[i - 1]), int(level[i]), int(records["time_ns"][i])
        if now < was:
            if since_ns is not None and at_ns - since_ns < HOLD_DOWN_NS[was]:
                found.append(f"{at_ns}: level {was} fell after {(at_ns - since_ns) / SECOND_NS:.1f} s")
            if now != was - 1:
                found.append(f"{at_ns}: level {was} fell to {now}")
            if records["score"][i] >= 0.5 * ENTRY[was]:
                found.append(f"{at_ns}: level {was} fell at a score of {records['score'][i]:.2f}")
            ago_ns = at_ns - records["time_ns"][:i]  # a score may be as old as the clock that judges is slow
            if (records["score"][:i][ago_ns < HOLD_DOWN_NS[was] - _JUDGE_NS] >= ENTRY[was]).any():
                found.append(f"{at_ns}: level {was} was asked for within its hold-down")
        since_ns = at_ns
    return found


def joined(seconds: np.ndarray, moves: np.ndarray, symbol: int = 0) -> np.ndarray:
    """Return seconds and moves of one symbol in the order of time, each decision once."""
    records = np.concatenate([seconds, moves])
    records = records[records["symbol"] == symbol]
    records = records[np.argsort(records["time_ns"], kind="stable")]
    is_last = np.append(np.diff(records["time_ns"]) > 0, True) if len(records) else np.empty(0, np.bool_)
    return np.asarray(records[is_last])


def trading_days(seconds: np.ndarray) -> list[int]:
    """Return the days since 1970-01-01, UTC, that a run has any records of an open market of."""
    days = np.unique(seconds["time_ns"] // DAY_NS)
    return [int(day) for day in days if (day + 4) % 7 != 6]  # day 0 was a Thursday; Saturdays are closed


def _halved_s(time_ns: np.ndarray, size: np.ndarray, before: float, since_ns: int) -> float | None:
    """Return after how many seconds half of what was there before was left; None: never, or there was nothing."""
    if not before > 0:
        return None
    halved = np.flatnonzero(size <= 0.5 * before)
    return float(time_ns[halved[0]] - since_ns) / SECOND_NS if len(halved) else None


def _after(records: np.ndarray, time_ns: np.ndarray) -> np.ndarray:
    return np.searchsorted(records["time_ns"], time_ns, side="left")
