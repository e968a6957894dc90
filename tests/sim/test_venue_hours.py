"""The venue's trading hours against an oracle that walks the wall clock minute by minute."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.market.symbols import Holiday, SymbolSpec
from bot.sim.hours import TradingHours, WallClock
from bot.sim.listing import FX_WEEK, default_symbols

MINUTE_NS = 60_000_000_000
DAY_MINUTES = 1_440
EURUSD = default_symbols()[0]
# Instants around which the wall clocks of these zones change, or nothing happens at all.
CHANGES = {
    "America/New_York": (datetime(2026, 3, 8, 7, tzinfo=UTC), datetime(2026, 11, 1, 6, tzinfo=UTC)),
    "Europe/London": (datetime(2026, 3, 29, 1, tzinfo=UTC), datetime(2026, 10, 25, 1, tzinfo=UTC)),
    "Australia/Lord_Howe": (datetime(2026, 4, 4, 15, tzinfo=UTC), datetime(2026, 10, 3, 15, 30, tzinfo=UTC)),
    "Asia/Tokyo": (datetime(2026, 1, 1, tzinfo=UTC),),
    "UTC": (datetime(2028, 2, 29, tzinfo=UTC),),
}
MINUTES_OF_WEEK = st.integers(0, 7 * DAY_MINUTES)
SPANS = st.lists(st.tuples(MINUTES_OF_WEEK, MINUTES_OF_WEEK).filter(lambda span: span[0] < span[1]), max_size=4).map(
    lambda spans: tuple((start * 60, end * 60) for start, end in spans)
)


@st.composite
def scenes(draw: st.DrawFn) -> tuple[SymbolSpec, datetime]:
    zone = draw(st.sampled_from(sorted(CHANGES)))
    change = draw(st.sampled_from(CHANGES[zone]))
    start = change - timedelta(minutes=draw(st.integers(0, 2 * DAY_MINUTES)))
    holidays = []
    for _ in range(draw(st.integers(0, 2))):
        first, last = sorted(draw(st.tuples(st.integers(0, DAY_MINUTES - 1), st.integers(0, DAY_MINUTES - 1))))
        day = change.date() + timedelta(days=draw(st.integers(-2, 2)))
        recurring = draw(st.booleans())
        if recurring and (day.month, day.day) != (2, 29):
            day = day.replace(year=draw(st.integers(2_020, 2_026)))
        zone_of_day = draw(st.sampled_from(["", *sorted(CHANGES)]))
        number = (day - date(1970, 1, 1)).days
        holidays.append(Holiday(number, first * 60, (last + 1) * 60, recurring, zone_of_day))
    spec = replace(EURUSD, schedule=draw(SPANS), schedule_time_zone=zone, holidays=tuple(holidays))
    return spec, start


def oracle(spec: SymbolSpec, moment: datetime) -> str:
    for holiday in spec.holidays:
        wall = moment.astimezone(ZoneInfo(holiday.time_zone or spec.schedule_time_zone))
        first = date(1970, 1, 1) + timedelta(days=holiday.day)
        same = (wall.month, wall.day) == (first.month, first.day) if holiday.recurring else wall.date() == first
        if same and holiday.start_s <= wall.hour * 3_600 + wall.minute * 60 + wall.second < holiday.end_s:
            return "holiday"
    wall = moment.astimezone(ZoneInfo(spec.schedule_time_zone))
    second = wall.isoweekday() % 7 * 86_400 + wall.hour * 3_600 + wall.minute * 60 + wall.second
    trades = not spec.schedule or any(start <= second < end for start, end in spec.schedule)
    return "open" if trades else "closed"


def ns_of(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000_000_000


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(scenes())
def test_every_minute_around_a_clock_change_is_what_the_wall_clock_says(scene: tuple[SymbolSpec, datetime]) -> None:
    spec, start = scene
    hours = TradingHours(spec)
    said = [oracle(spec, start + timedelta(minutes=minute)) for minute in range(3 * DAY_MINUTES)]
    assert [hours.state(ns_of(start) + minute * MINUTE_NS) for minute in range(len(said))] == said
    changes = [minute for minute in range(1, len(said)) if said[minute] != said[minute - 1]]
    ahead = TradingHours(spec).next_change_ns(ns_of(start))
    if changes:
        assert ahead == ns_of(start) + changes[0] * MINUTE_NS
    elif ahead is not None:
        assert ahead >= ns_of(start) + len(said) * MINUTE_NS


@pytest.mark.slow
def test_the_week_of_currencies_holds_over_a_whole_year_of_new_york() -> None:
    spec = replace(EURUSD, schedule=FX_WEEK.schedule, schedule_time_zone=FX_WEEK.time_zone)
    hours, start = TradingHours(spec), datetime(2026, 1, 1, tzinfo=UTC)
    for minute in range(0, 366 * DAY_MINUTES, 5):
        moment = start + timedelta(minutes=minute)
        assert hours.state(ns_of(moment)) == oracle(spec, moment), moment


def test_start_is_inside_and_end_is_outside_to_the_nanosecond() -> None:
    spec = replace(EURUSD, schedule=FX_WEEK.schedule, schedule_time_zone=FX_WEEK.time_zone)
    hours = TradingHours(spec)
    opening, closing = ns_of(datetime(2026, 1, 4, 22, tzinfo=UTC)), ns_of(datetime(2026, 1, 9, 22, tzinfo=UTC))
    assert [hours.state(time) for time in (opening - 1, opening, closing - 1, closing)] == [
        "closed", "open", "open", "closed"]  # fmt: skip
    assert hours.next_change_ns(opening - 1) == opening
    assert hours.next_change_ns(opening) == closing


def test_a_week_that_a_clock_change_shortens_is_an_hour_shorter() -> None:
    spec = replace(EURUSD, schedule=FX_WEEK.schedule, schedule_time_zone=FX_WEEK.time_zone)
    hours = TradingHours(spec)
    friday = ns_of(datetime(2026, 3, 6, 22, tzinfo=UTC))
    assert hours.next_change_ns(friday) == ns_of(datetime(2026, 3, 8, 21, tzinfo=UTC))


def test_a_symbol_without_schedule_or_holidays_never_changes() -> None:
    hours = TradingHours(replace(EURUSD, schedule=()))
    assert (hours.state(0), hours.next_change_ns(0)) == ("open", None)


def test_a_holiday_of_29_february_returns_in_leap_years_only() -> None:
    day = (date(2024, 2, 29) - date(1970, 1, 1)).days
    hours = TradingHours(replace(EURUSD, schedule=(), holidays=(Holiday(day, recurring=True),)))
    noons = [
        datetime(*day, 12, tzinfo=UTC) for day in ((2024, 2, 29), (2025, 2, 28), (2025, 3, 1), (2028, 2, 29))
    ]  # fmt: skip
    assert [hours.state(ns_of(noon)) for noon in noons] == ["holiday", "open", "open", "holiday"]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"schedule_time_zone": "Mars/Olympus"}, "unknown time zone 'Mars/Olympus'"),
        ({"schedule_time_zone": "../../etc"}, "unknown time zone"),
        ({"schedule": ((100, 100),)}, "not 100-100"),
        ({"schedule": ((200, 100),)}, "not 200-100"),
        ({"schedule": ((0, 604_801),)}, "604800"),
        ({"holidays": (Holiday(1, 50, 50),)}, "not 50-50"),
        ({"holidays": (Holiday(1, 0, 86_401),)}, "86400"),
        ({"holidays": (Holiday(1, time_zone="Nowhere"),)}, "unknown time zone 'Nowhere'"),
    ],
)
def test_senseless_hours_are_refused_in_one_line(fields: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said) as error:
        TradingHours(replace(EURUSD, **fields))  # type: ignore[arg-type]
    assert "\n" not in str(error.value)


def test_a_wall_time_that_is_left_out_is_reached_when_the_clock_jumps() -> None:
    wall = WallClock("America/New_York")
    before = int(datetime(2026, 3, 8, 6, 30, tzinfo=UTC).timestamp())
    left_out = wall.wall_s(before) + 3_600  # 02:30, which that night does not have
    assert wall.reaches_s(before, left_out) == int(datetime(2026, 3, 8, 7, tzinfo=UTC).timestamp())
