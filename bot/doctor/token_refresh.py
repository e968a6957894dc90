"""A refresh of the token on the live connection: what becomes of the sessions that were opened with the old one?

How it works: the keeper locks the token file and hands out the refresh token; the answer's pair is stored before
anything else is done, sent or said. Whatever happens while the answer is under way (an interrupt, patience that ends),
it is listened for, because the new pair exists nowhere else.
Source: ProtoOARefreshTokenReq/Res; ProtoOAAccountsTokenInvalidatedEvent; ALREADY_LOGGED_IN.
"""

from typing import Any

from bot.ctrader.enquiry import EnquiryRefused, Heard, Listen, Script, Timed
from bot.ctrader.refusals import DISCONNECTED, TIMEOUT
from bot.ctrader.schema import message
from bot.ctrader.translate import text as readable
from bot.doctor.facts import Facts
from bot.doctor.findings import EXIT_NOT_AUTHORISED
from bot.doctor.kept_token import CannotKeep, KeepsToken
from bot.doctor.session_loss import has_session, losses, restore_session

KEPT, EVENTS, SESSION, AGAIN, STREAM = (
    "token_kept",
    "token_refresh.events",
    "token_refresh.session_lives",
    "token_refresh.auth_again",
    "token_refresh.stream",
)
AFTERMATH_S = 5.0
LATE_S = 8.0
"""How long an answer is waited for that did not come when it should; shorter than a stopped script may last."""

_REPLY = "ProtoOARefreshTokenRes"
_SECOND_NS = 1_000_000_000


def measure_refresh(facts: Facts) -> Script[None]:
    """Refresh the token, keep the new one, and see what the venue does with the session."""
    keeper = facts.plan.keeper
    if keeper is None:
        facts.findings.seen(EVENTS, None, "not tried: the token does not come from a file with a refresh token")
        return
    facts.on_progress("refreshing the token")
    facts.hear((yield Listen(0)))
    try:
        refresh_token = keeper.begin()
    except CannotKeep as error:
        facts.findings.seen(EVENTS, None, f"not tried: {error}")
        return
    try:
        is_new = yield from _refresh(facts, keeper, refresh_token)
    finally:
        keeper.end()
    if is_new:
        yield from _measure_sessions(facts)


def _refresh(facts: Facts, keeper: KeepsToken, refresh_token: str) -> Script[bool]:
    """Ask for a new pair and store it; return whether there is one."""
    request = message("ProtoOARefreshTokenReq")(refreshToken=refresh_token)
    try:
        (answer,) = yield Timed(request)
    except Exception:  # stopped while the answer was under way: it may still come, and must not be lost
        yield from _take_late(facts, keeper, "the doctor was stopped")
        raise
    reply = answer.reply
    if not isinstance(reply, EnquiryRefused):
        return _store(facts, keeper, reply, answer.recv_ns or facts.now_ns)
    if reply.code in (TIMEOUT, DISCONNECTED):
        return (yield from _take_late(facts, keeper, str(reply)))
    facts.findings.seen(EVENTS, None, f"not seen: the refresh was refused: {reply}")
    return False


def _take_late(facts: Facts, keeper: KeepsToken, why: str) -> Script[bool]:
    heard: list[Heard] = yield Listen(LATE_S, until=lambda event: event.DESCRIPTOR.name == _REPLY)
    facts.hear(heard)
    for one in heard:
        if one.message.DESCRIPTOR.name == _REPLY:
            return _store(facts, keeper, one.message, one.recv_ns)
    text = f"no answer to the refresh ({why}): the token may be used up; if it is, run `microlev auth login`"
    facts.findings.check(KEPT, "fail", text, exit_code=EXIT_NOT_AUTHORISED)
    return False


def _store(facts: Facts, keeper: KeepsToken, reply: Any, recv_ns: int) -> bool:
    access, refresh = readable(reply.accessToken), readable(reply.refreshToken)
    facts.access_token = access
    try:
        keeper.keep(access, refresh, recv_ns + int(reply.expiresIn) * _SECOND_NS)
    except CannotKeep as error:
        text = f"a new token came and could not be stored: {error}; run `microlev auth login`"
        facts.findings.check(KEPT, "fail", text)
    else:
        facts.findings.check(KEPT, "ok", "the token was refreshed; the new one is in the token file")
    return True


def _measure_sessions(facts: Facts) -> Script[None]:
    assert facts.account is not None, "the account is chosen first"
    seen = facts.findings.seen
    heard = yield Listen(AFTERMATH_S)
    facts.hear(heard)
    events = losses(heard)
    seen(EVENTS, events, f"after the refresh, within {AFTERMATH_S:.0f} s: {', '.join(events) or 'no event at all'}")
    lives = yield from has_session(facts)
    seen(SESSION, lives, f"the session opened with the old token {'still answers' if lives else 'is gone'}")
    spots = sum(1 for one in heard if one.message.DESCRIPTOR.name == "ProtoOASpotEvent")
    seen(STREAM, spots if spots else None, f"{spots} prices came in these {AFTERMATH_S:.0f} s")
    auth = message("ProtoOAAccountAuthReq")
    request = auth(ctidTraderAccountId=facts.account.account_id, accessToken=facts.access_token)
    (reply,) = yield [request]
    answer = reply.code if isinstance(reply, EnquiryRefused) else "accepted"
    seen(AGAIN, answer, f"account auth with the new token on the same connection: {answer}")
    if not isinstance(reply, EnquiryRefused):
        yield from restore_session(facts)
