"""Constant leverage: L = L0. The plain alternative that every other model is compared with."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from bot.market.evaluator import Features
from bot.sizing.strategy import Parametrised


@dataclass(frozen=True, slots=True)
class Constant(Parametrised):
    """Wants the base leverage whatever the market does."""

    name: ClassVar[str] = "constant"
    has_direction: ClassVar[bool] = False
    factor_names: ClassVar[tuple[str, ...]] = ()

    def factors(self, features: Features) -> np.ndarray:
        """Return no factors, (0, S): the product of none is 1."""
        return np.empty((0, len(features.mid)))
