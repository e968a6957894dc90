"""The venue's tokens: codes, grants, refreshes and their ends, seen from outside and over the socket."""

from typing import Any

import pytest
from venue_client import ACCOUNT, SECOND, START_NS, Desk

from bot.sim.credentials import CODE_LIFE_NS, TOKEN_LIFE_S, Credentials
from bot.sim.entities import Refused

CLIENT = ("app", "secret")
HOME = "http://localhost:8765/"


def keys(**settings: Any) -> Credentials:
    return Credentials("app", "secret", "access", "refresh", "access-view", (1, 2), start_ns=START_NS, **settings)


def code_for(credentials: Credentials, scope: str = "trading", accounts: tuple[int, ...] = (1,)) -> str:
    return credentials.authorise("app", HOME, scope, accounts, START_NS)


def test_a_code_becomes_a_token_of_the_accounts_and_the_scope_that_were_granted() -> None:
    credentials = keys()
    for scope, can_trade in (("trading", True), ("accounts", False)):
        issued = credentials.exchange(*CLIENT, code_for(credentials, scope, (2,)), HOME, START_NS)
        grant = credentials.grant(issued.access_token)
        assert grant is not None
        assert (grant.can_trade, grant.account_ids) == (can_trade, (2,))
        assert issued.expires_in_s == TOKEN_LIFE_S
        assert not grant.is_expired(START_NS + TOKEN_LIFE_S * SECOND - 1)
        assert grant.is_expired(START_NS + TOKEN_LIFE_S * SECOND)


def test_a_code_serves_once_within_a_minute_with_its_own_address_and_client() -> None:
    credentials = keys()
    code = code_for(credentials)
    with pytest.raises(Refused, match="client_secret is wrong"):
        credentials.exchange("app", "wrong", code, HOME, START_NS)
    assert credentials.exchange(*CLIENT, code, HOME, START_NS + CODE_LIFE_NS - 1)
    with pytest.raises(Refused, match="used already"):
        credentials.exchange(*CLIENT, code, HOME, START_NS)
    with pytest.raises(Refused, match="older than a minute"):
        credentials.exchange(*CLIENT, code_for(credentials), HOME, START_NS + CODE_LIFE_NS)
    with pytest.raises(Refused, match="redirect_uri"):
        credentials.exchange(*CLIENT, code_for(credentials), HOME + "x", START_NS)


@pytest.mark.parametrize(
    ("client", "uri", "scope", "accounts"),
    [
        ("other", HOME, "trading", (1,)),
        ("app", "https://localhost/", "trading", (1,)),
        ("app", "http://localhost.example.org/", "trading", (1,)),
        ("app", "http://localhost@example.org/", "trading", (1,)),
        ("app", "http://127.0.0.1:80/a b", "trading", (1,)),
        ("app", HOME, "everything", (1,)),
        ("app", HOME, "trading", ()),
        ("app", HOME, "trading", (1, 3)),
    ],
)
def test_consent_is_for_known_clients_addresses_scopes_and_accounts(
    client: str, uri: str, scope: str, accounts: tuple[int, ...]
) -> None:
    with pytest.raises(Refused):
        keys().authorise(client, uri, scope, accounts, START_NS)


@pytest.mark.parametrize("uri", ["http://localhost", "http://127.8.7.6:1/x?y=1", "http://[::1]:99/", HOME])
def test_every_loopback_address_is_registered_unless_a_list_is_given(uri: str) -> None:
    assert keys().authorise("app", uri, "trading", (1,), START_NS)
    listed = keys(redirect_uris=["https://example.org/back"])
    assert listed.authorise("app", "https://example.org/back", "trading", (1,), START_NS)
    with pytest.raises(Refused, match="not registered"):
        listed.authorise("app", uri, "trading", (1,), START_NS)


def test_a_refresh_serves_once_kills_the_old_access_token_and_keeps_the_grant_and_the_view_token() -> None:
    credentials = keys()
    issued = credentials.refresh_over_http(*CLIENT, "refresh", START_NS)
    assert (issued.replaced, credentials.grant("access")) == ("access", None)
    grant = credentials.grant(issued.access_token)
    assert grant is not None
    assert grant.account_ids == (1, 2)
    assert credentials.refresh("refresh", START_NS) is None
    with pytest.raises(Refused, match="used already"):
        credentials.refresh_over_http(*CLIENT, "refresh", START_NS)
    again = credentials.refresh(issued.refresh_token, START_NS)
    assert again is not None
    assert again.replaced == issued.access_token
    view = credentials.grant("access-view")
    assert view is not None
    assert not view.is_expired(START_NS * 2)


def test_a_refresh_token_that_comes_with_a_wrong_secret_is_not_used_up() -> None:
    credentials = keys()
    with pytest.raises(Refused):
        credentials.refresh_over_http("app", "wrong", "refresh", START_NS)
    assert credentials.refresh("refresh", START_NS) is not None


def test_a_new_consent_kills_the_refresh_tokens_of_earlier_ones_and_no_access_token() -> None:
    credentials = keys()
    credentials.exchange(*CLIENT, code_for(credentials), HOME, START_NS)
    assert credentials.refresh("refresh", START_NS) is None
    assert credentials.grant("access") is not None


@pytest.mark.parametrize("settings", [{"token_life_s": 0}, {"token_life_s": float("nan")}, {"expired_code": "NO"}])
def test_a_setting_without_sense_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"life of a token|expired_code"):
        keys(**settings)


def test_secrets_are_not_in_the_repr_of_what_is_issued() -> None:
    credentials = keys()
    issued = credentials.refresh("refresh", START_NS)
    assert issued is not None
    assert [text for text in (issued.access_token, issued.refresh_token, "access'") if text in repr(issued)] == []


# -- over the socket -------------------------------------------------------------------------------------------------


def log_in(client: Any, token: str = "trade") -> Any:
    return client.ask("ProtoOAAccountAuthReq", ctidTraderAccountId=ACCOUNT, accessToken=token)


@pytest.mark.parametrize("code", ["OA_AUTH_TOKEN_EXPIRED", "CH_ACCESS_TOKEN_INVALID"])
def test_an_expired_token_is_refused_with_the_chosen_code_and_its_sessions_end(code: str) -> None:
    desk = Desk()
    client = desk.client()
    desk.venue.credentials.expired_code = code
    end_ns = START_NS + TOKEN_LIFE_S * SECOND
    assert desk.venue.next_event_ns() is not None
    client.received()
    desk.now_ns = end_ns - 1
    desk.venue.advance(desk.now_ns)
    assert client.messages("ProtoOAAccountsTokenInvalidatedEvent") == []
    assert log_in(client).errorCode == "ALREADY_LOGGED_IN"
    desk.now_ns = end_ns
    desk.venue.advance(desk.now_ns)
    (event,) = client.messages("ProtoOAAccountsTokenInvalidatedEvent")
    assert (list(event.ctidTraderAccountIds), event.reason) == ([ACCOUNT], "the access token has expired")
    assert log_in(client).errorCode == code
    assert client.ask("ProtoOAGetAccountListByAccessTokenReq", accessToken="trade").errorCode == code
    assert log_in(client, "view").DESCRIPTOR.name == "ProtoOAAccountAuthRes"


def test_an_expired_token_can_be_refreshed_over_the_socket() -> None:
    desk = Desk()
    client = desk.client()
    desk.venue.credentials.expire("trade", desk.now_ns)
    desk.venue.advance(desk.now_ns)
    (event,) = client.messages("ProtoOAAccountsTokenInvalidatedEvent")
    assert event.reason == "the access token has expired"
    reply = client.ask("ProtoOARefreshTokenReq", refreshToken="refresh")
    assert reply.expiresIn == TOKEN_LIFE_S
    assert log_in(client, reply.accessToken).DESCRIPTOR.name == "ProtoOAAccountAuthRes"
    assert client.ask("ProtoOARefreshTokenReq", refreshToken="refresh").errorCode == "CH_ACCESS_TOKEN_INVALID"


def test_the_venue_wakes_up_when_a_token_expires_and_announces_it_once() -> None:
    desk = Desk()
    desk.venue.credentials.expire("trade", desk.now_ns + 5)
    assert desk.venue.credentials.expired_by(desk.now_ns) == []
    assert desk.venue.next_event_ns() == desk.now_ns + 5
    assert desk.venue.credentials.expired_by(desk.now_ns + 5) == ["trade"]
    assert desk.venue.credentials.expired_by(desk.now_ns + 6) == []
    assert desk.venue.credentials.next_expiry_ns is None
    desk.venue.credentials.expire("trade", desk.now_ns + 9)  # expired once is expired
