"""A session brought to a standstill anywhere on its way, and what one stimulus does to it, in one letter.

Letters: `.` nothing but a counter · `t` an event is told · `a` something is asked · `n` the next phase · `b` the
account's session is opened again on the same link · `l` the accounts are listed again · `w` another access token is
waited for · `x` the link is to be dropped · `F` fatal · `c` closed · `1` everything from the start, on a new link.
"""

from collections.abc import Callable
from typing import Any

from scripted_venue import ACCOUNT, SECOND, START, ScriptedVenue, build, plan

from bot.ctrader.phases import Phase
from bot.ctrader.session import Session
from bot.ctrader.token import Need, TokenPair, TokenStep
from bot.engine.events import ReadinessChanged

DAY = 86_400 * SECOND
RENEWABLE: dict[str, Any] = {
    "renewable": True,
    "refresh_token": "the-refresh-token",
    "token_expires_ns": START + 30 * DAY,
}
TRADING = {
    "ProtoOANewOrderReq",
    "ProtoOAAmendOrderReq",
    "ProtoOACancelOrderReq",
    "ProtoOAClosePositionReq",
    "ProtoOAAmendPositionSLTPReq",
}
FOREIGN = ACCOUNT + 1

Asked = tuple[str, str, Any]  # name, message id, request


def standstill(phase: Phase, **changes: Any) -> tuple[ScriptedVenue, list[Asked]]:
    """Return a venue that has left the questions of `phase` unanswered, and those questions.

    CLOSED is what remains of a session that was READY before its link was cut.
    """
    venue = ScriptedVenue(Session(plan(**changes)))
    venue.session.connection_made(venue.now_ns)
    goal = Phase.READY if phase is Phase.CLOSED else phase
    while venue.session.phase is not goal:
        for asked in venue.take():
            answer(venue, asked)
    if phase is Phase.CLOSED:
        venue.session.connection_lost(venue.now_ns, "cut")
    waiting = venue.take()
    venue.told()
    return venue, waiting


def answer(venue: ScriptedVenue, asked: Asked) -> None:
    """Answer one question as the venue's table says."""
    name, message_id, request = asked
    for reply in venue.replies[name](request):
        venue.tell(reply, message_id)


def effect(venue: ScriptedVenue, act: Callable[[], object]) -> str:
    """Do something to a session and return its letter; what must hold after anything is checked."""
    session = venue.session
    before, needed_token = session.phase, session.token.need is Need.NOW
    venue.told()
    act()
    sent = [name for name, _, _ in venue.take()]
    told = [event for event in venue.told() if not isinstance(event, ReadinessChanged)]
    check(venue)
    assert session.phase is Phase.READY or not TRADING & set(sent)
    if session.fatal is not None:
        letter = "F"
    elif session.wants_disconnect is not None:
        letter = "x"
    elif session.token.need is Need.NOW and not needed_token:
        letter = "w"
    elif session.phase is Phase.CLOSED and before is not Phase.CLOSED:
        letter = "c"
    elif sent == ["ProtoOAApplicationAuthReq"]:
        letter = "1"
    elif session.phase is Phase.ACCOUNT_AUTH and before.has_account and sent == ["ProtoOAAccountAuthReq"]:
        letter = "b"
    elif session.phase is Phase.ACCOUNT_LIST and before.needs_token and "ProtoOAGetAccountListByAccessTokenReq" in sent:
        letter = "l"
    elif session.phase is not before:
        letter = "n"
    else:
        letter = "a" if sent else "t" if told else "."
    assert not (letter in ("F", "x", "c") and sent), (letter, sent)
    return letter


def check(venue: ScriptedVenue) -> None:
    """Check what holds at any time: ids, outcomes, and the place of the application's authentication."""
    requests = venue.session.requests
    assert requests.registered_count == len(requests) + sum(requests.outcomes.values())
    ids = [message_id for _, message_id in venue.asked]
    assert len(set(ids)) == len(ids)
    assert not venue.asked or venue.asked[0][0] == "ProtoOAApplicationAuthReq"


def heal(venue: ScriptedVenue) -> None:
    """Give the session what it needs: a token, a new link, answers. It must reach READY unless it is fatal."""
    session = venue.session
    if session.fatal is not None:
        return
    if session.wants_disconnect is not None:
        session.connection_lost(venue.now_ns, "dropped as wanted")
    if session.phase is Phase.CLOSED:
        venue.now_ns = max(venue.now_ns + SECOND, session.retry_at_ns or 0)
        first = len(venue.asked)
        venue.connect()
        assert venue.asked[first][0] == "ProtoOAApplicationAuthReq", "nothing precedes it on a new link"
    if session.token.need is Need.NOW:
        session.token_step(TokenStep(venue.now_ns, "use", TokenPair("another", "another-refresh", None)))
    for (name, message_id), request in list(zip(venue.asked, venue.requests, strict=True)):
        if session.requests.get(message_id) is not None:
            answer(venue, (name, message_id, request))
    venue.talk()
    check(venue)
    assert session.ready, (session.phase, session.wants_disconnect, session.counters)


def ask_token(venue: ScriptedVenue) -> Asked:
    """Have the session ask for a new pair of tokens; return the question."""
    venue.session.token_step(TokenStep(venue.now_ns, "renew"))
    (asked,) = venue.take()
    return asked


def foreign(name: str, **fields: Any) -> Any:
    """Build a message of another account."""
    return build(name, ctidTraderAccountId=FOREIGN, **fields)
