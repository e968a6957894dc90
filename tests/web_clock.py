"""A virtual clock on which a server can listen, and clients in memory that speak HTTP to it, or do not read."""

import json
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

BUFFER_BYTES = 65_536  # as a Twisted transport: beyond, the producer is told to pause


class WebClock(Clock):
    """A `Clock` whose ports are here. `ports` are all that were opened, those that have stopped, too."""

    def __init__(self) -> None:
        super().__init__()
        self.ports: list[Port] = []

    def listenTCP(self, port: int, factory: Factory, backlog: int = 50, interface: str = "") -> "Port":
        self.ports.append(Port(self, port or 40_000 + len(self.ports), factory, interface, None))
        return self.ports[-1]

    def listenSSL(self, port: int, factory: Factory, tls: Any, backlog: int = 50, interface: str = "") -> "Port":
        opened = self.listenTCP(port, factory, interface=interface)
        opened.tls = tls
        return opened


class Port:
    """A port in memory."""

    def __init__(self, clock: WebClock, port: int, factory: Factory, interface: str, tls: Any) -> None:
        self.clock, self.port, self.factory, self.interface, self.tls = clock, port, factory, interface, tls
        self.is_open = True

    def getHost(self) -> Any:
        return (IPv6Address if ":" in self.interface else IPv4Address)("TCP", self.interface, self.port)

    def stopListening(self) -> "Deferred[None]":
        self.is_open = False
        return succeed(None)

    def connect(self) -> "Connection":
        """Open a connection."""
        assert self.is_open
        return Connection(self)


class Transport(StringTransport):
    """One end of a connection. What is written waits until it is read, as in the buffers of a socket."""

    def __init__(self, connection: "Connection") -> None:
        super().__init__()
        self.connection = connection
        self.waiting = b""
        self.has_paused = False

    def write(self, data: bytes) -> None:
        self.waiting += data
        if len(self.waiting) > BUFFER_BYTES and self.producer is not None and not self.has_paused:
            self.has_paused = True
            self.producer.pauseProducing()

    def writeSequence(self, data: Any) -> None:
        self.write(b"".join(data))

    def take(self) -> bytes:
        """Read all there is; the producer may go on, and what it then writes is for the next time."""
        data, self.waiting = self.waiting, b""
        if self.has_paused and self.producer is not None:
            self.has_paused = False
            self.producer.resumeProducing()
        return data

    def loseConnection(self) -> None:
        self.connection.end(ConnectionDone())

    def abortConnection(self) -> None:
        self.connection.end(ConnectionAborted())


class Answer:
    """One whole answer, or the beginning of a stream."""

    def __init__(self, raw: bytes) -> None:
        head, _, body = raw.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        self.status = int(lines[0].split()[1]) if lines[0] else 0
        self.headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in lines[1:])}
        self.body = _dechunked(body) if self.headers.get("transfer-encoding") == "chunked" else body

    @property
    def json(self) -> dict[str, Any]:
        return dict(json.loads(self.body))

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.body.decode().splitlines()]


class Connection:
    """A client's connection. `is_reading` False lets what it is sent lie."""

    def __init__(self, port: Port) -> None:
        self._clock = port.clock
        self.transport = Transport(self)
        self.received = b""
        self.is_reading = True
        self.lost: str | None = None
        self._protocol: Any = port.factory.buildProtocol(IPv4Address("TCP", "127.0.0.1", 9))
        self._protocol.makeConnection(self.transport)

    def send(self, data: bytes) -> "Connection":
        if self.lost is None:
            self._protocol.dataReceived(data)
        return self

    def ask(self, method: str, path: str, headers: dict[str, str] | None = None, body: bytes = b"") -> "Connection":
        """Send a request. Args: `headers` of None are left out."""
        given = {"Host": "127.0.0.1:40000", "Content-Length": str(len(body)) if body else None} | (headers or {})
        head = "".join(f"{name}: {text}\r\n" for name, text in given.items() if text is not None)
        return self.send(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body)

    def read(self) -> bytes:
        """Take what has come; return all of the connection."""
        self.received += self.transport.take()
        return self.received

    @property
    def answer(self) -> Answer:
        """All that came, as one answer."""
        return Answer(self.read())

    def close(self) -> None:
        """Go away."""
        self.end(ConnectionDone())

    def end(self, why: Exception) -> None:
        if self.lost is None:
            self.lost = type(why).__name__
            self._clock.callLater(0, self._protocol.connectionLost, Failure(why))


def _dechunked(body: bytes) -> bytes:
    """Return the content of whole chunks."""
    content = b""
    while body:
        size, _, rest = body.partition(b"\r\n")
        length = int(size or b"0", 16)
        if len(rest) < length + 2:
            break
        content, body = content + rest[:length], rest[length + 2 :]
    return content
