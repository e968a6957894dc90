"""Semi-synthetic depth: real quotes with the depth shape of another market laid around them.

How it works: a `Shape` is one snapshot of a book freed from its scale: distances from the best price in spreads, sizes
in best sizes. Each recorded FX quote takes the next shape; its best levels are the recorded quote itself.
"""

import itertools
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from bot.market.symbols import SymbolSpec
from bot.sim.change import Change
from bot.sim.playback import Clock, LevelIds, to_e5

Columns = dict[str, np.ndarray]

LEVELS = 10


class Shape(NamedTuple):
    """Depth without a scale. Each tuple has `LEVELS` numbers, best first; distances in mean spreads (0 first)."""

    bid_distances: tuple[float, ...]
    bid_sizes: tuple[float, ...]
    ask_distances: tuple[float, ...]
    ask_sizes: tuple[float, ...]


# Measured over the 44,770 snapshots of l2_binance_coinm_BTCUSD_PERP_book20.parquet: the median over time of
# (|price - best price| / mean spread 0.11346) and the mean of (size / mean best size of both sides), levels 0 to 9.
_BUILT_IN = Shape(
    (0.0, 12.34, 23.80, 34.37, 44.07, 50.24, 53.76, 59.05, 64.34, 69.63),
    (0.863, 0.052, 0.077, 0.085, 0.103, 0.101, 0.118, 0.130, 0.128, 0.138),
    (0.0, 12.34, 26.44, 35.25, 44.07, 51.12, 56.41, 62.58, 67.87, 73.15),
    (1.137, 0.050, 0.104, 0.125, 0.151, 0.154, 0.141, 0.148, 0.150, 0.148),
)


def built_in_shapes() -> Iterator[Shape]:
    """Yield the built-in shape for ever."""
    return itertools.repeat(_BUILT_IN)


def recorded_shapes(batches: Callable[[], Iterator[Columns]]) -> Iterator[Shape]:
    """Yield the shapes of a `book20` recording, in order, over and over.

    The scale (mean spread, mean best size) is that of each batch, so the recording is streamed and not loaded.
    """
    while True:
        for batch in batches():
            columns = {
                name: np.nan_to_num(np.stack([batch[f"{name}{level}"] for level in range(LEVELS)], axis=1))
                for name in ("bp", "bq", "ap", "aq")
            }
            spread = max(float(np.mean(columns["ap"][:, 0] - columns["bp"][:, 0])), 1e-9)
            best = max(float(np.mean(columns["bq"][:, 0] + columns["aq"][:, 0])) / 2, 1e-9)
            yield from map(
                Shape,
                map(tuple, ((columns["bp"][:, :1] - columns["bp"]) / spread).tolist()),
                map(tuple, (columns["bq"] / best).tolist()),
                map(tuple, ((columns["ap"] - columns["ap"][:, :1]) / spread).tolist()),
                map(tuple, (columns["aq"] / best).tolist()),
            )


def ticks(
    batches: Iterator[Columns], spec: SymbolSpec, shapes: Iterator[Shape], best_size_cents: int, clock: Clock
) -> Iterator[Change]:
    """Yield the recorded quotes exactly as recorded (locked and crossed ones too), with depth shaped around them.

    Units: `best_size_cents` is the mean size at the best price, 0.01 base unit.
    Source: `fx_*`: ts_us, bid, ask.
    """
    ids = LevelIds(spec.symbol_id)
    before: dict[int, int] = {}
    last_bid, last_ask = None, None
    for batch in batches:
        bids_e5, asks_e5 = to_e5(batch["bid"]), to_e5(batch["ask"])
        laid = np.array(list(itertools.islice(shapes, len(bids_e5))))
        keys, sizes = shaped_levels(bids_e5, asks_e5, laid, spec.tick_e5, best_size_cents)
        rows = zip(
            clock.venue_times(batch["ts_us"] * 1_000),
            bids_e5.tolist(),
            asks_e5.tolist(),
            keys.tolist(),
            sizes.tolist(),
            strict=True,
        )
        for time_ns, bid_e5, ask_e5, row_keys, row_sizes in rows:
            now = {key: size for key, size in zip(row_keys, row_sizes, strict=True) if size}
            new, deleted = ids.replaced(before, now)
            before = now
            yield Change(
                time_ns,
                spec.symbol_id,
                bid_e5 if bid_e5 != last_bid else None,
                ask_e5 if ask_e5 != last_ask else None,
                new,
                deleted,
            )
            last_bid, last_ask = bid_e5, ask_e5


def shaped_levels(
    bids_e5: np.ndarray, asks_e5: np.ndarray, shapes: np.ndarray, tick_e5: int, best_size_cents: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the levels around each quote as (keys, sizes), one `Shape` a quote: bids best first, then asks.

    A key is that of `LevelIds`: price_e5 * 2 + side.

    Shapes: quotes (N,); `shapes` (N, 4, LEVELS), the fields of `Shape` in order; results (N, 2 * LEVELS) int64.
    Units: keys and quotes in 1/100000; sizes in 0.01 unit.
    Missing: size 0 where a level would have no positive price.
    """
    count = len(bids_e5)
    # A locked or crossed quote has no spread to scale by: one tick stands for it.
    spread_ticks = np.maximum(1, (asks_e5 - bids_e5) // tick_e5)[:, None, None]
    order = np.arange(LEVELS)
    wanted = np.rint(shapes[:, ::2] * spread_ticks).astype(np.int64)
    # Each level at least one tick beyond the one before it.
    away_e5 = (order + np.maximum.accumulate(np.maximum(wanted - order, 0), axis=2)) * tick_e5
    prices_e5 = np.stack([bids_e5[:, None] - away_e5[:, 0], asks_e5[:, None] + away_e5[:, 1]], axis=1)
    sizes = np.maximum(1, np.rint(shapes[:, 1::2] * best_size_cents)).astype(np.int64)
    keys = prices_e5 * 2 + np.array([[0], [1]])
    return keys.reshape(count, -1), np.where(prices_e5 > 0, sizes, 0).reshape(count, -1)
