"""The one line that says why: a dozen situations, and that no situation breaks it."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from known_market import calm_market, pair

import strategies
from bot.sizing.bound import Bound
from bot.sizing.explanation import explain
from bot.sizing.leverage import LeverageLimits, LeverageRules, Pace

NAN = math.nan
EURUSD = pair("EURUSD")
COMPOSITE = strategies.load("composite", {})
PATIENT = Pace(warm_up_s=60, persistence_s=30, max_increase_frac_per_min=0.25, band_frac=0.1)


def line(
    held: float,
    side: float = 1.0,
    *,
    strategy: object = COMPOSITE,
    pace: Pace | None = None,
    limit: float = 40.0,
    market: dict | None = None,
    now_ns: int = 0,
    rules: LeverageRules | None = None,
    **inputs: object,
) -> str:
    """Return the explanation of EURUSD at a base of 5, with an equity of 100,000."""
    table = calm_market(1, **market or {})
    rules = rules or LeverageRules(1, pace or Pace(0, 0, None, 0.0), LeverageLimits(limit, 50.0))
    given_inputs = {
        "side": side,
        "base": 5.0,
        "held": held,
        "watched_s": 1e9,
        "minutes_s": 1e9,
        "margin_rate": 1 / 30,
        "unit_notional": 1.1,
    } | inputs
    for name, content in given_inputs.items():
        rules.inputs[name] = content
    factors = strategy.factors(table, np.array([side]))
    targets = rules.targets(table, factors, equity=1e5, foreign=0.0, shrink=1.0, now_ns=now_ns)
    names = strategy.factor_names
    return explain(EURUSD, table[0], names, factors[:, 0], targets.rows[0], base=5.0, held=held)


THIN = {"liquidity_ratio": 0.62, "sell_impact_bps": 0.42, "obi_z": 0.4, "obi_fast": 0.22, "sell_capacity_units": 8e5}


def test_a_thinner_market_than_usual() -> None:
    assert line(3.5, market=THIN, pace=Pace(0, 0, None, 0.2)) == (
        "3.5x of 5x: depth covers 8 lots, volatility 1.0x usual, liquidity 0.62 of usual, impact 1.4x usual, "
        "OBI +0.22, cap 8.8x (exit cost)"
    )


def test_the_constant_one_goes_by_nothing_but_its_caps() -> None:
    strategy = strategies.load("constant", {})
    found = line(5.0, strategy=strategy, market={"sell_capacity_units": 1e7})
    assert found == "5.0x of 5x: depth covers 100 lots, cap 40x (max_symbol_leverage)"


def test_a_short_leaves_by_the_ask() -> None:
    strategy = strategies.load("impact-minimizing", {})
    market = {"buy_impact_bps": 0.6, "buy_capacity_units": 2.5e5, "sell_capacity_units": 9e6}
    assert line(-3.5, -1.0, strategy=strategy, market=market).startswith(
        "-2.7x of 5x: depth covers 2.5 lots, impact 2.0x usual, cap 2.75x (exit cost)"
    )


@pytest.mark.parametrize(
    ("inputs", "why"),
    [
        ({"watched_s": 5.0}, "; warm-up"),
        ({}, "; waits to see whether it lasts"),
        ({"barred": Bound.CALENDAR}, "; no increase: calendar window"),
        ({"barred": Bound.NOT_READY}, "; no increase: not ready"),
        ({"margin_rate": NAN}, "; no increase: a cap is unknown"),
    ],
)
def test_what_keeps_it_from_growing_is_said(inputs: dict, why: str) -> None:
    found = line(1.0, pace=PATIENT, market={"obi_z": 0.0}, **inputs)
    assert found.startswith("holds 1.0x of 5x, wants 5.0x: depth covers 10 lots, ")
    assert found.endswith(why)


def test_a_small_difference_is_within_the_band() -> None:
    found = line(4.8, pace=PATIENT, market={"obi_z": 0.0})
    assert found.startswith("holds 4.8x of 5x, wants 5.0x: ")
    assert found.endswith("; within the no-trade band of 0.5x")


def test_growth_at_the_permitted_rate_says_where_it_stands() -> None:
    rules = LeverageRules(1, PATIENT, LeverageLimits(40, 50))
    line(1.0, rules=rules, market={"obi_z": 0.0})
    found = line(1.0, rules=rules, market={"obi_z": 0.0}, now_ns=60_000_000_000)
    assert found.startswith("to 2.2x of 5x, wants 5.0x: ")
    assert found.endswith("; rate of increase")


@pytest.mark.parametrize(
    ("level", "head", "why"),
    [
        (1, "2.5x of 5x: ", "; crisis level 1: 0.5 of it is left, no increase"),
        (2, "1.2x of 5x: ", "; crisis level 2: 0.25 of it is left, no increase"),
        (3, "0x of 5x: ", "; crisis level 3: closes, no increase"),
    ],
)
def test_a_crisis_is_named_by_its_level(level: int, head: str, why: str) -> None:
    found = line(5.0, market={"crisis_level": level, "obi_z": 0.0})
    assert found.startswith(head)
    assert found.endswith(why)


def test_an_empty_exit_is_waited_out() -> None:
    found = line(5.0, market={"crisis_level": 3, "sell_capacity_units": 0.0}, exit_leverage=0.0)
    assert found.startswith("holds 5.0x of 5x, wants 0x: depth covers 0 lots, ")
    assert found.endswith("; nothing affordable to close against")


def test_a_cut_that_the_book_cannot_take_at_once_says_so() -> None:
    found = line(5.0, market={"crisis_level": 3}, exit_leverage=1.0)
    assert found.startswith("to 4.0x of 5x, wants 0x: ")
    assert found.endswith("; crisis level 3: closes, cut as the book takes it, no increase")
    found = line(5.0, market={"sell_capacity_units": 2e5, "obi_z": 0.0}, exit_leverage=1.0)
    assert found.endswith("cap 2.2x (exit cost); above exit cost, cut as the book takes it")


def test_a_symbol_without_a_book_says_so() -> None:
    market = {"is_spot_only": 1.0, "obi_z": NAN, "obi_fast": NAN, "sell_capacity_units": NAN, "buy_capacity_units": NAN}
    found = line(5.0, market=market)
    assert found == (
        "5.0x of 5x: no depth, volatility 1.0x usual, liquidity 1.00 of usual, impact 1.0x usual, "
        "cap 40x (max_symbol_leverage)"
    )


def test_what_is_unknown_is_called_unknown() -> None:
    found = line(2.0, market={"liquidity_ratio": NAN, "sell_capacity_units": NAN})
    assert found.startswith("holds 2.0x of 5x: depth unknown, volatility 1.0x usual, liquidity unknown, impact 1.0x")
    assert found.endswith("; no increase: a factor is unknown")
    assert line(NAN).startswith("unknown of 5x: ")


def test_a_broken_cap_is_cut_at_once_and_a_wish_at_its_cap_is_limited() -> None:
    market = {"sell_capacity_units": 2e5, "obi_z": 0.0}
    assert line(5.0, market=market).endswith("cap 2.2x (exit cost); above exit cost, cut at once")
    assert line(0.0, market=market).endswith("cap 2.2x (exit cost); limited by exit cost")
    assert line(0.0, limit=3.0, market={"obi_z": 0.0}).endswith("; limited by max_symbol_leverage")


def test_fills_worth_less_than_all_are_told() -> None:
    assert ", fills 0.70, cap" in line(3.0, market={"fill_factor": 0.7})
    assert "fills" not in line(3.0)


def test_a_factor_of_a_users_own_is_shown_as_it_is() -> None:
    table = calm_market(1)
    rules = LeverageRules(1, Pace(0, 0, None, 0.0), LeverageLimits(40, 50))
    rules.inputs["side"], rules.inputs["base"], rules.inputs["watched_s"] = 1.0, 5.0, 1e9
    row = rules.targets(table, np.array([[0.5], [NAN]]), equity=1e5, foreign=0, shrink=1, now_ns=0).rows[0]
    found = explain(EURUSD, table[0], ("carry", "trend"), (0.5, NAN), row, base=5.0, held=0.0)
    assert ", carry 0.50, trend unknown, " in found


FACTS = ("liquidity_ratio", "sell_impact_bps", "usual_impact_bps", "obi_fast", "sell_capacity_units")
FACT = st.one_of(st.floats(-10, 1e7), st.sampled_from([NAN, math.inf, 0.0]))


@given(
    st.fixed_dictionaries(
        dict.fromkeys(FACTS, FACT) | {"crisis_level": st.integers(0, 3), "is_spot_only": st.sampled_from([0.0, 1.0])}
    ),
    st.floats(-9, 9) | st.just(NAN),
    st.sampled_from([1.0, -1.0, 0.0]),
)
def test_any_market_gives_one_line_without_nan(market: dict, held: float, side: float) -> None:
    found = line(held, side, market=market)
    assert "\n" not in found
    assert "nan" not in found
