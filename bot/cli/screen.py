"""What a run shows: JSON lines, a live table on a terminal, or plain lines where there is none."""

import os
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from twisted.logger import LogLevel, formatEvent, globalLogBeginner

from bot.assembly import Run
from bot.cli.lines import JsonLines
from bot.cli.notices import NoticeLines
from bot.cli.summary import in_words, summarise
from bot.engine.decision import Decision
from bot.engine.explained import Explanation
from bot.telemetry.plain import iso_time

_LOOK_NS = 1_000_000_000
_QUIET_NS = 10_000_000_000
_AT_THE_MARKET = ("market", "market_range")
_ALTERATIONS, _ALTERED = ("amend", "cancel"), ("replaced", "cancelled")


class Screen:
    """Standard output of one run. With `json` it holds JSON objects and nothing else; logs go to standard error.

    Args: `account` is given when several runs share the output: each line then names its own, and there is no table;
        `steer_by` is the file by which `microlev halt` finds the run, and `page` returns the link of the page beside
        it, to be shown; `source` is `journal` for a run that is decided again.
    """

    def __init__(
        self, *, json: bool, account: int | None = None, steer_by: Path | None = None, source: str = "live"
    ) -> None:
        self._json = json
        self._account = account
        self._source = source
        self.steer_by = steer_by
        self.page: Callable[[], str | None] = lambda: None
        self._lines: JsonLines | None = None
        self._table: Any = None
        self.summary: dict[str, Any] | None = None
        self.has_begun = False

    def watch(self, run: Run) -> Sequence[Callable[[Decision], None]]:
        """Return what is to see every Decision of a run; each raises BrokenPipeError when nobody reads."""
        self.has_begun = True
        return [_until_nobody_reads(self._shown(run)), StrategyNote(self._account, run), NoticeLines(self._account)]

    def _shown(self, run: Run) -> Callable[[Decision], None]:
        if self._json:
            self._lines = JsonLines(run, sys.stdout, self._account)
            return self._lines
        if sys.stdout.isatty() and self._account is None:
            from rich.console import Console

            from bot.cli.table import LiveTable

            console = Console()
            if not console.is_dumb_terminal:  # one that cannot move its cursor
                self._table = LiveTable(
                    run, console, steer_by=self._steering_file, page=lambda: self.page(), source=self._source
                )
                return self._table  # type: ignore[no-any-return]
        return PlainLines(self._account, run)

    def tell(self, line: str) -> None:
        """Write a line for a person on standard error, above the table where there is one; from any thread."""
        if self._table is not None:
            self._table.tell(line)
        else:
            print(line, file=sys.stderr, flush=True)

    def _steering_file(self) -> str | None:
        return None if self.steer_by is None else shlex.quote(str(self.steer_by))

    def summarise(self, run: Run, driver: Any) -> dict[str, Any]:
        """Return the run's summary and keep it for `finish`."""
        self.summary = summarise(run, driver)
        return self.summary

    def finish(self) -> None:
        """Show the summary, if the run came as far as to have one; once."""
        summary, self.summary = self.summary, None
        try:
            if self._table is not None:
                self._table.close()
            if summary is None:
                return
            if self._lines is not None:
                self._lines.write_summary(summary)
            else:
                print(in_words(summary), flush=True)
        except BrokenPipeError:
            write_into_nothing()


def _until_nobody_reads(show: Callable[[Decision], None]) -> Callable[[Decision], None]:
    def call(decision: Decision) -> None:
        try:
            show(decision)
        except BrokenPipeError:
            write_into_nothing()
            raise

    return call


def write_into_nothing() -> None:
    """Let standard output take what is still written, or the interpreter complains about it when it ends."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, sys.stdout.fileno())
    os.close(nothing)


class PlainLines:
    """Writes what happens as lines for a person, where there is no terminal to draw on.

    A line that says why a leverage is what it is comes when that has changed, every ten seconds and symbol at most.
    """

    def __init__(self, account: int | None, run: Run) -> None:
        self._prefix = "" if account is None else f"{account} "
        self._run = run
        self._looked_ns = 0
        self._told: dict[str, tuple[int, object]] = {}

    def __call__(self, decision: Decision) -> None:
        """Write the lines of one Decision; most have none."""
        if decision.state is not None:
            ready = "ready" if decision.state.ready else "not ready"
            why = f": {'; '.join(decision.state.texts)}" if decision.state.texts else ""
            self._write(decision, f"{ready}, trading {decision.state.trading}{why}")
        for refusal in decision.refused:
            self._write(decision, f"refused {refusal.symbol} {refusal.check}: {refusal.reason}")
        for o in decision.intended:
            cost = "unknown" if o.predicted_slippage_bps is None else f"{o.predicted_slippage_bps:.3f} bps"
            what = f"{o.action} {o.symbol}: {o.side} {o.lots:g} lots at {o.order_type}"
            what += f", cost {cost}" if o.order_type in _AT_THE_MARKET else ""
            self._write(decision, f"intends to {what}; {o.reason}")
        altered = {c.order_id for c in decision.order_changes if c.order.action not in _ALTERATIONS}
        for c in decision.order_changes:
            if c.order.action in _ALTERATIONS and c.state in _ALTERED and c.order_id in altered:
                continue  # the order itself says so
            if c.state not in ("sent", "accepted"):
                where = "paper " if c.paper else ""
                price = "" if c.execution_price is None else f" at {c.execution_price}"
                code = "" if c.error_code is None else f" ({c.error_code})"
                self._write(decision, f"{where}order {c.order.client_order_id} {c.state}{price}{code}")
        if decision.now_ns - self._looked_ns >= _LOOK_NS:
            self._looked_ns = decision.now_ns
            for each in self._run.engine.explanations():
                self._explain(decision, each)

    def _explain(self, decision: Decision, each: Explanation) -> None:
        gist = (each.bound, each.crisis_level, f"{each.leverage_now:.1f} {each.leverage_goal:.1f}")
        told_ns, told = self._told.get(each.symbol, (-_QUIET_NS, None))
        if gist != told and decision.now_ns - told_ns >= _QUIET_NS:
            self._told[each.symbol] = decision.now_ns, gist
            self._write(decision, f"{each.symbol} {each.text}")

    def _write(self, decision: Decision, text: str) -> None:
        print(f"{iso_time(decision.now_ns)[11:23]} {self._prefix}{text}", flush=True)


class StrategyNote:
    """Writes what a strategy has to tell on standard error, once, when it has been bound to its symbols."""

    def __init__(self, account: int | None, run: Run) -> None:
        self._prefix = "" if account is None else f"account {account}: "
        self._run = run
        self._told: str | None = None

    def __call__(self, decision: Decision) -> None:
        """See a Decision; its symbols are bound, or bound anew, before one that is about readiness."""
        if decision.state is None:
            return
        note = self._run.engine.strategy.note
        if note is not None and note != self._told:
            self._told = note
            print(f"warning: {self._prefix}strategy: {note}", file=sys.stderr, flush=True)


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
