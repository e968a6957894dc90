"""How long a request takes to the venue, and its answer back.

How it works: each way is drawn anew from one distribution, seeded; on a connection nothing overtakes, so what is sent
later arrives no earlier. Market data have their time of arrival in the recording and are not delayed again.

Source: models 17.3: p50 50 ms and p95 250 ms from decision to fill; to be tried from 10 ms to 1 s.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

_Z95 = 1.6448536269514722
_MS = 1_000_000


class Latency(Protocol):
    """Draws the time that one way takes."""

    def draw_ns(self, random: np.random.Generator) -> int:
        """Return a time in nanoseconds, 0 or more."""
        ...


@dataclass(frozen=True, slots=True)
class Fixed:
    """Always the same. Units: ms."""

    ms: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.ms < math.inf:
            raise ValueError(f"a latency must be 0 ms or more, not {self.ms}")

    def draw_ns(self, random: np.random.Generator) -> int:  # noqa: ARG002
        """Return the time."""
        return round(self.ms * _MS)


@dataclass(frozen=True, slots=True)
class Lognormal:
    """Lognormal, by its median and its 95th percentile. Units: ms."""

    p50_ms: float = 50.0
    p95_ms: float = 250.0

    def __post_init__(self) -> None:
        if not 0 < self.p50_ms <= self.p95_ms < math.inf:
            raise ValueError(f"a lognormal latency needs 0 < p50 <= p95, not {self.p50_ms} and {self.p95_ms} ms")

    def draw_ns(self, random: np.random.Generator) -> int:
        """Return a time drawn from the distribution."""
        sigma = math.log(self.p95_ms / self.p50_ms) / _Z95
        return round(self.p50_ms * math.exp(sigma * float(random.standard_normal())) * _MS)


class Measured:
    """Drawn from what an account's ledger has measured, with replacement; a way takes half of a round trip.

    Args: `round_trips_ns` from sending an order to the first word about it.
    Raises: ValueError without any measurement, or one below 0.
    """

    def __init__(self, round_trips_ns: Sequence[int]) -> None:
        self._ways_ns = np.asarray(round_trips_ns, np.int64) // 2
        if not len(self._ways_ns) or (self._ways_ns < 0).any():
            raise ValueError("a measured latency needs at least one round trip of 0 ns or more")

    @property
    def ways_ns(self) -> tuple[int, ...]:
        """The measurements, of one way."""
        return tuple(self._ways_ns.tolist())

    def draw_ns(self, random: np.random.Generator) -> int:
        """Return one of the measurements."""
        return int(self._ways_ns[random.integers(len(self._ways_ns))])


def latency(text: str) -> Latency:
    """Return the latency that a text names: `0`, `20ms` (fixed) or `50ms:250ms` (lognormal: p50 and p95).

    Raises: ValueError, one line.
    """
    try:
        parts = [float(part.strip().removesuffix("ms")) for part in text.split(":")]
        return Fixed(*parts) if len(parts) == 1 else Lognormal(*parts)
    except (ValueError, TypeError) as error:
        given = str(error) if "latency" in str(error) else "it is a time such as 20ms, or p50:p95 such as 50ms:250ms"
        raise ValueError(f"latency {text!r}: {given}") from None
