"""Bands and windows of leverage: when they count, for whom, and that they are seen coming."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.account.leverage_plan import Band, LeveragePlan, Window

MINUTE = 60_000_000_000
BANDS = LeveragePlan(bands=(Band(10_000, 200), Band(50_000, 100)))
NEWS = LeveragePlan(
    windows=(Window(100 * MINUTE, 130 * MINUTE, 50, ("EURUSD",)), Window(120 * MINUTE, 140 * MINUTE, 20))
)


@pytest.mark.parametrize(
    ("equity", "cap"),
    [(9_499, math.inf), (9_500, 200), (10_000, 200), (47_499, 200), (47_500, 100), (1e9, 100), (math.nan, 100)],
)
def test_a_band_counts_from_a_twentieth_below_its_sum(equity: float, cap: float) -> None:
    assert BANDS.caps(equity, 0, ("EURUSD",)).tolist() == [cap]


@pytest.mark.parametrize(
    ("minute", "caps"),
    [(94.9, [math.inf] * 2), (95, [50, math.inf]), (114.9, [50, math.inf]), (115, [20, 20]), (129, [20, 20]),
     (139.9, [20, 20]), (140, [math.inf] * 2)],
)  # fmt: skip
def test_a_window_counts_from_five_minutes_before_it_until_its_end(minute: float, caps: list[float]) -> None:
    assert NEWS.caps(1.0, round(minute * MINUTE), ("EURUSD", "USDJPY")).tolist() == caps


@given(st.floats(0, 1e6), st.integers(0, 200))
def test_the_lowest_that_applies_counts(equity: float, minute: int) -> None:
    plan = LeveragePlan(BANDS.bands, NEWS.windows)
    names = ("EURUSD", "USDJPY")
    both = plan.caps(equity, minute * MINUTE, names)
    parts = BANDS.caps(equity, minute * MINUTE, names), NEWS.caps(equity, minute * MINUTE, names)
    assert both.tolist() == [min(a, b) for a, b in zip(*parts, strict=True)]


def test_an_empty_plan_lowers_nothing() -> None:
    assert not LeveragePlan().is_any
    assert LeveragePlan().caps(1.0, 0, ("A",)).tolist() == [math.inf]
