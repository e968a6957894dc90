"""What lives beside a run for as long as it lasts, as its steering and its telemetry do."""

from collections.abc import Sequence
from typing import Protocol

from twisted.logger import Logger

_log = Logger()


class Companion(Protocol):
    """Starts when the engine has been told what it is to know first, and stops when the run is over."""

    def start(self) -> None:
        """The run begins."""

    def stop(self) -> None:
        """The run is over."""


class Companions:
    """Several as one: they start in order and stop in reverse. What one raises is logged and keeps no other away."""

    def __init__(self, each: Sequence[Companion]) -> None:
        self.each = tuple(each)

    def start(self) -> None:
        """The run begins."""
        for companion in self.each:
            try:
                companion.start()
            except Exception:
                _log.failure("{what} beside the run could not start; the run goes on without", what=_named(companion))

    def stop(self) -> None:
        """The run is over."""
        for companion in reversed(self.each):
            try:
                companion.stop()
            except Exception:
                _log.failure("{what} beside the run could not stop", what=_named(companion))


def _named(companion: Companion) -> str:
    return type(companion).__name__.lower()
