"""The feature table: everything the evaluator knows of each symbol at one moment, one record a symbol.

One structured array holds all features, so that a compiled loop takes a single argument and finds what it needs of a
symbol side by side in memory. A field of the table is an (S,) array: `table["mid"]`, or `table.mid` in compiled code.
For plain Python `views` gives the same arrays by attribute. Strategies read the table; only the evaluator writes it,
and the engine what fills teach.

Missing: NaN means unknown, never 0; `is_spot_only`, `is_depth_seen` and `crisis_level` are always known.
"""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

FIELDS: tuple[tuple[str, str], ...] = (
    # From the spot stream.
    ("bid", "best bid of the spot stream, quote currency"),
    ("ask", "best ask of the spot stream, quote currency"),
    ("mid", "(bid + ask) / 2"),
    ("spread_bps", "quoted spread in bps of mid, negative when crossed (models 2.1)"),
    ("mean_spread_bps", "its time-aware average, half-life a minute (models 1.1)"),
    # From the book.
    ("depth_bid", "best bid of the book"),
    ("depth_ask", "best ask of the book"),
    ("depth_distance", "how far from the book's mid depth is counted, price (models 3.1)"),
    ("bid_depth_units", "size resting within depth_distance on the bid side, base units (models 3.1)"),
    ("ask_depth_units", "the same on the ask side"),
    ("bid_weighted_units", "distance-weighted size of the bid side, base units (models 3.2)"),
    ("ask_weighted_units", "the same of the ask side"),
    ("bid_slope", "base units per bps of distance on the bid side (models 3.3)"),
    ("ask_slope", "the same of the ask side"),
    ("weighted_mid", "size-weighted mid of the book's best levels (models 4.1)"),
    ("resilience_half_life_s", "time in which a gap in weighted depth half closes, inf when it does not (models 3.4)"),
    # Imbalance and flow.
    ("obi", "distance-weighted order-book imbalance in [-1, 1]; +-1 with one side empty (models 5)"),
    ("obi_fast", "the same, guarded against spoofing, smoothed with half a second"),
    ("obi_slow", "obi_fast smoothed with 30 s: what `direction: signal` goes by"),
    ("obi_z", "obi_fast in standard deviations of the last half hour, from the 60th value on (models 1.2, 14.3)"),
    ("ofi", "decayed best-level order flow over the usual size at the touch (models 6.1, 6.4)"),
    ("ofi_weighted", "decayed distance-weighted order flow over the usual weighted depth (models 6.3, 6.4)"),
    ("revision_flow", "decayed balance of quote revisions in [-1, 1], for feeds without depth (models 7.1)"),
    # Cost and impact.
    ("reference_units", "the size whose round trip is watched, base units (models 2.3)"),
    ("buy_cost_bps", "walk-the-book cost of buying reference_units against mid (models 8.1)"),
    ("sell_cost_bps", "the same of selling"),
    ("round_trip_bps", "both, and commission both ways (models 2.3)"),
    ("lambda_bps_per_unit", "Kyle's lambda in bps per base unit of order flow, shrunk to its usual (models 6.5)"),
    ("impact_units", "the size whose liquidation matters: base leverage x equity, base units (models 8.3)"),
    ("buy_impact_bps", "estimated impact of buying impact_units (models 8.3, 8.2)"),
    ("sell_impact_bps", "the same of selling"),
    ("buy_capacity_units", "largest size that costs at most the exit-cost cap to buy in half the depth (models 14.5)"),
    ("sell_capacity_units", "the same to sell"),
    # Risk.
    ("volatility_bps", "fast volatility, bps per square root of a second, half-life 30 min (models 10.1)"),
    ("slow_volatility_bps", "slow volatility, half-life a day"),
    ("worst_minute_bps", "largest move of the mid within a minute of late, bps (models 14.5)"),
    # What is usual now: by time of day where that is known (models 11).
    ("usual_spread_bps", "usual spread"),
    ("usual_weighted_units", "usual weighted depth, mean of both sides, base units"),
    ("usual_round_trip_bps", "usual round-trip cost of reference_units"),
    ("usual_impact_bps", "usual impact of impact_units, mean of both sides"),
    ("usual_volatility_bps", "usual fast volatility: the trailing median"),
    ("liquidity_ratio", "smoothed usual round-trip cost / round-trip cost; below 1 is thinner than usual (models 11)"),
    # What our fills teach (written by the engine).
    ("fill_frac", "share of what we ask for that fills, posterior mean (models 9.1)"),
    ("fill_factor", "factor of leverage that follows, in [0.25, 1] (models 9)"),
    # Guard.
    ("is_current", "1 when the prices are neither old nor in doubt nor of a closed market (written by the engine)"),
    ("crisis_score", "0 calm to 1 (models 12)"),
    ("crisis_level", "0 to 3 (models 12); a whole number"),
    ("is_depth_seen", "1 when the symbol has a book, or had one: since the link came up, and a minute ago at most"),
    ("is_spot_only", "1 when the symbol has prices and no depth: estimators fall back to the spread"),
)
"""Name and meaning of each field, all float64. Units: as the names say; sizes in base units, prices in quote ones."""

FEATURES = np.dtype([(name, np.float64) for name, _ in FIELDS], align=True)
_KNOWN_FROM_THE_START = ("crisis_level", "is_depth_seen", "is_spot_only")
if TYPE_CHECKING:

    class Features:
        """The fields of one table as (S,) views, for plain Python: `features.mid[s]`."""

        def __init__(self, *fields: np.ndarray) -> None: ...
        def __getattr__(self, name: str) -> np.ndarray: ...

else:
    Features = NamedTuple("Features", [(name, np.ndarray) for name, _ in FIELDS])


def unknown_features(symbol_count: int) -> np.ndarray:
    """Return a table in which nothing is known yet. Shapes: (S,) of `FEATURES`."""
    table = np.zeros(symbol_count, FEATURES)
    forget(table)
    return table


def forget(table: np.ndarray) -> None:
    """Make every feature of a table unknown."""
    for name, _ in FIELDS:
        table[name] = 0.0 if name in _KNOWN_FROM_THE_START else np.nan


def views(table: np.ndarray) -> Features:
    """Return the fields of a table as arrays that share its memory."""
    return Features(*(table[name] for name, _ in FIELDS))
