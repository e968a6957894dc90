"""Does what may take long beside a run, in one thread of low priority: compressing and counting what is recorded."""

import os
import queue
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from twisted.internet.error import ReactorNotRunning
from twisted.logger import Logger

_NICENESS = 15
_log = Logger()


class Background:
    """Jobs in the order given, one at a time. The thread begins with the first one."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._jobs: queue.SimpleQueue[tuple[Callable[[], Any], Callable[[Any], None]] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def __call__(self, job: Callable[[], Any], done: Callable[[Any], None]) -> None:
        """Do a job, then call `done` in the reactor's thread, if it still runs. An error of a job is logged."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="microlev-background", daemon=True)
            self._thread.start()
        self._jobs.put((job, done))

    def close(self) -> None:
        """Wait until every job is done, and take no more."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._jobs.put(None)
            thread.join()

    def _work(self) -> None:
        _be_nice()
        while (task := self._jobs.get()) is not None:
            job, done = task
            try:
                result = job()
            except Exception:
                _log.failure("a job beside the run failed")
                continue
            with suppress(ReactorNotRunning):
                self._reactor.callFromThread(done, result)


def _be_nice() -> None:
    # Only on Linux is niceness a thread's; elsewhere it would slow the whole process down.
    if sys.platform == "linux":
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
