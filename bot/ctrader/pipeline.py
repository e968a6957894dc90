"""The one road from frames to Decisions, driven alike by the live connection, by replay and by tests.

    frames, timers, commands, paper fills -> Session -> events -> Engine -> Decision -> requests -> Session

How it works: each method is one input, takes the time at which it happened, and returns the Decision that followed. The
driver journals the input and the Decision; replay calls the same methods with what was journalled. What is to be sent
waits in `data_to_send`: it leaves the session at the time of the input, because the session remembers when each request
left (a drop makes one that did "unknown" and one that did not "rejected"), and a replay must remember the same.

Invariant: the Decisions depend on the sequence of these calls and on nothing else.
"""

from collections.abc import Iterable, Sequence
from typing import Generic, Protocol, TypeVar

from bot.ctrader.ratelimit import KindHeld
from bot.ctrader.session import Session
from bot.ctrader.token import TokenStep
from bot.engine.events import Event
from bot.execution.requests import Request, TradeRequest
from bot.market.delta_sink import DeltaSink


class Asks(Protocol):
    """What a pipeline needs of a Decision: what it asks of the venue."""

    @property
    def requests(self) -> tuple[Request, ...]:
        """Requests, in the order they are to be sent."""


D = TypeVar("D", bound=Asks)
D_co = TypeVar("D_co", bound=Asks, covariant=True)


class Decider(Protocol[D_co]):
    """What a pipeline needs of the engine."""

    @property
    def sink(self) -> DeltaSink | None:
        """Who takes delta rows without an event for them; None while nobody does."""

    def receive(self, event: Event) -> None:
        """Take in one event."""

    def decide(self, now_ns: int) -> D_co:
        """Return what follows."""

    def next_timeout_ns(self) -> int:
        """Return when to decide again even if nothing arrives."""


class Pipeline(Generic[D]):
    """A session and an engine, joined.

    Args: `orders_to_venue` False keeps orders from the session: a dry run fills them on paper, and feeds the fills back
        through `inject`.
    """

    def __init__(self, session: Session, engine: Decider[D], *, orders_to_venue: bool) -> None:
        self._session = session
        self._engine = engine
        self._orders_to_venue = orders_to_venue
        self._frames: list[bytes] = []

    def link_up(self, now_ns: int) -> D:
        """Take a fresh, verified connection. What was left to send belonged to the one before."""
        self._frames.clear()
        self._session.connection_made(now_ns)
        return self._decide(now_ns)

    def link_down(self, now_ns: int, reason: str) -> D:
        """Take the end of the connection."""
        self._session.connection_lost(now_ns, reason)
        return self._decide(now_ns)

    def batch(self, frames: Sequence[bytes], recv_ns: int) -> D:
        """Take the frames that one read of the connection completed."""
        sink = self._engine.sink
        if sink is not None and self._session.pour(frames, recv_ns, sink):
            return self._decide_now(recv_ns)
        self._session.receive_frames(frames, recv_ns)
        return self._decide(recv_ns)

    def rows(self, now_ns: int, *, heard: int) -> D:
        """Decide on market data that went straight to the engine's sink, as in a backtest; the last came at `heard`."""
        self._session.heard(heard)
        return self._decide_now(now_ns)

    def timer(self, now_ns: int) -> D:
        """Take the passing of time."""
        self._session.handle_timeout(now_ns)
        return self._decide(now_ns)

    def inject(self, events: Iterable[Event | TokenStep | KindHeld], now_ns: int) -> D:
        """Take events from this side: commands of a person, paper fills, news of the token and of other accounts."""
        for event in events:
            if isinstance(event, TokenStep):
                self._session.token_step(event)
            elif isinstance(event, KindHeld):
                self._session.kind_held(event)
            else:
                self._engine.receive(event)
        return self._decide(now_ns)

    def data_to_send(self) -> bytes:
        """Return the bytes for the venue that the inputs since the last call have led to."""
        data = b"".join(self._frames)
        self._frames.clear()
        return data

    def next_timeout_ns(self) -> int:
        """Return when to call `timer` if nothing else happens before."""
        session_ns = self._session.next_timeout_ns()
        engine_ns = self._engine.next_timeout_ns()
        return engine_ns if session_ns is None else min(session_ns, engine_ns)

    def _decide(self, now_ns: int) -> D:
        for event in self._session.events():
            self._engine.receive(event)
        return self._decide_now(now_ns)

    def _decide_now(self, now_ns: int) -> D:
        """Decide where the session has nothing to tell."""
        decision = self._engine.decide(now_ns)
        for request in decision.requests:
            if self._orders_to_venue or not isinstance(request, TradeRequest):
                self._session.submit(request, now_ns)
        self._frames += self._session.data_to_send(now_ns)
        return decision
