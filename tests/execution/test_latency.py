"""Running quantiles of latency: the step of the models, what they settle at, and when they are forgotten."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.execution.latency import AGE_OUT_NS, RunningQuantile, StageLatency

SECOND = 1_000_000_000
MILLISECOND = 1_000_000


def fed(samples: list[float], probability: float) -> RunningQuantile:
    quantile = RunningQuantile(probability)
    for sample in samples:
        quantile.add(sample)
    return quantile


@pytest.mark.parametrize(
    ("log", "probability", "expected"), [(13.5, 0.5, 13.975), (14.5, 0.5, 14.025), (13.5, 0.95, 13.9975)]
)
def test_one_sample_moves_the_logarithm_by_one_step(log: float, probability: float, expected: float) -> None:
    quantile = fed([math.exp(14.0)] * 20 + [math.exp(log)], probability)
    assert math.log(quantile.quantile) == pytest.approx(expected, abs=1e-12)


@given(st.lists(st.floats(1e-5, 1e3), min_size=1, max_size=20))
def test_the_first_samples_are_counted_out(samples: list[float]) -> None:
    logs = sorted(math.log(s) for s in samples)
    middle = (logs[(len(logs) - 1) // 2] + logs[len(logs) // 2]) / 2
    assert math.log(fed(samples, 0.5).quantile) == pytest.approx(middle, abs=1e-9)
    assert fed(samples, 0.95).quantile <= max(samples) * (1 + 1e-12)


@pytest.mark.parametrize(("probability", "spreads"), [(0.5, 0.0), (0.95, 1.6449)])
def test_it_settles_at_the_quantile_of_what_it_is_fed(probability: float, spreads: float) -> None:
    source = random.Random(7)
    quantile = fed([0.05 * math.exp(source.gauss(0.0, 0.5)) for _ in range(4000)], probability)
    assert math.log(quantile.quantile) == pytest.approx(math.log(0.05) + 0.5 * spreads, abs=0.2)


def test_nothing_is_known_before_the_first_sample() -> None:
    stage = StageLatency()
    assert math.isnan(stage.p50_s)
    assert math.isnan(stage.p95_s)
    assert math.isnan(stage.usual_p95_s)
    assert stage.factor == 1.0


def test_a_venue_that_answers_at_once_has_a_latency_of_a_microsecond() -> None:
    stage = StageLatency()
    stage.add(0, SECOND)
    stage.add(-5, SECOND)
    assert stage.p50_s == pytest.approx(1e-6)


def test_a_venue_that_becomes_slow_lowers_the_factor_from_the_tenth_order_on() -> None:
    stage = StageLatency()
    for i in range(9):
        stage.add((50 if i < 4 else 5000) * MILLISECOND, i * SECOND)
    assert stage.factor == 1.0
    for i in range(30):
        stage.add(50 * MILLISECOND, i * SECOND)
    assert stage.p50_s == pytest.approx(0.05, rel=0.1)
    usual = stage.usual_p95_s
    for i in range(60):
        stage.add(20 * SECOND, (100 + i) * SECOND)
    assert stage.factor == pytest.approx(max(0.5, stage.usual_p95_s / stage.p95_s))
    assert 0.5 <= stage.factor < 0.8
    assert usual < stage.usual_p95_s < 1.5 * usual  # what is usual hardly moved


def test_a_venue_that_becomes_fast_does_not_raise_the_factor() -> None:
    stage = StageLatency()
    for i in range(200):
        stage.add((500 if i < 100 else 5) * MILLISECOND, i * SECOND)
    assert stage.p95_s < stage.usual_p95_s
    assert stage.factor == 1.0


def test_what_is_usual_moves_half_the_way_in_five_hundred_orders() -> None:
    stage = StageLatency()
    for i in range(20):
        stage.add(100 * MILLISECOND, i)
    stage._tail._log, stage._usual_log = math.log(0.4), math.log(0.1)
    expected = math.log(0.1)
    for i in range(500):
        stage.add(300 * MILLISECOND, i)  # the tail falls slowly, by 0.0025 an order while it is above
        expected += (1 - 0.5 ** (1 / 500)) * (math.log(stage.p95_s) - expected)
    assert math.log(stage.usual_p95_s) == pytest.approx(expected, abs=1e-12)
    assert 0.15 < stage.usual_p95_s < 0.25


def test_after_an_hour_without_an_order_only_what_is_usual_is_left() -> None:
    stage = StageLatency()
    for i in range(30):
        stage.add(100 * MILLISECOND, i * SECOND)
    stage.age(29 * SECOND + AGE_OUT_NS)
    assert stage.p50_s == pytest.approx(0.1)
    stage.age(29 * SECOND + AGE_OUT_NS + 1)
    assert math.isnan(stage.p50_s)
    assert (stage.factor, stage.sample_count) == (1.0, 0)
    assert stage.usual_p95_s == pytest.approx(0.1, rel=0.01)
    stage.add(400 * MILLISECOND, 29 * SECOND + AGE_OUT_NS + 2)
    assert stage.p50_s == pytest.approx(0.4)


def test_an_order_after_an_hour_begins_anew_by_itself() -> None:
    stage = StageLatency()
    stage.add(100 * MILLISECOND, 0)
    stage.add(900 * MILLISECOND, AGE_OUT_NS + 1)
    assert stage.p50_s == pytest.approx(0.9)
