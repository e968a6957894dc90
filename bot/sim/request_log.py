"""The venue's own log of what its clients sent: who, when, what, and what became of it.

It is the witness in an argument about limits: `max_in_window` says how thick the requests came, `sent_between` whether
a type was sent while it was blocked. Bounded; the oldest entries are forgotten first.
"""

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from bot.ctrader.ratelimit import is_historical
from bot.ctrader.schema import payload_type

ACCEPTED, IGNORED = "accepted", "ignored"
DEFAULT_SIZE = 100_000
_HEARTBEAT = payload_type("ProtoHeartbeatEvent")


class Heard(NamedTuple):
    """One message from a client.

    `received_ns` is when its bytes reached the venue; `account_id` None when it names none. `outcome` is `accepted`
    (executed, whatever it did), `ignored` (a fault kept it from being heard or executed), or the code of the refusal.
    """

    received_ns: int
    link_number: int
    payload_type: int
    account_id: int | None
    outcome: str

    @property
    def is_request(self) -> bool:
        """Whether it counts as a request: a heartbeat does not."""
        return self.payload_type != _HEARTBEAT


class RequestLog:
    """The last `size` messages, in the order in which they came to be handled."""

    def __init__(self, size: int = DEFAULT_SIZE) -> None:
        self._entries: deque[Heard] = deque(maxlen=size)

    def note(self, entry: Heard) -> None:
        """Add an entry."""
        self._entries.append(entry)

    def __iter__(self) -> Iterator[Heard]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def max_in_window(
        self, window_ns: int, historical: bool | None = None, *, link: int | None = None, outcome: str | None = None
    ) -> int:
        """Return the most requests that came within any window of this length, its end excluded.

        Args: `historical` restricts to historical requests or to the others, `link` to one connection, `outcome` to
            one outcome; None: all. Heartbeats are no requests.
        """
        times = sorted(
            entry.received_ns
            for entry in self._entries
            if entry.is_request
            and (historical is None or is_historical(entry.payload_type) == historical)
            and (link is None or entry.link_number == link)
            and (outcome is None or entry.outcome == outcome)
        )
        most = first = 0
        for last, time_ns in enumerate(times):
            while times[first] + window_ns <= time_ns:
                first += 1
            most = max(most, last - first + 1)
        return most

    def sent_between(self, payload_type: int, from_ns: int, to_ns: int) -> list[Heard]:
        """Return the messages of a type that came from `from_ns` on and before `to_ns`."""
        return [e for e in self._entries if e.payload_type == payload_type and from_ns <= e.received_ns < to_ns]
