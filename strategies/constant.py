"""Constant leverage: L = L0. The plain alternative that every other model is compared with."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from bot.sizing.strategy import Parametrised


@dataclass(frozen=True, slots=True)
class Constant(Parametrised):
    """Wants the base leverage whatever the market does, at once: a cap that is not known yet does not stop it."""

    name: ClassVar[str] = "constant"
    is_pure: ClassVar[bool] = True
    requires_caps: ClassVar[bool] = False
    factor_names: ClassVar[tuple[str, ...]] = ()

    def factors(self, table: np.ndarray, side: np.ndarray) -> np.ndarray:  # noqa: ARG002
        """Return no factors, (0, S): the product of none is 1."""
        return np.empty((0, len(table)))
