"""How many requests one client may send, and what happens to those that are too many.

How it works: a `RateGate` stands before everything else on a link. It keeps two sliding windows of one second, one for
historical requests and one for all others; a request that finds its window full is refused and not executed. When told
to, refusals that come too thick block their payload type for a while, as do the platform's own limits a minute.
Heartbeats never pass here. Source: 50 requests/s, historical ones 5/s; REQUEST_FREQUENCY_EXCEEDED and
BLOCKED_PAYLOAD_TYPE with ProtoOAErrorRes.retryAfter. When the real venue blocks a type, for how long, and whether
refused requests count or extend the block is not documented: each is a field of `RateLimits`, to play either way.
"""

from collections import deque
from dataclasses import dataclass, field

from bot.ctrader.ratelimit import is_historical
from bot.ctrader.schema import message_for, payload_type

SECOND_NS = 1_000_000_000
MINUTE_NS = 60 * SECOND_NS
PLATFORM_LIMITS = {
    "ProtoOANewOrderReq": 500,
    "ProtoOACancelOrderReq": 100,
    "ProtoOAAmendOrderReq": 100,
    "ProtoOAClosePositionReq": 2_000,
}
"""Requests a minute that the platform allows its own robots on demo accounts; one too many, and a minute is lost."""


@dataclass(frozen=True, slots=True)
class RateLimits:
    """What one link may send.

    `count_refused`: refused requests fill the window too. `block_after`: so many refusals of one payload type within
    `block_window_ns` block it for `block_for_ns`; None: never. `refused_extend`: a request sent while its type is
    blocked starts the block anew. `tells_retry_after`: whether a block's refusals carry retryAfter. `platform`: the
    limits a minute of `PLATFORM_LIMITS` hold too.
    """

    requests_per_s: int = 50
    historical_per_s: int = 5
    count_refused: bool = False
    block_after: int | None = None
    block_window_ns: int = 10 * SECOND_NS
    block_for_ns: int = 5 * SECOND_NS
    refused_extend: bool = False
    tells_retry_after: bool = True
    platform: bool = False


@dataclass(frozen=True, slots=True)
class RateRefusal:
    """Why a request is refused; `retry_after_s` is for the answer, None when it shall not say."""

    code: str
    description: str
    retry_after_s: int | None = None


@dataclass(slots=True)
class _Block:
    until_ns: int
    length_ns: int
    extends: bool
    tells_retry_after: bool


class Blocks:
    """Payload types that are blocked, and until when."""

    def __init__(self) -> None:
        self._blocks: dict[int, _Block] = {}

    def start(
        self, kind: int, now_ns: int, length_ns: int, *, extends: bool = False, tells_retry_after: bool = True
    ) -> None:
        """Block a payload type for `length_ns`; `extends`: from the last request sent meanwhile."""
        self._blocks[kind] = _Block(now_ns + length_ns, length_ns, extends, tells_retry_after)

    def refusal(self, kind: int, now_ns: int) -> RateRefusal | None:
        """Return the refusal of a request of this type now, None when its type is not blocked."""
        block = self._blocks.get(kind)
        if block is None:
            return None
        if block.until_ns <= now_ns:
            del self._blocks[kind]
            return None
        if block.extends:
            block.until_ns = now_ns + block.length_ns
        left_s = -((now_ns - block.until_ns) // SECOND_NS)  # rounded up: a client that waits so long is not refused
        text = f"{_name(kind)} is blocked for {left_s} s more"
        return RateRefusal("BLOCKED_PAYLOAD_TYPE", text, left_s if block.tells_retry_after else None)


@dataclass(slots=True)
class _Window:
    """The times that still count; `room` says whether one more fits."""

    length_ns: int
    times_ns: deque[int] = field(default_factory=deque)

    def room(self, limit: int, now_ns: int) -> bool:
        while self.times_ns and self.times_ns[0] + self.length_ns <= now_ns:
            self.times_ns.popleft()
        return len(self.times_ns) < limit


class RateGate:
    """Lets one link's requests pass, or says why not. Times must not run backwards."""

    def __init__(self, limits: RateLimits) -> None:
        self.limits = limits
        self._blocks = Blocks()
        self._general, self._historical = _Window(SECOND_NS), _Window(SECOND_NS)
        self._refused: dict[int, _Window] = {}
        self._minutes = {payload_type(name): (_Window(MINUTE_NS), limit) for name, limit in PLATFORM_LIMITS.items()}

    def refusal(self, kind: int, now_ns: int) -> RateRefusal | None:
        """Count a request that came at `now_ns`; return why it is refused, None when it may pass."""
        blocked = self._blocks.refusal(kind, now_ns)
        if blocked is not None:
            return blocked
        limits = self.limits
        window, limit = self._general, limits.requests_per_s
        if is_historical(kind):
            window, limit = self._historical, limits.historical_per_s
        if not window.room(limit, now_ns):
            if limits.count_refused:
                window.times_ns.append(now_ns)
            self._note_refused(kind, now_ns)
            text = f"{_name(kind)} is more than {limit} requests in one second"
            return RateRefusal("REQUEST_FREQUENCY_EXCEEDED", text)
        if limits.platform and kind in self._minutes:
            minute, per_minute = self._minutes[kind]
            if not minute.room(per_minute, now_ns):
                for trading in self._minutes:
                    self._blocks.start(trading, now_ns, MINUTE_NS, tells_retry_after=limits.tells_retry_after)
                return self._blocks.refusal(kind, now_ns)
            minute.times_ns.append(now_ns)
        window.times_ns.append(now_ns)
        return None

    def _note_refused(self, kind: int, now_ns: int) -> None:
        limits = self.limits
        if limits.block_after is None:
            return
        refused = self._refused.setdefault(kind, _Window(limits.block_window_ns))
        refused.length_ns = limits.block_window_ns
        refused.times_ns.append(now_ns)
        if not refused.room(limits.block_after, now_ns):
            refused.times_ns.clear()
            self._blocks.start(
                kind, now_ns, limits.block_for_ns, extends=limits.refused_extend,
                tells_retry_after=limits.tells_retry_after,
            )  # fmt: skip


def _name(kind: int) -> str:
    cls = message_for(kind)
    return f"payload type {kind}" if cls is None else str(cls.DESCRIPTOR.name)
