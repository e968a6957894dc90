"""Expected margin: which volumes are asked about, what an answer means, and what silence does."""

import math
from dataclasses import replace
from decimal import Decimal

import pytest
from engine_desk import EURUSD, SECOND, START
from hypothesis import given
from hypothesis import strategies as st

from bot.account.margin import MarginRules
from bot.engine.events import ExpectedMarginStated
from bot.engine.margin_watch import (
    AGAIN_NS,
    CHECK_NS,
    DOUBT_NS,
    PATIENCE,
    SELDOM_NS,
    MarginWatch,
    SymbolMargin,
    volumes_to_ask,
)
from bot.execution.requests import AskExpectedMargin

TIERS = ((1e6, 500.0), (5e6, 200.0), (5e7, 100.0))
SPEC = replace(EURUSD, max_volume_cents=10**9)
RULES = MarginRules(500.0, "MAX")
OWN = SymbolMargin(RULES, TIERS, (0.0, 0.0), 1.1, 1.1, 2e6, 0.01)


def region(usd: float) -> int:
    """The number of the tier that an open volume reaches into."""
    return next((i for i, (upper, _) in enumerate(TIERS) if usd < upper), len(TIERS) - 1)


@given(st.floats(0, 2e7), st.floats(0, 2e7), st.floats(0, 1e8), st.floats(0.01, 3_000))
def test_every_region_that_an_order_can_reach_is_asked_about(
    bought: float, sold: float, reach_usd: float, price: float
) -> None:
    own = replace(
        OWN, open_units=(bought / price, sold / price), unit_usd=price, unit_notional=price, reach_usd=reach_usd
    )
    volumes = volumes_to_ask(SPEC, own)
    assert volumes == tuple(sorted(set(volumes))) and len(volumes) <= 10
    assert all(v == SPEC.round_volume(v) > 0 for v in volumes)
    for open_units in own.open_units:
        first, most = open_units * price, (open_units + SPEC.max_volume_cents / 100) * price
        reached = {region((open_units + v / 100) * price) for v in volumes}
        last = min(reach_usd, most)
        for number in range(region(first), region(last) + 1 if last > first else 0):
            lower = TIERS[number - 1][0] if number else 0.0
            upper = TIERS[number][0] if number < len(TIERS) - 1 else math.inf
            part = min(upper, last) - max(lower, first)
            if part / 2 > SPEC.step_volume_cents / 100 * price * 2:  # regions of less than an order are as good as none
                assert number in reached, (number, reached)


class Watch:
    """A watch of one symbol, a clock, and a broker that answers with the true margin times a factor."""

    def __init__(self, own: SymbolMargin = OWN) -> None:
        self.watch = MarginWatch(0.05)
        self.watch.load((SPEC,))
        self.own, self.now_ns = own, START

    def ask(self, after_s: float = 0) -> AskExpectedMargin | None:
        self.now_ns += round(after_s * SECOND)
        return self.watch.ask(0, self.own, self.now_ns)

    def answer(
        self, question: AskExpectedMargin | None, factor: float = 1.0, *, sell_factor: float | None = None
    ) -> None:
        assert question is not None
        by_side = (factor, factor if sell_factor is None else sell_factor)
        margins = tuple(
            (v, *(Decimal(f"{self.own.added(side, v / 100) * by_side[side]:.2f}") for side in (0, 1)))
            for v in question.volumes_cents
        )
        self.watch.answered(0, self.own, ExpectedMarginStated(self.now_ns, 1, margins))  # type: ignore[arg-type]

    @property
    def bar(self) -> str:
        bar = self.watch.known(0)[2]
        return "" if bar is None else bar.reason


def test_nothing_is_known_before_the_first_answer_and_one_answer_is_enough() -> None:
    w = Watch()
    assert "not yet said" in w.bar and w.watch.is_unasked(0)
    question = w.ask()
    assert w.watch.is_awaited(0, w.now_ns) and not w.watch.is_awaited(0, w.now_ns + SECOND)
    w.answer(question)
    factor, known, bar = w.watch.known(0)
    assert (factor, known, bar, w.watch.doubts) == (1.0, (5e6, 5e6), None, {})
    assert all(w.ask(1) is None for _ in range(100))


@pytest.mark.parametrize(("factor", "counts"), [(1.04, 1.04), (1.0, 1.0), (0.96, 1.0)])
def test_a_small_difference_counts_where_it_is_stricter_and_is_not_told(factor: float, counts: float) -> None:
    w = Watch()
    w.answer(w.ask(), factor)
    assert w.watch.known(0)[0] == pytest.approx(counts, rel=1e-3)
    assert w.bar == "" and w.watch.doubts == {}


def test_a_broker_that_expects_more_bars_growth_and_says_how_much() -> None:
    w = Watch()
    w.answer(w.ask(), 1.0, sell_factor=1.2)
    bar = w.watch.known(0)[2]
    assert bar is not None and bar.limit == 0.05 and bar.value == pytest.approx(0.2, rel=1e-2)
    text = w.watch.doubts["expected_margin:EURUSD"]
    assert text is not None and "selling" in text
    assert "risk.expected_margin_tolerance_frac" in bar.reason
    assert w.ask(DOUBT_NS / SECOND - 1) is None
    w.answer(w.ask(1))
    assert w.bar == "" and w.watch.doubts == {}, "it has come to agree"


def test_a_broker_that_expects_less_is_told_of_and_bars_nothing() -> None:
    w = Watch()
    w.answer(w.ask(), 0.5)
    assert w.watch.known(0)[0] == 1.0 and w.bar == ""
    assert "expected_margin:EURUSD" in w.watch.doubts


def test_a_difference_of_one_minor_unit_is_rounding() -> None:
    small = replace(OWN, unit_notional=0.001, minor_unit=1.0, reach_usd=0.0, open_units=(0.0, 0.0))
    w = Watch(small)
    question = w.ask()
    assert question is not None
    margins = tuple((v, Decimal(round(small.added(0, v / 100)) + 1), Decimal(0)) for v in question.volumes_cents[:1])
    w.watch.answered(0, small, ExpectedMarginStated(w.now_ns, 1, margins))
    assert w.bar == "" and w.watch.known(0)[0] == 1.0


def test_silence_is_asked_into_three_times_and_then_our_own_figures_count_within_one_tier() -> None:
    w = Watch()
    assert w.ask() is not None
    for number in range(1, PATIENCE):
        assert w.ask(AGAIN_NS / SECOND - 0.5) is None
        assert w.ask(0.5) is not None, number
        assert "not yet said" in w.bar
    w.ask(10)
    factor, known, bar = w.watch.known(0)
    assert (factor, known, bar) == (1.0, (1e6, 1e6), None)
    (text,) = w.watch.doubts.values()
    assert text is not None and "does not answer" in text
    assert w.ask(SELDOM_NS / SECOND - 1) is None
    w.answer(w.ask(1))
    assert w.watch.known(0)[1] == (5e6, 5e6) and w.watch.doubts == {}


@pytest.mark.parametrize(
    "changes",
    [{"rules": MarginRules(100.0, "MAX")}, {"tiers": ((1e6, 100.0),)}, {"rules": MarginRules(500.0, "SUM")}],
)
def test_other_rules_or_tiers_make_what_was_known_unknown(changes: dict) -> None:
    w = Watch()
    w.answer(w.ask())
    w.own = replace(w.own, **changes)
    question = w.ask()
    assert "not yet said" in w.bar
    w.answer(question)
    assert w.bar == ""


def test_a_region_that_comes_into_reach_is_asked_about_and_the_others_stay_known() -> None:
    w = Watch(replace(OWN, reach_usd=5e5))
    w.answer(w.ask())
    assert w.watch.known(0)[1] == (1e6, 1e6)
    w.own = replace(w.own, reach_usd=4e6)
    question = w.ask(1)
    assert w.watch.known(0)[1] == (1e6, 1e6) and w.bar == ""
    w.answer(question)
    assert w.watch.known(0)[1] == (5e6, 5e6)


def test_an_answer_about_another_position_is_asked_for_again() -> None:
    w = Watch()
    question = w.ask()
    w.own = replace(w.own, open_units=(100_000.0, 0.0))
    w.answer(question, 7.0)
    assert "not yet said" in w.bar
    w.answer(w.ask(1))
    assert w.bar == ""


def test_after_a_drop_the_question_is_put_again_and_what_was_known_stays() -> None:
    w = Watch()
    w.answer(w.ask())
    w.watch.link_lost()
    assert w.ask() is not None and w.bar == ""
    w.watch.link_lost()
    w.answer(w.ask())
    assert w.ask(CHECK_NS / SECOND - 1) is None
    assert w.ask(1) is not None, "margins are raised without a word"


@pytest.mark.parametrize(
    "bad", [{"unit_notional": math.nan}, {"unit_usd": math.nan}, {"tiers": None}, {"rules": MarginRules(None, "MAX")}]
)
def test_nothing_is_asked_while_our_own_figure_is_unknown(bad: dict) -> None:
    w = Watch(replace(OWN, **bad))
    assert w.ask() is None and w.watch.is_unasked(0)
