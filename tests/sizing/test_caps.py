"""The caps: the vectors of the models, which one binds, and that the unknown never lets anything grow."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from known_market import calm_market

from bot.sizing import caps, formulas
from bot.sizing.bound import Bound
from bot.sizing.leverage import LeverageLimits, LeverageRules, Pace, Targets

S = 1_000_000_000
NAN, INF = math.nan, math.inf
FREE = Pace(warm_up_s=0, persistence_s=0, max_increase_frac_per_min=None, band_frac=0.0)
WIDE = LeverageLimits(max_symbol_leverage=100.0, max_leverage=200.0)


def wish(
    leverage: float = 50.0,
    held: float = 0.0,
    *,
    table: np.ndarray | None = None,
    rules: LeverageRules | None = None,
    now_ns: int = 0,
    equity: float = 1e4,
    **inputs: object,
) -> Targets:
    rules = rules or LeverageRules(1, FREE, WIDE)
    given_inputs = {
        "side": np.sign(leverage),
        "base": 5.0,
        "held": held,
        "watched_s": 1e9,
        "minutes_s": 1e9,
        "margin_rate": 1 / 500,
        "unit_notional": 1.0,
    } | inputs
    for name, content in given_inputs.items():
        rules.inputs[name] = content
    factors = np.array([[abs(leverage) / 5.0]])
    table = calm_market(1) if table is None else table
    return rules.targets(table, factors, equity=equity, foreign=0.0, shrink=1.0, now_ns=now_ns)


def test_kelly_meets_its_vector() -> None:
    # Models 14.5: mu = 5 %, sigma = 6 %, no error: 13.889, and a quarter of it 3.472.
    for kelly in (formulas.kelly_cap, caps.kelly_cap):
        assert kelly(0.05, 0.0, 0.06, 1.0) == pytest.approx(13.889, abs=5e-4)
        assert kelly(0.05, 0.0, 0.06, 0.25) == pytest.approx(3.472, abs=5e-4)
        assert kelly(0.05, 0.06, 0.06, 0.25) == 0.0
        assert kelly(NAN, 0.0, 0.06, 0.25) == INF, "nobody states a mean: no cap"
        assert math.isnan(kelly(0.05, NAN, 0.06, 0.25))
        assert math.isnan(kelly(0.05, 0.0, 0.0, 0.25))


def test_stop_out_meets_its_vector() -> None:
    # Models 14.5: m_r = 1/30, s_o = 0.5, delta_req = 2 %: 27.27; and at L = 20 the stop-out is 3.333 % away.
    assert formulas.stop_out_cap(0.02, 1 / 30, 0.5) == pytest.approx(27.27, abs=5e-3)
    assert formulas.stop_out_distance_frac(20, 1 / 30, 0.5) == pytest.approx(0.03333, abs=5e-6)
    # The same through the compiled rules: 3 x 60 bps worst minute and three round trips of 40/3 bps halved make 2 %.
    table = calm_market(1, worst_minute_bps=60.0, usual_round_trip_bps=40 / 3)
    found = wish(table=table, margin_rate=1 / 30)
    assert found.rows["stop_out"][0] == pytest.approx(27.27, abs=5e-3)
    assert (found.rows["cap_bound"][0], found.bound[0]) == (Bound.STOP_OUT, Bound.STOP_OUT)
    assert found.target[0] == pytest.approx(0.99 * found.rows["stop_out"][0], rel=1e-12)


@given(st.floats(0.5, 100), st.floats(0.001, 0.2), st.floats(0.0, 0.2), st.floats(0.2, 1))
def test_at_the_stop_out_cap_the_stop_out_is_just_far_enough(
    leverage: float, margin_rate: float, required: float, level: float
) -> None:
    cap = float(formulas.stop_out_cap(required, margin_rate, level))
    assert formulas.stop_out_distance_frac(cap, margin_rate, level) == pytest.approx(required, abs=1e-9)


FACT = st.one_of(st.floats(0, 1e3), st.just(NAN))


@given(FACT, FACT, FACT, FACT, st.sampled_from([0.0, 3599.0, 3600.0, NAN]))
def test_the_required_distance_is_that_of_the_plain_formula(
    fast: float, slow: float, worst: float, cost: float, minutes_s: float
) -> None:
    found = caps.required_distance_frac(fast, slow, worst, cost, minutes_s)
    expected = float(formulas.required_distance_frac(fast, slow, worst, cost, minutes_s))
    assert found == pytest.approx(expected, nan_ok=True)


def test_a_calm_hour_must_have_been_seen_before_less_than_a_wild_market_is_survived() -> None:
    found = [caps.required_distance_frac(0.2, 0.2, 5.0, 0.4, minutes_s) for minutes_s in (0.0, 3599.0, NAN, 3600.0)]
    assert found == [0.05, 0.05, 0.05, pytest.approx(60.6e-4)]
    assert caps.required_distance_frac(0.2, 0.2, 400.0, 0.4, 0.0) == pytest.approx(0.12006), "a wild one counts at once"
    early = wish(50.0, margin_rate=0.02, minutes_s=3599.0).rows
    assert early["stop_out"][0] == pytest.approx(1 / (0.05 + 0.5 * 0.02))


def test_the_required_distance_is_the_larger_of_an_hour_and_the_worst_minute_and_half_the_stress() -> None:
    assert formulas.required_distance_frac(0.2, NAN, 5.0, 0.4, 3600) == pytest.approx((5 * 12 + 0.6) / 1e4)
    assert formulas.required_distance_frac(0.2, 0.4, 5.0, 0.4, 3600) == pytest.approx((5 * 24 + 0.6) / 1e4)
    assert formulas.required_distance_frac(0.2, NAN, 50.0, 0.4, 3600) == pytest.approx((150 + 0.6) / 1e4)


@pytest.mark.parametrize(
    ("changed", "inputs", "cap", "bound"),
    [
        ({}, {}, 40.0, Bound.MAX_SYMBOL),
        ({"sell_capacity_units": 2e4}, {}, 2.0, Bound.EXIT_COST),
        ({"sell_capacity_units": 2e4}, {"unit_notional": 1.5}, 3.0, Bound.EXIT_COST),
        ({"buy_capacity_units": 2e4}, {}, 40.0, Bound.MAX_SYMBOL),
        ({}, {"max_units": 3e4}, 3.0, Bound.MAX_VOLUME),
        ({}, {"expected_return": 0.001, "expected_error": 0.0}, None, Bound.KELLY),
        ({}, {"expected_return": -0.001, "expected_error": 0.0}, 0.0, Bound.KELLY),
        ({"volatility_bps": 2.0}, {}, 1 / (0.06 + 0.001 + 0.6e-4), Bound.STOP_OUT),
    ],
)
def test_the_tightest_cap_binds_and_is_named(changed: dict, inputs: dict, cap: float | None, bound: Bound) -> None:
    limits = LeverageLimits(max_symbol_leverage=40.0, max_leverage=200.0)
    found = wish(50.0, table=calm_market(1, **changed), rules=LeverageRules(1, FREE, limits), **inputs)
    row = found.rows[0]
    assert (Bound(row["cap_bound"]), Bound(row["bound"])) == (bound, bound)
    assert row["cap"] == min(40.0, *(row[name] for name in ("kelly", "stop_out", "exit_cost", "max_volume")))
    if cap is not None:
        assert row["cap"] == pytest.approx(cap, rel=1e-3)
    assert found.target[0] == pytest.approx(0.99 * row["cap"], rel=1e-12)


def test_a_short_leaves_by_buying() -> None:
    table = calm_market(1, sell_capacity_units=3e4, buy_capacity_units=2e4)
    assert wish(50.0, table=table).rows["exit_cost"][0] == 3.0
    assert wish(-50.0, table=table).rows["exit_cost"][0] == 2.0
    assert wish(50.0, held=-1.0, table=table).rows["exit_cost"][0] == 2.0, "what is held has to be left first"


@pytest.mark.parametrize(
    ("changed", "inputs"),
    [
        ({"usual_round_trip_bps": NAN}, {}),
        ({"sell_capacity_units": NAN}, {}),
        ({}, {"margin_rate": NAN}),
        ({}, {"unit_notional": NAN}),
        ({}, {"expected_return": 0.1}),
    ],
)
def test_an_unknown_cap_lets_nothing_grow_but_the_constant_and_everything_shrink(changed: dict, inputs: dict) -> None:
    table = calm_market(1, **changed)
    found = wish(5.0, held=1.0, table=table, **inputs)
    assert (found.target[0], found.bound[0]) == (1.0, Bound.UNKNOWN_CAP)
    assert wish(0.5, held=1.0, table=table, **inputs).target[0] == 0.5
    rules = LeverageRules(1, FREE, WIDE, requires_caps=False)
    assert wish(5.0, held=1.0, table=table, rules=rules, **inputs).target[0] == 5.0


@pytest.mark.parametrize("name", ["volatility_bps", "worst_minute_bps"])
def test_before_volatility_is_measured_a_wild_market_is_assumed(name: str) -> None:
    found = wish(50.0, held=1.0, table=calm_market(1, **{name: NAN}), margin_rate=0.02).rows
    assert found["stop_out"][0] == pytest.approx(1 / (0.05 + 0.5 * 0.02))


def test_a_known_cap_binds_the_constant_too() -> None:
    rules = LeverageRules(1, FREE, WIDE, requires_caps=False)
    table = calm_market(1, sell_capacity_units=2e4, volatility_bps=NAN)
    assert wish(5.0, table=table, rules=rules).target[0] == pytest.approx(1.98)


def test_a_broken_cap_is_cut_at_once_whatever_the_band() -> None:
    rules = LeverageRules(1, Pace(60, 30, 0.25, 0.5), WIDE)
    found = wish(5.0, held=5.0, table=calm_market(1, sell_capacity_units=4e4), rules=rules)
    assert (found.target[0], found.urgent[0], found.bound[0]) == (pytest.approx(3.96), True, Bound.EXIT_COST)


def test_a_book_that_has_gone_is_no_reason_to_sell_into_it() -> None:
    found = wish(5.0, held=5.0, table=calm_market(1, sell_capacity_units=0.0), exit_leverage=0.0)
    assert (found.target[0], found.forced[0], found.bound[0]) == (5.0, False, Bound.EXIT_EMPTY)


@pytest.mark.parametrize(
    ("exit_leverage", "target", "urgent", "bound"),
    [
        (5.0, 0.099, True, Bound.EXIT_COST),
        (1.5, 3.5, False, Bound.EXIT_COST),
        (0.25, 4.75, False, Bound.EXIT_COST),
        (0.2, 5.0, False, Bound.EXIT_EMPTY),
    ],
)
def test_a_broken_cap_is_cut_by_no_more_at_once_than_the_book_pays_for(
    exit_leverage: float, target: float, urgent: bool, bound: Bound
) -> None:
    found = wish(5.0, held=5.0, table=calm_market(1, sell_capacity_units=1e3), exit_leverage=exit_leverage)
    assert found.target[0] == pytest.approx(target)
    assert (found.urgent[0], found.forced[0], found.bound[0]) == (urgent, target < 5, bound)


def test_the_stop_out_cap_does_not_sell_into_an_empty_book_either() -> None:
    found = wish(15.0, held=15.0, table=calm_market(1, volatility_bps=4.0), exit_leverage=2.0)
    assert (found.target[0], found.urgent[0], found.bound[0]) == (13.0, False, Bound.STOP_OUT)


@pytest.mark.parametrize(
    ("exit_leverage", "target", "bound"),
    [(0.1, 99.0, Bound.MAX_SYMBOL), (0.0, 99.0, Bound.MAX_SYMBOL), (50.0, 60.0, Bound.EXIT_COST)],
)
def test_a_configured_limit_is_kept_at_once_whatever_it_costs_and_no_more_than_that(
    exit_leverage: float, target: float, bound: Bound
) -> None:
    found = wish(50.0, held=110.0, table=calm_market(1, sell_capacity_units=1e3), exit_leverage=exit_leverage)
    assert (found.target[0], found.urgent[0], found.bound[0]) == (pytest.approx(target), True, bound)


def test_the_exit_cost_cap_falls_at_once_and_rises_with_a_half_life_of_a_minute() -> None:
    rules = LeverageRules(1, FREE, WIDE)

    def cap(units: float, second: float, side: float = 1.0) -> float:
        table = calm_market(1, sell_capacity_units=units, buy_capacity_units=units)
        return float(wish(50.0 * side, table=table, rules=rules, now_ns=int(second * S)).rows["exit_cost"][0])

    assert [cap(8e4, 0), cap(2e4, 1), cap(8e4, 1)] == [8.0, 2.0, 2.0]
    assert cap(8e4, 61) == pytest.approx(5.0)
    assert cap(8e4, 121) == pytest.approx(6.5)
    assert cap(NAN, 122) != cap(NAN, 122), "unknown stays unknown"
    assert cap(8e4, 181) == pytest.approx(7.25), "and is no memory lost"
    assert cap(9e4, 181, side=-1.0) == 9.0, "the other side is another book"


@given(st.lists(st.floats(1e4, 9e4), min_size=30, max_size=30))
def test_a_flickering_book_is_not_followed_tick_by_tick(capacities: list[float]) -> None:
    rules, held, grown = LeverageRules(1, FREE, WIDE), 0.0, 0
    for tick, units in enumerate(capacities):
        found = wish(
            50.0, held=held, table=calm_market(1, sell_capacity_units=units), rules=rules, now_ns=tick * S // 4
        )
        target = float(found.target[0])
        assert target <= units / 1e4
        if target > held > 0:
            grown += 1
            assert target - held > 0.25
        held = target
    # In 7.5 s a cap recovers by a twelfth of its fall at most, and growth is worth 5 % of the base or is left.
    assert grown <= 3


def test_without_equity_no_cap_is_known() -> None:
    found = wish(5.0, held=INF, equity=0.0)
    assert (found.target[0], found.urgent[0]) == (0.0, True)
    assert np.isnan(found.rows["exit_cost"][0])
    assert np.isnan(formulas.units_cap(1e4, 1.0, 0.0))


def test_the_answer_cannot_be_written_to() -> None:
    with pytest.raises(ValueError, match="read-only"):
        wish().rows["target"][0] = 3.0
