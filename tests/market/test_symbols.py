"""Rounding of volumes and prices against decimal arithmetic."""

import math
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.market.symbols import SymbolSpec


def spec(digits: int = 5, smallest: int = 100_000, step: int = 100_000, largest: int = 1_000_000_000) -> SymbolSpec:
    return SymbolSpec(1, "EURUSD", "EUR", "USD", digits, digits - 1, 10_000_000, smallest, step, largest)


@given(st.floats(0, 1e7), st.integers(1, 5_000), st.integers(1, 5_000), st.integers(1, 10**6))
def test_a_rounded_volume_is_the_largest_on_the_grid_that_was_asked_for(
    asked: float, smallest: int, step: int, largest: int
) -> None:
    rounded = spec(smallest=smallest, step=step, largest=largest).round_volume(asked)
    steps = min(Decimal(asked), largest) // step
    expected = int(steps) * step
    assert rounded == (expected if expected >= smallest else 0)
    assert rounded <= asked


@pytest.mark.parametrize("asked", [math.nan, -math.inf, -5.0, 0.0, 99_999.999])
def test_nothing_tradable_rounds_to_nothing(asked: float) -> None:
    assert spec().round_volume(asked) == 0


def test_one_order_takes_the_maximum_at_most() -> None:
    assert spec(largest=1_050_000).round_volume(math.inf) == 1_000_000


@given(st.integers(1, 10**9), st.integers(0, 5))
def test_a_price_has_the_digits_of_its_symbol_and_moves_half_a_point_at_most(price_e7: int, digits: int) -> None:
    price = price_e7 / 1e7
    rounded = spec(digits).round_price(price)
    assert Decimal(repr(rounded)) == round(Decimal(repr(price)), digits)
    assert rounded == spec(digits).round_price(rounded)


def test_a_price_from_an_array_rounds_like_any_other() -> None:
    assert spec(3).round_price(np.array([150.12349])[0]) == 150.123


def test_ticks_pips_and_lots_follow_from_the_digits() -> None:
    assert [spec(digits).tick_e5 for digits in (0, 2, 3, 5, 6)] == [100_000, 1000, 100, 1, 1]
    assert spec(5).pip == 1e-4
    assert spec().lots(2_500_000) == 0.25
