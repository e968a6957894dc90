"""A reactor that is turned by hand, and clients of its Unix sockets in the same thread."""

import json
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from reactor_end import close_reactor
from twisted.internet.selectreactor import SelectReactor

LIMIT_S = 10.0


class HandTurned:
    """A reactor that only goes on when it is told to."""

    def __init__(self) -> None:
        self.reactor = SelectReactor()
        self.sockets: list[socket.socket] = []

    def until(self, condition: Callable[[], Any]) -> Any:
        """Turn the reactor until something holds, and return that."""
        end_s = time.monotonic() + LIMIT_S
        while not (found := condition()):
            assert time.monotonic() < end_s, "it never came"
            self.reactor.iterate(0.005)
        return found

    def close(self) -> None:
        """End everything that is left."""
        for left in self.sockets:
            left.close()
        for reader in self.reactor.removeAll():
            reader.loseConnection()
        self.reactor.iterate(0)
        close_reactor(self.reactor)


class Client:
    """One connection to a Unix socket."""

    def __init__(self, turned: HandTurned, path: Path) -> None:
        self._turned = turned
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        turned.sockets.append(self.socket)
        self.socket.settimeout(LIMIT_S)
        self.socket.connect(str(path))
        self.socket.setblocking(False)
        self.received = b""
        self.is_over = False

    def send(self, data: bytes) -> "Client":
        self.socket.sendall(data)
        return self

    def read(self) -> bool:
        """Take what is there; return whether the other side has closed."""
        try:
            while part := self.socket.recv(65_536):
                self.received += part
        except BlockingIOError:
            return False
        except (ConnectionResetError, BrokenPipeError):
            pass
        self.is_over = True
        self.socket.close()
        return True

    def reply(self) -> dict[str, Any]:
        """Turn the reactor until the connection is over, and return the one line that came."""
        self._turned.until(self.read)
        assert self.received.endswith(b"\n") and self.received.count(b"\n") == 1, self.received
        content: dict[str, Any] = json.loads(self.received)
        return content


@pytest.fixture
def turned() -> Iterator[HandTurned]:
    hand = HandTurned()
    yield hand
    hand.close()
