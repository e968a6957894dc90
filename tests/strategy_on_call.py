"""A user's strategy whose wish a test changes whenever it likes: the share of the base on the `wish_board`."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from wish_board import WISH

from bot.sizing.strategy import Parametrised


@dataclass(frozen=True)
class Strategy(Parametrised):
    """Wants what the board says, at once."""

    name: ClassVar[str] = "on-call"
    requires_caps: ClassVar[bool] = False
    factor_names: ClassVar[tuple[str, ...]] = ("share",)

    def factors(self, table: np.ndarray, side: np.ndarray) -> np.ndarray:
        """Return the share for every symbol, (1, S)."""
        return np.full((1, len(table)), WISH.share)
