"""The small web server over real sockets: the owner's request among a stranger's connections."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from reactor_end import close_reactor
from twisted.internet.selectreactor import SelectReactor
from twisted.web.resource import Resource

from bot.net.web_port import WebPort

MOST = 4


class Greeting(Resource):
    """Answers everything."""

    isLeaf = True  # noqa: N815

    def render(self, request: Any) -> bytes:
        return b"welcome"


@pytest.fixture
def reactor() -> Iterator[Any]:
    reactor = SelectReactor()
    yield reactor
    close_reactor(reactor)


def test_many_connections_that_come_after_the_owners_do_not_end_it_unread(reactor: Any) -> None:
    port = WebPort(reactor, 0, Greeting(), hosts=("127.0.0.1",), most_connections=MOST)
    with ExitStack() as stack:

        def connected() -> socket.socket:
            return stack.enter_context(socket.create_connection(("127.0.0.1", port.port), 10))

        owner = connected()
        owner.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        strangers = [connected() for _ in range(4 * MOST)]
        for _ in range(8 * MOST):
            reactor.iterate(0)
        owner.settimeout(10)
        assert owner.recv(4096).endswith(b"welcome")
        strangers[0].settimeout(10)
        with pytest.raises(ConnectionResetError):
            strangers[0].recv(1)
        port.stop()
