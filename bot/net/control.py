"""The control socket of a run: one JSON line in, one JSON line out, for the user who started it and nobody else.

How it works: a client connects, writes `{"command": ..., ...}` and a newline, and reads one line, after which the
connection is closed. `answer` makes the reply; what it raises is logged here and told as an error without details.

Invariants: a request is at most `LONGEST_REQUEST` bytes; a connection lasts `LONGEST_S` at most; the oldest of more
than `MOST_CLIENTS` goes. So whatever a client does, the next one is heard.
"""

import json
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IReactorUNIX
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from bot.net.control_place import ControlPlace, ControlUnavailable, has_unix_sockets, is_same_user

LONGEST_REQUEST = 4096
LONGEST_S = 5.0
MOST_CLIENTS = 8

Answer = Callable[[dict[str, Any]], dict[str, Any]]
_log = Logger()


def refused(text: str) -> dict[str, Any]:
    """Return the reply to a request that is not done."""
    return {"ok": False, "error": text}


class ControlPort:
    """Serves the control socket of one run. Args: `answer` turns a request into a reply."""

    def __init__(self, reactor: Any, place: ControlPlace, answer: Answer) -> None:
        self._reactor = reactor
        self._place = place
        self._factory = _Clients(reactor, answer)
        self._port: Any = None

    def start(self) -> None:
        """Listen.

        Raises: ControlUnavailable, one line for a person, when there can be no socket.
        """
        if not has_unix_sockets() or not IReactorUNIX.providedBy(self._reactor):
            raise ControlUnavailable("this platform has no Unix sockets")
        path = self._place.take()
        try:
            # Nobody else can enter between bind and chmod: whoever connects is asked who it is.
            self._port = self._reactor.listenUNIX(str(path), self._factory, mode=0o600)
        except Exception as error:
            self._place.leave()
            raise ControlUnavailable(f"{path}: {getattr(error, 'socketError', error)}") from None

    def stop(self) -> None:
        """Listen no more, and let the place go."""
        if self._port is None:
            return
        port, self._port = self._port, None
        for client in list(self._factory.clients):
            client.transport.loseConnection()
        port.stopListening().addBoth(lambda _: self._place.leave())


class _Clients(Factory):
    noisy = False

    def __init__(self, reactor: Any, answer: Answer) -> None:
        self.reactor = reactor
        self.answer = answer
        self.clients: list[_Client] = []

    def buildProtocol(self, addr: Any) -> "_Client":
        return _Client(self)


class _Client(Protocol):
    transport: Any

    def __init__(self, clients: _Clients) -> None:
        self._clients = clients
        self._received = b""
        self._is_answered = False
        self._patience: Any = None

    def connectionMade(self) -> None:
        self._clients.clients.append(self)
        self._patience = self._clients.reactor.callLater(LONGEST_S, self.transport.abortConnection)
        if not is_same_user(self.transport.socket):
            self._reply(refused("only the user who has started the bot may steer it"))
        elif len(self._clients.clients) > MOST_CLIENTS:
            self._clients.clients[0].transport.abortConnection()

    def dataReceived(self, data: bytes) -> None:
        if self._is_answered:
            return
        self._received += data
        line, ended, _ = self._received.partition(b"\n")
        if len(line) > LONGEST_REQUEST:
            self._reply(refused(f"a request has {LONGEST_REQUEST} bytes at most"))
        elif ended:
            self._reply(self._answer(line))

    def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            request = json.loads(line)
        except (ValueError, RecursionError):
            return refused("a request is one line of JSON")
        if not isinstance(request, dict):
            return refused("a request is a JSON object")
        try:
            return self._clients.answer(request)
        except Exception:
            _log.failure("a request on the control socket could not be answered")
            return refused("the bot could not answer; its log says why")

    def _reply(self, reply: dict[str, Any]) -> None:
        self._is_answered = True
        self._received = b""
        self.transport.write(json.dumps(reply, allow_nan=False).encode() + b"\n")
        self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._patience.active():
            self._patience.cancel()
        self._clients.clients.remove(self)
