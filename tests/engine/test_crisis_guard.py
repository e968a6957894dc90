"""The crisis guard at work: it cuts every strategy, never into an empty side, and lets go step by step."""

from dataclasses import replace

import pytest
from engine_desk import QUICK, SECOND, Desk

from bot.engine import events as ev
from bot.engine.decision import Decision
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
