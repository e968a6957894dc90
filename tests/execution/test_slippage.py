"""Slippage split by who gained from it, the averages behind it, and the warning of last look."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.execution.slippage import Slippage
from bot.execution.weighted_mean import WeightedMean

samples = st.lists(st.tuples(st.floats(-50, 50), st.floats(1.0, 1e6)), max_size=60)


def after(*slippages: float) -> Slippage:
    split = Slippage()
    for slippage in slippages:
        split.add(slippage, 1000.0)
    return split


@given(samples.filter(bool), st.floats(1.0, 100.0))
def test_a_mean_weighs_by_notional_and_by_half_after_a_half_life_of_fills(
    fed: list[tuple[float, float]], half_life: float
) -> None:
    mean = WeightedMean(half_life)
    for sample, weight in fed:
        mean.add(sample, weight)
    faded = [w * 0.5 ** ((len(fed) - 1 - i) / half_life) for i, (_, w) in enumerate(fed)]
    expected = sum(w * x for w, (x, _) in zip(faded, fed, strict=True)) / sum(faded)
    assert mean.mean == pytest.approx(expected, rel=1e-9, abs=1e-9)
    assert mean.count == len(fed)


def test_a_mean_leaves_out_what_is_no_number_and_what_weighs_nothing() -> None:
    mean = WeightedMean()
    for sample, weight in [(math.nan, 1.0), (math.inf, 1.0), (1.0, 0.0), (1.0, -1.0), (1.0, math.inf), (1.0, math.nan)]:
        mean.add(sample, weight)
    assert mean.count == 0
    assert math.isnan(mean.mean)


@given(samples)
def test_what_went_against_us_less_what_went_for_us_is_the_mean(fed: list[tuple[float, float]]) -> None:
    split, mean = Slippage(), WeightedMean()
    for slippage, notional in fed:
        split.add(slippage, notional)
        mean.add(slippage, notional)
    assert split.adverse.mean - split.favourable.mean == pytest.approx(mean.mean, abs=1e-9, nan_ok=True)
    assert not fed or (split.adverse.mean >= 0.0 and split.favourable.mean >= 0.0)


def test_ten_orders_that_all_went_against_us_are_a_warning_and_nine_are_not() -> None:
    assert not after(*[0.5] * 9).is_adverse_only
    assert after(*[0.5] * 10).is_adverse_only
    assert not after(*[-0.5] * 30).is_adverse_only


def test_orders_filled_as_predicted_warn_of_nothing() -> None:
    assert not after(*[0.009] * 100).is_adverse_only
    assert not after(*[0.5] * 5, *[0.0] * 100).is_adverse_only


def test_a_venue_that_passes_on_both_sides_is_hardly_ever_warned_of() -> None:
    source = random.Random(11)
    warned = [after(*[source.gauss(0.0, 1.0) for _ in range(40)]).is_adverse_only for _ in range(200)]
    assert sum(warned) == 0


def test_a_venue_that_keeps_nine_in_ten_of_the_gains_is_found_out() -> None:
    source = random.Random(11)
    drawn = [source.gauss(0.0, 1.0) for _ in range(200)]
    assert after(*[x if x > 0 or source.random() < 0.1 else 0.0 for x in drawn]).is_adverse_only


def test_the_warning_ends_when_the_venue_improves() -> None:
    assert not after(*[0.5] * 50, *[0.5, -0.5] * 40).is_adverse_only


def test_slippage_that_is_not_known_is_left_out() -> None:
    split = after(math.nan)
    split.add(1.0, 0.0)
    assert math.isnan(split.adverse.mean) and math.isnan(split.favourable.mean)
