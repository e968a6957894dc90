"""Keeps a bot to its promises over a long run, by the bytes on its wire and by its own lines."""

from collections import Counter, deque
from collections.abc import Callable
from typing import Any

from twisted.logger import formatEvent
from wired_bot import SECOND

from bot.ctrader.ratelimit import is_historical
from bot.ctrader.schema import message, message_for, payload_type
from bot.engine.decision import Decision

_NEW, _CLOSE = payload_type("ProtoOANewOrderReq"), payload_type("ProtoOAClosePositionReq")
_TRADES = {_NEW, _CLOSE}
_HEARTBEAT = payload_type("ProtoHeartbeatEvent")
_ERRORS = {payload_type("ProtoOAErrorRes"), payload_type("ProtoErrorRes")}
_REMEMBERED = 2_000


class Witness:
    """Reads what goes over the wire and notes every broken promise in `problems`. Units: times in ns."""

    def __init__(self, is_ready: Callable[[], bool]) -> None:
        self._is_ready = is_ready
        self.problems: list[str] = []
        self.written: Counter[str] = Counter()
        self.blocked_count = 0
        self.most_in_a_second = {False: 0, True: 0}
        self._times: dict[bool, deque[int]] = {False: deque(), True: deque()}
        self._kinds: dict[str, int] = {}
        self._held_until_ns: dict[int, int] = {}
        self.order_ids: set[str] = set()

    def reads(self, frames: list[bytes], now_ns: int) -> None:
        """The bot is given whole frames."""
        for body in frames:
            if b"BLOCKED_PAYLOAD_TYPE" not in body:
                continue
            wrapper = message("ProtoMessage").FromString(body)
            kind = self._kinds.get(wrapper.clientMsgId)
            if wrapper.payloadType not in _ERRORS or kind is None:
                continue
            error: Any = message_for(wrapper.payloadType)
            retry_after_s = getattr(error.FromString(wrapper.payload), "retryAfter", 0)
            if retry_after_s:
                self.blocked_count += 1
                until_ns = now_ns + retry_after_s * SECOND
                self._held_until_ns[kind] = max(until_ns, self._held_until_ns.get(kind, 0))

    def writes(self, frames: list[bytes], now_ns: int) -> None:
        """The bot has written whole frames."""
        for body in frames:
            wrapper = message("ProtoMessage").FromString(body)
            kind = wrapper.payloadType
            self.written[message_for(kind).DESCRIPTOR.name] += 1  # type: ignore[union-attr]
            if kind == _HEARTBEAT:
                continue
            self._kinds[wrapper.clientMsgId] = kind
            if len(self._kinds) > _REMEMBERED:
                del self._kinds[next(iter(self._kinds))]
            self._count(is_historical(kind), now_ns)
            if now_ns < self._held_until_ns.get(kind, 0):
                self.problems.append(f"{message_for(kind)} was sent while it was blocked")
            if kind in _TRADES and not self._is_ready():
                self.problems.append("a trade was sent while the session was not READY")
            if kind == _NEW:
                order: Any = message("ProtoOANewOrderReq")
                name = order.FromString(wrapper.payload).clientOrderId
                if not name or name in self.order_ids:
                    self.problems.append(f"client order id {name!r} was used again")
                self.order_ids.add(name)

    def _count(self, historical: bool, now_ns: int) -> None:
        times = self._times[historical]
        times.append(now_ns)
        while times[0] + SECOND <= now_ns:
            times.popleft()
        self.most_in_a_second[historical] = max(self.most_in_a_second[historical], len(times))
        if len(times) > (5 if historical else 50):
            self.problems.append(f"{len(times)} requests within a second")


class Outages:
    """The lines of the outage log, and READY as the state lines have it."""

    def __init__(self) -> None:
        self.lost: list[str] = []
        self.back = 0
        self.wrong_order = 0
        self.state_lost = self.state_back = 0
        self._was_ready = False

    def hear(self, event: dict[str, Any]) -> None:
        """Take an event of Twisted's log."""
        if event.get("log_namespace") != "bot.net.outage_log":
            return
        line = formatEvent(event)
        self.wrong_order += line.startswith("not ready") != (len(self.lost) == self.back)
        if line.startswith("not ready"):
            self.lost.append(line.removeprefix("not ready any more: "))
        else:
            self.back += 1

    def see(self, decision: Decision) -> None:
        """Take a Decision."""
        if decision.state is None or decision.state.ready == self._was_ready:
            return
        self._was_ready = decision.state.ready
        self.state_back += decision.state.ready
        self.state_lost += not decision.state.ready
