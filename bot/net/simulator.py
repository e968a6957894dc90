"""The embedded venue as a TLS server on loopback.

How it works: one timer, set to the venue's next event, moves the venue's clock; whatever a link then has to send goes
to its socket. Time is UTC at the start plus a monotonic clock, so it never runs backwards.
A client that reads too slowly is paused by the transport; what waits for it is bounded, beyond that it is dropped.
"""

import datetime
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import Logger
from zope.interface import implementer

from bot.net.clock import run_clock
from bot.net.tls import make_local_authority
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
        self.link: Link | None = None

    def connectionMade(self) -> None:
        """Open a link."""
        assert self.transport is not None
        self.transport.setTcpNoDelay(True)
        self.transport.registerProducer(self, True)
        self.link = self._simulator.venue.connect(self._simulator.now_ns())
        self._simulator.opened(self)

    def dataReceived(self, data: bytes) -> None:
        """Bring the venue to now, then let it hear the client."""
        self._simulator.hear(self, data)

    def connectionLost(self, _reason: Any = None) -> None:
        """Forget the link."""
        if self.link is not None:
            self.link.close()
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
        if not self._is_paused and link.pending_bytes:
            transport.write(link.data_to_send())
        elif link.pending_bytes > MAX_PENDING_BYTES:
            _log.warn("dropping a client that reads too slowly: {bytes} bytes wait", bytes=link.pending_bytes)
            link.close()
            transport.abortConnection()
        if link.is_closed and link.close_reason is not None:
            _log.warn("closing a connection: {reason}", reason=link.close_reason)
            link.close_reason = None
            transport.unregisterProducer()
            transport.loseConnection()


class Simulator:
    """A running server. Made by `start_simulator`."""

    def __init__(self, reactor: Any, venue: Venue, now_ns: Callable[[], int]) -> None:
        self.venue = venue
        self.now_ns = now_ns
        self._reactor = reactor
        self._clients: list[VenueProtocol] = []
        self._timer: Any = None
        self._told_ended = self._told_broken = 0
        self._port: Any = None
        self._folder: str | None = None
        self.ca_file = ""

    @property
    def port(self) -> int:
        """The TCP port it listens on."""
        return int(self._port.getHost().port)

    def listen(self, port: int) -> None:
        """Start to serve.

        Raises: twisted.internet.error.CannotListenError when the port is taken.
        """
        authority = make_local_authority(datetime.datetime.now(datetime.UTC))
        factory = Factory.forProtocol(lambda: VenueProtocol(self))
        factory.noisy = False
        self._port = self._reactor.listenSSL(port, factory, authority.server_options, interface=HOST)
        self._folder = tempfile.mkdtemp(prefix="microlev-sim-")  # readable by this user only
        path = Path(self._folder) / "ca.pem"
        path.write_bytes(authority.ca_pem)
        self.ca_file = str(path)
        self._schedule()

    def ready_line(self) -> dict[str, Any]:
        """Return what a client needs to connect, as the JSON line of `microlev sim`.

        `oauth_url` is null: the venue serves no OAuth pages yet; its tokens are given here.
        """
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
            "oauth_url": None,
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
        return self._port.stopListening()

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
        self._advance(self.now_ns())
        self._flush()
        self._schedule()

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
            self._timer = self._reactor.callLater(delay_s, self._tick)


def start_simulator(reactor: Any, venue: Venue, port: int, *, now_ns: Callable[[], int] | None = None) -> Simulator:
    """Serve a venue on 127.0.0.1 (port 0: any free one) and return the running server.

    Args:
        now_ns: the clock that the venue was started on: UTC nanoseconds that never run backwards.
    Raises: twisted.internet.error.CannotListenError when the port is taken.
    """
    simulator = Simulator(reactor, venue, now_ns or run_clock())
    simulator.listen(port)
    return simulator
