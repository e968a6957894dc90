"""The TLS link to a venue: connects, verifies, reconnects, and hands bytes over. It knows no messages.

How it works: a `ClientService` keeps one connection over a TLS endpoint whose certificate must lead to the trusted
roots and name the host. Nothing is sent before the TLS handshake is complete: until then the listener does not even
know of the link. A link that drops is made again, within a second at first, doubling to half a minute.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from typing import Protocol as TypingProtocol

from OpenSSL import SSL
from service_identity import VerificationError
from twisted.application.internet import ClientService
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.error import ConnectionDone, ConnectionLost, ConnectionRefusedError, DNSLookupError, TimeoutError
from twisted.internet.interfaces import IHandshakeListener, IStreamClientEndpoint, ITCPTransport
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.ssl import optionsForClientTLS
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from bot.ctrader.ratelimit import KindHeld
from bot.net.trust import trust_roots

FIRST_RETRY_S, LONGEST_RETRY_S = 0.7, 30.0
CONNECT_TIMEOUT_S = 10.0


class LinkListener(TypingProtocol):
    """Who is told about the link."""

    def link_up(self, transport_write: Callable[[bytes], None]) -> None:
        """The TLS handshake is complete and verified; `transport_write` sends until `link_down`."""

    def link_data(self, data: bytes) -> None:
        """Bytes came: one call for each delivery of the transport, which is the edge of a batch."""

    def link_down(self, reason: str) -> None:
        """A link that was up is gone."""

    def link_untrusted(self, text: str) -> None:
        """The certificate chain or the host name did not verify; nothing was sent."""

    def link_failed(self, text: str) -> None:
        """No connection could be made, or it broke before it was verified; it is tried again."""


class Connection(TypingProtocol):
    """What a run needs to keep itself connected: a `VenueClient`, or a seat on a shared link."""

    def start(self) -> None:
        """Connect, and keep connected until `stop`."""

    def stop(self) -> Deferred[None]:
        """Close the link, attempt no other; fires when it is closed."""

    def drop(self, reason: str, retry_in_s: float = 0.0) -> None:
        """Close the link at once; a new one is made after a pause, of `retry_in_s` at least."""

    def held(self, held: KindHeld) -> None:
        """Tell whoever shares the connection that the venue blocks a kind of request."""


def retry_delay_s(failed_attempts: int, jitter: Callable[[], float]) -> float:
    """Return the pause before the next attempt: doubling from under a second to half a minute.

    `failed_attempts` starts at 1; `jitter` gives numbers in [0, 1) and takes away up to a quarter, so that many clients
    do not come back at once. Units: seconds.
    """
    doubled = FIRST_RETRY_S * 2.0 ** min(failed_attempts - 1, 16)
    return min(doubled, LONGEST_RETRY_S) * (1 - 0.25 * jitter())


def is_untrusted(failure: Failure) -> bool:
    """Return whether a connection ended because the peer's certificate did not verify."""
    error = failure.value
    if isinstance(error, VerificationError):
        return True
    return isinstance(error, SSL.Error) and "certificate verify failed" in str(error)


def failure_text(failure: Failure) -> str:
    """Return one line for a person on why there is no link."""
    error = failure.value
    if isinstance(error, ConnectionRefusedError):
        return "connection refused: nothing listens there"
    if isinstance(error, TimeoutError):
        return f"no answer within {CONNECT_TIMEOUT_S:.0f} s"
    if isinstance(error, DNSLookupError):
        return "the host name is unknown"
    if isinstance(error, ConnectionDone | ConnectionLost):
        return "the other side closed the connection"
    if isinstance(error, SSL.Error):
        return f"TLS failed: {_ssl_text(error)}"
    return f"{type(error).__name__}: {error}"


def _ssl_text(error: SSL.Error) -> str:
    # OpenSSL reports a list of (library, function, reason).
    reasons = [entry[-1] for entry in error.args[0]] if error.args and isinstance(error.args[0], list) else []
    return "; ".join(reasons) or "the connection was closed in the handshake"


class VenueClient:
    """Keeps one verified TLS connection to a venue.

    Args: `host` is a name or an IP address, and the certificate must name it; `ca_file` replaces the system's roots;
        `clock` and `jitter` drive the retries.
    Raises: TrustUnavailable (from `bot.net.trust`) for a `ca_file` that cannot be used.
    """

    def __init__(
        self,
        reactor: Any,
        host: str,
        port: int,
        ca_file: Path | None,
        listener: LinkListener,
        *,
        clock: Any | None = None,
        jitter: Callable[[], float],
    ) -> None:
        self._where = f"{host}:{port}"
        self._listener = listener
        self._link: _Link | None = None
        self._drop_reason: str | None = None
        self._not_before_s = 0.0
        self._clock = clock if clock is not None else reactor
        # Twisted counts a connection as a success once TCP is up; here it must also verify and last.
        self._failed_in_a_row = 0
        self._up_since_s = 0.0
        options = optionsForClientTLS(host, trustRoot=trust_roots(ca_file))
        plain = HostnameEndpoint(reactor, host, port, timeout=CONNECT_TIMEOUT_S, attemptDelay=0.1)
        endpoint: Any = _TlsEndpoint(plain, options, self._clock, self._attempt_failed)
        factory: Any = Factory.forProtocol(lambda: _Link(self, self._clock))
        self._service = ClientService(
            endpoint,
            factory,
            retryPolicy=lambda _attempts: self._pause_s(jitter),
            clock=self._clock,
        )

    def start(self) -> None:
        """Connect, and keep connected until `stop`."""
        self._service.startService()

    def stop(self) -> Deferred[None]:
        """Close the link, attempt no other; fires when it is closed."""
        self._drop_reason = "stopped"
        stopped: Deferred[None] = Deferred()
        self._service.stopService().addBoth(lambda _: stopped.callback(None))
        return stopped

    def held(self, held: KindHeld) -> None:
        """Nobody else is on this connection."""

    def drop(self, reason: str, retry_in_s: float = 0.0) -> None:
        """Close the link at once, unsent bytes and all; a new one is made after a pause, of `retry_in_s` at least."""
        self._not_before_s = self._clock.seconds() + retry_in_s
        if self._link is not None:
            self._drop_reason = reason
            self._link.transport.abortConnection()

    def _pause_s(self, jitter: Callable[[], float]) -> float:
        # When a maintenance ends everybody comes back: the usual pause is added to what was asked for.
        usual_s = retry_delay_s(max(1, self._failed_in_a_row), jitter)
        return max(0.0, self._not_before_s - self._clock.seconds()) + usual_s

    def _attempt_failed(self, failure: Failure) -> Failure:
        if self._service.running:
            self._failed_in_a_row += 1
            self._listener.link_failed(f"cannot connect to {self._where}: {failure_text(failure)}")
        return failure

    def _verified(self, link: "_Link") -> None:
        self._link = link
        self._up_since_s = self._clock.seconds()
        self._listener.link_up(link.write)

    def _received(self, data: bytes) -> None:
        self._listener.link_data(data)

    def _ended(self, link: "_Link", failure: Failure) -> None:
        reason, self._drop_reason = self._drop_reason, None
        if link is self._link:
            self._link = None
            # A venue that lets us in and throws us out again must not be asked every second.
            lasted = self._clock.seconds() - self._up_since_s >= LONGEST_RETRY_S
            self._failed_in_a_row = 1 if lasted else self._failed_in_a_row + 1
            self._listener.link_down(reason or failure_text(failure))
        elif self._service.running:
            self._failed_in_a_row += 1
            if is_untrusted(failure):
                text = f"the certificate of {self._where} does not verify: {_untrusted_text(failure)}"
                self._listener.link_untrusted(text)
            else:
                self._listener.link_failed(f"no link to {self._where}: {reason or failure_text(failure)}")

    def _handshake_is_late(self, link: "_Link") -> None:
        self._drop_reason = f"the TLS handshake was not complete after {CONNECT_TIMEOUT_S:.0f} s"
        link.transport.abortConnection()


@implementer(IStreamClientEndpoint)
class _TlsEndpoint:
    """TLS over a plain endpoint, telling of each failure before the service schedules its next attempt.

    `wrapClientTLS` does the same but for the clock: it would take that of the process-wide reactor.
    """

    def __init__(self, plain: Any, options: Any, clock: Any, failed: Callable[[Failure], Failure]) -> None:
        self._plain = plain
        self._options = options
        self._clock = clock
        self._failed = failed

    def connect(self, factory: Any) -> Deferred[Any]:
        attempt: Deferred[Any] = self._plain.connect(TLSMemoryBIOFactory(self._options, True, factory, self._clock))
        return attempt.addCallbacks(lambda tls: tls.wrappedProtocol, self._failed)


def _untrusted_text(failure: Failure) -> str:
    error = failure.value
    if isinstance(error, VerificationError):
        return "it is for another host name"
    return _ssl_text(error) if isinstance(error, SSL.Error) else str(error)


@implementer(IHandshakeListener)
class _Link(Protocol):
    """One connection."""

    transport: Any

    def __init__(self, client: VenueClient, clock: Any) -> None:
        self._client = client
        self._clock = clock
        self._is_up = False
        self._patience: Any = None

    def connectionMade(self) -> None:
        # Orders are small and late ones cost money: no waiting for a full packet.
        if ITCPTransport.providedBy(self.transport):
            self.transport.setTcpNoDelay(True)
        self._patience = self._clock.callLater(CONNECT_TIMEOUT_S, self._client._handshake_is_late, self)

    def handshakeCompleted(self) -> None:
        self._patience.cancel()
        self._is_up = True
        self._client._verified(self)

    def write(self, data: bytes) -> None:
        if self._is_up:
            self.transport.write(data)

    def dataReceived(self, data: bytes) -> None:
        self._client._received(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._is_up = False
        if self._patience is not None and self._patience.active():
            self._patience.cancel()
        self._client._ended(self, reason)
