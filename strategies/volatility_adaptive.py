"""Volatility-adaptive leverage: L = L0 x clip(sigma_usual / sigma, floor, cap).

The comparison model: it knows risk and nothing of the book. Source: models 10.4; Moreira & Muir (2017), and sceptical
of it Cederburg et al. (2020).
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numba import njit

from bot.sizing.factors import volatility
from bot.sizing.strategy import Parametrised, check_clips


@njit(cache=True, error_model="numpy")
def _factors(table: np.ndarray, floor: float, cap: float) -> np.ndarray:
    factors = np.empty((1, len(table)))
    for s in range(len(table)):
        factors[0, s] = volatility(table, s, floor, cap)
    return factors


@dataclass(frozen=True, slots=True)
class VolatilityAdaptive(Parametrised):
    """Constant risk rather than constant size. Units: `floor` and `cap` bound the factor."""

    floor: float = 0.25
    cap: float = 2.0

    name: ClassVar[str] = "volatility-adaptive"
    is_pure: ClassVar[bool] = True
    factor_names: ClassVar[tuple[str, ...]] = ("volatility",)

    def __post_init__(self) -> None:
        check_clips(self.name, self.floor, self.cap)

    def factors(self, table: np.ndarray, side: np.ndarray) -> np.ndarray:  # noqa: ARG002
        """Return the volatility factor, (1, S); NaN where volatility or what is usual is unknown."""
        return np.asarray(_factors(table, float(self.floor), float(self.cap)))
