"""Money between currencies: chains of symbols priced live, failing closed when a link is stale.

A chain is a sequence of links; a link multiplies by its symbol's mid, or divides by it.
Source: ProtoOASymbolsForConversionRes, walked from the first asset: rate x price where base is the current asset, else
rate / price.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np


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

    def rates(self, assets: Sequence[str], mids: np.ndarray) -> np.ndarray:
        """Return the rate of each asset, as `rate`. Shapes: result (len(assets),)."""
        return np.array([self.rate(asset, mids) for asset in assets])
