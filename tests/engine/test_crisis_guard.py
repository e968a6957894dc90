"""The crisis guard at work: it cuts every strategy, never into an empty side, and lets go step by step."""

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from engine_desk import QUICK, SECOND, Desk

from bot.account.position import Deal
from bot.engine import events as ev
from bot.engine.decision import Decision
from bot.execution.orders import OrderSnapshot
from bot.market.delta import DEPTH_DELETE, END_DEPTH, delta_rows


class CalmDesk(Desk):
    """A desk whose market has been calm for two minutes, and which holds what it wants."""

    def calm(self, seconds: float = 120, **quote: int) -> list[Decision]:
        found = []
        for _ in range(round(4 * seconds)):
            self.now_ns += SECOND // 4
            found.append(self.quote(**quote))
            self.fill(found[-1])
        return found

    @property
    def level(self) -> float:
        assert self.engine.features is not None
        return float(self.engine.features.crisis_level[0])


def calm_desk(**changes: object) -> CalmDesk:
    desk = CalmDesk(**changes)
    desk.fill(desk.begin())
    desk.calm()
    assert desk.held == pytest.approx(2.0, rel=0.02)
    return desk


def test_a_spread_that_explodes_closes_the_position_and_says_why() -> None:
    desk = calm_desk()
    before = len(desk.lines("intended"))
    desk.calm(1, half_e5=12)
    assert desk.held == 0
    (order,) = desk.lines("intended")[before:]
    assert order.action == "close"
    assert order.reason.endswith("; crisis level 3")
    assert desk.level == 3


def test_without_the_guard_it_is_held_through() -> None:
    desk = calm_desk(pace=replace(QUICK, heeds_crisis=False))
    desk.calm(5, half_e5=12)
    assert desk.held == pytest.approx(2.0, rel=0.02)


def test_with_nobody_to_sell_to_nothing_is_sent_and_the_position_goes_when_somebody_is_there() -> None:
    desk = calm_desk()
    orders = len(desk.lines("requests"))
    gone = [(DEPTH_DELETE, 0, 10 + i, 0, 0) for i in range(3)] + [(END_DEPTH, 0, 0, 0, 0)]
    for _ in range(16):
        desk.now_ns += SECOND // 4
        desk.hear(ev.MarketDataChanged(desk.now_ns, delta_rows(gone)))
    assert desk.level == 3
    assert len(desk.lines("requests")) == orders, "a market order into an empty side is the worst act"
    desk.calm(1)
    assert desk.held == 0


def test_a_book_that_thins_out_is_sold_no_more_at_once_than_it_takes_within_the_bound() -> None:
    desk = calm_desk()
    orders, held = len(desk.lines("intended")), desk.held
    # Half of three levels of 3,000 units, all within the bound: about half of the equity.
    desk.calm(0.25, bid_cents=300_000, ask_cents=300_000)
    (order,) = desk.lines("intended")[orders:]
    assert order.action == "reduce"
    assert order.reason.endswith("; over the limit: exit cost")
    assert 0.38 < held - desk.held <= 0.495, "4,500 units, rounded down"
    before = desk.held
    desk.calm(0.5, bid_cents=300_000, ask_cents=300_000)
    assert desk.held == before, "the book that was just sold into is not sold into again at once"
    desk.calm(5, bid_cents=30_000, ask_cents=30_000)
    assert desk.held == before, "crumbs are not worth an order each"
    desk.calm(10, bid_cents=300_000, ask_cents=300_000)
    assert desk.held <= 0.495, "the rest goes as the book is filled again"


def test_a_crisis_in_a_thin_book_is_left_slice_by_slice_and_says_why() -> None:
    desk = calm_desk()
    orders, held = len(desk.lines("intended")), desk.held
    # The spread is a crisis; what can be sold within 5 bps of the mid, half of three levels, is 0.66 of the equity.
    times_ns = []
    for _ in range(20):
        told = len(desk.lines("intended"))
        desk.calm(0.25, half_e5=12, bid_cents=400_000, ask_cents=400_000)
        times_ns += [desk.now_ns] * (len(desk.lines("intended")) - told)
    found = desk.lines("intended")[orders:]
    assert desk.held == 0
    assert [(order.action, order.volume_cents) for order in found] == [("reduce", 600_000)] * 2 + [("close", 600_000)]
    assert held == pytest.approx(1.98, abs=0.01)
    assert found[-1].reason.endswith("; crisis level 3")
    assert np.diff(times_ns).min() >= SECOND, "each slice sees a book of its own"


def test_a_crisis_cuts_what_somebody_else_has_touched_slice_by_slice_too() -> None:
    desk = calm_desk()
    (ours,) = desk.engine.portfolio.positions()
    by_hand = OrderSnapshot(99, 1, -200_000, 200_000, "market", "filled", closing=True)
    deal = Deal(98, 99, ours.position_id, 1, -200_000, 1.1, Decimal(0), desk.now_ns)
    desk.hear(ev.ExecutionReported(desk.now_ns, "filled", None, by_hand, deal))
    assert desk.reasons() == ("closed_by_hand:EURUSD",)
    held = desk.held
    desk.calm(0.25, bid_cents=300_000, ask_cents=300_000)
    assert 0.38 < held - desk.held <= 0.495


def test_after_a_crisis_leverage_comes_back_one_level_at_a_time() -> None:
    desk = calm_desk()
    desk.calm(1, half_e5=12)
    seen = {}
    for second in range(1, 900):
        row = desk.calm(1)[-1].rows[0]
        seen.setdefault(int(row["crisis_level"]), second)
    # From level 3 after 600 s, from 2 after 180 more, from 1 after 60 more.
    assert [seen[level] for level in (3, 2, 1, 0)] == pytest.approx([1, 600, 780, 840], abs=3)
    assert desk.held == pytest.approx(2.0, rel=0.02)
