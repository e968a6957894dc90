"""What fills were for and what they cost: sequences of fills whose parts are known."""

import numpy as np
import pytest

from bot.research.fill_costs import CRISIS_CUT, FILL, NOISE, OPENING, REBUILD, FillTags, cost_bps, per_day

DAY_NS = 86_400_000_000_000


def test_the_first_purchases_open_the_position_until_something_is_sold() -> None:
    tags = FillTags()
    assert tags.split(0.0, 0.4, 0) == [(OPENING, 1.0)]
    assert tags.split(0.4, 0.9, 0) == [(OPENING, 1.0)]
    assert tags.split(0.9, 0.8, 0) == [(NOISE, 1.0)]
    assert tags.split(0.8, 0.9, 0) == [(NOISE, 1.0)]


def test_what_a_crisis_took_is_bought_back_and_what_is_bought_beyond_it_is_noise() -> None:
    tags = FillTags()
    tags.split(0.0, 1.0, 0)
    assert tags.split(1.0, 0.5, 1) == [(CRISIS_CUT, 1.0)]
    assert tags.split(0.5, 0.0, 3) == [(CRISIS_CUT, 1.0)]
    assert tags.split(0.0, 0.75, 0) == [(REBUILD, 1.0)]
    (back, back_share), (more, more_share) = tags.split(0.75, 1.25, 0)
    assert (back, more) == (REBUILD, NOISE)
    assert (back_share, more_share) == (pytest.approx(0.5), pytest.approx(0.5))
    assert tags.split(1.25, 1.5, 0) == [(NOISE, 1.0)]


def test_a_sale_for_another_reason_ends_the_way_back() -> None:
    tags = FillTags()
    for before, after, level in ((0.0, 1.0, 0), (1.0, 0.0, 3), (0.0, 0.5, 0), (0.5, 0.4, 0)):
        tags.split(before, after, level)
    assert tags.split(0.4, 0.5, 0) == [(NOISE, 1.0)]


def test_shorts_are_told_apart_as_longs_are() -> None:
    tags = FillTags()
    assert tags.split(0.0, -1.0, 0) == [(OPENING, 1.0)]
    assert tags.split(-1.0, -0.25, 2) == [(CRISIS_CUT, 1.0)]
    assert tags.split(-0.25, -0.5, 0) == [(REBUILD, 1.0)]


@pytest.mark.parametrize(("units", "price"), [(50_000, 1.1001), (-50_000, 1.0999)])
def test_a_fill_half_a_spread_away_costs_that_on_its_share_of_equity(units: float, price: float) -> None:
    # 50,000 x 0.0001 = 5 of 100,000.
    assert cost_bps(units, price, 1.1, 1.0, 100_000) == pytest.approx(0.5)
    assert cost_bps(units, price, 1.1, 0.5, 100_000) == pytest.approx(0.25)


def test_turnover_and_cost_are_added_up_by_day_and_a_fill_that_paid_us_costs_nothing() -> None:
    fills = np.zeros(4, FILL)
    fills["time_ns"] = [1, 2, DAY_NS + 1, DAY_NS + 2]
    fills["held_after"] = [0.5, -0.25, 0.125, 1.0]
    fills["cost_bps"] = [0.2, -0.1, 0.3, 0.4]
    fills["tag"] = [NOISE, NOISE, NOISE, REBUILD]
    assert per_day(fills, NOISE) == {0: (0.75, pytest.approx(0.2)), 1: (0.125, pytest.approx(0.3))}
    assert per_day(fills, REBUILD) == {0: (0.0, 0.0), 1: (1.0, pytest.approx(0.4))}
