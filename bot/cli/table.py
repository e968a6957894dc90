"""The live table of `run` and `demo`: what the bot sees, wants and holds, and why, drawn while it runs.

A terminal of 100 columns shows every figure; a narrower one leaves out what the lines below the table say as well.
"""

import math
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from bot.assembly import Run
from bot.engine.decision import Decision, EngineState, IntendedOrder
from bot.sizing.bound import Bound
from bot.telemetry.plain import iso_time

_REDRAW_NS = 250_000_000
_WIDE = 100
_BOUND = {
    Bound.NONE: "",
    Bound.KELLY: "Kelly",
    Bound.STOP_OUT: "stop-out",
    Bound.EXIT_COST: "exit cost",
    Bound.MAX_VOLUME: "max. volume",
    Bound.MAX_SYMBOL: "symbol limit",
    Bound.MAX_TOTAL: "total limit",
    Bound.MARGIN: "margin use",
    Bound.CRISIS: "crisis",
    Bound.CALENDAR: "calendar",
    Bound.NOT_READY: "not ready",
    Bound.HANDS_OFF: "hands off",
    Bound.UNKNOWN_FACTOR: "unknown",
    Bound.UNKNOWN_CAP: "unknown cap",
    Bound.EXIT_EMPTY: "no exit",
    Bound.WARM_UP: "warm-up",
    Bound.PERSISTENCE: "persistence",
    Bound.RATE: "rate",
    Bound.BAND: "band",
    Bound.TOUCH: "best level",
    Bound.QUOTES: "quotes",
    Bound.LEAST_ORDER: "too small",
}
"""What binds, in the width of a column; the line below the table says it in full."""
_BINDS = "bound by"
_WIDE_ONLY = ("bid\ndepth", "ask\ndepth", "OBI", "OFI")


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
        cells = [(self._run.engine.specs[s].name, self._cells(s, row)) for s, row in sorted(self._rows.items())]
        if cells:
            is_wide = self._live.console.width >= _WIDE
            shown = [name for name in cells[0][1] if is_wide or name not in _WIDE_ONLY]
            table.add_column("symbol", no_wrap=True)
            for name in shown:
                table.add_column(name, justify="left" if name == _BINDS else "right", no_wrap=True)
            for symbol, figures in cells:
                table.add_row(symbol, *(figures[name] for name in shown))
        return Group(table, *self._footer())

    def _cells(self, s: int, row: Any) -> dict[str, str]:
        """Return the figures of one symbol by column."""
        features, digits = self._run.engine.features, self._run.engine.specs[s].digits
        bid, ask = (math.nan, math.nan) if features is None else (features.bid[s], features.ask[s])
        return {
            "bid": _number(bid, f".{digits}f"),
            "ask": _number(ask, f".{digits}f"),
            "spread\nbps": _number(row["spread_bps"], ".2f"),
            "bid\ndepth": _size(row["bid_depth_units"]),
            "ask\ndepth": _size(row["ask_depth_units"]),
            "OBI": _number(row["obi"], "+.2f"),
            "OFI": _number(row["ofi"], "+.1f"),
            "imp.\nbps": _number(row["impact_bps"], ".2f"),
            "liqu.": _number(row["liquidity_ratio"], ".2f"),
            "cri-\nsis": f"{row['crisis_level']:.0f}",
            "now": _number(row["leverage_now"], "+.2f") + "x",
            "wanted": _number(row["leverage_goal"], "+.2f") + "x",
            _BINDS: _BOUND[Bound(int(row["bound"]))],
        }

    def _title(self) -> str:
        engine = self._run.engine
        margin = engine.used_margin()
        level = f"{engine.valuation.equity / margin:.1f}" if margin > 0 else "-"
        currency = engine.account.deposit_asset if engine.account is not None else ""
        equity = _number(engine.valuation.equity, ",.2f")
        return f"microlev  {self._run.config.mode}  equity {equity} {currency}  margin level {level}"

    def _footer(self) -> list[Text]:
        why = [f"{each.symbol} {each.text}" for each in self._run.engine.explanations()]
        lines = [Text(line, no_wrap=True, overflow="ellipsis", style="dim") for line in why]
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
