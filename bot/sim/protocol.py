"""One client's link to the venue: bytes in, bytes out, and what the client may do on it.

How it works: `receive` reads frames and answers each request into a queue that `data_to_send` empties. A link is born
unauthenticated; application auth must come first, then account auth for each account. Requests pass the `RateGate`,
then the venue's `Stage` (whose faults may want something else), and are dispatched by payload type: the session's to
`SessionRequests`, trading to the account's `Desk`, the rest to `answers`. The venue's request log hears of every one.
A peer that does not speak the protocol (no frame, no envelope) is closed; a request that makes no sense is answered.
"""

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from google.protobuf.message import DecodeError

from bot.ctrader.framing import FrameReader, FrameTooLong, frame
from bot.ctrader.schema import envelope, message, message_for, payload_type
from bot.sim.answers import Asked, answers
from bot.sim.desk import Desk
from bot.sim.entities import OrderRefused, Refused
from bot.sim.execution import Emit
from bot.sim.faults.actions import rate_error
from bot.sim.faults.conditions import error_res
from bot.sim.faults.outbound import Outbound
from bot.sim.faults.verdict import Verdict
from bot.sim.rate_limits import RateGate
from bot.sim.request_log import ACCEPTED, IGNORED, Heard
from bot.sim.session_requests import SessionRequests

if TYPE_CHECKING:
    from bot.sim.venue import Venue

HEARTBEAT_NS = 25_000_000_000
MAX_REQUEST_BYTES = 1_000_000
"""Far above any request of the protocol; a longer frame is not one."""

_AS_USUAL = Verdict()


class Link:
    """The venue's end of one connection. Made by `Venue.connect`."""

    def __init__(self, venue: "Venue", now_ns: int) -> None:
        self._venue, self._stage = venue, venue.stage
        self.number = 0
        self._reader = FrameReader(MAX_REQUEST_BYTES)
        self.outbound = Outbound(venue.stage.random())
        self.gate = RateGate(venue.stage.limits)
        self._waiting: deque[tuple[int, int, bytes]] = deque()
        self._is_mute = False
        self._last_sent_ns = self.now_ns = now_ns
        self.requests = SessionRequests(venue, self)
        self.subscriptions = self.requests.subscriptions
        self.is_closed = False
        self.close_reason: str | None = None
        self.aborts = False
        self._trading: dict[int, Callable[[Desk, Any, int, Emit], None]] = {
            payload_type("ProtoOANewOrderReq"): Desk.place,
            payload_type("ProtoOAClosePositionReq"): Desk.close,
            payload_type("ProtoOACancelOrderReq"): Desk.cancel,
            payload_type("ProtoOAAmendOrderReq"): Desk.amend_order,
            payload_type("ProtoOAAmendPositionSLTPReq"): Desk.amend_position,
        }
        self._answers = answers()

    # -- bytes ------------------------------------------------------------------------------------------------------

    def receive(self, data: bytes, now_ns: int) -> None:
        """Take in bytes from the client; answers are in `data_to_send` afterwards."""
        self.now_ns = now_ns
        if self.is_closed:
            return
        try:
            frames = self._reader.receive(data)
        except FrameTooLong as error:
            self._fail(str(error))
            return
        stage = self._stage
        for body in frames:
            if self.is_closed:
                return
            if not stage.watches_hearing and not self._waiting:
                self._receive_frame(body, now_ns)
                continue
            heard_ns = stage.heard_ns(self, now_ns)
            if heard_ns is None:
                self._note(body, now_ns, IGNORED)
                continue
            if self._waiting:
                heard_ns = max(heard_ns, self._waiting[-1][0])
            self._waiting.append((heard_ns, now_ns, body))
            stage.schedule(heard_ns, self._hear_waiting)
        if stage.due_ns <= now_ns:
            stage.run(now_ns)

    def _hear_waiting(self, now_ns: int) -> None:
        while self._waiting and self._waiting[0][0] <= now_ns and not self.is_closed:
            _, received_ns, body = self._waiting.popleft()
            self.now_ns = now_ns
            self._receive_frame(body, received_ns)

    def segments_to_send(self, now_ns: int) -> list[bytes]:
        """Return and forget what may leave at `now_ns`; each item is meant to travel by itself."""
        return self.outbound.take(now_ns)

    def data_to_send(self) -> bytes:
        """Return and forget what may leave now."""
        return b"".join(self.outbound.take(max(self.now_ns, self._venue.now_ns)))

    @property
    def pending_bytes(self) -> int:
        """How much waits to be sent."""
        return len(self.outbound)

    @property
    def is_reading(self) -> bool:
        """Whether the venue takes bytes from this client; while it does not, they are to wait in the network."""
        return self._stage.is_reading(self)

    def close(self) -> None:
        """Forget the client: its subscriptions end, nothing more is sent."""
        self.is_closed = True
        self.requests.accounts.clear()
        self._waiting.clear()
        self.outbound.end(self._venue.now_ns)
        self._venue.forget(self)
        self._stage.forget(self)

    def drop(self, reason: str, *, abort: bool = False) -> None:
        """End the connection from this side; what could leave already still does, unless it is aborted."""
        if not self.is_closed:
            self.close_reason, self.aborts = reason, abort
            self.close()

    def mute(self) -> None:
        """Send nothing any more; the connection is about to end."""
        self._is_mute = True

    def send(self, body: Any, client_msg_id: str | None = None) -> None:
        """Queue a message."""
        self.send_frame(frame(envelope(body, client_msg_id)))

    def send_frame(self, data: bytes) -> None:
        """Queue a whole frame."""
        if self.is_closed or self._is_mute:
            return
        now_ns = self._last_sent_ns = self._venue.now_ns
        if self._stage.watches_sending:
            self._stage.send(self, data, now_ns)
        elif self.outbound.is_bent:
            self.outbound.put(data, now_ns)
        else:
            self.outbound.ready += data

    def heartbeat(self, now_ns: int) -> None:
        """Send a heartbeat if nothing was sent for 25 s."""
        if now_ns >= self.next_heartbeat_ns:
            self.send(message("ProtoHeartbeatEvent")())

    @property
    def next_heartbeat_ns(self) -> int:
        """When the next heartbeat is due if nothing else is sent."""
        return self._last_sent_ns + HEARTBEAT_NS

    def has_account(self, account_id: int) -> bool:
        """Tell whether this link is authorised for an account."""
        return account_id in self.requests.accounts

    def end_sessions(self, access_token: str, reason: str) -> None:
        """End the account sessions that were opened with a token which is no longer valid."""
        self.requests.end_sessions(access_token, reason)

    # -- dispatch ---------------------------------------------------------------------------------------------------

    def _fail(self, reason: str) -> None:
        self.drop(reason)

    def _receive_frame(self, body: bytes, received_ns: int) -> None:
        try:
            wrapper = message("ProtoMessage").FromString(body)
        except DecodeError:
            self._fail("the client sent a frame that is not a ProtoMessage")
            return
        msg_id = wrapper.clientMsgId if wrapper.HasField("clientMsgId") else None
        if isinstance(msg_id, bytes):  # protobuf's way to say that it is not UTF-8
            self._fail("the client sent a message id that is not UTF-8")
            return
        kind, account_id = wrapper.payloadType, self._account_of(wrapper)
        note = self._stage.request_log.note
        if kind == payload_type("ProtoHeartbeatEvent"):
            note(Heard(received_ns, self.number, kind, None, ACCEPTED))
            return
        refusal = self.gate.refusal(kind, received_ns)
        if refusal is not None:
            self.send(rate_error(refusal, account_id), msg_id)
            note(Heard(received_ns, self.number, kind, account_id, refusal.code))
            return
        verdict = self._stage.judge(self, wrapper, self.now_ns) if self._stage.watches_requests else _AS_USUAL
        outcome = verdict.outcome
        if outcome is None:
            self._is_mute = verdict.is_silent
            outcome = self._answer(wrapper, msg_id, account_id)
            self._is_mute = False
        elif verdict.reply is not None:
            self.send(verdict.reply, msg_id)
        note(Heard(received_ns, self.number, kind, account_id, outcome))
        if verdict.drop is not None:
            self.drop("a fault ends the connection", abort=verdict.drop.abort)

    def _answer(self, wrapper: Any, msg_id: str | None, account_id: int | None) -> str:
        """Execute a request and answer it; return what became of it, for the log."""
        try:
            self._dispatch(wrapper.payloadType, wrapper.payload, msg_id)
        except OrderRefused as refused:
            self._order_error(wrapper.payloadType, refused, msg_id, account_id)
            return refused.code
        except Refused as refused:
            self.send(error_res(refused.code, refused.description, account_id), msg_id)
            return refused.code
        return ACCEPTED

    def _note(self, body: bytes, received_ns: int, outcome: str) -> None:
        """Log a message that is not heard; one that cannot be read is nothing to log."""
        try:
            wrapper = message("ProtoMessage").FromString(body)
        except DecodeError:
            return
        account_id = self._account_of(wrapper)
        self._stage.request_log.note(Heard(received_ns, self.number, wrapper.payloadType, account_id, outcome))

    def _dispatch(self, kind: int, payload: bytes, msg_id: str | None) -> None:
        is_auth = kind == payload_type("ProtoOAApplicationAuthReq")
        if not self.requests.is_client and not is_auth:
            raise Refused("CH_CLIENT_NOT_AUTHENTICATED", "application auth must come first")
        known = is_auth or kind in self.requests.handlers or kind in self._trading or kind in self._answers
        if not known:
            unsupported = message("ProtoErrorRes")(
                errorCode="UNSUPPORTED_MESSAGE", description=f"no request has payload type {kind}"
            )
            self.send(unsupported, msg_id)
            return
        cls: Any = message_for(kind)
        try:
            request = cls.FromString(payload)
        except DecodeError:
            raise Refused("INVALID_REQUEST", f"the payload is not a {cls.DESCRIPTOR.name}") from None
        if not request.IsInitialized():
            missing = ", ".join(request.FindInitializationErrors())
            raise Refused("INVALID_REQUEST", f"{cls.DESCRIPTOR.name} without {missing}")
        for field, content in request.ListFields():
            # protobuf hands out text that is not UTF-8 as bytes; kept, it would break the answers to everybody.
            if field.type == field.TYPE_STRING and isinstance(content, bytes):
                raise Refused("INVALID_REQUEST", f"{field.name} of {cls.DESCRIPTOR.name} is not UTF-8")
        if is_auth:
            self.requests.application_auth(request, msg_id)
        elif kind in self.requests.handlers:
            self.requests.handlers[kind](request, msg_id)
        elif kind in self._trading:
            desk, grant = self.requests.desk(request)
            if not grant.can_trade:
                raise Refused("TRADING_NOT_ALLOWED", "the access token has view scope: it cannot trade")
            self._trading[kind](desk, request, self.now_ns, self._reply_then_broadcast(desk, msg_id))
        else:
            desk, _ = self.requests.desk(request)
            self.send(self._answers[kind](Asked(self._venue, desk, request, self.now_ns)), msg_id)

    def _reply_then_broadcast(self, desk: Desk, msg_id: str | None) -> Emit:
        """Return an emit that gives the first event to the asker with its message id; everyone else, and later ones,
        get none."""
        waiting = [msg_id]

        def emit(event: Any) -> None:
            first = waiting.pop() if waiting else None
            self._venue.broadcast(desk.account.settings.account_id, event, self, first)

        return emit

    @staticmethod
    def _account_of(wrapper: Any) -> int | None:
        cls: Any = message_for(wrapper.payloadType)
        if cls is None or "ctidTraderAccountId" not in cls.DESCRIPTOR.fields_by_name:
            return None
        try:
            request = cls.FromString(wrapper.payload)
        except DecodeError:
            return None
        return request.ctidTraderAccountId if request.HasField("ctidTraderAccountId") else None

    def _order_error(self, kind: int, refused: OrderRefused, msg_id: str | None, account_id: int | None) -> None:
        if kind not in self._trading or account_id is None:
            self.send(error_res(refused.code, refused.description, account_id), msg_id)
            return
        self.send(
            message("ProtoOAOrderErrorEvent")(
                ctidTraderAccountId=account_id,
                errorCode=refused.code,
                orderId=refused.order_id,
                positionId=refused.position_id,
                description=refused.description,
            ),
            msg_id,
        )
