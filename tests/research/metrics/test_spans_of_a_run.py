"""Drawdowns and detection inside spans, matching by the calibration window: by hand, by brute force, at the edges."""

import math
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from arm_runs import MONDAY_NS, fill, fills_of, random_run, run_of
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.research.metrics.arm_run import SECOND_NS, Span, TradingTime
from bot.research.metrics.detection import detection_of, with_peaks
from bot.research.metrics.matching import match
from bot.research.metrics.summary import summary_of
from bot.research.metrics.windows import (
    WINDOW_FIGURES,
    drawdown_of,
    mean_drawdown_frac,
    windows_of,
    worst_slippage_bps,
)


def _span(begin_s, end_s, kind="crisis", peak_s=None):
    peak_ns = None if peak_s is None else MONDAY_NS + round(peak_s * SECOND_NS)
    return Span(MONDAY_NS + round(begin_s * SECOND_NS), MONDAY_NS + round(end_s * SECOND_NS), kind, peak_ns)


# -- drawdowns and windows


@settings(max_examples=40, deadline=None)
@given(equity=st.lists(st.one_of(st.just(math.nan), st.floats(1, 1e3)), min_size=1, max_size=12))
def test_the_deepest_drawdown_is_that_of_all_pairs(equity) -> None:
    found = drawdown_of(np.arange(len(equity)), np.array(equity))
    known = [each for each in equity if not math.isnan(each)]
    if not known:
        assert math.isnan(found.depth_frac)
        return
    deepest = max(1 - late / early for i, early in enumerate(known) for late in known[i:])
    assert found.depth_frac == pytest.approx(deepest, abs=1e-12)
    if found.from_ns is not None:
        assert found.depth_frac == pytest.approx(1 - equity[found.to_ns] / equity[found.from_ns])


def test_a_window_begins_with_the_equity_just_before_it() -> None:
    run = run_of(
        [100, 100, 80, 90, 60, 100], fills=fills_of(fill(2, 1, 102, 100), fill(3, 1, 101, 100), fill(7, 1, 109, 100))
    )
    windows = windows_of(run, [_span(2, 4), _span(4, 6), _span(50, 60), _span(0, 6, "calm")], "crisis")
    assert windows["drawdown_frac"].tolist() == pytest.approx([0.2, 1 / 3])
    assert windows["loss_frac"].tolist() == pytest.approx([0.1, 1 - 100 / 90])
    assert windows["worst_slippage_bps"][0] == pytest.approx(200)
    assert windows["fills"].tolist() == [2, 0]
    both = np.arange(2)
    assert mean_drawdown_frac(windows, both) == pytest.approx((0.2 + 1 / 3) / 2)
    assert worst_slippage_bps(windows, both) == pytest.approx(200)
    assert math.isnan(worst_slippage_bps(windows, both[1:]))


def test_what_the_weekend_moved_is_in_no_window_that_begins_with_the_opening_or_spans_it() -> None:
    # Closed for an hour after the second row, over which 100 became 80; then 76 and back to 80.
    run = run_of([100, 100, 80, 76, 80, 90], at_s=[0, 1, 3601, 3602, 3603, 3604])
    spans = [_span(3601, 3604), _span(1000, 3604), _span(1, 3605), _span(3602, 3604)]
    windows = windows_of(run, spans, "crisis")
    assert windows["drawdown_frac"].tolist() == pytest.approx([0.05] * 4)
    # 80 to 80; the same from before the opening on; 100 to 100 and 80 to 90; 80 to 80.
    assert windows["loss_frac"].tolist() == pytest.approx([0.0, 0.0, 1 - 90 / 80, 0.0])
    told = replace(run, closed_growth=np.array([1, 1, 0.8, 0.8, 0.8, 0.8]))
    assert windows_of(told, spans, "crisis")["loss_frac"] == pytest.approx(windows["loss_frac"])
    assert windows_of(replace(run, closed_growth=np.ones(6)), spans, "crisis")["loss_frac"][0] == pytest.approx(0.2)


def test_no_window_has_no_figures_and_a_summary_has_each_kind_once() -> None:
    run = run_of(np.full(10, 1000.0))
    nothing = windows_of(run, [], "crisis")
    assert all(math.isnan(figure(nothing, np.arange(0))) for figure in WINDOW_FIGURES.values())
    spans = [_span(1, 2), _span(3, 4, "calm"), _span(5, 6)]
    assert [(each.kind, each.windows) for each in summary_of(run, spans).in_spans] == [("crisis", 2), ("calm", 1)]


# -- detection


def _alarmed(*stretches, count=1000, leverage=None):
    level = np.zeros(count, np.int64)
    for begin, end in stretches:
        level[begin:end] = 2
    leverage = np.full(count, 3.0) if leverage is None else leverage
    return run_of(np.full(count, 1000.0), crisis_level=level, leverage=leverage)


def test_detection_of_three_events_and_a_false_alarm_by_hand() -> None:
    leverage = np.full(1000, 4.0)
    leverage[110:200] = -1.0
    run = _alarmed((103, 150), (290, 350), (700, 720), leverage=leverage)
    events = [_span(100, 130, peak_s=115.5), _span(300, 330, peak_s=310), _span(500, 530)]
    found = detection_of(run, events, trading_time=TradingTime(day_s=500.0))
    # The second alarm was on before its event: found at once, but raised for nothing.
    assert [each.delay_s for each in found.found[:2]] == [3.0, 0.0]
    assert math.isnan(found.found[2].delay_s)
    assert (found.events, found.detected_frac) == (3, pytest.approx(2 / 3))
    assert (found.delay_p50_s, found.delay_worst_s) == (1.5, 3.0)
    assert (found.false_alarms, found.false_alarms_per_day) == (2, pytest.approx(1.0))
    assert [each.leverage_at_peak for each in found.found[:2]] == [1.0, 4.0]
    assert found.peak_leverage_frac == pytest.approx((0.25 + 1) / 2)
    assert detection_of(run, events, lead_s=10).false_alarms == 1


def test_an_alarm_counts_until_the_grace_after_an_event_is_over() -> None:
    late = _alarmed((150, 160))
    assert detection_of(late, [_span(100, 130)], grace_s=21).found[0].delay_s == 50.0
    assert detection_of(late, [_span(100, 130)], grace_s=21).false_alarms == 0
    early = detection_of(late, [_span(100, 130)], grace_s=20)
    assert math.isnan(early.found[0].delay_s)
    assert early.false_alarms == 1


def test_detection_of_one_symbol_looks_at_that_symbol() -> None:
    run = random_run(5, count=500)
    level = np.zeros_like(run.crisis_level)
    level[100:, 1] = 1
    run = replace(run, crisis_level=level)
    event = Span(int(run.time_ns[90]), int(run.time_ns[120]), "crisis")
    assert detection_of(run, [event], symbol=0).detected_frac == 0.0
    assert detection_of(run, [event], symbol=1).detected_frac == detection_of(run, [event]).detected_frac == 1.0


def test_no_events_leave_nothing_to_judge_but_false_alarms() -> None:
    found = detection_of(_alarmed((0, 10), (20, 30)), [_span(5000, 6000)])
    assert (found.events, found.false_alarms) == (0, 2)
    unknown = (found.detected_frac, found.delay_p50_s, found.mean_leverage_at_peak)
    assert all(math.isnan(each) for each in unknown)


def test_the_peak_of_a_span_is_where_severity_is_greatest() -> None:
    time_ns = MONDAY_NS + np.arange(10) * SECOND_NS
    severity = np.array([9, 1, np.nan, 5, 5, 1, np.nan, np.nan, 0, 0])
    first, unknown = with_peaks([_span(1, 6), _span(6, 8)], time_ns, severity)
    assert first.peak_ns == MONDAY_NS + 3 * SECOND_NS
    assert unknown.peak_ns is None


# -- matching


def test_matching_gives_back_the_scale_of_returns_and_of_leverage() -> None:
    reference = random_run(11, count=2000)
    growth = np.append(1.0, reference.equity[1:] / reference.equity[:-1])
    factor = 2.5
    arm = replace(
        reference,
        equity=1000 * np.cumprod(1 + (growth - 1) / factor),
        leverage=reference.leverage / 4.0,
    )
    found = match(arm, reference, int(reference.time_ns[-1]) + 1)
    # Returns of bars are products, so that the scale of a second's moves is theirs to first order only.
    assert found.volatility_factor == pytest.approx(factor, rel=2e-3)
    assert found.leverage_factor == pytest.approx(4.0)


def test_matching_does_not_see_what_comes_after_the_calibration_window() -> None:
    arm, reference = random_run(1, count=1500), random_run(1, count=1500)
    reference = replace(reference, equity=reference.equity**0.5, leverage=reference.leverage * 2)
    until = 700
    wanted = match(arm, reference, int(arm.time_ns[until]))
    equity, leverage = arm.equity.copy(), arm.leverage.copy()
    equity[until:] *= 1 + np.random.default_rng(0).random(len(equity) - until)
    leverage[until:] = 50.0
    assert match(replace(arm, equity=equity, leverage=leverage), reference, int(arm.time_ns[until])) == wanted
    assert match(arm, reference, int(arm.time_ns[until + 300])) != wanted


def test_matching_refuses_what_cannot_be_matched_and_knows_no_factor_for_nothing() -> None:
    run = random_run(2, count=100)
    end_ns = int(run.time_ns[-1])
    with pytest.raises(ValueError, match="no rows before"):
        match(run, run, int(run.time_ns[0]))
    with pytest.raises(ValueError, match="their clocks differ"):
        match(run, replace(run, time_ns=run.time_ns + 1), end_ns)
    flat = replace(run, equity=np.full(len(run.equity), 1000.0), leverage=run.leverage * 0)
    found = match(flat, run, end_ns)
    assert math.isnan(found.volatility_factor)
    assert math.isnan(found.leverage_factor)


def test_nothing_heavy_is_imported_before_it_is_needed() -> None:
    names = "arm_run bars detection deflated_sharpe interval matching summary superior_ability verdict windows"
    code = "import sys\n" + "\n".join(f"import bot.research.metrics.{name}" for name in names.split())
    code += "\nprint(sorted({'arch', 'pandas', 'scipy', 'statsmodels', 'numba'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
