"""Chains of symbols between currencies: exact, and unknown as soon as one link is."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.account.conversion import Conversions, ConversionStep

MIDS = np.array([1.25, 150.0, 0.8])
# Symbols: 0 GBPUSD, 1 USDJPY, 2 EURGBP; into JPY.
INTO_JPY = Conversions(
    {
        "JPY": (),
        "USD": (ConversionStep(1, invert=False),),
        "GBP": (ConversionStep(0, invert=False), ConversionStep(1, invert=False)),
        "EUR": (ConversionStep(2, invert=False), ConversionStep(0, invert=False), ConversionStep(1, invert=False)),
    }
)


def test_a_chain_multiplies_its_links_and_an_empty_one_is_one() -> None:
    rates = [INTO_JPY.rate(asset, MIDS) for asset in ("JPY", "USD", "GBP", "EUR")]
    assert rates == pytest.approx([1.0, 150.0, 187.5, 150.0])


def test_without_a_chain_there_is_no_rate() -> None:
    assert math.isnan(INTO_JPY.rate("SEK", MIDS))


def test_a_stale_link_makes_the_rates_through_it_unknown_and_no_others() -> None:
    mids = np.array([math.nan, 150.0, 0.8])
    rates = [INTO_JPY.rate(asset, mids) for asset in ("JPY", "USD", "GBP", "EUR")]
    assert np.isnan(rates).tolist() == [False, False, True, True]


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), max_size=5), st.lists(st.integers(1, 999), min_size=5))
def test_a_chain_equals_its_exact_fraction_and_the_way_back_its_inverse(
    links: list[tuple[int, bool]], prices: list[int]
) -> None:
    there = tuple(ConversionStep(i, invert) for i, invert in links)
    back = tuple(ConversionStep(i, not invert) for i, invert in reversed(links))
    chains = Conversions({"A": there, "B": back})
    mids = np.array([p / 8 for p in prices])
    exact = Fraction(1)
    for i, invert in links:
        exact = exact / (Fraction(prices[i]) / 8) if invert else exact * Fraction(prices[i]) / 8
    assert chains.rate("A", mids) == pytest.approx(float(exact), rel=1e-12)
    assert chains.rate("A", mids) * chains.rate("B", mids) == pytest.approx(1.0, rel=1e-12)
