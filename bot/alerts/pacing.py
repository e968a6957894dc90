"""Which alerts are sent, and when: not the same news twice within a while, not too many in an hour, none lost unsaid.

How it works: an alert that may not be sent yet waits, one a key, the newest; if its trouble ends before its turn it is
not sent any more. What is not sent is counted, and the count goes with the next message, or, when there is none for an
hour, in a message of its own. The end of a trouble is told to those who were told of its beginning. A share of the
hour's messages is kept for the gravest.

Invariants: no more than `max_per_hour` in any hour; no beginning of the same key twice within `repeat_ns`; every
beginning is sent, waits, or is counted.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from bot.alerts.alert import Alert

HOUR_NS = 3_600_000_000_000
# Of the hour's messages, for trading that is halted, a connection that is gone: a crisis of twenty symbols comes first.
_KEPT_SHARE = 4


@dataclass(frozen=True, slots=True)
class Paced:
    """An alert to be sent now, None for the count alone; `not_sent` how many before it were not."""

    alert: Alert | None
    not_sent: int


class Pacing:
    """Paces the alerts of one run. Units: `repeat_ns` ns."""

    def __init__(self, repeat_ns: int, max_per_hour: int) -> None:
        self._repeat_ns = repeat_ns
        self._most = max_per_hour
        self._most_of_others = max_per_hour - (max(1, max_per_hour // _KEPT_SHARE) if max_per_hour > 1 else 0)
        self._waiting: dict[str, Alert] = {}
        self._told_ns: dict[str, int] = {}
        self._open: set[str] = set()
        self._sent_ns: deque[int] = deque()
        self._not_sent = 0
        self._not_sent_since_ns = 0

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits for its turn, and nothing is counted that nobody was told of."""
        return not self._waiting and not self._not_sent

    def take(self, alert: Alert, now_ns: int) -> None:
        """Take an alert in; `due` says when it is to be sent."""
        if alert.ends:
            for key in alert.ends:
                if self._waiting.pop(key, None) is not None:
                    self._leave_out(now_ns)  # it was over before anybody could be told
            if self._open.intersection(alert.ends):
                self._waiting[alert.key] = alert
            return
        overtaken = [key for key, other in self._waiting.items() if alert.key in other.ends]
        if overtaken:
            # The end has not been told yet, and the trouble is back: for whoever was told, it never ended.
            for key in overtaken:
                del self._waiting[key]
            self._leave_out(now_ns)
            return
        if alert.key in self._waiting:
            self._leave_out(now_ns)
        self._waiting[alert.key] = alert

    def due(self, now_ns: int) -> list[Paced]:
        """Return what is to be sent now, the gravest first; it counts as sent."""
        while self._sent_ns and self._sent_ns[0] <= now_ns - HOUR_NS:
            self._sent_ns.popleft()
        self._told_ns = {key: ns for key, ns in self._told_ns.items() if ns > now_ns - self._repeat_ns}
        paced = []
        for alert in sorted(self._waiting.values(), key=lambda a: (a.severity != "failure", a.time_ns)):
            most = self._most if alert.severity == "failure" else self._most_of_others
            if len(self._sent_ns) < most and (alert.ends or alert.key not in self._told_ns):
                paced.append(self._send(alert, now_ns))
        is_late = self._not_sent and self._not_sent_since_ns <= now_ns - HOUR_NS
        if is_late and len(self._sent_ns) < self._most_of_others:
            paced.append(self._send(None, now_ns))
        return paced

    def memory(self) -> dict[str, object]:
        """Return what a later run is to know, as plain objects: a bot that is started again and again is one bot."""
        return {"sent_ns": list(self._sent_ns), "told_ns": dict(self._told_ns), "open": sorted(self._open)}

    def restore(self, content: Mapping[str, object], now_ns: int) -> None:
        """Take what an earlier run has kept. Raises: ValueError for what `memory` does not return."""
        sent, told, still_open = (content.get(key) for key in ("sent_ns", "told_ns", "open"))
        if not (isinstance(sent, list) and isinstance(told, dict) and isinstance(still_open, list)):
            raise ValueError("not the memory of a pacing")
        if not all(isinstance(ns, int) for ns in (*sent, *told.values())):
            raise ValueError("not the memory of a pacing: times should be whole ns")
        # A time that is yet to come is of a clock that has been set back since.
        self._sent_ns = deque(sorted(ns for ns in sent if ns <= now_ns))
        self._told_ns = {str(key): ns for key, ns in told.items() if ns <= now_ns}
        self._open = {str(key) for key in still_open}

    def _send(self, alert: Alert | None, now_ns: int) -> Paced:
        if alert is not None:
            del self._waiting[alert.key]
            if not alert.ends:
                self._told_ns[alert.key] = now_ns
            self._open.difference_update(alert.ends)
            if alert.lasts:
                self._open.add(alert.key)
        self._sent_ns.append(now_ns)
        not_sent, self._not_sent = self._not_sent, 0
        return Paced(alert, not_sent)

    def _leave_out(self, now_ns: int) -> None:
        if not self._not_sent:
            self._not_sent_since_ns = now_ns
        self._not_sent += 1
