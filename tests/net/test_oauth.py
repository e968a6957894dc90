"""The OAuth client against servers of every kind, in memory: what is asked, what is believed, what is never shown."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.error import ConnectionLost, ConnectionRefusedError
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.logger import LogEvent, formatEvent, globalLogPublisher
from twisted.python.failure import Failure

from bot.config import ConfigError, parse_config
from bot.config.secrets import ClientSecrets
from bot.config.token_file import Token
from bot.net.oauth import MAX_BODY_BYTES, OAuthClient, OAuthRefused, OAuthUnreachable, consent_url, oauth_base

CLIENT = ClientSecrets("the-client-id", "the-client-secret")
CODE, REFRESH = "the-code-4711", "the-refresh-token"
HIDDEN = ["the-client-secret", CODE, REFRESH, "new-access", "new-refresh"]
NOW_S = 1_700_000_000.0
GOOD = {"accessToken": "new-access", "refreshToken": "new-refresh", "tokenType": "bearer", "expiresIn": 2_628_000}
HOME = "http://localhost:8765/"


class Wire:
    """One call, seen from the server's end of a transport in memory."""

    def __init__(self, base: str = "http://127.0.0.1:8080") -> None:
        self.reactor: Any = MemoryReactorClock()
        self.client = OAuthClient(self.reactor, base, None, CLIENT, now_s=lambda: NOW_S)
        self.results: list[Any] = []
        self.protocol: Any = None
        self.transport: Any = None

    def exchange(self) -> "Wire":
        self.client.exchange(CODE, HOME).addBoth(self.results.append)
        return self._connected()

    def refresh(self) -> "Wire":
        self.client.refresh(REFRESH).addBoth(self.results.append)
        return self._connected()

    def _connected(self) -> "Wire":
        self.reactor.advance(0)
        factory = self.reactor.tcpClients[-1][2]
        self.protocol, self.transport = factory.buildProtocol(None), Transport()
        self.protocol.makeConnection(self.transport)
        return self

    @property
    def asked(self) -> str:
        return str(self.transport.value().decode().split("\r\n")[0])

    def answer(self, body: Any, status: int = 200, *, cut: int | None = None) -> "Wire":
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(content)}\r\n\r\n".encode()
        self.protocol.dataReceived((head + content)[: None if cut is None else len(head) + cut])
        if cut is not None:
            self.protocol.connectionLost(Failure(ConnectionLost()))
        return self

    @property
    def token(self) -> Token:
        (result,) = self.results
        assert isinstance(result, Token), result
        return result

    def error(self, kind: type[Exception]) -> Any:
        (result,) = self.results
        assert isinstance(result, Failure), result
        assert isinstance(result.value, kind), result
        text = "".join([str(result.value), repr(result.value), result.getTraceback(), result.getErrorMessage()])
        assert [secret for secret in HIDDEN if secret in text] == []
        assert "/apps/token" not in str(result.value)
        return result.value


class Transport(StringTransport):
    def abortConnection(self) -> None:
        self.disconnecting = True


@pytest.fixture(autouse=True)
def no_secret_in_the_log() -> Iterator[None]:
    heard: list[str] = []

    def observe(event: LogEvent) -> None:
        heard.append(f"{formatEvent(event)} {event!r}")

    globalLogPublisher.addObserver(observe)
    yield
    globalLogPublisher.removeObserver(observe)
    assert [secret for secret in [*HIDDEN, "/apps/token?"] if any(secret in text for text in heard)] == []


# -- asking ----------------------------------------------------------------------------------------------------------


def test_a_code_is_asked_with_the_documented_parameters() -> None:
    assert Wire().exchange().asked == (
        "GET /apps/token?grant_type=authorization_code&code=the-code-4711&redirect_uri=http%3A%2F%2Flocalhost%3A8765%2F"
        "&client_id=the-client-id&client_secret=the-client-secret HTTP/1.1"
    )
    assert Wire("http://localhost:1/apps/").refresh().asked == (
        "GET /apps/token?grant_type=refresh_token&refresh_token=the-refresh-token"
        "&client_id=the-client-id&client_secret=the-client-secret HTTP/1.1"
    )


@pytest.mark.parametrize(
    "body",
    [
        GOOD,
        {"access_token": "new-access", "refresh_token": "new-refresh", "token_type": "bearer", "expires_in": 2_628_000},
        {**GOOD, "errorCode": None, "description": None},
        {**GOOD, "errorCode": "", "expiresIn": "2628000"},
    ],
)
def test_both_spellings_are_believed_and_the_life_counts_from_now(body: dict[str, Any]) -> None:
    assert Wire().refresh().answer(body).token == Token("new-access", "new-refresh", NOW_S + 2_628_000)


@pytest.mark.parametrize("life", [None, -5, 0, True, "soon", 1e400])
def test_a_life_that_is_none_is_unknown(life: Any) -> None:
    token = Wire().exchange().answer(json.dumps({**GOOD, "expiresIn": life}).encode()).token
    assert (token.access_token, token.expires_at) == ("new-access", None)


# -- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 400, 401, 403])
@pytest.mark.parametrize(
    "body",
    [
        {"errorCode": "ACCESS_DENIED", "description": "no"},
        {"error": "ACCESS_DENIED", "error_description": "no"},
        {**GOOD, "errorCode": "ACCESS_DENIED", "description": "no"},
    ],
)
def test_an_error_code_is_a_refusal_whatever_the_status(status: int, body: dict[str, Any]) -> None:
    refused = Wire().refresh().answer(body, status).error(OAuthRefused)
    assert (refused.code, refused.description) == ("ACCESS_DENIED", "no")


def test_a_refusal_that_repeats_our_secrets_is_shown_without_them() -> None:
    said = {"errorCode": f"X_{REFRESH}", "description": f"bad\n{REFRESH} and\x1b[2J the-client-secret " + "x" * 999}
    refused = Wire().refresh().answer(said).error(OAuthRefused)
    assert refused.code == "X_***"
    assert refused.description.startswith("bad *** and [2J *** xxx")
    assert len(refused.description) == 200


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"errorCode": "SERVER_IS_UNDER_MAINTENANCE"}, 200, "SERVER_IS_UNDER_MAINTENANCE"),
        ({"error": "temporarily_unavailable"}, 400, "temporarily_unavailable"),
        ({"errorCode": "ACCESS_DENIED"}, 503, "ACCESS_DENIED"),
        ({"errorCode": "ACCESS_DENIED"}, 429, "ACCESS_DENIED"),
        (GOOD, 500, "HTTP 500"),
        (b"<html>the-client-secret</html>", 200, "(HTTP 200) is not JSON"),
        (b"", 302, "(HTTP 302) is not JSON"),
        (b"[1]", 200, "is not JSON"),
        (b"[" * 60_000, 200, "is not JSON"),
        ({"accessToken": 5}, 200, "holds no access token"),
        ({"refreshToken": "new-refresh"}, 200, "holds no access token"),
    ],
)
def test_no_usable_answer_may_be_asked_again(body: Any, status: int, said: str) -> None:
    error = Wire().exchange().answer(body, status).error(OAuthUnreachable)
    assert said in str(error)
    assert str(error).startswith("127.0.0.1:8080: ")


def test_an_endless_answer_is_cut_off() -> None:
    wire = Wire().exchange()
    wire.answer(b"x" * (MAX_BODY_BYTES + 1), cut=None)
    assert "longer than 64 kB" in str(wire.error(OAuthUnreachable))
    assert wire.transport.disconnecting


@given(st.integers(1, len(json.dumps(GOOD)) - 1))
def test_an_answer_that_breaks_off_anywhere_is_no_answer(cut: int) -> None:
    Wire().exchange().answer(GOOD, cut=cut).error(OAuthUnreachable)


@given(st.binary(max_size=200))
def test_any_bytes_end_in_one_of_the_two_errors(body: bytes) -> None:
    (result,) = Wire().exchange().answer(body).results
    assert isinstance(result.value, OAuthUnreachable | OAuthRefused)


@pytest.mark.parametrize("part", ["", "HTTP/1.1 200 X\r\nContent-Length: 5\r\n\r\n{"])
def test_a_server_that_falls_silent_is_given_up_after_45_s(part: str) -> None:
    wire = Wire().exchange()
    wire.protocol.dataReceived(part.encode())
    wire.reactor.advance(44.9)
    assert wire.results == []
    wire.reactor.advance(0.2)
    assert "no answer within 45 s" in str(wire.error(OAuthUnreachable))
    assert wire.transport.disconnecting


def test_a_server_that_is_not_there_is_said_in_words() -> None:
    wire = Wire()
    wire.client.exchange(CODE, HOME).addBoth(wire.results.append)
    wire.reactor.advance(0)
    wire.reactor.tcpClients[-1][2].clientConnectionFailed(None, Failure(ConnectionRefusedError()))
    wire.reactor.advance(1)
    assert str(wire.error(OAuthUnreachable)) == "cannot ask 127.0.0.1:8080: connection refused: nothing listens there"


# -- addresses -------------------------------------------------------------------------------------------------------


def base_of(url: str | None) -> str:
    venue = "" if url is None else f"venue: {{oauth_url: '{url}'}}\n"
    return oauth_base(parse_config(f"account: {{id: 1}}\nsymbols: {{EURUSD: {{}}}}\n{venue}", "bot.yaml", {}))


@pytest.mark.parametrize(
    ("given", "base"),
    [
        (None, "https://openapi.ctrader.com"),
        ("https://openapi.ctrader.com/", "https://openapi.ctrader.com"),
        ("https://openapi.ctrader.com/apps", "https://openapi.ctrader.com"),
        ("https://example.org:99/x/apps/", "https://example.org:99/x"),
        ("http://localhost:8080/", "http://localhost:8080"),
        ("http://127.0.0.7:1", "http://127.0.0.7:1"),
        ("http://[::1]:1/apps", "http://[::1]:1"),
    ],
)
def test_the_address_is_taken_with_or_without_its_ends(given: str | None, base: str) -> None:
    assert base_of(given) == base


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("http://openapi.ctrader.com", "plain http to openapi.ctrader.com"),
        ("http://localhost.example.org", "plain http"),
        ("http://10.0.0.1:80", "plain http"),
        ("http://127.0.0.1@example.org/", "without a user"),
        ("openapi.ctrader.com", "is not an address"),
        ("ftp://localhost", "is not an address"),
        ("https://", "is not an address"),
        ("https://x:port/", "is not an address"),
        ("https://x/?a=b", "an address alone"),
    ],
)
def test_an_address_that_would_give_secrets_away_or_is_none_is_refused(given: str, said: str) -> None:
    with pytest.raises(ConfigError, match=r"^bot\.yaml:3: venue\.oauth_url: .*") as caught:
        base_of(given)
    assert said in str(caught.value)


def test_the_client_itself_refuses_plain_http_to_a_network() -> None:
    with pytest.raises(ValueError, match="plain http to example"):
        OAuthClient(MemoryReactorClock(), "http://example.org", None, CLIENT)


def test_the_consent_page_gets_every_parameter_encoded() -> None:
    url = consent_url("https://h", "a b&c", "http://localhost:1/?x=y", "trading", "s/t")
    assert url == (
        "https://h/apps/auth?client_id=a+b%26c&redirect_uri=http%3A%2F%2Flocalhost%3A1%2F%3Fx%3Dy"
        "&scope=trading&state=s%2Ft"
    )
