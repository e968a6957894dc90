"""Liquidity-weighted leverage: L = L0 x clip(LR^alpha, floor, cap), LR = present liquidity / usual liquidity.

Liquidity is the inverse of the round-trip cost of a reference size, so it merges spread and depth in one number.
alpha = 1 is the seed formula L = L0 x liquidity / average liquidity; the default 0.5 is more cautious, because about
half of a liquidity excess is gone within minutes.

Source: models 14.1 and 11; round-trip cost after Irvine, Benston, Kandel (2000).
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from bot.market.evaluator import Features
from bot.sizing.strategy import Parametrised, StrategyError


@dataclass(frozen=True, slots=True)
class LiquidityWeighted(Parametrised):
    """More leverage when the market can absorb us cheaply, less when it cannot.

    Units: `alpha`, `floor`, `cap` are dimensionless; floor and cap bound the factor.
    """

    alpha: float = 0.5
    floor: float = 0.25
    cap: float = 1.25

    name: ClassVar[str] = "liquidity-weighted"
    has_direction: ClassVar[bool] = False
    factor_names: ClassVar[tuple[str, ...]] = ("liquidity",)

    def __post_init__(self) -> None:
        if not (self.alpha > 0 and 0 < self.floor <= 1 <= self.cap):
            raise StrategyError(
                f"strategy liquidity-weighted needs alpha > 0 and 0 < floor <= 1 <= cap; "
                f"it has alpha {self.alpha}, floor {self.floor}, cap {self.cap}"
            )

    def factors(self, features: Features) -> np.ndarray:
        """Return the liquidity factor, (1, S); NaN where the liquidity ratio is unknown."""
        return np.clip(features.liquidity_ratio[np.newaxis, :] ** self.alpha, self.floor, self.cap)
