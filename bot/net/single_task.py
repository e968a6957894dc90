"""Runs the reactor for what a command does: until it is over, or a person interrupts it."""

import signal
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.python.failure import Failure


def run_task(reactor: Any, begin: "Callable[[], Deferred[Any]]", interrupted: Callable[[], None]) -> Any:
    """Run a reactor until the Deferred of `begin` has fired; return its result or raise its error.

    Args: `interrupted` is called in the reactor's thread on SIGINT and SIGTERM; it should bring the task to its end.
    Raises: RuntimeError when the reactor was stopped by somebody else.
    """
    outcomes: list[Any] = []

    def ended(outcome: Any) -> None:
        outcomes.append(outcome)
        reactor.callLater(0, reactor.stop)

    def on_signal(_number: int, _frame: Any) -> None:
        reactor.callFromThread(interrupted)

    def start() -> None:
        # Only now: Twisted has put its own handlers away, and a signal before the start ends the process anyway.
        previous.update({number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)})
        maybeDeferred(begin).addBoth(ended)

    previous: dict[signal.Signals, Any] = {}
    reactor.callWhenRunning(start)
    try:
        reactor.run(installSignalHandlers=False)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    if not outcomes:
        raise RuntimeError("the reactor stopped by itself")
    outcome = outcomes[0]
    if isinstance(outcome, Failure):
        outcome.raiseException()  # with its own traceback: of an error of ours, that is what helps
    return outcome
