"""One step a side: what protects comes first, an answer is waited for, and only an approved change is rested."""

import ast
import math
from dataclasses import replace
from decimal import Decimal
from inspect import getsource
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.account.risk import ApprovedTarget
from bot.execution import quotes
from bot.execution.in_flight import TRANSITIONS, OwnOrder
from bot.execution.quotes import (
    KEEP,
    QuotePace,
    Step,
    Wish,
    amend_quote,
    cancel_quote,
    next_step,
    place_quote,
    quote_price,
)
from bot.execution.requests import AmendOrder, CancelOrder, PlaceOrder
from bot.market.symbols import SymbolSpec

SPEC = SymbolSpec(11, "EURUSD", "EUR", "USD", 5, 4, 10_000_000, 100_000, 100_000, 10**12)
SECOND = 1_000_000_000
NOW = 100 * SECOND
PACE = QuotePace(SECOND, 3 * SECOND, 2.0, sent_last_minute=0, amended_last_minute=0, max_orders_per_minute=60)


def resting(side: int = 1, *, price: float = 1.1, left: int = 500_000, executed: int = 0, **fields: Any) -> OwnOrder:
    order = OwnOrder("q-1", 0, 11, side * (left + executed), None, 0, True, "accepted", 7, executed, limit_price=price)
    for name, known in fields.items():
        setattr(order, name, known)
    return order


def step(wish: Wish | None, *orders: OwnOrder, altered: bool = False, **pace: Any) -> Step:
    return next_step(wish, orders, lambda order: altered, SPEC, replace(PACE, **pace), NOW)


def wish(price: float = 1.1, volume: int = 500_000, position_id: int | None = None) -> Wish:
    return Wish(price, volume, position_id)


def test_an_empty_side_is_quoted_when_it_should_be() -> None:
    assert step(wish()) == Step("place", None, 1.1, 500_000, None)
    assert step(None) is KEEP


def test_a_quote_that_is_where_it_belongs_is_kept() -> None:
    assert step(wish(), resting()) is KEEP
    assert step(wish(1.10001), resting()) is KEEP, "a tick is below the threshold of two"
    assert step(wish(volume=540_000), resting()) is KEEP, "less than a volume step"


@pytest.mark.parametrize("side", [1, -1])
def test_a_quote_too_near_the_market_is_moved_away_at_once(side: int) -> None:
    found = step(wish(1.1 - side * 2e-5), resting(side), sent_last_minute=1000)
    assert (found.action, found.price, found.volume_cents) == ("amend", pytest.approx(1.1 - side * 2e-5), 500_000)
    assert found.reduces_risk


@pytest.mark.parametrize("side", [1, -1])
def test_a_quote_too_far_from_the_market_comes_nearer_while_the_rate_allows(side: int) -> None:
    nearer = wish(1.1 + side * 2e-5)
    assert step(nearer, resting(side)).action == "amend"
    assert not step(nearer, resting(side)).reduces_risk
    assert step(nearer, resting(side), sent_last_minute=45) is KEEP
    assert step(nearer, resting(side, changed_ns=NOW - 2 * SECOND)) is KEEP, "advances are spread over the minute"


def test_what_protects_is_done_without_what_does_not() -> None:
    found = step(wish(1.1 - 5e-5, volume=900_000), resting())
    assert (found.volume_cents, found.reduces_risk) == (500_000, True), "away first; it may grow later"
    found = step(wish(1.1 + 5e-5, volume=200_000), resting())
    assert (found.price, found.volume_cents, found.reduces_risk) == (1.1, 200_000, True), "smaller first"


def test_changes_keep_their_least_interval() -> None:
    lately = resting(changed_ns=NOW - SECOND // 2)
    assert step(wish(1.09), lately) is KEEP
    assert step(None, lately).action == "cancel", "a cancel does not wait"


def test_a_quote_grows_when_it_is_worth_an_amend() -> None:
    assert step(wish(volume=600_000), resting()).volume_cents == 600_000
    large = resting(left=50_000_000)
    assert step(wish(volume=50_100_000), large) is KEEP


def test_what_the_amends_of_a_minute_do_not_reach_for_is_cancelled() -> None:
    assert step(wish(1.09), resting(), amended_last_minute=95).action == "cancel"
    assert step(wish(1.11), resting(), amended_last_minute=95, sent_last_minute=95) is KEEP


@pytest.mark.parametrize(
    "order",
    [
        resting(is_stuck=True),
        resting(position_id=9),
    ],
    ids=["the venue would not change it", "it closes another position"],
)
def test_a_quote_that_cannot_be_made_right_is_cancelled(order: OwnOrder) -> None:
    found = step(wish(), order)
    assert (found.action, found.order) == ("cancel", order)
    assert found.why


def test_of_two_quotes_on_a_side_the_younger_is_taken_back_first() -> None:
    first, second = resting(), resting()
    assert step(wish(), first, second).order is second


@pytest.mark.parametrize("state", sorted({*TRANSITIONS} - {"accepted", "partially_filled", "replaced"}))
def test_an_order_without_an_answer_is_left_alone_and_not_doubled(state: str) -> None:
    for wanted in (None, wish(), wish(1.09)):
        assert step(wanted, resting(state=state)) is KEEP
        assert step(wanted, resting(state=state), resting()).action in ("keep", "cancel")


def test_a_change_on_its_way_is_waited_for() -> None:
    for wanted in (None, wish(), wish(1.09)):
        assert step(wanted, resting(), altered=True) is KEEP


def test_a_refused_cancel_is_not_repeated_at_once() -> None:
    assert step(None, resting(quiet_until_ns=NOW + 1)) is KEEP
    assert step(None, resting(quiet_until_ns=NOW)).action == "cancel"


def test_while_another_order_has_the_symbol_nothing_is_placed_or_amended() -> None:
    assert step(wish(), is_busy=True) is KEEP
    assert step(wish(1.11), resting(), is_busy=True) is KEEP
    assert step(wish(1.09), resting(), is_busy=True).action == "cancel"
    assert step(None, resting(), is_busy=True).action == "cancel"


@given(
    st.one_of(
        st.none(),
        st.builds(wish, st.integers(1090, 1110).map(lambda n: n / 1000), st.integers(1, 20).map(lambda n: n * 100_000)),
    ),
    st.lists(
        st.builds(
            resting,
            st.just(1),
            price=st.integers(1090, 1110).map(lambda n: n / 1000),
            left=st.integers(1, 20).map(lambda n: n * 100_000),
            state=st.sampled_from(sorted(TRANSITIONS)),
            changed_ns=st.integers(0, 100).map(lambda n: n * SECOND),
            is_stuck=st.booleans(),
        ),
        max_size=2,
    ),
    st.integers(0, 100),
    st.booleans(),
)
def test_no_step_doubles_a_quote_and_cancels_wait_for_no_rate(
    wanted: Wish | None, orders: list[OwnOrder], sent: int, busy: bool
) -> None:
    found = step(wanted, *orders, sent_last_minute=sent, is_busy=busy)
    if found.action == "place":
        assert not orders and wanted is not None and not busy
    if found.action == "amend":
        assert len(orders) == 1 and orders[0].is_working and not busy
    if found.action == "amend" and found.reduces_risk:
        assert found.volume_cents <= orders[0].left_cents and found.price <= orders[0].limit_price
    unlimited = step(wanted, *orders, sent_last_minute=0, is_busy=busy)
    assert (unlimited.action == "cancel") == (found.action == "cancel")


# -- prices -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reference", "distance", "side", "opposite", "price"),
    [
        (1.100012, 0.000031, 1, 1.10005, 1.09998),
        (1.100012, 0.000031, -1, 1.09999, 1.10005),
        (1.100012, -0.0001, 1, 1.10005, 1.10004),
        (1.100012, -0.0001, -1, 1.09999, 1.1),
        (1.1, 0.0, 1, math.nan, 1.1),
        (1.1, 0.00001, 1, 1.1, 1.09999),
    ],
)
def test_a_price_is_rounded_away_and_stays_a_tick_short_of_the_other_side(
    reference: float, distance: float, side: int, opposite: float, price: float
) -> None:
    assert quote_price(reference, distance, side, opposite, SPEC) == price


@given(st.floats(0.5, 2), st.floats(-0.01, 0.01), st.sampled_from([1, -1]), st.floats(0.5, 2), st.integers(1, 6))
def test_every_price_lies_on_the_grid_and_on_its_side(
    reference: float, distance: float, side: int, opposite: float, digits: int
) -> None:
    spec = replace(SPEC, digits=digits)
    price = quote_price(reference, distance, side, opposite, spec)
    assert Decimal(repr(price)) == round(Decimal(repr(price)), digits)
    tick = 10.0**-digits
    assert side * (opposite - price) >= tick * (1 - 1e-5) - 1e-12
    assert side * (reference - side * distance - price) >= -1e-5 * tick


@pytest.mark.parametrize(("reference", "distance"), [(math.nan, 0.1), (1.1, math.nan), (1.1, math.inf)])
def test_without_a_price_there_is_none(reference: float, distance: float) -> None:
    assert math.isnan(quote_price(reference, distance, 1, 1.2, SPEC))


# -- requests ---------------------------------------------------------------------------------------------------------


def approved(held: int, target: int) -> ApprovedTarget:
    return ApprovedTarget(0, held, target, None, None, None)


def test_requests_rest_what_was_approved() -> None:
    assert place_quote(approved(200_000, -100_000), SPEC, 1.2, "microlev", "r-1", 9) == PlaceOrder(
        "r-1", 11, -300_000, "limit", "microlev", position_id=9, limit_price=1.2
    )
    partly = resting(executed=200_000)
    assert amend_quote(approved(0, 400_000), partly, 1.09, "r-2", reduces_risk=True) == AmendOrder(
        "r-2", 11, 7, 600_000, limit_price=1.09, reduces_risk=True
    ), "the venue counts the whole order, with what is executed"
    assert cancel_quote(partly, "r-3") == CancelOrder("r-3", 11, 7)


@pytest.mark.parametrize("make", [place_quote, amend_quote])
def test_only_an_approved_target_becomes_a_request_that_rests(make: Any) -> None:
    first = next(iter(make.__annotations__.items()))
    assert first == ("approved", ApprovedTarget)
    made = [n for n in ast.walk(ast.parse(getsource(quotes))) if isinstance(n, ast.Call)]
    callers = {ast.unparse(call.func) for call in made}
    assert "ApprovedTarget" not in callers
    makers = {"place_quote": "PlaceOrder", "amend_quote": "AmendOrder"}
    tree = ast.parse(getsource(make))
    assert makers[make.__name__] in {ast.unparse(n.func) for n in ast.walk(tree) if isinstance(n, ast.Call)}
