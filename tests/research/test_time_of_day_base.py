"""Liquidity against its time of day: only the past counts."""

import math

import numpy as np
import pytest

from bot.research.seasonality import log_liquidity_ratio, mean_ahead, mean_behind

DAY = 1_440


def _week(days: int = 5) -> tuple[np.ndarray, np.ndarray]:
    minute = np.arange(days * DAY)
    quarter = minute % DAY // 15
    return minute, np.sin(quarter) + np.random.default_rng(1).normal(size=len(minute)) * 0.1


def test_a_market_that_keeps_to_its_pattern_has_no_ratio_to_speak_of() -> None:
    minute = np.arange(5 * DAY)
    ratio = log_liquidity_ratio(minute, np.sin(minute % DAY // 15))
    assert np.isnan(ratio[: 3 * DAY]).all(), "three days are needed before there is a base"
    assert (ratio[3 * DAY :] == 0).all()


def test_the_base_is_the_median_of_the_daily_medians_of_the_same_quarter_before() -> None:
    minute, log_spread = _week()
    log_spread[7] = math.nan
    ratio = log_liquidity_ratio(minute, log_spread)
    earlier = [np.median(log_spread[day * DAY + 30 : day * DAY + 45]) for day in range(4)]
    assert ratio[4 * DAY + 33] == pytest.approx(np.median(earlier) - log_spread[4 * DAY + 33], rel=1e-12)


def test_a_day_with_many_quotes_counts_no_more_than_one_with_few() -> None:
    minute, log_spread = np.arange(4 * DAY), np.zeros(4 * DAY)
    for day, (known, level) in enumerate([(2, 1.0), (2, 2.0), (15, 3.0)]):
        log_spread[day * DAY : day * DAY + 15] = level
        log_spread[day * DAY + known : day * DAY + 15] = math.nan
    assert log_liquidity_ratio(minute, log_spread)[3 * DAY] == 2.0, "of the minutes the median would be 3"


def test_nothing_of_the_day_itself_or_of_later_days_changes_its_base() -> None:
    minute, log_spread = _week()
    later = log_spread.copy()
    later[3 * DAY + 1 :] += 5.0
    assert log_liquidity_ratio(minute, later)[3 * DAY] == log_liquidity_ratio(minute, log_spread)[3 * DAY]


def test_a_quarter_without_quotes_on_enough_days_stays_unknown() -> None:
    minute, log_spread = _week(4)
    log_spread[DAY : DAY + 15] = math.nan
    ratio = log_liquidity_ratio(minute, log_spread)
    assert np.isnan(ratio[3 * DAY : 3 * DAY + 15]).all()
    assert np.isfinite(ratio[3 * DAY + 15 :]).all()


def test_means_ahead_and_behind_are_those_of_plain_slices() -> None:
    series = np.random.default_rng(2).normal(size=40)
    series[[5, 6, 7, 20]] = math.nan
    ahead, behind = mean_ahead(series, 3), mean_behind(series, 3)
    for row in range(40):
        window = series[row + 1 : row + 4]
        expected = np.nanmean(window) if row + 3 < 40 and np.isfinite(window).any() else math.nan
        assert ahead[row] == pytest.approx(expected, rel=1e-9, nan_ok=True)
        window = series[max(row - 2, 0) : row + 1]
        expected = np.nanmean(window) if row >= 3 and np.isfinite(window).any() else math.nan
        assert behind[row] == pytest.approx(expected, rel=1e-9, nan_ok=True)
