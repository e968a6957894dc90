"""The built-in leverage models against their formulas, and what they promise about the unknown."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from known_market import calm_market

import strategies
from bot.market.feature_table import unknown_features
from bot.sizing import formulas
from bot.sizing.strategy import MAX_FACTORS, StrategyError

NAN, INF = math.nan, math.inf
# `market-making` has a test file of its own.
NAMES = sorted(set(strategies.BUILT_IN) - {"market-making"})
WITH_DIRECTION = ["composite", "mispricing", "order-book-imbalance"]
LONG, SHORT, FLAT = np.array([1.0]), np.array([-1.0]), np.array([0.0])


def factor(name: str, side: np.ndarray = LONG, parameters: dict | None = None, **changed: object) -> float:
    """Return the one factor of a strategy in a calm market with some features changed."""
    factors = strategies.load(name, parameters or {}).factors(calm_market(1, **changed), side)
    return float(factors.prod(axis=0)[0])


# -- every one of them ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_every_built_in_gives_a_factor_a_name_and_symbol_and_is_calm_in_a_calm_market(name: str) -> None:
    strategy = strategies.load(name, {})
    assert strategy.name == name
    assert len(strategy.factor_names) <= MAX_FACTORS
    factors = strategy.factors(calm_market(3), np.array([1.0, -1.0, 0.0]))
    assert factors.shape == (len(strategy.factor_names), 3)
    assert factors.prod(axis=0) == pytest.approx([1.0] * 3, abs=0.11)
    assert (strategy.note, strategy.problem, strategy.symbols_needed) == (None, None, ())
    assert strategy.expected_returns(calm_market(3)) is None


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"constant"}))
def test_where_nothing_is_known_no_leverage_is(name: str) -> None:
    factors = strategies.load(name, {}).factors(unknown_features(2), np.array([1.0, -1.0]))
    assert np.isnan(factors.prod(axis=0)).all()


@pytest.mark.parametrize("name", NAMES)
def test_a_strategy_has_directions_of_its_own_or_says_that_it_has_none(name: str) -> None:
    strategy = strategies.load(name, {})
    assert strategy.has_direction == (name in WITH_DIRECTION)
    if not strategy.has_direction:
        assert np.isnan(strategy.directions(calm_market(2))).all()


def test_only_the_constant_one_may_grow_while_a_cap_is_unknown() -> None:
    assert [name for name in NAMES if not strategies.load(name, {}).requires_caps] == ["constant"]


def test_an_unknown_name_is_answered_with_the_names_there_are() -> None:
    with pytest.raises(StrategyError, match=r"'martingale' is not available; there are: .*constant"):
        strategies.load("martingale", {})


# -- the models' own vectors ---------------------------------------------------------------------------------------


def test_constant_has_no_factors_so_that_their_product_is_one() -> None:
    factors = strategies.load("constant", {}).factors(unknown_features(2), np.array([1.0, 1.0]))
    assert factors.shape == (0, 2)
    assert factors.prod(axis=0).tolist() == [1.0, 1.0]


def test_liquidity_weighted_meets_the_seed_vector() -> None:
    # Models 14.1: L0 = 5, LR = 0.6, alpha = 1.
    assert 5 * factor("liquidity-weighted", parameters={"alpha": 1}, liquidity_ratio=0.6) == pytest.approx(3.0, 1e-12)
    assert 5 * formulas.liquidity_factor(0.6, 1, 0.25, 1.25) == pytest.approx(3.0, rel=1e-12)


def test_composite_meets_the_vector_of_the_model() -> None:
    # Models 14.4: v = 0.8, LR = 0.6 (alpha 0.5), I / I_usual = 1.2 (beta 1), side z / 2 = 0.3 (kappa 0.2), fill 1.
    market = {
        "volatility_bps": 0.25,
        "usual_volatility_bps": 0.2,
        "liquidity_ratio": 0.6,
        "sell_impact_bps": 0.36,
        "usual_impact_bps": 0.3,
        "obi_z": 0.6,
    }
    strategy = strategies.load("composite", {"beta": 1})
    found = strategy.factors(calm_market(1, **market), LONG)
    assert 5 * found.prod(axis=0)[0] == pytest.approx(2.736908, abs=5e-7)
    assert found[:, 0] == pytest.approx([0.8, math.sqrt(0.6), 1 / 1.2, 1.06, 1.0], rel=1e-12)
    assert strategy.factor_names == ("volatility", "liquidity", "impact", "imbalance", "fill")
    twin = [
        formulas.volatility_factor(0.2, 0.25, 0.25, 2),
        formulas.liquidity_factor(0.6, 0.5, 0.25, 1.25),
        formulas.impact_factor(0.3, formulas.exit_impact_bps(1, 0.1, 0.36), 1, 0.25, 1.25),
        formulas.imbalance_factor(1, 0.6, 0.2),
        formulas.fill_factor(NAN),
    ]
    assert 5 * float(np.prod(twin)) == pytest.approx(2.736908, abs=5e-7)
    assert 5 * 0.25 * float(np.prod(twin)) == pytest.approx(0.684227, abs=5e-7)


@pytest.mark.parametrize(("now", "expected"), [(0.2, 1.0), (0.4, 0.5), (4.0, 0.25), (0.1, 2.0), (0.01, 2.0)])
def test_volatility_adaptive_is_the_clipped_ratio(now: float, expected: float) -> None:
    # Models 10.4.
    assert factor("volatility-adaptive", volatility_bps=now) == pytest.approx(expected, rel=1e-12)


# -- against the plain formulas ------------------------------------------------------------------------------------

SIDES = st.sampled_from([1.0, -1.0, 0.0, NAN])
FACTS = st.one_of(st.floats(1e-6, 1e6), st.sampled_from([NAN, INF, 0.0, -0.3, 1.0]))
MARKETS = st.fixed_dictionaries(
    dict.fromkeys(("liquidity_ratio", "buy_impact_bps", "sell_impact_bps", "usual_impact_bps"), FACTS)
    | dict.fromkeys(("volatility_bps", "usual_volatility_bps"), FACTS)
    | {
        "obi_z": st.one_of(st.floats(-6, 6), st.just(NAN)),
        "is_spot_only": st.sampled_from([0.0, 1.0]),
        "fill_factor": st.sampled_from([NAN, 0.25, 0.8, 1.0]),
    }
)  # fmt: skip


@given(MARKETS, SIDES, st.floats(0, 2), st.floats(0, 2), st.floats(0, 0.3), st.floats(0.05, 1), st.floats(1, 3))
def test_the_compiled_factors_are_the_plain_formulas(
    market: dict[str, float], side: float, alpha: float, beta: float, kappa: float, floor: float, cap: float
) -> None:
    parameters = {"alpha": alpha, "beta": beta, "kappa": kappa, "floor": floor, "cap": cap}
    found = strategies.load("composite", parameters).factors(calm_market(1, **market), np.array([side]))[:, 0]
    impact = formulas.exit_impact_bps(side, market["buy_impact_bps"], market["sell_impact_bps"])
    expected = [
        formulas.volatility_factor(market["usual_volatility_bps"], market["volatility_bps"], 0.25, 2.0),
        formulas.liquidity_factor(market["liquidity_ratio"], alpha, floor, cap) if alpha else 1.0,
        formulas.impact_factor(market["usual_impact_bps"], impact, beta, floor, cap) if beta else 1.0,
        formulas.imbalance_factor(side, market["obi_z"], kappa, market["is_spot_only"]) if kappa else 1.0,
        formulas.fill_factor(market["fill_factor"]),
    ]
    assert found == pytest.approx(np.array(expected, float), rel=1e-12, nan_ok=True)


@pytest.mark.parametrize(
    ("name", "row"), [("volatility-adaptive", 0), ("liquidity-weighted", 1), ("impact-minimizing", 2),
                      ("order-book-imbalance", 3)],
)  # fmt: skip
@given(market=MARKETS, side=SIDES)
def test_a_model_alone_is_one_factor_of_the_composite(name: str, row: int, market: dict, side: float) -> None:
    table, sides = calm_market(1, **market), np.array([side])
    alone, all_of_them = strategies.load(name, {}), strategies.load("composite", {})
    assert alone.factors(table, sides)[0] == pytest.approx(all_of_them.factors(table, sides)[row], nan_ok=True)


# -- promises, one at a time ---------------------------------------------------------------------------------------


def test_impact_is_that_of_the_side_we_would_leave_by_and_the_dearer_one_while_flat() -> None:
    market = {"buy_impact_bps": 0.3, "sell_impact_bps": 1.2, "usual_impact_bps": 0.3}
    assert factor("impact-minimizing", LONG, **market) == pytest.approx(0.5)
    assert factor("impact-minimizing", SHORT, **market) == pytest.approx(1.0)
    assert factor("impact-minimizing", FLAT, **market) == pytest.approx(0.5)
    assert factor("impact-minimizing", SHORT, **market | {"sell_impact_bps": NAN}) == pytest.approx(1.0)
    assert math.isnan(factor("impact-minimizing", FLAT, **market | {"buy_impact_bps": NAN}))


@pytest.mark.parametrize(("impact", "expected"), [(INF, 0.25), (0.0, 1.0), (-0.4, 1.0), (1e-9, 1.25), (NAN, NAN)])
def test_an_impact_that_is_infinite_or_negative_gives_no_reason_to_hold_more(impact: float, expected: float) -> None:
    assert factor("impact-minimizing", sell_impact_bps=impact) == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize(("z", "expected"), [(0, 1.0), (1, 1.1), (2, 1.2), (9, 1.2), (-9, 0.8), (NAN, NAN)])
def test_imbalance_leans_by_a_fifth_at_most_and_against_a_short(z: float, expected: float) -> None:
    assert factor("order-book-imbalance", LONG, obi_z=z) == pytest.approx(expected, nan_ok=True)
    assert factor("order-book-imbalance", SHORT, obi_z=-z) == pytest.approx(expected, nan_ok=True)
    assert factor("order-book-imbalance", FLAT, obi_z=z) == 1.0


def test_without_a_book_imbalance_is_neutral_and_with_one_the_unknown_is_unknown() -> None:
    assert factor("order-book-imbalance", obi_z=NAN, is_spot_only=1.0) == 1.0
    assert math.isnan(factor("order-book-imbalance", obi_z=NAN, is_spot_only=0.0))


@pytest.mark.parametrize("name", ["order-book-imbalance", "composite"])
def test_the_slow_imbalance_has_a_side_beyond_its_dead_zone(name: str) -> None:
    table = calm_market(6, obi_slow=[0.21, 0.2, 0.0, -0.2, -0.3, NAN])
    found = strategies.load(name, {}).directions(table)
    assert found.tolist()[:5] == [1, 0, 0, 0, -1]
    assert math.isnan(found[5])
    assert found == pytest.approx(formulas.imbalance_direction(table["obi_slow"], 0.2), nan_ok=True)
    assert strategies.load(name, {"dead_zone": 0.1}).directions(table).tolist()[:5] == [1, 1, 0, -1, -1]


def test_fills_that_taught_nothing_yet_change_nothing() -> None:
    table = calm_market(3, fill_factor=[NAN, 0.7, 1.0])
    assert strategies.load("composite", {}).factors(table, np.ones(3))[4].tolist() == [1.0, 0.7, 1.0]


def test_a_volatility_that_is_unknown_or_stands_still_is_not_low() -> None:
    for market in ({"volatility_bps": 0.0}, {"volatility_bps": NAN}, {"usual_volatility_bps": NAN}):
        assert math.isnan(factor("volatility-adaptive", **market))


@pytest.mark.parametrize(
    ("name", "parameters", "said"),
    [
        ("liquidity-weighted", {"alpha": 0}, "liquidity-weighted needs alpha > 0; it has alpha 0"),
        ("liquidity-weighted", {"floor": 0}, "needs 0 < floor <= 1 <= cap"),
        ("liquidity-weighted", {"floor": 1.1}, "needs 0 < floor <= 1 <= cap"),
        ("liquidity-weighted", {"cap": 0.9}, "needs 0 < floor <= 1 <= cap"),
        ("impact-minimizing", {"beta": 0}, "needs beta > 0"),
        ("impact-minimizing", {"cap": 0.5}, "needs 0 < floor <= 1 <= cap"),
        ("order-book-imbalance", {"kappa": 0.4}, "needs 0 <= kappa <= 0.3"),
        ("order-book-imbalance", {"dead_zone": 1}, "0 <= dead_zone < 1"),
        ("composite", {"alpha": -0.1}, "needs alpha >= 0 and beta >= 0"),
        ("composite", {"floor": 2}, "needs 0 < floor <= 1 <= cap"),
        ("composite", {"gamma": 2}, "no parameter 'gamma'; it has: alpha, beta, kappa, floor, cap, dead_zone"),
        ("volatility-adaptive", {"floor": -1}, "needs 0 < floor <= 1 <= cap"),
        ("mispricing", {"entry": 0}, "needs entry > 0"),
        ("mispricing", {"basis": 5}, "parameter 'basis' of strategy mispricing must be text, not 5"),
        ("mispricing", {"basis": "XAUUSD"}, "must be two symbols, as XAUUSD/GOLD, not 'XAUUSD'"),
        ("mispricing", {"basis": "GOLD/GOLD"}, "must be two symbols"),
        ("mispricing", {"_relations": 1}, "no parameter '_relations'"),
        ("constant", {"alpha": 1}, "no parameter 'alpha'; it has: none"),
    ],
)
def test_parameters_that_make_no_sense_are_refused_in_words(name: str, parameters: dict, said: str) -> None:
    with pytest.raises(StrategyError, match=said.replace("(", r"\(")):
        strategies.load(name, parameters)
