"""What a strategy that quotes is: besides factors, which set its inventory limit, it says where its quotes belong.

Such a strategy opens nothing at the market. It rests a bid and an ask around a reference price, and what fills is its
inventory: positive is long. The limit of the inventory is base leverage x the product of its factors x equity, so the
same market that lowers leverage elsewhere lowers the inventory here (models 13).
"""

from typing import ClassVar, Protocol

import numpy as np


class Quoting(Protocol):
    """A strategy that quotes both sides.

    `quote_frac` is the size of one quote (a lot) as a share of base leverage; `requote_frac` how far, in spreads, a
    quote may be from where it belongs before it is moved.
    """

    name: ClassVar[str]
    quote_frac: float
    requote_frac: float

    def reference(self, table: np.ndarray) -> np.ndarray:
        """Return the price that quotes are distances from, (S,); NaN where there is none."""
        ...

    def quotes(
        self,
        table: np.ndarray,
        inventory_units: np.ndarray,
        limit_units: np.ndarray,
        lot_units: np.ndarray,
        pip: np.ndarray,
    ) -> np.ndarray:
        """Return how far bid and ask lie from the reference price, (S, 2) in price; NaN: do not quote that side."""
        ...

    def reservation(
        self, table: np.ndarray, inventory_units: np.ndarray, lot_units: np.ndarray, pip: np.ndarray
    ) -> np.ndarray:
        """Return the price at which holding more or less would be all the same, (S,); NaN where unknown."""
        ...


def as_quoting(strategy: object) -> Quoting | None:
    """Return a strategy as one that quotes; None for one that does not."""
    return strategy if hasattr(strategy, "quotes") else None  # type: ignore[return-value]
