"""Margin tiers against the published example and a dollar-by-dollar oracle."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.sim.margin import bracketed_margin_usd, joined_margin

TIERS = ((1_000_000, 500), (5_000_000, 200))


def test_the_published_example_is_met() -> None:
    assert bracketed_margin_usd(Decimal(0), Decimal(1_213_450), TIERS, 500) == Decimal("3067.25")


@given(st.integers(0, 60), st.integers(0, 60), st.integers(1, 600))
def test_margin_is_the_sum_over_every_single_dollar(start: int, length: int, account_leverage: int) -> None:
    tiers = ((10, 500), (25, 200), (40, 100))
    naive = Decimal(0)
    for dollar in range(start, start + length):
        leverage = next((ratio for upper, ratio in tiers if dollar < upper), 100)
        naive += Decimal(1) / min(leverage, account_leverage)
    margin = bracketed_margin_usd(Decimal(start), Decimal(start + length), tiers, account_leverage)
    assert abs(margin - naive) < Decimal("1e-20")


@given(st.integers(0, 10**7), st.integers(0, 10**7))
def test_two_slices_have_the_margin_of_the_whole(first: int, second: int) -> None:
    whole = bracketed_margin_usd(Decimal(0), Decimal(first + second), TIERS, 500)
    parts = bracketed_margin_usd(Decimal(0), Decimal(first), TIERS, 500) + bracketed_margin_usd(
        Decimal(first), Decimal(first + second), TIERS, 500
    )
    assert abs(whole - parts) < Decimal("1e-15")


@pytest.mark.parametrize(("rule", "joined"), [("MAX", 70), ("SUM", 100), ("NET", 40)])
def test_the_sides_of_a_symbol_are_joined_by_the_rule(rule: str, joined: int) -> None:
    assert joined_margin(30, 70, rule) == joined_margin(70, 30, rule) == joined
