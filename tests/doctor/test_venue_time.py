"""Units of timestamps by their size, and the clock's offset."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.ctrader.tick_pages import price_form
from bot.doctor.venue_time import UNITS, read_clock, unit_of

CENTURY_NS = st.integers(1_000_000_000 * 10**9, 4_102_444_800 * 10**9)


@given(CENTURY_NS, st.sampled_from(list(UNITS)))
def test_the_unit_of_any_time_of_this_century_is_recognised(time_ns: int, unit: str) -> None:
    assert unit_of(time_ns // UNITS[unit]) == unit


@pytest.mark.parametrize("timestamp", [0, 5, 86_400, 10**8, 10**20])
def test_what_is_no_time_of_this_century_has_no_unit(timestamp: int) -> None:
    assert unit_of(timestamp) is None
    assert read_clock([(1_700_000_000 * 10**9, timestamp)]) is None


@given(CENTURY_NS, st.integers(-60_000, 60_000), st.lists(st.integers(0, 5_000), min_size=1, max_size=9))
def test_the_offset_is_that_of_the_youngest_price(start_ns: int, offset_ms: int, delays_ms: list[int]) -> None:
    start_ms = start_ns // 10**6
    samples = [((start_ms + i + offset_ms + delay) * 10**6, start_ms + i) for i, delay in enumerate(delays_ms)]
    reading = read_clock(samples)
    assert reading is not None
    assert reading.unit == "ms"
    assert reading.least_s == pytest.approx((offset_ms + min(delays_ms)) / 1000)
    assert reading.sample_count == len(delays_ms)


def test_without_samples_nothing_is_read() -> None:
    assert read_clock([]) is None


@given(st.lists(st.integers(95_000, 105_000), min_size=2, max_size=20))
def test_absolute_prices_and_differences_are_told_apart(prices: list[int]) -> None:
    assert price_form(prices) == "absolute"
    differences = [prices[0], *(later - earlier for earlier, later in pairwise(prices))]
    assert price_form(differences) == "differences"


def test_prices_of_neither_form_are_not_named() -> None:
    assert price_form([100, 300, 1]) is None
