"""Runs as they are judged: what moves while one symbol rests and others trade, by hand, and the weights of symbols."""

from dataclasses import replace

import numpy as np
import pytest

from bot.market.hours import SymbolHours
from bot.research.backtest.record import FILL, clock_dtype
from bot.research.backtest.result import Result
from bot.research.compare.closed_hours import closed_growth
from bot.research.compare.judging import Judging, seen
from bot.research.metrics.arm_run import SECOND_NS, Span, TradingTime
from bot.research.metrics.bar_figures import resize_cost_bps_per_day
from bot.research.metrics.interval import Sampling
from bot.sim.listing import default_symbols

FRIDAY_S = 5 * 86_400 + 21 * 3_600  # of a week that begins on Sunday
SUNDAY_NS = 1_399_766_400 * SECOND_NS  # 2014-05-11 00:00 UTC
MINUTE_NS = 60 * SECOND_NS
(GOLD,) = (spec for spec in default_symbols() if spec.name == "XAUUSD")
EURO = replace(GOLD, name="EURUSD", schedule=((21 * 3_600, FRIDAY_S),), schedule_time_zone="UTC")
GOLD = replace(GOLD, schedule=((22 * 3_600, FRIDAY_S),), schedule_time_zone="UTC")
HOURS = SymbolHours(EURO), SymbolHours(GOLD)


def weekend() -> Result:
    """Friday 20:55 to 20:59, Sunday 21:00 to 22:09, a row a minute; 1 of EURUSD held, 2 of XAUUSD.

    EURUSD opens 1 % lower. XAUUSD opens at 22:01 and 3 % lower, and loses 1 % more at 22:03.
    """
    friday = SUNDAY_NS - 27 * 60 * MINUTE_NS - np.arange(5, 0, -1) * MINUTE_NS
    sunday = SUNDAY_NS + (21 * 60 + np.arange(70)) * MINUTE_NS
    clocks = np.zeros(75, clock_dtype(2))
    clocks["time_ns"] = np.concatenate([friday, sunday])
    minute = np.append(np.arange(-5, 0), np.arange(70))  # of the opening
    euro = np.where(minute < 0, 1 + 1e-5 * minute, 0.99 * (1 + 1e-5 * (minute % 2)))
    gold = np.select([minute < 0, minute < 61, minute < 63], [1000 + minute / 10, 999.9, 999.9 * 0.97], 999.9 * 0.96)
    clocks["mid"] = np.column_stack([euro, gold])
    clocks["leverage"] = 1.0, 2.0
    clocks["equity"] = np.select([minute < 0, minute < 61, minute < 63], [1000, 990, 990 * 0.94], 990 * 0.94 * 0.98)
    return Result("composite", ("EURUSD", "XAUUSD"), {}, (), 1.0, clocks, np.zeros(0, FILL))


def test_the_move_of_a_symbol_that_opens_later_is_of_closed_hours_and_what_follows_is_not() -> None:
    result = weekend()
    run, mids = result.arm_run(), result.clocks["mid"]
    growth = closed_growth(run, mids, HOURS)
    assert growth[:5].tolist() == [1.0] * 5
    assert growth[5:66] == pytest.approx(0.99)  # by the clock, whatever the hours are
    assert growth[66:] == pytest.approx(0.99 * (1 - 2 * 0.03))
    assert closed_growth(run, mids, ()) == pytest.approx(np.where(np.arange(75) < 5, 1, 0.99))


def test_a_feed_that_is_silent_in_its_own_hours_is_open() -> None:
    result = weekend()
    run, mids = result.arm_run(), result.clocks["mid"]
    assert closed_growth(run, mids, (HOURS[0], HOURS[0]))[-1] == pytest.approx(0.99 * 0.94)  # over the weekend as well
    open_too = SymbolHours(replace(GOLD, schedule=((0, 7 * 86_400),)))
    assert closed_growth(run, mids, (HOURS[0], open_too))[-1] == pytest.approx(0.99)


def test_the_weights_of_symbols_reach_what_part_d_is_decided_by() -> None:
    result = weekend()
    fills = np.zeros(3, FILL)
    fills["time_ns"], fills["units"] = result.clocks["time_ns"][[10, 20, 30]], (10, 5, -15)
    fills["price"], fills["mid_at_decision"], fills["notional"] = (101, 101, 99), 100, (1000, 500, 1500)
    fills["mid_at_fill"], fills["equity"] = 100, 1000
    judging = Judging(0, (), TradingTime(), Sampling(), (), HOURS)
    one, half = (
        seen(replace(result, fills=fills), result.clocks["time_ns"], each).majors["EURUSD"]
        for each in (judging, replace(judging, weights=(0.5, 1.0)))
    )
    costs = [resize_cost_bps_per_day(bars, bars.everything) for bars in (one, half)]
    assert costs[1] == pytest.approx(2 * costs[0]) and costs[0] > 0


def test_a_crisis_at_the_opening_of_gold_has_the_loss_after_it_alone() -> None:
    result = weekend()
    begin_ns = SUNDAY_NS + 22 * 60 * MINUTE_NS
    crisis = Span(begin_ns, begin_ns + 9 * MINUTE_NS, "crisis")
    judging = Judging(0, (crisis,), TradingTime(), Sampling(), (), HOURS)
    # Asked three seconds after the reference arm, whose clock counts: the same.
    late = replace(result, clocks=result.clocks.copy())
    late.clocks["time_ns"] += 3 * SECOND_NS
    for each in (result, late):
        (window,) = seen(each, result.clocks["time_ns"], judging).windows["crisis"]
        assert (window["loss_frac"], window["drawdown_frac"]) == pytest.approx((0.02, 0.02))
