"""Feature tables filled by hand: a calm market in which everything is known, and what a test changes of it."""

import numpy as np

from bot.market.feature_table import unknown_features
from bot.market.symbols import SymbolSpec

CALM = {
    "bid": 1.09999,
    "ask": 1.10001,
    "mid": 1.1,
    "spread_bps": 0.18,
    "mean_spread_bps": 0.2,
    "obi": 0.1,
    "obi_fast": 0.1,
    "obi_slow": 0.1,
    "obi_z": 0.5,
    "bid_depth_units": 3e6,
    "ask_depth_units": 2e6,
    "round_trip_bps": 0.4,
    "buy_impact_bps": 0.3,
    "sell_impact_bps": 0.3,
    "buy_capacity_units": 1e6,
    "sell_capacity_units": 1e6,
    "volatility_bps": 0.2,
    "slow_volatility_bps": 0.2,
    "worst_minute_bps": 5.0,
    "usual_spread_bps": 0.2,
    "usual_round_trip_bps": 0.4,
    "usual_impact_bps": 0.3,
    "usual_volatility_bps": 0.2,
    "liquidity_ratio": 1.0,
    "is_depth_seen": 1.0,
    "is_current": 1.0,
}


def calm_market(symbol_count: int = 1, **changed: object) -> np.ndarray:
    """Return a table of symbols that are all calm but for the fields named, each a number or a list."""
    table = unknown_features(symbol_count)
    for name, number in (CALM | changed).items():
        table[name] = number
    return table


def pair(name: str, symbol_id: int = 1) -> SymbolSpec:
    """Return the spec of a currency pair such as EURUSD: a lot of 100,000, steps of 1,000 units."""
    pip = 2 if name.endswith("JPY") else 4
    return SymbolSpec(symbol_id, name, name[:3], name[3:6], pip + 1, pip, 10_000_000, 100_000, 100_000, 10_000_000_000)
