"""Market-making quotes against the published numbers, their plain twins, and what must hold whatever the numbers."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.sizing.inventory import (
    avellaneda_stoikov,
    distances,
    plain_avellaneda_stoikov,
    plain_stationary,
    stationary,
)

POSITIVE = st.floats(1e-3, 1e3)
PARAMETERS = st.tuples(st.floats(1e-3, 1.0), st.floats(1e-2, 10.0), st.floats(1e-3, 10.0), st.sampled_from([0.0, 30.0]))
INVENTORIES = st.lists(st.floats(-20, 20), min_size=1, max_size=6)


def quoted(
    inventory: list[float], most: float, sigma: float, parameters: tuple[float, float, float, float]
) -> tuple[np.ndarray, np.ndarray]:
    gamma, k, intensity, horizon_s = parameters
    n = len(inventory)
    return distances(
        np.array(inventory),
        np.full(n, most),
        np.full(n, sigma),
        gamma=gamma,
        k=k,
        intensity=intensity,
        horizon_s=horizon_s,
    )


def test_avellaneda_stoikov_meets_the_vector() -> None:
    bid, ask, offset = avellaneda_stoikov(2.0, 0.1, 2.0, 1.5, 1.0)
    assert 100 + offset == pytest.approx(99.2, rel=1e-12)
    assert bid + ask == pytest.approx(1.690770, abs=5e-7)
    assert (100 - bid, 100 + ask) == (pytest.approx(98.354615, abs=5e-7), pytest.approx(100.045385, abs=5e-7))


def test_the_stationary_quotes_meet_the_vector() -> None:
    bid, ask, _ = stationary(0.0, 0.01, 0.3, 0.3, 0.9)
    assert bid == ask == pytest.approx(3.312915, abs=5e-7)
    bid, ask, offset = stationary(2.0, 0.01, 0.3, 0.3, 0.9)
    assert (bid, ask) == (pytest.approx(3.448647, abs=5e-7), pytest.approx(3.177184, abs=5e-7))
    assert -offset / 2 == pytest.approx(0.067866, abs=5e-7), "w, the skew of one lot"
    assert bid - 2.5 * (-offset / 2) == pytest.approx(3.278982, abs=5e-7), "c, what is left without inventory risk"


@given(st.floats(-50, 50), POSITIVE, PARAMETERS)
def test_the_compiled_functions_are_their_plain_twins(
    inventory: float, sigma: float, parameters: tuple[float, float, float, float]
) -> None:
    gamma, k, intensity, _ = parameters
    q, s = np.array([inventory]), np.array([sigma])
    for compiled, plain in (
        (avellaneda_stoikov(inventory, gamma, sigma, k, 7.0), plain_avellaneda_stoikov(q, gamma, s, k, 7.0)),
        (stationary(inventory, gamma, sigma, k, intensity), plain_stationary(q, gamma, s, k, intensity)),
    ):
        size = max(abs(compiled[0]), abs(compiled[1]))  # of what is subtracted, which the difference may not show
        for mine, other in zip(compiled, plain, strict=True):
            assert mine == pytest.approx(float(other[0]), rel=1e-9, abs=1e-9 * size)


@given(INVENTORIES, POSITIVE, PARAMETERS)
def test_quotes_bracket_the_reservation_price(
    inventory: list[float], sigma: float, parameters: tuple[float, float, float, float]
) -> None:
    quotes, offsets = quoted(inventory, math.inf, sigma, parameters)
    assert (-quotes[:, 0] < offsets).all()
    assert (offsets < quotes[:, 1]).all()


@given(INVENTORIES, POSITIVE, PARAMETERS)
def test_the_more_is_held_the_lower_both_quotes_lie(
    inventory: list[float], sigma: float, parameters: tuple[float, float, float, float]
) -> None:
    quotes, offsets = quoted(sorted(inventory), math.inf, sigma, parameters)
    for falling in (-quotes[:, 0], quotes[:, 1], offsets):
        assert (np.diff(falling) <= 1e-12 * np.abs(falling).max()).all()
    assert (offsets * np.sort(inventory) <= 0).all(), "the reservation price lies on the side that sheds"


@given(INVENTORIES, st.floats(0, 10), POSITIVE, PARAMETERS)
def test_a_side_whose_fill_would_pass_the_limit_is_not_quoted(
    inventory: list[float], most: float, sigma: float, parameters: tuple[float, float, float, float]
) -> None:
    quotes, _ = quoted(inventory, most, sigma, parameters)
    for held, (bid, ask) in zip(inventory, quotes, strict=True):
        assert math.isnan(bid) == (not (held < 0 or held + 1 <= most + 1e-9))
        assert math.isnan(ask) == (not (held > 0 or held - 1 >= -most - 1e-9))


def test_with_an_unknown_limit_only_the_side_that_sheds_is_quoted() -> None:
    quotes, _ = quoted([3.0, 0.0, -3.0], math.nan, 1.0, (0.01, 1.5, 0.1, 0.0))
    assert np.isnan(quotes).tolist() == [[True, False], [True, True], [False, True]]


def test_an_unknown_volatility_quotes_nothing() -> None:
    quotes, offsets = quoted([0.0, 2.0], 5.0, math.nan, (0.01, 1.5, 0.1, 0.0))
    assert np.isnan(quotes).all() and np.isnan(offsets).all()
