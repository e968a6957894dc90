"""An engine whose events somebody else hears as well, for those who want every message and not only what followed."""

from collections.abc import Callable

from bot.ctrader.pipeline import Decider
from bot.engine.decision import Decision
from bot.engine.events import Event


class TappedEngine:
    """Stands before an engine in a pipeline and passes everything on.

    How it works: it has no sink, so rows of market data come as events too; the Decisions are the same (a test of the
    rows that go straight to the books says so), the way to them is longer.
    """

    sink = None

    def __init__(self, engine: Decider[Decision], hear: Callable[[Event], None]) -> None:
        self._engine, self._hear = engine, hear

    def receive(self, event: Event) -> None:
        """Take in one event."""
        self._hear(event)
        self._engine.receive(event)

    def decide(self, now_ns: int) -> Decision:
        """Return what follows."""
        return self._engine.decide(now_ns)

    def next_timeout_ns(self) -> int:
        """Return when to decide again even if nothing arrives."""
        return self._engine.next_timeout_ns()
