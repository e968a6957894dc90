"""Thin times of the New York week against a walk over the wall clock, minute by minute, clock changes included."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.market.calendar import BIN_S, CalendarWindows, bin_end_ns, bin_of, day_end_ns, holiday
from bot.market.symbols import Holiday, SymbolSpec

SECOND = 1_000_000_000
MINUTE_NS, HOUR_S, DAY_S = 60 * SECOND, 3600, 86_400
NEW_YORK = ZoneInfo("America/New_York")
SPEC = SymbolSpec(1, "EURUSD", "EUR", "USD", 5, 4, 10_000_000, 100_000, 100_000, 10**12)
ZONES = ("UTC", "America/New_York", "Europe/London", "Asia/Tokyo", "Australia/Lord_Howe", "Nowhere/At_All")
# Clocks go forward on 2026-03-08 and back on 2026-11-01; a usual week; a turn of the year; a leap day.
STARTS = ("2026-03-06", "2026-10-30", "2026-06-10", "2025-12-30", "2024-02-27", "1970-01-02")


def stamp(text: str) -> int:
    """Return UTC nanoseconds of an ISO time in New York."""
    return round(datetime.fromisoformat(text).replace(tzinfo=NEW_YORK).timestamp()) * SECOND


def wall(ns: int) -> str:
    return f"{datetime.fromtimestamp(ns // SECOND, NEW_YORK):%a %m-%d %H:%M}"


def naive_reason(now_ns: int, event_times_ns: list[int]) -> str | None:
    """Return why nothing may grow at a moment, by hours and minutes since Monday as a person would read them."""
    local = datetime.fromtimestamp(now_ns // SECOND, NEW_YORK)
    hours = local.weekday() * 24 + local.hour + local.minute / 60
    if 4 * 24 + 17 <= hours < 6 * 24 + 17:
        return "weekend"
    if any(-5 * MINUTE_NS <= now_ns - t < 5 * MINUTE_NS for t in event_times_ns):
        return "event"
    if 4 * 24 + 16 <= hours < 4 * 24 + 17:
        return "friday_close"
    if 6 * 24 + 17 <= hours < 6 * 24 + 18:
        return "sunday_open"
    return "rollover" if 16.75 <= hours % 24 < 18.25 else None


@settings(max_examples=15, deadline=None)
@given(st.sampled_from(STARTS), st.lists(st.integers(-60, 6 * 24 * 60), max_size=5))
def test_every_minute_and_every_change_is_what_a_walk_over_the_wall_clock_finds(
    start: str, event_minutes: list[int]
) -> None:
    start_ns = stamp(start)
    events = [start_ns + minute * MINUTE_NS for minute in event_minutes]
    windows = CalendarWindows(events)
    times = range(start_ns, start_ns + 6 * DAY_S * SECOND, MINUTE_NS)
    walked = [naive_reason(t, events) for t in times]
    assert [windows.no_increase(t + 59_999_999_999) for t in times] == walked
    changes = [t for t, before, now in zip(times[1:], walked, walked[1:], strict=False) if before != now]
    told, at = [], start_ns
    while (at := windows.next_change_ns(at)) < times.stop:
        told.append(at)
    assert told == changes


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(STARTS), st.integers(0, 9 * DAY_S)), min_size=1, max_size=20))
def test_moments_may_be_asked_for_in_any_order(moments: list[tuple[str, int]]) -> None:
    event = [stamp("2026-06-12T08:30")]
    windows = CalendarWindows(event)
    for start, second in moments:
        now_ns = stamp(start) + second * SECOND
        assert windows.no_increase(now_ns) == naive_reason(now_ns, event)
        change = windows.next_change_ns(now_ns)
        assert change > now_ns
        assert (
            windows.no_increase(change) != windows.no_increase(now_ns) == CalendarWindows(event).no_increase(change - 1)
        )


def test_a_week_has_these_windows() -> None:
    windows, at, told = CalendarWindows(), stamp("2026-06-11T12:00"), []
    for _ in range(9):
        at = windows.next_change_ns(at)
        told.append((wall(at), windows.no_increase(at)))
    assert told == [
        ("Thu 06-11 16:45", "rollover"),
        ("Thu 06-11 18:15", None),
        ("Fri 06-12 16:00", "friday_close"),
        ("Fri 06-12 17:00", "weekend"),
        ("Sun 06-14 17:00", "sunday_open"),
        ("Sun 06-14 18:00", "rollover"),
        ("Sun 06-14 18:15", None),
        ("Mon 06-15 16:45", "rollover"),
        ("Mon 06-15 18:15", None),
    ]


@pytest.mark.parametrize(
    ("sunday", "before_h", "after_h"), [("2026-03-08", 22, 21), ("2026-11-01", 21, 22), ("2026-06-14", 21, 21)]
)
def test_the_week_ends_and_begins_by_the_clock_of_new_york(sunday: str, before_h: int, after_h: int) -> None:
    opening = stamp(f"{sunday}T17:00")
    closing = stamp((date.fromisoformat(sunday) - timedelta(days=2)).isoformat() + "T17:00")
    assert datetime.fromtimestamp(closing // SECOND, UTC).hour == before_h
    assert datetime.fromtimestamp(opening // SECOND, UTC).hour == after_h
    windows = CalendarWindows()
    assert [windows.no_increase(closing + d) for d in (-1, 0)] == ["friday_close", "weekend"]
    assert windows.next_change_ns(closing) == opening
    assert [windows.no_increase(opening + d) for d in (-1, 0)] == ["weekend", "sunday_open"]


def test_a_release_closes_five_minutes_on_either_side_and_two_that_touch_are_one() -> None:
    first, second = stamp("2026-06-12T08:30") + 123, stamp("2026-06-12T08:40") + 123
    windows = CalendarWindows([second, first, first])
    edge = 5 * MINUTE_NS
    assert [windows.no_increase(first + d) for d in (-edge - 1, -edge, edge)] == [None, "event", "event"]
    assert windows.next_change_ns(first - 2 * edge) == first - edge
    assert windows.next_change_ns(first) == second + edge
    assert windows.no_increase(second + edge) is None


def test_a_release_about_the_rollover_is_told_and_the_rollover_goes_on_after_it() -> None:
    release = stamp("2026-06-11T16:50")
    windows = CalendarWindows([release])
    at = release - 6 * MINUTE_NS
    told = []
    for _ in range(3):
        at = windows.next_change_ns(at)
        told.append((wall(at), windows.no_increase(at)))
    assert told == [("Thu 06-11 16:45", "event"), ("Thu 06-11 16:55", "rollover"), ("Thu 06-11 18:15", None)]


def test_a_release_at_the_weekend_is_only_the_weekend() -> None:
    assert CalendarWindows([stamp("2026-06-13T08:30")]).no_increase(stamp("2026-06-13T08:30")) == "weekend"


# -- bins -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("day", "count", "repeated"), [("2026-03-08", 92, 0), ("2026-11-01", 100, 4), ("2026-06-10", 96, 0)]
)
def test_a_day_has_as_many_bins_as_quarters_of_an_hour(day: str, count: int, repeated: int) -> None:
    at, end = stamp(day), day_end_ns(stamp(day))
    bins = []
    while at < end:
        bins.append(bin_of(at)[0])
        at = bin_end_ns(at)
    assert at == end
    assert len(bins) == count
    twice = [b for b, times in Counter(bins).items() if times == 2]
    assert len(twice) == repeated
    assert set(twice) <= {4, 5, 6, 7}
    assert set(range(96)) - set(bins) == ({8, 9, 10, 11} if count == 92 else set())


@settings(max_examples=15, deadline=None)
@given(st.sampled_from(STARTS))
def test_every_bin_is_a_quarter_of_the_wall_clock_and_ends_where_the_next_begins(start: str) -> None:
    start_ns = stamp(start)
    for now_ns in range(start_ns, start_ns + 4 * DAY_S * SECOND, 5 * MINUTE_NS):
        local = datetime.fromtimestamp(now_ns // SECOND, NEW_YORK)
        day_type = {"Fri": 1, "Sat": 2, "Sun": 2}.get(f"{local:%a}", 0)
        assert bin_of(now_ns) == (local.hour * 4 + local.minute // 15, day_type)
        end = bin_end_ns(now_ns)
        assert now_ns < end <= now_ns + BIN_S * SECOND
        assert bin_of(end - 1) == bin_of(now_ns) != bin_of(end)
        assert bin_end_ns(end - 1) == end


def test_the_last_nanosecond_of_a_bin_is_in_it() -> None:
    midnight = stamp("2026-06-12")
    assert (bin_of(midnight - 1), bin_of(midnight)) == ((95, 0), (0, 1))


# -- holidays ---------------------------------------------------------------------------------------------------


def naive_holiday(spec: SymbolSpec, now_ns: int) -> bool:
    """Walk over the New York day in steps of five minutes and look at the calendar of each holiday's own zone."""
    day = datetime.fromtimestamp(now_ns // SECOND, NEW_YORK).date()
    t = stamp(day.isoformat()) // SECOND
    while datetime.fromtimestamp(t, NEW_YORK).date() == day:
        for each in spec.holidays:
            name = each.time_zone or spec.schedule_time_zone
            local = datetime.fromtimestamp(t, NEW_YORK if name == "Nowhere/At_All" else ZoneInfo(name))
            named = date(1970, 1, 1) + timedelta(days=each.day)
            same = (local.month, local.day) == (named.month, named.day) if each.recurring else local.date() == named
            second = local.hour * HOUR_S + local.minute * 60
            if same and each.start_s <= second < (each.end_s if each.end_s > each.start_s else DAY_S):
                return True
        t += 300
    return False


# Not in the hours that clocks skip or repeat: part of a holiday that no clock shows is still one.
in_day = st.sampled_from([0, 5 * HOUR_S, 9 * HOUR_S + 1800, 12 * HOUR_S, 20 * HOUR_S, DAY_S])


@st.composite
def specs_and_moments(draw: st.DrawFn) -> tuple[SymbolSpec, int]:
    now_ns = stamp(draw(st.sampled_from(STARTS))) + draw(st.integers(0, 4 * DAY_S)) * SECOND
    around = now_ns // SECOND // DAY_S
    holidays = st.builds(
        Holiday,
        day=st.integers(around - 2, around + 2) | st.integers(around - 367, around - 363),
        start_s=in_day,
        end_s=in_day,
        recurring=st.booleans(),
        time_zone=st.sampled_from(("", *ZONES)),
    )
    zone = draw(st.sampled_from(ZONES))
    return replace(SPEC, schedule_time_zone=zone, holidays=tuple(draw(st.lists(holidays, max_size=2)))), now_ns


@settings(max_examples=150, deadline=None)
@given(specs_and_moments())
def test_a_day_is_a_holiday_when_a_walk_over_it_meets_one(drawn: tuple[SymbolSpec, int]) -> None:
    spec, now_ns = drawn
    assert holiday(spec, now_ns) == naive_holiday(spec, now_ns)
    assert holiday(spec, day_end_ns(now_ns) - 1) == holiday(spec, now_ns)


def day_number(text: str) -> int:
    return (date.fromisoformat(text) - date(1970, 1, 1)).days


@pytest.mark.parametrize(
    ("entry", "day", "expected"),
    [
        (Holiday(day_number("2025-12-25"), time_zone="America/New_York"), "2025-12-25", True),
        (Holiday(day_number("2025-12-25"), time_zone="America/New_York"), "2025-12-24", False),
        (Holiday(day_number("2025-12-25"), time_zone="America/New_York"), "2026-12-25", False),
        (Holiday(day_number("2019-12-25"), recurring=True, time_zone="America/New_York"), "2026-12-25", True),
        (Holiday(day_number("2025-12-25")), "2025-12-24", True),  # in UTC it begins at 19:00 the day before
        (Holiday(day_number("2025-12-25"), time_zone="Nowhere/At_All"), "2025-12-24", False),
        (Holiday(day_number("2025-12-25"), time_zone="Nowhere/At_All"), "2025-12-25", True),
        (Holiday(day_number("2025-12-25"), start_s=6 * HOUR_S), "2025-12-24", False),
        (Holiday(day_number("2024-02-29"), recurring=True, time_zone="America/New_York"), "2026-02-28", False),
        (Holiday(day_number("2025-12-25"), start_s=2 * DAY_S, end_s=3 * DAY_S), "2025-12-25", False),
        (Holiday(10**12), "2025-12-25", False),
    ],
)
def test_a_holiday_is_known_all_day_long(entry: Holiday, day: str, expected: bool) -> None:
    spec = replace(SPEC, holidays=(entry,))
    assert {holiday(spec, stamp(f"{day}T{clock}")) for clock in ("00:00", "12:00", "23:59")} == {expected}


@pytest.mark.parametrize(("day", "hours"), [("2026-03-08", 23), ("2026-11-01", 25), ("2026-06-10", 24)])
def test_a_day_ends_at_midnight_of_new_york(day: str, hours: int) -> None:
    assert day_end_ns(stamp(day)) - stamp(day) == hours * HOUR_S * SECOND
    assert day_end_ns(day_end_ns(stamp(day)) - 1) == day_end_ns(stamp(day))
