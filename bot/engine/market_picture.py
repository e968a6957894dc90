"""What the market lets the account survive and leave, read from the feature table for the risk gate."""

import math

import numpy as np
from numba import njit

from bot.account.market_risk import MarketRisk
from bot.market.evaluator import Evaluator
from bot.sizing.caps import ASSUMED_DISTANCE_FRAC, exit_capacity_units, required_distance_frac

_COLUMNS = 7  # the fields of MarketRisk, in their order


@njit(cache=True, error_model="numpy")
def _read(table: np.ndarray, state: np.ndarray, columns: np.ndarray) -> None:
    for s in range(len(table)):
        tb = table[s]
        fast, slow, minutes_s = tb.volatility_bps, tb.slow_volatility_bps, state[s].minutes_s
        columns[0, s] = required_distance_frac(fast, slow, tb.worst_minute_bps, tb.usual_round_trip_bps, minutes_s)
        columns[1, s] = exit_capacity_units(table, s, 1.0)
        columns[2, s] = exit_capacity_units(table, s, -1.0)
        columns[3, s], columns[4, s] = tb.spread_bps, tb.is_spot_only
        columns[5, s], columns[6, s] = state[s].exit_cost_cap_bps, tb.crisis_level
        if math.isnan(columns[0, s]):
            columns[0, s] = ASSUMED_DISTANCE_FRAC


def market_risk(evaluator: Evaluator) -> MarketRisk:
    """Return the market's risk as of the last batch.

    A stress move that is not a number (a cost that is not known) is the assumed one: nothing is survived for free.
    """
    table, state = evaluator.table, evaluator.state
    columns = np.empty((_COLUMNS, len(table)))
    _read(table, state, columns)
    return MarketRisk(*columns)
