"""The leverage rules once more, one symbol at a time, said plainly: the oracle of the compiled pass."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from bot.sizing import formulas
from bot.sizing.bound import Bound
from bot.sizing.leverage import LeverageLimits, Pace

NAN, INF = math.nan, math.inf
S = 1_000_000_000


@dataclass
class _Memory:
    wish_ns: int | None = None
    grown_ns: int = -1
    sliced_ns: float = -INF
    low: tuple[float, int, float] | None = None
    sample: tuple[float, int] | None = None
    changes: list[tuple[float, float]] = field(default_factory=list)
    """(days, squared change per day) of each look, oldest first."""


@dataclass
class PlainRules:
    """The same rules as `LeverageRules`, from lists."""

    pace: Pace
    limits: LeverageLimits
    requires_caps: bool = True
    memory: dict[int, _Memory] = field(default_factory=dict)

    def targets(
        self,
        table: np.ndarray,
        factors: np.ndarray,
        inputs: np.ndarray,
        equity: float,
        foreign: float,
        shrink: float,
        now_ns: int,
    ) -> list[tuple[float, float, bool, bool, Bound]]:
        """Return (goal, target, forced, urgent, bound) of each symbol."""
        count = len(inputs)
        wishes = [self._wish(table[s], inputs[s], factors[:, s]) for s in range(count)]
        caps = [self._caps(s, table[s], inputs[s], wishes[s], equity, now_ns) for s in range(count)]
        goals, capped = list(wishes), [Bound.NONE] * count
        for s, (cap, which, _) in enumerate(caps):
            if abs(wishes[s]) > 0.99 * cap:
                goals[s], capped[s] = math.copysign(0.99 * cap, wishes[s]), which
        room = max(self.limits.max_leverage - foreign, 0.0)
        held = [float(inputs[s]["held"]) for s in range(count)]
        wanted = sum(abs(h if math.isnan(g) else g) for g, h in zip(goals, held, strict=True))
        if 0.99 * room < wanted < INF:
            capped = [Bound.MAX_TOTAL if g != 0 else c for g, c in zip(goals, capped, strict=True)]
            goals = [g * 0.99 * room / wanted for g in goals]
        total = sum(abs(h) for h in held if not math.isnan(h))
        share = room / total if total > room else 1.0
        broken = Bound.MARGIN if shrink <= share else Bound.MAX_TOTAL
        found = []
        for s in range(count):
            self._look(s, goals[s], now_ns)
            level = table[s]["crisis_level"] if self.pace.heeds_crisis else 0
            goal = 0.0 if level == 3 else goals[s] * formulas.CRISIS_MULTIPLIERS[int(level)]
            target, forced, urgent, bound = self._move(
                s, table[s], inputs[s], goal, caps[s], capped[s], min(share, shrink), broken, int(level), now_ns
            )
            found.append((goal, target, forced, urgent, bound))
        return found

    def _wish(self, market: np.void, given: np.void, factors: Sequence[float]) -> float:
        if given["side"] == 0:
            return 0.0
        product = math.prod(factors)
        if not 0 <= product < INF:
            return NAN
        if market["is_spot_only"] and product > 1:
            product = 1.0
        return float(given["side"] * given["base"] * given["holiday_factor"] * product)

    def _caps(
        self, s: int, market: np.void, given: np.void, wish: float, equity: float, now_ns: int
    ) -> tuple[float, Bound, bool]:
        held = given["held"]
        side = np.sign(held) if held != 0 and not math.isnan(held) else np.sign(wish)
        side = 0.0 if math.isnan(side) else float(side)
        slow = market["slow_volatility_bps"]
        sigma = formulas.daily_volatility_frac(market["volatility_bps"] if math.isnan(slow) else slow)
        kelly = float(
            formulas.kelly_cap(given["expected_return"], given["expected_error"], sigma, self.limits.kelly_frac)
        )
        required = formulas.required_distance_frac(
            market["volatility_bps"],
            slow,
            market["worst_minute_bps"],
            market["usual_round_trip_bps"],
            given["minutes_s"],
        )
        stop_out = float(formulas.stop_out_cap(required, given["margin_rate"], self.limits.stop_out_level_frac))
        units = market["buy_capacity_units"] if side < 0 else market["sell_capacity_units"]
        units = INF if math.isnan(units) and market["is_spot_only"] else units
        exit_cost = self._low(s, float(formulas.units_cap(units, given["unit_notional"], equity)), side, now_ns)
        volume = float(formulas.units_cap(given["max_units"], given["unit_notional"], equity))
        caps = [
            (self.limits.max_symbol_leverage, Bound.MAX_SYMBOL),
            (kelly, Bound.KELLY),
            (stop_out, Bound.STOP_OUT),
            (exit_cost, Bound.EXIT_COST),
            (volume, Bound.MAX_VOLUME),
        ]
        unknown = self.requires_caps and any(math.isnan(cap) for cap, _ in caps)
        cap, bound = min((c for c in caps if not math.isnan(c[0])), key=lambda c: c[0])
        return cap, bound, unknown

    def _low(self, s: int, cap: float, side: float, now_ns: int) -> float:
        memory = self.memory.setdefault(s, _Memory())
        if not math.isfinite(cap):
            return cap
        low = cap
        if memory.low is not None and memory.low[2] == side:
            before, before_ns, _ = memory.low
            low = min(cap, before + (cap - before) * (1 - 0.5 ** ((now_ns - before_ns) / 60e9)))
        memory.low = (low, now_ns, side)
        return low

    def _look(self, s: int, wish: float, now_ns: int) -> None:
        memory = self.memory[s]
        if math.isnan(wish):
            memory.sample = None
        elif memory.sample is None:
            memory.sample = (wish, now_ns)
        elif now_ns - memory.sample[1] >= 60e9:
            seconds = (now_ns - memory.sample[1]) / 1e9
            if seconds <= 300:
                days = seconds / 86400
                memory.changes.append((days, (wish - memory.sample[0]) ** 2 / days))
            memory.sample = (wish, now_ns)

    def half_band(self, s: int, market: np.void, base: float) -> float:
        """Return the half-width of the no-trade band."""
        if self.pace.band_frac is not None:
            return self.pace.band_frac * base
        cost = market["round_trip_bps"]
        cost = cost if math.isfinite(cost) else market["usual_round_trip_bps"]
        slow = market["slow_volatility_bps"]
        sigma = float(formulas.daily_volatility_frac(market["volatility_bps"] if math.isnan(slow) else slow))
        changes = self.memory[s].changes
        if round(sum(days for days, _ in changes) * 86400, 3) < 3600 or math.isnan(cost) or not sigma > 0:
            return 0.25 * base
        weights, ahead = [], 1.0
        for days, _ in reversed(changes):
            decay = 0.5**days
            weights.append(ahead * (1 - decay))
            ahead *= decay
        variance = sum(w * v for w, (_, v) in zip(weights, reversed(changes), strict=True)) / sum(weights)
        width = formulas.band_half_width(cost / 2e4, variance, self.pace.risk_aversion, sigma)
        return min(max(width, 0.05 * base), 0.5 * base)

    def _move(
        self,
        s: int,
        market: np.void,
        given: np.void,
        goal: float,
        caps: tuple[float, Bound, bool],
        capped: Bound,
        share: float,
        broken: Bound,
        level: int,
        now_ns: int,
    ) -> tuple[float, bool, bool, Bound]:
        """Return (target, forced, urgent, bound)."""
        memory = self.memory[s]
        wish_ns, memory.wish_ns = memory.wish_ns, None  # put back only while the wish to grow lasts
        held, base = float(given["held"]), float(given["base"] * given["holiday_factor"])
        band = self.half_band(s, market, base)
        if math.isnan(held):
            return (0.0 if goal == 0 else NAN), False, False, capped
        if math.isinf(held):
            return 0.0, True, True, capped
        side, size = (1.0 if held >= 0 else -1.0), abs(held)
        why = capped
        if math.isnan(goal):
            left = min(size, formulas.CRISIS_MULTIPLIERS[level] * base) if level else size
            goal, why = side * left, Bound.CRISIS if left < size else Bound.UNKNOWN_FACTOR
        along = goal * side  # negative is the other side
        cap, cap_bound, caps_unknown = caps
        if size > cap or share < 1.0:
            aim = min(max(along, 0.0), 0.99 * min(cap, size * share))
            cut = self._affordable(size, aim, given, base)
            at_once = self._is_whole(memory, size, cut, aim, now_ns)
            most = self.limits.max_symbol_leverage
            if size <= most and share >= 1.0:  # the market's word alone
                if cut == size:
                    return held, False, False, Bound.EXIT_EMPTY
                return side * cut, True, at_once, cap_bound
            if size == 0:
                return 0.0, False, False, broken
            if cut > 0.99 * min(most, size * share):
                return (
                    side * 0.99 * min(most, size * share),
                    True,
                    True,
                    Bound.MAX_SYMBOL if most <= size * share else broken,
                )
            return side * cut, True, True, cap_bound if size > cap else broken
        if level:
            aim = min(max(along, 0.0), size)
            if 0 < aim < size and size - aim <= 0.05 * base:
                aim = size
            cut = self._affordable(size, aim, given, base)
            at_once = self._is_whole(memory, size, cut, aim, now_ns)
            if aim < size and cut == size:
                return held, False, False, Bound.EXIT_EMPTY
            return side * cut, cut < size, at_once and cut < size, Bound.CRISIS
        target, why = self._follow(memory, given, goal, band, why, capped, caps_unknown, wish_ns, now_ns)
        return target, False, False, why

    def _affordable(self, size: float, aim: float, given: np.void, base: float) -> float:
        if size - aim <= given["exit_leverage"]:
            return aim
        if given["exit_leverage"] < 0.05 * base:
            return size
        whole = size - aim <= given["least_leverage"]
        return aim if whole else float(size - max(given["exit_leverage"], given["least_leverage"]))

    def _is_whole(self, memory: _Memory, size: float, cut: float, aim: float, now_ns: int) -> bool:
        if aim < cut < size:
            memory.sliced_ns = now_ns
        return cut == aim and now_ns - memory.sliced_ns >= S

    def _follow(
        self,
        memory: _Memory,
        given: np.void,
        goal: float,
        band: float,
        why: Bound,
        capped: Bound,
        caps_unknown: bool,
        wish_ns: int | None,
        now_ns: int,
    ) -> tuple[float, Bound]:
        """Return the target and the bound where no limit is broken and there is no crisis."""
        held, base = float(given["held"]), float(given["base"] * given["holiday_factor"])
        side, size = (1.0 if held >= 0 else -1.0), abs(held)
        along = goal * side
        if size > 0 and along <= 0:
            return 0.0, why
        if size == 0:
            side, along = math.copysign(1.0, goal), abs(goal)
        touch = given["touch_leverage"]
        if along <= size:
            target = formulas.traded_to_edge(size, along, band / 2)
            if target == size:
                return held, Bound.BAND if along < size and not capped else why
            if size - target > touch:
                half = max((size - target) / 2, min(size - target, given["least_leverage"]))
                return side * (size - half), Bound.TOUCH
            return side * target, why
        moving = capped in (Bound.KELLY, Bound.STOP_OUT, Bound.EXIT_COST, Bound.MAX_VOLUME)
        for stops, bound in (
            (given["barred"] != 0, Bound(int(given["barred"]))),
            (caps_unknown, Bound.UNKNOWN_CAP),
            (not given["watched_s"] >= self.pace.warm_up_s, Bound.WARM_UP),
            (along - size <= band + (0.05 * base if moving else 0.0), capped or Bound.BAND),
            (size == 0 and along - band < given["least_leverage"], Bound.LEAST_ORDER),
            (along - size - band < given["least_leverage"], capped or Bound.BAND),
        ):
            if stops:
                return held, bound
        wish_ns = memory.wish_ns = now_ns if wish_ns is None else wish_ns
        if now_ns - wish_ns < self.pace.persistence_s * 1e9:
            return held, Bound.PERSISTENCE
        growth = along - band - size
        if growth > touch:
            growth, why = max(growth / 2, given["least_leverage"]), Bound.TOUCH
        rate = self.pace.max_increase_frac_per_min
        if rate is not None:
            room = rate * base * (now_ns - max(wish_ns, memory.grown_ns)) / 60e9
            worth_it = max(band, base / 100, given["least_leverage"])
            room = min(room, max(rate * base, worth_it))
            if room < growth:
                why = Bound.RATE
            if room < min(growth, worth_it):
                return held, why
            growth = min(growth, room)
        return side * (size + growth), why
