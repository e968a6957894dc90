"""Mispricing: a symbol against the price that others imply for it, traded when the gap pays for what it costs.

Two kinds of other price. *Triangles*: of three currencies any rate follows from the other two, as EURJPY = EURUSD x
USDJPY. They are found among the loaded symbols by their base and quote assets. *Basis*: two related CFDs that are
named, `basis: XAUUSD/GOLD`, whose prices stand in a fixed ratio.

    gap    = synthetic mid / own mid - 1, in units of cost: the spread of the symbol plus those of the others
    side   = sign(gap) where |gap| > entry, else 0       size = the factors of `composite`

It has no memory: a position is given up as soon as the gap is below the entry again. The cheapest triangle known at the
moment counts; a symbol of the basis pair goes by the pair.

Source: triangular no-arbitrage; size from models 14.4. How rarely a gap exceeds its cost differs between brokers: take
`entry` from a recording of your own.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

import numpy as np
from numba import njit

from bot.market.symbols import SymbolSpec
from bot.sizing.strategy import Parametrised, StrategyError, check_clips
from strategies.composite import FACTORS, check_powers, microstructure_factors
from strategies.order_book_imbalance import check_imbalance

# One way to a synthetic price: factor x mid[first]^first_power x mid[second]^second_power; second is -1 for a basis.
_RELATION = np.dtype(
    [
        *(("symbol", np.int64), ("first", np.int64), ("second", np.int64)),
        *(("first_power", np.float64), ("second_power", np.float64), ("factor", np.float64)),
    ]
)


@njit(cache=True, error_model="numpy")
def _spread_bps(table: np.ndarray, s: int) -> float:
    usual = table[s].mean_spread_bps
    return table[s].spread_bps if math.isnan(usual) else usual


@njit(cache=True, error_model="numpy")
def _gaps(table: np.ndarray, relations: np.ndarray) -> np.ndarray:
    """Return the gap of each symbol in units of its cost, (S,), by its cheapest relation; NaN where none is known."""
    gaps, costs = np.full(len(table), math.nan), np.full(len(table), math.inf)
    for i in range(len(relations)):
        s, first, second = relations[i].symbol, relations[i].first, relations[i].second
        # A gap against an old quote is no gap: the others have moved on without it.
        if not (table[s].is_current > 0 and table[first].is_current > 0):
            continue
        if second >= 0 and not table[second].is_current > 0:
            continue
        synthetic = relations[i].factor * table[first].mid ** relations[i].first_power
        cost = _spread_bps(table, s) + _spread_bps(table, first)
        if second >= 0:
            synthetic *= table[second].mid ** relations[i].second_power
            cost += _spread_bps(table, second)
        mid = table[s].mid
        if cost > 0 and cost < costs[s] and mid > 0 and synthetic > 0:
            costs[s] = cost
            gaps[s] = 1e4 * (synthetic / mid - 1) / cost
    return gaps


@dataclass(frozen=True, slots=True)
class Mispricing(Parametrised):
    """Towards the synthetic price when it lies further away than acting on it costs.

    Units: `entry` in costs; `basis` two symbols, `A/B`, or nothing; `basis_ratio` the price of A over the price of B
    when nothing is mispriced; the others as in `composite`.
    """

    entry: float = 1.5
    basis: str = ""
    basis_ratio: float = 1.0
    alpha: float = 0.5
    beta: float = 0.5
    kappa: float = 0.2
    floor: float = 0.25
    cap: float = 1.25
    _relations: np.ndarray = field(
        default_factory=lambda: np.empty(0, _RELATION), init=False, repr=False, compare=False
    )
    _weights: np.ndarray = field(init=False, repr=False, compare=False)
    _told: str | None = field(default=None, init=False, repr=False, compare=False)

    name: ClassVar[str] = "mispricing"
    is_pure: ClassVar[bool] = True
    has_direction: ClassVar[bool] = True
    factor_names: ClassVar[tuple[str, ...]] = FACTORS

    def __post_init__(self) -> None:
        if not (self.entry > 0 and self.basis_ratio > 0):
            raise StrategyError(
                f"strategy {self.name} needs entry > 0 and basis_ratio > 0; "
                f"it has entry {self.entry}, basis_ratio {self.basis_ratio}"
            )
        if self.basis and (len(set(self.symbols_needed)) != 2 or not all(self.symbols_needed)):
            raise StrategyError(
                f"parameter 'basis' of strategy {self.name} must be two symbols, as XAUUSD/GOLD, not {self.basis!r}"
            )
        check_powers(self.name, self.alpha, self.beta)
        check_clips(self.name, self.floor, self.cap)
        check_imbalance(self.name, self.kappa, 0.0)
        weights = np.array([self.alpha, self.beta, self.kappa, self.floor, self.cap], np.float64)
        object.__setattr__(self, "_weights", weights)

    @property
    def symbols_needed(self) -> tuple[str, ...]:
        """The two of the basis pair."""
        return tuple(name.strip() for name in self.basis.split("/")) if self.basis else ()

    @property
    def note(self) -> str | None:
        """Which symbols have nothing to be compared with."""
        return self._told

    def bound(self, specs: Sequence[SymbolSpec], base: np.ndarray) -> Self:
        """Return the strategy that knows every way to a synthetic price among these symbols."""
        pair = self.symbols_needed
        ways = _triangles([s for s in specs if s.name not in pair], specs) + _basis(pair, specs, self.basis_ratio)
        alone = [spec.name for i, spec in enumerate(specs) if base[i] > 0 and all(way[0] != i for way in ways)]
        new = replace(self)
        object.__setattr__(new, "_relations", np.array(ways, _RELATION))
        if alone:
            text = f"mispricing: no triangle of the loaded symbols holds {', '.join(alone)}; nothing is traded there"
            object.__setattr__(new, "_told", text)
        return new

    def gaps(self, table: np.ndarray) -> np.ndarray:
        """Return how far above its own price each symbol's synthetic price lies, (S,), in units of cost."""
        return np.asarray(_gaps(table, self._relations))

    def directions(self, table: np.ndarray) -> np.ndarray:
        """Return the side of the synthetic price where the gap exceeds the entry, else 0; NaN where it is unknown."""
        gaps = self.gaps(table)
        return np.where(np.isnan(gaps), np.nan, np.where(np.abs(gaps) > self.entry, np.sign(gaps), 0.0))

    def factors(self, table: np.ndarray, side: np.ndarray) -> np.ndarray:
        """Return the factors of `composite`, (5, S); NaN where one is unknown."""
        return microstructure_factors(table, side, self._weights)


_Way = tuple[int, int, int, float, float, float]


def _triangles(priced: Sequence[SymbolSpec], specs: Sequence[SymbolSpec]) -> list[_Way]:
    """Return every way to the price of one of `priced` through two other symbols."""
    index = {spec.symbol_id: i for i, spec in enumerate(specs)}
    # A symbol is read both ways: EURUSD leads from EUR to USD with the power 1, and from USD to EUR with -1.
    steps: dict[str, list[tuple[str, int, float]]] = {}
    for i, spec in enumerate(specs):
        steps.setdefault(spec.base_asset, []).append((spec.quote_asset, i, 1.0))
        steps.setdefault(spec.quote_asset, []).append((spec.base_asset, i, -1.0))
    ways = []
    for spec in priced:
        own = index[spec.symbol_id]
        for between, first, first_power in steps[spec.base_asset]:
            for end, second, second_power in steps[between]:
                if end == spec.quote_asset and len({own, first, second}) == 3:
                    ways.append((own, first, second, first_power, second_power, 1.0))
    return ways


def _basis(pair: tuple[str, ...], specs: Sequence[SymbolSpec], ratio: float) -> list[_Way]:
    index = {spec.name: i for i, spec in enumerate(specs)}
    if len(pair) != 2 or not set(pair) <= set(index):
        return []
    a, b = (index[name] for name in pair)
    return [(a, b, -1, 1.0, 1.0, ratio), (b, a, -1, 1.0, 1.0, 1.0 / ratio)]
