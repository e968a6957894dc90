"""Which position goes first: the exact match, then the largest; and of a hedged pair the side that frees margin."""

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.account.position import Position
from bot.execution.reduction import first_to_close, first_to_reduce, reduction_cents
from bot.market.symbols import SymbolSpec

SPEC = SymbolSpec(1, "EURUSD", "EUR", "USD", 5, 4, 10_000_000, 100_000, 100_000, 5_000_000)


def held(*volumes: int) -> list[Position]:
    return [Position(i, 1, volume, 1.1, "microlev") for i, volume in enumerate(volumes, start=1)]


@pytest.mark.parametrize(
    ("volumes", "change", "first"),
    [
        ((300, 500, 400), -400, 3),  # one order closes it whole
        ((300, 500, 400), -450, 2),  # else the largest
        ((300, 300), -300, 1),  # the older of two alike
        ((300, -900), -200, 1),  # a sale closes what was bought
        ((300, -900, -200), 200, 3),
        ((-300,), -100, None),
        ((), -100, None),
    ],
)
def test_the_exact_match_goes_first_and_then_the_largest(
    volumes: tuple[int, ...], change: int, first: int | None
) -> None:
    for order in permutations(held(*volumes)):
        found = first_to_reduce(order, change)
        assert (None if found is None else found.position_id) == first


@pytest.mark.parametrize(
    ("volumes", "first"),
    [((300, -200), 1), ((100, 150, -200), 2), ((100, -200, -50), 2), ((100, -100), 1), ((), None)],
)
def test_to_close_everything_the_larger_side_goes_first(volumes: tuple[int, ...], first: int | None) -> None:
    for order in permutations(held(*volumes)):
        found = first_to_close(order)
        assert (None if found is None else found.position_id) == first


@given(st.integers(1, 12_000_000), st.integers(1, 12_000_000))
def test_a_reduction_is_on_the_grid_never_too_large_and_leaves_nothing_that_cannot_be_traded(
    volume: int, change: int
) -> None:
    (position,) = held(volume)
    cents = reduction_cents(position, -change, SPEC)
    assert 0 <= cents <= volume
    assert cents <= SPEC.max_volume_cents
    if cents not in (0, volume):
        assert cents % SPEC.step_volume_cents == 0 and cents <= change
    if 0 < cents < volume <= SPEC.max_volume_cents:
        assert volume - cents >= SPEC.min_volume_cents
    if cents == volume:
        assert volume - change < SPEC.min_volume_cents + SPEC.step_volume_cents


@given(st.lists(st.integers(-50, 50).filter(bool), min_size=1, max_size=6), st.integers(1, 200))
def test_reducing_step_by_step_ends_where_it_should_in_no_more_orders_than_positions(
    volumes: list[int], wanted: int
) -> None:
    positions = {p.position_id: p for p in held(*(v * 100_000 for v in volumes))}
    net = sum(p.volume_cents for p in positions.values())
    if net == 0:
        return
    side = 1 if net > 0 else -1
    change, orders = -side * min(wanted * 100_000, abs(net)), 0
    while change and orders <= len(volumes):
        position = first_to_reduce(list(positions.values()), change)
        assert position is not None and position.volume_cents * side > 0
        cents = reduction_cents(position, change, SPEC)
        assert cents > 0
        rest = position.volume_cents - side * cents
        del positions[position.position_id]
        if rest:
            positions[position.position_id] = Position(position.position_id, 1, rest, 1.1, "microlev")
        change, orders = change + side * cents, orders + 1
    assert change == 0 and orders <= len(volumes)
