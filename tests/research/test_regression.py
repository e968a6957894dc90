"""Fits and scores against oracles that do not share their method: normal equations, pair counting, numpy's own."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.research.regression import (
    area_under_curve,
    autocorrelation,
    correlation,
    explained,
    half_split_r_squared,
    least_squares,
)

RANDOM = np.random.default_rng(5)


def _noisy_line(count: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    inputs = RANDOM.normal(size=(count, width)) * np.arange(1, width + 1)
    return inputs, 2.0 + inputs @ np.linspace(-1, 1, width) + RANDOM.normal(size=count)


def test_least_squares_solves_the_normal_equations() -> None:
    inputs, outcomes = _noisy_line(50, 3)
    fit = least_squares(inputs, outcomes)
    design = np.column_stack([np.ones(50), inputs])
    expected = np.linalg.inv(design.T @ design) @ design.T @ outcomes
    assert [fit.intercept, *fit.slopes] == pytest.approx(expected, rel=1e-12)


def test_r_squared_of_one_input_is_the_squared_correlation() -> None:
    inputs, outcomes = _noisy_line(50, 1)
    expected = np.corrcoef(inputs[:, 0], outcomes)[0, 1] ** 2
    assert least_squares(inputs[:, 0], outcomes).r_squared == pytest.approx(expected, rel=1e-12)


def test_adjusted_r_squared_compares_unbiased_variances() -> None:
    inputs, outcomes = _noisy_line(30, 4)
    fit = least_squares(inputs, outcomes)
    residuals = outcomes - fit.intercept - inputs @ fit.slopes
    expected = 1 - (residuals @ residuals / (30 - 4 - 1)) / outcomes.var(ddof=1)
    assert fit.adjusted_r_squared == pytest.approx(expected, rel=1e-12)


def test_a_planted_line_is_found_exactly_and_rows_with_gaps_are_left_out() -> None:
    inputs = np.array([0.0, 1.0, math.nan, 3.0, 7.0])
    fit = least_squares(inputs, np.array([1.0, 3.0, 99.0, 7.0, math.nan]))
    assert (fit.intercept, fit.slopes[0], fit.r_squared) == pytest.approx((1.0, 2.0, 1.0))


def test_outcomes_that_do_not_vary_have_no_r_squared() -> None:
    assert math.isnan(explained(np.ones(4), np.zeros(4)))


def test_a_prediction_worse_than_the_mean_has_a_negative_r_squared() -> None:
    assert explained(np.array([0.0, 1.0]), np.array([1.0, 0.0])) == -3.0


def test_a_half_split_without_penalty_is_least_squares_on_the_first_half() -> None:
    inputs, outcomes = _noisy_line(80, 3)
    fit = least_squares(inputs[:40], outcomes[:40])
    expected = explained(outcomes[40:], fit.intercept + inputs[40:] @ fit.slopes)
    assert half_split_r_squared(inputs, outcomes, 0.0) == pytest.approx(expected, rel=1e-9)


def test_ridge_is_least_squares_with_rows_that_pull_the_slopes_to_zero() -> None:
    inputs, outcomes = _noisy_line(60, 2)
    half, penalty = 30, 0.05
    centre, scale = inputs[:half].mean(axis=0), inputs[:half].std(axis=0)
    standard = (inputs - centre) / scale
    level = outcomes[:half].mean()
    pulled = np.vstack([standard[:half], math.sqrt(penalty * half) * np.eye(2)])
    slopes = np.linalg.lstsq(pulled, np.append(outcomes[:half] - level, [0.0, 0.0]), rcond=None)[0]
    expected = explained(outcomes[half:], level + standard[half:] @ slopes)
    assert half_split_r_squared(inputs, outcomes, penalty) == pytest.approx(expected, rel=1e-9)


def test_an_input_that_does_not_vary_in_the_first_half_is_harmless() -> None:
    inputs = np.column_stack([np.repeat([0.0, 1.0], 5), np.arange(10.0)])
    assert half_split_r_squared(inputs, np.arange(10.0) * 2, 0.0) == pytest.approx(1.0)


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=25))
def test_area_under_the_curve_counts_pairs_and_a_tie_counts_half(cases: list[tuple[int, bool]]) -> None:
    positives = [score for score, is_positive in cases if is_positive]
    negatives = [score for score, is_positive in cases if not is_positive]
    area = area_under_curve(np.array([score for score, _ in cases], float), np.array([kind for _, kind in cases]))
    if not positives or not negatives:
        assert math.isnan(area)
        return
    wins = sum((high > low) + (high == low) / 2 for high in positives for low in negatives)
    assert area == pytest.approx(wins / (len(positives) * len(negatives)), rel=1e-12)


def test_a_perfect_score_has_area_one_a_reversed_one_zero_and_a_random_one_a_half() -> None:
    is_positive = RANDOM.random(20_000) < 0.3
    assert area_under_curve(is_positive.astype(float), is_positive) == 1.0
    assert area_under_curve(-is_positive.astype(float), is_positive) == 0.0
    assert area_under_curve(RANDOM.random(20_000), is_positive) == pytest.approx(0.5, abs=0.02)


def test_correlation_uses_the_rows_that_both_know() -> None:
    left, right = RANDOM.normal(size=(2, 40))
    left[3], right[7] = math.nan, math.inf
    rows = np.setdiff1d(np.arange(40), [3, 7])
    assert correlation(left, right) == pytest.approx(np.corrcoef(left[rows], right[rows])[0, 1], rel=1e-12)


def test_autocorrelation_of_a_first_order_process_falls_as_a_power_and_gaps_keep_their_place() -> None:
    series = np.zeros(40_000)
    for row, shock in enumerate(RANDOM.normal(size=39_999), 1):
        series[row] = 0.8 * series[row - 1] + shock
    series[::7] = math.nan
    assert autocorrelation(series, 1) == pytest.approx(0.8, abs=0.02)
    assert autocorrelation(series, 3) == pytest.approx(0.8**3, abs=0.02)
