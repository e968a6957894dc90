"""What the machine of `test_stateful_trading.py` has found, each as the shortest way there."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from trading_world import Kind, TradingWorld
from wired_bot import ACCOUNT
from world_truth import settle

Made = Callable[..., TradingWorld]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Made]:
    """Makes a world; its ledger is closed afterwards."""
    made: list[TradingWorld] = []

    def make(**kind: Any) -> TradingWorld:
        made.append(TradingWorld(tmp_path, Kind(**kind)))
        made[-1].let(2)
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_a_position_by_hand_in_a_symbol_that_is_not_traded_is_priced_at_once(world: Made) -> None:
    """Its spot prices were asked for together with those that were there, and the venue refused all of it."""
    at = world(strategy="constant")
    at.meddle()
    at.venue.trade_by_hand(ACCOUNT, 4, "buy", 2_000_000)
    at.note("GBPUSD by hand")
    at.let(2)
    assert at.run.session.ready
    assert at.run.engine.valuation.equity == pytest.approx(at.venue.snapshot(ACCOUNT).equity / 100, abs=0.02)
    settle(at)
