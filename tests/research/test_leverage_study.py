"""The judge of a run over ticks: records made by hand, so that the answer is known."""

from typing import Any

import numpy as np
import pytest

from bot.research.fill_costs import CRISIS_CUT, FILL, NOISE
from bot.research.leverage_panels import Stretch, columns
from bot.research.leverage_study import (
    SECOND_NS,
    Moment,
    answer,
    crises,
    first_lasting,
    hold_down_breaches,
    joined,
    known_moments,
    spread_ratio,
    trading_days,
)
from bot.research.recordings import Quotes
from bot.research.tick_run import RECORD

S = SECOND_NS
T = 1_000 * S


def records(*rows: dict[str, Any]) -> np.ndarray:
    """Records in which nothing happens but what a row says; `at` seconds after `T`."""
    made = np.zeros(len(rows), RECORD)
    made["mid"], made["usual_spread_bps"], made["goal"], made["held"] = 1.0, 1.0, 1.0, 1.0
    for record, row in zip(made, rows, strict=True):
        record["time_ns"] = T + round(row["at"] * S)
        for name in row.keys() - {"at"}:
            record[name] = row[name]
    return made


def quotes(*rows: tuple[float, float]) -> Quotes:
    """Quotes from (seconds after T, spread in bps) about a mid of 1."""
    at, spread_bps = np.array(rows).T
    half = spread_bps / 2e4
    nothing = np.full(len(rows), np.nan)
    return Quotes(T + np.rint(at * S).astype(np.int64), 1 - half, nothing, 1 + half, nothing)


def test_a_spread_is_measured_against_what_was_usual_before_it() -> None:
    seconds = records({"at": 0, "usual_spread_bps": 2.0}, {"at": 1, "usual_spread_bps": 4.0})
    ratio = spread_ratio(quotes((0.0, 6.0), (0.5, 6.0), (1.0, 6.0), (1.5, 6.0), (2.0, 0.0)), seconds, 1e-4)
    assert np.isnan(ratio[0]), "nothing is known before the first record"
    assert ratio[1:4] == pytest.approx([3.0, 3.0, 1.5])
    assert ratio[4] == pytest.approx(0.2 / 4.0), "nothing counts as a fifth of a pip"


def test_only_what_lasts_for_a_quarter_of_a_second_has_begun() -> None:
    time_ns = np.array([0, 100, 200, 300, 700, 800, 1_200], np.int64) * 1_000_000
    wide = np.array([True, False, True, True, False, True, True])
    assert first_lasting(time_ns, wide, (0, S * 9)) == 200_000_000
    assert first_lasting(time_ns, wide, (250_000_000, S * 9)) is None, "the last one may not last"
    assert first_lasting(time_ns, np.zeros(7, np.bool_), (0, S * 9)) is None


MOMENT = Moment("release", T + 10 * S, before_s=5, after_s=20)


def test_an_answer_counts_from_the_opening_of_the_spread_to_half_of_what_was() -> None:
    seen = quotes((0, 1.0), (8.0, 3.5), (9.0, 5.0), (12.0, 5.0), (13.0, 1.0), (40.0, 9.0))
    found = records(
        {"at": 0},
        {"at": 8.5, "goal": 0.9},
        {"at": 9.25, "goal": 0.4, "level": 1},
        {"at": 9.75, "goal": 0.0, "held": 0.1, "level": 3, "score": 1.0},
        {"at": 35, "goal": 0.0, "held": 0.0},
    )
    ratio = spread_ratio(seen, found, 1e-4)
    a = answer(MOMENT, found, seen.time_ns, ratio)
    assert a is not None
    assert (a.open_ns, a.wide_ns) == (T + 8 * S, T + 9 * S)
    assert a.greatest_ratio == pytest.approx(5.0)
    assert (a.goal_before, a.goal_least, a.goal_cut_s) == (0.9, 0.0, 0.25)
    assert (a.held_before, a.held_least, a.held_cut_s) == (1.0, 0.1, 0.75)
    assert (a.level_before, a.level, a.crisis_ns) == (0, 3, T + round(9.25 * S))
    assert a.alarming_ns is None


def test_what_was_cut_before_the_spread_opened_counts_from_the_crisis_and_below_zero() -> None:
    seen = quotes((0, 1.0), (9.0, 6.0), (12.0, 1.0))
    found = records({"at": 0}, {"at": 7, "goal": 0.5, "level": 1}, {"at": 8, "goal": 0.25, "held": 0.5, "level": 1})
    found = np.concatenate([found, records({"at": 10, "goal": 0.0, "held": 0.0, "level": 3})])
    a = answer(MOMENT, found, seen.time_ns, spread_ratio(seen, found, 1e-4))
    assert a is not None
    assert (a.wide_ns, a.alarming_ns, a.crisis_ns) == (T + 9 * S, T + 9 * S, T + 7 * S)
    assert (a.goal_before, a.goal_cut_s, a.held_cut_s, a.level_before) == (1.0, -2.0, -1.0, 0)


def test_without_an_opening_there_is_nothing_to_count_from_and_without_quotes_no_answer() -> None:
    seen, found = quotes((0, 1.0), (9.0, 2.0), (12.0, 1.0)), records({"at": 0}, {"at": 11, "goal": 0.7})
    a = answer(MOMENT, found, seen.time_ns, spread_ratio(seen, found, 1e-4))
    assert a is not None
    assert (a.open_ns, a.wide_ns, a.goal_cut_s, a.crisis_ns) == (None, None, None, None)
    assert (a.goal_before, a.goal_least) == (1.0, 0.7)
    far = Moment("another day", T + 90_000 * S)
    assert answer(far, found, seen.time_ns, spread_ratio(seen, found, 1e-4)) is None


def fill(at: float, before: float, after: float, mid: float, tag: int = CRISIS_CUT) -> tuple[Any, ...]:
    return (T + round(at * S), 0, 0.0, mid, mid, 1, before, after, 0.5, tag)


def test_a_crisis_tells_what_it_sold_what_that_cost_and_what_the_price_did_then() -> None:
    found = records(
        {"at": 0},
        {"at": 100, "level": 1, "mid": 1.0},
        {"at": 101, "level": 2, "mid": 0.999},
        {"at": 400, "level": 2, "mid": 0.998},
        {"at": 402, "level": 1, "mid": 0.997},
        {"at": 500, "level": 0, "mid": 1.001},
        {"at": 900, "level": 1, "mid": 1.0},
    )
    fills = np.array([fill(100, 1.0, 0.5, 1.0), fill(101, 0.5, 0.25, 1.0), fill(450, 0.2, 0.1, 1.0, NOISE)], FILL)
    seen = quotes((0, 1.0), (97, 2.5), (100, 2.0), (200, 9.0))
    ratio = spread_ratio(seen, found, 1e-4)
    first, last = crises(found, fills, seen.time_ns, ratio, [])
    assert (first.begin_ns, first.end_ns, first.level) == (T + 100 * S, T + 500 * S, 2)
    assert (first.sold, first.cost_bps) == (0.75, 1.0)
    assert first.saved_bps == pytest.approx(-0.75 * 10), "the price was 10 bps higher in the end"
    assert first.saved_5min_bps == pytest.approx(0.5 * 20 + 0.25 * 30)
    assert first.ratio == pytest.approx(2.5)
    assert first.is_false_alarm, "nothing was scheduled, and the spread had not opened"
    assert last.end_ns is None and last.sold == 0
    told, _ = crises(found, fills, seen.time_ns, ratio, [Moment("release", T + 200 * S)])
    assert told.scheduled == "release" and not told.is_false_alarm


LEVELS = [(0, 0), (10, 2), (190, 1), (250, 0)]


def test_levels_that_fall_one_by_one_after_their_hold_downs_are_in_order() -> None:
    assert hold_down_breaches(records(*({"at": at, "level": level} for at, level in LEVELS))) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"at": 189, "level": 1}, "level 2 fell after 179.0 s"),
        ({"at": 190, "level": 0}, "level 2 fell to 0"),
        ({"at": 190, "level": 1, "score": 0.5}, "fell at a score of 0.50"),
    ],
)
def test_a_level_that_falls_too_early_too_far_or_too_ill_is_named(change: dict[str, Any], said: str) -> None:
    rows = [{"at": at, "level": level} for at, level in LEVELS]
    rows[2] = change
    assert any(said in text for text in hold_down_breaches(records(*rows)))


def test_a_level_that_was_asked_for_again_does_not_fall_for_its_hold_down() -> None:
    rows = [{"at": at, "level": level} for at, level in LEVELS]
    rows.insert(2, {"at": 100, "level": 2, "score": 0.8})
    assert any("asked for within" in text for text in hold_down_breaches(records(*rows)))


def test_seconds_and_moves_are_joined_in_order_and_the_last_of_a_time_counts() -> None:
    seconds, moves = records({"at": 0}, {"at": 1}, {"at": 2}), records({"at": 1, "level": 3}, {"at": 1.5})
    assert joined(seconds, moves)["time_ns"].tolist() == [T, T + S, T + S + S // 2, T + 2 * S]
    assert joined(seconds, moves)["level"].tolist() == [0, 3, 0, 0]
    assert len(joined(seconds, moves, symbol=1)) == 0


def test_saturdays_are_no_trading_days_and_every_known_moment_is_on_one_that_is() -> None:
    week = records(*({"at": 86_400.0 * day} for day in range(7)))
    assert trading_days(week) == [0, 1, 3, 4, 5, 6]
    moments = known_moments()
    assert [m.at_ns for m in moments] == sorted(m.at_ns for m in moments)
    days = np.zeros(len(moments), RECORD)
    days["time_ns"] = [m.at_ns for m in moments]
    assert len(trading_days(days)) == len({m.at_ns // (86_400 * S) for m in moments}) == 8


def test_a_stretch_shows_the_widest_spread_and_the_last_leverage_of_each_step() -> None:
    stretch = Stretch("x", "x", "x", T, T + 6 * S, step_s=2)
    found = records({"at": -5, "held": 0.5}, {"at": 0.5, "level": 1, "held": 0.75}, {"at": 1, "level": 0, "goal": 0.2})
    seen = quotes((-1, 7.0), (0, 1.0), (1.9, 3.0), (2, 2.0), (6, 8.0))
    assert columns(stretch, found, seen) == {
        "time_s": [0.0, 2.0, 4.0],
        "spread_bps": [pytest.approx(3.0), pytest.approx(2.0), None],
        "usual_bps": [1.0, 1.0, 1.0],
        "wanted": [0.2, 0.2, 0.2],
        "held": [1.0, 1.0, 1.0],
        "level": [1.0, 0.0, 0.0],
    }
