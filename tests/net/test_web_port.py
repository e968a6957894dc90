"""The small web server over real sockets: the owner's request among a stranger's connections."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from certificates import certificate_files
from reactor_end import close_reactor
from twisted.internet.selectreactor import SelectReactor
from twisted.web.resource import Resource

from bot.config import parse_config
from bot.net.telemetry_tls import server_tls
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


@pytest.mark.filterwarnings("ignore:Passing pyOpenSSL:DeprecationWarning")  # Twisted 26.10 hands it its own objects
@pytest.mark.parametrize("named", [[], ["http/1.1"], ["h2", "http/1.1"]], ids=["none", "ours", "two"])
def test_over_tls_a_client_may_name_the_protocols_that_it_speaks(
    named: list[str], reactor: Any, tmp_path: Path
) -> None:
    certificate, key = certificate_files(tmp_path)
    text = "venue: {environment: simulator}\nsymbols: {EURUSD: {}}\ntelemetry:\n  enabled: true\n"
    config = parse_config(f"{text}  certificate_file: {certificate}\n  private_key_file: {key}\n", "bot.yaml", {})
    port = WebPort(reactor, 0, Greeting(), hosts=("127.0.0.1",), tls=server_tls(config))
    tls = ssl.create_default_context(cafile=certificate)
    if named:
        tls.set_alpn_protocols(named)
    plain = socket.create_connection(("127.0.0.1", port.port), 10)
    plain.setblocking(False)
    with tls.wrap_socket(plain, server_hostname="localhost", do_handshake_on_connect=False) as client:
        for _ in range(100):
            try:
                client.do_handshake()
                break
            except ssl.SSLWantReadError:
                reactor.iterate(0.1)
        assert client.selected_alpn_protocol() == ("http/1.1" if named else None)
        assert client.version() in ("TLSv1.2", "TLSv1.3")
    port.stop()
