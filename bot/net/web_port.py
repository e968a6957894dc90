"""A small web server: it writes no log, knows its open connections, and bounds them and what they may send.

How it works: Twisted's own access log would hold addresses, and here addresses may hold codes: it is switched off. A
connection beyond `most_connections` costs the oldest one that nobody `keep`s, such as one that was never let in. A
request's body beyond `longest_body` is not stored: the answer is 413, and the connection goes. What was sent behind a
request whose answer closes the connection is not looked at, and connections are taken one at a time: everything here
happens between two inputs of a run, which should not wait for a stranger's thousand requests.
"""

from collections.abc import Sequence
from contextlib import suppress
from io import BytesIO
from typing import Any

from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import connectionDone
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

MOST_CONNECTIONS = 64
LONGEST_BODY = 65_536

_DRAIN_LIMIT_S = 2.0
_TOO_LONG = b"HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class _Request(Request):
    """A request whose body is bounded."""

    content: Any
    channel: Any
    _is_refused = False

    def gotLength(self, length: int | None) -> None:
        """The length of the body is known, or not (None)."""
        self.content = BytesIO()  # Twisted's own choice may be a file on disk; this one stays small
        if length is not None and length > self.channel.site.longest_body:
            self._refuse()

    def handleContentChunk(self, data: bytes) -> None:
        """Keep a part of the body, while there is room."""
        if not self._is_refused and self.content.tell() + len(data) > self.channel.site.longest_body:
            self._refuse()
        if not self._is_refused:
            super().handleContentChunk(data)

    def process(self) -> None:
        """Answer, unless that has been done."""
        if not self._is_refused:
            super().process()

    def finish(self) -> None:
        """The answer is whole."""
        if self.responseHeaders.getRawHeaders("connection") == ["close"] and self.channel is not None:
            self.channel.persistent = False  # Twisted would answer all that has come behind it first
        super().finish()

    def _refuse(self) -> None:
        self._is_refused = True
        self.channel.transport.write(_TOO_LONG)
        self.channel.transport.loseConnection()


class _QuietSite(Site):
    """A site without an access log and without tracebacks in its pages."""

    noisy = False
    displayTracebacks = False
    longest_body = LONGEST_BODY

    def log(self, request: Any) -> None:
        """Write nothing: the address of a request may hold a code."""


class Connected(ProtocolWrapper):
    """An open connection; tells when it is gone. While `is_kept` it does not make room for others."""

    def __init__(self, factory: WrappingFactory, wrapped: Any) -> None:
        super().__init__(factory, wrapped)
        self.gone: Deferred[None] = Deferred()
        self.is_kept = False

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is gone."""
        super().connectionLost(reason)
        self.gone.callback(None)


class _Counting(WrappingFactory):
    """Knows the open connections, oldest first."""

    noisy = False
    protocol = Connected
    most = MOST_CONNECTIONS

    def __init__(self, wrapped: Any) -> None:
        super().__init__(wrapped)
        self.ports: list[Any] = []

    def buildProtocol(self, addr: Any) -> Any:
        """Take a connection, and leave others that wait to the next turn of the reactor.

        Twisted takes ever more of them in one turn, and an owner's would be the oldest of too many before a word of it
        was read.
        """
        for port in self.ports:
            port.numberAccepts = 0  # Twisted makes one of it
        return super().buildProtocol(addr)

    def registerProtocol(self, p: Any) -> None:
        """Take a new connection, and let an old one go when there are too many."""
        super().registerProtocol(p)
        if len(self.protocols) > self.most:
            oldest = next((each for each in self.protocols if not each.is_kept), p)
            oldest.abortConnection()


class WebPort:
    """A web server on one port.

    Args: `hosts` are the addresses to listen on, of which all but the first may be missing here (`::1`, without IPv6);
        `tls` is a Twisted context factory for a server, None for plain HTTP; `reads_forms` takes the fields of a form
        that is posted for those of the query.
    Raises: twisted.internet.error.CannotListenError when the port (0: any free one) is taken.
    """

    def __init__(
        self,
        reactor: Any,
        port: int,
        resource: Resource,
        *,
        hosts: Sequence[str],
        tls: Any = None,
        most_connections: int = MOST_CONNECTIONS,
        longest_body: int = LONGEST_BODY,
        reads_forms: bool = True,
    ) -> None:
        self._reactor = reactor
        site: Any = _QuietSite(resource, requestFactory=_Request, parsePOSTFormSubmission=reads_forms, reactor=reactor)
        site.longest_body = longest_body
        self._tls = tls
        self._connections = _Counting(site)
        self._connections.most = most_connections
        self._ports = [self._listen(port, hosts[0])]
        self.port = int(self._ports[0].getHost().port)
        for host in hosts[1:]:
            with suppress(CannotListenError, OSError):
                self._ports.append(self._listen(self.port, host))

    def _listen(self, port: int, host: str) -> Any:
        if self._tls is None:
            opened = self._reactor.listenTCP(port, self._connections, interface=host)
        else:
            opened = self._reactor.listenSSL(port, self._connections, self._tls, interface=host)
        opened.numberAccepts = 1
        self._connections.ports.append(opened)
        return opened

    def stop(self) -> "Deferred[Any]":
        """Take no more connections and close each once its page has left (2 s at most); fires when all are closed."""
        open_now: list[Any] = list(self._connections.protocols)
        ended = [maybeDeferred(port.stopListening) for port in self._ports] + [each.gone for each in open_now]
        self._ports.clear()
        for each in open_now:
            each.loseConnection()  # what was written before still leaves

        def give_up() -> None:
            for each in list(self._connections.protocols):
                each.abortConnection()

        limit = self._reactor.callLater(_DRAIN_LIMIT_S, give_up)
        return DeferredList(ended, consumeErrors=True).addBoth(lambda _: limit.active() and limit.cancel())
