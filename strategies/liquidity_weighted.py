"""Liquidity-weighted leverage: L = L0 x clip(LR^alpha, floor, cap), LR = present liquidity / usual liquidity.

Liquidity is the inverse of the round-trip cost of a reference size, so it merges spread and depth in one number.
alpha = 1 is the seed formula L = L0 x liquidity / average liquidity; the default 0.5 is more cautious, because about
half of a liquidity excess is gone within minutes.

Source: models 14.1 and 11; round-trip cost after Irvine, Benston, Kandel (2000).
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numba import njit

from bot.sizing.factors import liquidity
from bot.sizing.strategy import Parametrised, StrategyError, check_clips


@njit(cache=True, error_model="numpy")
def _factors(table: np.ndarray, alpha: float, floor: float, cap: float) -> np.ndarray:
    factors = np.empty((1, len(table)))
    for s in range(len(table)):
        factors[0, s] = liquidity(table, s, alpha, floor, cap)
    return factors


@dataclass(frozen=True, slots=True)
class LiquidityWeighted(Parametrised):
    """More leverage when the market can absorb us cheaply, less when it cannot.

    Units: `alpha`, `floor`, `cap` are dimensionless; floor and cap bound the factor.
    """

    alpha: float = 0.5
    floor: float = 0.25
    cap: float = 1.25

    name: ClassVar[str] = "liquidity-weighted"
    is_pure: ClassVar[bool] = True
    factor_names: ClassVar[tuple[str, ...]] = ("liquidity",)

    def __post_init__(self) -> None:
        check_clips(self.name, self.floor, self.cap)
        if not self.alpha > 0:
            raise StrategyError(f"strategy {self.name} needs alpha > 0; it has alpha {self.alpha}")

    def factors(self, table: np.ndarray, side: np.ndarray) -> np.ndarray:  # noqa: ARG002
        """Return the liquidity factor, (1, S); NaN where the liquidity ratio is unknown."""
        return np.asarray(_factors(table, float(self.alpha), float(self.floor), float(self.cap)))
