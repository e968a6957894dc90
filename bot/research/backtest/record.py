"""What a backtest keeps: a row of the account and every symbol a clock, a row a fill, and what was refused or rejected.

How it works: rows go into arrays that are handed on when a day (UTC) is over, so that a year does not pile up. A row
is written after a decision, from what the engine knew then; equity is the engine's, and compared with the venue's at
the end.
"""

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numba import njit

from bot.engine.decision import Decision
from bot.engine.engine import Engine
from bot.research.backtest.exit_cost import exit_costs_bps
from bot.research.backtest.replayed_venue import ReplayedVenue
from bot.sizing.bound import Bound
from bot.sizing.strategy import MAX_FACTORS

_DAY_NS = 86_400_000_000_000
_PER_SYMBOL = (
    ("mid", np.float64), ("spread_bps", np.float64), ("bid_depth_units", np.float64), ("ask_depth_units", np.float64),
    ("liquidity_ratio", np.float64), ("volatility_bps", np.float64), ("goal", np.float64), ("target", np.float64),
    ("leverage", np.float64), ("exit_cost_bps", np.float64), ("bound", np.int64), ("crisis_level", np.int64),
)  # fmt: skip
_FIRST_CAP, _LAST_CAP = int(Bound.KELLY), int(Bound.MARGIN)

FILL = np.dtype(
    [
        ("time_ns", np.int64), ("symbol", np.int64), ("units", np.float64), ("price", np.float64),
        ("mid_at_decision", np.float64), ("mid_at_fill", np.float64), ("predicted_slippage_bps", np.float64),
        ("commission", np.float64), ("notional", np.float64), ("equity", np.float64), ("own_impact_bps", np.float64),
        ("decided_ns", np.int64), ("crisis_level", np.int64), ("is_ours", np.bool_),
    ]
)  # fmt: skip
"""A deal. Units: `units` signed; `commission` (positive when paid) and `notional` in deposit currency; slippage in bps,
positive against us; `own_impact_bps` what our own earlier fills have added to it. Missing: NaN where unknown."""


def clock_dtype(symbol_count: int) -> np.dtype:
    """Return the row of one clock.

    Units: `equity` deposit currency; leverage signed, in equities; costs and spread bps; `bound` of `bot.sizing.bound`;
    `factors` in the strategy's order, NaN beyond. Missing: NaN.
    """
    fields: list[tuple[object, ...]] = [("time_ns", np.int64), ("equity", np.float64)]
    fields += [(name, kind, (symbol_count,)) for name, kind in _PER_SYMBOL]
    fields += [("factors", np.float64, (symbol_count, MAX_FACTORS))]
    return np.dtype(fields)  # type: ignore[arg-type]


def is_capped(bound: np.ndarray) -> np.ndarray:
    """Tell where a cap holds the target back, from the field `bound` of clock rows."""
    return np.asarray((bound >= _FIRST_CAP) & (bound <= _LAST_CAP))


@dataclass(frozen=True, slots=True, eq=False)
class Day:
    """What one UTC day left. Shapes: `clocks` (N,) of `clock_dtype`, `fills` (F,) of `FILL`."""

    clocks: np.ndarray
    fills: np.ndarray


@njit(cache=True, error_model="numpy")
def _write_row(  # type: ignore[no-untyped-def]
    rows, used, now_ns, equity, table, aims, leverage, factors, costs
) -> None:
    row = rows[used]
    row.time_ns, row.equity = now_ns, equity
    for s in range(len(costs)):
        tb, aim = table[s], aims[s]
        row.mid[s], row.spread_bps[s] = tb.mid, tb.spread_bps
        row.bid_depth_units[s], row.ask_depth_units[s] = tb.bid_depth_units, tb.ask_depth_units
        row.liquidity_ratio[s], row.volatility_bps[s] = tb.liquidity_ratio, tb.volatility_bps
        row.goal[s], row.target[s], row.leverage[s] = aim.goal, aim.target, leverage[s]
        row.exit_cost_bps[s], row.bound[s], row.crisis_level[s] = costs[s], aim.bound, np.int64(tb.crisis_level)
        for f in range(row.factors.shape[1]):
            row.factors[s, f] = factors[f, s] if f < factors.shape[0] else math.nan


class Recorder:
    """Writes the rows of a run.

    Args: `clock_ns` the least time between two rows; `on_day` takes each day when it is over, and the last one.
    """

    def __init__(
        self, engine: Engine, venue: ReplayedVenue, symbol_count: int, clock_ns: int, on_day: Callable[[Day], None]
    ) -> None:
        self._engine, self._venue, self._books, self.on_day = engine, venue, venue.replayed, on_day
        self._count, self._clock_ns = symbol_count, clock_ns
        self._dtype = clock_dtype(symbol_count)
        self._rows, self._used = np.zeros(4096, self._dtype), 0
        self._fills: list[tuple[object, ...]] = []
        self._tick = self._day = -1
        self._costs = np.empty(symbol_count)
        self.refused: Counter[str] = Counter()
        self.rejected: Counter[str] = Counter()
        self.orders: Counter[str] = Counter()
        self.decisions = 0
        self.stop_outs_ns: list[int] = []

    def decided(self, decision: Decision, now_ns: int, *, is_asleep: bool) -> None:
        """Take what the engine decided; its rows are written when a clock has passed, unless the market sleeps."""
        self.decisions += 1
        if decision.deals or decision.order_changes or decision.refused:
            self._note(decision, now_ns)
        if is_asleep:
            return
        tick = now_ns // self._clock_ns
        if tick != self._tick:
            self._tick = tick
            self._write(now_ns)

    def finish(self) -> None:
        """Hand on the last day."""
        if self._used or self._fills:
            self._end_day()

    def _note(self, decision: Decision, now_ns: int) -> None:
        engine = self._engine
        for refused in decision.refused:
            self.refused[refused.check] += 1
        for change in decision.order_changes:
            self.orders[change.state] += 1
            if change.state == "rejected":
                self.rejected[change.error_code or "unknown"] += 1
        features = engine.features
        for counted in decision.deals:
            deal = counted.deal
            place = next((i for i, spec in enumerate(engine.specs) if spec.symbol_id == deal.symbol_id), -1)
            if place < 0 or features is None:
                continue
            if counted.cause == "stop_out":
                self.stop_outs_ns.append(deal.executed_ns)
            units, note = deal.volume_cents / 100, self._venue.take_fill_note(deal.symbol_id, deal.executed_ns)
            commission = -float(deal.commission)
            rate = engine.quote_rate(place)
            row = (
                *(deal.executed_ns, place, units, deal.price, _number(counted.decision_mid), note.mid),
                *(_number(counted.predicted_bps), commission, abs(units) * deal.price * rate, engine.valuation.equity),
                *(note.own_impact_bps, now_ns, int(features.crisis_level[place]), counted.cause == "ours"),
            )
            self._fills.append(row)

    def _write(self, now_ns: int) -> None:
        engine = self._engine
        table, targets, factors = engine.table, engine.targets, engine.factors
        if table is None or targets is None or factors is None:
            return
        day = now_ns // _DAY_NS
        if day != self._day:
            if self._day >= 0:
                self._end_day()
            self._day = day
        if self._used == len(self._rows):
            self._rows = np.concatenate([self._rows, np.zeros_like(self._rows)])
        valuation, arrays = engine.valuation, self._books.arrays
        # Of the traded symbols: those that only convert money are loaded behind them, and have no row.
        exit_costs_bps(arrays.levels, arrays.heads, engine.held_units[: self._count], self._costs)
        _write_row(
            self._rows, self._used, now_ns, valuation.equity, table, targets.rows, valuation.leverage, factors,
            self._costs,
        )  # fmt: skip
        self._used += 1

    def _end_day(self) -> None:
        self.on_day(Day(self._rows[: self._used].copy(), np.array(self._fills, FILL)))
        self._used, self._fills = 0, []


def _number(value: float | None) -> float:
    return math.nan if value is None else value
