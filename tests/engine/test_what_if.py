"""What a leverage would be if the spread doubled: as that of an engine that really sees it, and without a trace."""

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engine_desk import QUICK, SECOND, Desk, position

import strategies
from bot.engine import events as ev
from bot.engine.settings import SymbolChoice
from bot.engine.what_if import SpreadDoubled
from bot.market.evaluator import EvaluatorSettings
from bot.sizing.bound import Bound

# Young averages, so that a test need not wait; of the recent past, not of days.
SHORT = EvaluatorSettings(
    spread_half_life_s=1, liquidity_smoothing_half_life_s=1, liquidity_base_half_life_s=36_000, volatility_sample_s=1,
    time_of_day=False,
)  # fmt: skip


def desk(strategy: Any = "liquidity-weighted", *names: str, **changes: Any) -> Desk:
    loaded = strategies.load(strategy, {}) if isinstance(strategy, str) else strategy
    fields = {"strategy": loaded, "pace": QUICK, "evaluator": SHORT}
    return Desk(*names, **(fields | changes))


def go_on(desk: Desk, seconds: int, half_e5: int = 2) -> None:
    """Let quotes come for a while, the mid moving a little so that volatility is known."""
    for step in range(2 * seconds):
        desk.now_ns += SECOND // 2
        for name in desk.names:
            desk.quote(name, half_e5=half_e5, mid_e5={"EURUSD": 110_000, "USDJPY": 15_000_000}[name] + step % 3)


def doubled(desk: Desk, place: int = 0) -> SpreadDoubled:
    return desk.engine.if_spread_doubles()[place]


@pytest.mark.parametrize("name", ["composite", "liquidity-weighted", "impact-minimizing", "market-making"])
def test_it_is_what_an_engine_wants_whose_spread_really_doubles(name: str) -> None:
    # The books of a desk are made anew with every message: too young for an imbalance that is guarded.
    parameters = {"kappa": 0} if name == "composite" else {}
    here, there = (desk(strategies.load(name, parameters)) for _ in range(2))
    for each in (here, there):
        each.begin(position(500_000))
        go_on(each, 120)
    go_on(here, 15)
    go_on(there, 15, half_e5=4)
    then, (real,) = doubled(here).then, there.engine.explanations()
    (now,) = here.engine.explanations()
    # A running median has begun to follow the wide spread: that is what the tolerance is for.
    assert then.leverage_goal == pytest.approx(real.leverage_goal, rel=0.03)
    assert then.leverage_goal < 0.8 * now.leverage_goal
    assert {k: pytest.approx(f, rel=0.03) for k, f in real.factors.items()} == then.factors
    assert (then.bound, then.cap_bound, then.crisis_level) == (real.bound, real.cap_bound, real.crisis_level)
    assert then.cap == pytest.approx(real.cap, rel=0.03)


def test_the_liquidity_factor_by_hand() -> None:
    # 2x of 10 000 USD is less than the best level, so that a round trip costs the spread: 0.00004 / 1.1, and twice
    # that. The ratio is 1, then 1/2; its root is the factor, and the base is 2.
    found = desk()
    found.begin()
    go_on(found, 60)
    twice = doubled(found)
    assert twice.spread_bps == pytest.approx(2e4 * 0.00004 / 1.1, rel=1e-4)
    assert twice.then.factors["liquidity"] == pytest.approx(0.5**0.5, rel=0.01)
    assert twice.then.leverage_goal == pytest.approx(2 * 0.5**0.5, rel=0.01)
    assert twice.then.text.startswith("1.4x of 2x: depth covers 1500 lots, liquidity 0.50 of usual, cap 8x")


def test_what_is_held_beyond_it_would_be_reduced_at_once() -> None:
    found = desk()
    found.begin(position(1_800_000))  # 1.98x
    go_on(found, 60)
    then = doubled(found).then
    assert then.leverage_target == pytest.approx(then.leverage_goal, rel=0.01) and then.bound is Bound.NONE


def test_an_exit_that_grows_dear_is_a_cap() -> None:
    # 5 bps of 1.1 are 55 e5: at 30 all three levels are affordable, at 60 none is.
    found = desk("constant", pace=replace(QUICK, heeds_crisis=False))
    found.begin()
    go_on(found, 10, half_e5=30)
    then = doubled(found).then
    assert (then.cap, then.cap_bound, then.leverage_goal) == (0.0, Bound.EXIT_COST, 0.0)
    assert found.engine.explanations()[0].leverage_goal == 2.0


def test_a_crisis_that_would_begin_is_told() -> None:
    found = desk("constant", pace=replace(QUICK, heeds_crisis=True))
    found.begin()
    go_on(found, 70)
    found.now_ns += SECOND // 2
    found.quote(half_e5=6)
    assert found.engine.explanations()[0].crisis_level == 0
    then = doubled(found).then
    assert then.crisis_level == 3 and then.leverage_goal == 0.0


def test_each_symbol_is_asked_about_alone() -> None:
    found = desk("liquidity-weighted", "EURUSD", "USDJPY", base_leverage=7.0)
    found.begin()
    go_on(found, 60)
    both = found.engine.if_spread_doubles()
    assert [each.then.symbol for each in both] == ["EURUSD", "USDJPY"]
    # 7 and 7 are scaled to 9.9 together; with 7 / root 2 beside 7 there is more room for the one.
    assert both[0].then.leverage_goal == pytest.approx(9.9 * 0.7071 / 1.7071, rel=0.01)
    assert both[0].then.bound is Bound.MAX_TOTAL


def test_nothing_is_told_before_ready_once_the_run_is_to_stop_and_without_a_spread() -> None:
    found = desk()
    assert found.engine.if_spread_doubles() == ()
    found.hear(ev.AccountLoaded(found.now_ns, found.account), found.loaded(), ev.Reconciled(found.now_ns, (), ()))
    assert found.engine.if_spread_doubles() == ()
    found.begin()
    assert len(found.engine.if_spread_doubles()) == 1
    found.quote(half_e5=0)
    assert found.engine.if_spread_doubles() == ()
    found.quote()
    found.hear(ev.CommandGiven(found.now_ns, "stop"))
    assert found.engine.if_spread_doubles() == ()


@pytest.mark.parametrize("name", sorted(strategies.BUILT_IN))
def test_asking_at_every_decision_changes_none_that_follows(name: str) -> None:
    def run(*, asks: bool) -> list[bytes]:
        symbols = (SymbolChoice("EURUSD", "long", 1.0), SymbolChoice("USDJPY", "follow", 1.0))
        strategy = strategies.load(name, {})
        if strategy.has_direction:
            symbols = (replace(symbols[0], direction="signal"), symbols[1])
        found = desk(name, "EURUSD", "USDJPY", symbols=symbols, pace=replace(QUICK, max_increase_frac_per_min=1.0))
        dice, answers = random.Random(7), 0
        found.begin(position(1_000_000), position(-1_000_000, position_id=6, symbol_id=2, price=150.0))
        for _ in range(400):
            found.now_ns += SECOND // 10
            sizes = {side: dice.randint(1, 40) * 100_000_000 for side in ("bid_cents", "ask_cents")}
            decision = found.quote("EURUSD", 110_000 + dice.randint(-3, 3), dice.choice((1, 1, 2, 2, 3, 8)), **sizes)
            if asks:
                answers += len(found.engine.if_spread_doubles())
            found.fill(decision)
            if asks:
                answers += len(found.engine.if_spread_doubles())
        assert not asks or answers > 700
        return [decision.encode() for decision in found.decisions]

    assert run(asks=True) == run(asks=False)


def test_asking_leaves_what_is_told_of_the_last_decision() -> None:
    found = desk(strategies.load("composite", {"kappa": 0}))
    found.begin()
    go_on(found, 70)
    engine = found.engine
    assert engine.factors is not None
    before = engine.factors.tolist(), engine.explanations()
    assert doubled(found).then.factors != before[1][0].factors
    assert (engine.factors.tolist(), engine.explanations()) == before


PURE = """
import numpy as np

def leverage(features, base, *, share=0.5):
    return base * share * np.minimum(features.liquidity_ratio, 1.0)
"""
REMEMBERS = """
seen = []

def leverage(features, base):
    seen.append(len(seen))
    return base
"""
CLASS = """
import numpy as np
from strategies.constant import Constant

class Strategy(Constant):
    factor_names = ("calls",)
    calls = 0

    def bound(self, specs, base):
        return self

    def factors(self, table, side):
        Strategy.calls += 1
        return np.full((1, len(table)), 0.5)
"""


def of_file(folder: Path, text: str) -> Desk:
    path = folder / "mine.py"
    path.write_text(text, encoding="utf-8")
    found = desk(str(path))
    found.begin()
    go_on(found, 30)
    return found


def test_a_function_that_is_compiled_is_asked(tmp_path: Path) -> None:
    then = doubled(of_file(tmp_path, PURE)).then
    assert then.factors["leverage"] == pytest.approx(0.25, rel=0.02)


@pytest.mark.parametrize("text", [REMEMBERS, CLASS], ids=["function", "class"])
def test_what_may_remember_being_asked_is_not_asked(text: str, tmp_path: Path) -> None:
    found = of_file(tmp_path, text)
    assert len(found.engine.explanations()) == 1
    inner: Any = found.engine.strategy
    function = getattr(inner._inner, "_function", None)
    told = function.__globals__["seen"] if function is not None else None
    before = len(told) if told is not None else type(inner._inner).calls
    assert found.engine.if_spread_doubles() == ()
    assert before > 30 and before == (len(told) if told is not None else type(inner._inner).calls)


def test_a_class_that_says_that_it_is_pure_is_asked_and_while_it_fails_nothing_is_told(tmp_path: Path) -> None:
    text = CLASS.replace("    calls = 0\n", "    calls = 0\n    is_pure = True\n    fails = False\n")
    text = text.replace("        Strategy.calls += 1\n", "        if self.fails:\n            raise ValueError\n")
    found = of_file(tmp_path, text)
    assert doubled(found).then.leverage_goal == 1.0
    inner: Any = found.engine.strategy
    type(inner._inner).fails = True
    assert found.engine.if_spread_doubles() == ()


def test_means_that_a_strategy_states_are_asked_for_too() -> None:
    class Expecting(type(strategies.load("constant", {}))):  # type: ignore[misc]
        """Expects to earn the less the wider the spread is."""

        def expected_returns(self, table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            return 1e-6 / table["spread_bps"], np.zeros(len(table))

    found = desk(Expecting())
    found.begin()
    go_on(found, 60)
    (now,) = found.engine.explanations()
    assert doubled(found).then.caps["kelly"] == pytest.approx(now.caps["kelly"] / 2)
