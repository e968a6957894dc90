"""Markets made up for tests, with an answer planted in them."""

import numpy as np

from bot.research.recordings import Ladders, Quotes

SECOND_NS = 1_000_000_000


def flow_driven_market(count: int, slope: float, step_ns: int = SECOND_NS // 10, seed: int = 3) -> Quotes:
    """Return quotes whose mid moves at each event by exactly `slope` times the order flow of that event.

    Both prices go up or down together. A rise is a flow of the new bid size and the old ask size, a fall one of the
    old bid size and the new ask size, so the move that the flow asks for is known before it is made.
    """
    random = np.random.default_rng(seed)
    bid_size, ask_size = random.integers(1, 100, (2, count)).astype(float)
    rises = random.random(count) < 0.5
    mid = np.full(count, 1_000.0)
    for row in range(1, count):
        flow = bid_size[row] + ask_size[row - 1] if rises[row] else -bid_size[row - 1] - ask_size[row]
        mid[row] = mid[row - 1] + slope * flow
    return Quotes(np.arange(1, count + 1) * step_ns, mid - 0.5, bid_size, mid + 0.5, ask_size)


def ladders_of(
    bid_sizes: np.ndarray, ask_sizes: np.ndarray, mid: np.ndarray, step_ns: int = SECOND_NS // 10
) -> Ladders:
    """Return ladders of as many levels as sizes are given, the rest missing, around a mid. Shapes: (N, K), (N,)."""
    count, given = bid_sizes.shape
    prices = np.full((2, count, 20), np.nan)
    sizes = np.full((2, count, 20), np.nan)
    away = 0.5 + np.arange(given)
    prices[0, :, :given], prices[1, :, :given] = mid[:, None] - away, mid[:, None] + away
    sizes[0, :, :given], sizes[1, :, :given] = bid_sizes, ask_sizes
    return Ladders(np.arange(count) * step_ns, prices[0], sizes[0], prices[1], sizes[1])
