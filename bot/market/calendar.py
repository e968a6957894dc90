"""Times at which liquidity is known to be thin, in New York local time, and the bins in which it is compared.

How it works: what the clock says can only change at a few wall times of a day and at the edges of supplied events.
The answer for a moment is kept until the next of those at which it differs, so that asking again costs a comparison.

All windows begin with their first moment and end before their last. New York changes its clocks at 02:00 on a Sunday,
when no window here begins or ends; its offset from UTC is a whole number of hours, so that quarters of an hour are the
same as those of UTC, on days of 23 and 25 hours too.
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from bot.market.symbols import DAY_S, Holiday, SymbolSpec

Reason = Literal["weekend", "event", "friday_close", "sunday_open", "rollover"]

BIN_S = 900

_SECOND = 1_000_000_000
_NEW_YORK = ZoneInfo("America/New_York")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FRIDAY, _SATURDAY, _SUNDAY = 4, 5, 6
_SATURDAY_OF_SCHEDULE = 6  # a schedule's week begins on Sunday
_EVENT_MARGIN_NS = 300 * _SECOND
_TURN = time(17)  # of the FX day; the week begins and ends with it
_LAST_HOUR, _FIRST_HOUR = time(16), time(18)  # from the one on before the week ends, up to the other after it begins
_ROLLOVER = (time(16, 45), time(18, 15))
_CUTS = tuple(sorted({_TURN, _LAST_HOUR, _FIRST_HOUR, *_ROLLOVER}))


class CalendarWindows:
    """When exposure must not grow, whatever the book looks like.

    Args: `event_times_ns` of scheduled releases, in any order; five minutes on either side of each are closed.
    Units: UTC ns. Moments may be asked for in any order.
    Source: models 11, calendar overrides.
    """

    def __init__(self, event_times_ns: Iterable[int] = ()) -> None:
        self._events = [(t - _EVENT_MARGIN_NS, t + _EVENT_MARGIN_NS) for t in event_times_ns]
        self._from_ns = self._until_ns = 0
        self._reason: Reason | None = None

    def no_increase(self, now_ns: int) -> Reason | None:
        """Return why exposure must not grow now, or None.

        `weekend`: Friday 17:00 to Sunday 17:00; `event`: about a scheduled release; `friday_close`: the last hour of
        the week; `sunday_open`: its first; `rollover`: 16:45 to 18:15 of every day. The first that holds is told.
        """
        self._look(now_ns)
        return self._reason

    def next_change_ns(self, now_ns: int) -> int:
        """Return when `no_increase` says something else for the first time after now."""
        self._look(now_ns)
        return self._until_ns

    def _look(self, now_ns: int) -> None:
        if self._from_ns <= now_ns < self._until_ns:
            return
        self._reason = self._reason_at(now_ns)
        self._from_ns = now_ns
        # A week has every window of a week in it, so that something changes.
        self._until_ns = next(cut for cut in self._cuts(now_ns) if self._reason_at(cut) != self._reason)

    def _cuts(self, now_ns: int) -> list[int]:
        """Return the moments of the next eight days at which something may change, in order."""
        today = _local(now_ns).date()
        days = [today + timedelta(days=i) for i in range(9)]
        cuts = {_at(day, cut) for day in days for cut in _CUTS} | {edge for event in self._events for edge in event}
        return sorted(cut for cut in cuts if cut > now_ns)

    def _reason_at(self, now_ns: int) -> Reason | None:
        local = _local(now_ns)
        day, clock = local.weekday(), local.time()
        ended = day == _FRIDAY and clock >= _TURN
        not_begun = day == _SUNDAY and clock < _TURN
        if ended or not_begun or day == _SATURDAY:
            return "weekend"
        if any(start <= now_ns < end for start, end in self._events):
            return "event"
        if day == _FRIDAY and clock >= _LAST_HOUR:
            return "friday_close"
        if day == _SUNDAY and clock < _FIRST_HOUR:
            return "sunday_open"
        if _ROLLOVER[0] <= clock < _ROLLOVER[1]:
            return "rollover"
        return None


def rests_at_weekends(spec: SymbolSpec) -> bool:
    """Return whether a symbol is closed at noon on Saturdays, as what follows the FX week is.

    The windows of that week mean nothing to what trades round the clock. Unknown hours are taken for those of FX.
    """
    noon_s = _SATURDAY_OF_SCHEDULE * DAY_S + DAY_S // 2
    return not any(start <= noon_s < end for start, end in spec.schedule)


def holiday(spec: SymbolSpec, now_ns: int) -> bool:
    """Return whether the New York day of this moment has any part of a holiday of the symbol in it.

    A holiday is a day of its own time zone: one in Tokyo touches two days of New York. One in a time zone that nobody
    knows is taken to be New York's, so that it is not lost. The day is over at `day_end_ns`: not to be asked before.
    Source: models 11, holiday flag; ProtoOAHoliday.
    """
    today = _local(now_ns).date()
    start_ns, end_ns = _at(today, time()), day_end_ns(now_ns)
    return any(_touches(each, spec, start_ns // _SECOND, end_ns // _SECOND) for each in spec.holidays)


def day_end_ns(now_ns: int) -> int:
    """Return the next midnight of New York, UTC ns."""
    return _at(_local(now_ns).date() + timedelta(days=1), time())


def bin_of(now_ns: int) -> tuple[int, int]:
    """Return (quarter of an hour of the New York day, 0 to 95; type of day: 0 Monday to Thursday, 1 Friday, 2 weekend).

    On the day that clocks go forward four bins do not occur; on the day that they go back four occur twice, an hour
    apart.   Source: models 11.
    """
    local = _local(now_ns)
    day_type = 0 if local.weekday() < _FRIDAY else 1 if local.weekday() == _FRIDAY else 2
    return (local.hour * 3600 + local.minute * 60) // BIN_S, day_type


def bin_end_ns(now_ns: int) -> int:
    """Return when the bin of this moment ends and the next begins, UTC ns."""
    return (now_ns // (BIN_S * _SECOND) + 1) * BIN_S * _SECOND


def _local(now_ns: int) -> datetime:
    return (_EPOCH + timedelta(seconds=now_ns // _SECOND)).astimezone(_NEW_YORK)


def _at(day: date, clock: time) -> int:
    """Return the moment at which clocks in New York show a time that is not skipped or repeated."""
    return round(datetime.combine(day, clock, _NEW_YORK).timestamp()) * _SECOND


def _touches(each: Holiday, spec: SymbolSpec, start_s: int, end_s: int) -> bool:
    zone = _zone(each.time_zone or spec.schedule_time_zone)
    try:
        named = date(1970, 1, 1) + timedelta(days=each.day)
    except OverflowError:  # on a day that no calendar has
        return False
    day = datetime.fromtimestamp(start_s, zone).date()
    last = datetime.fromtimestamp(end_s - 1, zone).date()
    while day <= last:
        falls = (day.month, day.day) == (named.month, named.day) if each.recurring else day == named
        if falls and _overlaps(each, day, zone, start_s, end_s):
            return True
        day += timedelta(days=1)
    return False


def _overlaps(each: Holiday, day: date, zone: ZoneInfo, start_s: int, end_s: int) -> bool:
    """Return whether a holiday on a day of its zone has a moment in [start_s, end_s)."""
    until = min(each.end_s, DAY_S) if each.end_s > each.start_s else DAY_S
    midnight = datetime.combine(day, time(), zone)
    first = (midnight + timedelta(seconds=each.start_s)).timestamp()
    end = midnight + timedelta(seconds=until)
    after = max(end.timestamp(), end.replace(fold=1).timestamp())  # clocks that are put back show it twice
    return each.start_s < until and max(first, start_s) < min(after, end_s)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # not in the zone database, or not a name at all
        return _NEW_YORK
