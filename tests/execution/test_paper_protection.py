"""Protective legs on paper: placed with an order or later, reached on the side that closes, filled at the book."""

import math
from typing import Any

import pytest
from test_paper import B0, SPEC, books, execute, kinds, order

from bot.account.position import Position
from bot.execution.paper import PaperReport, PaperVenue
from bot.execution.requests import ProtectPosition
from bot.market.book import BookArrays
from bot.market.delta import DEPTH_ASK, DEPTH_BID


def market(bid: int, ask: int, units: int = 10_000_000) -> BookArrays:
    """Return a book of one level a side, with the same spot price."""
    found = books({DEPTH_BID: [(bid, units)], DEPTH_ASK: [(ask, units)]})
    found.heads[0]["spot_e5"][:] = bid, ask
    found.heads[0]["spot_known"][:] = 1
    return found


class Desk:
    """A paper venue, and the positions that its deals have made."""

    def __init__(self, *held: Position) -> None:
        self.held = {p.position_id: p for p in held}
        self.venue = PaperVenue(self.held.get, lambda symbol_index: 1.0)

    def open(self, units: int, **legs: Any) -> Position:
        reports = execute(self.venue, order(units, **legs))
        deal = reports[-1].deal
        assert deal is not None
        self.held[deal.position_id] = Position(deal.position_id, 11, deal.volume_cents, deal.price, "microlev")
        self.told = reports[-1].position
        return self.held[deal.position_id]

    def protect(self, position_id: int, stop: float | None, profit: float | None, at: BookArrays) -> list[PaperReport]:
        return self.venue.protect(ProtectPosition("id-9", 11, position_id, stop, profit), SPEC, at, 0)

    def match(self, at: BookArrays) -> list[PaperReport]:
        return self.venue.match(at, {11: 0}, 7, [SPEC])


def test_an_order_with_relative_legs_opens_a_protected_position() -> None:
    desk = Desk()
    held = desk.open(100_000, relative_stop_loss_e5=100, relative_take_profit_e5=200)
    assert desk.told is not None
    assert (desk.told.stop_loss, desk.told.take_profit) == (1.09902, 1.10202), "from the fill at 1.10002"
    assert desk.match(market(109_903, 109_905)) == []
    (report,) = desk.match(market(109_902, 109_904))
    assert report.kind == "filled" and report.client_order_id is None
    assert report.order is not None and report.order.order_type == "stop_loss_take_profit" and report.order.closing
    assert report.deal is not None
    assert (report.deal.volume_cents, report.deal.price) == (-held.volume_cents, 1.09902)
    assert report.deal.gross_profit is not None and report.deal.gross_profit == pytest.approx(-100, abs=0.01)
    del desk.held[held.position_id]
    assert desk.match(market(100_000, 100_002)) == [], "once"


@pytest.mark.parametrize(
    ("units", "bid", "ask", "is_hit"),
    [
        (100_000, 109_950, 109_960, False),
        (100_000, 109_900, 109_999, True),  # the stop of a long on the bid
        (100_000, 110_200, 110_201, True),  # and its target
        (-100_000, 110_000, 110_100, True),  # those of a short on the ask
        (-100_000, 109_700, 109_801, False),
        (-100_000, 109_700, 109_800, True),
    ],
)
def test_a_leg_acts_on_the_side_that_closes(units: int, bid: int, ask: int, is_hit: bool) -> None:
    side = 1 if units > 0 else -1
    desk = Desk(Position(5, 11, 100 * units, 1.1, "microlev"))
    stop, profit = round(1.1 - side * 0.001, 5), round(1.1 + side * 0.002, 5)
    assert kinds(desk.protect(5, stop, profit, market(110_000, 110_001))) == ["replaced"]
    assert bool(desk.match(market(bid, ask))) is is_hit


def test_what_is_left_out_is_removed() -> None:
    desk = Desk(Position(5, 11, 10_000_000, 1.1, "microlev"))
    desk.protect(5, 1.099, 1.102, market(110_000, 110_001))
    (report,) = desk.protect(5, None, 1.102, market(110_000, 110_001))
    assert report.position is not None and report.position.stop_loss is None
    assert desk.match(market(100_000, 100_001)) == []


def test_legs_beyond_the_market_and_of_no_position_are_refused() -> None:
    desk = Desk(Position(5, 11, 10_000_000, 1.1, "microlev"))
    here = market(110_000, 110_001)
    for position_id, stop, profit, code in (
        (5, 1.1, None, "TRADING_BAD_STOPS"),
        (5, None, 1.1, "TRADING_BAD_STOPS"),
        (6, 1.09, None, "POSITION_NOT_FOUND"),
    ):
        (report,) = desk.protect(position_id, stop, profit, here)
        assert (report.kind, report.error_code) == ("amend_rejected", code)


def test_in_a_book_too_thin_a_part_is_closed_and_the_rest_stays_protected() -> None:
    desk = Desk(Position(5, 11, 10_000_000, 1.1, "microlev"))
    desk.protect(5, 1.099, None, market(110_000, 110_001))
    (report,) = desk.match(market(109_800, 109_802, units=40_000))
    assert report.kind == "partially_filled" and report.deal is not None
    assert report.deal.volume_cents == -4_000_000
    desk.held[5] = Position(5, 11, 6_000_000, 1.1, "microlev")
    (report,) = desk.match(market(109_700, 109_702))
    assert report.kind == "filled" and report.deal is not None and report.deal.price == 1.097


def test_an_unknown_spot_price_or_an_empty_side_reaches_nothing() -> None:
    desk = Desk(Position(5, 11, 10_000_000, 1.1, "microlev"))
    desk.protect(5, 1.099, None, market(110_000, 110_001))
    assert desk.match(books(B0)) == []
    empty = books({DEPTH_ASK: [(109_000, 100)]})
    empty.heads[0]["spot_e5"][:], empty.heads[0]["spot_known"][:] = (108_000, 109_000), 1
    assert desk.match(empty) == []
    assert math.isnan(float("nan"))
