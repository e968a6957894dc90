"""The venue's timestamps: their unit, and how far the local clock is from them.

Whether a spot's time is that of the price or of the sending is not documented. A price that has stood for a while makes
the time look old, never young; so the youngest of many is taken.
Source: ProtoOASpotEvent.timestamp, with subscribeToSpotTimestamp.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

# Nanoseconds in one unit; seconds since 1970 have ten digits from 2001 to 2286, and each next unit three more.
UNITS = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}


@dataclass(frozen=True, slots=True)
class ClockReading:
    """Units: seconds. `least_s` is the smallest of (received - stated), which holds the clocks' difference and the way;
    negative: the venue's clock is ahead of ours."""

    unit: str
    sample_count: int
    least_s: float
    median_s: float


def unit_of(timestamp: int) -> str | None:
    """Return the unit of a time since 1970 by its size; None for one that is none of this century."""
    for unit, in_ns in UNITS.items():
        if 1e18 <= timestamp * in_ns < 1e19:
            return unit
    return None


def read_clock(samples: Sequence[tuple[int, int]]) -> ClockReading | None:
    """Return what (receive time in ns, timestamp) pairs tell; None without one that can be read."""
    if not samples:
        return None
    unit = unit_of(samples[-1][1])
    if unit is None:
        return None
    lags = [(recv_ns - stated * UNITS[unit]) / 1e9 for recv_ns, stated in samples]
    return ClockReading(unit, len(lags), min(lags), float(median(lags)))
