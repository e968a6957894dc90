"""The placebo: who lends to whom, and what is borrowed."""

import numpy as np
import pytest
from known_market import calm_market, pair

from bot.research.compare.arm_strategy import Directed, Now
from bot.research.compare.arms import ARMS, CONSTANT, arms_named
from bot.research.compare.minutes import DAY_NS, MINUTE_NS
from bot.research.compare.schedule import TimeOfDay
from bot.research.compare.shuffled import SHUFFLED, Lent, Shuffled, lenders
from bot.research.compare.signals import Directions
from strategies.composite import Composite

_MONDAY = 16_195  # 2014-05-05
_MAY = [16_191, 16_192, 16_194, *range(_MONDAY, _MONDAY + 5)]  # Thu 1, Fri 2, Sun 4, Mon 5 to Fri 9


@pytest.mark.parametrize("seed", range(20))
def test_no_test_day_keeps_its_own_and_calibration_days_borrow_from_each_other(seed: int) -> None:
    found = lenders(_MAY, _MONDAY, seed)
    assert set(found) == set(_MAY)
    assert all(day != lender for day, lender in found.items())
    assert {found[day] for day in _MAY[:3]} <= set(_MAY[:3])
    week = _MAY[3:7]
    assert sorted(found[day] for day in week) == week  # a permutation of Monday to Thursday
    assert found[_MAY[7]] == _MAY[1]  # the other Friday


def test_who_lends_depends_on_the_seed_and_not_on_the_test_where_calibration_is_meant() -> None:
    assert len({tuple(lenders(_MAY, _MONDAY, seed).items()) for seed in range(20)}) > 5
    long = [*_MAY[:3], *range(_MONDAY, _MONDAY + 12)]
    for seed in range(20):
        short, other = lenders(_MAY, _MONDAY, seed), lenders(long, _MONDAY, seed)
        assert [short[day] for day in _MAY[:3]] == [other[day] for day in _MAY[:3]]


def test_a_single_calibration_day_keeps_its_own() -> None:
    assert lenders([_MONDAY, _MONDAY + 1], _MONDAY + 1, 1) == {_MONDAY: _MONDAY, _MONDAY + 1: _MONDAY}


def lent(days: list[int], from_minute: int = 60, count: int = 120) -> Lent:
    """Each day's factors are numbers that tell day and minute."""
    times = np.array([day * DAY_NS + (from_minute + m) * MINUTE_NS for day in days for m in range(count)])
    numbers = np.array([day - _MONDAY + m / 1_000 for day in days for m in range(count)])
    factors = np.stack([numbers + 10 * i for i in range(len(SHUFFLED) + 1)], axis=1)[:, :, None]
    return Lent(("EURUSD",), times, factors)


def borrowed(strategy: Shuffled, now: Now, at_ns: int) -> np.ndarray:
    now.tell(at_ns)
    return strategy.factors(calm_market(2), np.ones(2))


def test_factors_are_those_of_the_same_time_of_the_lending_day_and_volatility_is_of_now() -> None:
    now = Now()
    days = {_MONDAY: _MONDAY + 1, _MONDAY + 1: _MONDAY}
    placebo = Shuffled(Composite(), lent(list(days)), days, now).bound([pair("EURUSD"), pair("USDJPY")], np.ones(2))
    found = borrowed(placebo, now, _MONDAY * DAY_NS + 75 * MINUTE_NS + 5)
    assert found[0].tolist() == [1.0, 1.0]
    assert found[1:, 0] == pytest.approx([1 + 0.015 + 10 * i for i in range(5)])
    assert np.isnan(found[1:, 1]).all()  # nothing is lent for a symbol that was not traded
    assert borrowed(placebo, now, (_MONDAY + 1) * DAY_NS + 75 * MINUTE_NS)[1, 0] == pytest.approx(0.015)
    # Before the lender's first row its first one, after its last one the last: never another day's.
    assert borrowed(placebo, now, _MONDAY * DAY_NS + 3)[1, 0] == pytest.approx(1.0)
    assert borrowed(placebo, now, _MONDAY * DAY_NS + 1_439 * MINUTE_NS)[1, 0] == pytest.approx(1.119)
    assert np.isnan(borrowed(placebo, now, (_MONDAY + 2) * DAY_NS)[1, 0])  # a day without a lender


def test_the_same_time_of_day_is_that_of_new_york_over_a_change_of_its_clocks() -> None:
    friday, monday = 16_136, 16_139  # 2014-03-07 and 10, with the change between them
    now = Now()
    placebo = Shuffled(Composite(), lent([friday]), {monday: friday}, now).bound([pair("EURUSD")], np.ones(1))
    now.tell(monday * DAY_NS + 75 * MINUTE_NS)
    minute = placebo.factors(calm_market(1), np.ones(1))[1, 0] - (friday - _MONDAY)
    assert round(1_000 * minute) == 75  # 01:15 UTC is 21:15 in New York; that Friday it was so at 02:15 UTC


def test_a_directed_strategy_takes_the_side_of_its_time_and_leaves_a_factor_out() -> None:
    now = Now()
    series = Directions(("GBPUSD", "EURUSD"), 100, np.array([[1.0, -1.0], [0.0, 1.0]]))
    arm = Directed(Composite(), series, now, "liquidity").bound(
        [pair("EURUSD"), pair("USDJPY"), pair("GBPUSD")], np.ones(3)
    )
    table = calm_market(3, liquidity_ratio=0.3)
    told = []
    for minute in (99, 100, 101, 500):
        now.tell(minute * MINUTE_NS + 1)
        told.append(arm.directions(table).tolist())
    assert told == [[0, 0, 0], [-1, 0, 1], [1, 0, 0], [1, 0, 0]]
    factors = arm.factors(table, np.ones(3))
    assert factors[arm.factor_names.index("liquidity")].tolist() == [1, 1, 1]
    assert Composite().factors(table, np.ones(3))[1, 0] == pytest.approx(0.3**0.5)
    with pytest.raises(ValueError, match="no factor 'depth' to leave out"):
        Directed(Composite(), series, now, "depth")


def test_the_schedule_knows_what_is_usual_now_and_nothing_of_now() -> None:
    now = Now()
    schedule = TimeOfDay(now).bound([pair("EURUSD")], np.ones(1))
    usual = {"usual_round_trip_bps": 0.4, "usual_impact_bps": 0.3}
    found = []
    for minute, times in enumerate([1, 1, 1, 4, 4, 1]):
        now.tell(minute * MINUTE_NS)
        table = calm_market(1, **{name: each * times for name, each in usual.items()}, liquidity_ratio=0.1 * minute)
        found.append(schedule.factors(table, np.ones(1))[:, 0].tolist())
    assert found[0] == found[1] == found[2] == [1, 1]
    # The mean of logs after 1 1 1 4 is log(4) / 4, so that the factor is (4^(1/4) / 4)^(1/2).
    assert found[3] == pytest.approx([(4**0.25 / 4) ** 0.5] * 2)
    assert found[5] == pytest.approx([1.25, 1.25])  # dearer in the mean than now, up to the cap
    unknown = schedule.factors(calm_market(1, usual_impact_bps=np.nan), np.ones(1))
    assert np.isnan(unknown[1, 0])


def test_arms_are_known_by_name_and_bring_along_what_they_need() -> None:
    own = (False, True)
    assert [arm.name for arm in arms_named(["placebo"], "composite", own)] == [CONSTANT, "composite", "placebo"]
    assert {arm.name for arm in arms_named(["all"], "composite", own)} == set(ARMS)
    config = arms_named(["config"], "mine.py", own)[-1]
    assert (config.strategy, config.has_guard, config.has_calendar) == ("mine.py", False, True)
    with pytest.raises(ValueError, match="unknown arm 'composit'; there are: all, constant, volatility-adaptive"):
        arms_named(["composit"], "composite", own)
