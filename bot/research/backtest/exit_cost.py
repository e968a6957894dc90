"""What closing the held positions would cost now, by walking the venue's books: compiled, for every clock."""

import math

import numpy as np
from numba import njit

from bot.market.book import ASK, BID


@njit(cache=True, error_model="numpy")
def exit_costs_bps(levels: np.ndarray, heads: np.ndarray, units: np.ndarray, costs: np.ndarray) -> None:
    """Write the cost of closing `units` of each symbol against mid, in bps of its notional.

    What the shown book cannot take is charged at twice the distance of its last level: a guess, and no optimistic one.
    Shapes: `units` (S,) signed base units; `costs` (S,).
    Missing: NaN where nothing is held; infinite where there is nothing to close against.
    """
    for s in range(len(units)):
        costs[s] = math.nan
        left = abs(units[s]) * 100.0
        if not left > 0:
            continue
        side = BID if units[s] > 0 else ASK
        count = heads[s].level_count[side]
        bids, asks = heads[s].level_count[BID], heads[s].level_count[ASK]
        if heads[s].spot_known[0] and heads[s].spot_known[1]:
            mid = (heads[s].spot_e5[0] + heads[s].spot_e5[1]) / 2.0
        elif bids and asks:
            mid = (levels[BID, s, bids - 1].key - levels[ASK, s, asks - 1].key) / 2.0
        else:
            continue
        costs[s] = math.inf
        if count == 0:
            continue
        wanted, total, distance = left, 0.0, 0.0
        for i in range(count - 1, -1, -1):
            price = float(abs(levels[side, s, i].key))
            distance = mid - price if side == BID else price - mid
            part = min(left, float(levels[side, s, i].size))
            total += part * distance
            left -= part
            if left <= 0:
                break
        total += left * 2.0 * max(distance, 0.0)
        costs[s] = total / wanted / mid * 1e4
