"""Unrealised profit: when it is asked for, what is compared, and when the answers make a verdict."""

import math
from dataclasses import replace
from decimal import Decimal

import pytest
from engine_desk import SECOND, START, position

from bot.engine.events import ProfitStated
from bot.engine.profit_watch import EVERY_NS, ProfitWatch, Verdict

HELD = [position(1_000_000, position_id=1), position(-500_000, position_id=2)]
EQUITY = 10_000.0


class Watch:
    def __init__(self) -> None:
        self.watch, self.now_ns, self.held = ProfitWatch(0.002), START, list(HELD)

    def ask(self, after_s: float) -> bool:
        self.now_ns += round(after_s * SECOND)
        return self.watch.ask(self.held, self.now_ns) is not None

    def answer(self, told: float, *ours: float, ids: tuple[int, ...] = (1, 2), after_s: float = 0.1) -> Verdict | None:
        for value in ours:
            self.watch.observe(value, self.now_ns)
        self.now_ns += round(after_s * SECOND)
        self.watch.observe(ours[-1], self.now_ns)
        rows = tuple((i, Decimal(0), Decimal(str(told)) / len(ids)) for i in ids)
        return self.watch.answered(ProfitStated(self.now_ns, rows), self.held, EQUITY)

    def round(self, told: float, *ours: float, **more: object) -> Verdict | None:
        if self.watch._open == ():
            assert not self.ask(0)
            assert self.ask(1)
        else:
            assert self.ask(EVERY_NS / SECOND)
        return self.answer(told, *ours, **more)  # type: ignore[arg-type]


def test_it_is_asked_a_second_after_a_change_and_every_ten_seconds() -> None:
    w = Watch()
    assert [w.ask(s) for s in (0, 0.9, 0.1, 9.9, 0.1)] == [False, False, True, False, True]
    w.held[0] = replace(w.held[0], volume_cents=2_000_000)
    assert [w.ask(s) for s in (0.1, 0.9, 0.1)] == [False, False, True]
    w.held.clear()
    assert not any(w.ask(1) for _ in range(30))


def test_three_answers_in_a_row_make_a_verdict_either_way() -> None:
    w = Watch()
    assert [w.round(t, 0.0) for t in (30, 30, 0, 30, 30)] == [None] * 5
    verdict = w.round(30, 0.0)
    assert verdict is not None and not verdict.agrees
    assert "30.00" in verdict.text and "0.00" in verdict.text
    assert [w.round(0, 0.0) for _ in range(2)] == [None] * 2
    assert w.round(0, 0.0) == Verdict(True, "")


@pytest.mark.parametrize(("told", "agrees"), [(-70, True), (-70.1, False), (120, True), (120.1, False)])
def test_the_broker_may_have_meant_any_moment_between_question_and_answer(told: float, agrees: bool) -> None:
    w = Watch()
    for _ in range(3):
        verdict = w.round(told, 0.0, -50.0, 100.0)  # and 20 of tolerance
    assert verdict is not None and verdict.agrees == agrees


@pytest.mark.parametrize("ids", [(1,), (1, 2, 3), (1, 3)])
def test_other_positions_at_the_broker_are_a_difference(ids: tuple[int, ...]) -> None:
    w = Watch()
    verdicts = [w.round(0, 0.0, ids=ids) for _ in range(3)]
    assert verdicts[-1] is not None and not verdicts[-1].agrees
    assert "positions" in verdicts[-1].text


def test_what_is_late_or_unknown_or_about_another_position_counts_for_nothing() -> None:
    w = Watch()
    assert [w.round(99, 0.0) for _ in range(2)] == [None, None]
    assert w.round(99, 0.0, after_s=2.1) is None, "late"
    assert w.round(99, math.nan) is None, "unknown"
    assert w.ask(10)
    w.held[0] = replace(w.held[0], volume_cents=700_000)
    assert w.answer(99, 0.0) is None, "it has changed meanwhile"
    assert not w.ask(0) and w.ask(1)
    verdict = w.answer(99, 0.0)
    assert verdict is not None and not verdict.agrees, "the third that counts"
