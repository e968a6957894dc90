"""The live table of `run` and `demo`: a picture of the run, drawn four times a second while it runs."""

from collections.abc import Callable

from rich.console import Console, Group
from rich.live import Live

from bot.assembly import Run
from bot.cli.picture import picture
from bot.engine.decision import Decision
from bot.telemetry.snapshot import Snapshots

_REDRAW_NS = 250_000_000


class LiveTable:
    """Shows the same snapshots that a page does, by the figures that the run's driver counts.

    Args: `steer_by` returns the file by which `microlev halt` finds the run, None while there is none; `source` is
        `journal` for a run that is decided again.
    """

    def __init__(
        self, run: Run, console: Console, *, steer_by: Callable[[], str | None] = lambda: None, source: str = "live"
    ) -> None:
        self._run, self._console, self._steer_by = run, console, steer_by
        self._snapshots = Snapshots(run.config, run.session, run.engine, source=source)
        self._now_ns = self._drawn_ns = 0
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._live.start()

    def __call__(self, decision: Decision) -> None:
        """Take one Decision; redraw when it is time. One comes four times a second, whatever the market does."""
        self._snapshots(decision)
        self._now_ns = decision.now_ns
        if self._now_ns - self._drawn_ns >= _REDRAW_NS:
            self._drawn_ns = self._now_ns
            self._live.update(self.drawn(), refresh=True)

    def drawn(self) -> Group:
        """Return the run as it stands, within the size that the terminal has now."""
        width, height = self._console.size
        snapshot = self._snapshots.snapshot(self._run.figures, self._now_ns, ladders=())
        on_stop = self._run.config.on_stop
        # One row less: a terminal that is full scrolls with the next word of somebody else.
        return Group(*picture(snapshot, width, height - 1, steer_by=self._steer_by(), on_stop=on_stop))

    def close(self) -> None:
        """Take the table off the screen."""
        self._live.stop()
