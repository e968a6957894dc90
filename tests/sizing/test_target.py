"""From leverage to volume: on the grid, never too much, and always able to heal."""

import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.market.symbols import SymbolSpec
from bot.sizing.target import target_volume_cents


def spec(smallest: int = 100_000, step: int = 100_000, largest: int = 1_000_000_000) -> SymbolSpec:
    return SymbolSpec(1, "EURUSD", "EUR", "USD", 5, 4, 10_000_000, smallest, step, largest)


SPECS = st.builds(
    spec,
    smallest=st.sampled_from([1, 1000, 1500, 100_000]),
    step=st.sampled_from([1, 1000, 700]),
    largest=st.sampled_from([100_000, 1_000_000_000]),
)


@given(SPECS, st.integers(-(10**7), 10**7), st.floats(-20, 20), st.floats(0.5, 2), st.floats(100, 1e5), st.booleans())
def test_every_change_is_tradable_and_never_goes_too_far(
    symbol: SymbolSpec, held: int, leverage: float, unit_notional: float, equity: float, urgent: bool
) -> None:
    target = target_volume_cents(symbol, held, leverage, unit_notional, equity, urgent=urgent)
    wanted = 100 * Decimal(leverage) * Decimal(equity) / Decimal(unit_notional)
    change = target - held
    if change == 0:
        return
    assert target * held >= 0, "the other side only from flat"
    if target == 0:
        return  # a full close is exact, whatever the grid
    assert abs(change) >= symbol.min_volume_cents
    assert change % symbol.step_volume_cents == 0
    if abs(target) > abs(held):
        assert change <= symbol.max_volume_cents
        assert abs(target) <= abs(wanted) + Decimal("1e-5")
    elif urgent:
        assert abs(target) <= abs(wanted) + Decimal("1e-5"), "it heals"
    else:
        assert abs(target) >= abs(wanted) - Decimal("1e-5"), "it may stop short"


def test_a_change_of_exactly_one_step_survives_the_division() -> None:
    # 0.3 x 1000 / 0.3 is 999.9999... in floats.
    assert target_volume_cents(spec(), 0, 0.3, 0.3, 1000.0) == 100_000


def test_below_the_minimum_nothing_changes_unless_a_limit_is_broken() -> None:
    assert target_volume_cents(spec(), 300_000, 2.5, 1.0, 1000.0) == 300_000
    assert target_volume_cents(spec(), 300_000, 2.5, 1.0, 1000.0, urgent=True) == 200_000
    assert target_volume_cents(spec(), 100_000, 0.9, 1.0, 1000.0, urgent=True) == 0


def test_an_urgent_cut_off_the_grid_leaves_no_dust() -> None:
    assert target_volume_cents(spec(), 123_456, 0.9, 1.0, 1000.0, urgent=True) == 0
    assert target_volume_cents(spec(), -323_456, -3.0, 1.0, 1000.0, urgent=True) == -223_456


def test_an_urgent_cut_is_a_multiple_of_the_step_when_the_minimum_is_not() -> None:
    assert target_volume_cents(spec(1500, 1000), 10_000, 0.099, 1.0, 1000.0, urgent=True) == 8_000


def test_an_urgent_target_that_is_met_changes_nothing() -> None:
    assert target_volume_cents(spec(), 300_000, 3.0, 1.0, 1000.0, urgent=True) == 300_000
    assert target_volume_cents(spec(), 300_000, 3.0 - 1e-13, 1.0, 1000.0, urgent=True) == 300_000


def test_an_urgent_increase_is_no_reduction_and_is_rounded_as_any_other() -> None:
    assert target_volume_cents(spec(), 300_000, 4.5, 1.0, 1000.0, urgent=True) == 400_000


@pytest.mark.parametrize(
    ("leverage", "unit_notional", "equity"),
    [
        (math.nan, 1.0, 1000.0),
        (math.inf, 1.0, 1000.0),
        (3.0, math.nan, 1000.0),
        (3.0, 0.0, 1000.0),
        (3.0, 1.0, math.nan),
        (3.0, 1.0, -5.0),
    ],
)
def test_an_unknown_input_leaves_what_is_held(leverage: float, unit_notional: float, equity: float) -> None:
    assert target_volume_cents(spec(), 300_000, leverage, unit_notional, equity) == 300_000


def test_a_close_needs_no_price_and_no_equity() -> None:
    assert target_volume_cents(spec(), 123_456, 0.0, math.nan, math.nan) == 0


def test_one_order_changes_by_the_maximum_at_most() -> None:
    assert target_volume_cents(spec(largest=200_000), 0, 9.0, 1.0, 1000.0) == 200_000
