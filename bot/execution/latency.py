"""How long the venue takes: running medians and 95 % quantiles of our orders' latency, and what is usual.

How it works: a quantile of the logarithm is moved by a small step up for a sample above it and down for one below, in
the proportion that holds it in place at the wanted share. Such steps take hundreds of orders to get from one sample to
a far quantile, so the first twenty samples are kept and their own quantile is the start. After an hour without a sample
nothing is known of the present, and it begins anew; what is usual stays.
"""

import math

_SECOND = 1_000_000_000
_STEP = 0.05  # of a logarithm (models 1.3)
_FIRST_SAMPLES = 20
_SHORTEST_S = 1e-6  # a paper venue answers at once, and nothing has a logarithm
AGE_OUT_NS = 3600 * _SECOND
ENOUGH_SAMPLES = 10
USUAL_HALF_LIFE_ORDERS = 500.0


class RunningQuantile:
    """A quantile of positive numbers, followed on their logarithm. Args: `probability` in (0, 1).

    Units: those of the samples.   Missing: `quantile` is NaN before the first sample.   Source: models 1.3.
    """

    def __init__(self, probability: float) -> None:
        self._probability = probability
        self._first: list[float] = []
        self._log = math.nan

    def add(self, sample: float) -> None:
        """Take one sample; what is below a millionth counts as that."""
        log = math.log(max(sample, _SHORTEST_S))
        if len(self._first) < _FIRST_SAMPLES:
            self._first.append(log)
            self._log = _sample_quantile(sorted(self._first), self._probability)
        else:
            self._log += _STEP * (self._probability - (log < self._log))

    @property
    def quantile(self) -> float:
        """The quantile as it stands."""
        return math.exp(self._log)


class StageLatency:
    """The latency of one stage of an order's life, and the usual height of its 95 % quantile.

    Units: seconds.   Missing: `p50_s`, `p95_s` NaN without a sample in the last hour as of the last `age` or `add`;
    `usual_p95_s` NaN before the tenth sample.
    Source: models 9.2; the usual p95 is an average of logarithms with a half-life of 500 orders.
    """

    def __init__(self) -> None:
        self._reset()
        self._usual_log = math.nan

    def _reset(self) -> None:
        self._median, self._tail = RunningQuantile(0.5), RunningQuantile(0.95)
        self.sample_count = 0
        self.last_ns: int | None = None

    def add(self, latency_ns: int, now_ns: int) -> None:
        """Take one order's latency. Units: ns; a negative one counts as none."""
        self.age(now_ns)
        for quantile in (self._median, self._tail):
            quantile.add(latency_ns / _SECOND)
        self.sample_count += 1
        self.last_ns = now_ns
        if self.sample_count >= ENOUGH_SAMPLES:
            log = math.log(self._tail.quantile)
            if math.isnan(self._usual_log):
                self._usual_log = log
            else:
                self._usual_log += (1.0 - 2.0 ** (-1.0 / USUAL_HALF_LIFE_ORDERS)) * (log - self._usual_log)

    def age(self, now_ns: int) -> None:
        """Forget the present where it is more than an hour old."""
        if self.last_ns is not None and now_ns - self.last_ns > AGE_OUT_NS:
            self._reset()

    @property
    def p50_s(self) -> float:
        """The median."""
        return self._median.quantile

    @property
    def p95_s(self) -> float:
        """The 95 % quantile."""
        return self._tail.quantile

    @property
    def usual_p95_s(self) -> float:
        """What the 95 % quantile usually is."""
        return math.exp(self._usual_log)

    @property
    def factor(self) -> float:
        """How much slower than usual, as clip(usual p95 / p95, 0.5, 1); 1 with fewer than ten samples."""
        if self.sample_count < ENOUGH_SAMPLES:
            return 1.0
        return min(max(self.usual_p95_s / self.p95_s, 0.5), 1.0)


def _sample_quantile(ordered: list[float], probability: float) -> float:
    """Return a quantile of samples in order, linear between two of them."""
    place = probability * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])
