"""Snapshots as they come, to everybody who reads them: one made a tick for all, and only while somebody reads.

How it works: a reader that does not take what it is sent is told of by its transport (`pauseProducing`). From then on
its snapshots wait in a short queue, of which the oldest goes, whole, when a new one comes: a line is never torn, and
nothing waits for the reader. One that takes nothing for `STUCK_S` is cut off. The system's own buffer of a socket would
grow to megabytes; it is kept small, since what lies there is old before it is read.

Invariant: what one reader may hold here is its transport's buffer and `MOST_QUEUED` lines, which readers share.
"""

import socket
from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IPushProducer
from twisted.logger import Logger
from zope.interface import implementer

from bot.net.telemetry_feed import SnapshotFeed

MOST_READERS = 8
MOST_QUEUED = 4
STUCK_S = 60.0
SEND_BUFFER_BYTES = 65_536
_SLACK_S = 0.001
_LATE_TICKS = 4
_log = Logger()


@implementer(IPushProducer)
class StreamReader:
    """One reader of the stream. Units: `every_s` least seconds between two snapshots."""

    def __init__(self, readers: "Readers", request: Any, every_s: float, ladders: frozenset[str]) -> None:
        self._readers, self._request = readers, request
        self.every_s, self.ladders = every_s, ladders
        self.due_s = 0.0
        self.paused_s: float | None = None
        self._queue: deque[bytes] = deque()
        connection = request.channel.transport
        connection.is_kept = True
        if (link := getattr(connection, "socket", None)) is not None:
            link.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)

    def push(self, line: bytes) -> None:
        """Send a line, or let it wait; the oldest that waits goes when there are too many."""
        if self.paused_s is None:
            self._request.write(line)
            return
        if len(self._queue) >= MOST_QUEUED:
            self._queue.popleft()
            self._readers.dropped += 1
        self._queue.append(line)

    def pauseProducing(self) -> None:
        """The reader is behind."""
        if self.paused_s is None:
            self.paused_s = self._readers.now_s()

    def resumeProducing(self) -> None:
        """The reader has taken what was sent."""
        self.paused_s = None
        while self._queue and self.paused_s is None:  # a line may fill the transport again
            self._request.write(self._queue.popleft())

    def stopProducing(self) -> None:
        """The connection is going."""
        self._queue.clear()

    def end(self) -> None:
        """Say that no more comes."""
        self._request.unregisterProducer()
        self._request.finish()

    def cut(self) -> None:
        """Let the connection go, whatever is on its way."""
        self._queue.clear()
        self._request.channel.transport.abortConnection()


class Readers:
    """Everybody who reads the stream of one run.

    Args: `tick_s` is the least time between two snapshots; `now_s` is a clock that does not go back; `name` starts
        lines in the log.
    """

    def __init__(
        self, reactor: Any, feed: SnapshotFeed, tick_s: float, now_s: Callable[[], float], *, name: str = ""
    ) -> None:
        self._reactor, self._feed, self._tick_s, self._name = reactor, feed, tick_s, name
        self.now_s = now_s
        self._readers: list[StreamReader] = []
        self._call: Any = None
        self._ticked_s = 0.0
        self._has_failed = False
        self.dropped = 0

    def __len__(self) -> int:
        """How many read."""
        return len(self._readers)

    def add(self, request: Any, every_s: float, ladders: frozenset[str]) -> None:
        """Take a reader, whose request has been let in and whose headers are set; of too many the oldest goes."""
        if len(self._readers) >= MOST_READERS:
            self._readers.pop(0).cut()
        line = self._feed.line(ladders)
        reader = StreamReader(self, request, max(every_s, self._tick_s), ladders)
        self._readers.append(reader)
        request.notifyFinish().addBoth(self._gone, reader)
        request.registerProducer(reader, True)
        reader.push(line)
        reader.due_s = self.now_s() + reader.every_s
        # The reactor's timers go by the wall clock: when that was set back, the tick would not come for as long.
        if self._call is None or self.now_s() - self._ticked_s > _LATE_TICKS * self._tick_s:
            self._tick_later()

    def stop(self) -> None:
        """Let every reader go."""
        self._tick_never()
        for reader in list(self._readers):
            reader.end()
        self._readers.clear()

    def _gone(self, _: object, reader: StreamReader) -> None:
        if reader in self._readers:
            self._readers.remove(reader)

    def _tick_later(self) -> None:
        self._tick_never()
        self._ticked_s = self.now_s()
        self._call = self._reactor.callLater(self._tick_s, self._tick)

    def _tick_never(self) -> None:
        call, self._call = self._call, None
        if call is not None and call.active():
            call.cancel()

    def _tick(self) -> None:
        self._call = None
        now_s = self.now_s()
        for reader in list(self._readers):
            if reader.paused_s is not None and now_s - reader.paused_s >= STUCK_S:
                self._readers.remove(reader)
                reader.cut()
                _log.warn("{name}telemetry: a reader that took nothing for a minute was cut off", name=self._name)
        if not self._readers:
            return
        self._tick_later()
        due = [reader for reader in self._readers if reader.due_s <= now_s + _SLACK_S]
        try:
            self._serve(due, now_s)
        except Exception:
            if not self._has_failed:  # once is enough: it may fail with every tick
                self._has_failed = True
                _log.failure("a snapshot could not be made; the next is tried")

    def _serve(self, due: list[StreamReader], now_s: float) -> None:
        if not due:
            return
        self._feed.renew(frozenset[str]().union(*(reader.ladders for reader in due)))
        for reader in due:
            reader.due_s = now_s + reader.every_s
            reader.push(self._feed.line(reader.ladders))
