"""Money between currencies: chains of symbols priced live, failing closed when a link is stale.

A chain is a sequence of links; a link multiplies by its symbol's mid, or divides by it.
Source: ProtoOASymbolsForConversionRes, walked from the first asset: rate x price where base is the current asset, else
rate / price.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit

_NO_CHAIN = np.iinfo(np.int64).min


@dataclass(frozen=True, slots=True)
class ConversionStep:
    """One step of a chain: multiply by the mid of a symbol, or divide by it when `invert`."""

    symbol_index: int
    invert: bool


@dataclass(frozen=True, slots=True)
class Conversions:
    """Chains from assets into one currency. Without the chain or one of its prices there is no rate."""

    chains: Mapping[str, Sequence[ConversionStep]]

    def rate(self, asset: str, mids: np.ndarray) -> float:
        """Return how much of the target currency one unit of `asset` is worth.

        Shapes: `mids` (S,), NaN where a price is unknown or too old to be used.
        Missing: NaN without a chain, or with an unknown price in it.
        """
        chain = self.chains.get(asset)
        if chain is None:
            return float("nan")
        rate = 1.0
        for step in chain:
            price = float(mids[step.symbol_index])
            rate = rate / price if step.invert else rate * price
        return rate

    def packed(self, assets: Sequence[str]) -> np.ndarray:
        """Return the chains of `assets` for `packed_rates`, (A, K): i + 1 multiplies by the mid of symbol i, its
        negative divides, 0 ends a chain, and a chain that is missing is marked in its first place."""
        chains = [self.chains.get(asset) for asset in assets]
        longest = max([len(chain) for chain in chains if chain is not None], default=0)
        packed = np.zeros((len(chains), longest + 1), np.int64)
        for row, chain in zip(packed, chains, strict=True):
            if chain is None:
                row[0] = _NO_CHAIN
            else:
                row[: len(chain)] = [-step.symbol_index - 1 if step.invert else step.symbol_index + 1 for step in chain]
        return packed


@njit(cache=True, error_model="numpy")
def packed_rates(packed: np.ndarray, mids: np.ndarray, rates: np.ndarray) -> None:
    """Write the rate of each packed chain, as `Conversions.rate` computes it. Shapes: `rates` (A,)."""
    for a in range(packed.shape[0]):
        rate = 1.0
        for k in range(packed.shape[1]):
            step = packed[a, k]
            if step == _NO_CHAIN:
                rate = np.nan
                break
            if step > 0:
                rate *= mids[step - 1]
            elif step < 0:
                rate /= mids[-step - 1]
        rates[a] = rate
