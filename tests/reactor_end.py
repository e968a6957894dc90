"""The end of a reactor that a test made for itself."""

from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure


def close_reactor(reactor: Any) -> None:
    """Close what a reactor still holds: ports and connections, and the pipe that wakes it, which it never closes."""
    reactor.runUntilCurrent()  # a port that was stopped before the reactor ran closes with its next turn
    for left in reactor.removeAll():
        left.connectionLost(Failure(ConnectionDone()))
    for inner in tuple(reactor._internalReaders):
        reactor._internalReaders.discard(inner)
        reactor.removeReader(inner)
        inner.connectionLost(None)
