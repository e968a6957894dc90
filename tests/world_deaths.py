"""Where a process can be killed: at each write to the ledger, before and after bytes leave, while bytes come in.

What a killed process has done is what its ledger and its wire have taken; between two of those moments nothing is left
of it. So a kill at each of them is a kill at every point.
"""

from collections.abc import Callable
from typing import Any

POINTS = ("intent", "write", "written", "aftermath", "memory", "read")
"""After an intent's commit; before bytes leave; after they have; after the commit of what came of them, and of what the
next run is to know; when bytes have come."""


class Killed(BaseException):
    """The process is no more. No `Exception`, so that nothing of the bot's can catch it."""


class Deaths:
    """When the process is to be killed next: at the n-th passing of a point."""

    def __init__(self) -> None:
        self.point = ""
        self.left = 0
        self.struck = ""

    def arm(self, point: str, count: int) -> None:
        """Kill at the `count`-th passing of a point from now on."""
        self.point, self.left = point, count

    def disarm(self) -> None:
        """Kill nobody."""
        self.point = ""

    def passes(self, point: str) -> None:
        """Be told that the process passes a point.

        Raises: Killed when this is the one.
        """
        if point == self.point:
            self.left -= 1
            if self.left <= 0:
                self.struck, self.point = point, ""
                raise Killed(self.struck)


class LedgerTap:
    """A ledger whose process may be killed after each write; `seen` is called with each intent before that."""

    def __init__(self, ledger: Any, deaths: Deaths, seen: Callable[[Any], None]) -> None:
        self._ledger, self._deaths, self._seen = ledger, deaths, seen

    def record_intent(self, intent: Any) -> None:
        """Record an intent, and perhaps die."""
        self._ledger.record_intent(intent)
        self._seen(intent)
        self._deaths.passes("intent")

    def record(self, after: Any) -> None:
        """Record what came of a decision, and perhaps die."""
        self._ledger.record(after)
        self._deaths.passes("aftermath")

    def remember(self, key: str, content: Any) -> None:
        """Keep a fact, and perhaps die."""
        self._ledger.remember(key, content)
        self._deaths.passes("memory")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)
