"""Composite leverage: L = side x L0 x v x LR^alpha x (I_usual / I)^beta x g_imbalance x g_fill.

v, the volatility factor, governs risk; liquidity and impact govern cost and the capacity to get out; imbalance and
fills correct by a little. Liquidity and impact read the same depth, so their powers should sum to 1: full powers of
both would count it twice. Each factor is clipped and kept by name. Caps and the crisis multiplier come after, in
`bot/sizing`.

Source: models 14.4, with 14.1, 14.2, 14.3, 10.4 and 9 for the factors.
"""

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import ClassVar, Self

import numpy as np
from numba import njit

from bot.market.symbols import SymbolSpec
from bot.sizing.factors import fill, imbalance, imbalance_directions, impact, liquidity, volatility
from bot.sizing.strategy import Parametrised, StrategyError, check_clips
from strategies.order_book_imbalance import check_imbalance

FACTORS = ("volatility", "liquidity", "impact", "imbalance", "fill")


@njit(cache=True, error_model="numpy")
def _fill(factors: np.ndarray, table: np.ndarray, side: np.ndarray, weights: np.ndarray) -> None:
    alpha, beta, kappa, floor, cap = weights[0], weights[1], weights[2], weights[3], weights[4]
    for s in range(len(table)):
        factors[0, s] = volatility(table, s, 0.25, 2.0)
        factors[1, s] = liquidity(table, s, alpha, floor, cap) if alpha > 0 else 1.0
        factors[2, s] = impact(table, s, side[s], beta, floor, cap) if beta > 0 else 1.0
        factors[3, s] = imbalance(table, s, side[s], kappa) if kappa > 0 else 1.0
        factors[4, s] = fill(table, s)


def microstructure_factors(table: np.ndarray, side: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the five factors, (5, S) in the order of `FACTORS`; NaN where one is unknown.

    Args: `weights` (5,) alpha, beta, kappa, floor, cap. A power of 0 leaves a factor out: it is 1, known or not.
    """
    factors = np.empty((5, len(table)))
    _fill(factors, table, side, weights)
    return factors


def check_powers(strategy_name: str, alpha: float, beta: float) -> None:
    """Refuse powers below 0. Raises: StrategyError."""
    if alpha < 0 or beta < 0:
        raise StrategyError(
            f"strategy {strategy_name} needs alpha >= 0 and beta >= 0; it has alpha {alpha}, beta {beta}"
        )


@dataclass(frozen=True, slots=True)
class Composite(Parametrised):
    """Everything the book, the flow, the volatility and our own fills say about how much to hold.

    Units: `alpha` and `beta` the powers of liquidity and impact; `kappa` the weight of imbalance; `floor` and `cap` the
    bounds of the liquidity and of the impact factor; `dead_zone` the imbalance up to which the book has no side.
    """

    alpha: float = 0.5
    beta: float = 0.5
    kappa: float = 0.2
    floor: float = 0.25
    cap: float = 1.25
    dead_zone: float = 0.2

    _weights: np.ndarray = field(init=False, repr=False, compare=False)
    _factors: np.ndarray = field(init=False, repr=False, compare=False)
    _symbol_count: int = field(init=False, repr=False, compare=False, default=-1)

    name: ClassVar[str] = "composite"
    is_pure: ClassVar[bool] = True
    has_direction: ClassVar[bool] = True
    factor_names: ClassVar[tuple[str, ...]] = FACTORS

    def __post_init__(self) -> None:
        check_powers(self.name, self.alpha, self.beta)
        check_clips(self.name, self.floor, self.cap)
        check_imbalance(self.name, self.kappa, self.dead_zone)
        weights = np.array([self.alpha, self.beta, self.kappa, self.floor, self.cap], np.float64)
        object.__setattr__(self, "_weights", weights)
        object.__setattr__(self, "_factors", np.empty((5, 0)))

    def bound(self, specs: Sequence[SymbolSpec], base: np.ndarray) -> Self:  # noqa: ARG002
        """Return the strategy with room for the factors of these symbols."""
        new = copy(self)
        object.__setattr__(new, "_factors", np.empty((5, len(specs))))
        object.__setattr__(new, "_symbol_count", len(specs))
        return new

    def directions(self, table: np.ndarray) -> np.ndarray:
        """Return the sign of the slow imbalance beyond the dead zone, else 0; NaN where it is unknown."""
        return np.asarray(imbalance_directions(table, float(self.dead_zone)))

    def factors(self, table: np.ndarray, side: np.ndarray) -> np.ndarray:
        """Return the five factors, (5, S); NaN where one is unknown. Once bound, in the same array each time."""
        if len(table) != self._symbol_count:
            return microstructure_factors(table, side, self._weights)
        _fill(self._factors, table, side, self._weights)
        return self._factors
