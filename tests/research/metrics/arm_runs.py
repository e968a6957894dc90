"""Runs of arms for the tests of metrics: a plain one, and a random one with closed hours, gaps and unknown figures."""

from typing import Any

import numpy as np

from bot.research.metrics.arm_run import ARM_FILL, SECOND_NS, ArmRun

MONDAY_NS = 1_399_248_000 * SECOND_NS  # 2014-05-05 00:00 UTC


def fill(at_s: float, units: float, price: float, decided: float, **other: Any) -> tuple[Any, ...]:
    """A fill, in the deposit currency's own market, on an equity of 1000 unless said otherwise."""
    known = {"mid_at_fill": decided, "predicted_slippage_bps": np.nan, "commission": 0.0, "equity": 1000.0}
    known |= {"notional": abs(units) * decided, "own_impact_bps": np.nan, "symbol": 0} | other
    by_name = {"time_ns": MONDAY_NS + round(at_s * SECOND_NS), "units": units, "price": price}
    by_name |= {"mid_at_decision": decided} | known
    return tuple(by_name[name] for name in ARM_FILL.names or ())


def fills_of(*rows: tuple[Any, ...]) -> np.ndarray:
    return np.array(list(rows), ARM_FILL)


def run_of(equity: Any, *, at_s: Any = None, fills: np.ndarray | None = None, **other: Any) -> ArmRun:
    """A run of one symbol that holds nothing, a row a second, unless said otherwise."""
    equity = np.asarray(equity, float)
    count = len(equity)
    time_ns = MONDAY_NS + (np.arange(count) if at_s is None else np.asarray(at_s)) * SECOND_NS
    columns = {
        "leverage": np.zeros((count, 1)),
        "crisis_level": np.zeros((count, 1), np.int64),
        "exit_cost_bps": np.full((count, 1), np.nan),
        "is_capped": np.zeros((count, 1), np.bool_),
        "name": "arm",
    }
    for name in ("leverage", "crisis_level", "exit_cost_bps", "is_capped"):
        if name in other:
            other[name] = np.asarray(other[name]).reshape(count, -1)
    columns |= other
    return ArmRun(time_ns=time_ns, equity=equity, fills=fills_of() if fills is None else fills, **columns)


def random_run(seed: int, count: int = 4000, symbols: int = 2, step_s: int = 1, **other: Any) -> ArmRun:
    """A run with two closed stretches, short gaps, and figures that are unknown here and there."""
    source = np.random.default_rng(seed)
    at_s = np.arange(count) * step_s
    at_s = at_s + 7200 * (at_s > count * step_s // 3) + 90_000 * (at_s > count * step_s // 2)
    kept = source.random(count) > 0.02
    kept[0] = True
    at_s = at_s[kept]
    count = len(at_s)
    equity = 1000 * np.exp(np.cumsum(source.standard_normal(count) * 1e-4))
    leverage = source.normal(0, 2, (count, symbols)) * (source.random((count, symbols)) > 0.2)
    exit_cost = np.where(leverage != 0, source.exponential(0.5, (count, symbols)), np.nan)
    exit_cost[source.random((count, symbols)) < 0.05] = np.nan
    number = 60
    rows = []
    for at in np.sort(source.choice(at_s, number)):
        decided = 1.1 + source.normal(0, 0.001)
        rows.append(
            fill(
                at + 0.05,
                float(source.normal(0, 500)),
                decided + source.normal(0, 1e-5),
                np.nan if source.random() < 0.1 else decided,
                mid_at_fill=decided + source.normal(0, 1e-5),
                predicted_slippage_bps=source.exponential(0.1),
                commission=source.exponential(0.01),
                notional=source.exponential(500),
                equity=float(equity[np.searchsorted(at_s, at)]),
                own_impact_bps=np.nan if source.random() < 0.3 else source.exponential(0.2),
                symbol=int(source.integers(symbols)),
            )
        )
    columns: dict[str, Any] = {
        "leverage": leverage,
        "crisis_level": source.choice([0, 0, 0, 1, 2, 3], (count, symbols)),
        "exit_cost_bps": exit_cost,
        "is_capped": source.random((count, symbols)) < 0.1,
        "swap": -1.5,
        "base_leverage": 4.0,
    }
    return run_of(equity, at_s=at_s, fills=fills_of(*rows), **(columns | other))
