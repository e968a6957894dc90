"""Latencies in buckets: percentiles near the exact ones, without keeping or sorting anything."""

import math
import random
from itertools import pairwise

import pytest

from bot.telemetry.figures import LATENCIES_KEPT, RunFigures
from bot.telemetry.latency import BOUNDS_NS, LatencyBuckets


def test_bounds_rise_by_a_quarter_and_reach_from_ten_microseconds_to_ten_seconds() -> None:
    assert (BOUNDS_NS[0], BOUNDS_NS[-1]) == (10_000, 10**10)
    steps = [after / before for before, after in pairwise(BOUNDS_NS)]
    assert min(steps) > 1.2 and max(steps) <= 1.3


@pytest.mark.parametrize("share", [0.01, 0.5, 0.9, 0.99, 1.0])
@pytest.mark.parametrize("seed", range(3))
def test_a_percentile_lies_within_a_quarter_of_the_exact_one(share: float, seed: int) -> None:
    chance = random.Random(seed)
    samples = sorted(round(math.exp(chance.gauss(12, 1.2))) for _ in range(5_000))
    buckets = LatencyBuckets()
    for each in samples:
        buckets.add(each)
    exact = samples[max(0, math.ceil(share * len(samples)) - 1)] / 1000
    found = buckets.percentile_us(share)
    assert found is not None and max(exact, 10) / 1.3 <= found <= max(exact, 10) * 1.3


def test_what_is_alone_in_its_bucket_is_that_bucket() -> None:
    buckets = LatencyBuckets()
    assert buckets.percentile_us(0.5) is None
    buckets.add(10_000)
    assert buckets.percentile_us(1.0) == 10.0
    buckets.add(10**11)
    assert buckets.percentile_us(1.0) == 1e7, "what is above the last bound is that bound"
    assert buckets.sum_ns == 10**11 + 10_000


def test_counts_add_up_over_coarser_bounds() -> None:
    buckets = LatencyBuckets()
    for each in (9_000, 10_000, 10_001, 20_000, 1_000_000, 10**11):
        buckets.add(each)
    assert buckets.cumulative((10_000, 20_000, 10**10)) == [2, 4, 5, 6]


def test_a_run_counts_every_latency_and_keeps_the_first_of_them() -> None:
    figures = RunFigures()
    for _ in range(LATENCIES_KEPT + 5):
        figures.decided_in(50_000)
    figures.ordered_in(70_000)
    assert len(figures.decision_ns) == LATENCIES_KEPT
    assert sum(figures.decision_latency.counts) == LATENCIES_KEPT + 5
    assert (sum(figures.order_latency.counts), len(figures.order_ns)) == (1, 1)
