"""When the venue trades a symbol: its weekly schedule and its holidays, in their time zones.

How it works: the schedule speaks in wall-clock seconds since Sunday 00:00 of a zone, a holiday in seconds of one wall
day. An instant's wall time is UTC plus the zone's offset; between two offset changes that is a straight line, so the
state found at an instant holds until the nearest boundary or offset change, whichever comes first, and is kept until
then. An hour that a clock change repeats or leaves out is repeated or left out here too.
Source: ProtoOASymbol.schedule, scheduleTimeZone, holiday: start inclusive, end exclusive.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from bot.market.symbols import Holiday, SymbolSpec

_SECOND_NS = 1_000_000_000
_DAY_S = 86_400
_WEEK_S = 7 * _DAY_S
_EPOCH_DAY_S = 4 * _DAY_S
"""1970-01-01 was a Thursday: four days after a Sunday."""
_EPOCH = date(1970, 1, 1)
_MOST_SEGMENTS = 120
"""How many stretches of one state `next_change_ns` looks through: a state holds a week at most, so two years."""

OPEN, CLOSED, HOLIDAY = "open", "closed", "holiday"


class WallClock:
    """A time zone's wall clock, in seconds since 1970-01-01 00:00 on that wall.

    Raises: ValueError, one line, for a zone that is not known.
    """

    def __init__(self, name: str) -> None:
        try:
            self._zone = ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"unknown time zone {name!r}; give a name such as America/New_York") from None

    def wall_s(self, utc_s: int) -> int:
        """Return what the wall shows at an instant."""
        return utc_s + self._offset_s(utc_s)

    def reaches_s(self, utc_s: int, wall_s: int) -> int:
        """Return when the wall shows `wall_s` (ahead of what it shows now), or earlier: when its offset changes.

        Looks a week ahead at most; no zone changes its offset twice in one.
        """
        offset = self._offset_s(utc_s)
        until = min(wall_s - offset, utc_s + _WEEK_S)
        if self._offset_s(until) == offset:
            return until
        before, after = utc_s, until
        while after - before > 1:
            middle = (before + after) // 2
            if self._offset_s(middle) == offset:
                before = middle
            else:
                after = middle
        return after

    def _offset_s(self, utc_s: int) -> int:
        offset = datetime.fromtimestamp(utc_s, UTC).astimezone(self._zone).utcoffset()
        return 0 if offset is None else int(offset.total_seconds())


class TradingHours:
    """Whether a symbol trades by plan. An empty schedule means: at any time but holidays.

    Raises: ValueError, one line, for an unknown zone or a span that is empty, reversed or outside its week or day.
    """

    def __init__(self, spec: SymbolSpec) -> None:
        self._wall = WallClock(spec.schedule_time_zone)
        self._spans = spec.schedule
        for start, end in spec.schedule:
            if not 0 <= start < end <= _WEEK_S:
                raise ValueError(f"{spec.name}: a schedule span needs 0 <= start < end <= {_WEEK_S}, not {start}-{end}")
        self._boundaries = sorted({edge for span in spec.schedule for edge in span})
        self._holidays: list[tuple[Holiday, WallClock]] = []
        for holiday in spec.holidays:
            if not 0 <= holiday.start_s < holiday.end_s <= _DAY_S:
                raise ValueError(
                    f"{spec.name}: a holiday needs 0 <= start < end <= {_DAY_S}, not {holiday.start_s}-{holiday.end_s}"
                )
            self._holidays.append((holiday, WallClock(holiday.time_zone or spec.schedule_time_zone)))
        self._state, self._from_s, self._until_s = OPEN, 0, 0

    def state(self, now_ns: int) -> str:
        """Return "open", "closed" or "holiday"; a holiday outranks the schedule."""
        self._look(now_ns // _SECOND_NS)
        return self._state

    def until_ns(self, now_ns: int) -> int:
        """Return when to ask again: the state of now holds until then at least."""
        self._look(now_ns // _SECOND_NS)
        return self._until_s * _SECOND_NS

    def next_change_ns(self, now_ns: int) -> int | None:
        """Return when the state is another for the first time; None when it is not within the coming year."""
        state, at_ns = self.state(now_ns), now_ns
        for _ in range(_MOST_SEGMENTS):
            at_ns = self.until_ns(at_ns)
            if self.state(at_ns) != state:
                return at_ns
        return None

    def _look(self, utc_s: int) -> None:
        if self._from_s <= utc_s < self._until_s:
            return
        in_week, until_s = self._schedule(utc_s)
        state = OPEN if in_week else CLOSED
        for holiday, wall in self._holidays:
            wall_s = wall.wall_s(utc_s)
            spans = list(_wall_spans(holiday, wall_s))
            if any(start <= wall_s < end for start, end in spans):
                state = HOLIDAY
            until_s = min(until_s, wall.reaches_s(utc_s, _next_edge(spans, wall_s)))
        self._state, self._from_s, self._until_s = state, utc_s, until_s

    def _schedule(self, utc_s: int) -> tuple[bool, int]:
        if not self._spans:
            return True, utc_s + _WEEK_S
        wall_s = self._wall.wall_s(utc_s)
        week_s = (wall_s + _EPOCH_DAY_S) % _WEEK_S
        ahead = [edge for edge in self._boundaries if edge > week_s] or [self._boundaries[0] + _WEEK_S]
        trades = any(start <= week_s < end for start, end in self._spans)
        return trades, self._wall.reaches_s(utc_s, wall_s - week_s + ahead[0])


def _wall_spans(holiday: Holiday, wall_s: int) -> Iterable[tuple[int, int]]:
    """Yield the wall spans of a holiday that matter now: its only one, or this year's and the next."""
    days = [holiday.day]
    if holiday.recurring:
        first = _EPOCH + timedelta(days=holiday.day)
        year = (_EPOCH + timedelta(days=wall_s // _DAY_S)).year
        days = [day for day in (_same_day(first, year), _same_day(first, year + 1)) if day is not None]
    for day in days:
        yield day * _DAY_S + holiday.start_s, day * _DAY_S + holiday.end_s


def _same_day(first: date, year: int) -> int | None:
    """Return the same month and day of a year in days since 1970-01-01; None for 29 February of a short year."""
    try:
        return (first.replace(year=year) - _EPOCH).days
    except ValueError:
        return None


def _next_edge(spans: Sequence[tuple[int, int]], wall_s: int) -> int:
    return min((edge for span in spans for edge in span if edge > wall_s), default=wall_s + _WEEK_S)
