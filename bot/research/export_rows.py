"""What a run decided, as rows: features and decisions, one a symbol that changed; orders and deals, one a change.

Each kind of rows waits until `batch` takes it; `add` is given one Decision, its number, and the engine after it.
"""

import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa

from bot.account.risk import Refused
from bot.engine.decision import DECISION_ROW, CountedDeal, Decision, EngineState, OrderChange
from bot.engine.observed import ObservedEngine
from bot.market.feature_table import FEATURES
from bot.market.features import slippage_bps
from bot.research.export_columns import FIGURE_NAMES, MONEY
from bot.sizing.bound import Bound

_BOUND_NAMES = pa.array([None if bound is Bound.NONE else bound.name.lower() for bound in Bound], pa.string())
_SMALLEST_MONEY = Decimal(1).scaleb(-MONEY.scale)
_NO_FIGURES = np.zeros(1, DECISION_ROW)
for _name in DECISION_ROW.names or ():
    if _name not in ("symbol", "bound"):
        _NO_FIGURES[_name] = np.nan
_NO_FIGURES.flags.writeable = False
_ACCOUNT = "*"  # what a refusal that concerns no symbol names


def _chosen(decision: Decision, engine: ObservedEngine, only: str | None) -> tuple[np.ndarray, list[str]]:
    """Return the rows of the symbols that are wanted, and their names."""
    rows = decision.rows
    names = [engine.specs[s].name for s in rows["symbol"].tolist()]
    if only is None or names == [only]:
        return rows, names
    return rows[[name == only for name in names]], [name for name in names if name == only]


class _Records:
    """Structured rows that collect in one array: putting thousands of small ones together is slow."""

    def __init__(self, kind: np.dtype) -> None:
        self._array, self._count = np.empty(1024, kind), 0

    def add(self, rows: np.ndarray) -> None:
        end = self._count + len(rows)
        while end > len(self._array):
            self._array = np.resize(self._array, 2 * len(self._array))
        self._array[self._count : end] = rows
        self._count = end

    def take(self) -> np.ndarray:
        """Return what has collected, good until the next `add`, and begin anew."""
        count, self._count = self._count, 0
        return self._array[:count]


class FeatureRows:
    """The feature table of the symbols that changed. Args: `only` the symbol that is wanted, None for all."""

    def __init__(self, only: str | None) -> None:
        self._only = only
        self._features = _Records(FEATURES)
        self._clear()

    def _clear(self) -> None:
        self._symbols: list[str] = []
        self._numbers: list[int] = []
        self._times: list[int] = []

    def __len__(self) -> int:
        return len(self._symbols)

    def add(self, number: int, decision: Decision, engine: ObservedEngine) -> None:
        """Take a Decision."""
        rows, names = _chosen(decision, engine, self._only)
        if names:
            assert engine.table is not None
            self._features.add(engine.table[rows["symbol"]])
            self._symbols += names
            self._numbers += [number] * len(names)
            self._times += [decision.now_ns] * len(names)

    def batch(self, schema: pa.Schema) -> pa.RecordBatch:
        """Return what waits, and wait for more."""
        features = self._features.take()
        columns: list[Any] = [self._numbers, self._times, self._symbols]
        columns += [np.ascontiguousarray(features[name]) for name in FEATURES.names or ()]
        self._clear()
        return _batch(columns, schema)


class DecisionRows:
    """Leverage, what bounds it, what was refused, and how the run stood.

    A refusal that concerns no symbol that changed, or a new state when none did, has a row of its own, without figures;
    with `only` one symbol, rows of others and of the account are left out.
    """

    def __init__(self, factor_count: int, only: str | None) -> None:
        self._factor_count, self._only = factor_count, only
        self._states: list[EngineState | None] = [None]
        self._rows = _Records(DECISION_ROW)
        self._clear()

    def _clear(self) -> None:
        self._caps: list[tuple[float, int]] = []
        self._symbols: list[str | None] = []
        self._numbers: list[int] = []
        self._times: list[int] = []
        self._refusals: list[list[dict[str, Any]]] = []
        self._states = self._states[-1:]
        self._state_of: list[int] = []

    def __len__(self) -> int:
        return len(self._symbols)

    def add(self, number: int, decision: Decision, engine: ObservedEngine) -> None:
        """Take a Decision."""
        if decision.state is not None:
            self._states.append(decision.state)
        rows, names = _chosen(decision, engine, self._only)
        told: list[str | None] = [*names]
        refused = _by_symbol(decision.refused)
        if self._only is not None:
            refused = {name: told for name, told in refused.items() if name == self._only}
        extra: list[str | None] = [name for name in refused if name not in names]
        if decision.state is not None and not names and not extra and self._only is None:
            extra = [None]
        if names:
            assert engine.targets is not None
            self._rows.add(rows)
            aims = engine.targets.rows[rows["symbol"]]
            self._caps += zip(aims["cap"].tolist(), aims["cap_bound"].tolist(), strict=True)
        for _ in extra:
            self._rows.add(_NO_FIGURES)
        self._caps += [(math.nan, 0)] * len(extra)
        told += extra
        self._symbols += told
        self._numbers += [number] * len(told)
        self._times += [decision.now_ns] * len(told)
        self._refusals += [refused.get(name, []) for name in told]
        self._state_of += [len(self._states) - 1] * len(told)

    def batch(self, schema: pa.Schema) -> pa.RecordBatch:
        """Return what waits, and wait for more."""
        rows = self._rows.take()
        caps = np.array(self._caps).reshape(-1, 2)
        level = rows["crisis_level"]
        crisis = pa.array(np.nan_to_num(level).astype(np.int8), mask=np.isnan(level))
        states, of = self._states, pa.array(self._state_of, pa.int32())
        columns: list[Any] = [self._numbers, self._times, self._symbols]
        columns += [np.ascontiguousarray(rows[name]) for name in FIGURE_NAMES]
        columns += [crisis]
        columns += [np.ascontiguousarray(rows[f"leverage_{name}"]) for name in ("now", "goal", "target")]
        columns += [_BOUND_NAMES.take(pa.array(rows["bound"]))]
        columns += [caps[:, 0].copy(), _BOUND_NAMES.take(pa.array(caps[:, 1].astype(np.int64)))]
        columns += [np.ascontiguousarray(rows["factors"][:, f]) for f in range(self._factor_count)]
        columns += [self._refusals]
        for name in ("ready", "trading", "reasons"):
            kind = schema.field(name).type
            each = [None if state is None else getattr(state, name) for state in states]
            columns.append(pa.array(each, kind).take(of))
        self._clear()
        return _batch(columns, schema)


def _by_symbol(refused: Sequence[Refused]) -> dict[str | None, list[dict[str, Any]]]:
    found: dict[str | None, list[dict[str, Any]]] = {}
    for each in refused:
        content = {"check": each.check, "value": each.value, "limit": each.limit, "reason": each.reason}
        found.setdefault(None if each.symbol == _ACCOUNT else each.symbol, []).append(content)
    return found


class ListedRows:
    """Rows that are dictionaries: orders or deals."""

    def __init__(self) -> None:
        self._rows: list[dict[str, Any]] = []

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, row: dict[str, Any]) -> None:
        """Take one row."""
        self._rows.append(row)

    def batch(self, schema: pa.Schema) -> pa.RecordBatch:
        """Return what waits, and wait for more."""
        taken = pa.RecordBatch.from_pylist(self._rows, schema=schema)
        self._rows = []
        return taken


def order_row(number: int, now_ns: int, change: OrderChange, *, paper: bool) -> dict[str, Any]:
    """Return the row of an order's new state: the keys of its JSON line."""
    order = change.order
    return {
        "number": number,
        "time": now_ns,
        "symbol": order.symbol,
        "action": order.action,
        "side": order.side,
        "volume_cents": order.volume_cents,
        "lots": order.lots,
        "order_type": order.order_type,
        "position_id": change.position_id,
        "order_id": change.order_id,
        "client_order_id": order.client_order_id,
        "leverage_now": order.leverage_now,
        "leverage_target": order.leverage_target,
        "reason": order.reason,
        "predicted_slippage_bps": order.predicted_slippage_bps,
        "margin_before": _money(order.margin_before),
        "margin_after": _money(order.margin_after),
        "margin_level_after": order.margin_level_after,
        "state": change.state,
        "error_code": change.error_code,
        "paper": paper,
        "executed_cents": change.executed_cents,
        "execution_price": change.execution_price,
    }


def deal_row(number: int, now_ns: int, counted: CountedDeal) -> dict[str, Any]:
    """Return the row of a deal; its realised slippage is against the mid at which its order was decided."""
    deal, mid = counted.deal, counted.decision_mid
    side = 1 if deal.volume_cents > 0 else -1
    return {
        "number": number,
        "time": now_ns,
        "symbol": counted.symbol,
        "executed": deal.executed_ns,
        "deal_id": deal.deal_id,
        "order_id": deal.order_id,
        "position_id": deal.position_id,
        "client_order_id": counted.client_order_id,
        "cause": counted.cause,
        "is_own": counted.is_own,
        "paper": deal.paper,
        "side": "buy" if side > 0 else "sell",
        "volume_cents": abs(deal.volume_cents),
        "closed_volume_cents": deal.closed_volume_cents,
        "price": deal.price,
        "commission": deal.commission,
        "gross_profit": deal.gross_profit,
        "swap": deal.swap,
        "close_commission": deal.close_commission,
        "balance": deal.balance,
        "decision_mid": mid,
        "predicted_slippage_bps": counted.predicted_bps,
        "realised_slippage_bps": None if mid is None else slippage_bps(deal.price, mid, side),
    }


def _money(amount: float | None) -> Decimal | None:
    """Return what the engine has estimated, as money; None for what it does not know."""
    if amount is None or not math.isfinite(amount):
        return None
    return Decimal(repr(float(amount))).quantize(_SMALLEST_MONEY)


def _batch(columns: Sequence[Any], schema: pa.Schema) -> pa.RecordBatch:
    arrays = [
        column if isinstance(column, pa.Array) else pa.array(column, field.type)
        for column, field in zip(columns, schema, strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
