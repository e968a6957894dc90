"""The sizes whose cost and impact the evaluator watches, and what a broker charges for them; renewed once a minute."""

import numpy as np

from bot.engine.prices import PriceBoard, Prices
from bot.market.commission import commission_bps
from bot.market.evaluator import Evaluator
from bot.market.symbols import SymbolSpec

_EVERY_NS = 60_000_000_000
_EQUITY_SHARE = 0.25  # the reference size is a resize of this much equity (models 2.3)


class WatchedSizes:
    """Keeps two sizes a symbol: a resize of a quarter of equity, and all that the base leverage holds (models 8.3)."""

    def __init__(self) -> None:
        self._due_ns: int | None = None
        self._specs: tuple[SymbolSpec, ...] = ()
        self._least = np.empty(0)
        self._base = np.empty(0)

    def load(self, specs: tuple[SymbolSpec, ...], base: np.ndarray) -> None:
        """Take the symbols. Args: `base` (T,) base leverage of the traded ones, which come first."""
        self._specs, self._base, self._due_ns = specs, base, None
        self._least = np.array([spec.min_volume_cents / 100 for spec in specs])

    def renew(self, evaluator: Evaluator, prices: Prices, board: PriceBoard, equity: float, now_ns: int) -> None:
        """Tell the evaluator the sizes at these prices, when it is time and equity is known."""
        if (self._due_ns is not None and now_ns < self._due_ns) or not equity > 0:
            return
        n = len(self._base)
        # No price, or one that cannot be converted: the size is unknown, and so is all that rests on it.
        per_unit = np.where(prices.unit_notional > 0, prices.unit_notional, np.nan)
        reference = np.maximum(_EQUITY_SHARE * equity / per_unit, self._least)
        impact = np.full(len(per_unit), np.nan)
        impact[:n] = np.maximum(self._base * equity / per_unit[:n], self._least[:n])
        evaluator.set_reference_units(reference, impact)
        unit_usd = prices.mid * board.usd_rates(prices)
        charged = [commission_bps(c, u, m) for c, u, m in zip(self._specs, unit_usd, prices.mid, strict=True)]
        evaluator.set_commission_bps(np.nan_to_num(np.array(charged)))
        if not np.isnan(per_unit[:n]).any():
            self._due_ns = now_ns + _EVERY_NS
