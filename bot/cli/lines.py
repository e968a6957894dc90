"""Decisions as JSON lines: the contract of `--json`, one object a line, flushed at once."""

import json
from dataclasses import asdict
from typing import Any, TextIO

from bot.assembly import Run
from bot.engine.decision import Decision, OrderChange
from bot.telemetry.plain import iso_time, known, without_nan

_SECOND = 1_000_000_000


class JsonLines:
    """Writes every Decision's lines. A `decision` line comes at most once a second and symbol.

    Args: `account` is written on every line when it is given.
    """

    def __init__(self, run: Run, out: TextIO, account: int | None = None) -> None:
        self._run = run
        self._account = account
        self._out = out
        # The engine does not know in which mode it runs: what it says before a fill ("sent") is neither paper nor real.
        self._is_paper = run.config.mode == "dry-run"
        self._factor_names = run.engine.strategy.factor_names
        self._shown_ns: dict[int, int] = {}

    def __call__(self, decision: Decision) -> None:
        """Write the lines of one Decision."""
        due = [row for row in decision.rows if self._is_due(int(row["symbol"]), decision.now_ns)]
        if decision.is_quiet and not due:
            return
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
        for row in due:
            symbol = int(row["symbol"])
            self._shown_ns[symbol] = decision.now_ns
            self._write(self._decision_line(time, symbol, row))
        for refusal in decision.refused:
            self._write({"type": "refused", "time": time, **asdict(refusal)})
        for order in decision.intended:
            self._write({"type": "intended_order", "time": time, **asdict(order)})
        for change in decision.order_changes:
            self._write(order_line(time, change, paper=self._is_paper or change.paper))

    def write_summary(self, summary: dict[str, Any]) -> None:
        """Write the last line of a run."""
        self._write(summary)

    def _is_due(self, symbol: int, now_ns: int) -> bool:
        last = self._shown_ns.get(symbol)
        return last is None or now_ns - last >= _SECOND

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
            "fill_frac": known(row["fill_frac"]),
            "liquidity_ratio": known(row["liquidity_ratio"]),
            "leverage_now": known(row["leverage_now"]),
            "leverage_target": known(row["leverage_target"]),
            "factors": {name: known(row["factors"][i]) for i, name in enumerate(self._factor_names)},
            "crisis_level": int(row["crisis_level"]),
        }

    def _write(self, line: dict[str, Any]) -> None:
        if self._account is not None:
            line = line | {"account": self._account}
        self._out.write(json.dumps(without_nan(line), separators=(", ", ": "), allow_nan=False) + "\n")
        self._out.flush()


def order_line(time: str, change: OrderChange, *, paper: bool) -> dict[str, Any]:
    """Return the `order` line of a state change: the intended order's keys, and what became of it."""
    return {
        "type": "order",
        "time": time,
        **asdict(change.order),
        "order_id": change.order_id,
        "position_id": change.position_id,
        "state": change.state,
        "error_code": change.error_code,
        "paper": paper,
        "executed_cents": change.executed_cents,
        "execution_price": change.execution_price,
    }
