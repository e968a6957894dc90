"""The OAuth server, as a client sees it: where consent is given, and how a code or a refresh token becomes a token.

How it works: one HTTPS GET a call, verified as the venue's link is (chain and host name, `venue.ca_file` or the
system's roots), no redirect followed, at most 64 kB and 45 s: the answer to a refresh is the only place where the new
pair is, and the old one is dead by then. Plain HTTP is for loopback alone, where the embedded venue serves it. The
protocol wants secrets in the query; so no URL goes into a log or an error, and what the server says is shown only after
every secret of ours has been taken out of it.

Exception
├── OAuthRefused        the server said no: asking again with the same code or token cannot help
└── OAuthUnreachable    no usable answer: it may be tried again

Source: cTrader Open API, account authentication: GET {base}/apps/token, grant types authorization_code and
refresh_token; the answer's keys come in camelCase and snake_case; `errorCode` may come with status 200.
"""

import json
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet.defer import CancelledError, Deferred, TimeoutError, fail
from twisted.internet.error import ConnectionLost
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import Agent, BrowserLikePolicyForHTTPS, ResponseDone, ResponseFailed
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers

from bot.config.loopback import is_loopback
from bot.config.model import Config
from bot.config.secrets import ClientSecrets
from bot.config.token_file import Token
from bot.net.client import CONNECT_TIMEOUT_S, failure_text
from bot.net.trust import trust_roots

BASE = "https://openapi.ctrader.com"
SCOPES = ("trading", "accounts")
REQUEST_TIMEOUT_S = 45.0
MAX_BODY_BYTES = 65_536

_LONGEST_SAID = 200
# Error codes that say nothing about the code or token: it is worth asking again.
_PASSING = frozenset(
    {
        "CH_SERVER_NOT_REACHABLE",
        "REQUEST_FREQUENCY_EXCEEDED",
        "SERVER_ERROR",
        "SERVER_IS_UNDER_MAINTENANCE",
        "TEMPORARILY_UNAVAILABLE",
        "TIMEOUT_ERROR",
    }
)


class OAuthRefused(Exception):
    """The server refused, for good. `code` is its error code, `description` its words, without any secret of ours."""

    def __init__(self, code: str, description: str) -> None:
        super().__init__(f"{code}: {description}" if description else code)
        self.code = code
        self.description = description


class OAuthUnreachable(Exception):
    """No usable answer came. The text says why; the request may or may not have been carried out."""


def oauth_base(config: Config) -> str:
    """Return the OAuth server's address: `https://host`, without a slash behind it and without `/apps`.

    Raises: ConfigError for an address that is none, or that would send secrets in the clear over a network.
    """
    given = config.venue.oauth_url
    if given is None:
        return BASE
    try:
        return checked_base(given)
    except ValueError as error:
        raise config.error_at("venue.oauth_url", str(error)) from None


def checked_base(given: str) -> str:
    """Return an OAuth address in its plain form; see `oauth_base`.

    Raises: ValueError, one line.
    """
    try:
        parts = urlsplit(given.strip())
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError("is not an address; write it as https://host") from None
    if parts.scheme not in ("https", "http") or not host:
        raise ValueError("is not an address; write it as https://host")
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError("should be an address alone, without a user, `?` or `#`")
    if parts.scheme == "http" and not is_loopback(host):
        raise ValueError(
            f"is plain http to {host}: the client secret and tokens would cross a network in the clear; use https"
        )
    path = parts.path.rstrip("/").removesuffix("/apps").rstrip("/")
    return f"{parts.scheme}://{parts.netloc}{path}"


def consent_url(base: str, client_id: str, redirect_uri: str, scope: str, state: str) -> str:
    """Return the page on which a person lets the application into accounts.

    Args: `scope` is `accounts` (look) or `trading`; `state` comes back with the answer and proves that it is ours.
    """
    query = {"client_id": client_id, "redirect_uri": redirect_uri, "scope": scope, "state": state}
    return f"{base}/apps/auth?{urlencode(query)}"


class OAuthClient:
    """Asks an OAuth server for tokens.

    Args: `base` as `oauth_base` returns it; `ca_file` replaces the system's roots; `now_s` is the wall clock that a
        token's life is counted from, in seconds since the epoch.
    Raises: TrustUnavailable (from `bot.net.trust`) for a `ca_file` that cannot be used; ValueError for a bad `base`.
    """

    def __init__(
        self,
        reactor: Any,
        base: str,
        ca_file: Path | None,
        client: ClientSecrets,
        *,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self._reactor = reactor
        self._base = checked_base(base)
        self._where = urlsplit(self._base).netloc
        self._client = client
        self._now_s = now_s
        is_tls = self._base.startswith("https:")
        policy = BrowserLikePolicyForHTTPS(trust_roots(ca_file) if is_tls else None)
        self._agent = Agent(reactor, policy, connectTimeout=CONNECT_TIMEOUT_S)

    def exchange(self, code: str, redirect_uri: str) -> "Deferred[Token]":
        """Turn an authorisation code into a token; a code lives one minute and serves once.

        Raises: OAuthRefused or OAuthUnreachable, through the Deferred.
        """
        return self._ask({"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri}, (code,))

    def refresh(self, refresh_token: str) -> "Deferred[Token]":
        """Turn a refresh token into a new pair; the old pair is dead from then on, so store the new one at once.

        Raises: OAuthRefused or OAuthUnreachable, through the Deferred.
        """
        return self._ask({"grant_type": "refresh_token", "refresh_token": refresh_token}, (refresh_token,))

    def _ask(self, query: Mapping[str, str], hidden: tuple[str, ...]) -> "Deferred[Token]":
        secrets = (*hidden, self._client.client_secret, self._client.client_id)
        whole = {**query, "client_id": self._client.client_id, "client_secret": self._client.client_secret}
        address = f"{self._base}/apps/token?{urlencode(whole)}".encode("ascii")
        headers = Headers({"Accept": ["application/json"], "User-Agent": ["microlev"]})
        try:
            asked: Deferred[Any] = self._agent.request(b"GET", address, headers)
        except Exception as error:  # the address is checked; whatever is left may have the URL in its text
            return fail(OAuthUnreachable(f"cannot ask {self._where}: {type(error).__name__}"))
        asked.addCallback(_whole_body)
        asked.addTimeout(REQUEST_TIMEOUT_S, self._reactor)
        return asked.addCallbacks(lambda answer: self._token(*answer, secrets), self._failed)

    def _failed(self, failure: Failure) -> Any:
        # A new error, not a chained one: nothing is known of what the old one carries.
        error: Any = failure.value
        if isinstance(error, OAuthUnreachable):
            raise OAuthUnreachable(f"{self._where}: {error}") from None
        reasons = getattr(error, "reasons", None)  # of a request that was sent, or an answer that broke off
        if reasons:
            failure = reasons[0]
            error = failure.value
        if isinstance(error, TimeoutError | CancelledError):
            raise OAuthUnreachable(f"{self._where}: no answer within {REQUEST_TIMEOUT_S:.0f} s") from None
        if isinstance(error, VerificationError):
            text = f"the certificate of {self._where} does not verify: it is for another host name"
        elif isinstance(error, SSL.Error):
            is_chain = "certificate verify failed" in str(error)
            start = f"the certificate of {self._where} does not verify" if is_chain else f"no link to {self._where}"
            text = f"{start}: {failure_text(failure)}"
        else:
            text = f"cannot ask {self._where}: {_known_failure(failure)}"
        raise OAuthUnreachable(text) from None

    def _token(self, status: int, body: bytes, secrets: tuple[str, ...]) -> Token:
        content = _object_in(body)
        if content is None:
            raise OAuthUnreachable(f"{self._where}: the answer (HTTP {status}) is not JSON")
        code, description = _error_in(content)
        if code is not None:
            code, description = _without(code, secrets), _without(description, secrets)
            if status >= 500 or status == 429 or code.upper() in _PASSING:
                raise OAuthUnreachable(f"{self._where}: {code}: {description}")
            raise OAuthRefused(code, description)
        if status != 200:
            raise OAuthUnreachable(f"{self._where}: HTTP {status}")
        access_token = _text(content, "accessToken", "access_token")
        if access_token is None:
            raise OAuthUnreachable(f"{self._where}: the answer holds no access token")
        refresh_token = _text(content, "refreshToken", "refresh_token")
        life_s = _seconds(content, "expiresIn", "expires_in")
        return Token(access_token, refresh_token, None if life_s is None else self._now_s() + life_s)


def _known_failure(failure: Failure) -> str:
    # `failure_text` ends with the error's own words; only those of the network layer are known to be harmless.
    own = isinstance(failure.value, OSError) or type(failure.value).__module__.startswith("twisted.internet")
    return failure_text(failure) if own else type(failure.value).__name__


def _object_in(body: bytes) -> dict[str, Any] | None:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def _error_in(content: Mapping[str, Any]) -> tuple[str | None, str]:
    """Return (code, description) of an answer; the code is None when it is no error."""
    for key in ("errorCode", "error_code", "error"):
        code = content.get(key)
        if code is not None and code != "" and code is not False:
            said = [content.get(name) for name in ("description", "error_description", "errorDescription")]
            return str(code), next((text for text in said if isinstance(text, str)), "")
    return None, ""


def _without(text: str, secrets: tuple[str, ...]) -> str:
    for secret in secrets:
        if secret:
            text = text.replace(secret, "***")
    plain = "".join(char if char.isprintable() else " " for char in text)
    return " ".join(plain.split())[:_LONGEST_SAID]


def _text(content: Mapping[str, Any], *names: str) -> str | None:
    for name in names:
        given = content.get(name)
        if isinstance(given, str) and given:
            return given
    return None


def _seconds(content: Mapping[str, Any], *names: str) -> float | None:
    for name in names:
        given = content.get(name)
        if isinstance(given, str) and given.isdecimal():
            given = int(given)
        if isinstance(given, int | float) and not isinstance(given, bool) and math.isfinite(given) and given > 0:
            return float(given)
    return None


def _whole_body(response: Any) -> "Deferred[tuple[int, bytes]]":
    # Through the protocol's own transport: a caller who gives up must end the connection, not only stop to listen.
    reader = _Body(response.code)
    response.deliverBody(reader)
    return reader.done


class _Body(Protocol):
    """Collects an answer of bounded length."""

    def __init__(self, status: int) -> None:
        self._status = status
        self._parts: list[bytes] = []
        self._length = 0
        self.done: Deferred[tuple[int, bytes]] = Deferred(lambda _: self._abort())

    def dataReceived(self, data: bytes) -> None:
        self._length += len(data)
        if self._length > MAX_BODY_BYTES:
            if not self.done.called:
                self.done.errback(OAuthUnreachable(f"the answer is longer than {MAX_BODY_BYTES // 1024} kB"))
            self._abort()
            return
        self._parts.append(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self.done.called:
            return
        # Without a length, the end of the connection is the end of the answer; JSON that is cut short does not parse.
        if reason.check(ResponseDone, PotentialDataLoss):
            self.done.callback((self._status, b"".join(self._parts)))
        else:
            self.done.errback(reason if reason.check(ResponseFailed) else Failure(ConnectionLost()))

    def _abort(self) -> None:
        # The transport is Twisted's stand-in for the real one, and has no abortConnection.
        if self.transport is not None:
            self.transport.loseConnection()
