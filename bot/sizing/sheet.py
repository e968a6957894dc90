"""What one pass of the leverage rules takes, remembers and gives: one record a symbol, so that arrays are few.

The caller fills `SIZING_INPUTS`; `SIZING_STATE` is the rules' own; `TARGET_ROW` is what they answer.
Units: leverage in equities, signed unless it is a cap; times in nanoseconds; -1 for a time that has not been.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

Record = Any
"""One record of a structured array in compiled code, where its fields are attributes."""

SIZING_INPUTS = np.dtype(
    [
        ("side", np.float64),  # direction in use: 1, -1, 0; NaN unknown
        ("base", np.float64),  # base leverage x weight
        ("held", np.float64),  # leverage of what is held; NaN unknown, infinite without equity
        ("watched_s", np.float64),  # how long the estimators have been fed
        ("minutes_s", np.float64),  # how long the worst minute has been looked for, former runs included
        ("barred", np.int64),  # 0, or the `Bound` for which nothing may grow now: calendar, not ready, hands off
        ("holiday_factor", np.float64),  # of the base: 1, or 0.5 on a holiday
        ("exit_leverage", np.float64),  # what can be closed now within the bound on its cost; infinite: unknown
        ("least_leverage", np.float64),  # of the smallest order there is; 0 unknown
        ("least_units", np.float64),  # its size, base units
        ("touch_leverage", np.float64),  # what the best level holds; NaN unknown
        ("margin_rate", np.float64),  # margin / notional of the next unit; NaN unknown
        ("unit_notional", np.float64),  # value of one base unit, deposit currency; NaN unknown
        ("max_units", np.float64),  # the broker's maximum volume, base units; infinite where there is none
        ("expected_return", np.float64),  # mean return of a day in the direction wanted; NaN: nobody states one
        ("expected_error", np.float64),  # its standard error
    ],
    align=True,
)

SIZING_STATE = np.dtype(
    [
        ("wish_ns", np.int64),  # since when an increase is wished for
        ("grown_ns", np.int64),  # when the last increase was sent
        ("sliced_ns", np.int64),  # when a forced reduction was last more than the book could take
        ("low_cap", np.float64),  # what the exit-cost cap has fallen to of late
        ("low_cap_ns", np.int64),
        ("low_cap_side", np.float64),
        ("sampled", np.float64),  # the wish when it was last looked at for its variance
        ("sampled_ns", np.int64),
        ("variance", np.float64),  # of the wish per day: weighted sum, and its weight
        ("variance_weight", np.float64),
        ("seen_s", np.float64),  # how long wishes have been looked at
    ],
    align=True,
)

TARGET_ROW = np.dtype(
    [
        ("goal", np.float64),  # the wish, capped and cut by a crisis
        ("target", np.float64),  # what may be traded to now
        ("forced", np.bool_),  # a reduction that a broken cap or a crisis asks for; it ignores the band
        ("urgent", np.bool_),  # a forced one that ignores the interval between orders, too
        ("bound", np.int64),  # what holds the target back, a `Bound`
        ("wish", np.float64),  # side x base x factors, before any cap
        ("cap", np.float64),  # the tightest cap, and which it is
        ("cap_bound", np.int64),
        ("kelly", np.float64),
        ("stop_out", np.float64),
        ("exit_cost", np.float64),
        ("max_volume", np.float64),
        ("half_band", np.float64),  # half-width of the no-trade band
    ],
    align=True,
)

RULES = np.dtype(
    [
        *(("warm_up_s", np.float64), ("persistence_s", np.float64), ("rate_frac_per_min", np.float64)),
        *(("band_frac", np.float64), ("risk_aversion", np.float64)),  # band NaN: auto
        *(("max_symbol", np.float64), ("max_total", np.float64)),
        *(("stop_out_level_frac", np.float64), ("kelly_frac", np.float64)),
        *(("requires_caps", np.bool_), ("heeds_crisis", np.bool_)),
    ],
    align=True,
)


def sizing_inputs(symbol_count: int) -> np.ndarray:
    """Return inputs in which nothing is held, wanted or known, (S,) of `SIZING_INPUTS`."""
    inputs = np.zeros(symbol_count, SIZING_INPUTS)
    inputs["holiday_factor"], inputs["exit_leverage"], inputs["max_units"] = 1.0, math.inf, math.inf
    for name in ("touch_leverage", "margin_rate", "unit_notional", "expected_return", "expected_error"):
        inputs[name] = math.nan
    return inputs


def sizing_state(symbol_count: int) -> np.ndarray:
    """Return the state before the first pass, (S,) of `SIZING_STATE`."""
    state = np.zeros(symbol_count, SIZING_STATE)
    for name in ("wish_ns", "grown_ns", "sliced_ns", "low_cap_ns", "sampled_ns"):
        state[name] = -1
    return state


@dataclass(frozen=True, slots=True, eq=False)
class Targets:
    """What the rules answer: `rows` (S,) of `TARGET_ROW`, read-only, and its columns by name."""

    rows: np.ndarray

    @property
    def goal(self) -> np.ndarray:
        """Signed leverage the strategy wants, capped and cut by a crisis, (S,); NaN unknown."""
        return self.rows["goal"]

    @property
    def target(self) -> np.ndarray:
        """Signed leverage that may be traded to now, (S,); NaN: nobody may trade."""
        return self.rows["target"]

    @property
    def forced(self) -> np.ndarray:
        """Whether the target is a reduction that a broken cap or a crisis asks for, (S,) bool; `bound` says which."""
        return self.rows["forced"]

    @property
    def urgent(self) -> np.ndarray:
        """Whether a forced reduction does not wait for the interval between orders, (S,) bool.

        One that the book cannot take at once does, slice by slice: each goes by what the book holds then.
        """
        return self.rows["urgent"]

    @property
    def bound(self) -> np.ndarray:
        """What holds the target back, (S,) of `Bound`."""
        return self.rows["bound"]
