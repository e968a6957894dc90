"""Prices of this moment, and what money is worth at them: the link between the evaluator and the account.

How it works: one compiled pass over the symbols fills a table that is reused; `Prices` shows its columns. The pass also
tells whether anything about the health of a feed has changed, so that the words about it are made only then.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit

from bot.account.conversion import Conversions, packed_rates
from bot.engine.events import SymbolsLoaded
from bot.market.evaluator import Evaluator

# Longer than this apart, or crossed, and a book is not believed (models 0 and 12).
_APART_NS = 2_000_000_000
_CROSSED_NS = 5_000_000_000
# Bits of `health`.
_FRESH, _CLOSED, _DOUBTFUL, _PRICED, _HEARD, SPOT_ONLY = 1, 2, 4, 8, 16, 32

PRICE = np.dtype(
    [
        ("bid", np.float64),
        ("ask", np.float64),
        ("mid", np.float64),
        ("quote_rate", np.float64),
        ("unit_notional", np.float64),
        ("quiet_s", np.float64),
        ("fresh", np.bool_),
        ("closed", np.bool_),
        ("doubtful", np.bool_),
        ("odd", np.bool_),
        ("health", np.uint8),
    ],
    align=True,
)


SEEN = np.dtype(
    [
        ("unit_notional", np.float64),
        ("unit_notional_usd", np.float64),
        ("doubtful", np.bool_),
        ("has_bids", np.bool_),
        ("has_asks", np.bool_),
    ],
    align=True,
)
"""What the risk gate is shown of a symbol's market; fields as in `bot.account.risk_view.RiskView`."""


@dataclass(frozen=True, slots=True, eq=False)
class Prices:
    """Shapes: (S,). Units: `quote_rate` quote currency into deposit currency; `quiet_s` seconds. Missing: NaN.

    The arrays are reused: they hold until the next decision.
    """

    table: np.ndarray  # (S,) of PRICE: the columns below
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


@njit(cache=True, error_model="numpy")
def _price(
    table: np.ndarray,
    state: np.ndarray,
    prices: np.ndarray,
    chains: np.ndarray,
    asset_of: np.ndarray,
    stale_s: float,
    now_ns: int,
) -> bool:
    """Fill `prices`, and `is_current` of `table`; return whether the health of any symbol's feed changed."""
    rates = np.empty(chains.shape[0])
    packed_rates(chains, table["mid"], rates)
    changed = False
    for s in range(len(prices)):
        p, st, tb = prices[s], state[s], table[s]
        p.bid, p.ask, p.mid = tb.bid, tb.ask, tb.mid
        p.quote_rate = rates[asset_of[s]]
        p.unit_notional = p.mid * p.quote_rate
        newest_ns = max(st.spot_ns, st.depth_ns)
        p.quiet_s = (now_ns - newest_ns) / 1e9 if newest_ns >= 0 else np.inf
        p.fresh = p.quiet_s <= stale_s
        p.closed = st.is_closed != 0
        is_crossed = st.crossed_ns >= 0 and now_ns - st.crossed_ns > _CROSSED_NS
        is_apart = st.apart_ns >= 0 and now_ns - st.apart_ns > _APART_NS
        p.doubtful = (is_crossed or is_apart) and not p.closed
        p.odd = st.apart_ns >= 0 and not p.doubtful and not p.closed
        tb.is_current = 1.0 if p.fresh and not (p.closed or p.doubtful or p.odd) else 0.0
        health = _FRESH * p.fresh + _CLOSED * p.closed + _DOUBTFUL * p.doubtful + _PRICED * np.isfinite(p.mid)
        health += _HEARD * (newest_ns >= 0) + SPOT_ONLY * (tb.is_spot_only != 0)
        if health != p.health:
            p.health = health
            changed = True
    return changed


@njit(cache=True, error_model="numpy")
def _see(
    prices: np.ndarray,
    table: np.ndarray,
    chains: np.ndarray,
    usd_chains: np.ndarray,
    asset_of: np.ndarray,
    long_units: np.ndarray,
    short_units: np.ndarray,
    seen: np.ndarray,
) -> bool:
    """Fill `seen`; return whether every symbol with a position has a rate that an increase may rely on."""
    usable, mids = np.empty(len(prices)), np.empty(len(prices))
    for s in range(len(prices)):
        p = prices[s]
        mids[s] = p.mid
        usable[s] = p.mid if (p.fresh or p.closed) and not p.doubtful else np.nan
    rates, usd_rates = np.empty(chains.shape[0]), np.empty(usd_chains.shape[0])
    packed_rates(chains, usable, rates)
    packed_rates(usd_chains, mids, usd_rates)
    is_known = True
    for s in range(len(prices)):
        p, tb, row = prices[s], table[s], seen[s]
        rate = rates[asset_of[s]]
        if np.isnan(rate) and (long_units[s] > 0 or short_units[s] > 0):
            is_known = False
        row.unit_notional = p.mid * rate
        row.unit_notional_usd = p.mid * usd_rates[asset_of[s]]
        row.doubtful = p.doubtful or p.odd or p.bid > p.ask
        # Where the venue sends no depth, a price is all there is to say that somebody is there.
        row.has_bids = np.isfinite(tb.bid if tb.is_spot_only > 0 else tb.depth_bid)
        row.has_asks = np.isfinite(tb.ask if tb.is_spot_only > 0 else tb.depth_ask)
    return is_known


class PriceBoard:
    """Turns the evaluator's spot prices into account terms.

    `is_changed` says that the health of a feed has become another; whoever has told of it sets it back.
    """

    def __init__(self, loaded: SymbolsLoaded, evaluator: Evaluator, stale_quote_s: float) -> None:
        self.is_changed = True
        self._evaluator = evaluator
        self._stale_quote_s = stale_quote_s
        quote_assets = [spec.quote_asset for spec in loaded.symbols]
        distinct = sorted(set(quote_assets))
        self._asset_of = np.array([distinct.index(a) for a in quote_assets], np.int64)
        self._chains = Conversions(loaded.conversions).packed(distinct)
        self._usd_chains = Conversions(loaded.usd_conversions).packed(distinct)
        table = np.zeros(len(loaded.symbols), PRICE)
        table["health"] = 255
        self._prices = Prices(table, *(table[name] for name in (PRICE.names or ()) if name != "health"))

    def now(self, now_ns: int) -> Prices:
        """Return the prices of this moment; conversion uses the last known mid, however old (see `seen`)."""
        self.is_changed |= _price(
            self._evaluator.table,
            self._evaluator.state,
            self._prices.table,
            self._chains,
            self._asset_of,
            self._stale_quote_s,
            now_ns,
        )
        return self._prices

    def seen(self, prices: Prices, long_units: np.ndarray, short_units: np.ndarray) -> tuple[np.ndarray, bool]:
        """Return what the risk gate may see of the market, (S,) of `SEEN`, and whether equity can be relied on.

        Its conversion goes over prices that are neither stale nor in doubt: NaN where a link of a chain is. The last
        price of a closed market is neither: there is no better one until it opens. Equity that rests on a position
        without such a rate is not known well enough to add risk to it.
        """
        seen = np.empty(len(prices.table), SEEN)
        is_known = _see(
            prices.table, self._evaluator.table, self._chains, self._usd_chains, self._asset_of,
            long_units, short_units, seen,
        )  # fmt: skip
        return seen, bool(is_known)

    def usd_rates(self, prices: Prices) -> np.ndarray:
        """Return quote currency into USD, (S,): the currency in which leverage tiers are stated."""
        return self._rates(self._usd_chains, prices.mid.copy())

    def _rates(self, chains: np.ndarray, mids: np.ndarray) -> np.ndarray:
        rates = np.empty(len(chains))
        packed_rates(chains, mids, rates)
        return rates[self._asset_of]
