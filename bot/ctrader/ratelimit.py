"""How many messages may leave: the venue's limits, and how long it has told us to hold a kind of request back.

How it works: `SlidingWindow` remembers its last `limit` send times; one more may leave when the oldest of them is out
of the window. A token bucket that starts full would let twice its size through within a second; this cannot.
A `Budget` joins the windows that one message has to fit in, and the blocks the venue has put on kinds of requests.
Several accounts on one connection have a budget each, an equal share of the limits: what one does can then be decided
again from its own journal, without knowing what the others did.
Source: 50 requests/s, historical ones 5/s. All history calls are taken as historical: which of them count is not
documented. Whether limits are per connection or per application is not either, so a budget outlives a connection.
The limits a minute are the platform's for its own robots; that they bind the Open
API is not documented, and a bot that finds out by being blocked finds out too late.
"""

from collections import deque
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType

from bot.ctrader.schema import payload_type

SECOND_NS = 1_000_000_000
GENERAL_LIMIT, HISTORICAL_LIMIT = 50, 5
# Of the general limit, what only risk reductions may use: there is always room to get out.
RESERVED_FOR_REDUCTIONS = 5
# 5 % longer than the venue's second: the network may squeeze two bursts together on their way.
WINDOW_NS = 1_050_000_000
MINUTE_NS = 63 * SECOND_NS
MINUTE_LIMITS = MappingProxyType(
    {
        "ProtoOANewOrderReq": 500,
        "ProtoOACancelOrderReq": 100,
        "ProtoOAAmendOrderReq": 100,
        "ProtoOAClosePositionReq": 2_000,
        "ProtoOAAmendPositionSLTPReq": 1_000,
    }
)
# Blocked again within this time of the last block's end: the pause is doubled when the venue names none.
STRIKE_MEMORY_NS = 60 * SECOND_NS
LONGEST_PAUSE_S = 60

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


class Importance(IntEnum):
    """Who goes first; lower is earlier."""

    REDUCTION = 0
    GROWTH = 1
    SESSION = 2
    HISTORICAL = 3


def is_historical(number: int) -> bool:
    """Return whether requests of this payload type count against the historical limit."""
    return any(payload_type(name) == number for name in _HISTORICAL_NAMES)


class SlidingWindow:
    """At most `limit` sends in any `window_ns`, however they are spread."""

    def __init__(self, limit: int, window_ns: int = WINDOW_NS) -> None:
        self._window_ns = window_ns
        self._sent_ns: deque[int] = deque(maxlen=limit)

    def free_ns(self, spare: int = 0) -> int | None:
        """Return the earliest time of the next send that leaves `spare` free; None when any time will do."""
        limit = self._sent_ns.maxlen or 0
        full_by = len(self._sent_ns) - (limit - spare)
        return None if full_by < 0 else self._sent_ns[full_by] + self._window_ns

    def is_free(self, now_ns: int) -> bool:
        """Return whether one more may leave at `now_ns`."""
        free_ns = self.free_ns()
        return free_ns is None or now_ns >= free_ns

    def record(self, now_ns: int) -> None:
        """Count one send. Times must not run backwards."""
        self._sent_ns.append(now_ns)


@dataclass(frozen=True, slots=True)
class KindHeld:
    """The venue has blocked a kind of request of another account on this connection, until `until_ns`."""

    recv_ns: int
    payload_type: int
    until_ns: int


class Budget:
    """The limits of one account on a connection: windows, and blocks by payload type.

    Args: `sharers` is how many accounts there are on the connection, this one included.
    Raises: ValueError for more than the smallest limit can be shared among.
    """

    def __init__(self, sharers: int = 1) -> None:
        if not 1 <= sharers <= HISTORICAL_LIMIT:
            raise ValueError(f"{HISTORICAL_LIMIT} history requests a second cannot be shared by {sharers} accounts")
        self._general = SlidingWindow(GENERAL_LIMIT // sharers)
        self._reserve = RESERVED_FOR_REDUCTIONS // sharers
        self._historical = SlidingWindow(HISTORICAL_LIMIT // sharers)
        self._minutes = {
            payload_type(name): SlidingWindow(limit // sharers, MINUTE_NS) for name, limit in MINUTE_LIMITS.items()
        }
        self._held_until_ns: dict[int, int] = {}
        self._slowed_until_ns: dict[bool, int] = {}  # by whether the requests are historical
        self._strikes: dict[object, tuple[int, int]] = {}  # count, end of the last pause

    def earliest_ns(self, number: int, importance: Importance) -> int:
        """Return when a message of a payload type may leave; a time gone by means now."""
        is_reduction = importance is Importance.REDUCTION
        is_history = importance is Importance.HISTORICAL
        earliest_ns = self._general.free_ns(0 if is_reduction else self._reserve) or 0
        if number in self._held_until_ns:
            earliest_ns = max(earliest_ns, self._held_until_ns[number])
        if is_history:
            earliest_ns = max(earliest_ns, self._historical.free_ns() or 0)
        if not is_reduction and is_history in self._slowed_until_ns:
            earliest_ns = max(earliest_ns, self._slowed_until_ns[is_history])
        if number in self._minutes:
            earliest_ns = max(earliest_ns, self._minutes[number].free_ns() or 0)
        return earliest_ns

    def record(self, number: int, now_ns: int, *, historical: bool = False) -> None:
        """Count a message that leaves."""
        self._general.record(now_ns)
        if historical:
            self._historical.record(now_ns)
        if number in self._minutes:
            self._minutes[number].record(now_ns)

    def hold(self, number: int, now_ns: int, retry_after_s: int) -> None:
        """Keep a payload type back: the venue has blocked it. 0 seconds: it did not say for how long."""
        until_ns = now_ns + (retry_after_s or self._pause_s(number, now_ns)) * SECOND_NS
        self._held_until_ns[number] = max(until_ns, self._held_until_ns.get(number, until_ns))
        if not retry_after_s:
            self._strikes[number] = self._strikes[number][0], self._held_until_ns[number]

    def held_elsewhere(self, held: KindHeld) -> None:
        """Keep a payload type back that another account has been told is blocked."""
        known_ns = self._held_until_ns.get(held.payload_type, held.until_ns)
        self._held_until_ns[held.payload_type] = max(held.until_ns, known_ns)

    def slow_down(self, number: int, now_ns: int, retry_after_s: int) -> None:
        """Pause everything that counts against the limit which this payload type has broken, reductions aside."""
        key = is_historical(number)
        until_ns = now_ns + (retry_after_s or self._pause_s(("slow", key), now_ns)) * SECOND_NS
        self._slowed_until_ns[key] = max(until_ns, self._slowed_until_ns.get(key, until_ns))

    def held_until_ns(self, number: int, now_ns: int) -> int | None:
        """Return when a blocked payload type may be sent again; None when it is not blocked."""
        until_ns = self._held_until_ns.get(number)
        if until_ns is None or until_ns <= now_ns:
            self._held_until_ns.pop(number, None)
            return None
        return until_ns

    def _pause_s(self, key: object, now_ns: int) -> int:
        # Whether a refused request makes the block longer is not documented, so we do not knock every second.
        count, ended_ns = self._strikes.get(key, (0, 0))
        if now_ns < ended_ns:  # it left before the pause began, with the one that was refused first
            return -((now_ns - ended_ns) // SECOND_NS)
        count = count + 1 if now_ns - ended_ns < STRIKE_MEMORY_NS else 1
        pause_s = int(min(2 ** min(count - 1, 16), LONGEST_PAUSE_S))
        self._strikes[key] = count, now_ns + pause_s * SECOND_NS
        return pause_s
