"""From a strategy's factors to the leverage wanted now: caps, crisis, warm-up, persistence, rate limit, no-trade band.

How it works: one compiled pass over the symbols. A symbol's *wish* is side x base x factors; its *goal* is the wish,
capped, and cut in a crisis; its *target* is what may be traded to at this moment. Reductions are quick and increases
are slow: an increase needs a warm estimator, caps that are known, a wish that has held for a while, and room under the
rate limit; a reduction only has to leave half a band. A cap that is broken and a crisis ignore the band, and are traded
to the target, not to its edge: a configured limit at once, what the market asks for as fast as the book pays for it.

Invariant: what is unknown (NaN) never makes a target larger in size than what is held.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numba import njit

from bot.sizing.band import LEAST_FRAC, half_band, watch_wish
from bot.sizing.bound import Bound
from bot.sizing.caps import find_caps
from bot.sizing.sheet import RULES, TARGET_ROW, Record, Targets, sizing_inputs, sizing_state

__all__ = ["LeverageLimits", "LeverageRules", "Pace", "Targets"]

# Wishes end, and broken caps are cut to, a little below the cap: at the cap itself the next tick, or the spread just
# paid, would break it, and the cut would be grown back and cut again.
_SHARE_OF_LIMIT = 0.99
_LEAST_STEP_FRAC = 0.01  # of the base: growth below it is not worth a trade, however narrow the band
# So long after a slice the book may still be the one that was sold into: what is left is not urgent until then.
_REFILL_S = 1.0
_MINUTE_NS = 60_000_000_000

_NONE, _MAX_SYMBOL, _MAX_TOTAL, _MARGIN = (
    int(b) for b in (Bound.NONE, Bound.MAX_SYMBOL, Bound.MAX_TOTAL, Bound.MARGIN)
)
_CRISIS, _UNKNOWN_FACTOR, _UNKNOWN_CAP, _EXIT_EMPTY = (
    int(b) for b in (Bound.CRISIS, Bound.UNKNOWN_FACTOR, Bound.UNKNOWN_CAP, Bound.EXIT_EMPTY)
)
_WARM_UP, _PERSISTENCE, _RATE, _BAND, _TOUCH, _LEAST_ORDER = (
    int(b) for b in (Bound.WARM_UP, Bound.PERSISTENCE, Bound.RATE, Bound.BAND, Bound.TOUCH, Bound.LEAST_ORDER)
)


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast leverage may follow the goal.

    Units: `band_frac` half-width of the no-trade band as a share of the base leverage, None for the cost-aware one,
        which takes `risk_aversion`; `max_increase_frac_per_min` share of the base leverage a minute, None for no limit:
        no window sees more growth than that rate times its length, and one step of a minute's worth (a band or the
        smallest order, if more).
        `heeds_crisis` False leaves the crisis level of the feature table out.
    Source: models 14.7 (asymmetric hysteresis; increases persist and are rate-limited).
    """

    warm_up_s: float = 60.0
    persistence_s: float = 30.0
    max_increase_frac_per_min: float | None = 0.25
    band_frac: float | None = None
    heeds_crisis: bool = True
    risk_aversion: float = 5.0


@dataclass(frozen=True, slots=True)
class LeverageLimits:
    """Caps on |leverage|: of one symbol, and of the sum over all positions of the account; and what others need.

    Units: `stop_out_level_frac` equity / used margin at which the broker closes; `kelly_frac` how much of
        the Kelly fraction.
    """

    max_symbol_leverage: float
    max_leverage: float
    stop_out_level_frac: float = 0.5
    kelly_frac: float = 0.25


@njit(cache=True, error_model="numpy")
def crisis_multiplier(level: float) -> float:
    """Return what a crisis leaves of a wish: 1, 0.5, 0.25, 0 by level; nothing if unknown. Source: models 12, 14.4."""
    return 1.0 if level < 1 else 0.5 if level < 2 else 0.25 if level < 3 else 0.0


@njit(cache=True, error_model="numpy")
def _wish(table: np.ndarray, s: int, given: Record, factors: np.ndarray) -> float:
    if given.side == 0:
        return 0.0
    product = 1.0
    for f in range(factors.shape[0]):
        product *= factors[f, s]
    if not 0 <= product < math.inf:
        return math.nan
    if table[s].is_spot_only > 0:
        product = min(product, 1.0)  # nobody sees what could be had beyond the usual
    return given.side * given.base * given.holiday_factor * product


@njit(cache=True, error_model="numpy")
def decide(
    table: np.ndarray,
    factors: np.ndarray,
    inputs: np.ndarray,
    state: np.ndarray,
    rows: np.ndarray,
    rules: np.ndarray,
    equity: float,
    foreign: float,
    shrink: float,
    now_ns: int,
) -> None:
    """Fill the row of every symbol. Arguments as of `LeverageRules.targets`."""
    rule = rules[0]
    held_total, wanted_total = 0.0, 0.0
    for s in range(len(inputs)):
        given, row = inputs[s], rows[s]
        held = given.held
        wish = _wish(table, s, given, factors)
        row.wish = wish
        by = held if held != 0 and not math.isnan(held) else wish
        side = 1.0 if by > 0 else -1.0 if by < 0 else 0.0
        row.bound = _UNKNOWN_CAP if find_caps(table, s, inputs, state, rows, rules, side, equity, now_ns) else _NONE
        most = row.cap * _SHARE_OF_LIMIT
        row.goal = max(-most, min(most, wish)) if wish == wish else math.nan
        if not math.isnan(held):
            held_total += abs(held)  # an unknown part does not hide that the rest is too much
        wanted_total += abs(held if math.isnan(wish) else row.goal)
    room = max(rule.max_total - foreign, 0.0)
    # Two scalings: what is held must fit (urgent), and what is wanted must fit (ordinary).
    total_scale = min(shrink, room / held_total if held_total > room else 1.0)
    broken = _MARGIN if total_scale == shrink else _MAX_TOTAL
    is_too_much = math.isfinite(wanted_total) and wanted_total > room * _SHARE_OF_LIMIT
    scale = room * _SHARE_OF_LIMIT / wanted_total if is_too_much else 1.0
    for s in range(len(inputs)):
        given, was, row = inputs[s], state[s], rows[s]
        capped = _NONE
        if abs(row.goal) < abs(row.wish):
            capped = row.cap_bound
        if is_too_much and row.goal != 0:
            row.goal *= scale
            capped = _MAX_TOTAL
        watch_wish(was, row.goal, now_ns)
        row.half_band = half_band(table, s, was, rule, given.base * given.holiday_factor)
        level = table[s].crisis_level if rule.heeds_crisis else 0.0
        if level >= 3:
            row.goal = 0.0
        elif level >= 1:
            row.goal *= crisis_multiplier(level)
        _move(given, was, row, rule, level, capped, total_scale, broken, now_ns)


@njit(cache=True, error_model="numpy")
def _affordable(size: float, aim: float, given: Record, base: float) -> float:
    """Return how near to a smaller size a position may be brought at once within the bound on the cost of leaving.

    A slice below `LEAST_FRAC` of the base is not worth an order: `size` is returned, until the book has filled up.
    Where the book pays for that, and for less than the smallest order, it is that order.
    Units: leverage without a sign.   Source: models 14.5 (impact), 12 (an empty exit side).
    """
    if size - aim <= given.exit_leverage:
        return aim
    if given.exit_leverage < LEAST_FRAC * base:
        return size
    return size - max(given.exit_leverage, min(given.least_leverage, size - aim))


@njit(cache=True, error_model="numpy")
def _is_whole(was: Record, size: float, cut: float, aim: float, now_ns: int) -> bool:
    """Return whether a forced reduction goes all the way, into a book that no slice has been sold into just now."""
    if aim < cut < size:
        was.sliced_ns = now_ns
    if cut != aim:
        return False
    return was.sliced_ns < 0 or now_ns - was.sliced_ns >= _REFILL_S * 1e9


@njit(cache=True, error_model="numpy")
def _move(
    given: Record,
    was: Record,
    row: Record,
    rule: Record,
    level: float,
    capped: int,
    total_scale: float,
    broken: int,
    now_ns: int,
) -> None:
    """Fill the rest of a row whose caps, goal and band are known; its `bound` says whether the caps all are."""
    caps_unknown, row.bound, row.forced, row.urgent = row.bound != _NONE, capped, False, False
    now, wish_ns = given.held, was.wish_ns
    was.wish_ns = -1  # put back only while the wish to grow lasts
    if not math.isfinite(now):
        # Infinite: no equity is left, every cap is broken. Unknown: only what is unwanted altogether may change.
        row.forced = row.urgent = math.isinf(now)
        row.target = 0.0 if math.isinf(now) or row.goal == 0.0 else math.nan
        return
    wanted, size, side = row.goal, abs(now), 1.0 if now >= 0 else -1.0
    base = given.base * given.holiday_factor
    if math.isnan(wanted):
        # Unknown: hold, but in a crisis no more than it leaves of the base.
        wanted = side * min(size, crisis_multiplier(level) * base) if level >= 1 else now
        row.bound = _CRISIS if abs(wanted) < size else _UNKNOWN_FACTOR
    kept, limit = abs(wanted) if wanted * side > 0 else 0.0, row.cap
    if size > limit or total_scale < 1.0:
        aim = min(kept, min(limit, size * total_scale) * _SHARE_OF_LIMIT)
        cut = _affordable(size, aim, given, base)
        row.bound, row.urgent = row.cap_bound if size > limit else broken, _is_whole(was, size, cut, aim, now_ns)
        if size > rule.max_symbol or total_scale < 1.0:
            # A configured limit holds whatever it costs; what the market asks for beyond it is what waits.
            room = size * total_scale
            healed = min(rule.max_symbol, room) * _SHARE_OF_LIMIT
            if healed < cut:
                cut, row.bound = healed, _MAX_SYMBOL if rule.max_symbol <= room else broken
            row.urgent = size > 0
        row.target, row.forced = side * cut, cut < size
        row.urgent = row.urgent and row.forced
        if cut == size and size > 0:
            row.bound = _EXIT_EMPTY  # a dear exit is no reason to pay for the dearest
        return
    if level >= 1:
        aim = min(kept, size)
        # What the factors flicker by is not worth a trade, least of all now; what a level asks for is far more.
        if 0.0 < aim < size and size - aim <= LEAST_FRAC * base:
            aim = size
        cut = _affordable(size, aim, given, base)
        row.target, row.forced = side * cut, cut < size
        row.urgent = _is_whole(was, size, cut, aim, now_ns) and row.forced
        row.bound = _EXIT_EMPTY if aim < size and cut == size else _CRISIS
        return
    if size > 0 and wanted * side <= 0:
        row.target = 0.0  # flat, or the other side: close first
        return
    aim, band = abs(wanted), row.half_band
    if aim <= size:
        step = size - aim - 0.5 * band
        row.target = now
        if step > 0:
            if step > given.touch_leverage:
                step, row.bound = max(0.5 * step, min(step, given.least_leverage)), _TOUCH
            row.target = side * (size - step)
        elif aim < size and capped == _NONE:
            row.bound = _BAND
        return
    row.target = now
    # A cap that moves with the market is not followed up tick by tick.
    least = LEAST_FRAC * base if _NONE < capped < _MAX_SYMBOL else 0.0
    if given.barred != 0:
        row.bound = given.barred
    elif caps_unknown:
        row.bound = _UNKNOWN_CAP
    elif was_cold(given.watched_s, rule.warm_up_s):
        row.bound = _WARM_UP
    elif aim - size <= band + least or aim - size - band < given.least_leverage:
        row.bound = _BAND if capped == _NONE else capped
        if size == 0 and aim > band + least:
            row.bound = _LEAST_ORDER
    else:
        was.wish_ns = now_ns if wish_ns < 0 else wish_ns
        if (now_ns - was.wish_ns) / 1e9 < rule.persistence_s:
            row.bound = _PERSISTENCE
            return
        step = aim - band - size
        if step > given.touch_leverage:
            step, row.bound = max(0.5 * step, given.least_leverage), _TOUCH
        if math.isfinite(rule.rate_frac_per_min):
            since_ns = max(was.grown_ns, was.wish_ns)
            a_minute = rule.rate_frac_per_min * base
            least_step = max(band, _LEAST_STEP_FRAC * base, given.least_leverage)
            # Saved up is a minute's worth, so that hours of waiting are no leave to leap; or, where that is more, what
            # is worth a trade and can be one, or a slow rate would never come to it.
            room = min(a_minute * (now_ns - since_ns) / 60e9, max(a_minute, least_step))
            if room < step:
                row.bound = _RATE
            # Small change waits until it is worth a trade: a band, the smallest order, or all that is left to go.
            step = min(step, room) if room >= min(step, least_step) else 0.0
        row.target = (1.0 if wanted > 0 else -1.0) * (size + step)


@njit(cache=True, error_model="numpy")
def was_cold(watched_s: float, warm_up_s: float) -> bool:
    """Return whether the estimators have not been fed for long enough; an unknown time is not long."""
    return not watched_s >= warm_up_s


class LeverageRules:
    """Applies the rules to S symbols and remembers wishes and growth between calls.

    Args: `requires_caps` whether a cap that is unknown keeps leverage from growing: the strategy's own word.

    `inputs` (S,) of `SIZING_INPUTS` is filled by the caller before each call of `targets`.
    """

    def __init__(self, symbol_count: int, pace: Pace, limits: LeverageLimits, *, requires_caps: bool = True) -> None:
        self.inputs = sizing_inputs(symbol_count)
        self._state = sizing_state(symbol_count)
        self._rules = np.zeros(1, RULES)
        rate, band = pace.max_increase_frac_per_min, pace.band_frac
        self._rules[0] = (
            *(pace.warm_up_s, pace.persistence_s, math.inf if rate is None else rate),
            *(math.nan if band is None else band, pace.risk_aversion),
            *(limits.max_symbol_leverage, limits.max_leverage, limits.stop_out_level_frac, limits.kelly_frac),
            *(requires_caps, pace.heeds_crisis),
        )

    def targets(
        self, table: np.ndarray, factors: np.ndarray, *, equity: float, foreign: float, shrink: float, now_ns: int
    ) -> Targets:
        """Return the leverage each symbol may be traded to now, from `inputs` and these.

        Args: `table` the features; `factors` the strategy's; both may hold more symbols than there are inputs, behind
            them. `foreign` sum of |leverage| of positions that are not ours; `shrink` below 1 when margin use is over
            its limit: the share of what is held that may stay.
        Shapes: `table` (>= S,) of `FEATURES`; `factors` (F, >= S).   Units: leverage in equities; deposit currency.
        Missing: a NaN factor or side holds; NaN in `held` gives a NaN target, which nobody may trade on, unless the
            goal is 0. An infinite `held` says that no equity is left. In a crisis even what is unknown is reduced.
        """
        return self._decided(self.inputs, self._state, table, factors, (equity, foreign, shrink, now_ns))

    def preview(
        self,
        inputs: np.ndarray,
        table: np.ndarray,
        factors: np.ndarray,
        *,
        equity: float,
        foreign: float,
        shrink: float,
        now_ns: int,
    ) -> Targets:
        """Return what `targets` would answer to other inputs; nothing is remembered of it."""
        return self._decided(inputs, self._state.copy(), table, factors, (equity, foreign, shrink, now_ns))

    def _decided(
        self,
        inputs: np.ndarray,
        state: np.ndarray,
        table: np.ndarray,
        factors: np.ndarray,
        moment: tuple[float, float, float, int],
    ) -> Targets:
        rows = np.empty(len(inputs), TARGET_ROW)
        decide(table, factors, inputs, state, rows, self._rules, *moment)
        rows.flags.writeable = False
        return Targets(rows)

    def take_over(self, old: "LeverageRules", index: Mapping[int, int]) -> None:
        """Carry on where other rules stand, for the symbols both have.

        Args: `index` maps a symbol's index here to its index in `old`.
        """
        for here, there in index.items():
            self._state[here] = old._state[there]

    def note_growth(self, symbol_index: int, now_ns: int, slice_leverage: float | None = None) -> None:
        """Say that an increase of this symbol was sent, so that the rate limit starts anew.

        A slice uses up its own part of what the limit allowed the whole: the rest stays, a minute's worth at most.

        Args: `slice_leverage` of an order that is one slice of an increase, without a sign; None: it is all of it.
        """
        given, was, rate = self.inputs[symbol_index], self._state[symbol_index], self._rules[0]["rate_frac_per_min"]
        used_ns = _MINUTE_NS
        a_minute = rate * given["base"] * given["holiday_factor"]
        if slice_leverage is not None and 0 < a_minute < math.inf and slice_leverage >= 0:
            used_ns = math.ceil(slice_leverage / a_minute * _MINUTE_NS)
        was["grown_ns"] = min(now_ns, max(int(was["grown_ns"]), now_ns - _MINUTE_NS) + used_ns)
