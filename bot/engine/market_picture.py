"""What the market lets the account survive and leave, read from the feature table for the risk gate."""

import numpy as np
from numba import njit

from bot.account.market_risk import MarketRisk
from bot.market.evaluator import Evaluator
from bot.sizing.caps import ASSUMED_DISTANCE_FRAC, exit_capacity_units, required_distance_frac

_COLUMNS = 3


@njit(cache=True, error_model="numpy")
def _read(table: np.ndarray, state: np.ndarray, columns: np.ndarray) -> None:
    for s in range(len(table)):
        tb = table[s]
        fast, slow, minutes_s = tb.volatility_bps, tb.slow_volatility_bps, state[s].minutes_s
        columns[0, s] = required_distance_frac(fast, slow, tb.worst_minute_bps, tb.usual_round_trip_bps, minutes_s)
        columns[1, s] = exit_capacity_units(table, s, 1.0)
        columns[2, s] = exit_capacity_units(table, s, -1.0)


def market_risk(evaluator: Evaluator) -> MarketRisk:
    """Return the market's risk as of the last batch.

    A stress move that is not a number (a cost that is not known) is the assumed one: nothing is survived for free.
    """
    table, state = evaluator.table, evaluator.state
    columns = np.empty((_COLUMNS, len(table)))
    _read(table, state, columns)
    columns[0, np.isnan(columns[0])] = ASSUMED_DISTANCE_FRAC
    return MarketRisk(
        stress_frac=columns[0],
        sell_units=columns[1],
        buy_units=columns[2],
        spread_bps=table["spread_bps"].copy(),
        spot_only=table["is_spot_only"] > 0,
        exit_bound_bps=state["exit_cost_cap_bps"].copy(),
        crisis_level=table["crisis_level"].copy(),
    )
