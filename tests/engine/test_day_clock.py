"""What New York time means to the engine: bins of usual values, windows without growth, holidays."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
from engine_desk import EURUSD, USDJPY

from bot.engine.day_clock import DayClock
from bot.market.evaluator import Evaluator, EvaluatorSettings
from bot.market.symbols import Holiday

ROUND_THE_CLOCK = replace(USDJPY, schedule=((0, 7 * 86_400),))


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000_000


class Watched(Evaluator):
    """An evaluator that remembers which bins it was told of."""

    def __init__(self) -> None:
        super().__init__(np.ones(2), EvaluatorSettings())
        self.bins: list[tuple[int, int]] = []

    def enter_bin(self, bin_index: int, day_type: int) -> None:
        self.bins.append((bin_index, day_type))


def clock(*, calendar: bool = True, time_of_day: bool = True, **holidays: object) -> DayClock:
    made = DayClock(calendar=calendar, time_of_day=time_of_day)
    made.load([replace(EURUSD, **holidays), ROUND_THE_CLOCK])
    return made


def test_nothing_grows_around_the_roll_over_but_what_trades_round_the_clock() -> None:
    day, evaluator = clock(), Watched()
    day.turn(evaluator, at("2026-11-25T21:44:59"))
    assert day.barred.tolist() == [False, False]
    day.turn(evaluator, at("2026-11-25T21:45:00"))  # 16:45 in New York
    assert day.barred.tolist() == [True, False]
    day.turn(evaluator, at("2026-11-25T23:15:00"))
    assert day.barred.tolist() == [False, False]


def test_each_quarter_of_an_hour_is_told_once() -> None:
    day, evaluator = clock(), Watched()
    for minute in (0, 1, 14, 15, 16, 29, 30):
        day.turn(evaluator, at(f"2026-11-25T15:{minute:02}:00"))
    assert evaluator.bins == [(40, 0), (41, 0), (42, 0)], "10:00 in New York, on a Wednesday"


def test_a_holiday_halves_the_base_of_its_symbol_for_the_day() -> None:
    day = clock(holidays=(Holiday(20_782, 0, 3600, time_zone="America/New_York"),))  # 2026-11-25
    evaluator = Watched()
    day.turn(evaluator, at("2026-11-25T15:00:00"))
    assert day.holiday_factor.tolist() == [0.5, 1.0]
    day.turn(evaluator, at("2026-11-26T15:00:00"))
    assert day.holiday_factor.tolist() == [1.0, 1.0]


def test_without_calendar_and_time_of_day_nothing_is_barred_and_no_bin_told() -> None:
    day, evaluator = clock(calendar=False, time_of_day=False), Watched()
    day.turn(evaluator, at("2026-11-25T22:00:00"))
    assert (day.barred.tolist(), evaluator.bins) == ([False, False], [])


def test_symbols_that_are_loaded_anew_are_looked_at_at_once() -> None:
    day, evaluator = clock(), Watched()
    day.turn(evaluator, at("2026-11-25T22:00:00"))
    day.load([ROUND_THE_CLOCK, EURUSD])
    day.turn(evaluator, at("2026-11-25T22:00:01"))
    assert day.barred.tolist() == [False, True]
