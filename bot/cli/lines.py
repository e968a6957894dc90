"""Decisions as JSON lines: the contract of `--json`, one object a line, flushed at once."""

import json
import math
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, TextIO

from bot.assembly import Run
from bot.engine.decision import Decision, OrderChange

_SECOND = 1_000_000_000


def iso_time(ns: int) -> str:
    """Return ns since the epoch as ISO 8601 UTC with milliseconds and `Z`."""
    moment = datetime.fromtimestamp(ns // 1_000_000 / 1000, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def known(number: float) -> float | None:
    """Return a number that JSON can hold, or None for NaN and infinity."""
    return float(number) if math.isfinite(number) else None


class JsonLines:
    """Writes every Decision's lines. A `decision` line comes at most once a second and symbol."""

    def __init__(self, run: Run, out: TextIO) -> None:
        self._run = run
        self._out = out
        self._factor_names = run.engine.strategy.factor_names
        self._shown_ns: dict[int, int] = {}

    def __call__(self, decision: Decision) -> None:
        """Write the lines of one Decision."""
        time = iso_time(decision.now_ns)
        if decision.state is not None:
            state = decision.state
            self._write(
                {
                    "type": "state",
                    "time": time,
                    "ready": state.ready,
                    "reasons": state.reasons,
                    "texts": state.texts,
                    "trading": state.trading,
                }
            )
        for row in decision.rows:
            symbol = int(row["symbol"])
            last = self._shown_ns.get(symbol)
            if last is None or decision.now_ns - last >= _SECOND:
                self._shown_ns[symbol] = decision.now_ns
                self._write(self._decision_line(time, symbol, row))
        for refusal in decision.refused:
            self._write({"type": "refused", "time": time, **asdict(refusal)})
        for order in decision.intended:
            self._write({"type": "intended_order", "time": time, **asdict(order)})
        for change in decision.order_changes:
            self._write(order_line(time, change))

    def write_summary(self, summary: dict[str, Any]) -> None:
        """Write the last line of a run."""
        self._write(summary)

    def _decision_line(self, time: str, symbol: int, row: Any) -> dict[str, Any]:
        return {
            "type": "decision",
            "time": time,
            "symbol": self._run.engine.specs[symbol].name,
            "mid": known(row["mid"]),
            "spread_bps": known(row["spread_bps"]),
            "bid_depth_units": known(row["bid_depth_units"]),
            "ask_depth_units": known(row["ask_depth_units"]),
            "obi": known(row["obi"]),
            "ofi": known(row["ofi"]),
            "impact_bps": known(row["impact_bps"]),
            "fill_frac": None,  # measured from own orders; not in this version
            "liquidity_ratio": known(row["liquidity_ratio"]),
            "leverage_now": known(row["leverage_now"]),
            "leverage_target": known(row["leverage_target"]),
            "factors": {name: known(row["factors"][i]) for i, name in enumerate(self._factor_names)},
            "crisis_level": None,  # the crisis detector is not in this version
        }

    def _write(self, line: dict[str, Any]) -> None:
        self._out.write(json.dumps(line, separators=(", ", ": "), allow_nan=False) + "\n")
        self._out.flush()


def order_line(time: str, change: OrderChange) -> dict[str, Any]:
    """Return the `order` line of a state change: the intended order's keys, and what became of it."""
    return {
        "type": "order",
        "time": time,
        **asdict(change.order),
        "order_id": change.order_id,
        "position_id": change.position_id,
        "state": change.state,
        "error_code": change.error_code,
        "paper": change.paper,
        "executed_cents": change.executed_cents,
        "execution_price": change.execution_price,
    }
