"""Lines that a person types or pastes, heard without ever blocking the reactor.

How it works: a thread waits for standard input and hands each whole line to the reactor. It serves a terminal, a pipe
and a file alike (Twisted's own would leave the terminal in non-blocking mode, and serves no file). The end of input is
no error: there is just nothing more to hear. In the background of a shell nothing is read, as that would stop the job.
"""

import os
import select
import sys
import threading
from collections.abc import Callable
from typing import Any

LONGEST_LINE_BYTES = 16_384


class TerminalLines:
    """Hands the lines of standard input to `on_line`, in the reactor's thread, until `stop`.

    Lines longer than 16 kB, which no address is, are dropped.
    """

    def __init__(self, reactor: Any, on_line: Callable[[str], None]) -> None:
        self._reactor = reactor
        self._on_line = on_line
        self._is_stopped = False
        self._wake: tuple[int, int] | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> bool:
        """Begin to listen; return whether there is an input to listen to."""
        try:
            descriptor = sys.stdin.fileno()
        except (AttributeError, OSError, ValueError):  # none, closed, or something without a descriptor
            return False
        if _is_in_background(descriptor):
            return False
        if os.name == "posix":  # Windows cannot wait for a console and a pipe at once
            self._wake = os.pipe()
        self._thread = threading.Thread(target=self._read, args=(descriptor,), name="terminal-lines", daemon=True)
        self._thread.start()
        return True

    def stop(self) -> None:
        """Hear no more."""
        self._is_stopped = True
        if self._wake is not None and self._thread is not None:
            os.write(self._wake[1], b"x")
            self._thread.join()
            for descriptor in self._wake:
                os.close(descriptor)
            self._wake = None

    def _read(self, descriptor: int) -> None:
        # The descriptor, not sys.stdin: the interpreter could not end while a thread sits in the buffered object.
        waiting = b""
        while not self._is_stopped:
            try:
                if self._wake is not None:
                    ready, _, _ = select.select([descriptor, self._wake[0]], [], [])
                    if self._wake[0] in ready:
                        return
                chunk = os.read(descriptor, LONGEST_LINE_BYTES)
            except (OSError, ValueError):
                return
            *lines, waiting = (waiting + chunk).split(b"\n")
            if not chunk and waiting:
                lines, waiting = [waiting], b""  # a last line that nobody ended
            for line in lines:
                if len(line) <= LONGEST_LINE_BYTES:
                    self._reactor.callFromThread(self._heard, line.decode("utf-8", "replace"))
            if not chunk:
                return
            waiting = waiting[: LONGEST_LINE_BYTES + 1]

    def _heard(self, line: str) -> None:
        if not self._is_stopped:
            self._on_line(line)


def _is_in_background(descriptor: int) -> bool:
    if os.name != "posix" or not os.isatty(descriptor):
        return False
    try:
        return os.tcgetpgrp(descriptor) != os.getpgrp()
    except OSError:
        return False
