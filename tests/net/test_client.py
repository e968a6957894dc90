"""The link: what is trusted, what is told, and when it is tried again. TLS runs over loopback on a private reactor."""

import datetime
import ipaddress
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL
from reactor_end import close_reactor
from service_identity import VerificationError
from twisted.internet.error import ConnectionLost, ConnectionRefusedError, DNSLookupError, TimeoutError
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.selectreactor import SelectReactor
from twisted.internet.ssl import CertificateOptions, PrivateCertificate
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure

from bot.net import trust
from bot.net.client import VenueClient, failure_text, is_untrusted, retry_delay_s
from bot.net.trust import TrustUnavailable, trust_roots

# Twisted 26.10 still hands pyOpenSSL its own deprecated certificate objects.
pytestmark = pytest.mark.filterwarnings("ignore:Passing pyOpenSSL:DeprecationWarning")

SECRET = b"the-client-secret"


class Authority:
    """A certificate authority that lives for one test run."""

    def __init__(self, name: str) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        self.certificate = self._signed(self.name, self.key, x509.BasicConstraints(ca=True, path_length=None))

    def _signed(self, subject, key, extension) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
        )
        return builder.sign(self.key, hashes.SHA256())

    def server_options(self, *names: x509.GeneralName) -> CertificateOptions:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "venue")])
        certificate = self._signed(subject, key, x509.SubjectAlternativeName(names))
        key_pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return PrivateCertificate.loadPEM(key_pem + certificate.public_bytes(serialization.Encoding.PEM)).options()

    def write(self, path: Path) -> Path:
        path.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))
        return path


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority("ours")


class Told:
    """Notes what the client tells, and sends a secret as soon as it may."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []
        self.data = b""
        self.write = None
        self.on_change = lambda: None

    def _note(self, what: str, text: str = "") -> None:
        self.lines.append((what, text))
        self.on_change()

    def link_up(self, transport_write) -> None:
        self.write = transport_write
        transport_write(SECRET)
        self._note("up")

    def link_data(self, data: bytes) -> None:
        self.data += data
        self._note("data")

    def link_down(self, reason: str) -> None:
        self._note("down", reason)

    def link_untrusted(self, text: str) -> None:
        self._note("untrusted", text)

    def link_failed(self, text: str) -> None:
        self._note("failed", text)

    @property
    def kinds(self) -> list[str]:
        return [what for what, _ in self.lines]


class Echo(Protocol):
    """A server that notes what it receives, after TLS, and sends it back."""

    def dataReceived(self, data: bytes) -> None:
        self.factory.received += data
        self.transport.write(data)


def run_link(options: CertificateOptions | None, host: str, ca_file: Path, until: str) -> tuple[Told, bytes]:
    """Run a client against a server until it tells `until`; return what was told and what the server received."""
    reactor = SelectReactor()
    factory = Factory.forProtocol(Echo)
    factory.received = b""
    served = factory if options is None else TLSMemoryBIOFactory(options, False, factory, reactor)
    port = reactor.listenTCP(0, served, interface="127.0.0.1")
    told = Told()
    client = VenueClient(reactor, host, port.getHost().port, ca_file, told, jitter=lambda: 0.0)
    ending = []

    def finish() -> None:
        if not ending:
            ending.append(client.stop())
            ending[0].addCallback(lambda _: port.stopListening()).addCallback(lambda _: reactor.stop())

    told.on_change = lambda: finish() if told.kinds[-1] == until else None
    reactor.callWhenRunning(client.start)
    emergency = reactor.callLater(5, reactor.stop)
    reactor.run(installSignalHandlers=False)
    close_reactor(reactor)
    assert ending, f"{until} was not told within 5 s; told: {told.lines}"
    emergency.cancel()
    return told, factory.received


@pytest.mark.parametrize("not_before_s", [0.0, pytest.param(1.0, marks=pytest.mark.slow)])
def test_a_link_that_is_dropped_tells_why_and_comes_back_within_a_second_of_when_it_may(
    authority, tmp_path, not_before_s
) -> None:
    reactor, told = SelectReactor(), Told()
    factory = Factory.forProtocol(Echo)
    factory.received = b""
    options = authority.server_options(LOCALHOST, LOOPBACK)
    port = reactor.listenTCP(0, TLSMemoryBIOFactory(options, False, factory, reactor), interface="127.0.0.1")
    ca_file = authority.write(tmp_path / "ca.pem")
    client = VenueClient(reactor, "127.0.0.1", port.getHost().port, ca_file, told, jitter=lambda: 1.0)
    times: list[float] = []

    def step() -> None:
        times.append(reactor.seconds())
        if told.kinds == ["up"]:
            reactor.callLater(0, client.drop, "the session wants it", not_before_s)
        elif told.kinds.count("up") == 2 and told.kinds[-1] == "up":
            client.stop().addCallback(lambda _: port.stopListening()).addCallback(lambda _: reactor.stop())

    told.on_change = step
    reactor.callWhenRunning(client.start)
    emergency = reactor.callLater(5, reactor.stop)
    reactor.run(installSignalHandlers=False)
    close_reactor(reactor)
    emergency.cancel()
    assert [line for line in told.lines if line[0] != "data"] == [
        ("up", ""),
        ("down", "the session wants it"),
        ("up", ""),
        ("down", "stopped"),
    ]
    assert not_before_s <= times[told.kinds.index("up", 1)] - times[told.kinds.index("down")] < not_before_s + 1.0
    told.write(b"too late")  # a write after the end is harmless


def test_a_server_that_never_completes_the_handshake_is_left_after_ten_seconds(authority, tmp_path) -> None:
    reactor, told, _ = connecting(tmp_path, authority)
    transport, no_delay = StringTransport(), []
    transport.setTcpNoDelay = no_delay.append
    transport.abortConnection = lambda: protocol.connectionLost(Failure(ConnectionLost()))
    protocol = reactor.tcpClients[0][2].buildProtocol(None)
    protocol.makeConnection(transport)
    assert no_delay == [True]
    reactor.advance(9.9)
    assert told.lines == []
    reactor.advance(0.2)
    assert told.kinds == ["failed"]
    assert "TLS handshake was not complete after 10 s" in told.lines[0][1]


LOCALHOST = x509.DNSName("localhost")
LOOPBACK = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_certificate_of_the_given_root_for_this_host_is_accepted(authority, tmp_path, host) -> None:
    ca_file = authority.write(tmp_path / "ca.pem")
    told, received = run_link(authority.server_options(LOCALHOST, LOOPBACK), host, ca_file, until="data")
    assert told.kinds[:2] == ["up", "data"]
    assert told.data == received == SECRET


def test_a_certificate_of_a_foreign_root_is_refused_and_nothing_is_sent(authority, tmp_path) -> None:
    ca_file = authority.write(tmp_path / "ca.pem")
    options = Authority("foreign").server_options(LOCALHOST, LOOPBACK)
    told, received = run_link(options, "localhost", ca_file, until="untrusted")
    assert (told.kinds, received) == (["untrusted"], b"")
    assert "certificate verify failed" in told.lines[0][1]


@pytest.mark.parametrize(
    ("name", "host"),
    [(x509.DNSName("demo.example.com"), "localhost"), (LOCALHOST, "127.0.0.1"), (LOOPBACK, "localhost")],
)
def test_a_certificate_for_another_host_is_refused_and_nothing_is_sent(authority, tmp_path, name, host) -> None:
    ca_file = authority.write(tmp_path / "ca.pem")
    told, received = run_link(authority.server_options(name), host, ca_file, until="untrusted")
    assert (told.kinds, received) == (["untrusted"], b"")
    assert "another host name" in told.lines[0][1]


def test_a_server_without_tls_is_a_failure_and_not_a_question_of_trust(authority, tmp_path) -> None:
    told, _ = run_link(None, "127.0.0.1", authority.write(tmp_path / "ca.pem"), until="failed")
    assert told.kinds == ["failed"]


def refuse(reactor: MemoryReactorClock, error: Exception) -> None:
    reactor.tcpClients[-1][2].clientConnectionFailed(reactor.connectors[-1], Failure(error))
    reactor.advance(0.1)  # the endpoint looks for a further address of the host before it gives up


def connecting(
    tmp_path: Path, authority: Authority, jitter: float = 0.0
) -> tuple[MemoryReactorClock, Told, VenueClient]:
    reactor, told = MemoryReactorClock(), Told()
    ca_file = authority.write(tmp_path / "ca.pem")
    client = VenueClient(reactor, "127.0.0.1", 5035, ca_file, told, clock=reactor, jitter=lambda: jitter)
    client.start()
    return reactor, told, client


def test_a_refused_port_is_tried_again_within_a_second_and_then_ever_more_seldom(authority, tmp_path) -> None:
    reactor, told, client = connecting(tmp_path, authority)
    pauses = []
    for attempt in range(1, 9):
        assert len(reactor.tcpClients) == attempt
        start = reactor.seconds()
        refuse(reactor, ConnectionRefusedError())
        while len(reactor.tcpClients) == attempt:
            reactor.advance(0.1)
        pauses.append(round(reactor.seconds() - start, 1))
    assert pauses[0] <= 1.0
    assert pauses == sorted(pauses)
    assert pauses[-1] == pytest.approx(30, abs=0.2)
    assert told.kinds == ["failed"] * 8
    assert told.lines[0][1] == "cannot connect to 127.0.0.1:5035: connection refused: nothing listens there"
    client.stop()
    reactor.advance(100)
    assert len(reactor.tcpClients) == 9, "no attempt after the stop"


def test_a_stop_while_it_waits_to_retry_ends_at_once(authority, tmp_path) -> None:
    reactor, told, client = connecting(tmp_path, authority)
    refuse(reactor, TimeoutError())
    fired = []
    client.stop().addCallback(fired.append)
    assert fired == [None]
    reactor.advance(100)
    assert told.kinds == ["failed"]


def test_a_drop_without_a_link_does_nothing(authority, tmp_path) -> None:
    _, told, client = connecting(tmp_path, authority)
    client.drop("for no reason")
    assert told.kinds == []


def test_the_pause_doubles_with_jitter_from_under_a_second_to_half_a_minute() -> None:
    assert [retry_delay_s(n, lambda: 0.0) for n in range(1, 8)] == pytest.approx([0.7, 1.4, 2.8, 5.6, 11.2, 22.4, 30.0])
    assert retry_delay_s(1, lambda: 1.0) == pytest.approx(0.525)
    assert retry_delay_s(10_000, lambda: 0.0) == 30.0


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ConnectionRefusedError(), "connection refused"),
        (TimeoutError(), "no answer within 10 s"),
        (DNSLookupError(), "host name is unknown"),
        (ConnectionLost(), "closed the connection"),
        (SSL.Error([("SSL routines", "", "wrong version number")]), "wrong version number"),
        (OSError("network is down"), "network is down"),
    ],
)
def test_a_failure_reads_as_one_line_and_is_not_mistrust(error, text) -> None:
    assert text in failure_text(Failure(error))
    assert not is_untrusted(Failure(error))


def test_a_failed_verification_is_mistrust() -> None:
    assert is_untrusted(Failure(VerificationError(errors=[])))
    assert is_untrusted(Failure(SSL.Error([("SSL routines", "", "certificate verify failed")])))


def test_a_root_file_that_cannot_be_used_is_named(tmp_path) -> None:
    with pytest.raises(TrustUnavailable, match=r"cannot read .*missing\.pem: No such file"):
        trust_roots(tmp_path / "missing.pem")
    for content, text in (
        (b"hello", "holds no certificate"),
        (b"-----BEGIN CERTIFICATE-----\nAA==\n", "cannot be read"),
    ):
        bad = tmp_path / "bad.pem"
        bad.write_bytes(content)
        with pytest.raises(TrustUnavailable, match=text):
            trust_roots(bad)


def test_without_a_system_store_the_mozilla_roots_are_used(monkeypatch) -> None:
    monkeypatch.setattr(trust, "_system_store_exists", lambda: False)
    assert len(trust_roots(None)._caCerts) > 50
