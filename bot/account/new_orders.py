"""What the margin of new orders is known to be, beyond the rules: the broker's own answers, and lower leverage to come.

Positions that are held have their margin from the rules and from what the broker states for each of them; this is about
what is added to them.
"""

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class GrowthBar:
    """Why a symbol may not grow. `value` and `limit` are None where there are only words."""

    value: float | None
    limit: float | None
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class NewOrders:
    """How the margin of new orders is computed, and how far that is known.

    `factors` (S,), 1 or more: how many times more the broker expects than the rules say. `leverage_caps` (S,) lower the
    account's leverage, infinite for none. `older_units` (2, S) what of each side, long and short, is from before the
    lower leverage began, base units. `known_usd` (2, S) up to which open volume of each side the broker has been asked.
    `bars` one a symbol, None where it may grow.
    """

    factors: np.ndarray
    leverage_caps: np.ndarray
    older_units: np.ndarray
    known_usd: np.ndarray
    bars: tuple[GrowthBar | None, ...]

    @property
    def is_lower(self) -> bool:
        """Whether the leverage of new orders is lower than that of what is held."""
        return bool(np.isfinite(self.leverage_caps).any())


def no_news(symbol_count: int) -> NewOrders:
    """Return what holds where no broker is asked: the rules alone."""
    return NewOrders(
        np.ones(symbol_count),
        np.full(symbol_count, math.inf),
        np.zeros((2, symbol_count)),
        np.full((2, symbol_count), math.inf),
        (None,) * symbol_count,
    )
