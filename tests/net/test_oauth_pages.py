"""The venue's consent page and its token address, asked in memory: what a browser sees, and what nobody may get."""

import json
import re
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.testing import MemoryReactorClock, StringTransport

from bot.ctrader.framing import FrameReader, frame
from bot.ctrader.schema import envelope, message, message_for
from bot.net.oauth_pages import PAGE_LIFE_NS, OAuthPages
from bot.sim.entities import AccountSettings
from bot.sim.market import open_market
from bot.sim.venue import Venue

START_NS = 1_700_000_000_000_000_000
ACCOUNT = 1_000_001

HOME = "http://localhost:8765/"
ASKED = {"client_id": "app", "redirect_uri": HOME, "scope": "trading", "state": "s t/1"}
CLIENT = {"client_id": "app", "client_secret": "secret"}


class Transport(StringTransport):
    def abortConnection(self) -> None:
        self.disconnecting = True


class Answer:
    def __init__(self, raw: bytes) -> None:
        head, _, self.body = raw.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        self.status = int(lines[0].split()[1])
        self.headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in lines[1:])}
        self.text = self.body.decode()

    @property
    def json(self) -> dict[str, Any]:
        return dict(json.loads(self.body))

    @property
    def query(self) -> dict[str, list[str]]:
        """What the browser is sent on with."""
        assert self.status == 302, self.text
        return parse_qs(urlsplit(self.headers["location"]).query)


class Pages:
    def __init__(self) -> None:
        market = open_market("synthetic", seed=1, start_ns=START_NS, speed=1.0)
        keys = {"access_token": "trade", "refresh_token": "refresh"}
        accounts = [AccountSettings(ACCOUNT), AccountSettings(ACCOUNT + 1)]
        self.venue = Venue(market, accounts=accounts, start_ns=START_NS, **CLIENT, **keys)
        self.now_ns = START_NS
        self.reactor: Any = MemoryReactorClock()
        self.flushed = 0
        self.pages = OAuthPages(self.reactor, 8080, self.venue, lambda: self.now_ns, self._after)
        self._factory = self.reactor.tcpServers[0][1]

    def _after(self) -> None:
        self.flushed += 1

    def ask(self, path: str, query: dict[str, Any] | None = None, *, form: dict[str, Any] | None = None,
            accept: str = "*/*", host: str = "localhost:8080") -> Answer:  # fmt: skip
        protocol, transport = self._factory.buildProtocol(IPv4Address("TCP", "127.0.0.1", 9)), Transport()
        protocol.makeConnection(transport)
        body = urlencode(form or {}, doseq=True)
        kind = "application/x-www-form-urlencoded"
        head = f"{'GET' if form is None else 'POST'} {path}?{urlencode(query or {})} HTTP/1.1\r\nHost: {host}\r\n"
        head += f"Accept: {accept}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        protocol.dataReceived(head.encode())
        return Answer(transport.value())

    def consent(self, **changes: Any) -> Answer:
        return self.ask("/apps/auth", ASKED | changes, accept="text/html,application/xhtml+xml")

    def post(self, page: Answer, **form: Any) -> Answer:
        match = re.search(r'name="page" value="([^"]+)"', page.text)
        assert match is not None
        return self.ask("/apps/auth", form={"page": match[1], **form})

    def token(self, **query: str) -> dict[str, Any]:
        return self.ask("/apps/token", {**CLIENT, **query}).json


def said(link: Any, name: str, **fields: Any) -> list[Any]:
    """Send a request on a link; return all that the venue has said since the last one."""
    link.receive(frame(envelope(message(name)(**fields), "1")), START_NS)
    wrappers = [message("ProtoMessage").FromString(body) for body in FrameReader().receive(link.data_to_send())]
    return [message_for(wrapper.payloadType).FromString(wrapper.payload) for wrapper in wrappers]


@pytest.fixture
def pages() -> Pages:
    return Pages()


def test_it_listens_on_loopback_alone(pages: Pages) -> None:
    assert {interface for _, _, _, interface in pages.reactor.tcpServers} == {"127.0.0.1", "::1"}
    assert pages.pages.url == "http://localhost:8080"


def test_a_script_is_sent_on_at_once_with_a_code_for_every_account(pages: Pages) -> None:
    query = pages.ask("/apps/auth", ASKED).query
    assert (query["state"], len(query["code"])) == (["s t/1"], 1)
    issued = pages.token(grant_type="authorization_code", code=query["code"][0], redirect_uri=HOME)
    grant = pages.venue.credentials.grant(issued["accessToken"])
    assert grant is not None
    assert grant.account_ids == tuple(pages.venue.desks)
    assert "state" not in pages.ask("/apps/auth", {k: v for k, v in ASKED.items() if k != "state"}).query


def test_a_browser_sees_who_asks_for_what_and_each_account(pages: Pages) -> None:
    page = pages.consent()
    assert page.status == 200
    assert "The application app asks to: see the accounts, and trade on them." in page.text
    assert f'value="{ACCOUNT}" checked' in page.text
    assert str(ACCOUNT + 8_000_000) in page.text
    assert "<script" not in page.text
    assert "it cannot trade" in pages.consent(scope="accounts").text
    for name, text in (("cache-control", "no-store"), ("referrer-policy", "no-referrer")):
        assert page.headers[name] == text


def test_allow_gives_a_code_and_serves_once(pages: Pages) -> None:
    page = pages.consent()
    answer = pages.post(page, answer="allow", account=[ACCOUNT])
    assert answer.query["state"] == ["s t/1"]
    again = pages.post(page, answer="allow", account=[ACCOUNT])
    assert (again.status, "location" in again.headers) == (400, False)


def test_deny_says_so_to_the_application(pages: Pages) -> None:
    page = pages.consent()
    assert pages.post(page, answer="deny").query["error"] == ["access_denied"]
    assert pages.post(page, answer="allow", account=[ACCOUNT]).status == 400


def test_no_account_ticked_asks_again_on_the_same_page(pages: Pages) -> None:
    page = pages.consent()
    again = pages.post(page, answer="allow")
    assert (again.status, "at least one account" in again.text) == (400, True)
    assert pages.post(again, answer="allow", account=[ACCOUNT]).query["code"]


def test_an_account_of_somebody_else_is_not_granted(pages: Pages) -> None:
    answer = pages.post(pages.consent(), answer="allow", account=[ACCOUNT, 42])
    assert (answer.status, "location" in answer.headers) == (400, False)


def test_a_page_that_lay_too_long_or_was_never_shown_counts_for_nothing(pages: Pages) -> None:
    page = pages.consent()
    pages.now_ns += PAGE_LIFE_NS + 1
    assert pages.post(page, answer="allow", account=[ACCOUNT]).status == 400
    assert pages.ask("/apps/auth", form={"page": "guessed", "answer": "allow", "account": [ACCOUNT]}).status == 400


@pytest.mark.parametrize("accept", ["*/*", "text/html"])
@pytest.mark.parametrize(
    "changes", [{"client_id": "other"}, {"redirect_uri": "https://evil.example/"}, {"redirect_uri": ""}]
)
def test_a_wrong_application_or_address_gets_a_page_and_no_redirect(
    changes: dict[str, str], accept: str, pages: Pages
) -> None:
    answer = pages.ask("/apps/auth", ASKED | changes, accept=accept)
    assert (answer.status, "location" in answer.headers) == (400, False)
    assert "evil" not in answer.text


def test_a_wrong_scope_is_told_to_the_application(pages: Pages) -> None:
    assert pages.consent(scope="everything").query["error"] == ["invalid_scope"]


def test_what_a_client_calls_itself_is_escaped(pages: Pages) -> None:
    pages.venue.credentials.client_id = "<b>app</b>"
    page = pages.consent(client_id="<b>app</b>")
    assert "&lt;b&gt;app" in page.text
    assert "<b>" not in page.text


def test_another_host_name_that_leads_here_gets_nothing(pages: Pages) -> None:
    assert pages.ask("/apps/auth", ASKED, host="rebound.example").status == 400
    token = pages.ask("/apps/token", {**CLIENT, "grant_type": "refresh_token", "refresh_token": "refresh"}, host="x.y")
    assert token.json["errorCode"] == "ACCESS_DENIED"


def test_a_refresh_over_http_gives_both_spellings_and_ends_the_old_sessions(pages: Pages) -> None:
    link = pages.venue.connect(START_NS)
    log_in = {"ctidTraderAccountId": ACCOUNT, "accessToken": "trade"}
    said(link, "ProtoOAApplicationAuthReq", clientId="app", clientSecret="secret")
    said(link, "ProtoOAAccountAuthReq", **log_in)
    issued = pages.token(grant_type="refresh_token", refresh_token="refresh")
    for camel, snake in (("accessToken", "access_token"), ("refreshToken", "refresh_token"),
                         ("tokenType", "token_type"), ("expiresIn", "expires_in")):  # fmt: skip
        assert issued[camel] == issued[snake]
    assert (issued["tokenType"], issued["expiresIn"], issued["errorCode"]) == ("bearer", 2_628_000, None)
    event, refused = said(link, "ProtoOAAccountAuthReq", **log_in)
    assert event.DESCRIPTOR.name == "ProtoOAAccountsTokenInvalidatedEvent"
    assert (list(event.ctidTraderAccountIds), refused.errorCode) == ([ACCOUNT], "CH_ACCESS_TOKEN_INVALID")
    assert pages.flushed == 1
    (reply,) = said(link, "ProtoOAAccountAuthReq", **log_in | {"accessToken": issued["access_token"]})
    assert reply.DESCRIPTOR.name == "ProtoOAAccountAuthRes"
    assert pages.token(grant_type="refresh_token", refresh_token="refresh")["errorCode"] == "ACCESS_DENIED"


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({}, "INVALID_REQUEST"),
        ({"grant_type": "password"}, "INVALID_REQUEST"),
        ({"grant_type": "authorization_code", "code": "x", "redirect_uri": HOME}, "ACCESS_DENIED"),
        ({"grant_type": "refresh_token", "refresh_token": "refresh", "client_secret": "wrong"}, "ACCESS_DENIED"),
    ],
)
def test_a_token_that_cannot_be_given_is_an_error_in_the_body(query: dict[str, str], code: str, pages: Pages) -> None:
    answer = pages.ask("/apps/token", {**CLIENT, **query})
    assert (answer.status, answer.json["errorCode"], set(answer.json)) == (200, code, {"errorCode", "description"})
    assert answer.headers["content-type"].startswith("application/json")


def test_a_post_is_answered_like_a_get(pages: Pages) -> None:
    form = {**CLIENT, "grant_type": "refresh_token", "refresh_token": "refresh"}
    assert pages.ask("/apps/token", form=form).json["accessToken"]
