"""Mispricing: which prices imply which, and a side only where the gap pays for its cost."""

import math
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from known_market import calm_market, pair

import strategies
from bot.sizing import formulas

CROSSES = ["EURUSD", "USDJPY", "EURJPY"]


def bound(names: list[str], base: list[float] | None = None, **parameters: object):
    specs = [pair(name, i + 1) for i, name in enumerate(names)]
    return strategies.load("mispricing", parameters).bound(specs, np.array(base or [5.0] * len(names)))


@pytest.mark.parametrize("order", list(permutations(range(3))))
@given(
    mids=st.tuples(st.floats(0.5, 2), st.floats(80, 160), st.floats(80, 200)),
    spreads=st.tuples(*[st.floats(0.05, 20)] * 3),
)
def test_a_triangle_is_measured_as_the_plain_formula_does(order: tuple[int, ...], mids: tuple, spreads: tuple) -> None:
    names = [CROSSES[i] for i in order]
    table = calm_market(3, mid=[mids[i] for i in order], mean_spread_bps=[spreads[i] for i in order])
    eurusd, usdjpy, eurjpy = mids
    cost = sum(spreads)
    expected = {
        "EURJPY": formulas.gap_in_costs(eurjpy, formulas.synthetic_mid(eurusd, 1, usdjpy, 1), cost),
        "EURUSD": formulas.gap_in_costs(eurusd, formulas.synthetic_mid(eurjpy, 1, usdjpy, -1), cost),
        "USDJPY": formulas.gap_in_costs(usdjpy, formulas.synthetic_mid(eurusd, -1, eurjpy, 1), cost),
    }
    strategy = bound(names)
    gaps = strategy.gaps(table)
    assert gaps == pytest.approx([expected[name] for name in names], rel=1e-12, abs=1e-9)
    for side, gap in zip(strategy.directions(table), gaps, strict=True):
        assert side == (np.sign(gap) if abs(gap) > 1.5 else 0)


def test_a_price_below_what_the_others_imply_is_bought_and_the_others_lean_against_it() -> None:
    # 1.1 x 150 = 165; EURJPY at 164.9 is 6.06 bps below, the three spreads cost 3 bps: 2.02 costs.
    strategy = bound(CROSSES)
    table = calm_market(3, mid=[1.1, 150.0, 164.9], mean_spread_bps=1.0)
    assert strategy.gaps(table)[2] == pytest.approx(2.0215, abs=1e-4)
    assert strategy.directions(table).tolist() == [-1.0, -1.0, 1.0]
    assert bound(CROSSES, entry=2.1).directions(table).tolist() == [0.0, 0.0, 0.0]


def test_the_cheapest_of_several_ways_counts_and_an_unknown_one_is_passed_over() -> None:
    names = ["EURGBP", "EURUSD", "GBPUSD", "EURJPY", "GBPJPY"]
    strategy = bound(names)
    mids = [0.85, 1.1, 1.25, 165.0, 190.0]  # by the dollar 0.88, by the yen 0.8684
    cheap_dollar = calm_market(5, mid=mids, mean_spread_bps=[1, 1, 1, 2, 2])
    cheap_yen = calm_market(5, mid=mids, mean_spread_bps=[1, 3, 3, 2, 2])
    assert strategy.gaps(cheap_dollar)[0] == pytest.approx(1e4 * (0.88 / 0.85 - 1) / 3)
    assert strategy.gaps(cheap_yen)[0] == pytest.approx(1e4 * (165 / 190 / 0.85 - 1) / 5)
    unknown_yen = calm_market(5, mid=[*mids[:3], math.nan, 190.0], mean_spread_bps=[1, 3, 3, 2, 2])
    assert strategy.gaps(unknown_yen)[0] == pytest.approx(1e4 * (0.88 / 0.85 - 1) / 7)


def test_what_nothing_implies_has_no_side_and_is_told_once() -> None:
    strategy = bound([*CROSSES, "AUDNZD", "XAUUSD"], base=[5, 5, 5, 5, 0])
    table = calm_market(5, mid=[1.1, 150.0, 165.0, 1.09, 2000.0])
    assert np.isnan(strategy.directions(table)[3:]).all()
    assert strategy.note == "mispricing: no triangle of the loaded symbols holds AUDNZD; nothing is traded there"
    assert bound(CROSSES).note is None


def test_two_named_cfds_lean_towards_each_other_at_their_usual_ratio() -> None:
    strategy = bound(["XAUUSD", "GLDUSD"], basis="XAUUSD/GLDUSD", basis_ratio=10)
    assert strategy.symbols_needed == ("XAUUSD", "GLDUSD")
    table = calm_market(2, mid=[2000.0, 201.0], mean_spread_bps=[4.0, 6.0])
    gaps = strategy.gaps(table)
    assert gaps == pytest.approx([1e4 * (2010 / 2000 - 1) / 10, 1e4 * (200 / 201 - 1) / 10])
    assert strategy.directions(table).tolist() == [1.0, -1.0]
    assert np.isnan(bound(["XAUUSD", "EURUSD"], basis="XAUUSD/GLDUSD").directions(calm_market(2))).all()


def test_a_spread_that_has_no_average_yet_is_the_one_of_now_and_no_cost_is_unknown() -> None:
    strategy = bound(CROSSES)
    now = calm_market(3, mid=[1.1, 150.0, 166.0], mean_spread_bps=math.nan, spread_bps=2.0)
    assert strategy.gaps(now)[2] == pytest.approx(1e4 * (165 / 166 - 1) / 6)
    locked = calm_market(3, mid=[1.1, 150.0, 166.0], mean_spread_bps=0.0)
    assert np.isnan(strategy.gaps(locked)).all()


def test_its_size_is_that_of_the_composite() -> None:
    table, side = calm_market(3, liquidity_ratio=[0.5, 1.0, 2.0]), np.array([1.0, -1.0, 0.0])
    expected = strategies.load("composite", {}).factors(table, side)
    assert bound(CROSSES).factors(table, side).tolist() == expected.tolist()


@pytest.mark.parametrize("old", range(3))
def test_a_gap_against_an_old_quote_is_no_gap(old: int) -> None:
    table = calm_market(3, mid=[1.1, 150.0, 164.5], mean_spread_bps=1.0)
    strategy = bound(CROSSES)
    assert abs(strategy.gaps(table)).min() > 1.5
    for unusable in (0.0, math.nan):
        table["is_current"][old] = unusable
        assert np.isnan(strategy.gaps(table)).all(), "one triangle, and each of its prices is needed"
        assert not (np.abs(strategy.directions(table)) > 0).any()
