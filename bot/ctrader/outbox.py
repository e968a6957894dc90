"""What leaves: requests in their turn, heartbeats when idle, and the patience with which answers are awaited."""

from google.protobuf.message import Message

from bot.ctrader.correlation import Correlation, PendingRequest, Purpose, TradeRequest
from bot.ctrader.framing import frame
from bot.ctrader.ratelimit import Outgoing, SendQueue
from bot.ctrader.schema import envelope, message, payload_type

_SECOND_NS = 1_000_000_000
HEARTBEAT_IDLE_NS = 10 * _SECOND_NS
INBOUND_LIMIT_NS = 60 * _SECOND_NS


class Outbox:
    """The sending side of a session and its clock. Message ids and rate limits outlive connections; requests do not."""

    def __init__(self, run_id: str) -> None:
        self.pending = Correlation(run_id)
        self._queue = SendQueue()
        self._heard_ns = self._sent_ns = 0

    def start(self, now_ns: int) -> None:
        """Begin a connection: both directions count as alive now."""
        self._heard_ns = self._sent_ns = now_ns

    def heard(self, now_ns: int) -> None:
        """Note that something was received."""
        self._heard_ns = now_ns

    def is_silent(self, now_ns: int) -> bool:
        """Return whether nothing was received for so long that the link must be dead."""
        return now_ns - self._heard_ns >= INBOUND_LIMIT_NS

    def send(self, purpose: Purpose, body: Message, key: object = None, trade: TradeRequest | None = None) -> None:
        """Queue a request under a new message id."""
        request = self.pending.register(purpose, body, key, trade)
        number = payload_type(body.DESCRIPTOR.name)
        trading = purpose is Purpose.TRADE
        self._queue.put(Outgoing(request.message_id, number, envelope(body, request.message_id), trading))

    def hold(self, body: Message, now_ns: int, retry_after_s: int) -> None:
        """Keep this kind of request back: the venue has blocked it, for a second if it did not say how long."""
        self._queue.hold(payload_type(body.DESCRIPTOR.name), now_ns + max(1, retry_after_s) * _SECOND_NS)

    def held_s(self, body: Message, now_ns: int) -> float | None:
        """Return for how many seconds this kind of request is still blocked; None when it is not."""
        until_ns = self._queue.held_until_ns(payload_type(body.DESCRIPTOR.name), now_ns)
        return None if until_ns is None else (until_ns - now_ns) / _SECOND_NS

    def frames(self, now_ns: int) -> list[bytes]:
        """Return the framed messages whose turn has come; a heartbeat when there was none for 10 s."""
        bodies = []
        for item in self._queue.take(now_ns):
            self.pending.written(item.message_id, now_ns)
            bodies.append(item.body)
        if not bodies and now_ns - self._sent_ns >= HEARTBEAT_IDLE_NS:
            self._queue.record(now_ns)
            bodies.append(envelope(message("ProtoHeartbeatEvent")()))
        if bodies:
            self._sent_ns = now_ns
        return [frame(body) for body in bodies]

    def next_ns(self) -> int:
        """Return when something is due: a send, a heartbeat, the end of a patience."""
        times = [self._heard_ns + INBOUND_LIMIT_NS, self._sent_ns + HEARTBEAT_IDLE_NS]
        times += [t for t in (self._queue.next_ns(), self.pending.next_deadline_ns()) if t is not None]
        return min(times)

    def forget(self, *, keep_sent_trades: bool) -> list[TradeRequest]:
        """Forget what waits and return the trading requests that never left.

        A trade that was sent may be kept while its connection lives: its answer may still come.
        """

        def unwanted(request: PendingRequest) -> bool:
            was_sent = request.purpose is Purpose.TRADE and request.written_ns is not None
            return not (keep_sent_trades and was_sent)

        forgotten = self.pending.forget(unwanted)
        self._queue.discard(request.message_id for request in forgotten)
        return [r.trade for r in forgotten if r.trade is not None and r.written_ns is None]
