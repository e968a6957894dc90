"""A recorded run that is decided again, as one that is watched live: the same snapshots, of moments that are gone."""

from typing import Any

from bot.config import Config
from bot.ctrader.phases import Phase
from bot.ctrader.session import Session
from bot.engine.decision import Decision
from bot.engine.engine import Engine
from bot.telemetry.figures import RunFigures
from bot.telemetry.snapshot import Snapshots


class ReplayedRun:
    """A watcher of the Decisions of a replay, that makes snapshots of where it stands.

    What the driver counts in a live run is taken from the session: links, when the present one came up, and that the
    last one was lost. Latencies, and errors of the driver, are not known any more.
    """

    def __init__(self, config: Config, session: Session, engine: Engine) -> None:
        self._session = session
        self._snapshots = Snapshots(config, session, engine, source="journal")
        self.figures = RunFigures()
        self.now_ns = 0
        self._was_ready = False

    def __call__(self, decision: Decision) -> None:
        """Take one Decision."""
        self.now_ns, figures = decision.now_ns, self.figures
        is_connected = self._session.phase is not Phase.CLOSED
        if is_connected and figures.connected_ns is None:
            figures.connected_ns = decision.now_ns
            figures.connections += 1
        elif not is_connected and figures.connected_ns is not None:
            figures.connected_ns = None
            why = self._session.last_loss if self._was_ready else "the connection was lost"
            figures.note_error(decision.now_ns, why)
        self._was_ready = self._session.ready
        figures.count(decision)
        self._snapshots(decision)

    def snapshot(self) -> dict[str, Any]:
        """Return the run as it stood at the last Decision: see `Snapshots.snapshot`."""
        return self._snapshots.snapshot(self.figures, self.now_ns)
