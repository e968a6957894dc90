"""When a symbol trades: its weekly schedule and its holidays, on the clocks of their own time zones.

How it works: whatever a schedule says is said of a wall clock, and between two of the clock's *cuts* (midnight, the
start or end of an interval or holiday, a change of the zone's offset) nothing can change. So the state of a moment is
computed once and kept until the next cut at which it differs; asking again before that costs one comparison.

What malformed hours mean, decided here: an interval that ends before it starts runs over the end of the week; one that
runs past the end goes on at its beginning; one without length opens nothing; where intervals overlap, the symbol is
open. A holiday whose end is not after its start lasts until midnight. A schedule that opens nothing, or whose time zone
nobody knows, is unknown: the venue's own word is then the only one. A holiday in an unknown time zone, or on a day no
calendar has, is left out.

What the clocks show is read from the time zone database of the system, as `account/loss.py` does for the trading day.
Seconds that a change of the clock repeats are read twice, and those that it leaves out do not occur.
"""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from bot.market.symbols import DAY_S, Holiday, SymbolSpec

State = Literal["open", "closed", "holiday"]

_SECOND = 1_000_000_000
_WEEK_S = 7 * DAY_S
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_DAY = date(1970, 1, 1)
_FIRST_SUNDAY_S = 3 * DAY_S  # 1970-01-04; the schedule's week begins on Sunday
_HORIZON_S = 15 * DAY_S  # how far ahead changes are looked for: two weekends, and a holiday between them


@dataclass(slots=True)
class _Clock:
    """The wall clock of one time zone and what is said of it. Units: seconds; `t` since the epoch, UTC."""

    zone: ZoneInfo
    intervals: tuple[tuple[int, int], ...] = ()
    holidays: list[Holiday] = field(default_factory=list)
    cuts: tuple[int, ...] = (0,)  # seconds since midnight

    def wall(self, t: int) -> int:
        """Return the time that the clock shows, in seconds since 1970-01-01 00:00 of its own."""
        offset = (_EPOCH + timedelta(seconds=t)).astimezone(self.zone).utcoffset()
        assert offset is not None
        return t + round(offset.total_seconds())

    def is_open(self, t: int) -> bool:
        second = (self.wall(t) - _FIRST_SUNDAY_S) % _WEEK_S
        return any(start <= second < end for start, end in self.intervals)

    def is_holiday(self, t: int) -> bool:
        day, second = divmod(self.wall(t), DAY_S)
        return any(_falls_on(h, day) and h.start_s <= second < _end_s(h) for h in self.holidays)

    def next_cut(self, t: int) -> int:
        """Return a moment after `t` before which nothing that is said of this clock changes."""
        wall = self.wall(t)
        second = wall % DAY_S
        ahead = next((cut for cut in self.cuts if cut > second), DAY_S) - second
        if self.wall(t + ahead - 1) - wall == ahead - 1:
            return t + ahead
        # The clock is changed before the cut: the moment of the change is one too.
        same, other = t, t + ahead - 1
        while other - same > 1:
            middle = (same + other) // 2
            if self.wall(middle) - wall == middle - t:
                same = middle
            else:
                other = middle
        return other


class SymbolHours:
    """The trading hours of one symbol. Times are UTC nanoseconds, and need not come in order."""

    def __init__(self, spec: SymbolSpec) -> None:
        self._clocks: dict[str, _Clock] = {}
        self._schedule = self._clock(spec.schedule_time_zone)
        intervals = _pieces(spec.schedule)
        if self._schedule is not None:
            self._schedule.intervals = intervals
        if self._schedule is None or not intervals:
            self._schedule = None
        for holiday in spec.holidays:
            clock = self._clock(holiday.time_zone or spec.schedule_time_zone)
            if clock is not None and _exists(holiday):
                clock.holidays.append(holiday)
        for clock in self._clocks.values():
            bounds = {second % DAY_S for interval in clock.intervals for second in interval}
            bounds |= {second for h in clock.holidays for second in (h.start_s, _end_s(h)) if 0 < second < DAY_S}
            clock.cuts = tuple(sorted(bounds | {0}))
        self._from_s = self._until_s = 0
        self._state: State | None = None

    def is_open(self, now_ns: int) -> bool | None:
        """Return whether the symbol trades by its hours; None when they are unknown."""
        state = self.state(now_ns)
        return None if state is None else state == "open"

    def state(self, now_ns: int) -> State | None:
        """Return open, closed (by the schedule) or holiday; None when the hours are unknown."""
        self._look(now_ns // _SECOND)
        return self._state

    def next_change_ns(self, now_ns: int) -> int | None:
        """Return when `state` changes next; None when it does not within fifteen days."""
        self._look(now_ns // _SECOND)
        change = self._next_change_s(self._from_s, now_ns // _SECOND + _HORIZON_S)
        return None if change is None else change * _SECOND

    def next_opening_ns(self, now_ns: int) -> int | None:
        """Return when the symbol opens next after a moment at which it is not open; None if not within fifteen days."""
        start = now_ns // _SECOND
        at: int | None = start
        while at is not None:
            at = self._next_change_s(at, start + _HORIZON_S)
            if at is not None and self._state_at(at) == "open":
                return at * _SECOND
        return None

    def valid_until_ns(self, now_ns: int) -> int:
        """Return until when `state` need not be asked again."""
        self._look(now_ns // _SECOND)
        return self._until_s * _SECOND

    def _clock(self, name: str) -> _Clock | None:
        if name not in self._clocks:
            try:
                self._clocks[name] = _Clock(ZoneInfo(name))
            except (KeyError, ValueError, OSError):  # not in the zone database, or not a name at all
                return None
        return self._clocks[name]

    def _look(self, now_s: int) -> None:
        if self._from_s <= now_s < self._until_s:
            return
        self._state = self._state_at(now_s)
        self._from_s = now_s
        self._until_s = self._next_change_s(now_s, now_s + _HORIZON_S) or now_s + _HORIZON_S

    def _state_at(self, t: int) -> State | None:
        if any(clock.is_holiday(t) for clock in self._clocks.values() if clock.holidays):
            return "holiday"
        if self._schedule is None:
            return None
        return "open" if self._schedule.is_open(t) else "closed"

    def _next_change_s(self, t: int, limit: int) -> int | None:
        state = self._state_at(t)
        while self._clocks and t < limit:
            t = min(clock.next_cut(t) for clock in self._clocks.values())
            if self._state_at(t) != state:
                return t
        return None


def _pieces(schedule: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
    """Return a schedule as (start, end) within one week, 0 <= start < end <= a week; they may overlap."""
    pieces = []
    for start, end in schedule:
        length = end - start if end >= start else (end - start) % _WEEK_S
        if length >= _WEEK_S:
            return ((0, _WEEK_S),)
        start %= _WEEK_S
        end = start + length
        pieces += [(start, min(end, _WEEK_S)), (0, end - _WEEK_S)]
    return tuple((start, end) for start, end in pieces if start < end)


def _end_s(holiday: Holiday) -> int:
    return holiday.end_s if holiday.end_s > holiday.start_s else DAY_S


def _falls_on(holiday: Holiday, day: int) -> bool:
    if not holiday.recurring:
        return holiday.day == day
    first, today = _date(holiday.day), _date(day)
    return (first.month, first.day) == (today.month, today.day)


def _date(day: int) -> date:
    return _FIRST_DAY + timedelta(days=day)


def _exists(holiday: Holiday) -> bool:
    try:
        _date(holiday.day)
    except OverflowError:
        return False
    return True
