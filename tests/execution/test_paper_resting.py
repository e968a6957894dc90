"""Limit orders in the paper book: filled at their price by what reaches it, changed, cancelled, never overfilled."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_paper import SPEC, books

from bot.account.position import Position
from bot.execution.orders import OrderSnapshot
from bot.execution.paper import PaperReport, PaperVenue
from bot.execution.requests import AmendOrder, CancelOrder, PlaceOrder
from bot.market.delta import DEPTH_ASK, DEPTH_BID

APART = {DEPTH_BID: [(110_000, 5_000)], DEPTH_ASK: [(110_010, 5_000)]}


class Bench:
    """A paper venue, the positions it knows, and a clock."""

    def __init__(self, *held: Position, netted: bool = False) -> None:
        self.held = {p.position_id: p for p in held}
        self.venue = PaperVenue(
            self.held.get, lambda s: 1.0, merged=lambda i: next(iter(self.held.values()), None) if netted else None
        )
        self.now_ns = 0

    def place(self, units: int, price: float, levels: Any = APART, **more: Any) -> list[PaperReport]:
        request = PlaceOrder("q-1", 11, 100 * units, "limit", "microlev", limit_price=price, **more)
        return self.venue.execute(request, SPEC, books(levels), 0, self.now_ns)

    def match(self, bids: list[tuple[int, int]], asks: list[tuple[int, int]]) -> list[PaperReport]:
        self.now_ns += 1
        return self.venue.match(books({DEPTH_BID: bids, DEPTH_ASK: asks}), {11: 0}, self.now_ns)


def kinds(reports: list[PaperReport]) -> list[str]:
    return [report.kind for report in reports]


def filled(reports: list[PaperReport]) -> int:
    return sum(abs(r.deal.volume_cents) // 100 for r in reports if r.deal is not None)


def test_an_order_away_from_the_market_rests() -> None:
    bench = Bench()
    (accepted,) = bench.place(1000, 1.1)
    assert accepted.order is not None
    assert (accepted.kind, accepted.order.limit_price, accepted.order.label) == ("accepted", 1.1, "microlev")
    assert list(bench.venue._resting) == [accepted.order.order_id]
    assert bench.match([(110_000, 5_000)], [(110_001, 5_000)]) == []


@pytest.mark.parametrize("side", [1, -1])
def test_it_fills_at_its_own_price_when_the_other_side_reaches_it(side: int) -> None:
    bench = Bench()
    bench.place(side * 1000, 1.10005)
    better, worse = (110_003, 110_020) if side > 0 else (110_007, 109_990)
    other = [(better, 400), (110_005, 300), (worse, 9_000)]
    (part,) = bench.match([], other) if side > 0 else bench.match(other, [])
    assert (part.kind, part.deal and part.deal.volume_cents) == ("partially_filled", side * 70_000)
    assert part.deal is not None and part.order is not None
    assert (part.deal.price, part.order.executed_cents, part.order.status) == (1.10005, 70_000, "accepted")
    both = [(better, 900)]
    (rest,) = bench.match([], both) if side > 0 else bench.match(both, [])
    assert (rest.kind, rest.deal and rest.deal.volume_cents) == ("partially_filled", side * 20_000), "200 are new"
    assert bench.match([(100_000, 1)], [(120_000, 1)]) == []
    (end,) = bench.match([], both) if side > 0 else bench.match(both, [])
    assert (end.kind, end.deal and end.deal.volume_cents) == ("filled", side * 10_000), "it was gone, so all is new"
    assert end.deal is not None
    assert end.deal.position_id == part.deal.position_id, "one order opens one position"
    assert list(bench.venue._resting) == []


@given(
    st.integers(1, 30),
    st.lists(st.lists(st.tuples(st.integers(-3, 3), st.integers(1, 60)), max_size=3), max_size=6),
)
def test_never_more_than_ordered_nor_than_reaches_the_price_at_once(
    steps: int, moves: list[list[tuple[int, int]]]
) -> None:
    bench = Bench()
    done = filled(bench.place(10 * steps, 1.1, {DEPTH_ASK: [(110_100, 1)]}))
    for move in moves:
        asks = sorted({110_000 + tick: units for tick, units in move}.items())
        now = filled(bench.match([], asks))
        assert now <= sum(units for price, units in asks if price <= 110_000)
        assert now % 10 == 0
        done += now
    assert done <= 10 * steps
    assert (done == 10 * steps) == (list(bench.venue._resting) == [])


def test_a_symbol_whose_book_has_not_changed_is_not_matched() -> None:
    bench = Bench()
    bench.place(1000, 1.1)
    assert bench.venue.match(books({DEPTH_ASK: [(109_990, 9_000)]}), {12: 0}, 1) == []


def test_an_amend_moves_price_and_volume_and_may_fill_at_once() -> None:
    bench = Bench()
    (accepted,) = bench.place(1000, 1.09)
    assert accepted.order is not None
    reports = bench.venue.amend(
        AmendOrder("q-2", 11, accepted.order.order_id, 200_000, limit_price=1.1001), books(APART), 0, 1
    )
    assert kinds(reports) == ["replaced", "filled"]
    assert [r.client_order_id for r in reports] == ["q-1", "q-1"], "events name the order, not the amendment"
    assert reports[1].deal is not None
    assert (reports[1].deal.volume_cents, reports[1].deal.price) == (200_000, 1.1001)


def test_an_amend_of_volume_alone_does_not_take_the_same_display_again() -> None:
    bench = Bench()
    reports = bench.place(1000, 1.1001, {DEPTH_ASK: [(110_010, 300)]})
    assert filled(reports) == 300
    assert reports[0].order is not None
    amend = AmendOrder("q-2", 11, reports[0].order.order_id, 90_000, limit_price=1.1001)
    assert kinds(bench.venue.amend(amend, books({DEPTH_ASK: [(110_010, 300)]}), 0, 1)) == ["replaced"]


def test_an_amend_below_what_is_executed_is_refused_and_changes_nothing() -> None:
    bench = Bench()
    (accepted,) = bench.place(1000, 1.1)
    assert accepted.order is not None
    bench.match([], [(110_000, 500)])
    (refusal,) = bench.venue.amend(
        AmendOrder("q-2", 11, accepted.order.order_id, 50_000, limit_price=1.2), books(APART), 0, 1
    )
    assert (refusal.kind, refusal.client_order_id, refusal.error_code) == (
        "amend_rejected",
        "q-2",
        "TRADING_BAD_VOLUME",
    )
    (cancelled,) = bench.venue.cancel(CancelOrder("q-3", 11, accepted.order.order_id), 2)
    assert cancelled.order is not None
    assert (cancelled.order.limit_price, cancelled.order.executed_cents) == (1.1, 50_000)


def test_what_is_gone_can_be_neither_changed_nor_cancelled() -> None:
    bench = Bench()
    (accepted,) = bench.place(1000, 1.1)
    assert accepted.order is not None
    cancel = CancelOrder("q-3", 11, accepted.order.order_id)
    assert kinds(bench.venue.cancel(cancel, 1)) == ["cancelled"]
    (refusal,) = bench.venue.cancel(cancel, 2)
    assert (refusal.kind, refusal.client_order_id, refusal.order) == ("cancel_rejected", "q-3", None)
    amend = AmendOrder("q-4", 11, accepted.order.order_id, 100_000, limit_price=1.1)
    assert kinds(bench.venue.amend(amend, books(APART), 0, 3)) == ["amend_rejected"]


def test_a_tied_order_closes_its_position_and_goes_with_it() -> None:
    bench = Bench(Position(7, 11, 100_000, 1.09))
    bench.place(-2000, 1.10005, position_id=7)
    (part,) = bench.match([(110_005, 9_000)], [])
    assert part.deal is not None
    assert (part.deal.volume_cents, part.deal.closed_volume_cents, part.deal.position_id) == (-100_000, 100_000, 7)
    assert part.deal.gross_profit == Decimal("10.05")
    del bench.held[7]
    (gone,) = bench.match([(110_005, 9_000)], [])
    assert (gone.kind, list(bench.venue._resting)) == ("cancelled", [])


def test_a_position_that_is_not_there_cannot_be_tied_to() -> None:
    (refusal,) = Bench().place(-1000, 1.1, position_id=7)
    assert (refusal.kind, refusal.error_code) == ("rejected", "POSITION_NOT_FOUND")


def test_on_a_netted_account_fills_merge_into_the_position() -> None:
    bench = Bench(Position(7, 11, 100_000, 1.09), netted=True)
    bench.place(-500, 1.10005)
    (done,) = bench.match([(110_005, 9_000)], [])
    assert done.deal is not None
    assert (done.deal.position_id, done.deal.closed_volume_cents) == (7, 50_000)


def test_a_limit_order_without_a_price_is_refused() -> None:
    request = PlaceOrder("q-1", 11, 1000, "limit", "microlev")
    (refusal,) = Bench().venue.execute(request, SPEC, books(APART), 0, 1)
    assert (refusal.kind, refusal.error_code) == ("rejected", "TRADING_BAD_PRICES")


# -- somebody else's orders, and symbols without depth ----------------------------------------------------------------


def test_somebody_elses_order_is_changed_on_paper_alone() -> None:
    theirs = OrderSnapshot(77, 11, -900_000, 100_000, "stop", "accepted", stop_price=1.0, comment="by hand")
    venue = PaperVenue({}.get, lambda s: 1.0, find_order=lambda i: theirs if i == 77 else None)
    (replaced,) = venue.amend(AmendOrder("a-1", 11, 77, 400_000, stop_price=1.0), books(APART), 0, 5)
    assert (replaced.kind, replaced.client_order_id) == ("replaced", "a-1")
    assert replaced.order == replace(theirs, volume_cents=-400_000, updated_ns=5)
    (cancelled,) = venue.cancel(CancelOrder("a-2", 11, 77), 6)
    assert (cancelled.kind, cancelled.client_order_id) == ("cancelled", "a-2")
    assert cancelled.order is not None and cancelled.order.status == "cancelled"
    (refused,) = venue.amend(AmendOrder("a-3", 11, 77, 100_000, stop_price=1.0), books(APART), 0, 7)
    assert refused.kind == "amend_rejected", "so much of it is executed already"


@pytest.mark.parametrize("order_type", ["stop", "stop_limit"])
def test_no_stop_order_is_filled_on_paper_as_if_it_were_a_market_order(order_type: str) -> None:
    request = PlaceOrder("q-1", 11, 100_000, order_type, "microlev", stop_price=1.2)
    (report,) = Bench().venue.execute(request, SPEC, books(APART), 0, 0)
    assert (report.kind, report.error_code) == ("rejected", "TRADING_NOT_ALLOWED")
