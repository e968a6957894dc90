"""What the engine says of its own leverage: one explanation a traded symbol, from READY on and until it is to stop."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
from engine_desk import QUICK, SECOND, USDJPY, Desk, position

import strategies
from bot.engine import events as ev
from bot.sizing.bound import Bound


def test_the_explanation_is_of_the_last_decision_with_its_numbers() -> None:
    desk = Desk("EURUSD", strategy=strategies.load("liquidity-weighted", {}), pace=replace(QUICK, warm_up_s=60))
    desk.begin()
    desk.now_ns += SECOND
    desk.quote()
    (found,) = desk.engine.explanations()
    targets = desk.engine.targets
    assert targets is not None
    assert found.symbol == "EURUSD"
    assert found.text.startswith("holds 0x of 2x, wants 2.0x: depth covers 1500 lots, ")
    assert found.text.endswith("; warm-up")
    assert (found.leverage_now, found.leverage_target) == (0.0, float(targets.target[0]))
    assert found.leverage_goal == float(targets.goal[0])
    assert found.bound is Bound(int(targets.bound[0]))
    assert found.factors == {"liquidity": 1.0}
    assert found.caps["max_symbol_leverage"] == 8.0 and found.caps["kelly"] == math.inf
    assert found.crisis_level == 0


def test_nothing_is_explained_before_ready_after_a_loss_or_once_the_run_is_to_stop() -> None:
    desk = Desk()
    assert desk.engine.explanations() == ()
    desk.hear(ev.AccountLoaded(desk.now_ns, desk.account), desk.loaded(), ev.Reconciled(desk.now_ns, (), ()))
    assert desk.engine.explanations() == ()
    desk.begin()
    assert len(desk.engine.explanations()) == 1
    desk.hear(ev.ReadinessChanged(desk.now_ns, ("disconnected",)))
    assert desk.engine.explanations() == ()
    desk.hear(ev.ReadinessChanged(desk.now_ns, ()))
    assert len(desk.engine.explanations()) == 1
    desk.hear(ev.CommandGiven(desk.now_ns, "stop"))
    assert desk.engine.explanations() == ()


def test_a_symbol_that_is_only_loaded_for_its_price_is_not_explained() -> None:
    desk = Desk("EURUSD")
    desk.begin()
    desk.hear(desk.loaded(*desk.engine.specs, USDJPY, traded=1))
    assert [each.symbol for each in desk.engine.explanations()] == ["EURUSD"]


def test_an_urgent_order_says_which_limit_was_broken() -> None:
    desk = Desk()
    decision = desk.begin(position(10_000_000))  # 110 000 USD of 10 000: above 8x
    (order,) = decision.intended
    assert order.action == "reduce" and order.reason.endswith("; over the limit: max_symbol_leverage")


class Expecting(type(strategies.load("constant", {}))):  # type: ignore[misc]
    """The constant strategy, with means a test can set."""

    stated: Any = None

    def expected_returns(self, table: np.ndarray) -> Any:
        return Expecting.stated


def test_the_kelly_cap_follows_what_a_strategy_states_now_and_is_unknown_where_its_mean_is() -> None:
    def kelly(stated: Any) -> float:
        Expecting.stated = stated
        desk.now_ns += SECOND
        desk.quote()
        (found,) = desk.engine.explanations()
        return found.caps["kelly"]

    desk = Desk("EURUSD", strategy=Expecting())
    desk.begin()
    for mid_e5 in [110_000, 110_010] * 30:  # until volatility is known
        desk.now_ns += SECOND
        desk.quote(mid_e5=mid_e5)
    assert kelly(None) == math.inf
    assert kelly((np.array([-0.01]), np.array([0.0]))) == 0.0
    assert math.isnan(kelly((np.array([math.nan]), np.array([0.0]))))
    assert kelly(None) == math.inf, "nobody states one any more"
