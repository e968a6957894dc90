"""What can be closed now within the bound on its cost: by the side that is left, and infinite where nobody knows."""

import math

import numpy as np
import pytest
from known_market import calm_market

from bot.engine.sizer import _exit_leverage
from bot.market.evaluator import EvaluatorSettings
from bot.market.state import new_state

NAN, INF = math.nan, math.inf


def exit_leverage(
    held: float = 1.0,
    *,
    bids: int = 3,
    asks: int = 3,
    unit_notional: float = 1.1,
    equity: float = 1e4,
    **market: float,
) -> float:
    table = calm_market(1, **({"sell_capacity_units": 2e4, "buy_capacity_units": 1e4} | market))
    state = new_state(np.array([1e-4]), EvaluatorSettings(exit_cost_cap_bps=5.0))
    return float(_exit_leverage(table[0], state[0], held, bids, asks, unit_notional, equity))


def test_a_long_is_sold_to_the_bids_and_a_short_bought_back_from_the_asks() -> None:
    assert exit_leverage(1.0) == pytest.approx(2.2)
    assert exit_leverage(-1.0) == pytest.approx(1.1)


def test_nothing_can_be_closed_against_an_empty_side_whatever_else_is_unknown() -> None:
    assert exit_leverage(1.0, bids=0) == 0.0
    assert exit_leverage(-1.0, bids=0) == pytest.approx(1.1)
    assert exit_leverage(-1.0, asks=0, buy_capacity_units=NAN) == 0.0
    assert exit_leverage(1.0, sell_capacity_units=0.0, unit_notional=NAN) == 0.0


@pytest.mark.parametrize(
    "unknown",
    [{"sell_capacity_units": NAN}, {"unit_notional": NAN}, {"equity": NAN}, {"equity": -5.0}, {"equity": 0.0}],
)
def test_what_is_unknown_holds_no_reduction_back(unknown: dict[str, float]) -> None:
    assert exit_leverage(1.0, **unknown) == INF


@pytest.mark.parametrize(("spread_bps", "expected"), [(10.0, INF), (10.1, 0.0), (NAN, INF)])
def test_without_depth_the_spread_decides(spread_bps: float, expected: float) -> None:
    assert exit_leverage(1.0, bids=0, asks=0, is_spot_only=1.0, spread_bps=spread_bps) == expected
