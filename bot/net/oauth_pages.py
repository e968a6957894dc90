"""The embedded venue's OAuth server: the page where a person gives consent, and the address that hands out tokens.

How it works: plain HTTP on loopback. `/apps/auth` shows a browser what is asked and by whom; its form comes back with
a number made for that page alone, and then the browser is sent on with a code. A client that does not ask for HTML
(curl, a script) is sent on at once with every account granted. `/apps/token` turns codes and refresh tokens into
tokens. Who may have what is decided in `bot.sim.credentials`; here are only the pages.
A wrong application or redirect address gets a page and never a redirect: it could be anybody's.

Source: cTrader Open API, account authentication (the addresses, their parameters and the answer's keys).
"""

import html
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from twisted.internet.defer import Deferred
from twisted.web.resource import Resource

from bot.net.loopback_site import HEADERS, LoopbackSite, fields, is_asked_by_name, page, prepare
from bot.sim.credentials import SCOPES, Issued
from bot.sim.entities import Refused
from bot.sim.venue import Venue

PAGE_LIFE_NS = 600_000_000_000
MAX_OPEN_PAGES = 100

_MEANING = {
    "trading": "see the accounts, and trade on them",
    "accounts": "see the accounts; it cannot trade",
}


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a client asks for. Missing: `state` is None when the client sent none."""

    client_id: str
    redirect_uri: str
    scope: str
    state: str | None = field(repr=False)
    asked_ns: int = 0


class OAuthPages:
    """The venue's OAuth server, running until `stop`.

    Args: `before` brings the venue to now and returns the time, `after` sends what its links then have to say.
    Raises: twisted.internet.error.CannotListenError when the port (0: any free one) is taken.
    """

    def __init__(
        self, reactor: Any, port: int, venue: Venue, before: Callable[[], int], after: Callable[[], None]
    ) -> None:
        apps = Resource()
        apps.putChild(b"auth", _Consent(venue, before))
        apps.putChild(b"token", _Tokens(venue, before, after))
        root = Resource()
        root.putChild(b"apps", apps)
        self._site = LoopbackSite(reactor, port, root)

    @property
    def url(self) -> str:
        """The address that `venue.oauth_url` takes."""
        return f"http://localhost:{self._site.port}"

    def stop(self) -> "Deferred[Any]":
        """Stop serving; fires when all connections are closed."""
        return self._site.stop()


class _Consent(Resource):
    """`/apps/auth`: the question, and what the person answered."""

    isLeaf = True

    def __init__(self, venue: Venue, before: Callable[[], int]) -> None:
        super().__init__()
        self._venue = venue
        self._before = before
        self._open: dict[str, _Asked] = {}

    def render_GET(self, request: Any) -> bytes:
        """Ask the person; or, for a client that wants no page, grant everything."""
        if not is_asked_by_name(request):
            return _refusal(request, "This page is served on localhost only.")
        now_ns = self._before()
        given = fields(request)
        client_id, redirect_uri, scope = (_single(given, name) or "" for name in ("client_id", "redirect_uri", "scope"))
        asked = _Asked(client_id, redirect_uri, scope, _single(given, "state"), now_ns)
        try:
            self._venue.credentials.check_asker(client_id, redirect_uri)
        except Refused as refused:
            return _refusal(request, f"{refused.description[0].upper()}{refused.description[1:]}.")
        if scope not in SCOPES:
            said = f"scope must be {' or '.join(SCOPES)}"
            return _sent_on(request, asked, {"error": "invalid_scope", "error_description": said})
        if "text/html" not in (request.getHeader("accept") or "").lower():
            return self._grant(request, asked, list(self._venue.desks), now_ns)
        return self._question(request, asked, now_ns)

    def render_POST(self, request: Any) -> bytes:
        """Take the form."""
        now_ns = self._before()
        given = fields(request)
        number = _single(given, "page") or ""
        asked = self._open.get(number)
        if asked is None or now_ns - asked.asked_ns > PAGE_LIFE_NS or not is_asked_by_name(request):
            return _refusal(request, "This page was answered already, or is too old. Start the login again.")
        if _single(given, "answer") != "allow":
            del self._open[number]
            return _sent_on(
                request, asked, {"error": "access_denied", "error_description": "the person did not allow it"}
            )
        chosen = [int(text) for text in given.get("account", []) if text.isascii() and text.isdecimal()]
        if not chosen:
            return self._question(request, asked, now_ns, number, "Tick at least one account, or deny.")
        del self._open[number]
        return self._grant(request, asked, chosen, now_ns)

    def _grant(self, request: Any, asked: _Asked, account_ids: list[int], now_ns: int) -> bytes:
        try:
            code = self._venue.credentials.authorise(
                asked.client_id, asked.redirect_uri, asked.scope, account_ids, now_ns
            )
        except Refused as refused:
            return _refusal(request, f"{refused.description[0].upper()}{refused.description[1:]}.")
        return _sent_on(request, asked, {"code": code})

    def _question(self, request: Any, asked: _Asked, now_ns: int, number: str = "", complaint: str = "") -> bytes:
        if not number:
            self._open = {key: kept for key, kept in self._open.items() if now_ns - kept.asked_ns <= PAGE_LIFE_NS}
            while len(self._open) >= MAX_OPEN_PAGES:
                del self._open[next(iter(self._open))]
            number = secrets.token_urlsafe(18)
            self._open[number] = asked
        rows = "".join(self._row(account_id) for account_id in self._venue.desks)
        warning = f"<p><strong>{html.escape(complaint)}</strong></p>" if complaint else ""
        form = (
            f'{warning}<form method="post"><input type="hidden" name="page" value="{html.escape(number)}">'
            f"<fieldset><legend>Accounts</legend>{rows}</fieldset>"
            '<button class="yes" name="answer" value="allow">Allow</button>'
            '<button name="answer" value="deny">Deny</button></form>'
            "<p><small>This is microlev's embedded venue: no broker, no real account, no money.</small></p>"
        )
        prepare(request, 400 if complaint else 200)
        return page(
            "Let an application into your accounts?",
            f"The application {asked.client_id} asks to: {_MEANING[asked.scope]}.",
            body=form,
        )

    def _row(self, account_id: int) -> str:
        entry = self._venue.account_entry(account_id)
        kind = "live" if entry.isLive else "demo"
        text = html.escape(f"{entry.traderLogin} ({kind}, {entry.brokerTitleShort}) ")
        box = f'<input type="checkbox" name="account" value="{account_id}" checked>'
        return f"<label>{box} {text}<small>id {account_id}</small></label>"


class _Tokens(Resource):
    """`/apps/token`: codes and refresh tokens in, tokens out."""

    isLeaf = True

    def __init__(self, venue: Venue, before: Callable[[], int], after: Callable[[], None]) -> None:
        super().__init__()
        self._venue = venue
        self._before = before
        self._after = after

    def render_GET(self, request: Any) -> bytes:
        """Answer with JSON; an error is JSON, too, with status 200, as a client of the real venue has to expect."""
        now_ns = self._before()
        given = fields(request)
        try:
            if not is_asked_by_name(request):
                raise Refused("ACCESS_DENIED", "served on localhost only")
            issued = self._issue({name: _single(given, name) or "" for name in given}, now_ns)
        except Refused as refused:
            answer: dict[str, Any] = {"errorCode": refused.code, "description": refused.description}
        else:
            answer = _answer(issued)
        prepare(request, 200, {**HEADERS, "Content-Type": "application/json; charset=utf-8"})
        self._after()
        return json.dumps(answer).encode()

    render_POST = render_GET

    def _issue(self, given: Mapping[str, str], now_ns: int) -> Issued:
        keys = self._venue.credentials
        client = (given.get("client_id", ""), given.get("client_secret", ""))
        kind = given.get("grant_type")
        if kind == "authorization_code":
            return keys.exchange(*client, given.get("code", ""), given.get("redirect_uri", ""), now_ns)
        if kind == "refresh_token":
            issued = keys.refresh_over_http(*client, given.get("refresh_token", ""), now_ns)
            if issued.replaced is not None:
                self._venue.end_sessions(issued.replaced, "the access token was refreshed")
            return issued
        raise Refused("INVALID_REQUEST", "grant_type must be authorization_code or refresh_token")


def _answer(issued: Issued) -> dict[str, Any]:
    twins = {
        "accessToken": issued.access_token,
        "refreshToken": issued.refresh_token,
        "tokenType": "bearer",
        "expiresIn": issued.expires_in_s,
    }
    snake = {"".join(f"_{c.lower()}" if c.isupper() else c for c in key): text for key, text in twins.items()}
    return {**twins, **snake, "errorCode": None, "description": None}


def _single(given: Mapping[str, list[str]], name: str) -> str | None:
    texts = given.get(name, [])
    return texts[0] if len(texts) == 1 else None


def _refusal(request: Any, text: str) -> bytes:
    prepare(request, 400)
    return page("This request cannot be answered", text)


def _sent_on(request: Any, asked: _Asked, answer: Mapping[str, str]) -> bytes:
    query = {**answer, "state": asked.state} if asked.state is not None else answer
    joint = "&" if "?" in asked.redirect_uri else "?"
    prepare(request, 302, {**HEADERS, "Location": f"{asked.redirect_uri}{joint}{urlencode(query)}"})
    return page("Back to the application", "Your browser is being sent back to the application.")
