"""The Beta distribution against exact binomial sums, and its quantiles against the function they invert."""

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.execution.beta import beta_quantile, incomplete_beta

counts = st.integers(1, 60)
parameters = st.floats(0.5, 200.0)


def binomial_tail(x: Fraction, a: int, b: int) -> float:
    """Return the probability of a successes or more in a + b - 1 trials, in exact arithmetic."""
    n = a + b - 1
    return float(sum(math.comb(n, j) * x**j * (1 - x) ** (n - j) for j in range(a, n + 1)))


@given(st.floats(0.0, 1.0), counts, counts)
def test_with_whole_parameters_it_is_the_tail_of_a_binomial_distribution(x: float, a: int, b: int) -> None:
    assert incomplete_beta(x, a, b) == pytest.approx(binomial_tail(Fraction(x), a, b), rel=1e-11, abs=1e-14)


@given(st.floats(1e-6, 1 - 1e-6), parameters, parameters)
def test_swapping_the_sides_gives_the_rest(x: float, a: float, b: float) -> None:
    assert incomplete_beta(x, a, b) + incomplete_beta(1.0 - x, b, a) == pytest.approx(1.0, abs=1e-9)


@given(st.floats(1e-6, 1 - 1e-6), parameters, parameters)
def test_a_quantile_has_its_probability_below_it(probability: float, a: float, b: float) -> None:
    x = beta_quantile(probability, a, b)
    assert 0.0 < x < 1.0 or incomplete_beta(1.0 - 2.0**-52, a, b) < probability
    # Within what one more or less of the last place of x changes.
    below, above = incomplete_beta(x - 1e-15, a, b), incomplete_beta(x + 1e-15, a, b)
    assert below - 1e-12 <= probability <= above + 1e-12


@pytest.mark.parametrize(
    ("probability", "a", "b", "expected"),
    [
        (0.1, 6.5, 1.5, 0.628602),
        (0.1, 4.0, 1.0, 0.1**0.25),
        (0.3, 1.0, 1.0, 0.3),
        (0.9, 1.0, 3.0, 1 - 0.1 ** (1 / 3)),
        (0.5, 7.0, 7.0, 0.5),
        (0.0, 4.0, 1.0, 0.0),
        (1.0, 4.0, 1.0, 1.0),
    ],
)
def test_quantiles_that_are_known_otherwise(probability: float, a: float, b: float, expected: float) -> None:
    assert beta_quantile(probability, a, b) == pytest.approx(expected, abs=5e-7)


def test_outside_of_its_range_everything_or_nothing_is_below() -> None:
    assert (incomplete_beta(-1.0, 2.0, 3.0), incomplete_beta(2.0, 2.0, 3.0)) == (0.0, 1.0)


@pytest.mark.parametrize(("x", "a", "b"), [(0.5, 0.0, 1.0), (0.5, 1.0, -1.0), (0.5, math.inf, 1.0), (math.nan, 1, 1)])
def test_what_is_no_beta_distribution_is_refused(x: float, a: float, b: float) -> None:
    with pytest.raises(ValueError, match="positive parameters"):
        incomplete_beta(x, a, b)


def test_what_is_no_probability_is_refused() -> None:
    for probability in (-0.1, 1.1, math.nan):
        with pytest.raises(ValueError, match="a probability lies in"):
            beta_quantile(probability, 2.0, 2.0)


def test_a_fraction_that_does_not_settle_says_so() -> None:
    with pytest.raises(ArithmeticError, match="does not settle"):
        incomplete_beta(0.5, 1e12, 1e12)
