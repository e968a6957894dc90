"""Prices of this moment, and what money is worth at them: the link between the evaluator and the account."""

from dataclasses import dataclass

import numpy as np

from bot.account.conversion import Conversions
from bot.engine.events import SymbolsLoaded
from bot.market.evaluator import Evaluator

# Longer than this apart, or crossed, and a book is not believed (models 0 and 12).
_APART_S = 2.0
_CROSSED_S = 5.0


@dataclass(frozen=True, slots=True, eq=False)
class Prices:
    """Shapes: (S,). Units: `quote_rate` quote currency into deposit currency; `quiet_s` seconds. Missing: NaN."""

    bid: np.ndarray
    ask: np.ndarray
    mid: np.ndarray
    quote_rate: np.ndarray
    unit_notional: np.ndarray
    quiet_s: np.ndarray
    fresh: np.ndarray
    closed: np.ndarray  # bool: the market is closed, so silence is no news, and the last price is the price
    doubtful: np.ndarray  # bool: book and spot have disagreed for long; never said of a closed market
    odd: np.ndarray  # bool: the last spot price is far from the book, or far crossed: a slip or news, soon to be told


class PriceBoard:
    """Turns the evaluator's spot prices into account terms."""

    def __init__(self, loaded: SymbolsLoaded, evaluator: Evaluator, stale_quote_s: float) -> None:
        self._evaluator = evaluator
        self._stale_quote_s = stale_quote_s
        self._conversions = Conversions(loaded.conversions)
        self._usd_conversions = Conversions(loaded.usd_conversions)
        self._quote_assets = [spec.quote_asset for spec in loaded.symbols]
        self._distinct = sorted(set(self._quote_assets))
        self._asset_index = np.array([self._distinct.index(a) for a in self._quote_assets])

    def now(self, now_ns: int, closed: np.ndarray) -> Prices:
        """Return the prices of this moment; conversion uses the last known mid, however old (see `fresh_rates`).

        Args: `closed` (S,) bool, the symbols whose market is closed.
        """
        features = self._evaluator.features
        quiet_s = self._evaluator.quiet_s(now_ns)
        rates = self._conversions.rates(self._distinct, features.mid)[self._asset_index]
        apart, crossed = self._evaluator.apart_s(now_ns) > _APART_S, self._evaluator.crossed_s(now_ns) > _CROSSED_S
        is_open = ~closed
        doubtful = (apart | crossed) & is_open
        return Prices(
            bid=features.bid,
            ask=features.ask,
            mid=features.mid,
            quote_rate=rates,
            unit_notional=features.mid * rates,
            quiet_s=quiet_s,
            fresh=quiet_s <= self._stale_quote_s,
            closed=closed,
            doubtful=doubtful,
            odd=self._evaluator.is_apart() & ~doubtful & is_open,
        )

    def fresh_rates(self, prices: Prices) -> np.ndarray:
        """Return `quote_rate` with NaN where a link of the chain is stale or in doubt: what an increase may rely on.

        The last price of a closed market is neither: there is no better one until it opens.
        """
        usable = np.where((prices.fresh | prices.closed) & ~prices.doubtful, prices.mid, np.nan)
        rates: np.ndarray = self._conversions.rates(self._distinct, usable)[self._asset_index]
        return rates

    def usd_rates(self, prices: Prices) -> np.ndarray:
        """Return quote currency into USD, (S,): the currency in which leverage tiers are stated."""
        rates: np.ndarray = self._usd_conversions.rates(self._distinct, prices.mid)[self._asset_index]
        return rates
