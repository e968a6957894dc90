"""What fills cost and which of them are resizes, against sums done by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest
from arm_runs import fill, fills_of, run_of

from bot.research.metrics.arm_run import TradingTime
from bot.research.metrics.bar_figures import BAR_FIGURES
from bot.research.metrics.bars import bars_of
from bot.research.metrics.fill_shortfall import resizes
from bot.research.metrics.summary import summary_of

# A market that is open ten seconds a day, ten days a year, so that sums by hand stay small.
SHORT = TradingTime(day_s=10.0, days_per_year=10.0)


def _figure(name, run, bar_s=300.0, trading_time=None):
    bars = bars_of(run, trading_time, bar_s)
    return BAR_FIGURES[name](bars, bars.everything)


def test_costs_of_two_fills_are_those_of_a_sum_by_hand() -> None:
    # Bought 10 at 101 when 100 was decided on and 100.5 was the mid at the fill; sold 5 at 199 of 200.
    fills = fills_of(
        fill(2, 10, 101, 100, mid_at_fill=100.5, commission=0.5, own_impact_bps=20, predicted_slippage_bps=90),
        fill(7, -5, 199, 200, mid_at_fill=200, commission=0.25, equity=500, predicted_slippage_bps=40),
    )
    costs = summary_of(run_of(np.linspace(1000, 1010, 10), fills=fills), trading_time=SHORT).costs
    # 100 and 50 bps of 1000 each: 10 and 5, and 0.75 of commission; delay 50 bps of 1000.
    assert costs.slippage_bps == pytest.approx(75)
    assert costs.shortfall_bps == pytest.approx(1e4 * 15.75 / 2000)
    assert costs.delay_bps == pytest.approx(25)
    assert costs.prediction_error_bps == pytest.approx(10)
    assert costs.own_impact_bps == pytest.approx(20)
    # A day of ten seconds; equity of 1000 and 500.
    assert costs.slippage_bps_per_day == pytest.approx(1e4 * (10 / 1000 + 5 / 500))
    assert costs.shortfall_bps_per_day == pytest.approx(1e4 * (10.5 / 1000 + 5.25 / 500))
    assert costs.own_impact_bps_per_day == pytest.approx(1e4 * 2 / 1000)
    assert costs.turnover_per_day == pytest.approx(1 + 2)
    assert costs.costs == pytest.approx(15.75)
    assert costs.cost_per_gross_profit == pytest.approx(15.75 / 25.75)


def test_a_fill_without_a_mid_is_in_the_sums_of_what_is_known_of_it_and_in_their_notional() -> None:
    # Half a basis point of commission on each; 2 of slippage on the first, unknown on the second, a stop-out.
    fills = fills_of(
        fill(2, 10, 100.02, 100, commission=0.05),
        fill(7, -10, 99, math.nan, commission=0.05, notional=1000.0),
    )
    run = run_of(np.full(10, 1000.0), fills=fills)
    costs = summary_of(run, trading_time=SHORT).costs
    assert costs.slippage_bps == pytest.approx(2)
    assert costs.shortfall_bps == pytest.approx(2.5)
    assert costs.shortfall_bps_per_day == pytest.approx(1e4 * (0.2 + 0.1) / 1000)
    assert costs.turnover_per_day == pytest.approx(2)
    assert (costs.commission, costs.costs) == (pytest.approx(0.1), pytest.approx(0.3))
    assert (costs.fills, costs.unknown_fills) == (2, 1)
    assert costs.delay_bps == 0.0
    moved = run.fills.copy()
    moved["mid_at_decision"][1], moved["mid_at_fill"] = 99, (100.01, math.nan)
    assert summary_of(replace(run, fills=moved)).costs.delay_bps == pytest.approx(1)  # of the first, over the first
    unpriced = run.fills.copy()
    unpriced["notional"][1] = math.nan  # its commission is paid, of what nobody knows
    costs = summary_of(replace(run, fills=unpriced), trading_time=SHORT).costs
    assert (costs.shortfall_bps, costs.commission) == (pytest.approx(2.5), pytest.approx(0.1))


def test_swap_that_was_charged_is_a_cost_and_a_loss_before_costs_has_no_cost_share() -> None:
    run = run_of([1000, 1001], fills=fills_of(fill(0, 10, 101, 100)), swap=-2.0)
    assert summary_of(run).costs.costs == pytest.approx(12)
    assert summary_of(run).performance.gross_profit == pytest.approx(13)
    assert math.isnan(summary_of(replace(run, equity=np.array([1000.0, 900.0]))).costs.cost_per_gross_profit)


def test_a_resize_keeps_the_side_and_the_base_leverage_divides_its_cost() -> None:
    # Opens, grows, turns, shrinks, closes, comes back on the same side, closes for good.
    units = np.array([10.0, 5, -25, 4, 6, -3, 3])
    symbol = np.zeros(7, np.int64)
    assert resizes(symbol, units).tolist() == [False, True, False, True, True, True, False]
    fills = fills_of(
        *(fill(i, each, 100 + math.copysign(1, each), 100, commission=0.5) for i, each in enumerate(units))
    )
    run = run_of(np.full(10, 1000.0), fills=fills, base_leverage=4.0)
    resized = 5 + 4 + 6 + 3 + 4 * 0.5  # units, each costing 1, and commission
    assert _figure("resize_cost_bps_per_day", run, trading_time=SHORT) == pytest.approx(1e4 * resized / 1000 / 4)


def test_a_resize_is_over_the_base_of_its_own_symbol() -> None:
    # Both open, then grow by 5 and by 3, each unit costing 1; 2 x 0.5 and 2 x 4 are their bases.
    fills = fills_of(
        fill(0, 10, 101, 100), fill(1, 10, 101, 100, symbol=1), fill(2, 5, 101, 100), fill(3, 3, 101, 100, symbol=1),
        fill(4, -15, 99, 100), fill(5, -13, 99, 100, symbol=1),
    )  # fmt: skip
    flat = np.zeros((10, 2))
    run = run_of(
        np.full(10, 1000.0), fills=fills, base_leverage=2.0, weights=(0.5, 4.0), leverage=flat, crisis_level=flat,
        exit_cost_bps=flat, is_capped=flat,
    )  # fmt: skip
    wanted = 1e4 * (5 / 1.0 + 3 / 8.0) / 1000
    assert _figure("resize_cost_bps_per_day", run, trading_time=SHORT) == pytest.approx(wanted)
    assert _figure("resize_cost_bps_per_day", replace(run, weights=()), trading_time=SHORT) == pytest.approx(
        1e4 * 8 / 2 / 1000
    )


@pytest.mark.parametrize("begin", [1, 2, 3, 4, 6])
def test_a_part_of_a_run_has_the_resizes_of_the_whole_where_it_is_said_what_was_held(begin: int) -> None:
    units = np.array([10.0, 5, -25, 4, 6, -3, 3])
    symbol = np.zeros(7, np.int64)
    held = (float(units[:begin].sum()),)
    assert held[0] != 0
    assert resizes(symbol[begin:], units[begin:], held).tolist() == resizes(symbol, units)[begin:].tolist()
    assert resizes(symbol[1:], units[1:]).tolist() != resizes(symbol, units)[1:].tolist()


def test_each_symbol_has_its_own_side_and_sums_of_floats_end_flat() -> None:
    symbol = np.array([0, 1, 0, 1, 0, 0, 0])
    units = np.array([0.1, -1.0, 0.2, -1.0, -0.3, -0.1, -0.1])
    assert resizes(symbol, units).tolist() == [False, False, True, True, False, False, True]
    assert resizes(symbol[:1], np.zeros(1)).tolist() == [False]
