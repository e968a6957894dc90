"""`microlev explain`: why the leverage of each symbol is what it is, now at a venue or at a moment of a journal.

How it works: `Explanations` watches a run, live or replayed, and keeps what the engine said of itself last while the
session stood and nobody had asked it to stop. Afterwards that is printed, one line a symbol, and one about what would
be if its spread doubled.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bot.cli.options import duration

if TYPE_CHECKING:
    from bot.assembly import Run
    from bot.engine.decision import Decision
    from bot.engine.explained import Explanation
    from bot.engine.what_if import SpreadDoubled

EXIT_USAGE = 2
EXIT_DIFFERENT = 1
DEFAULT_SECONDS = 20.0
"""What a live explanation waits after READY: by then volatility, spread and depth have been measured."""

_EVERY_NS = 250_000_000


def explain(
    source: Annotated[Path, typer.Argument(metavar="CONFIG|JOURNAL", help="A config, or a recorded run.")],
    seconds: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help=f"Look for this long after the first READY; {DEFAULT_SECONDS:g} if not given.",
            min=0.0,
            callback=duration,
        ),
    ] = None,
    at: Annotated[
        str | None, typer.Option(metavar="TIME", help="For a journal: explain this moment (ISO 8601, UTC).")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="JSON lines on standard output.")] = False,
) -> int:
    """Say in a line a symbol why its leverage is what it is.

    What the market gives, which cap binds, what waits. A second line says what it would be if the symbol's spread
    doubled, where that can be told. With a config it connects, looks for some seconds, and leaves. It never sends
    an order, whatever the config says. With a journal it decides the recorded run again, offline, up to its end or
    to --at.
    """
    from bot.journal.segments import is_recording

    if is_recording(source):
        if seconds is not None:
            raise typer.BadParameter("is for a config; a journal takes --at", param_hint="--seconds")
        return _of_a_journal(source, None if at is None else _moment_ns(at), json=json)
    if at is not None:
        raise typer.BadParameter("is for a journal", param_hint="--at")
    return _of_a_venue(source, DEFAULT_SECONDS if seconds is None else seconds, json=json)


class Explanations:
    """Keeps the newest explanations of a run, and by symbol what would be if its spread doubled.

    Args: `until_ns` is the last moment that counts; None for all.
    """

    def __init__(self, run: "Run", until_ns: int | None = None) -> None:
        self._run, self._until_ns = run, until_ns
        self.now_ns = 0
        self.newest: tuple[Explanation, ...] = ()
        self.doubled: dict[str, SpreadDoubled] = {}

    def __call__(self, decision: "Decision") -> None:
        """Take one Decision: at once when it changes something, a few times a second when it does not."""
        now_ns = decision.now_ns
        if self._until_ns is not None and now_ns > self._until_ns:
            return
        if decision.is_quiet and now_ns - self.now_ns < _EVERY_NS:
            return
        if newest := self._run.engine.explanations():
            self.now_ns, self.newest = now_ns, newest
            self.doubled = {each.then.symbol: each for each in self._run.engine.if_spread_doubles()}


def explanation_line(now_ns: int, each: "Explanation", doubled: "SpreadDoubled | None") -> dict[str, Any]:
    """Return the JSON object of an explanation. A cap that is unknown, or that there is not, is null."""
    from bot.sizing.bound import Bound
    from bot.telemetry.plain import iso_time, known
    from bot.telemetry.symbol_view import doubled_view

    return {
        "type": "explanation",
        "time": iso_time(now_ns),
        "symbol": each.symbol,
        "text": each.text,
        "leverage_now": known(each.leverage_now),
        "leverage_goal": known(each.leverage_goal),
        "leverage_target": known(each.leverage_target),
        "bound": None if each.bound is Bound.NONE else each.bound.name.lower(),
        "caps": {name: known(cap) for name, cap in each.caps.items()},
        "factors": {name: known(factor) for name, factor in each.factors.items()},
        "if_spread_doubles": doubled_view(doubled),
    }


def _of_a_venue(path: Path, seconds: float, *, json: bool) -> int:
    import os

    from bot.app import run_live
    from bot.cli.progress import Progress
    from bot.cli.screen import log_to_stderr
    from bot.config import load_config

    # What it sees is for the person who asks: no recording of a run, and no port beside that of the bot that runs.
    loaded = load_config(path, os.environ).as_dry_run().without_recording().without_telemetry()
    log_to_stderr()
    progress = Progress()
    progress("starting; the first start compiles for some seconds")
    kept: list[Explanations] = []

    def watch(run: "Run") -> list[Any]:
        kept.append(Explanations(run))
        return [kept[0], lambda decision: _tell(progress, decision, seconds)]

    try:
        code, text = run_live(
            loaded,
            live=False,
            seconds=seconds,
            exit_on_halt=False,
            watch=watch,
            summarise=lambda run, driver: {},
            steerable=False,
        )
    finally:
        progress.clear()
    if code:
        if text:
            typer.echo(text, err=True)
        return code
    _show(kept[0], json=json)
    return 0


def _tell(progress: Any, decision: "Decision", seconds: float) -> None:
    state = decision.state
    if state is not None:
        progress(f"ready; looking for {seconds:g} s" if state.ready else "; ".join(state.texts))


def _of_a_journal(path: Path, until_ns: int | None, *, json: bool) -> int:
    from bot.app import replay_journal
    from bot.cli.progress import Progress
    from bot.journal.format import JournalError

    progress = Progress()
    kept: list[Explanations] = []

    def watch(run: "Run") -> list[Any]:
        kept.append(Explanations(run, until_ns))
        return kept

    try:
        result = replay_journal(path, watch=watch, on_progress=lambda far: progress(f"{far.records} records"))
    except JournalError as error:
        progress.clear()
        typer.echo(str(error), err=True)
        return EXIT_USAGE
    progress.clear()
    if not kept[0].newest:
        when = "" if until_ns is None else " by then"
        typer.echo(f"{path}: the run was not ready{when}: there is no leverage to explain", err=True)
        return EXIT_USAGE
    _show(kept[0], json=json)
    d = result.difference
    if d is not None:
        typer.echo(
            f"{path}: different at decision {d.number} ({d.at_ns} ns), explained up to there: {d.what}", err=True
        )
        return EXIT_DIFFERENT
    return 0


def _show(kept: Explanations, *, json: bool) -> None:
    import json as codec

    from bot.cli.screen import write_into_nothing

    try:
        for each in kept.newest:
            doubled = kept.doubled.get(each.symbol)
            if json:
                print(codec.dumps(explanation_line(kept.now_ns, each, doubled)), flush=True)
                continue
            print(f"{each.symbol}  {each.text}", flush=True)
            if doubled is not None:
                print(f"{each.symbol}  if the spread doubled: {doubled.then.text}", flush=True)
    except BrokenPipeError:
        write_into_nothing()


def _moment_ns(text: str) -> int:
    """Return a time in ns since the epoch; one without a zone is UTC. Raises: typer.BadParameter."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(
            f"must be a time such as 2026-01-31T12:00:00Z, not {text!r}", param_hint="--at"
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1_000_000) * 1_000
