"""Stands before everything the dashboard serves, sockets included: nothing passes without a session.

How it works: the address that was printed carries the token. It is exchanged at once for a session cookie, which no
script can read and no other site can make the browser send, and the browser goes on to an address without it. Whoever
comes without either gets a form. Requests that another site or another host name brings here are refused before that.

Invariants: a request is passed on only with a session, a loopback `Host`, and an `Origin`, where there is one, that is
ours. Tokens and sessions appear in no log and in no error.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs

from bot.dashboard import entry, language
from bot.dashboard.access import RETRY_AFTER_S, Access
from bot.dashboard.strangers import LET_IN

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

_LOOPBACK = (b"127.0.0.1", b"localhost", b"[::1]")
_ASSETS, _SOCKETS = "/_nicegui/", "/_nicegui_ws/"
_LONGEST_FORM = 4096
_YEAR_S = 31_536_000

_ALWAYS: Headers = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
]
# NiceGUI writes scripts and styles into its page, and Vue compiles templates in the browser. Nothing else is needed, so
# the browser itself sees to it that no asset comes from outside.
_OF_THE_PAGE: Headers = [
    *_ALWAYS,
    (b"referrer-policy", b"no-referrer"),
    (
        b"content-security-policy",
        b"default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
        b"img-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; object-src 'none'; "
        b"base-uri 'self'; form-action 'self'; frame-ancestors 'none'",
    ),
]
# With `no-referrer` a form would be sent with the origin `null`.
_OF_THE_FORM: Headers = [
    *_ALWAYS,
    (b"referrer-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
    (
        b"content-security-policy",
        b"default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
]
_HTML = (b"content-type", b"text/html; charset=utf-8")
_OURS = {name for name, _ in _OF_THE_PAGE}


class Gate:
    """The dashboard's application with the check before it.

    Args: `port` makes the cookie's name: on one machine several dashboards share their cookies; `entered` is called
        when somebody was let in.
    """

    def __init__(self, app: App, access: Access, port: int, entered: Callable[[], None] = lambda: None) -> None:
        self.app = app
        self._access = access
        self._cookie = f"microlev-{port}"
        self._entered = entered

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._socket(scope, receive, send)
        elif scope["type"] == "http":
            await self._request(scope, receive, send)

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_ours = _host(scope) is not None and _is_own_origin(scope, needed=True)
        if is_ours and scope["path"].startswith(_SOCKETS) and self._has_session(scope):
            await self.app(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})

    async def _request(self, scope: Scope, receive: Receive, send: Send) -> None:
        method, path = scope["method"], scope["path"]
        is_reading = method in ("GET", "HEAD")
        if _host(scope) is None or not _is_own_origin(scope, needed=not is_reading) or _is_foreign(scope):
            await _answer(send, HTTPStatus.FORBIDDEN, b"refused: this is for a browser on this machine\n")
            return
        token = _query(scope).get("token")
        if path == entry.PATH and method == "POST":
            await self._enter(await _posted_token(receive), scope, send)
        elif path == "/" and is_reading and token is not None and not self._has_session(scope):
            await self._enter(token, scope, send)
        elif not self._has_session(scope):
            await _answer(send, HTTPStatus.FORBIDDEN, entry.form(), _HTML)
        elif path == "/" and is_reading and token is not None:
            await _redirect(send)  # a link of before, and a session
        elif token is not None or not (path in ("/", "/favicon.ico") or path.startswith((_ASSETS, _SOCKETS))):
            await _answer(send, HTTPStatus.NOT_FOUND, b"not found\n")
        else:
            await self.app(scope, receive, self._with_headers(scope, send))

    async def _enter(self, token: str | None, scope: Scope, send: Send) -> None:
        verdict = self._access.judge(token or "")
        if verdict == "too_many":
            retry = (b"retry-after", str(RETRY_AFTER_S).encode())
            await _answer(send, HTTPStatus.TOO_MANY_REQUESTS, entry.form(verdict), _HTML, retry)
        elif verdict == "wrong":
            await _answer(send, HTTPStatus.FORBIDDEN, entry.form(verdict), _HTML)
        else:
            self._entered()
            cookie = f"{self._cookie}={self._access.admit()}; Path=/; HttpOnly; SameSite=Strict"
            admitted = (b"set-cookie", cookie.encode())
            if _header(scope, b"sec-fetch-site") in (b"cross-site", b"same-site"):
                await _answer(send, HTTPStatus.OK, entry.forward(), _HTML, admitted)
            else:
                await _redirect(send, admitted)

    def _has_session(self, scope: Scope) -> bool:
        is_known = any(self._access.knows(session) for session in cookies(scope, self._cookie))
        if is_known and (let_in := scope.get(LET_IN)) is not None:
            let_in()
        return is_known

    def _with_headers(self, scope: Scope, send: Send) -> Send:
        async def passed(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = [(name, text) for name, text in message.get("headers", ()) if name.lower() not in _OURS]
                if not scope["path"].startswith(_ASSETS):
                    given = [(name, text) for name, text in given if name.lower() != b"cache-control"]
                    given.append((b"cache-control", b"no-store"))
                asked = _query(scope).get("lang")
                if scope["path"] == "/" and asked in language.LANGUAGES:
                    kept = f"{language.COOKIE}={asked}; Path=/; Max-Age={_YEAR_S}; HttpOnly; SameSite=Strict"
                    given.append((b"set-cookie", kept.encode()))
                message = {**message, "headers": [*given, *_OF_THE_PAGE]}
            await send(message)

        return passed


def cookies(scope: Mapping[str, Any], name: str) -> Iterable[str]:
    """Return what the cookies of a name hold: a browser may send several."""
    for header in _headers(scope, b"cookie"):
        for part in header.decode("latin-1").split(";"):
            key, _, text = part.strip().partition("=")
            if key == name:
                yield text


def _headers(scope: Mapping[str, Any], name: bytes) -> list[bytes]:
    return [text for key, text in scope["headers"] if key.lower() == name]


def _header(scope: Mapping[str, Any], name: bytes) -> bytes | None:
    """Return a header that may come once; one that comes more often is none that we know."""
    found = _headers(scope, name)
    return found[0] if len(found) == 1 else (b"" if found else None)


def _query(scope: Scope) -> dict[str, str]:
    query = scope.get("query_string", b"")[:_LONGEST_FORM].decode("latin-1")
    return {key: texts[0] for key, texts in parse_qs(query, keep_blank_values=True).items()}


def _host(scope: Scope) -> bytes | None:
    """Return the `Host` when it is this machine by a name that nobody else can have, or None.

    Any other name could be made to lead here by whoever owns it, for their pages to read ours.
    """
    host = _header(scope, b"host")
    if host is None:
        return None
    name, _, port = host.rpartition(b":") if not host.endswith(b"]") and b":" in host else (host, b"", b"")
    return host if name in _LOOPBACK and (not port or port.isdigit()) else None


def _is_own_origin(scope: Scope, *, needed: bool) -> bool:
    origin = _header(scope, b"origin")
    return not needed if origin is None else origin == b"http://" + (_host(scope) or b"")


def _is_foreign(scope: Scope) -> bool:
    """Return whether a page of elsewhere has caused a request that is not somebody going to the dashboard."""
    site = _header(scope, b"sec-fetch-site")
    is_visit = scope["method"] == "GET" and scope["path"] == "/" and _header(scope, b"sec-fetch-dest") == b"document"
    return site in (b"cross-site", b"same-site", b"") and not is_visit


async def _posted_token(receive: Receive) -> str | None:
    body = b""
    while len(body) <= _LONGEST_FORM:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message.get("body", b"")
        if not message.get("more_body", False):
            break
    if len(body) > _LONGEST_FORM:
        return None
    found = parse_qs(body.decode("latin-1")).get("token", [""])
    return found[0].strip()


async def _answer(send: Send, status: HTTPStatus, body: bytes, *headers: tuple[bytes, bytes]) -> None:
    given = (
        headers if any(name == b"content-type" for name, _ in headers) else (*headers, (b"content-type", b"text/plain"))
    )
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status.value, "headers": [*given, length, *_OF_THE_FORM]})
    await send({"type": "http.response.body", "body": body})


async def _redirect(send: Send, *headers: tuple[bytes, bytes]) -> None:
    await _answer(send, HTTPStatus.SEE_OTHER, b"", (b"location", b"/"), *headers)
