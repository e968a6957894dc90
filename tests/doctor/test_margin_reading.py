"""Margin under both readings of the tiers, against a sum made dollar by dollar."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.account.margin import MarginRules
from bot.ctrader.schema import message
from bot.doctor.margin import Quote, readings_of, side_margin, volumes_to_ask, worst_gap
from bot.sim.listing import default_symbols

EURUSD = default_symbols()[0]
TIERS = ((1_000_000.0, 500.0), (5_000_000.0, 200.0))


def dollar_by_dollar(total: int, account: float) -> float:
    """Naively: each dollar of the open volume pays by the bracket it lies in. Units: 1,000 USD a step."""
    margin = 0.0
    for lower in range(0, total, 1_000):
        tier = next((leverage for upper, leverage in TIERS if lower < upper), TIERS[-1][1])
        margin += 1_000 / min(tier, account)
    return margin


@given(st.integers(0, 8_000), st.integers(1, 8_000), st.sampled_from([30.0, 300.0, 1000.0]))
def test_margin_on_top_of_open_volume_is_the_difference_of_two_sums(opened: int, more: int, account: float) -> None:
    rules = MarginRules(account, "MAX")
    ours = side_margin(rules, TIERS, more * 1_000, (1.0, 1.0), opened * 1_000)
    expected = dollar_by_dollar((opened + more) * 1_000, account) - dollar_by_dollar(opened * 1_000, account)
    assert ours == pytest.approx(expected, rel=1e-9)


def test_the_published_example_comes_out() -> None:
    assert side_margin(MarginRules(500.0, "MAX"), TIERS, 1_213_450, (1.0, 1.0)) == pytest.approx(3_067.25)


def test_both_readings_of_a_table_are_made() -> None:
    table = message("ProtoOADynamicLeverage")(leverageId=1)
    table.tiers.add(volume=500_000_000, leverage=20_000)
    table.tiers.add(volume=100_000_000, leverage=50_000)
    readings = readings_of(table)
    assert readings["ratio"] == ((1_000_000, 50_000), (5_000_000, 20_000))
    assert readings["hundredths"] == ((1_000_000, 500), (5_000_000, 200))


@given(st.floats(0.5, 2.0))
def test_volumes_lie_on_the_grid_start_at_the_smallest_and_reach_the_brackets(usd_per_unit: float) -> None:
    volumes = volumes_to_ask(EURUSD, usd_per_unit, TIERS)
    assert volumes[0] == EURUSD.min_volume_cents
    assert len(volumes) >= 2
    assert all(v % EURUSD.step_volume_cents == 0 and v <= EURUSD.max_volume_cents for v in volumes)
    assert any(1_000_000 < v / 100 * usd_per_unit <= 5_000_000 for v in volumes)


def test_a_gap_of_one_minor_unit_is_rounding_and_an_unknown_margin_stays_unknown() -> None:
    rules = MarginRules(500.0, "MAX")
    rates, flat = (1.0, 1.0), (0.0, 0.0)

    def gap(buy: float, sell: float, rules: MarginRules = rules) -> float:
        return worst_gap([Quote(100_000, buy, sell)], rules, TIERS, rates, flat, 0.01)

    assert gap(2.0, 2.01) == pytest.approx(0.0)
    assert gap(2.0, 4.01) == pytest.approx(2.0 / 4.01)
    assert gap(0.0, 2.0) == math.inf
    assert math.isnan(gap(2.0, 2.0, MarginRules(None, "MAX")))
