"""Numbers as people read them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.dashboard import formats
from bot.dashboard.words.catalogue import Words


@pytest.mark.parametrize(
    ("number", "digits", "sign", "text"),
    [
        (1234.5, 2, False, "1,234.50"),
        (-1234.5, 0, False, "−1,234"),
        (0.335, 2, True, "+0.34"),
        (-0.001, 2, True, "0.00"),
        (0.0, 1, True, "0.0"),
        (None, 2, True, None),
    ],
)
def test_a_number_has_its_digits_its_sign_and_thousands_apart(
    number: float | None, digits: int, sign: bool, text: str | None
) -> None:
    assert formats.fixed(number, digits, sign=sign) == text


def test_money_has_the_digits_of_its_currency() -> None:
    assert formats.money(1234567.891, "USD") == "1,234,567.89"
    assert formats.money(1234567.891, "JPY", sign=True) == "+1,234,568"
    assert formats.money(None, "USD") is None


def test_a_leverage_has_two_decimals_below_ten_and_a_sign() -> None:
    assert [formats.leverage(x) for x in (0.33, -2.196, 12.34)] == ["+0.33", "−2.20", "+12.3"]
    assert formats.leverage(3.0, sign=False) == "3.00" and formats.leverage(None) is None


def test_a_fraction_is_shown_in_hundredths() -> None:
    assert [formats.percent(x) for x in (0.00053, 0.125, 9.43)] == ["0.05", "12.5", "943"]
    assert formats.percent(None) is None


def test_lots_and_prices_keep_what_means_something() -> None:
    assert [formats.lots(x) for x in (0.01, 123.45, 1234.5)] == ["0.01", "123.5", "1,234"]
    assert formats.price(1.1, 5) == "1.10000" and formats.price(2399.5, 2) == "2399.50"
    assert formats.price(1.1, None) == "1.10000"
    assert formats.lots(None) is None and formats.price(None, 5) is None


@pytest.mark.parametrize(
    ("number", "text"),
    [(0.0001, "0.0001"), (0.05, "0.05"), (0.012345, "0.0123"), (-0.0002, "−0.0002"), (0.0, "0.00"), (0.1234, "0.12")],
)
def test_a_volume_that_is_small_is_never_shown_as_none(number: float, text: str) -> None:
    assert formats.lots(number) == text


@pytest.mark.parametrize(
    ("span_s", "english", "japanese"),
    [
        (0.25, "0.2 s", "0.2秒"),
        (-1.0, "0.0 s", "0.0秒"),
        (42.9, "42 s", "42秒"),
        (185, "3 min 5 s", "3分5秒"),
        (7440, "2 h 4 min", "2時間4分"),
        (266400, "3 d 2 h", "3日2時間"),
        (None, None, None),
    ],
)
def test_a_span_is_in_the_largest_unit_that_fits(
    span_s: float | None, english: str | None, japanese: str | None
) -> None:
    assert (Words("en").span(span_s), Words("ja").span(span_s)) == (english, japanese)


def test_times_are_in_utc() -> None:
    assert formats.clock("2023-11-14T22:13:40.070Z") == "22:13:40"
    assert formats.day_and_clock("2023-11-14T22:13:40.070Z") == "2023-11-14 22:13:40"
    assert formats.clock(None) is None and formats.day_and_clock(None) is None


@given(st.floats(-1e9, 1e9), st.integers(0, 5))
def test_what_is_shown_is_the_number(number: float, digits: int) -> None:
    shown = formats.fixed(number, digits, sign=True)
    assert shown is not None
    assert float(shown.replace(",", "").replace(formats.MINUS, "-")) == pytest.approx(round(number, digits), abs=1e-9)
