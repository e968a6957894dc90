"""Comparisons on markets of which the outcome is known, and the procedure: what the test may not touch, kills, jobs."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from made_markets import FREE, Silent, compared, edge_market, still_market

from bot.comparing import calibration_end_ns, calibration_minutes_end_ns
from bot.research.backtest.result import Result
from bot.research.compare.comparison import BY_MEAN_LEVERAGE, BY_VOLATILITY, Comparison
from bot.research.compare.minutes import DAY_NS, MINUTE_NS, Minutes
from bot.research.metrics.interval import Interval
from bot.trial_pool import Progressed

pytestmark = pytest.mark.slow
MATCHINGS = (BY_VOLATILITY, BY_MEAN_LEVERAGE)
FEW = ["liquidity-weighted", "placebo"]


def reduction(found: Comparison, arm: str, against: str, matching: str, figure: str) -> Interval:
    (only,) = [
        each.interval
        for each in found.differences
        if (each.arm, each.against, each.matching, each.figure) == (arm, against, matching, figure)
    ]
    return only


def test_where_trading_costs_nothing_and_liquidity_never_changes_arms_tie(tmp_path: Path) -> None:
    found = compared(tmp_path / "out", still_market, ["liquidity-weighted", "time-of-day"])
    for matching in MATCHINGS:
        arms = {each.arm: each for each in found.arms if each.matching == matching}
        assert arms["liquidity-weighted"].scale == 1.0
        by_constant, by_liquidity = (
            Result.load(arms[name].result or Path()) for name in ("constant", "liquidity-weighted")
        )
        # The same leverage comes to the same, to the last digit.
        assert by_constant.fills.tobytes() == by_liquidity.fills.tobytes()
        assert np.array_equal(by_constant.clocks["equity"], by_liquidity.clocks["equity"])
        for arm in arms.values():
            assert arm.summary.costs.costs == pytest.approx(0.0, abs=1e-6)
            # More or less of the same is no better and no worse.
            sharpe = arm.summary.performance.net_sharpe
            assert sharpe == pytest.approx(arms["constant"].summary.performance.net_sharpe, rel=1e-3)
            assert abs(arm.summary.performance.net_return_frac) > 1e-4


def test_an_edge_in_liquidity_is_found_by_the_composite_arm_and_not_by_the_placebo(tmp_path: Path) -> None:
    found = compared(tmp_path / "out", edge_market, ["composite", "placebo"], jobs=2)
    crises = [span for span in found.spans if span.kind == "crisis"]
    assert len(crises) == 12  # each fall of liquidity, found by the spread alone
    for matching in MATCHINGS:
        for figure in ("mean_drawdown_frac", "exit_cost_p99_bps"):
            for against in ("constant", "placebo"):
                edge = reduction(found, "composite", against, matching, figure)
                assert edge.is_known
                assert edge.low > 0.2
            placebo = reduction(found, "placebo", "constant", matching, figure)
            assert placebo.is_known
            assert placebo.low <= 0
            assert placebo.estimate < 0.05


def test_no_number_of_the_test_days_reaches_what_the_calibration_decides(tmp_path: Path) -> None:
    one, other = (
        compared(tmp_path / str(after), partial(still_market, after), FEW, conditions=replace(FREE, seed=1))
        for after in (1, 2)
    )
    assert [(a.arm, a.matching, a.scale) for a in one.arms] == [(a.arm, a.matching, a.scale) for a in other.arms]
    assert any(a.scale != 1.0 for a in one.arms)
    returns = [[a.summary.performance.net_return_frac for a in each.arms] for each in (one, other)]
    assert not set(returns[0]) & set(returns[1])  # the test days are others


def test_a_comparison_goes_on_after_a_kill_and_comes_to_the_same_with_any_number_of_jobs(tmp_path: Path) -> None:
    class Killed(BaseException):
        pass

    class Dying(Silent):
        def progressed(self, news: Progressed) -> None:
            super().progressed(news)
            if len(self.ran) == 6 and not news.is_done:  # in the middle of the seventh
                raise Killed

    dying, after, again = Dying(), Silent(), Silent()
    with pytest.raises(Killed):
        compared(tmp_path / "killed", still_market, FEW, dying)
    found = compared(tmp_path / "killed", still_market, FEW, after)
    assert sorted(after.kept) == sorted(dying.ran)
    assert not set(after.ran) & set(dying.ran)
    compared(tmp_path / "killed", still_market, FEW, again)
    assert again.ran == []

    two = compared(tmp_path / "two", still_market, FEW, jobs=2)
    said = [json.loads((tmp_path / name / "comparison.json").read_text()) for name in ("killed", "two")]
    assert said[0] == said[1]
    for one_arm, two_arm in zip(found.arms, two.arms, strict=True):
        one_run, two_run = (Result.load(arm.result or Path()) for arm in (one_arm, two_arm))
        assert one_run.clocks.tobytes() == two_run.clocks.tobytes()


def test_days_without_quotes_do_not_count_and_too_few_are_refused_with_their_dates() -> None:
    first, quiet = 16_195 * 1_440, np.full((4 * 1_440, 1), np.nan)
    quiet[:60] = quiet[2 * 1_440 : 2 * 1_440 + 60] = 1.0
    minutes = Minutes(first, np.ones_like(quiet), quiet)
    assert calibration_end_ns(minutes, 1) == 16_196 * DAY_NS == (first + 1_440) * MINUTE_NS
    with pytest.raises(ValueError, match=r"too few days: quotes on 2014-05-05, 2014-05-07, .* takes 2 of them"):
        calibration_end_ns(minutes, 2)


def test_a_recording_of_minutes_is_calibrated_on_some_of_them() -> None:
    first = 16_195 * 1_440
    ten = Minutes(first, np.ones((10, 1)), np.ones((10, 1)))
    assert calibration_minutes_end_ns(ten, 4, borrows_days=False) == (first + 4) * MINUTE_NS
    with pytest.raises(ValueError, match=r"too short: 10 minutes, and backtest.calibration_minutes takes 10 of them"):
        calibration_minutes_end_ns(ten, 10, borrows_days=False)
    with pytest.raises(ValueError, match="placebo borrows from other days, and there is one"):
        calibration_minutes_end_ns(ten, 4, borrows_days=True)
