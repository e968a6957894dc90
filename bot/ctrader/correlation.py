"""Which reply belongs to which request: message ids that never repeat, and what waits for an answer."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from google.protobuf.message import Message

from bot.ctrader.schema import payload_type
from bot.execution.requests import CancelOrder, ClosePosition, PlaceOrder

REPLY_TIMEOUT_NS = 15_000_000_000

TradeRequest = PlaceOrder | ClosePosition | CancelOrder


class Purpose(Enum):
    """Why a request was sent, and so who takes its answer."""

    HANDSHAKE = "handshake"
    TRADE = "trade"
    HISTORY = "history"
    SYMBOL_CHANGE = "symbol_change"
    DEPTH_RENEWAL = "depth_renewal"


@dataclass(slots=True)
class PendingRequest:
    """A request without an answer. `key` is what its sender needs back; `written_ns` None while it waits to leave."""

    message_id: str
    purpose: Purpose
    message: Message
    key: object = None
    trade: TradeRequest | None = None
    written_ns: int | None = None

    @property
    def expects(self) -> int | None:
        """Payload type of the reply; None for trading requests, which events answer."""
        if self.purpose is Purpose.TRADE:
            return None
        return payload_type(self.message.DESCRIPTOR.name.removesuffix("Req") + "Res")

    @property
    def deadline_ns(self) -> int | None:
        """When patience ends. Trading requests have none here: the engine times them out."""
        if self.purpose is Purpose.TRADE or self.written_ns is None:
            return None
        return self.written_ns + REPLY_TIMEOUT_NS


class Correlation:
    """Requests by message id. Ids count on over every connection of the run, so none is ever used twice."""

    def __init__(self, run_id: str) -> None:
        self._run_id = run_id
        self._sent_count = 0
        self._pending: dict[str, PendingRequest] = {}

    def register(
        self, purpose: Purpose, message: Message, key: object = None, trade: TradeRequest | None = None
    ) -> PendingRequest:
        """Register a request under a new message id."""
        self._sent_count += 1
        request = PendingRequest(f"{self._run_id}-{self._sent_count}", purpose, message, key, trade)
        self._pending[request.message_id] = request
        return request

    def get(self, message_id: str) -> PendingRequest | None:
        """Return the request that waits under this id."""
        return self._pending.get(message_id)

    def close(self, message_id: str) -> None:
        """Forget a request that is answered."""
        self._pending.pop(message_id, None)

    def forget(self, unwanted: Callable[[PendingRequest], bool]) -> list[PendingRequest]:
        """Forget and return every request that `unwanted` names."""
        forgotten = [request for request in self._pending.values() if unwanted(request)]
        for request in forgotten:
            del self._pending[request.message_id]
        return forgotten

    def written(self, message_id: str, now_ns: int) -> None:
        """Note that the request is on the wire; its patience starts now."""
        request = self._pending.get(message_id)
        if request is not None:
            request.written_ns = now_ns

    def any_of(self, purpose: Purpose) -> bool:
        """Return whether a request of this purpose waits."""
        return any(request.purpose is purpose for request in self._pending.values())

    def overdue(self, now_ns: int) -> PendingRequest | None:
        """Return a request whose patience is over."""
        for request in self._pending.values():
            if request.deadline_ns is not None and request.deadline_ns <= now_ns:
                return request
        return None

    def next_deadline_ns(self) -> int | None:
        """Return when the first patience ends."""
        deadlines = [r.deadline_ns for r in self._pending.values() if r.deadline_ns is not None]
        return min(deadlines, default=None)
