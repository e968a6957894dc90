"""`microlev auth` against the embedded venue's own pages: whole logins, refusals, refreshes, and no secret shown."""

import json
import os
import re
import signal
import socket
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import Browser, Seen, hidden_number, query_of, visit, with_query
from private_reactor import ACCOUNT, SECRETS, VIEW_TOKEN, Bench, bench
from twisted.logger import formatEvent, globalLogPublisher

import bot.cli.browser
from bot.config.token_file import Token, TokenLock, read_token_file, write_token_file
from bot.net.tls import make_local_authority
from bot.sim.credentials import CODE_LIFE_NS, Credentials

__all__ = ["bench"]  # a fixture

pytestmark = pytest.mark.filterwarnings("ignore:Passing pyOpenSSL:DeprecationWarning")


class Desk:
    """A bench with a token file, a browser, and a standard input that a test writes to."""

    def __init__(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bench = bench
        self.token_file = bench.folder / "deep" / "token.json"
        self.venue = bench.serve().venue
        self._patch = monkeypatch
        self.typed: Any = None
        self.logged: list[str] = []  # on every level, also what no log would show
        self.url = str(bench.server.ready_line()["oauth_url"])  # type: ignore[union-attr]

    def config(self, **changes: Any) -> Path:
        credentials = {"access_token": None, "token_file": str(self.token_file)}
        changes["credentials"] = credentials | changes.get("credentials", {})
        changes["venue"] = {"oauth_url": self.url} | changes.get("venue", {})
        return self.bench.config(**changes)

    def browser(self, act: Any) -> Browser:
        browser = Browser(act)
        self._patch.setattr(bot.cli.browser, "open_browser", browser)
        return browser

    def standard_input(self) -> Any:
        """Give the command a pipe to read; return what writes into it."""
        reading, writing = os.pipe()
        self._patch.setattr(sys, "stdin", os.fdopen(reading))
        self.typed = os.fdopen(writing, "w", buffering=1)
        return self.typed

    def login(self, *flags: object, **changes: Any) -> int:
        return self.bench.microlev("auth", "login", self.config(**changes), "--port", 0, *flags)

    @property
    def token(self) -> Token:
        return read_token_file(self.token_file)

    @property
    def secrets(self) -> list[str]:
        """Everything that must not be shown, codes and issued tokens included."""
        keys = self.venue.credentials
        issued = [token for kind in ("access", "refresh", "code") for token in _derived(keys, kind)]
        return [SECRETS["client_secret"], SECRETS["access_token"], SECRETS["refresh_token"], VIEW_TOKEN, *issued]

    def shows_no_secret(self, *texts: str) -> None:
        shown = "".join([self.bench.out, self.bench.err, *texts, *self.logged])
        assert [secret for secret in self.secrets if secret in shown] == []
        assert "Traceback" not in shown


def _derived(keys: Credentials, kind: str) -> list[str]:
    made, found = keys._made, []
    for keys._made in range(made + 1):
        found.append(keys._derived(kind))
    keys._made = made
    return found


@pytest.fixture
def desk(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    made = Desk(bench, monkeypatch)
    stdin = sys.stdin

    def observe(event: Any) -> None:
        made.logged.append(f"{formatEvent(event)} {event!r}")

    globalLogPublisher.addObserver(observe)
    yield made
    globalLogPublisher.removeObserver(observe)
    if made.typed is not None:
        made.typed.close()
    if sys.stdin is not stdin:
        sys.stdin.close()


def straight_through(url: str) -> Seen:
    """A script: consent at once, then the redirect."""
    return visit(visit(url).location)


def through_the_form(url: str, answer: str = "allow", accounts: tuple[int, ...] = (ACCOUNT,)) -> Seen:
    page = visit(url, html=True)
    sent = visit(url.partition("?")[0], form={"page": hidden_number(page.text), "answer": answer, "account": accounts})
    assert sent.status == 302, sent
    return visit(sent.location)


# -- logins that succeed ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("act", [straight_through, through_the_form])
def test_a_login_ends_with_a_token_that_the_venue_takes(act: Any, desk: Desk) -> None:
    browser = desk.browser(act)
    assert desk.login() == 0, desk.bench.err
    page = browser.done()
    assert (page.status, "You can close this window" in page.text) == (200, True)
    assert (page.headers["Cache-Control"], page.headers["Referrer-Policy"]) == ("no-store", "no-referrer")
    assert stat.S_IMODE(desk.token_file.stat().st_mode) == 0o600
    grant = desk.venue.credentials.grant(desk.token.access_token)
    assert grant is not None
    assert (grant.can_trade, grant.account_ids) == (True, (ACCOUNT,))
    assert f"the token is in {desk.token_file}, valid until " in desk.bench.out
    assert re.search(rf"{ACCOUNT} +9000001 +demo +\S+ +<- account.id of the config", desk.bench.out)
    desk.shows_no_secret(page.text, str(page.headers))


def test_a_login_as_json_says_the_address_first_then_the_token_then_the_accounts(desk: Desk) -> None:
    desk.browser(straight_through)
    assert desk.login("--json", "--scope", "accounts") == 0, desk.bench.err
    address, token, account = desk.bench.lines
    assert (address["type"], list(address)) == ("auth_url", ["type", "time", "url"])
    assert address["url"].startswith(
        f"{desk.url}/apps/auth?client_id={SECRETS['client_id']}&redirect_uri=http%3A%2F%2F"
    )
    expires_at = desk.token.expires_at
    assert expires_at is not None
    assert {**token, "time": ""} == {
        "type": "token", "time": "", "token_file": str(desk.token_file), "expires_at": round(expires_at),
        "scope": "accounts",
    }  # fmt: skip
    assert account == {
        "type": "account", "id": ACCOUNT, "login": ACCOUNT + 8_000_000, "kind": "demo", "broker": account["broker"],
        "scope": "view", "configured": True,
    }  # fmt: skip
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"]) for line in (address, token))
    desk.shows_no_secret()


def test_a_login_needs_no_account_id_and_no_variable_for_it(desk: Desk) -> None:
    desk.browser(straight_through)
    assert desk.login(venue={"environment": "demo"}, account={"id": "${NOT_SET_YET}"}) == 0, desk.bench.err
    assert "<- account.id" not in desk.bench.out
    assert str(ACCOUNT) in desk.bench.out


@pytest.mark.slow
def test_a_login_without_the_venue_still_ends_with_a_token(desk: Desk) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        desk.browser(straight_through)
        assert desk.login(venue={"port": unused.getsockname()[1], "connect_timeout_s": 1}) == 0
    assert "the accounts could not be listed (" in desk.bench.err
    assert "microlev auth accounts" in desk.bench.err
    assert desk.token.refresh_token


def test_a_redirect_by_the_address_127_0_0_1_is_heard_too(desk: Desk) -> None:
    browser = desk.browser(lambda url: visit(visit(url).location.replace("localhost", "127.0.0.1")))
    assert desk.login() == 0
    assert browser.done().status == 200


def test_a_redirect_uri_of_ones_own_is_served_at_its_path(desk: Desk) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    uri = f"http://localhost:{port}/back/here"
    browser = desk.browser(straight_through)
    assert desk.bench.microlev("auth", "login", desk.config(), "--redirect-uri", uri) == 0, desk.bench.err
    assert browser.done().url.startswith(uri + "?")


# -- answers that are not taken --------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["somebody-elses", None, ""])
def test_an_answer_with_another_state_is_shown_the_door_and_the_right_one_still_counts(
    state: str | None, desk: Desk
) -> None:
    def act(url: str) -> list[Seen]:
        location = visit(url).location
        return [visit(with_query(location, state=state)), visit(location)]

    browser = desk.browser(act)
    assert desk.login() == 0, desk.bench.err
    wrong, right = browser.done()
    assert (wrong.status, right.status) == (400, 200)
    assert "still waiting" in wrong.text
    assert "ignored an answer from the browser: the answer " in desk.bench.err
    desk.shows_no_secret(wrong.text)


def test_an_answer_without_state_is_taken_when_the_person_says_so_but_never_one_with_a_wrong_state(desk: Desk) -> None:
    def act(url: str) -> list[Seen]:
        location = visit(url).location
        return [visit(with_query(location, state="other")), visit(with_query(location, state=None))]

    browser = desk.browser(act)
    assert desk.login("--allow-missing-state") == 0, desk.bench.err
    assert [seen.status for seen in browser.done()] == [400, 200]


def test_a_browser_that_asks_for_an_icon_or_comes_by_another_name_learns_nothing(desk: Desk) -> None:
    def act(url: str) -> list[Seen]:
        location = visit(url).location
        base = location.partition("?")[0]
        return [visit(base + "favicon.ico"), visit(base), _by_name(location, "rebound.example"), visit(location)]

    browser = desk.browser(act)
    assert desk.login() == 0
    assert [seen.status for seen in browser.done()] == [404, 400, 404, 200]


def _by_name(url: str, host: str) -> Seen:
    import urllib.error
    import urllib.request

    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers={"Host": host}), timeout=10) as answer:
            return Seen(url, answer.status, "", answer.headers)
    except urllib.error.HTTPError as error:
        with error:
            return Seen(url, error.code, "", error.headers)


def test_consent_denied_is_exit_3_in_words_and_no_token(desk: Desk) -> None:
    browser = desk.browser(lambda url: through_the_form(url, "deny"))
    assert desk.login() == 3
    assert browser.done().status == 400
    assert "not authorised: access was not granted: access_denied: the person did not allow it" in desk.bench.err
    assert not desk.token_file.exists()
    desk.shows_no_secret(browser.done().text)


def test_a_code_that_was_used_already_is_exit_3(desk: Desk) -> None:
    def act(url: str) -> Seen:
        location = visit(url).location
        query = query_of(location) | {"redirect_uri": query_of(url)["redirect_uri"]}
        keys = {"client_id": SECRETS["client_id"], "client_secret": SECRETS["client_secret"]}
        visit(with_query(f"{desk.url}/apps/token?", grant_type="authorization_code", **query, **keys))
        return visit(location)

    browser = desk.browser(act)
    assert desk.login() == 3
    assert "the server refused the code: ACCESS_DENIED" in desk.bench.err
    assert "refused" in browser.done().text
    assert not desk.token_file.exists()
    desk.shows_no_secret(browser.done().text)


def test_a_code_older_than_a_minute_is_exit_3(desk: Desk) -> None:
    server: Any = desk.bench.server
    real = server.now_ns

    def act(url: str) -> Seen:
        location = visit(url).location
        server.now_ns = lambda: real() + CODE_LIFE_NS
        return visit(location)

    desk.browser(act)
    assert desk.login() == 3
    assert "older than a minute" in desk.bench.err


@pytest.mark.slow
def test_no_answer_in_time_is_exit_3_in_one_line(desk: Desk) -> None:
    desk.browser(lambda url: None)
    assert desk.login("--timeout", 1) == 3
    assert "no answer of the consent page came within 1 s" in desk.bench.err.splitlines()[-1]


def test_an_interrupt_is_130(desk: Desk) -> None:
    desk.browser(lambda url: os.kill(os.getpid(), signal.SIGINT))
    assert desk.login() == 130
    assert desk.bench.err.splitlines()[-1] == "interrupted; nothing was changed"
    assert not desk.token_file.exists()


def test_an_oauth_server_that_is_not_there_is_exit_4(desk: Desk) -> None:
    def act(url: str) -> Seen:
        location = visit(url).location
        desk.bench.reactor.callFromThread(desk.bench.server._pages.stop)  # type: ignore[union-attr]
        return visit(location)

    browser = desk.browser(act)
    assert desk.login() == 4
    assert "connection refused" in desk.bench.err
    assert browser.done().status == 400
    desk.shows_no_secret()


# -- pasting ---------------------------------------------------------------------------------------------------------


def test_without_a_browser_the_pasted_address_counts(desk: Desk) -> None:
    typed = desk.standard_input()

    def act(url: str) -> None:
        location = visit(url).location
        print("", file=typed)
        print(query_of(location)["code"], file=typed)
        print(with_query(location, state="another"), file=typed)
        print(f'  "{location}"', file=typed)
        typed.close()

    browser = desk.browser(act)
    assert desk.login() == 0, desk.bench.err
    browser.done()
    assert "a code alone is not enough" in desk.bench.err
    assert "its state is not ours" in desk.bench.err
    assert desk.token.refresh_token
    desk.shows_no_secret()


def test_the_end_of_input_is_no_error(desk: Desk) -> None:
    desk.standard_input().close()
    browser = desk.browser(straight_through)
    assert desk.login() == 0
    assert browser.done().status == 200


def test_a_taken_port_is_said_and_pasting_still_works(desk: Desk) -> None:
    typed = desk.standard_input()
    desk.browser(lambda url: print(visit(url).location, file=typed))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert desk.bench.microlev("auth", "login", desk.config(), "--port", port) == 0, desk.bench.err
    assert f"port {port} of this machine is taken" in desk.bench.err
    assert desk.token.refresh_token


def test_a_taken_port_and_no_input_is_exit_3_at_once(desk: Desk) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert desk.bench.microlev("auth", "login", desk.config(), "--port", port) == 3
    assert "no answer could arrive" in desk.bench.err


def test_a_redirect_elsewhere_is_paste_only(desk: Desk) -> None:
    typed = desk.standard_input()
    uri = "https://example.org/back"
    desk.venue.credentials.redirect_uris = frozenset({uri})
    desk.browser(lambda url: print(visit(url).location, file=typed))
    assert desk.bench.microlev("auth", "login", desk.config(), "--redirect-uri", uri) == 0, desk.bench.err
    assert "waiting for the browser" not in desk.bench.err
    assert desk.token.refresh_token


# -- bad config ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "flags", "said"),
    [
        ({"credentials": {"client_secret": None}}, [], "CTRADER_CLIENT_SECRET"),
        ({"venue": {"oauth_url": None}}, [], "venue.oauth_url: is missing"),
        ({"venue": {"oauth_url": "http://example.org"}}, [], "plain http to example.org"),
        ({"venue": {"oauth_url": "ftp://localhost"}}, [], "is not an address"),
        ({"venue": {"oauth_url": "https://localhost:1", "ca_file": __file__}}, [], "no certificate"),
        ({}, ["--scope", "everything"], "must be trading or accounts"),
        ({}, ["--redirect-uri", "localhost"], "must be an address like"),
        ({}, ["--timeout", "inf"], "must be a number of seconds"),
    ],
)
def test_a_bad_config_or_flag_is_exit_2_and_one_line(
    changes: dict[str, Any], flags: list[str], said: str, desk: Desk
) -> None:
    desk.browser(lambda url: None)
    assert desk.login(*flags, **changes) == 2
    assert said in desk.bench.err
    assert (desk.bench.out, len(desk.bench.err.splitlines())) == ("", 1)


def test_a_file_that_is_no_token_file_is_not_overwritten(desk: Desk) -> None:
    desk.token_file.parent.mkdir()
    desk.token_file.write_text("my diary\n")
    assert desk.login() == 2
    assert "is no token file" in desk.bench.err
    assert desk.token_file.read_text() == "my diary\n"


def test_a_certificate_of_another_authority_is_refused_before_anything_secret_is_sent(
    desk: Desk, tmp_path: Path
) -> None:
    import datetime

    from twisted.web.resource import Resource
    from twisted.web.server import Site

    asked: list[bytes] = []

    class Listening(Resource):
        isLeaf = True  # noqa: N815

        def render_GET(self, request: Any) -> bytes:
            asked.append(request.uri)
            return b"{}"

    now = datetime.datetime.now(datetime.UTC)
    mine, other = make_local_authority(now), make_local_authority(now)
    ca_file = tmp_path / "other.pem"
    ca_file.write_bytes(other.ca_pem)
    port = desk.bench.reactor.listenSSL(
        0, Site(Listening(), reactor=desk.bench.reactor), mine.server_options, interface="127.0.0.1"
    )
    write_token_file(desk.token_file, Token("a", "the-refresh-token", 1.0))
    venue = {"oauth_url": f"https://localhost:{port.getHost().port}", "ca_file": str(ca_file)}
    assert desk.bench.microlev("auth", "refresh", desk.config(venue=venue)) == 4
    assert "does not verify" in desk.bench.err
    assert asked == []
    assert desk.token.refresh_token == "the-refresh-token"


# -- refresh ---------------------------------------------------------------------------------------------------------


def granted(desk: Desk) -> Token:
    """Put the venue's first pair into the token file."""
    token = Token(SECRETS["access_token"], SECRETS["refresh_token"], 1.0)
    write_token_file(desk.token_file, token)
    return token


def test_a_refresh_replaces_the_pair_and_kills_the_old_one(desk: Desk) -> None:
    old = granted(desk)
    assert desk.bench.microlev("auth", "refresh", desk.config(), "--json") == 0, desk.bench.err
    (line,) = desk.bench.lines
    new = desk.token
    assert new.expires_at is not None
    assert {**line, "time": ""} == {
        "type": "token", "time": "", "token_file": str(desk.token_file), "expires_at": round(new.expires_at),
        "scope": None,
    }  # fmt: skip
    assert desk.venue.credentials.grant(old.access_token) is None
    assert desk.venue.credentials.grant(new.access_token) is not None
    desk.shows_no_secret()


def test_a_used_refresh_token_is_exit_3_and_the_file_stays(desk: Desk) -> None:
    old = granted(desk)
    assert desk.venue.credentials.refresh(SECRETS["refresh_token"], 0) is not None
    assert desk.bench.microlev("auth", "refresh", desk.config()) == 3
    assert "log in again" in desk.bench.err
    assert desk.token == old
    desk.shows_no_secret()


def test_a_refresh_without_a_server_is_exit_4_and_the_file_stays(desk: Desk) -> None:
    old = granted(desk)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        assert desk.bench.microlev("auth", "refresh", desk.config(venue={"oauth_url": url})) == 4
    assert "connection refused" in desk.bench.err
    assert desk.token == old
    desk.shows_no_secret()


def test_what_cannot_be_refreshed_is_said(desk: Desk) -> None:
    assert desk.bench.microlev("auth", "refresh", desk.config()) == 2
    assert "microlev auth login" in desk.bench.err
    write_token_file(desk.token_file, Token("only-access"))
    assert desk.bench.microlev("auth", "refresh", desk.config()) == 3
    assert "holds no refresh_token" in desk.bench.err
    given = {"access_token": SECRETS["access_token"]}
    assert desk.bench.microlev("auth", "refresh", desk.config(credentials=given)) == 2
    assert "never refreshed" in desk.bench.err
    desk.token_file.chmod(0o644)
    assert desk.bench.microlev("auth", "refresh", desk.config()) == 2
    assert "chmod 600" in desk.bench.err
    desk.shows_no_secret()


def test_a_refresh_that_finds_another_pair_under_the_lock_uses_nothing_up(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    granted(desk)
    other = Token("access-of-another-process", "refresh-of-another-process", 2_000_000_000.0)
    real = TokenLock.__enter__

    def late(lock: TokenLock) -> TokenLock:
        write_token_file(desk.token_file, other)  # while we waited for the lock
        return real(lock)

    monkeypatch.setattr(TokenLock, "__enter__", late)
    assert desk.bench.microlev("auth", "refresh", desk.config()) == 0
    assert "another process has just refreshed" in desk.bench.err
    assert desk.token == other
    assert desk.venue.credentials.refresh(SECRETS["refresh_token"], 0) is not None


def test_an_interrupt_during_a_refresh_loses_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    granted(desk)
    real = Credentials.refresh_over_http

    def interrupting(*arguments: Any) -> Any:
        os.kill(os.getpid(), signal.SIGINT)
        return real(*arguments)

    monkeypatch.setattr(Credentials, "refresh_over_http", interrupting)
    assert desk.bench.microlev("auth", "refresh", desk.config()) == 130
    assert desk.venue.credentials.grant(desk.token.access_token) is not None


# -- accounts --------------------------------------------------------------------------------------------------------


def test_the_accounts_of_a_token_are_listed(desk: Desk) -> None:
    given = {"access_token": VIEW_TOKEN}
    assert desk.bench.microlev("auth", "accounts", desk.config(credentials=given, account={"id": 42}), "--json") == 0
    (line,) = desk.bench.lines
    assert (line["id"], line["scope"], line["configured"]) == (ACCOUNT, "view", False)
    assert "account.id 42 of the config is not among them" in desk.bench.err
    desk.shows_no_secret()


def test_a_token_the_venue_does_not_know_is_exit_3(desk: Desk) -> None:
    given = {"access_token": "wrong-but-secret"}
    assert desk.bench.microlev("auth", "accounts", desk.config(credentials=given)) == 3
    assert "CH_ACCESS_TOKEN_INVALID" in desk.bench.err
    assert "wrong-but-secret" not in desk.bench.err


@pytest.mark.slow
def test_no_venue_is_exit_4(desk: Desk) -> None:
    granted(desk)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        venue = {"port": unused.getsockname()[1], "connect_timeout_s": 1}
        assert desk.bench.microlev("auth", "accounts", desk.config(venue=venue)) == 4
    assert json.dumps(SECRETS["access_token"]) not in desk.bench.err
