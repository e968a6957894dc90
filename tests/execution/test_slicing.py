"""From the market's figures to slices that can be traded: parameters by hand, volumes that add up."""

import math
from dataclasses import replace
from itertools import accumulate

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.execution.schedule import SlicesTooLong, best_holdings, trades, urgency
from bot.execution.slicing import (
    MarketCosts,
    Schedule,
    impact_costs,
    next_slice,
    schedule_resize,
    slice_time_s,
    tradable_slices,
)
from bot.market.symbols import SymbolSpec

SPEC = SymbolSpec(11, "EURUSD", "EUR", "USD", 5, 4, 10_000_000, 100_000, 100_000, 10**12)
MARKET = MarketCosts(
    mid=1.1,
    half_spread_bps=0.1,
    reference_units=1e6,
    reference_slip_bps=0.4,
    impact_bps_per_unit=1e-7,
    volatility=1e-5,
    latency_s=0.05,
)


def sliced(
    change_cents: int = 200_000_000, *, equity: float = 1e5, reducing: bool = False, **changed: float
) -> Schedule:
    return schedule_resize(change_cents, SPEC, replace(MARKET, **changed), equity, reducing=reducing)


def test_the_parameters_by_hand() -> None:
    costs = impact_costs(MARKET, 2.0)
    assert costs.fixed == pytest.approx(0.1 * 1.1e-4)
    assert costs.temporary == pytest.approx(0.3 * 1.1e-4 / 500_000)
    assert costs.permanent == pytest.approx(0.5 * 1e-7 * 1.1e-4)
    assert costs.volatility == pytest.approx(1.1e-5)


@pytest.mark.parametrize(("latency_s", "slice_s"), [(0.05, 1.0), (0.4, 1.2), (2.0, 6.0), (math.nan, 1.0), (0.0, 1.0)])
def test_a_slice_lasts_three_latencies_and_a_second_at_least(latency_s: float, slice_s: float) -> None:
    assert slice_time_s(latency_s) == pytest.approx(slice_s)


def test_a_schedule_has_the_urgency_of_the_equity_it_risks() -> None:
    schedule = sliced()
    costs = impact_costs(MARKET, 1.0)
    assert schedule.kappa == pytest.approx(urgency(costs, 5 / (2 * 1e5), 1.0))
    assert len(schedule.volumes_cents) == math.ceil(min(max(1 / schedule.kappa, 2.0), 120.0))
    assert sum(schedule.volumes_cents) == 200_000_000
    planned = trades(best_holdings(2e6, schedule.kappa, 1.0, len(schedule.volumes_cents)))
    np.testing.assert_allclose(np.array(schedule.volumes_cents) / 100, planned, atol=1000.0)
    assert schedule.expected_cost > 2e6 * costs.fixed
    assert schedule.cost_deviation > 0.0


def test_a_reduction_is_ten_times_as_urgent() -> None:
    growth, reduction = sliced(), sliced(reducing=True)
    assert reduction.kappa == pytest.approx(growth.kappa * math.sqrt(10), rel=0.01)
    assert len(reduction.volumes_cents) < len(growth.volumes_cents)
    assert reduction.cost_deviation < growth.cost_deviation


def test_a_price_that_does_not_move_is_traded_evenly_over_the_longest_time() -> None:
    schedule = sliced(240_000_000, volatility=0.0)
    assert schedule.volumes_cents == (2_000_000,) * 120
    assert (schedule.kappa, schedule.cost_deviation) == (0.0, 0.0)


def test_a_wild_price_is_traded_within_two_seconds() -> None:
    schedule = sliced(volatility=1e-2)
    assert len(schedule.volumes_cents) == 2
    assert schedule.volumes_cents[0] >= 0.98 * 200_000_000


def test_slices_longer_than_the_schedule_are_one_order() -> None:
    assert sliced(volatility=1e-2, latency_s=3.0, impact_bps_per_unit=0.0).volumes_cents == (200_000_000,)


def test_a_sale_mirrors_a_purchase() -> None:
    assert sliced(-200_000_000).volumes_cents == tuple(-v for v in sliced().volumes_cents)


def test_where_the_touch_holds_the_reference_size_there_is_nothing_to_slice_for() -> None:
    for slip_bps in (0.1, 0.05):
        with pytest.raises(SlicesTooLong):
            sliced(reference_slip_bps=slip_bps)


@pytest.mark.parametrize("name", ["mid", "half_spread_bps", "reference_units", "reference_slip_bps", "volatility"])
def test_what_is_not_known_is_not_sliced_by(name: str) -> None:
    with pytest.raises(ValueError, match=r"needs equity|cannot be"):
        sliced(**{name: math.nan})


@pytest.mark.parametrize("equity", [0.0, -1.0, math.nan, math.inf])
def test_without_equity_nothing_is_sliced(equity: float) -> None:
    with pytest.raises(ValueError, match="slicing needs equity"):
        sliced(equity=equity)


# -- rounding ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "planned", "step", "smallest", "expected"),
    [
        (1000, (1, 1, 1), 100, 100, (300, 400, 300)),
        (1000, (0.4, 0.3, 0.2, 0.1), 100, 300, (400, 300, 0, 300)),
        (1000, (0.4, 0.4, 0.2), 100, 300, (400, 600, 0)),  # the last would be 200: it goes with the one before
        (1034, (0.5, 0.5), 100, 100, (500, 534)),
        (1090, (1, 0), 100, 100, (1090, 0)),  # rounding up may not reach beyond the whole
        (1034, (1, 0), 100, 100, (1034, 0)),  # 34 cannot be traded by themselves
        (50, (0.5, 0.5), 100, 100, (0, 50)),  # nor can the whole: it is the caller's to judge
        (-1000, (-0.5, -0.5), 100, 100, (-500, -500)),
    ],
)
def test_slices_by_hand(
    change: int, planned: tuple[float, ...], step: int, smallest: int, expected: tuple[int, ...]
) -> None:
    assert tradable_slices(change, np.array(planned), step, smallest) == expected


shares = st.lists(st.floats(0.0, 100.0), min_size=1, max_size=40).filter(lambda x: sum(x) > 1e-3)


@given(st.integers(1, 10_000), shares, st.integers(1, 50), st.integers(1, 500), st.sampled_from([1, -1]))
def test_slices_add_up_can_be_traded_and_keep_to_the_plan(
    whole: int, planned: list[float], step: int, smallest: int, side: int
) -> None:
    volumes = [side * v for v in tradable_slices(side * whole, side * np.array(planned), step, smallest)]
    assert sum(volumes) == whole
    assert len(volumes) == len(planned)
    assert all(v == 0 or v >= min(smallest, whole) for v in volumes)
    last = max(j for j, v in enumerate(volumes) if v)
    assert all(v % step == 0 for v in volumes[:last])
    planned_so_far = [whole * x / sum(planned) for x in accumulate(planned)]
    for j, (traded, wanted) in enumerate(zip(accumulate(volumes), planned_so_far, strict=True)):
        if j < last:
            assert abs(traded - wanted) <= step / 2 + 1e-6 or wanted - step / 2 - smallest < traded < wanted
        else:  # everything is traded: at most what the minimum would have left behind came early
            assert traded == whole
            assert whole - wanted <= smallest + step / 2 + 1e-6 or j == len(planned) - 1 or smallest > whole / 2


@given(shares, st.integers(1, 50))
def test_without_a_minimum_no_rounding_adds_up(planned: list[float], step: int) -> None:
    whole = 1000 * step
    traded = accumulate(tradable_slices(whole, np.array(planned), step, 1))
    for reached, wanted in zip(traded, accumulate(planned), strict=True):
        assert abs(reached - whole * wanted / sum(planned)) <= step / 2 + 1e-6


@pytest.mark.parametrize("planned", [(0.0, 0.0), (1.0, -0.1), (-1.0, -1.0), (math.nan, 1.0), (math.inf, 1.0), ()])
def test_a_plan_that_does_not_go_the_way_of_the_change_is_refused(planned: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="slices add up"):
        tradable_slices(1000, np.array(planned), 100, 100)


@given(
    steps=st.integers(1, 5000),
    sign=st.sampled_from([1, -1]),
    slip_bps=st.floats(0.11, 3.0),
    volatility=st.floats(0.0, 2e-4),
    reducing=st.booleans(),
)
def test_the_next_slice_is_the_first_of_the_schedule_that_can_be_traded(
    steps: int, sign: int, slip_bps: float, volatility: float, *, reducing: bool
) -> None:
    market, change = replace(MARKET, reference_slip_bps=slip_bps, volatility=volatility), sign * steps * 100_000
    try:
        schedule = schedule_resize(change, SPEC, market, 1e5, reducing=reducing)
    except SlicesTooLong:
        with pytest.raises(SlicesTooLong):
            next_slice(change, SPEC, market, 1e5, reducing=reducing)
        return
    planned = next_slice(change, SPEC, market, 1e5, reducing=reducing)
    first = next(j for j, volume in enumerate(schedule.volumes_cents) if volume)
    assert planned.count == len(schedule.volumes_cents)
    # A share at the half of a step may be rounded either way, and then the one before may just be large enough.
    assert abs(planned.volume_cents - schedule.volumes_cents[first]) <= 100_000
    assert planned.wait_s in (first * planned.slice_s, (first + 1) * planned.slice_s, (first + 2) * planned.slice_s)


@given(steps=st.integers(1, 3000), least_s=st.floats(0.0, 20.0), volatility=st.floats(0.0, 1e-3))
def test_planned_anew_after_each_slice_a_change_ends_within_its_time(
    steps: int, least_s: float, volatility: float
) -> None:
    market, left, elapsed_s, sent = replace(MARKET, volatility=volatility), steps * 100_000, 0.0, 0
    end_s = None
    while left:
        planned = next_slice(
            left, SPEC, market, 1e5, reducing=False, least_slice_s=least_s,
            longest_s=120.0 if end_s is None else end_s - elapsed_s,
        )  # fmt: skip
        assert 0 < planned.volume_cents <= left
        assert planned.slice_s >= max(least_s, 1.0)
        assert planned.volume_cents == left or planned.volume_cents >= SPEC.min_volume_cents
        assert left - planned.volume_cents == 0 or left - planned.volume_cents >= SPEC.min_volume_cents
        end_s = planned.count * planned.slice_s if end_s is None else end_s
        left, sent = left - planned.volume_cents, sent + 1
        elapsed_s += planned.wait_s
    assert elapsed_s <= end_s + 20.0 + 1.0
    assert sent <= math.ceil(end_s / max(least_s, 1.0)) + 1


def test_a_change_of_the_least_volume_is_one_slice_that_is_sent_now() -> None:
    planned = next_slice(-100_000, SPEC, MARKET, 1e5, reducing=True)
    assert planned.volume_cents == -100_000


def test_small_slices_are_sent_together_with_as_much_longer_a_pause() -> None:
    slow = replace(MARKET, volatility=1e-7)  # 120 slices of a second
    planned = next_slice(4_000_000, SPEC, slow, 1e5, reducing=False)
    assert planned.count == 120
    assert planned.volume_cents == 100_000
    assert 1.5 <= planned.wait_s <= 3.0, "40 steps in 120 s, the first rounded up"
    paced = next_slice(4_000_000, SPEC, slow, 1e5, reducing=False, least_slice_s=4.0, longest_s=60.0)
    assert (paced.slice_s, paced.count) == (4.0, 15)


@pytest.mark.parametrize(
    "unknown", ["mid", "half_spread_bps", "reference_slip_bps", "impact_bps_per_unit", "volatility"]
)
def test_no_slice_is_made_of_a_figure_that_nobody_knows(unknown: str) -> None:
    with pytest.raises(ValueError, match=r"unknown|needs equity"):
        next_slice(4_000_000, SPEC, replace(MARKET, **{unknown: math.nan}), 1e5, reducing=False)
