"""Takes messages to one place, in a thread of its own, so that nothing waits for it but its own queue.

How it works: `put` never waits; what is put into a full queue pushes the oldest out. The thread tries each message a
few times, with pauses that grow. A place that hangs for ever keeps its own thread, and nobody else's: threads are
daemons, and the end of a run gives all of them together a moment and then goes.

Trouble is logged once, by the place's name, and again only after a delivery has worked.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from twisted.logger import Logger

from bot.alerts.alert import Severity
from bot.net.apprise_url import Delivery

MESSAGES_KEPT = 50
PAUSES_S = (2.0, 10.0, 60.0)
_log = Logger()


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent."""

    title: str
    text: str
    severity: Severity


class AlertChannel:
    """One place. Args: `deliver` may block; `name` is for the log, without a secret."""

    def __init__(
        self, name: str, deliver: Callable[[str, str, Severity], Delivery], *, pauses_s: Sequence[float] = PAUSES_S
    ) -> None:
        self.name = name
        self._deliver = deliver
        self._pauses_s = pauses_s
        self._queue: deque[Message] = deque()
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._thread: Any = None
        self._is_in_trouble = False
        self.delivered = self.undelivered = self.dropped = 0

    def put(self, message: Message) -> None:
        """Hand a message over; the thread begins with the first one."""
        with self._changed:
            if len(self._queue) >= MESSAGES_KEPT:
                self._queue.popleft()
                self.dropped += 1
                is_first = self.dropped == 1
            else:
                is_first = False
            self._queue.append(message)
            self._changed.notify()
        if is_first:
            text = "alerts to {name}: more than {most} wait; the oldest are dropped"
            _log.warn(text, name=self.name, most=MESSAGES_KEPT)
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name=f"microlev-{self.name}", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Say that nothing more comes: what waits is tried once more each."""
        self._closing.set()
        with self._changed:
            self._changed.notify()

    def wait(self, limit_s: float) -> None:
        """Wait until everything is delivered or given up, at most `limit_s`; say what is left. Call `close` first."""
        if self._thread is not None:
            self._thread.join(max(limit_s, 0.0))
        with self._changed:
            left = len(self._queue) + (self._thread is not None and self._thread.is_alive())
        lost = left + self.undelivered + self.dropped
        if lost:
            _log.warn("alerts to {name}: {lost} were not delivered", name=self.name, lost=lost)

    def _work(self) -> None:
        while (message := self._next()) is not None:
            self._try(message)

    def _next(self) -> Message | None:
        with self._changed:
            while not self._queue:
                if self._closing.is_set():
                    return None
                self._changed.wait()
            return self._queue.popleft()

    def _try(self, message: Message) -> None:
        for pause_s in (*self._pauses_s, None):
            try:
                delivery = self._deliver(message.title, message.text, message.severity)
            except Exception as error:
                # Its text may hold anything, a URL too; its kind does not.
                delivery = Delivery(type(error).__name__)
            if delivery.is_done:
                self.delivered += 1
                if self._is_in_trouble:
                    _log.info("alerts to {name} are delivered again", name=self.name)
                self._is_in_trouble = False
                return
            if not self._is_in_trouble:
                _log.warn("alerts to {name} are not delivered: {why}", name=self.name, why=delivery.why)
            self._is_in_trouble = True
            if pause_s is None or delivery.is_final or self._closing.wait(pause_s):
                break
        self.undelivered += 1
