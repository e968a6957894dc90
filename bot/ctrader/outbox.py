"""What leaves: requests in their turn, heartbeats when idle, and the patience with which answers are awaited."""

from google.protobuf.message import Message

from bot.ctrader.correlation import Correlation, Outcome, PendingRequest, Purpose
from bot.ctrader.framing import frame
from bot.ctrader.ratelimit import SECOND_NS, Budget, Importance, KindHeld, is_historical
from bot.ctrader.schema import envelope, message, payload_type
from bot.ctrader.send_queue import Outgoing, SendQueue
from bot.execution.requests import AmendOrder, PlaceOrder, TradeRequest

HEARTBEAT_IDLE_NS = 10 * SECOND_NS
INBOUND_LIMIT_NS = 60 * SECOND_NS
# How long an intention may wait to leave. One that grows a position was made for the prices of its moment; one that
# reduces it stays right for longer.
GROWTH_LIFE_NS, REDUCTION_LIFE_NS = 1 * SECOND_NS, 5 * SECOND_NS


class Outbox:
    """The sending side of a session and its clock. Message ids and limits outlive connections; requests do not."""

    def __init__(self, run_id: str, sharers: int = 1) -> None:
        self.pending = Correlation(run_id)
        self._budget = Budget(sharers)
        self._holds: list[KindHeld] = []
        self._queue = SendQueue(self._budget)
        self.heard_ns = 0  # when something was received last; who receives sets it
        self._sent_ns: int | None = None  # until the first request has left: not even a heartbeat precedes it

    def start(self, now_ns: int) -> None:
        """Begin a connection: it counts as alive now."""
        self.heard_ns, self._sent_ns = now_ns, None

    def is_silent(self, now_ns: int) -> bool:
        """Return whether nothing was received for so long that the link must be dead."""
        return now_ns - self.heard_ns >= INBOUND_LIMIT_NS

    def send(self, purpose: Purpose, body: Message, key: object = None) -> str:
        """Queue a request of the session under a new message id, and return that."""
        request = self.pending.register(purpose, body, key)
        number = payload_type(body.DESCRIPTOR.name)
        importance = Importance.HISTORICAL if is_historical(number) else Importance.SESSION
        self._queue.put(Outgoing(request.message_id, number, envelope(body, request.message_id), importance))
        return request.message_id

    def send_trade(self, body: Message, trade: TradeRequest, now_ns: int) -> None:
        """Queue a trading request under a new message id; it leaves soon or not at all."""
        request = self.pending.register(Purpose.TRADE, body, trade=trade)
        grows = isinstance(trade, PlaceOrder) or (isinstance(trade, AmendOrder) and not trade.reduces_risk)
        importance, life_ns = (
            (Importance.GROWTH, GROWTH_LIFE_NS) if grows else (Importance.REDUCTION, REDUCTION_LIFE_NS)
        )
        number, data = payload_type(body.DESCRIPTOR.name), envelope(body, request.message_id)
        self._queue.put(Outgoing(request.message_id, number, data, importance, now_ns + life_ns))

    def take_stale(self, now_ns: int) -> list[TradeRequest]:
        """Return the trading requests that could not leave within their life; they are not sent any more."""
        stale: list[TradeRequest] = []
        if not self._queue.is_waiting:
            return stale
        for item in self._queue.take_stale(now_ns):
            request = self.pending.get(item.message_id)
            self.pending.settle(item.message_id, Outcome.NOT_SENT)
            if request is not None and request.trade is not None:
                stale.append(request.trade)
        return stale

    def hold(self, body: Message, now_ns: int, retry_after_s: int) -> None:
        """Keep this kind of request back: the venue has blocked it. 0 seconds: it did not say for how long."""
        number = payload_type(body.DESCRIPTOR.name)
        self._budget.hold(number, now_ns, retry_after_s)
        until_ns = self._budget.held_until_ns(number, now_ns)
        if until_ns is not None:
            self._holds.append(KindHeld(now_ns, number, until_ns))

    def take_holds(self) -> list[KindHeld]:
        """Return the blocks since the last call, for the other accounts on the connection."""
        holds, self._holds = self._holds, []
        return holds

    def held_elsewhere(self, held: KindHeld) -> None:
        """Keep a kind of request back that another account has been told is blocked."""
        self._budget.held_elsewhere(held)

    def slow_down(self, body: Message, now_ns: int, retry_after_s: int) -> None:
        """Send nothing for a while that counts as this request does: the venue says we are too fast."""
        self._budget.slow_down(payload_type(body.DESCRIPTOR.name), now_ns, retry_after_s)

    def held_until_ns(self, body: Message, now_ns: int) -> int | None:
        """Return until when this kind of request is blocked; None when it is not."""
        return self._budget.held_until_ns(payload_type(body.DESCRIPTOR.name), now_ns)

    def frames(self, now_ns: int) -> list[bytes]:
        """Return the framed messages whose turn has come; a heartbeat when there was none for 10 s."""
        bodies = []
        if self._queue.is_waiting:
            for item in self._queue.take(now_ns):
                self.pending.written(item.message_id, now_ns)
                bodies.append(item.body)
        if not bodies and self._sent_ns is not None and now_ns - self._sent_ns >= HEARTBEAT_IDLE_NS:
            self._budget.record(payload_type("ProtoHeartbeatEvent"), now_ns)
            bodies.append(envelope(message("ProtoHeartbeatEvent")()))
        if bodies:
            self._sent_ns = now_ns
        return [frame(body) for body in bodies]

    def next_ns(self) -> int:
        """Return when something is due: a send, a heartbeat, the end of a patience."""
        heartbeat_ns = None if self._sent_ns is None else self._sent_ns + HEARTBEAT_IDLE_NS
        times = (heartbeat_ns, self._queue.next_ns(), self.pending.next_deadline_ns())
        return min([self.heard_ns + INBOUND_LIMIT_NS, *(t for t in times if t is not None)])

    def forget(self, *, link_lives: bool) -> list[TradeRequest]:
        """Forget what waits and return the trading requests that never left.

        While the link lives, the answers to two things may still come, and are worth it: to trades that were sent, and
        to the renewal of the token, whose answer is the only place where the new pair is.
        """

        def unwanted(request: PendingRequest) -> bool:
            was_sent = request.purpose is Purpose.TRADE and request.written_ns is not None
            return not (link_lives and (was_sent or request.purpose is Purpose.TOKEN_RENEWAL))

        forgotten = self.pending.forget(unwanted)
        self._queue.discard(request.message_id for request in forgotten)
        return [r.trade for r in forgotten if r.trade is not None and r.written_ns is None]
