"""Market making: what its factors and quotes are on a table made by hand."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import strategies
from bot.market.feature_table import unknown_features
from bot.sizing.inventory import plain_stationary
from bot.sizing.quoting import as_quoting
from bot.sizing.strategy import StrategyError

PIP = np.array([1e-4])
CALM = {
    "bid": 1.09999,
    "ask": 1.10002,
    "mid": 1.100005,
    "spread_bps": 0.25,
    "mean_spread_bps": 0.3,
    "depth_bid": 1.1,
    "depth_ask": 1.10002,
    "weighted_mid": 1.10001,
    "buy_impact_bps": 1.0,
    "sell_impact_bps": 1.2,
    "usual_impact_bps": 1.2,
    "volatility_bps": 0.2,
    "usual_volatility_bps": 0.2,
    "liquidity_ratio": 1.0,
}


def table(**changes: float) -> np.ndarray:
    made = unknown_features(1)
    for name, known in (CALM | changes).items():
        made[name] = known
    return made


def quotes(held: float, *, limit: float = 50_000.0, lot: float = 10_000.0, on: np.ndarray | None = None, **own: Any):
    strategy = strategies.load("market-making", own)
    on = table() if on is None else on
    return strategy.quotes(on, np.array([held]), np.array([limit]), np.array([lot]), PIP)[0]


def test_it_quotes_and_has_a_direction() -> None:
    strategy = strategies.load("market-making", {})
    assert as_quoting(strategy) is strategy
    assert strategy.has_direction
    assert as_quoting(strategies.load("constant", {})) is None


def test_the_factors_are_those_of_the_composite() -> None:
    found = strategies.load("market-making", {"beta": 1.0}).factors(
        table(volatility_bps=0.25, liquidity_ratio=0.6, sell_impact_bps=1.44)
    )
    assert found[:, 0] == pytest.approx([0.8, 0.6**0.5, 1 / 1.2], rel=1e-12)


@pytest.mark.parametrize(
    ("field", "row"), [("volatility_bps", 0), ("liquidity_ratio", 1), ("usual_impact_bps", 2), ("buy_impact_bps", 2)]
)
def test_what_is_unknown_makes_its_factor_unknown_and_no_other(field: str, row: int) -> None:
    found = strategies.load("market-making", {}).factors(table(**{field: math.nan}))
    assert np.isnan(found[:, 0]).tolist() == [i == row for i in range(3)]


def test_a_factor_that_is_switched_off_is_one_whatever_is_unknown() -> None:
    off = strategies.load("market-making", {"alpha": 0, "beta": 0, "volatility_power": 0})
    assert off.factors(unknown_features(1))[:, 0].tolist() == [1.0, 1.0, 1.0]


def test_the_quotes_are_the_models_in_usual_spreads() -> None:
    spread = 0.3e-4 * 1.10001
    sigma = 0.2e-4 * 1.10001 / spread
    bid, ask, _ = plain_stationary(np.array([2.0]), 0.01, np.array([sigma]), 1.5, 0.1)
    assert quotes(20_000)[0] == pytest.approx(bid[0] * spread, rel=1e-9)
    assert quotes(20_000, gamma=0.001)[1] == pytest.approx(
        plain_stationary(np.array([2.0]), 0.001, np.array([sigma]), 1.5, 0.1)[1][0] * spread, rel=1e-9
    )
    assert quotes(20_000)[1] == pytest.approx(max(ask[0] * spread, 1.1 + 1e-5 - 1.10001), rel=1e-9)


@given(st.floats(-60_000, 60_000), st.floats(0, 0.3), st.floats(0.5, 3))
def test_no_quote_reaches_the_other_side_of_the_touch(held: float, gamma: float, k: float) -> None:
    on = table()
    bid, ask = quotes(held, limit=math.inf, on=on, gamma=gamma + 1e-3, k=k)
    reference = float(on["weighted_mid"][0])
    assert reference - bid <= 1.10002 - 1e-5 + 1e-12
    assert reference + ask >= 1.1 + 1e-5 - 1e-12


def test_what_is_held_moves_both_quotes_to_the_side_that_sheds_it() -> None:
    flat, long, short = quotes(0), quotes(20_000), quotes(-20_000)
    assert long[0] > flat[0] > short[0] > 0
    strategy = strategies.load("market-making", {})
    at = [strategy.reservation(table(), np.array([q]), np.array([1e4]), PIP)[0] for q in (-2e4, 0.0, 2e4)]
    assert at[0] > at[1] > at[2]
    assert at[1] == pytest.approx(1.10001, rel=1e-12)


def test_nothing_is_quoted_that_would_pass_the_limit() -> None:
    assert np.isnan(quotes(41_000)).tolist() == [True, False]
    assert np.isnan(quotes(-41_000)).tolist() == [False, True]
    assert np.isnan(quotes(0, limit=9_000)).all()
    assert np.isnan(quotes(20_000, limit=math.nan)).tolist() == [True, False]


@pytest.mark.parametrize("missing", ["weighted_mid", "volatility_bps"])
def test_without_a_price_or_a_volatility_nothing_is_quoted(missing: str) -> None:
    assert np.isnan(quotes(10_000, on=table(**{missing: math.nan}))).all()


def test_a_prior_stands_in_for_a_volatility_that_is_not_measured_yet() -> None:
    unknown = table(volatility_bps=math.nan)
    assert quotes(0, on=unknown, volatility_prior_bps=0.2) == pytest.approx(quotes(0))
    assert quotes(0, on=table(), volatility_prior_bps=9.0) == pytest.approx(quotes(0)), "what is measured counts"


def test_without_a_mean_spread_the_present_one_is_taken_and_a_locked_feed_has_a_floor() -> None:
    assert quotes(0, on=table(mean_spread_bps=math.nan, spread_bps=0.3)) == pytest.approx(quotes(0))
    locked = quotes(0, on=table(mean_spread_bps=0.0))
    assert (locked > 0).all()


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"gamma": 0}, "gamma > 0"),
        ({"k": -1}, "k > 0"),
        ({"intensity": 0}, "intensity > 0"),
        ({"quote_frac": 0}, "0 < quote_frac <= 1"),
        ({"quote_frac": 1.5}, "0 < quote_frac <= 1"),
        ({"horizon_s": -1}, "of 0 or more"),
        ({"floor": 2}, "floor <= 1"),
        ({"lots": 2}, "no parameter 'lots'"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(parameters: dict[str, float], said: str) -> None:
    with pytest.raises(StrategyError, match=said):
        strategies.load("market-making", parameters)
