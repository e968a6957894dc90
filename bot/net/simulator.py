"""The embedded venue as a TLS server on loopback.

How it works: one timer, set to the venue's next event, moves the venue's clock; whatever a link then has to send goes
to its socket. Time is UTC at the start plus a monotonic clock, so it never runs backwards.
A client that reads too slowly is paused by the transport; what waits for it is bounded, beyond that it is dropped.
Faults are the venue's affair: here segments are written one in each turn of the reactor, so that they travel one by
one; a slow reader's socket is not read; and each fault that strikes is logged.
"""

import datetime
import shutil
import tempfile
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import DeferredList, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import Logger
from zope.interface import implementer

from bot.net.clock import run_clock
from bot.net.oauth_pages import OAuthPages
from bot.net.tls import make_local_authority
from bot.sim.faults.stage import Fired
from bot.sim.protocol import Link
from bot.sim.venue import Venue

HOST = "127.0.0.1"
MAX_PENDING_BYTES = 8_000_000
"""What may wait for one client. A snapshot of the largest recorded book is below 200 kB."""

_MIN_DELAY_S = 0.001
_log = Logger()


@implementer(IPushProducer)
class VenueProtocol(Protocol):
    """One client's socket: bytes to its link and back."""

    def __init__(self, simulator: "Simulator") -> None:
        self._simulator = simulator
        self._is_paused = False
        self._is_reading = True
        self._segments: deque[bytes] = deque()
        self._writer: Any = None
        self.link: Link | None = None

    def connectionMade(self) -> None:
        """Open a link."""
        assert self.transport is not None
        self.transport.setTcpNoDelay(True)
        self.transport.registerProducer(self, True)
        self.link = self._simulator.venue.connect(self._simulator.now_ns())
        self._simulator.opened(self)
        self.flush()

    def dataReceived(self, data: bytes) -> None:
        """Bring the venue to now, then let it hear the client."""
        self._simulator.hear(self, data)

    def connectionLost(self, _reason: Any = None) -> None:
        """Forget the link."""
        if self.link is not None:
            self.link.close()
        if self._writer is not None and self._writer.active():
            self._writer.cancel()
        self._simulator.lost(self)

    def pauseProducing(self) -> None:
        """The client does not keep up: let its messages wait in the link."""
        self._is_paused = True

    def resumeProducing(self) -> None:
        """The client has caught up."""
        self._is_paused = False
        self.flush()

    def stopProducing(self) -> None:
        """The transport is gone; nothing more to do."""

    def flush(self) -> None:
        """Write what waits, or drop a client for which too much does."""
        link = self.link
        transport: Any = self.transport
        if link is None or transport is None:
            return
        if not self._is_paused and not self._segments and link.pending_bytes:
            self._segments += link.segments_to_send(self._simulator.now_ns())
            self._write_next()
        elif link.pending_bytes > MAX_PENDING_BYTES:
            _log.warn("dropping a client that reads too slowly: {bytes} bytes wait", bytes=link.pending_bytes)
            link.close()
            transport.abortConnection()
        if link.is_closed and link.close_reason is not None:
            _log.warn("closing a connection: {reason}", reason=link.close_reason)
            link.close_reason = None
            transport.unregisterProducer()
            if link.aborts:
                transport.abortConnection()
            else:
                self._segments += link.segments_to_send(self._simulator.now_ns())
                transport.write(b"".join(self._segments))
                transport.loseConnection()
            self._segments.clear()
        elif link.is_reading != self._is_reading:
            self._is_reading = link.is_reading
            (transport.resumeProducing if self._is_reading else transport.pauseProducing)()

    def _write_next(self) -> None:
        """Write one segment: what is written in one turn of the reactor travels together."""
        transport: Any = self.transport
        if self._segments and transport is not None:
            transport.write(self._segments.popleft())
        if self._segments:
            self._writer = self._simulator.reactor.callLater(0, self._write_later)

    def _write_later(self) -> None:
        self._write_next()
        if not self._segments:
            self.flush()


def _tell(fired: Fired) -> None:
    _log.warn("{line}", line=fired.line())


class Simulator:
    """A running server. Made by `start_simulator`."""

    def __init__(self, reactor: Any, venue: Venue, now_ns: Callable[[], int]) -> None:
        self.venue = venue
        self.now_ns = now_ns
        self.reactor = reactor
        venue.stage.listener = _tell
        for fired in venue.stage.fired:
            _tell(fired)
        self._clients: list[VenueProtocol] = []
        self._timer: Any = None
        self._told_ended = self._told_broken = 0
        self._port: Any = None
        self._pages: OAuthPages | None = None
        self._folder: str | None = None
        self.ca_file = ""

    @property
    def port(self) -> int:
        """The TCP port it listens on."""
        return int(self._port.getHost().port)

    def listen(self, port: int, oauth_port: int | None = 0) -> None:
        """Start to serve; `oauth_port` None serves no OAuth pages.

        Raises: twisted.internet.error.CannotListenError when a port is taken.
        """
        authority = make_local_authority(datetime.datetime.now(datetime.UTC))
        factory = Factory.forProtocol(lambda: VenueProtocol(self))
        factory.noisy = False
        self._port = self.reactor.listenSSL(port, factory, authority.server_options, interface=HOST)
        if oauth_port is not None:
            try:
                self._pages = OAuthPages(self.reactor, oauth_port, self.venue, self._now, self._flush)
            except CannotListenError:
                self._port.stopListening()
                raise
        self._folder = tempfile.mkdtemp(prefix="microlev-sim-")  # readable by this user only
        path = Path(self._folder) / "ca.pem"
        path.write_bytes(authority.ca_pem)
        self.ca_file = str(path)
        self._schedule()

    @property
    def oauth_url(self) -> str | None:
        """Where its OAuth pages are; None when it serves none."""
        return None if self._pages is None else self._pages.url

    def ready_line(self) -> dict[str, Any]:
        """Return what a client needs to connect, as the JSON line of `microlev sim`."""
        keys = self.venue.credentials
        accounts = [desk.account.settings for desk in self.venue.desks.values()]
        return {
            "type": "ready",
            "host": "localhost",
            "port": self.port,
            "ca_file": self.ca_file,
            "client_id": keys.client_id,
            "client_secret": keys.client_secret,
            "access_token": keys.access_token,
            "refresh_token": keys.refresh_token,
            "accounts": [
                {
                    "id": settings.account_id,
                    "account_type": settings.account_type,
                    "deposit_currency": settings.deposit_currency,
                    "balance": float(settings.balance),
                    "leverage": settings.leverage,
                }
                for settings in accounts
            ],
            "symbols": [
                {
                    "id": spec.symbol_id,
                    "name": spec.name,
                    "digits": spec.digits,
                    "lot_size_cents": spec.lot_size_cents,
                    "min_volume_cents": spec.min_volume_cents,
                    "step_volume_cents": spec.step_volume_cents,
                    "max_volume_cents": spec.max_volume_cents,
                }
                for spec in self.venue.specs.values()
            ],
            "oauth_url": self.oauth_url,
        }

    def stop(self) -> Any:
        """Stop serving, drop every client, remove the certificate; return a Deferred that fires when done."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
        for client in list(self._clients):
            if client.transport is not None:
                client.transport.abortConnection()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
        ended = [maybeDeferred(self._port.stopListening)]
        if self._pages is not None:
            ended.append(self._pages.stop())
        return DeferredList(ended, consumeErrors=True)

    # -- called by the connections ----------------------------------------------------------------------------------

    def opened(self, client: VenueProtocol) -> None:
        """A client has connected."""
        self._clients.append(client)
        self._schedule()

    def lost(self, client: VenueProtocol) -> None:
        """A client is gone."""
        if client in self._clients:
            self._clients.remove(client)

    def hear(self, client: VenueProtocol, data: bytes) -> None:
        """Bytes came from a client."""
        now_ns = self.now_ns()
        self._advance(now_ns)
        if client.link is not None:
            client.link.receive(data, now_ns)
        self._flush()
        self._schedule()

    def _tick(self) -> None:
        self._now()

    def _now(self) -> int:
        now_ns = self.now_ns()
        self._advance(now_ns)
        self._flush()
        self._schedule()
        return now_ns

    def _advance(self, now_ns: int) -> None:
        self.venue.advance(now_ns)
        market = self.venue.market
        for name in market.ended[self._told_ended :]:
            _log.info("the recording of {name} is over; its market stands still", name=name)
        for reason in market.broken[self._told_broken :]:
            _log.error("a market stands still: {reason}", reason=reason)
        self._told_ended, self._told_broken = len(market.ended), len(market.broken)

    def _flush(self) -> None:
        for client in list(self._clients):
            client.flush()

    def _schedule(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
        next_ns = self.venue.next_event_ns()
        if next_ns is not None:
            delay_s = max(_MIN_DELAY_S, (next_ns - self.now_ns()) / 1e9)
            self._timer = self.reactor.callLater(delay_s, self._tick)


def start_simulator(
    reactor: Any,
    venue: Venue,
    port: int,
    *,
    now_ns: Callable[[], int] | None = None,
    oauth_port: int | None = 0,
) -> Simulator:
    """Serve a venue on 127.0.0.1 (port 0: any free one) and return the running server.

    Args:
        now_ns: the clock that the venue was started on: UTC nanoseconds that never run backwards.
        oauth_port: where its OAuth pages are served, plain HTTP on loopback (0: any free port, None: nowhere).
    Raises: twisted.internet.error.CannotListenError when a port is taken.
    """
    simulator = Simulator(reactor, venue, now_ns or run_clock())
    simulator.listen(port, oauth_port)
    return simulator
