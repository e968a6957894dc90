"""From an approved target to one request: which position, how much, at what price bound."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.account.position import Position
from bot.account.risk import ApprovedTarget
from bot.execution.plan import OrderStyle, PlannedOrder, plan, slippage_points
from bot.execution.requests import ClosePosition, PlaceOrder
from bot.market.symbols import SymbolSpec

SPEC = SymbolSpec(11, "EURUSD", "EUR", "USD", 5, 4, 10_000_000, 1000, 1000, 1_000_000)
RANGED, MARKET = OrderStyle("market_range", 2.0, "microlev"), OrderStyle("market", 2.0, "microlev")
BID, ASK = 1.10001, 1.10003


def positions(*volumes: int) -> list[Position]:
    return [Position(100 + i, 11, volume, 1.1, "microlev") for i, volume in enumerate(volumes)]


def planned(
    held: list[Position],
    target: int,
    *,
    style: OrderStyle = RANGED,
    spec: SymbolSpec = SPEC,
    netted: bool = False,
) -> PlannedOrder | None:
    approved = ApprovedTarget(0, sum(p.volume_cents for p in held), target, None, None, None)
    return plan(approved, spec, held, BID, ASK, style, "id-1", netted=netted)


@pytest.mark.parametrize(("target", "price"), [(5000, ASK), (-5000, BID)])
def test_an_opening_order_is_bounded_from_the_price_it_crosses_to(target: int, price: float) -> None:
    order = planned([], target)
    request = PlaceOrder("id-1", 11, target, "market_range", "microlev", base_price=price, slippage_points=22)
    assert order == PlannedOrder("open", target, "market_range", None, request)


def test_a_market_order_has_no_bound() -> None:
    order = planned([], 5000, style=MARKET)
    assert order is not None
    assert order.request == PlaceOrder("id-1", 11, 5000, "market", "microlev")


@pytest.mark.parametrize(("netted", "position_id"), [(False, 100), (True, None)])
def test_an_increase_names_the_first_position_of_its_side_unless_the_account_merges_them(
    netted: bool, position_id: int | None
) -> None:
    order = planned(positions(3000, 2000), 9000, netted=netted)
    assert order is not None
    assert (order.action, order.volume_cents, order.position_id) == ("increase", 4000, position_id)
    assert isinstance(order.request, PlaceOrder)
    assert order.request.position_id == position_id


def test_an_increase_never_names_a_position_of_the_other_side() -> None:
    order = planned(positions(-3000, 5000), 4000)
    assert order is not None
    assert (order.action, order.position_id) == ("increase", 101)
    order = planned(positions(-3000), -3000 - 2000)
    assert order is not None
    assert (order.volume_cents, order.position_id) == (-2000, 100)


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize(
    ("volumes", "target", "action", "volume"),
    [
        ((5000,), 2000, "reduce", 3000),
        ((5000,), 0, "close", 5000),
        ((5234,), 0, "close", 5234),
        ((5000, 2000), 1000, "close", 5000),
        ((5000, 2000), 4000, "reduce", 3000),
        ((5500,), 500, "close", 5500),  # 500 left could never be traded again
        ((5234,), 3000, "reduce", 2000),
    ],
)
def test_a_reduction_takes_from_the_first_position(
    side: int, volumes: tuple[int, ...], target: int, action: str, volume: int
) -> None:
    order = planned(positions(*(side * v for v in volumes)), side * target)
    request = ClosePosition("id-1", 11, 100, volume)
    assert order == PlannedOrder(action, -side * volume, "market", 100, request)  # type: ignore[arg-type]


def test_one_close_takes_the_maximum_of_an_order_at_most() -> None:
    spec = replace(SPEC, max_volume_cents=4500)
    order = planned(positions(10_234), 0, spec=spec)
    assert order == PlannedOrder("reduce", -4000, "market", 100, ClosePosition("id-1", 11, 100, 4000))


def test_nothing_to_do_and_nothing_to_do_it_with_plan_nothing() -> None:
    assert planned(positions(3000), 3000) is None
    assert planned(positions(3000), 2500) is None, "less than the minimum"
    approved = ApprovedTarget(0, 3000, 0, None, None, None)
    assert plan(approved, SPEC, positions(-3000), BID, ASK, RANGED, "id-1", netted=False) is None


@given(
    st.lists(st.integers(1, 30_000), min_size=1, max_size=4),
    st.integers(0, 30_000),
    st.sampled_from([1, -1]),
    st.sampled_from([5000, 1_000_000]),
)
def test_step_by_step_a_reduction_ends_on_its_target_or_where_nothing_more_can_be_traded(
    volumes: list[int], target: int, side: int, largest: int
) -> None:
    spec = replace(SPEC, max_volume_cents=largest)
    held = sorted(volumes, reverse=True)
    if target >= sum(held):
        return
    for _ in range(100):
        order = planned(positions(*(side * v for v in held)), side * target, spec=spec)
        if order is None or sum(held) <= target:
            break
        assert isinstance(order.request, ClosePosition)
        assert 0 < order.request.volume_cents <= largest or order.request.volume_cents < 1000
        held[order.request.position_id - 100] -= order.request.volume_cents
        assert held[order.request.position_id - 100] >= 0
        held = sorted((v for v in held if v), reverse=True)
    else:
        pytest.fail("it never ends")
    left = sum(held) - target
    if target == 0:
        assert held == []
    assert left < 1000, "what is left is less than the smallest trade"
    assert left > -1000, "and what went too far was dust"


@given(st.floats(0.001, 90_000), st.floats(0.01, 50), st.integers(0, 5))
def test_slippage_is_whole_points_rounded_down_and_one_at_least(price: float, bps: float, digits: int) -> None:
    points = slippage_points(replace(SPEC, digits=digits), price, bps)
    exact = price * bps / 1e4 * 10**digits
    assert points == max(1, math.floor(exact + 1e-9))


def test_a_gold_price_of_two_digits_has_its_bound_in_cents() -> None:
    assert slippage_points(replace(SPEC, digits=2), 2400.00, 2.0) == 48
