"""What is usual, and how far from it a crisis is, in plain Python: the definitions of `crisis.py` and `usual.py`."""

import math
from dataclasses import dataclass

ENTRY_SCORES = (0.5, 0.75, 0.95)
HOLD_DOWNS_S = (60.0, 180.0, 600.0)
STALE = 6
CLEAR, MOST_ALONE = (1, 3, 4), 0.94
"""The sign of a stale feed, which makes no level by itself."""


def liquidity_log_ratio(cost_bps: float, usual_log_cost: float, days: float) -> float:
    """Return the log of usual over present cost; not above 0 before three days are known. Source: models 11."""
    log_ratio = usual_log_cost - math.log(cost_bps)
    return min(log_ratio, 0.0) if days < 3 else log_ratio


def next_base(base: float, median: float) -> float:
    """Return the base of a bin after one more day with this median; the first day is the base. Source: models 11."""
    return median if math.isnan(base) else base + 0.2 * (median - base)


def shrunk_base(base: float, days: float, overall: float) -> float:
    """Return the base in use, (n base + 3 overall) / (n + 3); one of them where the other is NaN. Source: models 11."""
    if math.isnan(base) or math.isnan(overall):
        return overall if math.isnan(base) else base
    return (days * base + 3 * overall) / (days + 3)


def ramp(x: float, low: float, high: float) -> float:
    """Return 0 up to `low`, 1 from `high` on, linear between; 0 for NaN. Source: models 12."""
    if math.isnan(x):
        return 0.0
    return min(1.0, max(0.0, (x - low) / (high - low)))


@dataclass(frozen=True, slots=True)
class Sight:
    """What the signs of a crisis are read from. Missing: NaN, and a sign that cannot be read is 0.

    Units: `spread_deviation` and `depth_deviation` of the logs; `mid_moves` (move in bps, seconds it took,
    volatility in bps of a second before it); times in seconds.
    `is_spread_known` and `is_deviation_known` say whether enough was seen to compare with.
    """

    spread_bps: float = math.nan
    least_spread_bps: float = 1e-6  # below which a spread is as good as none
    usual_spread_bps: float = math.nan
    spread_deviation: float = math.nan
    is_spread_known: bool = True
    is_deviation_known: bool = True
    weighted_units: float = math.nan
    usual_weighted_units: float = math.nan
    depth_deviation: float = math.nan
    lopsided_s: float = math.nan
    mid_moves: tuple[tuple[float, float, float], ...] = ()
    rate_z: float = math.nan
    quiet_s: float = math.nan
    long_gap_s: float = math.nan
    fill_q10: float = math.nan
    crossed_s: float = math.nan


def crisis_signs(sight: Sight) -> list[float]:
    """Return nine signs of a crisis, each 0 to 1, in the order of `crisis.SIGNS`.

    Source: models 12. Where it differs from the source, and why, is told in `crisis.py`.
    """
    ratio = max(sight.spread_bps, sight.least_spread_bps) / sight.usual_spread_bps
    gap = 0.0 if math.isnan(sight.long_gap_s) else sight.long_gap_s
    depth = sight.weighted_units / sight.usual_weighted_units if sight.usual_weighted_units > 0 else math.nan
    lost = lost_depth(depth, sight.depth_deviation)
    strain = max(ramp(ratio, 2, 6), lost)
    return [
        ramp(math.log(ratio) / sight.spread_deviation, 3, 6) if sight.is_deviation_known else 0.0,
        ramp(ratio, 3, 8) if sight.is_spread_known else 0.0,
        lost,
        ramp(sight.lopsided_s, 0.25, 2),
        max(min(ramp(jump(sight, 0.0), 5, 10), strain), ramp(jump(sight, sight.least_spread_bps), 15, 30)),
        min(ramp(sight.rate_z, 4, 8), strain),
        ramp(sight.quiet_s, max(2 * gap, 10), max(6 * gap, 30)),
        0.0 if math.isnan(sight.fill_q10) else 1 - ramp(sight.fill_q10, 0.3, 0.6),
        ramp(sight.crossed_s, 1, 5),
    ]


def jump(sight: Sight, least_sigma_bps: float) -> float:
    """Return the largest move in deviations of a second, each half of the usual spread at least; NaN while unknown."""
    half_spread = 0.0 if math.isnan(sight.usual_spread_bps) else 0.5 * sight.usual_spread_bps
    jumps = []
    for move_bps, seconds, volatility_bps in sight.mid_moves:
        sigma_bps = max(half_spread, least_sigma_bps, volatility_bps)
        if volatility_bps >= 0 and sigma_bps > 0 and not math.isnan(move_bps):
            jumps.append(abs(move_bps) / (sigma_bps * math.sqrt(seconds)))
    return max(jumps, default=math.nan)


def lost_depth(ratio: float, deviation: float) -> float:
    """Return the sign of lost depth, from its ratio to the usual: the lesser of 0.5 to 0.2, and 3 to 6 deviations.

    Missing: 0 where the ratio is NaN.
    """
    if math.isnan(ratio):
        return 0.0
    away = -math.log(ratio) if ratio > 0 else math.inf
    return min(1 - ramp(ratio, 0.2, 0.5), ramp(away / deviation, 3, 6))


def crisis_score(signs: list[float]) -> float:
    """Return the largest sign plus 0.15 for each further one above a half, at most 1. Source: models 12.

    A stale feed is a further one only; without any other sign there is no score. Signs that are not `CLEAR` count for
    0.94 at most as the largest.
    """
    others = [sign if i in CLEAR else min(sign, MOST_ALONE) for i, sign in enumerate(signs) if i != STALE]
    if max(others) == 0:
        return 0.0
    further = sum(sign > 0.5 for sign in signs) - (max(others) > 0.5)
    return min(1.0, max(others) + 0.15 * further)


def crisis_level(score: float) -> int:
    """Return the level that a score asks for: 1 from 0.5, 2 from 0.75, 3 from 0.95 on. Source: models 12."""
    return sum(score >= entry for entry in ENTRY_SCORES)
