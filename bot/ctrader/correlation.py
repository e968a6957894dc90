"""Which reply belongs to which request: message ids that never repeat, and what became of each request.

Every request has one owner (its `Purpose`) and exactly one `Outcome`. How long an answer is waited for counts from the
moment the request was written, not from when it was queued: one that is sent late has not been ignored for long.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from google.protobuf.message import Message

from bot.ctrader.schema import payload_type
from bot.execution.requests import TradeRequest

REPLY_TIMEOUT_NS = 15_000_000_000
# The answer to a renewal is the only place where the new pair is, and the old one is dead by then.
RENEWAL_TIMEOUT_NS = 45_000_000_000
# The engine times its orders out much sooner; this only keeps a request from being remembered for ever.
TRADE_TIMEOUT_NS = 300_000_000_000


class Purpose(Enum):
    """Why a request was sent, and so who takes its answer."""

    HANDSHAKE = "handshake"
    TRADE = "trade"
    HISTORY = "history"
    SYMBOL_CHANGE = "symbol_change"
    DEPTH_RENEWAL = "depth_renewal"
    TOKEN_RENEWAL = "token_renewal"
    SESSION_CHECK = "session_check"
    QUESTION = "question"


_PATIENCE_NS = {Purpose.TRADE: TRADE_TIMEOUT_NS, Purpose.TOKEN_RENEWAL: RENEWAL_TIMEOUT_NS}


class Outcome(Enum):
    """What became of a request."""

    ANSWERED = "answered"
    REFUSED = "refused with a code"
    UNKNOWN = "sent, and not answered: it may have been carried out"
    NOT_SENT = "never sent"


@dataclass(slots=True)
class PendingRequest:
    """A request without an outcome. `key` is what its owner needs back; `written_ns` None while it waits to leave."""

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
        """When patience ends."""
        if self.written_ns is None:
            return None
        return self.written_ns + _PATIENCE_NS.get(self.purpose, REPLY_TIMEOUT_NS)


class Correlation:
    """Requests by message id. Ids count on over every connection of the run, so none is ever used twice.

    `outcomes` counts what became of them: with those that wait it adds up to `registered_count` at any time.
    """

    def __init__(self, run_id: str) -> None:
        self._run_id = run_id
        self._pending: dict[str, PendingRequest] = {}
        self.registered_count = 0
        self.outcomes: Counter[Outcome] = Counter()

    def register(
        self, purpose: Purpose, message: Message, key: object = None, trade: TradeRequest | None = None
    ) -> PendingRequest:
        """Register a request under a new message id."""
        self.registered_count += 1
        request = PendingRequest(f"{self._run_id}-{self.registered_count}", purpose, message, key, trade)
        self._pending[request.message_id] = request
        return request

    def get(self, message_id: str) -> PendingRequest | None:
        """Return the request that waits under this id."""
        return self._pending.get(message_id)

    def sent(self, message_id: str) -> PendingRequest | None:
        """Return the request that waits for an answer under this id: nothing answers one that has not left yet."""
        request = self._pending.get(message_id)
        return None if request is None or request.written_ns is None else request

    def only(self) -> PendingRequest | None:
        """Return the one request that was written and waits; None when there is none, or more than one."""
        written = [request for request in self._pending.values() if request.written_ns is not None]
        return written[0] if len(written) == 1 else None

    def settle(self, message_id: str, outcome: Outcome) -> None:
        """Give a request its outcome; nothing for one that has it already."""
        if self._pending.pop(message_id, None) is not None:
            self.outcomes[outcome] += 1

    def forget(self, unwanted: Callable[[PendingRequest], bool]) -> list[PendingRequest]:
        """Settle and return every request that `unwanted` names: unknown if it was written, else never sent."""
        forgotten = [request for request in self._pending.values() if unwanted(request)]
        for request in forgotten:
            self.settle(request.message_id, Outcome.NOT_SENT if request.written_ns is None else Outcome.UNKNOWN)
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

    def __len__(self) -> int:
        return len(self._pending)
