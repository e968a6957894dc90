"""The venue's server: certificates that verify, bytes through a transport, slow clients, and the command itself."""

import contextlib
import datetime
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from OpenSSL import SSL
from OpenSSL.crypto import FILETYPE_PEM, load_certificate
from twisted.internet.testing import MemoryReactorClock, StringTransport

from bot.ctrader.framing import FrameReader, frame
from bot.ctrader.schema import envelope, message, message_for
from bot.net import simulator
from bot.net.simulator import Simulator, start_simulator
from bot.net.tls import make_local_authority
from bot.sim.entities import AccountSettings
from bot.sim.market import open_market
from bot.sim.venue import Venue

ROOT = Path(__file__).resolve().parents[2]
START_NS = 1_700_000_000_000_000_000
KEYS = {"client_id": "app", "client_secret": "secret", "access_token": "trade", "refresh_token": "refresh"}
ACCOUNT = {"ctidTraderAccountId": 1_000_001}


class Transport(StringTransport):
    """What a TLS transport has beyond a string one."""

    aborted = False

    def setTcpNoDelay(self, enabled: bool) -> None:
        assert enabled

    def abortConnection(self) -> None:
        self.aborted = True


class Bench:
    """A simulator on a reactor in memory."""

    def __init__(self) -> None:
        self.reactor: Any = MemoryReactorClock()
        market = open_market("synthetic", seed=1, start_ns=START_NS, speed=1.0)
        venue = Venue(market, accounts=[AccountSettings(1_000_001)], start_ns=START_NS, **KEYS)
        self.server: Simulator = start_simulator(self.reactor, venue, 5_035, now_ns=self.now_ns)

    def now_ns(self) -> int:
        return START_NS + round(self.reactor.seconds() * 1e9)

    def client(self) -> tuple[Any, Transport]:
        factory = self.reactor.sslServers[0][1]
        protocol, transport = factory.buildProtocol(None), Transport()
        protocol.makeConnection(transport)
        return protocol, transport

    def pass_time(self, seconds: float) -> None:
        self.reactor.pump([0.01] * round(seconds * 100))


@pytest.fixture
def bench() -> Any:
    made = Bench()
    yield made
    made.server.stop()


def _send(protocol: Any, name: str, **fields: Any) -> None:
    protocol.dataReceived(frame(envelope(message(name)(**fields), "m")))


def _names(transport: Transport) -> list[str]:
    frames = FrameReader().receive(transport.value())
    transport.clear()
    wrappers = [message("ProtoMessage").FromString(body) for body in frames]
    return [message_for(wrapper.payloadType).DESCRIPTOR.name for wrapper in wrappers]


def _log_in(protocol: Any) -> None:
    _send(protocol, "ProtoOAApplicationAuthReq", clientId="app", clientSecret="secret")
    _send(protocol, "ProtoOAAccountAuthReq", accessToken="trade", **ACCOUNT)
    _send(protocol, "ProtoOASubscribeSpotsReq", symbolId=[1, 6], **ACCOUNT)
    _send(protocol, "ProtoOASubscribeDepthQuotesReq", symbolId=[1, 6], **ACCOUNT)


def test_it_listens_on_loopback_only(bench: Bench) -> None:
    port, _, _, _, interface = bench.reactor.sslServers[0]
    assert (port, interface) == (5_035, "127.0.0.1")


def test_a_client_gets_answers_at_once_and_the_market_as_time_passes(bench: Bench) -> None:
    protocol, transport = bench.client()
    _log_in(protocol)
    assert _names(transport)[:3] == ["ProtoOAApplicationAuthRes", "ProtoOAAccountAuthRes", "ProtoOASubscribeSpotsRes"]
    bench.pass_time(3)
    names = _names(transport)
    assert names.count("ProtoOADepthEvent") > 20
    assert names.count("ProtoOASpotEvent") > 10


def test_an_idle_client_gets_a_heartbeat(bench: Bench) -> None:
    _, transport = bench.client()
    bench.pass_time(25.1)
    assert _names(transport) == ["ProtoHeartbeatEvent"]


def test_an_event_reaches_every_client_without_waiting_for_the_market(bench: Bench) -> None:
    (asker, _), (other, heard) = bench.client(), bench.client()
    for protocol in (asker, other):
        _send(protocol, "ProtoOAApplicationAuthReq", clientId="app", clientSecret="secret")
        _send(protocol, "ProtoOAAccountAuthReq", accessToken="trade", **ACCOUNT)
    heard.clear()
    _send(asker, "ProtoOANewOrderReq", symbolId=1, orderType=1, tradeSide=1, volume=100_000, **ACCOUNT)
    assert _names(heard) == ["ProtoOAExecutionEvent", "ProtoOAExecutionEvent"]


def test_a_paused_client_gets_what_waited_when_it_resumes(bench: Bench) -> None:
    protocol, transport = bench.client()
    _log_in(protocol)
    protocol.pauseProducing()
    transport.clear()
    bench.pass_time(2)
    assert transport.value() == b""
    protocol.resumeProducing()
    assert _names(transport).count("ProtoOADepthEvent") > 10


def test_a_client_for_which_too_much_waits_is_dropped(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulator, "MAX_PENDING_BYTES", 5_000)
    protocol, transport = bench.client()
    _log_in(protocol)
    protocol.pauseProducing()
    bench.pass_time(10)
    assert transport.aborted
    assert protocol.link.is_closed
    assert protocol.link.pending_bytes < 50_000


def test_a_peer_that_speaks_something_else_is_disconnected(bench: Bench) -> None:
    protocol, transport = bench.client()
    protocol.dataReceived(b"GET / HTTP/1.1\r\n\r\n")
    assert transport.disconnecting


def test_a_lost_connection_ends_its_link(bench: Bench) -> None:
    protocol, _ = bench.client()
    protocol.connectionLost(None)
    assert protocol.link.is_closed
    bench.pass_time(1)


def test_stopping_leaves_no_timer_and_no_file() -> None:
    bench = Bench()
    assert Path(bench.server.ca_file).is_file()
    bench.server.stop()
    assert bench.reactor.getDelayedCalls() == []
    assert not Path(bench.server.ca_file).parent.exists()


def test_the_ready_line_has_exactly_the_promised_keys(bench: Bench) -> None:
    line = bench.server.ready_line()
    assert set(line) == {
        "type", "host", "port", "ca_file", "client_id", "client_secret", "access_token", "refresh_token", "accounts",
        "symbols", "oauth_url",
    }  # fmt: skip
    assert line["accounts"] == [
        {"id": 1_000_001, "account_type": "hedged", "deposit_currency": "USD", "balance": 10_000.0, "leverage": 500}
    ]
    assert line["symbols"][0] == {
        "id": 1, "name": "EURUSD", "digits": 5, "lot_size_cents": 10_000_000, "min_volume_cents": 100_000,
        "step_volume_cents": 100_000, "max_volume_cents": 1_000_000_000,
    }  # fmt: skip
    assert os.path.isabs(line["ca_file"])
    assert json.loads(json.dumps(line)) == line
    assert Decimal(str(line["accounts"][0]["balance"])) == 10_000


def _handshake(ca_pem: bytes, options: Any) -> None:
    """Shake hands in memory, as a client that verifies the chain."""
    context = SSL.Context(SSL.TLS_METHOD)
    store = context.get_cert_store()
    assert store is not None
    store.add_cert(load_certificate(FILETYPE_PEM, ca_pem))
    context.set_verify(SSL.VERIFY_PEER)
    client, server = SSL.Connection(context, None), SSL.Connection(options.getContext(), None)
    client.set_connect_state()
    server.set_accept_state()
    for _ in range(6):
        for here, there in ((client, server), (server, client)):
            with contextlib.suppress(SSL.WantReadError):
                here.do_handshake()
            with contextlib.suppress(SSL.WantReadError):
                there.bio_write(here.bio_read(65_536))
    assert client.get_peer_certificate() is not None


def test_the_certificate_is_trusted_through_its_own_authority_and_no_other() -> None:
    now = datetime.datetime.now(datetime.UTC)
    mine, other = make_local_authority(now), make_local_authority(now)
    _handshake(mine.ca_pem, mine.server_options)
    with pytest.raises(SSL.Error):
        _handshake(other.ca_pem, mine.server_options)


def test_an_authority_of_another_week_is_not_trusted() -> None:
    old = make_local_authority(datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=30))
    with pytest.raises(SSL.Error):
        _handshake(old.ca_pem, old.server_options)


# -- the command ------------------------------------------------------------------------------------------------------

COMMAND = [sys.executable, "-c", "import typer; from bot.cli.sim import sim; typer.run(sim)"]


@pytest.mark.slow
@pytest.mark.parametrize(("stop", "host"), [(signal.SIGINT, "localhost"), (signal.SIGTERM, "127.0.0.1")])
def test_the_command_serves_verified_tls_and_ends_clean(stop: signal.Signals, host: str) -> None:
    with subprocess.Popen(
        [
            *COMMAND,
            "--account-type",
            "netted",
            "--deposit-currency",
            "eur",
            "--balance",
            "2500.50",
            "--symbols",
            "US500, JP225",
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdout is not None
        try:
            ready = json.loads(server.stdout.readline())
            assert ready["accounts"][0]["account_type"] == "netted"
            assert [symbol["name"] for symbol in ready["symbols"]][6:] == ["US500", "JP225"]
            assert (ready["accounts"][0]["deposit_currency"], ready["accounts"][0]["balance"]) == ("EUR", 2500.5)
            context = ssl.create_default_context(cafile=ready["ca_file"])
            with (
                socket.create_connection(("127.0.0.1", ready["port"]), timeout=10) as plain,
                context.wrap_socket(plain, server_hostname=host) as secure,
            ):
                request = message("ProtoOAApplicationAuthReq")(clientId="x", clientSecret="y")
                secure.sendall(frame(envelope(request, "1")))
                (body,) = FrameReader().receive(secure.recv(65_536))
                wrapper = message("ProtoMessage").FromString(body)
                assert (
                    message_for(wrapper.payloadType).FromString(wrapper.payload).errorCode == "CH_CLIENT_AUTH_FAILURE"
                )
        finally:
            server.send_signal(stop)
        out, _ = server.communicate(timeout=10)
    assert (server.returncode, out) == (0, "")
    assert not Path(ready["ca_file"]).exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--market", "synthetic:stormy"], 2, "calm, thin"),
        (["--market", "missing.parquet"], 2, "no such recording"),
        (["--deposit-currency", "CHF"], 2, "CHF"),
        (["--balance", "much"], 2, "--balance"),
        (["--account-type", "odd"], 2, "hedged or netted"),
        (["--speed", "0"], 2, "speed"),
    ],
)
def test_a_bad_option_is_one_line_and_exit_2(arguments: list[str], code: int, said: str) -> None:
    done = subprocess.run([*COMMAND, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.slow
def test_a_taken_port_is_one_line_and_exit_4() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = subprocess.run([*COMMAND, "--port", port], cwd=ROOT, capture_output=True, text=True, timeout=30,
                              check=False)  # fmt: skip
    assert (done.returncode, done.stdout) == (4, "")
    assert port in done.stderr
    assert len(done.stderr.splitlines()) == 1
