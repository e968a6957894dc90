"""The live table of `run` and `demo`: a picture of the run, drawn four times a second while it runs.

How it works: what is drawn knows how many rows it took, and goes up by as many to be drawn anew. A terminal whose size
changes breaks its lines elsewhere, so then the screen is cleared and drawn from its top.
"""

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

    Args: `steer_by` returns the file by which `microlev halt` finds the run, and `page` the link of the page beside it,
        None while there is none; `source` is `journal` for a run that is decided again.
    """

    def __init__(
        self,
        run: Run,
        console: Console,
        *,
        steer_by: Callable[[], str | None] = lambda: None,
        page: Callable[[], str | None] = lambda: None,
        source: str = "live",
    ) -> None:
        self._run, self._console, self._steer_by, self._page = run, console, steer_by, page
        self._snapshots = Snapshots(run.config, run.session, run.engine, source=source)
        self._now_ns = self._drawn_ns = 0
        self._size = console.size
        self._live = self._begin()

    def _begin(self) -> Live:
        live = Live(console=self._console, auto_refresh=False, transient=True)
        live.start()
        return live

    def __call__(self, decision: Decision) -> None:
        """Take one Decision; redraw when it is time. One comes four times a second, whatever the market does."""
        self._snapshots(decision)
        self._now_ns = decision.now_ns
        if self._now_ns - self._drawn_ns >= _REDRAW_NS:
            self._drawn_ns = self._now_ns
            if self._console.size != self._size:
                self._size = self._console.size
                self._live.stop()
                self._console.clear()
                self._live = self._begin()
            self._live.update(self.drawn(), refresh=True)

    def tell(self, line: str) -> None:
        """Write a line above the table, whole however long: the terminal breaks it, and can copy it as one."""
        self._console.print(line, soft_wrap=True, markup=False, highlight=False)

    def drawn(self) -> Group:
        """Return the run as it stands, within the size that the terminal has now."""
        width, height = self._console.size
        snapshot = self._snapshots.snapshot(self._run.figures, self._now_ns, ladders=())
        on_stop = self._run.config.on_stop
        # One row less: a terminal that is full scrolls with the next word of somebody else.
        known = {"steer_by": self._steer_by(), "page": self._page()}
        return Group(*picture(snapshot, width, height - 1, on_stop=on_stop, **known))

    def close(self) -> None:
        """Take the table off the screen."""
        self._live.stop()
