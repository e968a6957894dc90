"""What a download shows: a bar on a terminal, a line a day where there is none, or JSON lines."""

import json
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import typer

from bot.sim.day_files import date_of

if TYPE_CHECKING:
    from rich.console import Console

    from bot.ctrader.tick_download import TickDay, TickSource, TickSpan
    from bot.research.tick_archive import StoredDay

_REDRAW_NS = 200_000_000
_SECOND_NS = 1_000_000_000


class DownloadLines:
    """Counts what comes and says it in plain lines.

    Args: `clock` gives ns; `folder` is where the days go.
    """

    def __init__(self, clock: Callable[[], int], folder: str) -> None:
        self._clock, self._folder = clock, folder
        self._day_began_ns = clock()
        self.stored_count = self.empty_count = self.known_count = self.tick_count = self.asked_count = 0
        self.has_begun = self.is_complete = False

    def begin(self, spans: "list[tuple[TickSource, TickSpan]]", known_count: int) -> None:
        """See what is going to be asked for; again after each lost connection, when less is missing."""
        if not self.has_begun:
            self.has_begun, self.known_count, self.asked_count = True, known_count, len(spans)
        self._day_began_ns = self._clock()

    def note(self, text: str) -> None:
        """Say what a person may want to know; on standard error."""
        typer.echo(text, err=True)

    def progress(self, text: str) -> None:
        """Show what the connection does."""

    def advanced(self, source: "TickSource", span: "TickSpan", reached_ms: int, tick_count: int) -> None:
        """Show how far a day is."""

    def waiting(self, why: str, seconds: float) -> None:
        """Say why nothing comes for a while."""
        self.note(f"{why}; going on in {seconds:g} s")

    def stored(self, day: "TickDay", stored: "StoredDay") -> None:
        """Count a day that is on disk, and tell of it."""
        now_ns = self._clock()
        seconds, self._day_began_ns = (now_ns - self._day_began_ns) / _SECOND_NS, now_ns
        self.stored_count += 1
        self.empty_count += not stored.file.row_count
        self.tick_count += day.bid_count + day.ask_count
        self.tell_day(day, stored, seconds)

    def tell_day(self, day: "TickDay", stored: "StoredDay", seconds: float) -> None:
        """Tell of a day that is on disk."""
        part = "" if stored.is_complete else ", not whole: it will be asked for again"
        heading = f"{day.source.symbol} {date_of(day.span.from_ms)}"
        if day.bid_count + day.ask_count:
            ticks = f"{day.bid_count:,} bid and {day.ask_count:,} ask ticks, {stored.file.row_count:,} rows"
            self._print(f"{heading}  {ticks} in {seconds:.1f} s{part}")
        else:
            self._print(f"{heading}  no ticks{part}")

    def summarise(self) -> None:
        """Say what it came to, last; nothing if it never began."""
        if not self.has_begun:
            return
        days = f"{self.stored_count} of {self.asked_count} day(s) written, {self.empty_count} of them without ticks"
        self._print(f"{days}; {self.known_count} there already; {self.tick_count:,} ticks in {self._folder}")

    def _print(self, line: str) -> None:
        """Write a line on standard output at once."""
        try:
            print(line, flush=True)
        except BrokenPipeError:  # nobody reads any more; the days are what matters
            from bot.cli.screen import write_into_nothing

            write_into_nothing()


class JsonDownloadLines(DownloadLines):
    """The same as JSON lines."""

    def waiting(self, why: str, seconds: float) -> None:
        """Write a `wait` line."""
        self._write(type="wait", reason=why, seconds=seconds)

    def tell_day(self, day: "TickDay", stored: "StoredDay", seconds: float) -> None:
        """Write a `day` line."""
        from bot.telemetry.plain import iso_time

        self._write(
            type="day",
            symbol=day.source.symbol,
            day=date_of(day.span.from_ms),
            **{"from": iso_time(day.span.from_ms * 1_000_000), "to": iso_time(day.span.to_ms * 1_000_000)},
            bid_ticks=day.bid_count,
            ask_ticks=day.ask_count,
            rows=stored.file.row_count,
            complete=stored.is_complete,
            file=str(stored.path),
            seconds=round(seconds, 3),
        )

    def summarise(self) -> None:
        """Write the `summary` line."""
        self._write(
            type="summary",
            days_asked=self.asked_count,
            days_written=self.stored_count,
            days_empty=self.empty_count,
            days_known=self.known_count,
            ticks=self.tick_count,
            directory=self._folder,
            complete=self.is_complete,
        )

    def _write(self, **content: Any) -> None:
        self._print(json.dumps(content, allow_nan=False))


class DownloadBar(DownloadLines):
    """One bar for everything, with symbol, day, ticks, ticks a second and the time left; the summary below it."""

    def __init__(self, clock: Callable[[], int], folder: str, console: "Console") -> None:
        super().__init__(clock, folder)
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:3.0f} %  {task.fields[ticks]:,} ticks  {task.fields[rate]:,.0f}/s  left"),
            TimeRemainingColumn(),
            console=console,
            auto_refresh=False,
            transient=True,
            get_time=lambda: clock() / _SECOND_NS,
        )
        self._task = self._bar.add_task("connecting", total=None, ticks=0, rate=0.0)
        self._span_ms: list[int] = []
        self._began_ns = self._drawn_ns = clock()
        self._done_ms = 0
        self._bar.start()

    def begin(self, spans: "list[tuple[TickSource, TickSpan]]", known_count: int) -> None:
        """Measure the bar by the time that is asked for."""
        super().begin(spans, known_count)
        left_ms = sum(span.to_ms - span.from_ms for _, span in spans)
        self._bar.update(self._task, total=self._done_ms + left_ms)
        self._bar.refresh()

    def note(self, text: str) -> None:
        """Say it above the bar."""
        self._bar.console.print(text, highlight=False, markup=False)

    def progress(self, text: str) -> None:
        """Show it in front of the bar."""
        self._bar.update(self._task, description=text)
        self._bar.refresh()

    def advanced(self, source: "TickSource", span: "TickSpan", reached_ms: int, tick_count: int) -> None:
        """Draw how far everything is, a few times a second."""
        now_ns = self._clock()
        if now_ns - self._drawn_ns < _REDRAW_NS:
            return
        self._drawn_ns = now_ns
        self._draw(source, span, self._done_ms + span.to_ms - reached_ms, self.tick_count + tick_count)

    def tell_day(self, day: "TickDay", stored: "StoredDay", seconds: float) -> None:
        """Draw that a day is done; one that is not over yet is told."""
        if not stored.is_complete:
            super().tell_day(day, stored, seconds)
        self._done_ms += day.span.to_ms - day.span.from_ms
        self._draw(day.source, day.span, self._done_ms, self.tick_count)

    def summarise(self) -> None:
        """Take the bar away and print the summary."""
        self._bar.stop()
        super().summarise()

    def _draw(self, source: "TickSource", span: "TickSpan", done_ms: int, ticks: int) -> None:
        seconds = (self._clock() - self._began_ns) / _SECOND_NS
        rate = ticks / seconds if seconds else 0.0
        where = f"{source.symbol} {date_of(span.from_ms)}"
        self._bar.update(self._task, description=where, completed=done_ms, ticks=ticks, rate=rate)
        self._bar.refresh()


def download_lines(clock: Callable[[], int], folder: str, *, json: bool) -> DownloadLines:
    """Return what shows a download on this standard output."""
    if json:
        return JsonDownloadLines(clock, folder)
    if not sys.stdout.isatty():
        return DownloadLines(clock, folder)
    from rich.console import Console

    return DownloadBar(clock, folder, Console())
