"""The access token over a session's life: taken, refused, renewed ahead of its end, lost, and found elsewhere."""

from typing import Any

import pytest
from scripted_venue import ACCOUNT, SECOND, START, ScriptedVenue, account_list, build, error, plan, ready_venue
from test_handshake import HANDSHAKE

from bot.ctrader.phases import Phase
from bot.ctrader.session import Session
from bot.ctrader.token import Need, TokenPair, TokenStep
from bot.engine.events import ReadinessChanged

DAY = 86_400 * SECOND
RENEWABLE = {"renewable": True, "refresh_token": "the-refresh-token", "token_expires_ns": START + 30 * DAY}
CODES = ("CH_ACCESS_TOKEN_INVALID", "OA_AUTH_TOKEN_EXPIRED")


def fresh_reply(number: int = 2) -> Any:
    return build(
        "RefreshTokenRes",
        accessToken=f"access-{number}",
        tokenType="bearer",
        expiresIn=2_628_000,
        refreshToken=f"refresh-{number}",
    )


class TokenVenue(ScriptedVenue):
    """A venue that knows which access token is good. `good` None takes any."""

    def __init__(self, session: Session, good: str | None, now_ns: int = START) -> None:
        super().__init__(session, now_ns)
        self.good = good
        self.code = CODES[0]
        self.replies["ProtoOAGetAccountListByAccessTokenReq"] = self._asked(lambda: [account_list()])
        self.replies["ProtoOAAccountAuthReq"] = self._asked(lambda: [build("AccountAuthRes")])
        self.replies["ProtoOARefreshTokenReq"] = self._renew

    def _asked(self, reply: Any) -> Any:
        return lambda r: reply() if self.good in (None, r.accessToken) else [error(self.code)]

    def _renew(self, request: Any) -> list[Any]:
        if request.refreshToken != "the-refresh-token":
            return [error("CH_ACCESS_TOKEN_INVALID", "unknown refresh token")]
        self.good = "access-2"
        return [fresh_reply()]

    def step(self, step: str, **fields: Any) -> "TokenVenue":
        self.session.token_step(TokenStep(self.now_ns, step, **fields))  # type: ignore[arg-type]
        self.talk()
        return self


def venue_with(good: str | None = "the-access-token", **changes: Any) -> TokenVenue:
    return TokenVenue(Session(plan(**(RENEWABLE | changes))), good)


@pytest.mark.parametrize("code", CODES)
def test_a_token_that_is_not_taken_is_renewed_on_the_same_connection_and_used_only_then(code: str) -> None:
    venue = venue_with(good="another")
    venue.code = code
    venue.connect()
    assert venue.session.fatal is None
    assert venue.session.token.need is Need.NOW
    assert venue.told()[-1] == ReadinessChanged(START, ("refreshing_token",))
    assert venue.names == HANDSHAKE[:3]  # and nothing is asked until there is another
    venue.wait(5)
    assert venue.names == HANDSHAKE[:3]
    venue.step("renew")
    assert venue.session.ready
    assert venue.session.token.fresh == TokenPair("access-2", "refresh-2", venue.now_ns + 2_628_000 * SECOND)
    assert venue.names[3:] == ["RefreshToken", *HANDSHAKE[1:]]
    used = [r.accessToken for r in venue.requests if "accessToken" in r.DESCRIPTOR.fields_by_name]
    assert used == ["the-access-token", "access-2", "access-2"]


def test_a_new_token_that_is_not_taken_either_is_fatal() -> None:
    venue = venue_with(good="another")
    venue.connect()
    venue.replies["ProtoOARefreshTokenReq"] = lambda r: [fresh_reply()]
    venue.step("renew")
    assert venue.session.fatal is not None
    assert venue.session.fatal.exit_code == 3
    assert "auth login" in venue.session.fatal.text


def test_a_token_from_the_file_that_is_not_taken_is_renewed_after_all() -> None:
    venue = venue_with(good="another")
    venue.connect()
    venue.step("use", pair=TokenPair("from-the-file", "the-refresh-token", None))
    assert venue.session.fatal is None
    venue.step("renew")
    assert venue.session.ready


def test_without_a_token_file_a_bad_token_is_fatal_at_once() -> None:
    venue = venue_with(good="another", renewable=False)
    venue.connect()
    assert venue.session.fatal is not None
    assert venue.session.fatal.exit_code == 3


def test_the_end_of_the_token_is_seen_a_day_ahead() -> None:
    venue = venue_with().connect()
    assert isinstance(venue, TokenVenue)
    assert venue.session.ready
    due_ns = START + 29 * DAY
    venue.session.handle_timeout(due_ns - 1)
    assert venue.session.token.need is None
    venue.session.handle_timeout(due_ns)
    assert venue.session.token.need is Need.AHEAD


def ready_at_the_end(**changes: Any) -> TokenVenue:
    """A session that is READY while its token has an hour left: a fifth of what was left when it was first seen."""
    venue = venue_with(token_expires_ns=START + 5 * 3600 * SECOND, **changes)
    venue.connect()
    assert venue.session.ready
    venue.told()
    venue.now_ns = START + 4 * 3600 * SECOND
    venue.session._outbox.start(venue.now_ns)  # as if both had talked all the while
    venue.session.handle_timeout(venue.now_ns - 1)
    assert venue.session.token.need is None
    venue.session.handle_timeout(venue.now_ns)
    assert venue.session.token.need is Need.AHEAD
    assert venue.session.ready
    return venue


def test_a_session_that_outlives_its_token_is_left_alone() -> None:
    venue = ready_at_the_end()
    venue.replies["ProtoOAAccountAuthReq"] = lambda r: [error("ALREADY_LOGGED_IN")]
    before = len(venue.asked)
    venue.step("renew")
    assert venue.names[before:] == ["RefreshToken", "AccountAuth"]
    assert venue.session.ready
    assert venue.told() == []


def test_a_session_that_ended_without_a_word_is_noticed_and_walked_again() -> None:
    venue = ready_at_the_end()
    before = len(venue.asked)
    venue.step("renew")
    assert venue.session.ready
    assert venue.names[before:] == ["RefreshToken", "AccountAuth", *HANDSHAKE[4:]]
    reasons = [e.reasons for e in venue.told() if isinstance(e, ReadinessChanged)]
    assert reasons[0] == ("account_disconnected",)
    assert reasons[-1] == ()


@pytest.mark.parametrize("before_the_answer", [True, False])
def test_the_noise_of_our_own_refresh_is_healed(*, before_the_answer: bool) -> None:
    venue = ready_at_the_end()
    gone = build("AccountsTokenInvalidatedEvent", ctidTraderAccountIds=[ACCOUNT], reason="refreshed")

    def renew(request: Any) -> list[Any]:
        venue.good = "access-2"
        return [gone, fresh_reply()] if before_the_answer else [fresh_reply(), gone]

    venue.replies["ProtoOARefreshTokenReq"] = renew
    venue.step("renew").wait(1)
    assert venue.session.ready
    assert venue.session.wants_disconnect is None
    assert venue.session.fatal is None
    assert venue.session.token.pair.access_token == "access-2"


def test_a_loss_during_a_refused_refresh_goes_on_with_the_old_token() -> None:
    venue = ready_at_the_end()
    venue.replies["ProtoOARefreshTokenReq"] = lambda r: [
        build("AccountDisconnectEvent"),
        error("CH_SERVER_NOT_REACHABLE"),
    ]
    venue.step("renew")
    assert venue.session.ready
    assert venue.session.token.pair.access_token == "the-access-token"


def test_a_token_renewed_elsewhere_is_asked_for_again() -> None:
    venue = venue_with()
    venue.connect()
    venue.good = "elsewhere"
    venue.tell(build("AccountsTokenInvalidatedEvent", ctidTraderAccountIds=[ACCOUNT], reason="refreshed"))
    venue.talk()
    assert venue.session.token.need is Need.NOW
    assert not venue.session.ready
    venue.step("use", pair=TokenPair("elsewhere", "refresh-elsewhere", None))
    assert venue.session.ready
    assert venue.session.token.pair.refresh_token == "refresh-elsewhere"


def test_an_expired_token_is_not_even_shown() -> None:
    venue = venue_with(token_expires_ns=START - 1)
    venue.connect()
    assert venue.names == ["ApplicationAuth"]
    assert venue.session.token.need is Need.NOW
    venue.step("renew")
    assert venue.session.ready


def test_a_token_that_comes_before_the_connection_is_used_on_it() -> None:
    venue = venue_with(good="access-3", token_expires_ns=START - 1)
    venue.session.handle_timeout(START)
    assert venue.session.token.need is Need.NOW
    venue.session.token_step(TokenStep(START, "use", TokenPair("access-3", "refresh-3", None), renewed=True))
    venue.connect()
    assert venue.session.ready
    assert venue.names == HANDSHAKE


def test_a_refused_refresh_token_is_final_and_a_busy_server_is_not() -> None:
    for code, is_final in (("CH_ACCESS_TOKEN_INVALID", True), ("CH_SERVER_NOT_REACHABLE", False)):
        venue = venue_with(good="another")
        venue.connect()
        answer = [error(code)]
        venue.replies["ProtoOARefreshTokenReq"] = lambda r, answer=answer: answer  # type: ignore[misc]
        venue.step("renew")
        refusal = venue.session.token.refusal
        assert refusal is not None
        assert code in refusal.text
        assert refusal.is_final is is_final
        assert venue.session.fatal is None
        assert venue.session.wants_disconnect is None


def test_a_refresh_that_is_never_answered_is_told_and_may_be_tried_again() -> None:
    venue = venue_with(good="another")
    venue.connect()
    venue.replies["ProtoOARefreshTokenReq"] = lambda r: []
    venue.step("renew").wait(46)
    assert venue.session.token.refusal is not None
    assert not venue.session.token.refusal.is_final
    assert venue.session.wants_disconnect is None


def test_an_answer_that_comes_too_late_is_taken_all_the_same() -> None:
    venue = venue_with(good="another")
    venue.connect()
    venue.replies["ProtoOARefreshTokenReq"] = lambda r: []
    venue.step("renew").wait(46)
    assert venue.session.token.refusal is not None
    (message_id,) = [message_id for name, message_id in venue.asked if name == "ProtoOARefreshTokenReq"]
    venue.good = "access-2"
    venue.tell(fresh_reply(), message_id)
    venue.talk()
    assert venue.session.token.fresh is not None
    assert venue.session.ready
    venue.step("lost", text="what an attempt on another way came to")
    assert venue.session.fatal is None


def test_an_answer_to_somebody_else_is_not_taken() -> None:
    venue = venue_with().connect()
    venue.tell(fresh_reply(), "other-7")
    assert venue.session.token.pair.access_token == "the-access-token"
    assert venue.session.counters["unexpected"] == 1


def test_no_number_of_losses_drops_the_link_that_the_new_pair_comes_on() -> None:
    venue = ready_at_the_end()
    venue.replies["ProtoOARefreshTokenReq"] = lambda r: []
    venue.step("renew")
    for _ in range(5):
        venue.tell(build("AccountsTokenInvalidatedEvent", ctidTraderAccountIds=[ACCOUNT]))
        venue.tell(build("AccountDisconnectEvent"))
        venue.talk()
    assert venue.session.wants_disconnect is None
    assert venue.session.is_renewing_token


def test_an_end_that_is_no_time_is_unknown() -> None:
    venue = ready_at_the_end()
    reply = fresh_reply()
    reply.expiresIn = -1
    venue.replies["ProtoOARefreshTokenReq"] = lambda r: [reply]
    venue.step("renew")
    assert venue.session.token.pair.expires_ns is None
    assert venue.session.token.need is None


@pytest.mark.parametrize("phase", [Phase.CLOSED, Phase.APPLICATION_AUTH])
def test_without_an_application_session_the_venue_is_not_asked(phase: Phase) -> None:
    venue = venue_with(token_expires_ns=START - 1)
    if phase is Phase.APPLICATION_AUTH:
        venue.replies["ProtoOAApplicationAuthReq"] = lambda r: []
        venue.connect()
    assert venue.session.phase is phase
    assert not venue.session.can_renew_token
    venue.step("renew")
    assert venue.session.token.refusal is not None
    assert "RefreshToken" not in venue.names


def test_a_drop_during_a_refresh_is_told() -> None:
    venue = venue_with(good="another")
    venue.connect()
    venue.replies["ProtoOARefreshTokenReq"] = lambda r: []
    venue.step("renew")
    venue.session.connection_lost(venue.now_ns, "cut")
    assert venue.session.token.refusal is not None
    assert "cut" in venue.session.token.refusal.text


def test_a_token_that_is_lost_ends_the_run_with_what_to_do() -> None:
    venue = venue_with(good="another")
    venue.connect()
    venue.step("lost", text="log in again")
    assert venue.session.fatal is not None
    assert (venue.session.fatal.exit_code, venue.session.fatal.text) == (3, "log in again")


def test_no_secret_shows_in_what_is_printed() -> None:
    step = TokenStep(1, "use", TokenPair("very-secret", "more-secret", None))
    assert "secret" not in repr(step)
    assert "secret" not in repr(ready_venue().session.token.__dict__)
