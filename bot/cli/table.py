"""The live table of `run` and `demo`: what the bot sees, wants and holds, drawn while it runs."""

import math
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from bot.assembly import Run
from bot.cli.lines import iso_time
from bot.engine.decision import Decision, EngineState, IntendedOrder

_REDRAW_NS = 250_000_000


class LiveTable:
    """Redraws four times a second from the engine's own state; keeps the newest order, refusal and readiness."""

    def __init__(self, run: Run, console: Console) -> None:
        self._run = run
        self._drawn_ns = 0
        self._rows: dict[int, Any] = {}
        self._state: EngineState | None = None
        self._order: IntendedOrder | None = None
        self._order_ns = 0
        self._refusal = ""
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._live.start()

    def __call__(self, decision: Decision) -> None:
        """Take one Decision; redraw when it is time."""
        for row in decision.rows:
            self._rows[int(row["symbol"])] = row.copy()
        self._state = decision.state or self._state
        if decision.intended:
            self._order, self._order_ns = decision.intended[-1], decision.now_ns
        if decision.refused:
            last = decision.refused[-1]
            self._refusal = f"{iso_time(decision.now_ns)[11:19]} {last.symbol} {last.check}: {last.reason}"
        if decision.now_ns - self._drawn_ns >= _REDRAW_NS:
            self._drawn_ns = decision.now_ns
            self._live.update(self._draw(), refresh=True)

    def close(self) -> None:
        """Take the table off the screen."""
        self._live.stop()

    def _draw(self) -> Group:
        # No lines and one space between columns: it has to fit into 80 columns.
        table = Table(title=self._title(), title_justify="left", box=None, padding=(0, 1, 0, 0), pad_edge=False)
        table.add_column("symbol", no_wrap=True)
        for name in ("bid", "ask", "spread\nbps", "bid\ndepth", "ask\ndepth", "OBI", "OFI", "liqu.", "now", "wanted"):
            table.add_column(name, justify="right", no_wrap=True)
        features = self._run.engine.features
        for s, row in sorted(self._rows.items()):
            spec = self._run.engine.specs[s]
            bid, ask = (math.nan, math.nan) if features is None else (features.bid[s], features.ask[s])
            table.add_row(
                spec.name,
                _number(bid, f".{spec.digits}f"),
                _number(ask, f".{spec.digits}f"),
                _number(row["spread_bps"], ".2f"),
                _size(row["bid_depth_units"]),
                _size(row["ask_depth_units"]),
                _number(row["obi"], "+.2f"),
                _number(row["ofi"], "+.1f"),
                _number(row["liquidity_ratio"], ".2f"),
                _number(row["leverage_now"], "+.2f") + "x",
                _number(row["leverage_goal"], "+.2f") + "x",
            )
        return Group(table, *self._footer())

    def _title(self) -> str:
        engine = self._run.engine
        margin = engine.used_margin()
        level = f"{engine.valuation.equity / margin:.1f}" if margin > 0 else "-"
        currency = engine.account.deposit_asset if engine.account is not None else ""
        equity = _number(engine.valuation.equity, ",.2f")
        return f"microlev  {self._run.config.mode}  equity {equity} {currency}  margin level {level}"

    def _footer(self) -> list[Text]:
        lines = []
        if self._state is not None:
            reasons = "; ".join(self._state.texts) or "nothing stands in the way"
            standing = "ready" if self._state.ready else "not ready"
            lines.append(Text(f"{standing}, trading {self._state.trading}: {reasons}"))
        if self._order is not None:
            o = self._order
            what = f"{o.action} {o.side} {o.lots:g} lots {o.symbol}"
            lines.append(Text(f"last order {iso_time(self._order_ns)[11:19]}: {what}, {o.reason}"))
        if self._refusal:
            lines.append(Text(f"last refusal {self._refusal}"))
        return lines


def _number(number: float, form: str) -> str:
    return "-" if math.isnan(number) else format(number, form)


def _size(units: float) -> str:
    if math.isnan(units):
        return "-"
    for bound, letter in ((1e6, "M"), (1e3, "k")):
        if units >= bound:
            return f"{units / bound:.{_decimals(units / bound)}f}{letter}"
    return f"{units:.{_decimals(units)}f}"


def _decimals(number: float) -> int:
    """Three figures are enough to see how a book changes."""
    return 2 if number < 10 else 1 if number < 100 else 0
