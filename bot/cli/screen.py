"""What a run shows: JSON lines, a live table on a terminal, or plain lines where there is none."""

import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from twisted.logger import LogLevel, formatEvent, globalLogBeginner

from bot.assembly import Run
from bot.cli.lines import JsonLines, iso_time
from bot.cli.summary import in_words, summarise
from bot.engine.decision import Decision


class Screen:
    """Standard output of one run. With `json` it holds JSON objects and nothing else; logs go to standard error."""

    def __init__(self, *, json: bool) -> None:
        self._json = json
        self._lines: JsonLines | None = None
        self._table: Any = None
        self.summary: dict[str, Any] | None = None
        self.has_begun = False

    def watch(self, run: Run) -> Sequence[Callable[[Decision], None]]:
        """Return what is to see every Decision of a run; each raises BrokenPipeError when nobody reads."""
        self.has_begun = True
        if self._json:
            self._lines = JsonLines(run, sys.stdout)
            return [_until_nobody_reads(self._lines)]
        if sys.stdout.isatty():
            from rich.console import Console

            from bot.cli.table import LiveTable

            self._table = LiveTable(run, Console())
            return [_until_nobody_reads(self._table)]
        return [_until_nobody_reads(_plain)]

    def summarise(self, run: Run, driver: Any) -> dict[str, Any]:
        """Return the run's summary and keep it for `finish`."""
        self.summary = summarise(run, driver)
        return self.summary

    def finish(self) -> None:
        """Show the summary, if the run came as far as to have one."""
        try:
            if self._table is not None:
                self._table.close()
            if self.summary is None:
                return
            if self._lines is not None:
                self._lines.write_summary(self.summary)
            else:
                print(in_words(self.summary), flush=True)
        except BrokenPipeError:
            _write_into_nothing()


def _until_nobody_reads(show: Callable[[Decision], None]) -> Callable[[Decision], None]:
    def call(decision: Decision) -> None:
        try:
            show(decision)
        except BrokenPipeError:
            _write_into_nothing()
            raise

    return call


def _write_into_nothing() -> None:
    """Let standard output take what is still written, or the interpreter complains about it when it ends."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, sys.stdout.fileno())
    os.close(nothing)


def _plain(decision: Decision) -> None:
    time = iso_time(decision.now_ns)[11:23]
    if decision.state is not None:
        ready = "ready" if decision.state.ready else "not ready"
        why = f": {'; '.join(decision.state.texts)}" if decision.state.texts else ""
        print(f"{time} {ready}, trading {decision.state.trading}{why}", flush=True)
    for refusal in decision.refused:
        print(f"{time} refused {refusal.symbol} {refusal.check}: {refusal.reason}", flush=True)
    for o in decision.intended:
        cost = "unknown" if o.predicted_slippage_bps is None else f"{o.predicted_slippage_bps:.3f} bps"
        what = f"{o.action} {o.symbol}: {o.side} {o.lots:g} lots at {o.order_type}"
        print(f"{time} intends to {what}, cost {cost}; {o.reason}", flush=True)
    for c in decision.order_changes:
        if c.state not in ("sent", "accepted"):
            where = "paper " if c.paper else ""
            price = "" if c.execution_price is None else f" at {c.execution_price}"
            code = "" if c.error_code is None else f" ({c.error_code})"
            print(f"{time} {where}order {c.order.client_order_id} {c.state}{price}{code}", flush=True)


def log_to_stderr() -> None:
    """Send Twisted's log to standard error, warnings and our own words only."""

    def observe(event: Any) -> None:
        ours = str(event.get("log_namespace", "")).startswith("bot.")
        if ours or event.get("log_level", LogLevel.info) >= LogLevel.warn:
            text = formatEvent(event)
            if event.get("log_failure") is not None:
                text = f"{text}\n{event['log_failure'].getTraceback()}"
            print(text, file=sys.stderr, flush=True)

    globalLogBeginner.beginLoggingTo([observe], redirectStandardIO=False, discardBuffer=True)
