"""Impact-minimising leverage: L = L0 x clip((I_usual / I)^beta, floor, cap).

I is the estimated impact of liquidating the base leverage on the side we would leave by: selling what is long, buying
back what is short, the dearer of the two while flat. I_usual is what that impact usually is.

Source: models 14.2 and 8.3.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numba import njit

from bot.sizing.factors import impact
from bot.sizing.strategy import Parametrised, StrategyError, check_clips


@njit(cache=True, error_model="numpy")
def _factors(table: np.ndarray, side: np.ndarray, beta: float, floor: float, cap: float) -> np.ndarray:
    factors = np.empty((1, len(table)))
    for s in range(len(table)):
        factors[0, s] = impact(table, s, side[s], beta, floor, cap)
    return factors


@dataclass(frozen=True, slots=True)
class ImpactMinimizing(Parametrised):
    """Less leverage when getting out would move the price more than it usually does.

    Units: `beta`, `floor`, `cap` are dimensionless; floor and cap bound the factor.
    """

    beta: float = 0.5
    floor: float = 0.25
    cap: float = 1.25

    name: ClassVar[str] = "impact-minimizing"
    is_pure: ClassVar[bool] = True
    factor_names: ClassVar[tuple[str, ...]] = ("impact",)

    def __post_init__(self) -> None:
        if not self.beta > 0:
            raise StrategyError(f"strategy {self.name} needs beta > 0; it has beta {self.beta}")
        check_clips(self.name, self.floor, self.cap)

    def factors(self, table: np.ndarray, side: np.ndarray) -> np.ndarray:
        """Return the impact factor, (1, S); NaN where the impact or what is usual is unknown."""
        return np.asarray(_factors(table, side, float(self.beta), float(self.floor), float(self.cap)))
