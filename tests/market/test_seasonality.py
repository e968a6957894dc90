"""What is usual at this time of day: learnt over days, never from the day itself, kept over runs."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.market import crisis_formulas as plain
from bot.market.evaluator import EvaluatorSettings
from bot.market.seasonality import BINS, DAY_TYPES, Seasonality
from bot.market.state import U_COST, U_SPREAD, USUALS, new_state

PIPS = np.array([1e-4, 1e-2])


class Desk:
    """A table and the state it reads, with a day that passes at once: the medians are what the test says."""

    def __init__(self) -> None:
        self.table, self.state = Seasonality(2), new_state(PIPS, EvaluatorSettings())

    def day(self, spread: float, b: int = 40, d: int = 0, deviation: float = 0.3) -> float:
        """Let a bin begin, be as it is, and end; return what was usual in it."""
        self.table.enter(self.state, b, d)
        usual = float(self.state["usual"][0, U_SPREAD])
        self.state["median"][0, U_SPREAD] = spread
        self.state["overall"][0, U_SPREAD] = 0.0
        self.state["spread_deviation"][0] = deviation
        self.table.enter(self.state, b + 1, d)
        return usual


def test_a_bin_learns_a_fifth_of_what_is_new_each_day_and_leans_on_all_that_was_seen() -> None:
    desk = Desk()
    days, base = [1.0, 2.0, 2.0, 3.0], math.nan
    for n, spread in enumerate(days):
        usual = desk.day(spread)
        if n:
            assert usual == pytest.approx(plain.shrunk_base(base, n, 0.0), rel=1e-12)
        base = plain.next_base(base, spread)
    assert base == pytest.approx(1.0 + 0.2 + 0.16 + 0.2 * (3 - 1.36))
    assert desk.table.base[0, U_SPREAD, 40, 0] == pytest.approx(base, rel=1e-12)
    assert desk.table.days[0, 40, 0] == 4


def test_what_happens_today_does_not_change_what_is_usual_today() -> None:
    calm, wild = Desk(), Desk()
    for desk in (calm, wild):
        desk.day(1.0)
    calm.table.enter(calm.state, 40, 0)
    wild.table.enter(wild.state, 40, 0)
    before = wild.state["usual"].copy()
    wild.state["median"][0, U_SPREAD] = 9.0
    wild.table.enter(wild.state, 40, 0)
    assert np.array_equal(wild.state["usual"], before, equal_nan=True)
    wild.table.enter(wild.state, 41, 0)
    assert calm.table.base[0, U_SPREAD, 40, 0] == 1.0
    assert wild.table.base[0, U_SPREAD, 40, 0] == pytest.approx(1.0 + 0.2 * 8.0), "tomorrow it counts"


def test_bins_and_kinds_of_day_do_not_mix() -> None:
    desk = Desk()
    desk.day(1.0, b=10, d=0)
    desk.day(7.0, b=10, d=1)
    base = desk.table.base[0, U_SPREAD]
    assert (base[10, 0], base[10, 1]) == (1.0, 7.0)
    assert np.isfinite(base).sum() == 2


def test_a_symbol_that_was_not_seen_in_a_bin_learns_nothing_of_it() -> None:
    desk = Desk()
    desk.day(1.0)
    assert desk.table.days[:, 40, 0].tolist() == [1.0, 0.0]
    assert np.isnan(desk.table.base[1]).all()


def test_a_quantity_without_a_median_keeps_its_base() -> None:
    desk = Desk()
    desk.table.base[0, U_COST, 40, 0] = 0.7
    desk.day(1.0)
    assert desk.table.base[0, U_COST, 40, 0] == 0.7


NUMBERS = st.one_of(st.none(), st.floats(-20, 20))
ENTRIES = st.dictionaries(
    st.tuples(st.integers(0, BINS - 1), st.integers(0, DAY_TYPES - 1)),
    st.tuples(st.integers(1, 400), st.lists(NUMBERS, min_size=USUALS, max_size=USUALS), NUMBERS),
    max_size=5,
)


@given(ENTRIES, st.lists(NUMBERS, min_size=USUALS, max_size=USUALS))
def test_what_is_kept_of_a_run_comes_back_equal(entries: dict, overall: list) -> None:
    desk, again = Desk(), Desk()
    desk.state["overall"][0] = [math.nan if x is None else x for x in overall]
    desk.state["overall_n"][0] = 77.0
    for (b, d), (days, base, deviation) in entries.items():
        desk.table.days[0, b, d] = days
        desk.table.base[0, :, b, d] = [math.nan if x is None else x for x in base]
        desk.table.deviation[0, b, d] = math.nan if deviation is None else deviation
    content = json.loads(json.dumps(desk.table.content(0, desk.state), allow_nan=False))
    again.table.restore(0, again.state, content)
    for name in ("base", "deviation", "days"):
        assert np.array_equal(getattr(again.table, name), getattr(desk.table, name), equal_nan=True)
    for name in ("overall", "overall_n"):
        assert np.array_equal(again.state[name], desk.state[name], equal_nan=True)


def test_restoring_in_the_middle_of_a_bin_puts_it_in_use_for_that_symbol_alone() -> None:
    desk, again = Desk(), Desk()
    desk.day(1.0)
    again.table.enter(again.state, 40, 0)
    again.state["usual"][1] = 5.0
    again.table.restore(0, again.state, desk.table.content(0, desk.state))
    assert again.state["usual"][0, U_SPREAD] == pytest.approx(0.25)
    assert again.state["usual_days"].tolist() == [1.0, 0.0]
    assert (again.state["usual"][1] == 5.0).all()


def _content() -> dict:
    desk = Desk()
    desk.day(1.0)
    desk.state["overall"][0] = 0.5
    return desk.table.content(0, desk.state)


@pytest.mark.parametrize(
    "change",
    [
        {"quantities": ["spread"]},
        {"quantities": None},
        {"overall": [1.0, 2.0]},
        {"overall": "abc"},
        {"overall": 3},
        {"overall": [math.inf] * USUALS},
        {"overall_n": [-1.0] * USUALS},
        {"overall_n": [None] * USUALS},
        {"bins": None},
        {"bins": [[1, 2]]},
        {"bins": [[96, 0, 1, [0.0] * USUALS, None]]},
        {"bins": [[-1, 0, 1, [0.0] * USUALS, None]]},
        {"bins": [[1.5, 0, 1, [0.0] * USUALS, None]]},
        {"bins": [[1, 0, 0, [0.0] * USUALS, None]]},
        {"bins": [[1, 0, "x", [0.0] * USUALS, None]]},
        {"bins": [[1, 0, 1, [0.0], None]]},
        {"bins": [[1, 0, 1, [0.0] * USUALS, "x"]]},
        {"bins": [[1, 0, 1, [[0.0]] * USUALS, None]]},
    ],
)
def test_content_of_another_form_is_refused_in_one_line_and_changes_nothing(change: dict) -> None:
    desk = Desk()
    desk.day(2.0)
    table = {name: getattr(desk.table, name).copy() for name in ("base", "deviation", "days")}
    state = desk.state.copy()
    with pytest.raises(ValueError, match=r".+") as raised:
        desk.table.restore(0, desk.state, _content() | change)
    assert "\n" not in str(raised.value)
    assert all(np.array_equal(getattr(desk.table, name), old, equal_nan=True) for name, old in table.items())
    for name in ("overall", "overall_n", "usual", "usual_days"):
        assert np.array_equal(desk.state[name], state[name], equal_nan=True)


@pytest.mark.parametrize("content", [None, [], "x", 3, {}])
def test_what_is_no_content_at_all_is_refused_in_one_line(content: object) -> None:
    desk = Desk()
    with pytest.raises(ValueError, match=r"^it is not of the form expected: [^\n]+$"):
        desk.table.restore(0, desk.state, content)


def test_a_ratio_above_one_needs_three_days() -> None:
    assert plain.liquidity_log_ratio(0.5, 0.0, days=2) == 0.0
    assert plain.liquidity_log_ratio(0.5, 0.0, days=3) == pytest.approx(math.log(2))
    assert plain.liquidity_log_ratio(2.0, 0.0, days=0) == pytest.approx(-math.log(2))


def test_the_shrunk_base_is_what_is_known_where_only_one_is() -> None:
    assert plain.shrunk_base(1.0, 3, 2.0) == 1.5
    assert plain.shrunk_base(math.nan, 0, 2.0) == 2.0
    assert plain.shrunk_base(1.0, 3, math.nan) == 1.0
