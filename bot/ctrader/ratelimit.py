"""When a message may leave: the venue's limits on requests a second, and who goes first.

How it works: `SlidingWindow` remembers its last `limit` send times; one more may leave when the oldest of them is out
of the window. A token bucket that starts full would let twice its size through within a second; this cannot.
`SendQueue` keeps three lanes (trading, the rest, historical), first in first out in each, and releases trading first.
Source: 50 requests/s, historical ones 5/s. All history calls are taken as historical: which of them count is not
documented. Whether limits are per connection or per application is not either, so the windows outlive a connection.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from bot.ctrader.schema import payload_type

GENERAL_LIMIT, HISTORICAL_LIMIT = 50, 5
# 5 % longer than the venue's second: the network may squeeze two bursts together on their way.
WINDOW_NS = 1_050_000_000

_HISTORICAL_NAMES = (
    "ProtoOAOrderListReq",
    "ProtoOAOrderListByPositionIdReq",
    "ProtoOAOrderDetailsReq",
    "ProtoOADealListReq",
    "ProtoOADealListByPositionIdReq",
    "ProtoOADealOffsetListReq",
    "ProtoOAGetTickDataReq",
    "ProtoOAGetTrendbarsReq",
    "ProtoOACashFlowHistoryListReq",
)


class Lane(IntEnum):
    """Who goes first; lower is earlier."""

    TRADING = 0
    SESSION = 1
    HISTORICAL = 2


def is_historical(number: int) -> bool:
    """Return whether requests of this payload type count against the historical limit."""
    return any(payload_type(name) == number for name in _HISTORICAL_NAMES)


class SlidingWindow:
    """At most `limit` sends in any `window_ns`, however they are spread."""

    def __init__(self, limit: int, window_ns: int = WINDOW_NS) -> None:
        self._window_ns = window_ns
        self._sent_ns: deque[int] = deque(maxlen=limit)

    def free_ns(self) -> int | None:
        """Return the earliest time of the next send; None when any time will do."""
        if len(self._sent_ns) < (self._sent_ns.maxlen or 0):
            return None
        return self._sent_ns[0] + self._window_ns

    def is_free(self, now_ns: int) -> bool:
        """Return whether one more may leave at `now_ns`."""
        free_ns = self.free_ns()
        return free_ns is None or now_ns >= free_ns

    def record(self, now_ns: int) -> None:
        """Count one send. Times must not run backwards."""
        self._sent_ns.append(now_ns)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message that waits for its turn."""

    message_id: str
    payload_type: int
    body: bytes
    trading: bool = False


class SendQueue:
    """Messages that wait for their turn under both limits."""

    def __init__(self) -> None:
        self._lanes: dict[Lane, deque[Outgoing]] = {lane: deque() for lane in Lane}
        self._general = SlidingWindow(GENERAL_LIMIT)
        self._historical = SlidingWindow(HISTORICAL_LIMIT)
        self._held_until_ns: dict[int, int] = {}

    def put(self, item: Outgoing) -> None:
        """Add a message at the end of its lane."""
        lane = Lane.HISTORICAL if is_historical(item.payload_type) else Lane.SESSION
        self._lanes[Lane.TRADING if item.trading else lane].append(item)

    def hold(self, number: int, until_ns: int) -> None:
        """Keep a payload type back: the venue has blocked it."""
        self._held_until_ns[number] = max(until_ns, self._held_until_ns.get(number, until_ns))

    def held_until_ns(self, number: int, now_ns: int) -> int | None:
        """Return when a blocked payload type may be sent again; None when it is not blocked."""
        until_ns = self._held_until_ns.get(number)
        if until_ns is None or until_ns <= now_ns:
            self._held_until_ns.pop(number, None)
            return None
        return until_ns

    def take(self, now_ns: int) -> list[Outgoing]:
        """Remove and return what may be sent at `now_ns`, in order."""
        taken = []
        for lane, items in self._lanes.items():
            kept: deque[Outgoing] = deque()
            while items:
                item = items.popleft()
                if self._may_send(lane, item, now_ns):
                    self.record(now_ns, historical=lane is Lane.HISTORICAL)
                    taken.append(item)
                else:
                    kept.append(item)
            items.extend(kept)
        return taken

    def record(self, now_ns: int, *, historical: bool = False) -> None:
        """Count a message that leaves, queued here or not (a heartbeat)."""
        self._general.record(now_ns)
        if historical:
            self._historical.record(now_ns)

    def next_ns(self) -> int | None:
        """Return when the next message may leave, None with nothing waiting; a time gone by means now."""
        times = [self._earliest_ns(lane, item) for lane, items in self._lanes.items() for item in items]
        return min(times, default=None)

    def discard(self, message_ids: Iterable[str]) -> None:
        """Remove messages that wait, by id; ids not waiting are ignored."""
        unwanted = set(message_ids)
        for lane, items in self._lanes.items():
            self._lanes[lane] = deque(item for item in items if item.message_id not in unwanted)

    def __len__(self) -> int:
        return sum(len(items) for items in self._lanes.values())

    def _may_send(self, lane: Lane, item: Outgoing, now_ns: int) -> bool:
        if self.held_until_ns(item.payload_type, now_ns) is not None or not self._general.is_free(now_ns):
            return False
        return lane is not Lane.HISTORICAL or self._historical.is_free(now_ns)

    def _earliest_ns(self, lane: Lane, item: Outgoing) -> int:
        limits = [self._general.free_ns(), self._held_until_ns.get(item.payload_type)]
        if lane is Lane.HISTORICAL:
            limits.append(self._historical.free_ns())
        return max((limit for limit in limits if limit is not None), default=0)
