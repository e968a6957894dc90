"""A symbol whose broker sends no depth: judged by its spread, traded at its spot price, and said to be so."""

import numpy as np
import pytest
from engine_desk import EURUSD, MIDS_E5, QUICK, SECOND, Desk

import strategies
from bot.engine import events as ev
from bot.engine.decision import Decision
from bot.execution.paper import PaperVenue
from bot.execution.requests import PlaceOrder
from bot.market.delta import END_SPOT, SPOT_ASK, SPOT_BID, delta_rows
from bot.market.evaluator import EvaluatorSettings


class SpotDesk(Desk):
    """A desk whose venue sends spot prices only."""

    def quote(self, name: str = "EURUSD", mid_e5: int | None = None, half_e5: int = 1, **sizes: int) -> Decision:
        s, mid = self.names.index(name), MIDS_E5[name] if mid_e5 is None else mid_e5
        rows = [(SPOT_BID, s, 0, mid - half_e5, 0), (SPOT_ASK, s, 0, mid + half_e5, 0), (END_SPOT, s, 0, 0, 0)]
        return self.hear(ev.MarketDataChanged(self.now_ns, delta_rows(rows)))

    def go_on(self, seconds: int, half_e5: int = 1) -> list[Decision]:
        found = []
        for _ in range(4 * seconds):
            self.now_ns += SECOND // 4
            found.append(self.quote(half_e5=half_e5))
            self.fill(found[-1])
        return found


def test_without_depth_nothing_is_sent_until_it_is_clear_that_none_will_come() -> None:
    desk = SpotDesk()
    assert not desk.begin().requests
    assert not [d for d in desk.go_on(4) if d.requests]
    desk.go_on(3)
    assert [o.action for o in desk.lines("intended")] == ["open"]
    assert desk.reasons() == ("no_depth:EURUSD",)
    (order,) = desk.lines("intended")
    assert order.predicted_slippage_bps == pytest.approx(1e4 / 110_000), "half of the spread"


def test_liquidity_follows_the_spread_alone() -> None:
    desk = SpotDesk(
        strategy=strategies.load("composite", {}),
        pace=QUICK,
        evaluator=EvaluatorSettings(volatility_sample_s=1, liquidity_smoothing_half_life_s=1),
    )
    desk.begin()
    desk.go_on(30)
    features = desk.engine.features
    assert features is not None
    assert features.liquidity_ratio[0] == pytest.approx(1.0, abs=0.01)
    assert features.is_spot_only[0] == 1
    assert np.isnan(features.obi[0])
    desk.go_on(10, half_e5=2)
    assert features.liquidity_ratio[0] == pytest.approx(0.5, abs=0.1)


def test_a_paper_order_fills_at_the_spot_price_where_there_is_no_book() -> None:
    desk = SpotDesk()
    desk.begin()
    assert desk.engine.books is not None
    venue = PaperVenue(desk.engine.portfolio.position, lambda s: 1.0)
    request = PlaceOrder("r-1", EURUSD.symbol_id, 5_000_000, "market", "microlev")
    reports = venue.execute(request, EURUSD, desk.engine.books, 0, desk.now_ns)
    assert [report.kind for report in reports] == ["accepted", "filled"]
    assert reports[-1].deal is not None
    assert reports[-1].deal.price == 1.10001


def test_an_exit_that_is_dearer_than_its_cap_is_sat_out() -> None:
    desk = SpotDesk()
    desk.begin()
    desk.go_on(10)
    held = desk.held
    desk.go_on(3, half_e5=110)  # a spread of 20 bps: selling would cost 10, and the cap is 5
    assert desk.engine.features is not None
    assert desk.engine.features.crisis_level[0] == 3
    assert desk.held == pytest.approx(held, rel=5e-3), "its worth has moved, its volume has not"
    desk.go_on(3, half_e5=20)
    assert desk.held == 0.0
