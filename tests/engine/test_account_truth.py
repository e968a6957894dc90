"""The account's margin and the market's risk as the engine's gate is shown them, and what follows when they move."""

import math
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from engine_desk import EURUSD, LIMITS, SECOND, START, Desk, position

from bot.account.leverage_plan import Band
from bot.engine import events as ev
from bot.engine.market_picture import market_risk
from bot.execution.requests import AskExpectedMargin, AskProfit
from bot.market.evaluator import Evaluator, EvaluatorSettings
from bot.sizing.formulas import required_distance_frac

ASKING = {"expected_margin_tolerance_frac": 0.05, "profit_tolerance_frac": 0.002}


def answer(desk: Desk, factor: float = 1.0) -> None:
    """Let the broker answer the last question by the account's leverage alone, times a factor."""
    question = [r for r in desk.lines("requests") if isinstance(r, AskExpectedMargin)][-1]
    margin = [round(v / 100 * 1.1 / 500 * factor, 2) for v in question.volumes_cents]
    rows = tuple((v, Decimal(str(m)), Decimal(str(m))) for v, m in zip(question.volumes_cents, margin, strict=True))
    desk.hear(ev.ExpectedMarginStated(desk.now_ns, question.symbol_id, rows))


def test_no_order_before_the_answer_and_no_refusal_while_it_may_be_on_its_way() -> None:
    desk = Desk(**ASKING)
    ready = desk.begin()
    assert [type(r) for r in ready.requests] == [AskExpectedMargin]
    desk.now_ns += SECOND // 2
    desk.quote()
    assert not desk.lines("intended") and not desk.lines("refused")
    answer(desk)
    (order,) = desk.lines("intended")
    assert order.action == "open"


def test_silence_refuses_by_name_and_says_so() -> None:
    desk = Desk(**ASKING)
    desk.begin()
    for _ in range(12):
        desk.now_ns += SECOND
        desk.quote()
    assert {(r.symbol, r.check) for r in desk.lines("refused")} == {("EURUSD", "expected_margin")}
    assert "expected_margin:EURUSD" in desk.reasons()
    assert sum(isinstance(r, AskExpectedMargin) for r in desk.lines("requests")) == 2
    answer(desk)
    assert len(desk.lines("intended")) == 1 and desk.reasons() == ()


def test_no_question_stands_between_a_target_and_its_order_when_the_region_is_known() -> None:
    desk = Desk(**ASKING)
    desk.begin()
    answer(desk)
    desk.fill(desk.decisions[-1])
    asked = len(desk.lines("requests"))
    desk.now_ns += 2 * SECOND
    grown = desk.pay("5000", 2)
    assert len(grown.intended) == 1
    assert not any(isinstance(r, AskExpectedMargin) for r in desk.lines("requests")[asked:])


def test_a_reduction_needs_no_answer() -> None:
    desk = Desk(**ASKING)
    desk.begin(position(6_000_000))
    assert [o.action for o in desk.lines("intended")] == ["reduce"]


def test_profit_is_asked_for_while_something_is_open() -> None:
    desk = Desk(**ASKING)
    desk.begin(position(1_800_000))
    desk.wait(12)
    assert sum(isinstance(r, AskProfit) for r in desk.lines("requests")) == 2


def test_a_band_within_reach_lowers_leverage_for_growth() -> None:
    plain = Desk()
    near = Desk(leverage_bands=(Band(10_400, 20),))
    far = Desk(leverage_bands=(Band(10_600, 20),))
    margins = [desk.begin().intended[0].margin_after for desk in (plain, near, far)]
    assert margins == pytest.approx([39.6, 39.6 * 25, 39.6], rel=0.03)


def test_leverage_in_the_plan_above_the_accounts_is_told() -> None:
    desk = Desk(leverage_bands=(Band(10_000, 600),))
    desk.begin()
    assert "leverage_plan" in desk.reasons()


@pytest.mark.parametrize("how", ["leverage", "tiers"])
def test_a_held_position_that_would_not_survive_any_more_is_reduced_within_ten_seconds(how: str) -> None:
    limits = replace(LIMITS, max_margin_use_frac=1.0, min_margin_level_frac=0.01, stop_out_level_frac=1.0)
    spec = replace(EURUSD, leverage_id=9)
    desk = Desk(base_leverage=8.0, risk_limits=limits, manage_all=True)
    tiers = ev.LeverageTiersLoaded(START, 9, ((1e6, 500.0),))
    desk.hear(
        ev.AccountLoaded(START, desk.account), desk.loaded(spec), tiers, ev.ReadinessChanged(START, ()),
        ev.Reconciled(START, (position(7_200_000),), ()),
    )  # fmt: skip
    desk.quote()
    assert not desk.lines("intended")
    # 8x equity loses 40 % of it in the assumed move of 5 %; at 1:10 its margin is 80 %: not covered.
    lower = ev.AccountLoaded(desk.now_ns, replace(desk.account, leverage=10.0))
    desk.hear(lower if how == "leverage" else ev.LeverageTiersLoaded(desk.now_ns, 9, ((1e6, 10.0),)))
    for _ in range(9):
        desk.now_ns += SECOND
        desk.quote()
    (cut, *_) = desk.lines("intended")
    assert cut.action == "reduce"
    left = 8 - cut.volume_cents / 100 * 1.1 / 10_000
    assert 1 - left * 0.05 >= left / 10 > 0.6 * (1 - left * 0.05), "no more than is needed"


def test_the_brokers_exposure_limit_reaches_the_order() -> None:
    spec = replace(EURUSD, max_exposure_cents=1_000_000)
    desk = Desk()
    desk.hear(
        ev.AccountLoaded(START, desk.account), desk.loaded(spec), ev.Reconciled(START, (), ()),
        ev.ReadinessChanged(START, ()),
    )  # fmt: skip
    desk.quote()
    (order,) = desk.lines("intended")
    assert order.volume_cents == 1_000_000 and "volume_limits" in order.reason


def test_the_gate_sees_the_market_as_the_plain_formulas_do() -> None:
    desk = Desk("EURUSD", "USDJPY")
    desk.begin()
    for second in range(5):
        desk.now_ns += SECOND
        desk.quote(mid_e5=110_000 + 7 * second)
        desk.quote("USDJPY", half_e5=900)
    evaluator = desk.engine._evaluator
    assert evaluator is not None
    seen, table = market_risk(evaluator), evaluator.features
    plain = required_distance_frac(
        table.volatility_bps, table.slow_volatility_bps, table.worst_minute_bps, table.usual_round_trip_bps,
        evaluator.state["minutes_s"],
    )  # fmt: skip
    assert seen.stress_frac == pytest.approx(plain) and (seen.stress_frac >= 0.05).all()
    assert seen.sell_units.tolist() == table.sell_capacity_units.tolist()
    assert seen.buy_units.tolist() == table.buy_capacity_units.tolist()
    assert math.isfinite(seen.sell_units[0]) and seen.exit_bound_bps.tolist() == [5.0, 5.0]
    view = desk.engine._view(desk.engine._board.now(desk.now_ns))
    assert view.market is not None and view.new_orders is not None


def test_what_is_not_known_of_a_market_is_assumed_to_be_bad() -> None:
    evaluator = Evaluator(np.array([1e-4, 1e-2]), EvaluatorSettings())
    seen = market_risk(evaluator)
    assert seen.stress_frac.tolist() == [0.05, 0.05]
    assert np.isnan(seen.sell_units).all() and np.isnan(seen.buy_units).all()
