"""The built-in leverage models against their formulas."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import strategies
from bot.market.evaluator import Features
from bot.market.feature_table import unknown_features
from bot.sizing.quoting import as_quoting
from bot.sizing.strategy import StrategyError


def features(ratio: list[float]) -> Features:
    unknown = np.full(len(ratio), math.nan)
    return Features(*(np.array(ratio) if name == "liquidity_ratio" else unknown for name in Features._fields))


def test_constant_has_no_factors_so_that_their_product_is_one() -> None:
    factors = strategies.load("constant", {}).factors(features([0.5, math.nan]))
    assert factors.shape == (0, 2)
    assert factors.prod(axis=0).tolist() == [1.0, 1.0]


def test_liquidity_weighted_meets_the_seed_vector() -> None:
    strategy = strategies.load("liquidity-weighted", {"alpha": 1})
    assert 5 * strategy.factors(features([0.6]))[0, 0] == pytest.approx(3.0, rel=1e-12)


@given(st.floats(1e-6, 1e6), st.floats(0.1, 2), st.floats(0.05, 1), st.floats(1, 3))
def test_the_liquidity_factor_is_a_bounded_power(ratio: float, alpha: float, floor: float, cap: float) -> None:
    strategy = strategies.load("liquidity-weighted", {"alpha": alpha, "floor": floor, "cap": cap})
    (found,) = strategy.factors(features([ratio]))[0]
    assert found == pytest.approx(min(max(ratio**alpha, floor), cap), rel=1e-12)


def test_an_unknown_liquidity_is_an_unknown_factor() -> None:
    assert math.isnan(strategies.load("liquidity-weighted", {}).factors(features([math.nan]))[0, 0])


@pytest.mark.parametrize("parameters", [{"alpha": 0}, {"floor": 0}, {"floor": 1.1}, {"cap": 0.9}])
def test_bounds_that_make_no_sense_are_refused(parameters: dict[str, float]) -> None:
    with pytest.raises(StrategyError, match="needs alpha > 0 and 0 < floor <= 1 <= cap"):
        strategies.load("liquidity-weighted", parameters)


def test_an_unknown_name_is_answered_with_the_names_there_are() -> None:
    with pytest.raises(StrategyError, match=r"'martingale' is not available; there are: .*constant"):
        strategies.load("martingale", {})


@pytest.mark.parametrize("name", sorted(strategies.BUILT_IN))
def test_every_built_in_loads_and_gives_a_factor_a_name_and_symbol(name: str) -> None:
    strategy = strategies.load(name, {})
    assert strategy.name == name
    shown = unknown_features(3) if as_quoting(strategy) else features([1.0, math.nan, 0.2])
    assert strategy.factors(shown).shape == (len(strategy.factor_names), 3)  # type: ignore[arg-type]
