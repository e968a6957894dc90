"""The figures of a Decision: one row a traded symbol that changed, filled in one compiled pass."""

import numpy as np
from numba import njit

from bot.engine.decision import DECISION_ROW
from bot.sizing.strategy import MAX_FACTORS

NO_ROWS = np.empty(0, DECISION_ROW)
NO_ROWS.flags.writeable = False


@njit(cache=True, error_model="numpy")
def _fill(
    rows: np.ndarray, marks: np.ndarray, table: np.ndarray, held: np.ndarray, targets: np.ndarray, factors: np.ndarray
) -> int:
    """Fill a row for each of the first symbols that is marked; take the marks off. Return how many there are."""
    count = 0
    for s in range(len(targets)):
        if not marks[s]:
            continue
        marks[s] = 0
        row, tb, aim = rows[count], table[s], targets[s]
        count += 1
        row.symbol = s
        row.mid = tb.mid
        row.spread_bps = tb.spread_bps
        row.bid_depth_units, row.ask_depth_units = tb.bid_depth_units, tb.ask_depth_units
        row.weighted_mid = tb.weighted_mid
        row.obi, row.ofi = tb.obi, tb.ofi
        side = held[s] if held[s] != 0 else aim.goal
        sell, buy = tb.sell_impact_bps, tb.buy_impact_bps
        row.impact_bps = sell if side > 0 else buy if side < 0 else max(sell, buy)
        row.fill_frac = tb.fill_frac
        row.liquidity_ratio = tb.liquidity_ratio
        row.crisis_level = tb.crisis_level
        row.leverage_now, row.leverage_goal, row.leverage_target = held[s], aim.goal, aim.target
        row.bound = aim.bound
        for f in range(MAX_FACTORS):
            row.factors[f] = factors[f, s] if f < factors.shape[0] else np.nan
    for s in range(len(targets), len(marks)):
        marks[s] = 0
    return count


def decision_rows(
    marks: np.ndarray, table: np.ndarray, held: np.ndarray, targets: np.ndarray, factors: np.ndarray
) -> np.ndarray:
    """Return the rows of the traded symbols that are marked as changed, read-only, and take every mark off.

    Shapes: `marks` (S,) of 0 and 1; `table` (S,) of `FEATURES`; `held` (S,); `targets` (T,) of `TARGET_ROW`, the traded
    symbols, which come first; `factors` (F, S); result (N,) of `DECISION_ROW`. `impact_bps` is that of the side we
    would leave by, the dearer one when flat.
    """
    rows = np.empty(len(targets), DECISION_ROW)
    count = _fill(rows, marks, table, held, targets, factors)
    if count == 0:
        return NO_ROWS
    rows = rows[:count]
    rows.flags.writeable = False
    return rows
