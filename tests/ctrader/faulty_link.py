"""A driver, a link that does to a conversation what networks do, and an honest venue at its other end; no real time.

How it works: the venue answers as `ScriptedVenue` does. Each request it receives takes the next of the fates laid out
for it: its answer comes late, twice, garbled, never, or is an error instead. The driver does what the real one does:
it wakes the session when it asks, drops the link when it wants that, makes a new one a second later or when the session
allows it, and finds another access token when one is needed. Everything that was sent and told is kept for the judges.
"""

import heapq
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from scripted_venue import ACCOUNT, SECOND, START, ScriptedVenue, build, plan
from standing import RENEWABLE
from test_translate import trade_data, wire_order

from bot.ctrader.phases import Phase
from bot.ctrader.schema import envelope, message, message_for
from bot.ctrader.session import Session
from bot.ctrader.token import Need, TokenPair, TokenStep
from bot.engine.events import Event

VENUE_HEARTBEAT_NS = 25 * SECOND


@dataclass(frozen=True)
class Fate:
    """What becomes of the answer to one request."""

    kind: str = "honest"  # honest | late | lost | twice | error | garbled
    delay_s: float = 0.0
    code: str = ""
    shape: str = "ProtoOAErrorRes"
    pause_s: int = 0  # retryAfter, or the length of a maintenance
    at: int = 0  # which byte is garbled
    bits: int = 1


@dataclass(frozen=True)
class Sent:
    """One message that left the session."""

    time_ns: int
    link: int
    name: str
    message_id: str
    request: Any
    is_ready: bool


@dataclass
class Hold:
    """A kind of request that the venue has blocked."""

    name: str
    from_ns: int
    until_ns: int


@dataclass(order=True)
class Delivery:
    """Bytes on their way to the session."""

    time_ns: int
    number: int
    link: int = field(compare=False)
    body: bytes = field(compare=False)


class FaultyLink:
    """The session under test with all the world around it."""

    def __init__(self) -> None:
        self.session = Session(plan(**RENEWABLE))
        self.now_ns = START
        self.fates: deque[Fate] = deque()
        self.sent: list[Sent] = []
        self.told: list[tuple[int, Event]] = []
        self.holds: list[Hold] = []
        self.answered_ids: set[str] = set()
        self.refused_codes: set[str] = set()
        self.garbled_ids: set[str] = set()
        self._script = ScriptedVenue(self.session)
        self._deliveries: list[Delivery] = []
        self._number = 0
        self._link = 0
        self._link_at_ns: int | None = START
        self._beat_ns = START
        self._keeper_ns = START
        self._orders = 100

    # The driver.

    def run(self, seconds: float) -> None:
        """Let time pass."""
        end_ns = self.now_ns + round(seconds * SECOND)
        self.turn()
        in_vain = 0
        while (due_ns := self._next_ns()) <= end_ns:
            in_vain = in_vain + 1 if due_ns <= self.now_ns else 0
            assert in_vain < 100, "the session wants to be woken and does nothing when it is"
            self.now_ns = max(self.now_ns, due_ns)
            self._step()
        self.now_ns = end_ns
        self.turn()

    def run_until_ready(self, seconds: float) -> bool:
        """Let time pass until the session is READY; return whether it came to that."""
        end_ns = self.now_ns + round(seconds * SECOND)
        while not self.session.ready and self.session.fatal is None and self.now_ns < end_ns:
            self.run(1)
        return self.session.ready

    def turn(self) -> None:
        """Do what is to be done now: send, hear the venue, drop the link, look for a token."""
        for _ in range(1000):
            self._judge_link()
            self._keep_token()
            frames = self.session.data_to_send(self.now_ns)
            for data in frames:
                self._hear(data[4:])
            self.told += [(self.now_ns, event) for event in self.session.events()]
            if not frames:
                return
        raise AssertionError("the session never stops talking")

    def drop(self, pause_s: float = 1.0) -> None:
        """Cut the link; another one is made after the pause, or later if the session asks for that."""
        if self.session.phase is not Phase.CLOSED:
            retry_ns = self.session.retry_at_ns or 0
            self.session.connection_lost(self.now_ns, "cut")
            self._link += 1
            self._link_at_ns = max(self.now_ns + round(pause_s * SECOND), retry_ns)
            self.told += [(self.now_ns, event) for event in self.session.events()]

    def give(self, body: bytes) -> None:
        """Have the session receive a frame now."""
        if self.session.phase is not Phase.CLOSED:
            self._note(body)
            self.session.receive_frames([body], self.now_ns)
            self.turn()

    def submit(self, request: Any) -> None:
        """Have the engine ask for something."""
        self.session.submit(request, self.now_ns)

    def step(self, step: str) -> None:
        """Give a step of the search for a token, if it is one that its keeper could give."""
        if step == "renew" and not self.session.can_renew_token:
            return
        pair = TokenPair("from-elsewhere", "refresh-elsewhere", None) if step == "use" else None
        self.session.token_step(TokenStep(self.now_ns, step, pair))  # type: ignore[arg-type]

    def _judge_link(self) -> None:
        if self.session.fatal is not None or self.session.wants_disconnect is not None:
            self.drop()
        if self._link_at_ns is not None and self.now_ns >= self._link_at_ns and self.session.fatal is None:
            self._link_at_ns = None
            self.session.connection_made(self.now_ns)
            self._beat_ns = self.now_ns + VENUE_HEARTBEAT_NS

    def _keep_token(self) -> None:
        if self.session.token.need is Need.NOW and self.now_ns >= self._keeper_ns:
            self._keeper_ns = self.now_ns + 20 * SECOND
            self.step("renew" if self.session.can_renew_token and self.session.token.refusal is None else "use")

    def _next_ns(self) -> int:
        times = [self._deliveries[0].time_ns] if self._deliveries else []
        times += [t for t in (self.session.next_timeout_ns(), self._link_at_ns) if t is not None]
        if self.session.phase is not Phase.CLOSED:
            times.append(self._beat_ns)
        if self.session.token.need is Need.NOW:
            times.append(self._keeper_ns)
        return min(times) if self.session.fatal is None else 2**63

    def _step(self) -> None:
        while self._deliveries and self._deliveries[0].time_ns <= self.now_ns:
            self._deliver(heapq.heappop(self._deliveries))
        if self.now_ns >= self._beat_ns and self.session.phase is not Phase.CLOSED:
            self._beat_ns = self.now_ns + VENUE_HEARTBEAT_NS
            self.session.receive_frames([envelope(message("ProtoHeartbeatEvent")())], self.now_ns)
        self.session.handle_timeout(self.now_ns)
        self.turn()

    # The venue.

    def _hear(self, body: bytes) -> None:
        wrapper = message("ProtoMessage").FromString(body)
        request = message_for(wrapper.payloadType).FromString(wrapper.payload)
        name = request.DESCRIPTOR.name
        self.sent.append(Sent(self.now_ns, self._link, name, wrapper.clientMsgId, request, self.session.ready))
        if name == "ProtoHeartbeatEvent":
            return
        fate = self.fates.popleft() if self.fates else Fate()
        for content, message_id in self._answers(name, wrapper.clientMsgId, request, fate):
            reply = envelope(content, message_id)
            if fate.kind == "garbled":
                self.garbled_ids.add(wrapper.clientMsgId)
                changed = bytearray(reply)
                changed[fate.at % len(reply)] ^= fate.bits
                reply = bytes(changed)
            for _ in range(2 if fate.kind == "twice" else 1):
                self._number += 1
                time_ns = self.now_ns + round(fate.delay_s * SECOND)
                heapq.heappush(self._deliveries, Delivery(time_ns, self._number, self._link, reply))

    def _answers(self, name: str, message_id: str, request: Any, fate: Fate) -> list[tuple[Any, str | None]]:
        if fate.kind == "lost":
            return []
        if fate.kind == "error":
            return [(self._error(fate), message_id)]
        if name == "ProtoOANewOrderReq":
            self._orders += 1
            data = trade_data(volume=request.volume, side=request.tradeSide, symbol_id=request.symbolId)
            made = wire_order(orderId=self._orders, clientOrderId=request.clientOrderId, tradeData=data)
            return [
                (build("ExecutionEvent", executionType=2, order=made), message_id),
                (build("ExecutionEvent", executionType=3, order=made), None),
            ]
        if name == "ProtoOAClosePositionReq":
            self._orders += 1
            made = wire_order(orderId=self._orders, closingOrder=True)
            return [(build("ExecutionEvent", executionType=2, order=made), message_id)]
        if name == "ProtoOACancelOrderReq":
            made = wire_order(orderId=request.orderId)
            return [(build("ExecutionEvent", executionType=5, order=made), message_id)]
        return [(reply, message_id) for reply in self._script.replies[name](request)]

    def _error(self, fate: Fate) -> Any:
        self.refused_codes.add(fate.code)
        fields: dict[str, Any] = {}
        if fate.shape == "ProtoOAErrorRes" and fate.pause_s:
            fields["retryAfter"] = fate.pause_s
        if fate.code == "SERVER_IS_UNDER_MAINTENANCE" and fate.shape != "ProtoOAOrderErrorEvent":
            end_s = self.now_ns // SECOND + fate.pause_s
            fields["maintenanceEndTimestamp"] = end_s * (1000 if fate.shape == "ProtoErrorRes" else 1)
        return build(fate.shape, errorCode=fate.code, **fields)

    def _deliver(self, delivery: Delivery) -> None:
        if delivery.link != self._link or self.session.phase is Phase.CLOSED:
            return
        self._note(delivery.body)
        self.session.receive_frames([delivery.body], self.now_ns)
        self.turn()

    def _note(self, body: bytes) -> None:
        # What the answer says about limits binds only if the session can still tell what it is an answer to.
        try:
            wrapper = message("ProtoMessage").FromString(body)
            kind = message_for(wrapper.payloadType)
            content = None if kind is None else kind.FromString(wrapper.payload)
        except Exception:
            return
        asked = self.session.requests.get(wrapper.clientMsgId)
        if asked is None and not wrapper.clientMsgId and hasattr(content, "errorCode"):
            asked = self.session.requests.only()  # an error that names no request is about the only one, if it is alone
        if asked is None or self.session.wants_disconnect is not None:
            return
        self.answered_ids.add(asked.message_id)
        if getattr(content, "errorCode", "") == "BLOCKED_PAYLOAD_TYPE":
            pause_s = max(1, getattr(content, "retryAfter", 0))
            name = asked.message.DESCRIPTOR.name
            self.holds.append(Hold(name, self.now_ns, self.now_ns + pause_s * SECOND))

    @staticmethod
    def trade_key(sent: Sent) -> str:
        """Return what the wire shows of a trade that nothing else shares."""
        fields = {"ProtoOANewOrderReq": "clientOrderId", "ProtoOAClosePositionReq": "positionId"}
        return str(getattr(sent.request, fields.get(sent.name, "orderId")))


ACCOUNT_END = build("AccountDisconnectEvent")
TOKEN_END = build("AccountsTokenInvalidatedEvent", ctidTraderAccountIds=[ACCOUNT], reason="refreshed")
APPLICATION_END = build("ClientDisconnectEvent", reason="bye")
