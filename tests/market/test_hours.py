"""Trading hours against a walk over the wall clock, minute by minute, in zones that change their clocks."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.market.hours import SymbolHours
from bot.market.symbols import Holiday, SymbolSpec

SECOND = 1_000_000_000
MINUTE_S, HOUR_S, DAY_S, WEEK_S = 60, 3600, 86_400, 604_800
SPEC = SymbolSpec(1, "EURUSD", "EUR", "USD", 5, 4, 10_000_000, 100_000, 100_000, 10**12)
ZONES = ("UTC", "America/New_York", "Europe/London", "Asia/Tokyo", "Australia/Lord_Howe", "America/Sao_Paulo")
# Just before clocks change somewhere, in a leap year, over a turn of the year; Lord Howe moves by half an hour.
STARTS = (
    *("2026-03-07", "2026-03-28", "2026-10-24", "2026-10-31", "2026-04-04", "2026-10-03"),
    *("2024-02-27", "2025-12-30", "2018-11-03", "1970-01-03"),
)
STEP_S = 5 * MINUTE_S


def stamp(text: str) -> int:
    """Return UTC nanoseconds of an ISO time."""
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * SECOND


def words(ns: int | None) -> str | None:
    return None if ns is None else f"{datetime.fromtimestamp(ns / 1e9, UTC):%Y-%m-%dT%H:%M:%S}"


def hours(*schedule: tuple[int, int], zone: str = "UTC", holidays: tuple[Holiday, ...] = ()) -> SymbolHours:
    return SymbolHours(replace(SPEC, schedule=schedule, schedule_time_zone=zone, holidays=holidays))


def day_number(text: str) -> int:
    return (date.fromisoformat(text) - date(1970, 1, 1)).days


def oracle(spec: SymbolSpec, t: int) -> str | None:
    """Return the state of a moment (seconds) from the date and time that a person there reads off the wall."""
    for holiday in spec.holidays:
        local = datetime.fromtimestamp(t, ZoneInfo(holiday.time_zone or spec.schedule_time_zone))
        named = date(1970, 1, 1) + timedelta(days=holiday.day)
        same = (local.month, local.day) == (named.month, named.day) if holiday.recurring else local.date() == named
        second = local.hour * HOUR_S + local.minute * MINUTE_S + local.second
        until = holiday.end_s if holiday.end_s > holiday.start_s else DAY_S
        if same and second in range(holiday.start_s, until):
            return "holiday"
    lengths = [(start, end - start if end >= start else (end - start) % WEEK_S) for start, end in spec.schedule]
    if not any(length for _, length in lengths):
        return None
    local = datetime.fromtimestamp(t, ZoneInfo(spec.schedule_time_zone))
    of_week = local.isoweekday() % 7 * DAY_S + local.hour * HOUR_S + local.minute * MINUTE_S + local.second
    return "open" if any((of_week - start) % WEEK_S < length for start, length in lengths) else "closed"


grid = st.integers(0, WEEK_S // STEP_S + 40).map(lambda i: i * STEP_S)
in_day = st.integers(0, DAY_S // STEP_S + 3).map(lambda i: i * STEP_S)


@st.composite
def specs_and_starts(draw: st.DrawFn) -> tuple[SymbolSpec, int]:
    start_ns = stamp(draw(st.sampled_from(STARTS)))
    around = start_ns // SECOND // DAY_S
    holiday = st.builds(
        Holiday,
        day=st.integers(around - 1, around + 4) | st.integers(around - 367, around - 363),
        start_s=in_day | st.just(0),
        end_s=in_day | st.just(DAY_S),
        recurring=st.booleans(),
        time_zone=st.sampled_from(("", *ZONES)),
    )
    spec = replace(
        SPEC,
        schedule=tuple(draw(st.lists(st.tuples(grid, grid), max_size=4))),
        schedule_time_zone=draw(st.sampled_from(ZONES)),
        holidays=tuple(draw(st.lists(holiday, max_size=3))),
    )
    return spec, start_ns // SECOND


@settings(max_examples=60, deadline=None)
@given(specs_and_starts())
def test_every_moment_and_every_change_is_what_a_walk_over_the_wall_clock_finds(drawn: tuple[SymbolSpec, int]) -> None:
    spec, start = drawn
    known = SymbolHours(spec)
    times = range(start, start + 4 * DAY_S, STEP_S)
    walked = [oracle(spec, t) for t in times]
    assert [known.state(t * SECOND + 999) for t in times] == walked
    assert known.is_open(start * SECOND) == {"open": True, None: None}.get(walked[0], False)
    changes = [t for t, before, state in zip(times[1:], walked, walked[1:], strict=False) if before != state]
    told, at = [], start * SECOND
    while (change := known.next_change_ns(at)) is not None and change // SECOND < times.stop:
        told.append(change // SECOND)
        at = change
    assert [t for t in told if t < times[-1] + 1] == changes
    assert all(known.state(t * SECOND - 1) != known.state(t * SECOND) for t in told)


@settings(max_examples=40, deadline=None)
@given(specs_and_starts(), st.lists(st.integers(0, 9 * DAY_S), min_size=1, max_size=30))
def test_moments_may_be_asked_for_in_any_order_and_the_next_opening_is_the_first_open_one(
    drawn: tuple[SymbolSpec, int], offsets: list[int]
) -> None:
    spec, start = drawn
    known = SymbolHours(spec)
    assert [known.state((start + o) * SECOND) for o in offsets] == [oracle(spec, start + o) for o in offsets]
    for offset in offsets[:3]:
        now = start + offset
        if oracle(spec, now) in ("open", None):
            continue
        opening = known.next_opening_ns(now * SECOND)
        first = -(-now // STEP_S) * STEP_S
        walk = (t for t in range(first, now + 15 * DAY_S, STEP_S) if oracle(spec, t) == "open")
        assert opening == (None if (found := next(walk, None)) is None else found * SECOND)


def test_a_currency_week_in_new_york_keeps_its_hour_there_when_the_clocks_change() -> None:
    week = hours((17 * HOUR_S, 5 * DAY_S + 17 * HOUR_S), zone="America/New_York")
    assert words(week.next_change_ns(stamp("2026-03-06T12:00"))) == "2026-03-06T22:00:00"
    assert words(week.next_opening_ns(stamp("2026-03-07T12:00"))) == "2026-03-08T21:00:00", "an hour earlier in UTC"
    assert words(week.next_opening_ns(stamp("2026-10-31T12:00"))) == "2026-11-01T22:00:00"
    assert week.state(stamp("2026-03-07T12:00")) == "closed"
    assert week.is_open(stamp("2026-03-09T12:00"))


def test_the_start_is_open_and_the_end_is_not() -> None:
    known = hours((DAY_S, DAY_S + HOUR_S))
    opening = stamp("2026-11-23")  # a Monday
    assert [known.is_open(opening + ns) for ns in (-1, 0, HOUR_S * SECOND - 1, HOUR_S * SECOND)] == [
        *(False, True),
        *(True, False),
    ]


@pytest.mark.parametrize(
    "known",
    [
        hours(),
        hours((HOUR_S, HOUR_S)),
        hours((0, WEEK_S), zone="Mars/Olympus_Mons"),
        hours((0, WEEK_S), zone=""),
        hours((0, WEEK_S), zone="../../etc/passwd"),
        hours((0, WEEK_S), zone="America"),
        hours((0, WEEK_S), zone="x" * 5000),
        hours((0, WEEK_S), zone="a\0b"),
    ],
)
def test_hours_that_nobody_can_read_are_unknown(known: SymbolHours) -> None:
    now = stamp("2026-11-23")
    assert (known.is_open(now), known.state(now)) == (None, None)
    assert (known.next_change_ns(now), known.next_opening_ns(now)) == (None, None)
    assert known.valid_until_ns(now) > now


def test_a_holiday_closes_even_where_the_schedule_is_unknown() -> None:
    known = hours(holidays=(Holiday(day_number("2026-12-25"), time_zone="UTC"),))
    assert [known.is_open(stamp(f"2026-12-{day}T12:00")) for day in (24, 25, 26)] == [None, False, None]


@pytest.mark.parametrize("bad", [Holiday(10**15), Holiday(20_000, time_zone="Mars/Olympus_Mons")])
def test_a_holiday_that_no_calendar_can_place_is_left_out(bad: Holiday) -> None:
    good = Holiday(day_number("2026-12-25"))
    known = hours((0, WEEK_S), holidays=(bad, good, replace(bad, recurring=True)))
    assert known.state(stamp("2026-12-25T12:00")) == "holiday"
    assert known.state(20_000 * DAY_S * SECOND) == "open"


def test_a_recurring_holiday_returns_every_year_and_a_leap_day_only_with_its_year() -> None:
    christmas = hours((0, WEEK_S), holidays=(Holiday(day_number("2019-12-25"), recurring=True),))
    assert [christmas.state(stamp(f"{year}-12-25T12:00")) for year in (2018, 2026, 2031)] == ["holiday"] * 3
    leap = hours((0, WEEK_S), holidays=(Holiday(day_number("2024-02-29"), recurring=True),))
    assert [leap.state(stamp(f"{day}T12:00")) for day in ("2028-02-29", "2027-03-01", "2027-02-28")] == [
        *("holiday", "open"),
        "open",
    ]


def test_an_answer_is_kept_until_the_next_change(monkeypatch: pytest.MonkeyPatch) -> None:
    known = hours((17 * HOUR_S, 5 * DAY_S + 17 * HOUR_S), zone="America/New_York")
    now = stamp("2026-11-23T12:00")
    assert words(known.valid_until_ns(now)) == "2026-11-27T22:00:00"
    monkeypatch.setattr(SymbolHours, "_state_at", None)
    assert all(known.is_open(now + i * HOUR_S * SECOND) for i in range(24 * 4))
