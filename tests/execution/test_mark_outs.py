"""Effective and realised spread, impact and mark-outs: the arithmetic, and when a mid is taken."""

import math
from fractions import Fraction
from itertools import accumulate

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.execution.mark_outs import DELAYS_S, Fill, MarkOut, MarkOuts, relative_bps

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND

prices = st.floats(0.5, 2.0).map(lambda x: 1.1 * 2 ** (x - 1))  # within a factor of two: below 4096 bps or not
near = st.floats(-0.1, 0.1).map(lambda x: 1.1 * (1 + x))
sides = st.sampled_from([1, -1])


def fill(side: int = 1, price: float = 1.10002, mid: float = 1.10001, s: int = 0, at_ns: int = START) -> Fill:
    return Fill(s, side, price, mid, 1000.0, at_ns)


def mids(*numbers: float) -> np.ndarray:
    return np.array(numbers)


def seen(waiting: MarkOuts, mid: float, seconds: float) -> list[int]:
    return [mark.delay_s for mark in waiting.observe(mids(mid), START + round(seconds * SECOND))]


def test_a_bought_fill_whose_mid_fell() -> None:
    mark = MarkOut(fill(), 5, 1.10000, START + 5 * SECOND)
    assert mark.fill.effective_bps == pytest.approx(0.090908, abs=5e-7)
    assert mark.impact_bps == pytest.approx(-0.090908, abs=5e-7)
    assert mark.realised_bps == pytest.approx(0.181817, abs=1e-6)


@given(sides, near, near, near)
def test_the_effective_spread_is_the_realised_one_plus_the_impact_to_the_last_bit(
    side: int, price: float, decision_mid: float, later_mid: float
) -> None:
    mark = MarkOut(fill(side, price, decision_mid), 5, later_mid, START)
    assert mark.realised_bps + mark.impact_bps == mark.fill.effective_bps
    assert Fraction(mark.realised_bps) + Fraction(mark.impact_bps) == Fraction(mark.fill.effective_bps)


@given(sides, prices, prices, prices)
def test_each_part_is_its_own_formula(side: int, price: float, decision_mid: float, later_mid: float) -> None:
    mark = MarkOut(fill(side, price, decision_mid), 5, later_mid, START)
    p, m, later = Fraction(price), Fraction(decision_mid), Fraction(later_mid)
    assert mark.fill.effective_bps == pytest.approx(float(10_000 * side * (p - m) / m), abs=1e-9)
    assert mark.impact_bps == pytest.approx(float(10_000 * side * (later - m) / m), abs=1e-9)
    assert mark.realised_bps == pytest.approx(float(10_000 * side * (p - later) / m), abs=1e-9)


@given(prices, prices, prices)
def test_a_sale_costs_what_a_purchase_gains(price: float, decision_mid: float, later_mid: float) -> None:
    bought, sold = (MarkOut(fill(side, price, decision_mid), 5, later_mid, START) for side in (1, -1))
    assert bought.realised_bps == -sold.realised_bps


def test_what_is_no_price_has_no_cost() -> None:
    assert math.isnan(relative_bps(1, math.nan, 1.0, 1.0))
    assert math.isnan(relative_bps(1, 1.0, math.inf, 1.0))
    assert math.isnan(relative_bps(1, 1.0, 2.0, 0.0))
    assert math.isnan(relative_bps(1, 1.0, 2.0, math.nan))


def test_the_first_mid_at_or_after_each_delay_is_taken_with_its_time() -> None:
    waiting = MarkOuts()
    waiting.add(fill())
    assert waiting.next_due_ns() == START + SECOND
    assert waiting.observe(mids(1.2), START + SECOND - 1) == []
    (mark,) = waiting.observe(mids(1.3), START + SECOND)
    assert (mark.delay_s, mark.mid, mark.seen_ns) == (1, 1.3, START + SECOND)
    assert waiting.observe(mids(1.3), START + SECOND) == []
    assert waiting.next_due_ns() == START + 5 * SECOND
    assert seen(waiting, 1.4, 5.2) == [5]
    assert seen(waiting, 1.4, 60) == [30, 60]
    assert waiting.next_due_ns() is None


def test_without_a_mid_it_is_tried_again_four_times_a_second_until_twice_the_delay() -> None:
    waiting = MarkOuts()
    waiting.add(fill())
    assert seen(waiting, math.nan, 1) == []
    assert waiting.next_due_ns() == START + round(1.25 * SECOND)
    assert seen(waiting, 0.0, 1.1) == []
    assert seen(waiting, 1.2, 2.0) == [1]
    assert seen(waiting, math.nan, 4.9) == []
    assert waiting.next_due_ns() == START + 5 * SECOND
    assert seen(waiting, math.nan, 5.0) == []
    assert seen(waiting, 1.2, 10.000001) == []
    assert seen(waiting, 1.2, 31) == [30]
    assert seen(waiting, 1.2, 1000) == []
    assert waiting.next_due_ns() is None


def test_one_that_finds_no_mid_does_not_keep_the_next_from_its_time() -> None:
    waiting = MarkOuts()
    waiting.add(fill())
    waiting.add(fill(at_ns=START + SECOND // 10))
    assert seen(waiting, math.nan, 1) == []
    assert waiting.next_due_ns() == START + SECOND + SECOND // 10


def test_each_fill_is_marked_with_the_mid_of_its_own_symbol() -> None:
    waiting = MarkOuts()
    waiting.add(fill(s=1))
    waiting.add(fill(s=0))
    marks = waiting.observe(mids(1.5, math.nan), START + SECOND)
    assert [(m.fill.symbol_index, m.mid) for m in marks] == [(0, 1.5)]


@given(st.lists(st.integers(0, 40 * SECOND), max_size=5), st.lists(st.integers(1, 20 * SECOND), max_size=60))
def test_a_fill_is_marked_once_for_each_delay_that_was_looked_at_in_time(starts: list[int], steps: list[int]) -> None:
    waiting, now, marks = MarkOuts(), START, []
    for start in starts:
        waiting.add(fill(at_ns=START + start))
    for step in [*steps, 200 * SECOND]:
        now += step
        for mark in waiting.observe(mids(1.1), now):
            late = now - mark.fill.filled_ns - mark.delay_s * SECOND
            assert 0 <= late <= mark.delay_s * SECOND
            assert now - step < mark.fill.filled_ns + mark.delay_s * SECOND  # it was not due the last time
            marks.append(mark)
    looked = [START + at for at in accumulate([*steps, 200 * SECOND])]
    dues = [(START + start, delay_s, delay_s * SECOND) for start in starts for delay_s in DELAYS_S]
    in_time = [(at, s) for at, s, wait in dues if next(t for t in looked if t >= at + wait) <= at + 2 * wait]
    assert sorted((mark.fill.filled_ns, mark.delay_s) for mark in marks) == sorted(in_time)
    assert waiting.next_due_ns() is None
