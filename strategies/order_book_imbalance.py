"""Order-book-imbalance leverage: L = L0 x (1 + kappa clip(side z / 2, -1, 1)), z = imbalance in standard deviations.

What an imbalance foretells is gone within seconds and is smaller than the cost of trading on it. So the factor stays
near 1 and moves size about as far as the no-trade band: it says which of two resizes to do now, not what to hold. With
`direction: signal` the sign of the slow imbalance decides the side, with the same reservation.

Source: models 14.3 and 5; queue imbalance after Gould & Bonart (2016).
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numba import njit

from bot.sizing.factors import imbalance, imbalance_directions
from bot.sizing.strategy import Parametrised, StrategyError


@njit(cache=True, error_model="numpy")
def _factors(table: np.ndarray, side: np.ndarray, kappa: float) -> np.ndarray:
    factors = np.empty((1, len(table)))
    for s in range(len(table)):
        factors[0, s] = imbalance(table, s, side[s], kappa)
    return factors


def check_imbalance(strategy_name: str, kappa: float, dead_zone: float) -> None:
    """Refuse a weight or a dead zone of the imbalance that makes no sense. Raises: StrategyError."""
    if not (0 <= kappa <= 0.3 and 0 <= dead_zone < 1):
        raise StrategyError(
            f"strategy {strategy_name} needs 0 <= kappa <= 0.3 and 0 <= dead_zone < 1; "
            f"it has kappa {kappa}, dead_zone {dead_zone}"
        )


@dataclass(frozen=True, slots=True)
class OrderBookImbalance(Parametrised):
    """A little more with the book behind us, a little less with it against us.

    Units: `kappa` the largest change of leverage, as a share; `dead_zone` the imbalance, in [0, 1), up to which the
    book has no side.
    """

    kappa: float = 0.2
    dead_zone: float = 0.2

    name: ClassVar[str] = "order-book-imbalance"
    is_pure: ClassVar[bool] = True
    has_direction: ClassVar[bool] = True
    factor_names: ClassVar[tuple[str, ...]] = ("imbalance",)

    def __post_init__(self) -> None:
        check_imbalance(self.name, self.kappa, self.dead_zone)

    def directions(self, table: np.ndarray) -> np.ndarray:
        """Return the sign of the slow imbalance beyond the dead zone, else 0; NaN where it is unknown."""
        return np.asarray(imbalance_directions(table, float(self.dead_zone)))

    def factors(self, table: np.ndarray, side: np.ndarray) -> np.ndarray:
        """Return the imbalance factor, (1, S); NaN where the imbalance of a book is unknown, 1 without a book."""
        return np.asarray(_factors(table, side, float(self.kappa)))
