"""From a strategy's goal to the leverage wanted now: caps, warm-up, persistence, rate limit, no-trade band.

How it works: one compiled pass over the symbols. A symbol's *goal* is what the strategy asks for, capped; its
*target* is what may be traded to at this moment. Reductions are quick and increases are slow: an increase needs a warm
estimator, a wish that has held for a while, and room under the rate limit; a reduction only has to leave half a band,
and a cap that is broken ignores the band.

Invariant: an unknown factor (NaN) never makes a target larger in size than what is held.
"""

import math
from dataclasses import dataclass

import numpy as np
from numba import njit

# Wishes end, and broken caps are cut to, a little below the cap: at the cap itself the next tick, or the spread just
# paid, would break it, and the cut would be grown back and cut again.
_SHARE_OF_LIMIT = 0.99


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast leverage may follow the goal.

    Units: `band_frac` half-width of the no-trade band as a share of the base leverage; `max_increase_frac_per_min`
        share of the base leverage a minute, None for no limit.
    Source: models 14.7 (asymmetric hysteresis; increases persist and are rate-limited).
    """

    warm_up_s: float = 60.0
    persistence_s: float = 30.0
    max_increase_frac_per_min: float | None = 0.25
    band_frac: float = 0.1


@dataclass(frozen=True, slots=True)
class LeverageLimits:
    """Caps on |leverage|: of one symbol, and of the sum over all positions of the account."""

    max_symbol_leverage: float
    max_leverage: float


@dataclass(frozen=True, slots=True, eq=False)
class Targets:
    """Shapes: (S,). Units: signed leverage. `urgent` marks reductions that ignore band and interval (a broken cap)."""

    goal: np.ndarray
    target: np.ndarray
    urgent: np.ndarray


@njit(cache=True)
def _move(
    goal: np.ndarray,
    target: np.ndarray,
    urgent: np.ndarray,
    base: np.ndarray,
    held: np.ndarray,
    may_grow: np.ndarray,
    watched_s: np.ndarray,
    now_ns: int,
    wish_ns: np.ndarray,
    grown_ns: np.ndarray,
    rules: tuple[float, float, float, float],
    max_symbol: float,
    total_scale: float,
) -> None:
    warm_up_s, persistence_s, rate, band_frac = rules
    for s in range(len(goal)):
        urgent[s] = False
        now = held[s]
        if not math.isfinite(now):
            # Infinite: no equity is left, every cap is broken. Unknown: only what is unwanted altogether may change.
            urgent[s] = math.isinf(now)
            target[s] = 0.0 if math.isinf(now) or goal[s] == 0.0 else math.nan
            wish_ns[s] = -1
            continue
        wanted = goal[s]
        if not math.isfinite(wanted):
            wanted = now  # unknown: hold
        size, side = abs(now), 1.0 if now >= 0 else -1.0
        limit = max_symbol
        if size > limit or total_scale < 1.0:
            cut = min(limit, size * total_scale) * _SHARE_OF_LIMIT
            kept = abs(wanted) if wanted * side > 0 else 0.0
            target[s] = side * min(kept, cut)
            urgent[s] = size > 0
            wish_ns[s] = -1
            continue
        wanted = max(-limit, min(limit, wanted))
        band = band_frac * base[s]
        if size > 0 and wanted * side <= 0:
            target[s] = 0.0  # flat, or the other side: close first
            wish_ns[s] = -1
            continue
        aim = abs(wanted)
        if aim <= size:
            wish_ns[s] = -1
            target[s] = side * (aim + 0.5 * band) if size - aim > 0.5 * band else now
            continue
        if aim - size <= band or not may_grow[s] or watched_s[s] < warm_up_s:
            wish_ns[s] = -1
            target[s] = now
            continue
        if wish_ns[s] < 0:
            wish_ns[s] = now_ns
        waited_s = (now_ns - wish_ns[s]) / 1e9
        if waited_s < persistence_s:
            target[s] = now
            continue
        step = aim - band - size
        if math.isfinite(rate):
            since_ns = max(grown_ns[s], wish_ns[s])
            room = rate * base[s] * (now_ns - since_ns) / 60e9
            # Small change is saved up until it is worth a trade: a band, or all that is left to go.
            step = min(step, room) if room >= min(step, max(band, 0.01 * base[s])) else 0.0
        direction = 1.0 if wanted > 0 else -1.0
        target[s] = direction * (size + step)


class LeverageRules:
    """Applies the rules to S symbols and remembers wishes and growth between calls."""

    def __init__(self, symbol_count: int, rules: Pace, limits: LeverageLimits) -> None:
        self._rules = rules
        self._limits = limits
        self._wish_ns = np.full(symbol_count, -1, np.int64)
        self._grown_ns = np.full(symbol_count, -1, np.int64)

    def targets(
        self,
        goal: np.ndarray,
        base: np.ndarray,
        held: np.ndarray,
        may_grow: np.ndarray,
        watched_s: np.ndarray,
        foreign: float,
        shrink: float,
        now_ns: int,
    ) -> Targets:
        """Return the leverage each symbol may be traded to now.

        Args: `goal` the strategy's signed leverage; `base` base leverage x weight; `held` the leverage of what we hold;
            `may_grow` False where data is stale or doubtful; `watched_s` how long the estimators have been fed;
            `foreign` sum of |leverage| of positions that are not ours; `shrink` below 1 when margin use is over its
            limit: the share of what is held that may stay.
        Shapes: arrays (S,).   Units: leverage in equities.
        Missing: NaN in `goal` holds; NaN in `held` gives a NaN target, which nobody may trade on, unless the goal is 0.
            An infinite `held` says that no equity is left.
        """
        held_total = float(np.nansum(np.abs(held)))  # an unknown part does not hide that the rest is too much
        room = max(self._limits.max_leverage - foreign, 0.0)
        # Two scalings: what is held must fit (urgent), and what is wanted must fit (ordinary).
        total_scale = min(shrink, room / held_total if held_total > room else 1.0)
        most = self._limits.max_symbol_leverage * _SHARE_OF_LIMIT
        capped = np.clip(goal, -most, most)
        wanted_total = float(np.abs(np.where(np.isnan(capped), held, capped)).sum())
        if math.isfinite(wanted_total) and wanted_total > room * _SHARE_OF_LIMIT:
            capped = capped * (room * _SHARE_OF_LIMIT / wanted_total)
        target, urgent = np.empty_like(goal), np.zeros(len(goal), np.bool_)
        rate = self._rules.max_increase_frac_per_min
        _move(
            capped,
            target,
            urgent,
            base,
            held,
            may_grow,
            watched_s,
            now_ns,
            self._wish_ns,
            self._grown_ns,
            (
                self._rules.warm_up_s,
                self._rules.persistence_s,
                math.inf if rate is None else rate,
                self._rules.band_frac,
            ),
            self._limits.max_symbol_leverage,
            total_scale,
        )
        return Targets(goal=capped, target=target, urgent=urgent)

    def note_growth(self, symbol_index: int, now_ns: int) -> None:
        """Say that an increase of this symbol was sent, so that the rate limit starts anew."""
        self._grown_ns[symbol_index] = now_ns
