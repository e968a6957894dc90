"""Several accounts on one connection: one TLS link to the venue, a seat on it for each run.

How it works: the link is made when the first seat starts, and closed when the last one stops. Every seat is told of the
link's life; of its bytes it gets the frames that are for its account, as one delivery, so that a batch stays a batch.
A seat that wants the link dropped is told that it is down, and some time later that it is up again: what ails one
account is not to cost the others theirs. When all seats are out the link itself is dropped. Each session keeps to its
share of the limits; a block that one is told of is told to all.
"""

from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.defer import Deferred, succeed

from bot.ctrader.framing import FrameReader, FrameTooLong, frame
from bot.ctrader.hotpath import HotPath
from bot.ctrader.ratelimit import KindHeld
from bot.ctrader.routing import share_out
from bot.ctrader.session import Session
from bot.net.client import LONGEST_RETRY_S, LinkListener, VenueClient, retry_delay_s


class SharesLink(LinkListener, Protocol):
    """Who sits on a shared link: it is told what the others learn of the limits, too."""

    def session_step(self, step: KindHeld) -> None:
        """The venue blocks a kind of request of another account."""


class Seat:
    """One run's place on a shared link; to its driver it is a `VenueClient`."""

    def __init__(self, link: "SharedLink", listener: SharesLink, session: Session) -> None:
        self._link = link
        self._session = session
        self.listener = listener

    @property
    def run_id(self) -> str:
        """What the message ids of this seat start with."""
        return self._session.plan.run_id

    @property
    def account_id(self) -> int | None:
        """The account of this seat; None until it is chosen."""
        return self._session.account_id

    def start(self) -> None:
        """Take the seat, and connect if it is the first."""
        self._link.taken(self)

    def stop(self) -> "Deferred[None]":
        """Leave the seat; the last one to leave closes the link."""
        return self._link.left(self)

    def drop(self, reason: str, retry_in_s: float = 0.0) -> None:
        """Be out for a while; when all are, the link is made anew."""
        self._link.drop(self, reason, retry_in_s)

    def held(self, held: KindHeld) -> None:
        """Tell the others that the venue blocks a kind of request."""
        self._link.held(self, held)


class SharedLink:
    """The link and its seats. Args: `connect` builds the client for a listener; `reactor` gives turns and pauses."""

    def __init__(self, reactor: Any, connect: Callable[[LinkListener], VenueClient]) -> None:
        self._reactor = reactor
        self._out: dict[Seat, int] = {}  # seats that are out, and how often in a row
        self._returns: dict[Seat, Any] = {}
        self._client = connect(self)
        self._seats: list[Seat] = []
        self._reader = FrameReader()
        self._hot_path = HotPath()
        self._write: Callable[[bytes], None] | None = None

    def seat(self, listener: SharesLink, session: Session) -> Seat:
        """Return a seat, not yet taken."""
        return Seat(self, listener, session)

    # -- the seats --------------------------------------------------------------------------------------------------

    def taken(self, seat: Seat) -> None:
        """A seat is taken."""
        self._seats.append(seat)
        if len(self._seats) == 1:
            self._client.start()
        elif self._write is not None:
            self._reactor.callLater(0, self._welcome, seat)

    def left(self, seat: Seat) -> "Deferred[None]":
        """A seat is left."""
        if seat in self._returns:
            self._returns.pop(seat).cancel()
        if seat in self._seats:
            self._seats.remove(seat)
            if not self._seats:
                return self._client.stop()
        return succeed(None)

    def drop(self, seat: Seat, reason: str, retry_in_s: float) -> None:
        """A seat wants the link dropped; one that has left, or is out, has no say."""
        if not self._seats or self._seats == [seat]:
            self._client.drop(reason, retry_in_s)
        elif seat in self._seats and seat not in self._returns and self._write is not None:
            self._out[seat] = self._out.get(seat, 0) + 1
            pause_s = max(retry_in_s, retry_delay_s(self._out[seat], lambda: 0.0))
            self._returns[seat] = self._reactor.callLater(pause_s, self._welcome, seat)
            self._reactor.callLater(0, seat.listener.link_down, reason)
            if len(self._returns) == len(self._seats):
                self._client.drop(reason, retry_in_s)

    def held(self, seat: Seat, held: KindHeld) -> None:
        """A seat was told that a kind of request is blocked: it is for everybody."""
        for other in self._seats:
            if other is not seat:
                self._reactor.callLater(0, other.listener.session_step, held)

    def _welcome(self, seat: Seat) -> None:
        self._returns.pop(seat, None)
        if seat in self._seats and self._write is not None:
            self._reactor.callLater(LONGEST_RETRY_S, self._forgive, seat, self._out.get(seat, 0))
            seat.listener.link_up(self._write)

    def _forgive(self, seat: Seat, count: int) -> None:
        # It has lasted: the next pause is a short one again.
        if seat not in self._returns and self._out.get(seat) == count:
            del self._out[seat]

    # -- the link (LinkListener) ------------------------------------------------------------------------------------

    def link_up(self, transport_write: Callable[[bytes], None]) -> None:
        """Tell everybody of a verified connection."""
        self._reader = FrameReader()
        self._write = transport_write
        for seat in list(self._seats):
            seat.listener.link_up(transport_write)

    def link_data(self, data: bytes) -> None:
        """Hand the frames of one delivery to those they are for."""
        try:
            bodies = self._reader.receive(data)
        except FrameTooLong as error:
            self._client.drop(str(error))
            return
        seats = [seat for seat in self._seats if seat not in self._returns]
        for seat, share in zip(seats, share_out(bodies, seats, self._hot_path), strict=True):
            if share:
                seat.listener.link_data(b"".join(map(frame, share)))

    def link_down(self, reason: str) -> None:
        """Tell everybody that the connection is gone; those who are out know, and come back with the rest."""
        self._write = None
        for seat in list(self._seats):
            if seat in self._returns:
                self._returns.pop(seat).cancel()
            else:
                seat.listener.link_down(reason)

    def link_untrusted(self, text: str) -> None:
        """Tell everybody that the peer did not prove who it is."""
        for seat in list(self._seats):
            seat.listener.link_untrusted(text)

    def link_failed(self, text: str) -> None:
        """Tell everybody that no connection could be made."""
        for seat in list(self._seats):
            seat.listener.link_failed(text)
