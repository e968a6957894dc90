"""What the estimators remember of each symbol: one structured array, a record a symbol.

The settings stand in it too, once a symbol, so that a compiled loop takes one array for all it needs beside the book.

Units: times are UTC nanoseconds, -1 where nothing was seen yet; half-lives in seconds; flows in base units; `usual` and
what belongs to it in natural logs. Missing: NaN, except sums, which start at 0 with their weight beside them.
"""

from dataclasses import dataclass, fields

import numpy as np

# Time-aware averages (models 1.1), positions in `mean`, `previous`, `average_ns`.
SPREAD, TOUCH_SIZE, LOG_COST, LOG_RATIO, OBI_FAST, OBI_SLOW, WEIGHTED_SIZE, ENTROPY = range(8)
AVERAGES = 8

# What has a usual value by time of day (models 11), positions in `usual` and its like. All are logs, and medians but
# for the gap between messages: there it is a long one.
U_SPREAD, U_DEPTH, U_COST, U_IMPACT, U_LAMBDA, U_VOLATILITY, U_GAP, U_SIZE = range(8)
USUAL_NAMES = ("spread", "depth", "cost", "impact", "lambda", "volatility", "gap", "size")
USUALS = len(USUAL_NAMES)

SIGN_COUNT = 9  # of a crisis (models 12)
LEVELS = 5  # of the multi-level order flow (models 6.2)


@dataclass(frozen=True, slots=True)
class EvaluatorSettings:
    """Half-lives and other constants of the estimators. Units: as the names say. Defaults: models 18.

    `time_of_day` compares with what is usual at this time of day; otherwise with the recent past, whose half-life is
    `liquidity_base_half_life_s`. `exit_cost_cap_bps` bounds the cost of leaving in half of the depth (models 14.5).
    """

    spread_half_life_s: float = 60.0
    touch_size_half_life_s: float = 600.0
    flow_half_life_s: float = 10.0
    liquidity_base_half_life_s: float = 3600.0
    liquidity_smoothing_half_life_s: float = 300.0
    imbalance_half_life_s: float = 0.5
    slow_imbalance_half_life_s: float = 30.0
    imbalance_scale_half_life_s: float = 1800.0
    revision_half_life_s: float = 30.0
    lambda_half_life_s: float = 900.0
    volatility_half_life_s: float = 1800.0
    slow_volatility_half_life_s: float = 86_400.0
    volatility_sample_s: float = 5.0
    resilience_half_life_s: float = 600.0
    least_samples: float = 3.0
    exit_cost_cap_bps: float = 5.0
    time_of_day: bool = True


_F, _I, _B = np.float64, np.int64, np.uint8

STATE = np.dtype(
    [
        *((field.name, _F) for field in fields(EvaluatorSettings)),
        # What the symbol is, and what the engine says of it.
        ("pip", _F),
        ("commission_bps", _F),
        ("latency_ns", _F),  # our own p50 from send to fill, NaN unknown
        ("fill_q10", _F),
        ("is_closed", _B),
        ("changed", _B),
        ("is_scan_wanted", _B),
        # Averages (models 1.1).
        ("mean", _F, (AVERAGES,)),
        ("previous", _F, (AVERAGES,)),
        ("average_ns", _I, (AVERAGES,)),
        # The book at the end of the last message.
        ("old_key", _I, (2, LEVELS)),
        ("old_size", _I, (2, LEVELS)),
        ("old_known", _B),
        ("old_mid", _F),
        ("old_weighted", _F, (2,)),
        ("was_crossed", _B),
        ("decay", _F),  # length of the distance weights, price
        ("distance", _F),  # within which depth counts, price
        # Flows: decayed, and running totals for buckets of any length.
        ("flow", _F),
        ("weighted_flow", _F),
        ("flow_ns", _I),
        ("total_flow", _F, (LEVELS,)),
        ("total_weighted_flow", _F),
        ("revisions", _F),
        ("revision_weight", _F),
        ("revision_ns", _I),
        ("total_revisions", _F),
        # Rates: decayed counts.
        ("refreshes", _F),
        ("refresh_ns", _I),
        ("messages", _I),
        ("tick_messages", _I),
        ("rate_mean", _F),
        ("rate_variance", _F),
        ("rate_n", _F),
        ("rate_z", _F),
        # Times.
        ("spot_ns", _I),
        ("depth_ns", _I),
        ("first_ns", _I),
        ("crossed_ns", _I),
        ("apart_ns", _I),
        ("lopsided_ns", _I),
        ("connected_ns", _I),  # first spot since the link came up: depth may be missing for good
        ("scan_ns", _I),
        ("smooth_ns", _I),
        ("tick_ns", _I),
        ("judged_ns", _I),
        ("closed_ns", _I),  # when the market was last looked at and found closed
        # Imbalance.
        ("obi_mean", _F),
        ("obi_variance", _F),
        ("obi_n", _F),
        ("obi_scale_ns", _I),
        # Quotes at the touch.
        ("lifetime_log", _F),
        ("reach_frac", _F),
        ("is_indicative", _B),
        # Kyle's lambda (models 6.5).
        ("sxx", _F),
        ("sxy", _F),
        ("syy", _F),
        ("sn", _F),
        ("bucket_ns", _I),
        ("bucket_mid", _F),
        ("bucket_flow", _F),
        ("bucket_broken", _B),
        ("bucket_indicative", _B),
        ("bucket_s", _F),
        # Volatility (models 10.1) and moves.
        ("sample_ns", _I),
        ("sample_mid", _F),
        ("variance", _F, (2,)),
        ("variance_weight", _F, (2,)),
        ("samples", _I),
        ("minute_ns", _I),
        ("minute_open", _F),
        ("minute_high", _F),
        ("minute_low", _F),
        ("minutes_s", _F),  # whole minutes in which the worst one was looked for, former runs included
        ("second_mid", _F, (2,)),
        ("second_sigma_bps", _F, (2,)),  # the volatility as it was known then
        ("quiet_mid", _F),  # before the silence that has just ended; NaN: there was none
        ("quiet_sigma_bps", _F),
        ("quiet_ns", _I),
        # Resilience (models 3.4).
        ("gap_log", _F),
        ("rxx", _F),
        ("rxy", _F),
        ("rn", _F),
        # Usual values (models 11): running median and deviation of this bin, of all time, and what is in use.
        ("median", _F, (USUALS,)),
        ("overall", _F, (USUALS,)),
        ("overall_n", _F, (USUALS,)),
        ("spread_deviation", _F),
        ("depth_deviation", _F),
        ("usual", _F, (USUALS,)),
        ("usual_deviation", _F),
        ("usual_days", _F),
        # Crisis (models 12).
        ("signs", _F, (SIGN_COUNT,)),
        ("level_ns", _I),
        ("entered_ns", _I),
        ("pending_level", _I),
        ("pending_ns", _I),
    ],
    align=True,
)
_NEVER = (
    *("average_ns", "flow_ns", "revision_ns", "refresh_ns", "spot_ns", "depth_ns", "first_ns", "crossed_ns"),
    *(
        "apart_ns",
        "lopsided_ns",
        "connected_ns",
        "scan_ns",
        "smooth_ns",
        "tick_ns",
        "judged_ns",
        "closed_ns",
        "obi_scale_ns",
        "bucket_ns",
    ),
    *("sample_ns", "quiet_ns"),
    *("minute_ns", "level_ns", "entered_ns", "pending_ns"),
)
_UNKNOWN = (
    *("mean", "previous", "old_mid", "old_weighted", "decay", "distance", "latency_ns", "fill_q10"),
    *("second_mid", "second_sigma_bps", "quiet_mid", "quiet_sigma_bps"),
    *("rate_mean", "rate_z", "obi_mean", "lifetime_log", "reach_frac", "bucket_mid", "sample_mid"),
    *("minute_open", "minute_high", "minute_low", "gap_log", "median", "overall"),
    *("spread_deviation", "depth_deviation", "usual", "usual_deviation"),
)


def new_state(pips: np.ndarray, settings: EvaluatorSettings) -> np.ndarray:
    """Return the state of symbols of which nothing was seen yet.

    Args: `pips` (S,) price of one pip.   Shapes: result (S,) of `STATE`.
    """
    state = np.zeros(len(pips), STATE)
    for field in fields(EvaluatorSettings):
        state[field.name] = getattr(settings, field.name)
    for name in _NEVER:
        state[name] = -1
    for name in _UNKNOWN:
        state[name] = np.nan
    state["pip"] = pips
    return state


def forget_link(state: np.ndarray) -> None:
    """Forget what belonged to a connection that is gone. Averages and usual values stay: they describe the market."""
    for name in ("old_known", "was_crossed", "bucket_broken"):
        state[name] = 0
    for name in ("flow", "weighted_flow", "revisions", "revision_weight"):
        state[name] = 0.0
    for name in (
        "spot_ns",
        "depth_ns",
        "crossed_ns",
        "apart_ns",
        "lopsided_ns",
        "connected_ns",
        "bucket_ns",
        "tick_ns",
    ):
        state[name] = -1
    state["pending_ns"] = -1  # what was asked for before has not been asked for all the while
    for name in ("old_mid", "old_weighted", "second_mid", "quiet_mid", "gap_log", "rate_z"):
        state[name] = np.nan
