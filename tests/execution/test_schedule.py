"""Almgren-Chriss trajectories: the paper's example, a numerical minimum found without them, and the frontier."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.execution.schedule import (
    ImpactCosts,
    SlicesTooLong,
    best_holdings,
    cost_variance,
    even_holdings,
    expected_cost,
    immediate_holdings,
    share_left,
    trades,
    urgency,
)

PAPER = ImpactCosts(fixed=0.0625, temporary=2.5e-6, permanent=2.5e-7, volatility=0.95)

volumes = st.floats(1.0, 1e6) | st.floats(-1e6, -1.0)
counts = st.integers(1, 12)
slice_times = st.floats(0.1, 10.0)
aversions = st.floats(1e-9, 1e-3)


@st.composite
def costs_and_times(draw: st.DrawFn) -> tuple[ImpactCosts, float]:
    slice_time = draw(slice_times)
    permanent = draw(st.floats(0.0, 1e-6))
    temporary = permanent * slice_time / 2 + draw(st.floats(1e-8, 1e-4))
    return ImpactCosts(draw(st.floats(0.0, 0.1)), temporary, permanent, draw(st.floats(0.01, 2.0))), slice_time


def paid_step_by_step(traded: np.ndarray, costs: ImpactCosts, slice_time: float) -> float:
    """Return what trading costs, one slice after the other: each bears its own impact and all permanent ones so far."""
    moved = paid = 0.0
    for volume in traded:
        paid += volume * (moved + costs.fixed * np.sign(volume) + costs.temporary * volume / slice_time)
        moved += costs.permanent * volume
    return float(paid)


def best_by_algebra(volume: float, costs: ImpactCosts, aversion: float, slice_time: float, count: int) -> np.ndarray:
    """Return the trades that minimise cost + aversion·variance: a quadratic program, solved by its linear equations.

    The objective is read off point by point, so that nothing of the closed form is in it. The fixed cost is the same
    for every way of trading in one direction, and left out.
    """
    free = ImpactCosts(0.0, costs.temporary, costs.permanent, costs.volatility)

    def objective(traded: np.ndarray) -> float:
        left = traded.sum() - np.cumsum(traded)
        risk = costs.volatility**2 * slice_time * float((left**2).sum())
        return paid_step_by_step(traded, free, slice_time) + aversion * risk

    unit = np.eye(count)
    single = np.array([objective(e) for e in unit])
    hessian = np.array([[objective(a + b) for b in unit] for a in unit]) - single[:, None] - single[None, :]
    system = np.block([[hessian, np.ones((count, 1))], [np.ones((1, count)), np.zeros((1, 1))]])
    return np.linalg.solve(system, np.append(np.zeros(count), volume))[:count]


def test_the_example_of_the_paper() -> None:
    kappa = urgency(PAPER, 1e-6, 1.0)
    assert kappa == pytest.approx(0.607076, abs=5e-7)
    assert 1e-6 * 0.95**2 / PAPER.temporary_left(1.0) == pytest.approx(0.38)
    held = best_holdings(1e6, kappa, 1.0, 5)
    np.testing.assert_allclose(held, [1e6, 541955.6, 289854.2, 147897.5, 62141.8, 0], atol=0.05)
    np.testing.assert_allclose(trades(held), [458044.4, 252101.3, 141956.7, 85755.7, 62141.8], atol=0.05)
    assert expected_cost(held, PAPER, 1.0) == pytest.approx(911_227, abs=0.5)
    assert math.sqrt(cost_variance(held, PAPER, 1.0)) == pytest.approx(603_431, abs=0.5)
    even = even_holdings(1e6, 5)
    assert expected_cost(even, PAPER, 1.0) == pytest.approx(662_500, abs=0.5)
    assert math.sqrt(cost_variance(even, PAPER, 1.0)) == pytest.approx(1_040_673, abs=0.5)


@given(costs_and_times(), volumes, aversions, counts)
def test_no_other_trajectory_is_better(
    drawn: tuple[ImpactCosts, float], volume: float, aversion: float, count: int
) -> None:
    costs, slice_time = drawn
    held = best_holdings(volume, urgency(costs, aversion, slice_time), slice_time, count)
    expected = best_by_algebra(volume, costs, aversion, slice_time, count)
    np.testing.assert_allclose(trades(held), expected, atol=1e-6 * abs(volume))


@given(costs_and_times(), st.lists(st.floats(0.0, 1e5), min_size=1, max_size=12), st.sampled_from([1, -1]))
def test_the_expected_cost_is_what_is_paid_step_by_step(
    drawn: tuple[ImpactCosts, float], amounts: list[float], side: int
) -> None:
    costs, slice_time = drawn
    traded = side * np.array(amounts)
    held = np.append(np.cumsum(traded[::-1])[::-1], 0.0)
    paid = paid_step_by_step(traded, costs, slice_time)
    assert expected_cost(held, costs, slice_time) == pytest.approx(paid, rel=1e-9, abs=1e-6)


@given(costs_and_times(), volumes, aversions, st.floats(1.1, 100.0), st.integers(2, 12))
def test_more_risk_aversion_buys_less_risk_for_more_cost(
    drawn: tuple[ImpactCosts, float], volume: float, aversion: float, factor: float, count: int
) -> None:
    costs, slice_time = drawn
    calm, hasty = (
        best_holdings(volume, urgency(costs, each, slice_time), slice_time, count)
        for each in (aversion, factor * aversion)
    )
    slack = 1 + 1e-9
    assert cost_variance(hasty, costs, slice_time) <= cost_variance(calm, costs, slice_time) * slack
    assert expected_cost(hasty, costs, slice_time) * slack >= expected_cost(calm, costs, slice_time)


@given(costs_and_times(), volumes, aversions, counts)
def test_every_trajectory_lies_between_even_and_immediate_trading(
    drawn: tuple[ImpactCosts, float], volume: float, aversion: float, count: int
) -> None:
    costs, slice_time = drawn
    held = best_holdings(volume, urgency(costs, aversion, slice_time), slice_time, count)
    even, immediate = even_holdings(volume, count), immediate_holdings(volume, count)
    slack = 1e-9 * abs(volume)
    assert (np.abs(held) <= np.abs(even) + slack).all()
    assert (np.abs(held) >= np.abs(immediate) - slack).all()
    assert (np.sign(volume) * trades(held) >= -slack).all()
    assert (held[0], held[-1]) == (volume, 0.0)
    assert cost_variance(immediate, costs, slice_time) == 0.0


@pytest.mark.parametrize("kappa", [0.0, 1e-300, 1e-8, 0.9e-7])
def test_without_urgency_every_slice_is_the_same(kappa: float) -> None:
    np.testing.assert_allclose(trades(best_holdings(-700.0, kappa, 1.0, 7)), np.full(7, -100.0), rtol=1e-9)


def test_the_trajectory_bends_from_the_even_one_without_a_jump() -> None:
    below, above = (best_holdings(1e6, kappa, 1.0, 10) for kappa in (0.999e-7, 1.001e-7))
    np.testing.assert_allclose(below, above, rtol=1e-9)


@pytest.mark.parametrize("kappa", [50.0, 1e4, 1e300, math.inf])
def test_with_great_urgency_everything_is_traded_at_once(kappa: float) -> None:
    np.testing.assert_allclose(best_holdings(1e6, kappa, 1.0, 5), immediate_holdings(1e6, 5), atol=1e-12)


@pytest.mark.parametrize("kappa", [0.01, 1.0, 4.0, 10.0, 40.0])
def test_it_is_the_ratio_of_two_hyperbolic_sines_where_those_can_be_computed(kappa: float) -> None:
    held = best_holdings(1.0, kappa, 1.0, 5)
    expected = [math.sinh(kappa * (5 - t)) / math.sinh(kappa * 5) for t in range(6)]
    np.testing.assert_allclose(held, expected, rtol=1e-12)


@given(costs_and_times(), aversions)
def test_kappa_solves_its_equation(drawn: tuple[ImpactCosts, float], aversion: float) -> None:
    costs, slice_time = drawn
    kappa = urgency(costs, aversion, slice_time)
    half = aversion * costs.volatility**2 / costs.temporary_left(slice_time) * slice_time**2 / 4
    # cosh(x) - 1 = 2·sinh²(x/2), which keeps its digits.
    assert math.sinh(kappa * slice_time / 2) ** 2 == pytest.approx(half, rel=1e-9)


def test_slices_that_are_too_long_are_refused_with_the_numbers() -> None:
    with pytest.raises(SlicesTooLong, match=r"2.5e-06 - 2.5e-07·20.0/2"):
        urgency(PAPER, 1e-6, 20.0)
    with pytest.raises(SlicesTooLong):
        expected_cost(even_holdings(1.0, 2), ImpactCosts(0.1, 0.0, 0.0, 1.0), 1.0)
    assert urgency(PAPER, 1e-6, 19.9) > 0.0


@pytest.mark.parametrize(
    "costs",
    [
        ImpactCosts(-0.1, 1.0, 0.0, 1.0),
        ImpactCosts(0.1, math.nan, 0.0, 1.0),
        ImpactCosts(0.1, 1.0, -1e-9, 1.0),
        ImpactCosts(0.1, 1.0, 0.0, math.inf),
    ],
)
def test_costs_that_are_negative_or_unknown_are_refused(costs: ImpactCosts) -> None:
    with pytest.raises(ValueError, match="costs cannot be"):
        urgency(costs, 1e-6, 1.0)


@pytest.mark.parametrize("aversion", [-1.0, math.nan, math.inf])
def test_a_risk_aversion_that_is_negative_or_unknown_is_refused(aversion: float) -> None:
    with pytest.raises(ValueError, match="risk aversion"):
        urgency(PAPER, aversion, 1.0)


@pytest.mark.parametrize("slice_time", [0.0, -1.0, math.nan, math.inf])
def test_a_slice_without_a_length_is_refused(slice_time: float) -> None:
    with pytest.raises(ValueError, match="a slice takes time"):
        urgency(PAPER, 1e-6, slice_time)


@given(kappa=st.floats(0.0, 50.0), slice_time=st.floats(0.1, 10.0), count=st.integers(1, 150), data=st.data())
def test_one_share_is_that_of_the_whole_trajectory(
    kappa: float, slice_time: float, count: int, data: st.DataObject
) -> None:
    after = data.draw(st.integers(0, count))
    expected = best_holdings(1.0, kappa, slice_time, count)[after]
    assert share_left(kappa, slice_time, count, after) == pytest.approx(expected, rel=1e-9, abs=1e-300)


def test_a_share_left_under_infinite_urgency_is_nothing() -> None:
    assert [share_left(math.inf, 1.0, 4, j) for j in range(5)] == [1.0, 0.0, 0.0, 0.0, 0.0]
