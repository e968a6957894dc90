"""Spread by time of day, jumps, and who leads whom: markets made up so that the answer is known."""

import math

import numpy as np
import pytest

from bot.research.liquidity import (
    MINUTE_NS,
    SECOND_NS,
    bipower_ratio,
    hourly_spread_bps,
    is_weekday,
    lead_lag,
    minutes_of,
    spread_in,
)
from bot.research.recordings import Quotes

HOUR_NS = 60 * MINUTE_NS


def _quotes(rows: list[tuple[int, float, float]]) -> Quotes:
    """Quotes from (time, mid, spread in bps)."""
    time_ns, mid, spread_bps = (np.array(column) for column in zip(*rows, strict=True))
    half, unknown = mid * spread_bps / 2e4, np.full(len(rows), math.nan)
    return Quotes(time_ns.astype(np.int64), mid - half, unknown, mid + half, unknown)


def test_a_minute_weighs_each_spread_by_the_time_it_stood_and_a_silent_minute_is_unknown() -> None:
    second, minute = SECOND_NS, MINUTE_NS
    minutes = minutes_of(
        _quotes(
            [
                (30 * second, 100.0, 2.0),
                (minute + 45 * second, 101.0, 6.0),
                (3 * minute, 101.0, 4.0),
                (3 * minute + 1, 102.0, 4.0),
            ]
        )
    )
    assert minutes.minute.tolist() == [0, 1, 2, 3]
    # 45 s at 2 bps, then 15 s at 6; nobody quotes in minute 2; the quote at the very start of minute 3 belongs to it.
    assert minutes.log_spread[1] == pytest.approx(math.log(3.0))
    assert math.isnan(minutes.log_spread[2])
    assert minutes.log_spread[3] == pytest.approx(math.log(4.0))
    assert minutes.log_return[1] == pytest.approx(math.log(1.01))
    assert np.isnan(minutes.log_return[[0, 2, 3]]).all()


def test_a_quote_at_the_very_start_of_a_minute_is_not_the_last_of_the_one_before() -> None:
    minutes = minutes_of(_quotes([(0, 100.0, 1.0), (MINUTE_NS, 101.0, 1.0), (MINUTE_NS + SECOND_NS, 103.0, 1.0)]))
    assert minutes.log_return[1] == pytest.approx(math.log(1.03))


def test_a_crossed_minute_has_no_logarithm_of_its_spread() -> None:
    minutes = minutes_of(_quotes([(0, 100.0, -1.0), (MINUTE_NS, 100.0, 1.0)]))
    assert math.isnan(minutes.log_spread[0])


def test_weekdays_are_monday_to_friday() -> None:
    day = 1_440
    friday = 16_192 * day  # 2014-05-02
    assert is_weekday(friday + day * np.arange(-1, 4)).tolist() == [True, True, False, False, True]


def test_bipower_variation_of_the_worked_example() -> None:
    # RV = 106, BV = 67.0206: models 10.3.
    assert bipower_ratio(np.array([1.0, -2.0, 10.0, 1.0])) == pytest.approx(67.0206 / 106, rel=1e-6)


def test_a_walk_without_jumps_has_a_ratio_of_one_and_jumps_lower_it() -> None:
    returns = np.random.default_rng(1).normal(size=100_000)
    assert bipower_ratio(returns) == pytest.approx(1.0, abs=0.02)
    returns[::1_000] += 30.0
    assert bipower_ratio(returns) < 0.7


def test_an_hour_weighs_spreads_by_time_but_a_quote_for_a_minute_at_most() -> None:
    rows = [(9 * HOUR_NS, 100.0, 1.0), (9 * HOUR_NS + 30 * SECOND_NS, 100.0, 4.0), (21 * HOUR_NS, 100.0, 7.0)]
    rows += [(21 * HOUR_NS + SECOND_NS, 100.0, 9.0)]
    hourly = hourly_spread_bps(_quotes(rows))
    assert hourly[9] == pytest.approx((30 * 1.0 + 60 * 4.0) / 90)
    assert hourly[21] == pytest.approx(7.0), "the last quote has not stood at all"
    assert np.isnan(hourly[10])


def test_a_time_of_day_gathers_all_days_and_excludes_its_end() -> None:
    day_ns = 24 * HOUR_NS
    rows = [(0, 100.0, 1.0), (SECOND_NS, 100.0, 5.0), (day_ns, 100.0, 3.0), (day_ns + SECOND_NS, 100.0, 5.0)]
    assert spread_in(_quotes(rows), 0, 1) == pytest.approx((2.0, 3.0))


def test_a_follower_correlates_with_what_the_leader_did_a_second_before() -> None:
    leader_mid = 100 * np.exp(np.cumsum(np.random.default_rng(2).normal(size=5_000)) * 1e-4)
    seconds = np.arange(5_000) * SECOND_NS
    leader = _quotes(list(zip(seconds, leader_mid, np.ones(5_000), strict=True)))
    follower = _quotes(list(zip(seconds + SECOND_NS, leader_mid, np.ones(5_000), strict=True)))
    together, ahead, behind = lead_lag(leader, follower)
    assert ahead == pytest.approx(1.0)
    assert abs(together) < 0.05 and abs(behind) < 0.05
    assert lead_lag(follower, leader) == pytest.approx((together, behind, ahead))
