"""Latencies counted in fixed buckets: little memory, and a percentile without sorting, however long a run lasts."""

from bisect import bisect_left
from itertools import accumulate

_STEPS = (1.0, 1.25, 1.6, 2.0, 2.5, 3.2, 4.0, 5.0, 6.4, 8.0)
BOUNDS_NS: tuple[int, ...] = (*(round(step * 10.0**power) for power in range(4, 10) for step in _STEPS), 10**10)
"""Upper bounds, each within: ten a decade, from 10 us to 10 s. What is longer is in a bucket of its own."""


class LatencyBuckets:
    """Counts latencies. `counts` has a bucket for each of `BOUNDS_NS`, and one for what is above the last."""

    __slots__ = ("counts", "sum_ns")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS_NS) + 1)
        self.sum_ns = 0

    def add(self, elapsed_ns: int) -> None:
        """Count one."""
        self.counts[bisect_left(BOUNDS_NS, elapsed_ns)] += 1
        self.sum_ns += elapsed_ns

    def percentile_us(self, share: float) -> float | None:
        """Return a percentile in microseconds, exact to its bucket (a quarter of itself); None without latencies.

        Between the bounds of a bucket it is taken to be spread evenly; above the last bound it is that bound.
        """
        total = sum(self.counts)
        if not total:
            return None
        wanted, before = share * total, 0
        for number, count in enumerate(self.counts):
            if count and before + count >= wanted:
                if number == len(BOUNDS_NS):
                    break
                low_ns = BOUNDS_NS[number - 1] if number else 0
                return (low_ns + (BOUNDS_NS[number] - low_ns) * (wanted - before) / count) / 1000
            before += count
        return BOUNDS_NS[-1] / 1000

    def cumulative(self, bounds_ns: tuple[int, ...]) -> list[int]:
        """Return how many were within each of these bounds, all of `BOUNDS_NS`, and at last how many there were."""
        sums = list(accumulate(self.counts))
        return [sums[BOUNDS_NS.index(bound)] for bound in bounds_ns] + [sums[-1]]
