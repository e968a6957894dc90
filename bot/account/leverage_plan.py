"""Leverage that the broker is known to lower: bands of equity, and times around announcements.

How it works: both concern new orders only, as with most brokers; what is held keeps its margin. They are seen coming:
a band counts from a little below its sum, so that an order does not push the account into it, and a window from a few
minutes before it opens.
Source: none in the API; brokers publish such rules on their pages.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

BAND_NEAR_FRAC = 0.05
WINDOW_NEAR_NS = 5 * 60 * 1_000_000_000


@dataclass(frozen=True, slots=True)
class Band:
    """From an equity on, in deposit currency, the account's leverage is at most this, as a plain ratio."""

    equity_from: float
    leverage: float


@dataclass(frozen=True, slots=True)
class Window:
    """A span of time in which new orders have at most this leverage. Units: epoch ns, end exclusive.

    `symbols` names those it concerns; none: all.
    """

    from_ns: int
    until_ns: int
    leverage: float
    symbols: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LeveragePlan:
    """The bands and windows of a run."""

    bands: tuple[Band, ...] = ()
    windows: tuple[Window, ...] = ()

    @property
    def is_any(self) -> bool:
        """Whether there is anything in the plan."""
        return bool(self.bands or self.windows)

    def caps(self, equity: float, now_ns: int, names: Sequence[str]) -> np.ndarray:
        """Return the most leverage that a new order of each symbol may be computed with, (S,); infinite for none.

        Missing: with bands and an unknown equity, the lowest of the bands.
        """
        of_bands = [b.leverage for b in self.bands if not equity < b.equity_from * (1 - BAND_NEAR_FRAC)]
        caps = np.full(len(names), min(of_bands, default=math.inf))
        for window in self.windows:
            if window.from_ns - WINDOW_NEAR_NS <= now_ns < window.until_ns:
                for s, name in enumerate(names):
                    if not window.symbols or name in window.symbols:
                        caps[s] = min(caps[s], window.leverage)
        return caps
