"""The figures of a Decision: one row a traded symbol that changed, filled in one compiled pass."""

import numpy as np
from numba import njit

from bot.engine.decision import DECISION_ROW, MAX_FACTORS
from bot.market.evaluator import Features

NO_ROWS = np.empty(0, DECISION_ROW)
NO_ROWS.flags.writeable = False


@njit(cache=True)
def _fill(
    rows: np.ndarray,
    symbols: np.ndarray,
    features: Features,
    held: np.ndarray,
    goal: np.ndarray,
    target: np.ndarray,
    factors: np.ndarray,
) -> None:
    for i in range(len(symbols)):
        s = symbols[i]
        row = rows[i]
        row.symbol = s
        row.mid = features.mid[s]
        row.spread_bps = features.spread_bps[s]
        row.bid_depth_units = features.bid_depth_units[s]
        row.ask_depth_units = features.ask_depth_units[s]
        row.weighted_mid = features.weighted_mid[s]
        row.obi = features.obi[s]
        row.ofi = features.ofi[s]
        row.liquidity_ratio = features.liquidity_ratio[s]
        side = held[s] if held[s] != 0 else goal[s]
        sell, buy = features.sell_cost_bps[s], features.buy_cost_bps[s]
        row.impact_bps = sell if side > 0 else buy if side < 0 else max(sell, buy)
        row.leverage_now = held[s]
        row.leverage_goal = goal[s]
        row.leverage_target = target[s]
        for f in range(MAX_FACTORS):
            row.factors[f] = factors[f, s] if f < factors.shape[0] else np.nan


def decision_rows(
    changed: np.ndarray,
    features: Features,
    held: np.ndarray,
    goal: np.ndarray,
    target: np.ndarray,
    factors: np.ndarray,
) -> np.ndarray:
    """Return the rows of the symbols that changed, read-only.

    Shapes: `changed` (T,) bool over the traded symbols; `held`, `goal`, `target` (T,); `factors` (F, T); result (N,) of
    `DECISION_ROW`. `impact_bps` is the cost on the side we would leave by, the dearer one when flat.
    """
    symbols = np.flatnonzero(changed)
    if not len(symbols):
        return NO_ROWS
    rows = np.empty(len(symbols), DECISION_ROW)
    _fill(rows, symbols, features, held, goal, target, np.ascontiguousarray(factors))
    rows.flags.writeable = False
    return rows
