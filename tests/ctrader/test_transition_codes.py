"""Every error code, in every shape, in place of every answer, against the reactions the protocol's facts ask for.

The letters of the codes: S done already · R again after a pause · U outcome open · C not to be repeated · L later and
slower · A open the account's session again · K the application's session is gone · F fatal · T another token, or fatal
· M away until the maintenance is over.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from scripted_venue import ACCOUNT, SECOND, ScriptedVenue, build
from standing import FOREIGN, RENEWABLE, Asked, answer, ask_token, effect, heal, standstill
from test_transitions import EURUSD, PHASES, REQUESTS

from bot.ctrader.errors import RULES
from bot.ctrader.phases import Phase
from bot.ctrader.token import Need, TokenPair, TokenStep
from bot.engine.events import RequestRefused
from bot.execution.requests import ResolveOrders, ResubscribeDepth

CODES = {
    "S": "ALREADY_LOGGED_IN CH_CLIENT_ALREADY_AUTHENTICATED ALREADY_SUBSCRIBED",
    "R": "CANT_ROUTE_REQUEST CONCURRENT_MODIFICATION CONNECTIONS_LIMIT_EXCEEDED NOT_SUBSCRIBED_TO_SPOTS POSITION_LOCKED"
    " PENDING_EXECUTION",
    "U": "UNKNOWN_ERROR TIMEOUT_ERROR CH_SERVER_NOT_REACHABLE",
    # UNSUPPORTED_MESSAGE: of what can be done without, the session does without it.
    "C": "UNSUPPORTED_MESSAGE INVALID_REQUEST ENTITY_NOT_FOUND FRAME_TOO_LONG MARKET_CLOSED INCORRECT_BOUNDARIES"
    " WORSE_GSL_NOT_ALLOWED SYMBOL_HAS_HOLIDAY SYMBOL_NOT_FOUND UNKNOWN_SYMBOL NO_QUOTES NOT_ENOUGH_MONEY"
    " MAX_EXPOSURE_REACHED POSITION_NOT_FOUND ORDER_NOT_FOUND POSITION_NOT_OPEN TOO_MANY_POSITIONS TRADING_BAD_VOLUME"
    " TRADING_BAD_STOPS TRADING_BAD_PRICES TRADING_BAD_STAKE TRADING_BAD_EXPIRATION_DATE"
    " PROTECTION_IS_TOO_CLOSE_TO_MARKET TRADING_DISABLED TRADING_NOT_ALLOWED UNABLE_TO_CANCEL_ORDER"
    " UNABLE_TO_AMEND_ORDER SHORT_SELLING_NOT_ALLOWED",
    "L": "BLOCKED_PAYLOAD_TYPE REQUEST_FREQUENCY_EXCEEDED",
    "A": "ACCOUNT_NOT_AUTHORIZED",
    "K": "CH_CLIENT_NOT_AUTHENTICATED",
    "F": "RET_NO_SUCH_LOGIN RET_ACCOUNT_DISABLED CH_CLIENT_AUTH_FAILURE CH_CTID_TRADER_ACCOUNT_NOT_FOUND"
    " CH_OA_CLIENT_NOT_FOUND CHANNEL_IS_BLOCKED",
    "T": "OA_AUTH_TOKEN_EXPIRED CH_ACCESS_TOKEN_INVALID",
    "M": "SERVER_IS_UNDER_MAINTENANCE",
}
LETTERS = {code: letter for letter, codes in CODES.items() for code in codes.split()}
# Codes nobody has listed: not to be repeated; of a trade, they leave the outcome open.
UNLISTED = ("NEVER_HEARD_OF", "NOT_SUBSCRIBED_TO_PNL", "")
LETTERS |= dict.fromkeys(UNLISTED, "C")
SHAPES = ("ProtoOAErrorRes", "ProtoErrorRes", "ProtoOAOrderErrorEvent")
# One of each letter, for what is too many to try with all of them in the fast suite.
SOME = ("ALREADY_SUBSCRIBED", "CANT_ROUTE_REQUEST", "UNKNOWN_ERROR", "INVALID_REQUEST", "NEVER_HEARD_OF")
SOME += ("BLOCKED_PAYLOAD_TYPE", "ACCOUNT_NOT_AUTHORIZED", "CH_CLIENT_NOT_AUTHENTICATED", "CHANNEL_IS_BLOCKED")
SOME += ("CH_ACCESS_TOKEN_INVALID", "SERVER_IS_UNDER_MAINTENANCE", "REQUEST_FREQUENCY_EXCEEDED")

# What each letter does to the session in place of the last answer of a phase. `s`: the same is asked again, later.
HANDSHAKE = {"R": "x", "U": "x", "L": "s", "A": "x", "K": "x", "F": "F", "M": "x"}
SAFE_TO_REPEAT = ("ApplicationAuth", "AccountAuth", "SubscribeSpots", "SubscribeDepthQuotes")
DISPENSABLE = ("Version", "SymbolsForConversion", "GetDynamicLeverageByID")
# In READY: one row a kind of request, one column a letter of `CODES`.
READY = {
    # S R U C L A K F T M
    "trade": "t t t t t b x F w x",  # told as refused in every case, and the engine's to ask again
    "list": "a a a a s b x F w x",  # the part that is missing makes it incomplete, and the reconcile is asked
    "reconcile": "t t t t s b x F w x",
    "unsubscribe": "a a a a s b x F w x",  # not subscribed any more is what was wanted: it goes on to subscribe
    "subscribe": ". x x x s b x F w x",
    "symbol": ". x x . s b x F w x",  # what was known may not be true any more: all is read again on a new connection
    "session": ". x x x s b x F w x",
    "token": ". . . . s . . . . .",  # the search for a token tells its own end
}


def expected_in(phase: Phase, name: str, code: str) -> str:
    """Return what the facts ask for when `name` is refused with `code` in a phase of the handshake."""
    letter = LETTERS[code]
    if letter == "S":
        return "n" if name in SAFE_TO_REPEAT else "x"
    if letter == "C":
        return "n" if name in DISPENSABLE else "x"
    if letter == "T":  # the application's authentication shows no token, so another one is no answer to it
        return "x" if phase is Phase.APPLICATION_AUTH else "w"
    return HANDSHAKE[letter]


def refusal(shape: str, code: str, **fields: Any) -> Any:
    if shape == "ProtoOAErrorRes":
        fields.setdefault("retryAfter", 2)
    return build(shape, errorCode=code, description="because", **fields)


def refuse(venue: ScriptedVenue, shape: str, code: str, asked: Asked) -> str:
    """Refuse a question and return the letter; `s` when the same question is asked again after the pause."""
    name, message_id, _ = asked
    letter = effect(venue, lambda: venue.tell(refusal(shape, code), message_id))
    if LETTERS[code] == "L" and letter == "." and name not in TRADE_NAMES:
        venue.now_ns += SECOND - 1
        assert venue.take() == [], "a pause of a second at least"
        venue.now_ns += SECOND + 1
        again = venue.take()
        assert [a[0] for a in again] == [name]
        return "s"
    return letter


def test_every_code_we_know_of_has_a_letter() -> None:
    assert set(LETTERS) == set(RULES) | set(UNLISTED)


def questions(phase: Phase) -> Iterator[tuple[str, ScriptedVenue, Asked]]:
    """Give each question of a phase as the last one without an answer, over and over."""
    count = len(standstill(phase)[1])
    for i in range(count):
        venue, waiting = standstill(phase, **RENEWABLE)
        asked = waiting.pop(i)
        for other in waiting:
            answer(venue, other)
        yield asked[0].removeprefix("ProtoOA").removesuffix("Req"), venue, asked


def walk_codes(phase: Phase, codes: tuple[str, ...], shapes: tuple[str, ...]) -> None:
    wrong = {}
    for code in codes:
        for shape in shapes:
            for name, venue, asked in questions(phase):
                got = refuse(venue, shape, code, asked)
                if got != expected_in(phase, name, code):
                    wrong[name, code, shape] = (expected_in(phase, name, code), got)
                assert venue.session.fatal is None or venue.session.fatal.exit_code == 3
                heal(venue)
    assert wrong == {}


@pytest.mark.parametrize("phase", PHASES)
def test_a_code_in_place_of_an_answer_of_the_handshake(phase: Phase) -> None:
    walk_codes(phase, SOME, SHAPES[:1])


def test_every_code_in_every_shape_in_place_of_the_accounts_session() -> None:
    walk_codes(Phase.ACCOUNT_AUTH, tuple(LETTERS), SHAPES)


@pytest.mark.slow
@pytest.mark.parametrize("phase", PHASES)
def test_every_code_in_every_shape_in_place_of_every_answer_of_the_handshake(phase: Phase) -> None:
    walk_codes(phase, tuple(LETTERS), SHAPES)


@pytest.mark.parametrize("phase", [phase for phase in PHASES if phase.has_account or phase.needs_token])
@pytest.mark.parametrize("code", CODES["T"].split())
def test_without_another_token_to_be_had_a_refused_one_is_fatal(phase: Phase, code: str) -> None:
    venue, waiting = standstill(phase)
    assert refuse(venue, SHAPES[0], code, waiting[-1]) == "F"


# In READY.

TRADE_NAMES = ("ProtoOANewOrderReq", "ProtoOAClosePositionReq", "ProtoOACancelOrderReq")


def ask_trade(venue: ScriptedVenue, request: Any = REQUESTS[0]) -> Asked:
    venue.session.submit(request, venue.now_ns)
    (asked,) = venue.take()
    return asked


def ask_history(venue: ScriptedVenue, place: int = 0) -> Asked:
    venue.session.submit(ResolveOrders(venue.now_ns - SECOND), venue.now_ns)
    lists = venue.take()
    if place < 2:
        answer(venue, lists[1 - place])
        return lists[place]
    for asked in lists:
        answer(venue, asked)
    (reconcile,) = venue.take()
    return reconcile


def ask_depth(venue: ScriptedVenue, *, again: bool = False) -> Asked:
    venue.session.submit(ResubscribeDepth(EURUSD), venue.now_ns)
    (asked,) = venue.take()
    if again:
        answer(venue, asked)
        (asked,) = venue.take()
    return asked


def ask_symbol(venue: ScriptedVenue) -> Asked:
    venue.tell(build("SymbolChangedEvent", symbolId=[EURUSD]))
    (asked,) = venue.take()
    return asked


def ask_session(venue: ScriptedVenue) -> Asked:
    pair = TokenPair("another", "another-refresh", None)
    venue.session.token_step(TokenStep(venue.now_ns, "use", pair))
    (asked,) = venue.take()
    return asked


KINDS: list[tuple[str, str, Callable[[ScriptedVenue], Asked]]] = [
    ("place", "trade", ask_trade),
    ("close", "trade", lambda v: ask_trade(v, REQUESTS[1])),
    ("cancel", "trade", lambda v: ask_trade(v, REQUESTS[2])),
    ("orders", "list", ask_history),
    ("deals", "list", lambda v: ask_history(v, 1)),
    ("reconcile", "reconcile", lambda v: ask_history(v, 2)),
    ("unsubscribe", "unsubscribe", ask_depth),
    ("subscribe", "subscribe", lambda v: ask_depth(v, again=True)),
    ("symbol", "symbol", ask_symbol),
    ("session", "session", ask_session),
    ("token", "token", ask_token),
]
BY_KIND = {name: (row, ask) for name, row, ask in KINDS}


def walk_ready(name: str, codes: tuple[str, ...], shapes: tuple[str, ...]) -> None:
    row, ask = BY_KIND[name]
    wrong = {}
    for code in codes:
        for shape in shapes:
            venue, _ = standstill(Phase.READY, **RENEWABLE)
            asked = ask(venue)
            venue.told()
            asked_before = len(venue.asked)
            got = refuse(venue, shape, code, asked)
            expected = dict(zip(CODES, READY[row].split(), strict=True))[LETTERS[code]]
            if got != expected:
                wrong[code, shape] = (expected, got)
            heal(venue)
            if row == "trade":
                names = {name for name, _ in venue.asked[asked_before:]}
                assert not names & set(TRADE_NAMES), "a trade is never sent again by itself"
    assert wrong == {}


@pytest.mark.parametrize("name", BY_KIND)
def test_a_code_in_place_of_an_answer_in_ready(name: str) -> None:
    walk_ready(name, SOME, SHAPES[:1])


@pytest.mark.slow
@pytest.mark.parametrize("name", BY_KIND)
def test_every_code_in_every_shape_in_place_of_every_answer_in_ready(name: str) -> None:
    walk_ready(name, tuple(LETTERS), SHAPES)


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda r: type(r).__name__)
def test_every_code_in_every_shape_is_told_once_as_the_refusal_of_its_trade(request_: Any) -> None:
    for code, letter in LETTERS.items():
        for shape in SHAPES:
            venue, _ = standstill(Phase.READY, **RENEWABLE)
            message_id = ask_trade(venue, request_)[1]
            for _ in range(2):
                venue.tell(refusal(shape, code), message_id)
            told = [event for event in venue.told() if isinstance(event, RequestRefused)]
            assert [(e.client_order_id, e.error_code) for e in told] == [(request_.client_order_id, code)], code
            assert told[0].outcome_unknown == (letter == "U" or code in UNLISTED), code


# Errors that answer nothing of ours.

# By letter: what an error of our account does in any phase when its id is nobody's. T: as the plan's token allows.
UNASKED = dict.fromkeys(CODES, ".") | {"F": "F", "T": "w", "M": "x"}
# Without an id it is about the connection or the account, whatever is asked just then.
NAMELESS = UNASKED | {"K": "x"}
# Without an id and an account it is about what the handshake has asked: the one question, or any of several, and then
# all of them have to be asked again. C: it may speak of an order of before, and is overlooked.
ABOUT_ONE_OF_SEVERAL = NAMELESS | {"R": "x", "U": "x", "L": "x", "A": "x"}


def expected_without_id(phase: Phase, waiting: list[Asked], shape: str, code: str) -> str:
    letter = LETTERS[code]
    if phase is Phase.CLOSED:
        return "."
    if code == "CONNECTIONS_LIMIT_EXCEEDED":
        return "x"
    if phase is Phase.READY:
        return "b" if letter == "A" else NAMELESS[letter]
    if shape != "ProtoErrorRes":
        return NAMELESS[letter]
    if len(waiting) > 1:
        return ABOUT_ONE_OF_SEVERAL[letter]
    if letter in "CL":  # L: the question is asked again, but later
        return "."
    return expected_in(phase, waiting[0][0].removeprefix("ProtoOA").removesuffix("Req"), code)


@pytest.mark.slow
@pytest.mark.parametrize("phase", list(Phase))
@pytest.mark.parametrize("message_id", [None, "r1-999999", "another-1"])
def test_an_error_that_names_no_request_of_ours(phase: Phase, message_id: str | None) -> None:
    venue, waiting = standstill(phase, **RENEWABLE)
    wrong = {}
    for code, letter in LETTERS.items():
        for shape in SHAPES:
            got = effect(venue, lambda: venue.tell(refusal(shape, code), message_id))  # noqa: B023
            expected = "." if phase is Phase.CLOSED else UNASKED[letter]
            if message_id is None:
                expected = expected_without_id(phase, waiting, shape, code)
            if got != expected:
                wrong[code, shape] = (expected, got)
            if got != "." or letter == "L":
                heal(venue)
                venue, waiting = standstill(phase, **RENEWABLE)
    assert wrong == {}
    assert phase is Phase.CLOSED or venue.session.counters["errors_without_request"] > 0


@pytest.mark.parametrize("phase", list(Phase))
def test_an_error_of_another_account_is_nothing_to_us(phase: Phase) -> None:
    venue, _ = standstill(phase, **RENEWABLE)
    for code in LETTERS:
        for shape in ("ProtoOAErrorRes", "ProtoOAOrderErrorEvent"):
            content = refusal(shape, code, ctidTraderAccountId=FOREIGN)
            assert effect(venue, lambda c=content: venue.tell(c)) == ".", (code, shape)
    assert FOREIGN != ACCOUNT
    assert venue.session.counters["foreign_account"] == (phase is not Phase.CLOSED) * 2 * len(LETTERS)
    assert venue.session.token.need is not Need.NOW
