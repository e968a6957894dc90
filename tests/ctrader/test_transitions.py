"""Every (phase, event) pair of the session, forbidden ones included, against one table written from the protocol.

The letters are those of `standing`. A pair that the protocol does not foresee changes nothing but a counter and sends
nothing: a reply to nothing or of another phase, an execution before the account's session is asked for, a quote before
its subscription, a trade outside READY.
"""

from typing import Any

import pytest
from scripted_venue import ACCOUNT, build, light, trader
from standing import FOREIGN, RENEWABLE, answer, check, effect, foreign, heal, standstill
from test_translate import place, wire_deal, wire_order, wire_position

from bot.ctrader.phases import TRANSITIONS, Phase
from bot.ctrader.schema import envelope, message
from bot.ctrader.token import Need, TokenPair, TokenStep
from bot.engine.events import RequestRefused
from bot.execution.requests import CancelOrder, ClosePosition, ResolveOrders, ResubscribeDepth

EURUSD = 11
NO_LOGIN = 3
COLUMNS = tuple(Phase)
PHASES = tuple(TRANSITIONS)


def margin_call() -> Any:
    return build("MarginCall", marginCallType=61, marginLevelThreshold=50.0)


def depth(**fields: Any) -> Any:
    return build("DepthEvent", symbolId=EURUSD, newQuotes=[build("DepthQuote", id=1, size=5, bid=7)], **fields)


def raw(payload_type: int, payload: bytes) -> bytes:
    return bytes(message("ProtoMessage")(payloadType=payload_type, payload=payload).SerializeToString())


def gone(*account_ids: int) -> Any:
    return build("AccountsTokenInvalidatedEvent", ctidTraderAccountIds=account_ids, reason="refreshed")


UNREADABLE = raw(2126, b"")  # an execution event without anything that it requires

# One row an event, one column a phase:          closed, application, list, account | catalogue, details, chains, tiers,
#                                                reconcile | spots, depth, ready
EVENTS: list[tuple[str, list[Any], str]] = [
    ("a spot", [build("SpotEvent", symbolId=EURUSD, bid=5)], ".... ..... ttt"),
    ("a spot of an unknown symbol", [build("SpotEvent", symbolId=4711, bid=5)], ".... ..... ..."),
    ("a spot of another account", [foreign("SpotEvent", symbolId=EURUSD, bid=5)], ".... ..... ..."),
    ("a depth", [depth()], ".... ..... .tt"),
    ("a depth of another account", [depth(ctidTraderAccountId=FOREIGN)], ".... ..... ..."),
    ("a fill", [build("ExecutionEvent", executionType=3, deal=wire_deal(), order=wire_order())], "...t ttttt ttt"),
    ("a fill of another account", [foreign("ExecutionEvent", executionType=3, deal=wire_deal())], ".... ..... ..."),
    ("an order error", [build("OrderErrorEvent", errorCode="MARKET_CLOSED", orderId=5)], "...t ttttt ttt"),
    ("an order error of nothing", [build("OrderErrorEvent", errorCode="MARKET_CLOSED")], ".... ..... ..."),
    (
        "an order error of another account",
        [foreign("OrderErrorEvent", errorCode="MARKET_CLOSED", orderId=5)],
        ".... ..... ...",
    ),
    ("a change of the trader", [build("TraderUpdatedEvent", trader=trader())], ".... .tttt ttt"),
    ("another's change", [foreign("TraderUpdatedEvent", trader=trader())], ".... ..... ..."),
    (
        "a trader who may not log in",
        [build("TraderUpdatedEvent", trader=trader(accessRights=NO_LOGIN))],
        ".... .FFFF FFF",
    ),
    ("a changed symbol", [build("SymbolChangedEvent", symbolId=[EURUSD])], ".... ...aa aaa"),
    ("a changed symbol unknown", [build("SymbolChangedEvent", symbolId=[4711])], ".... ..... ..."),
    ("another's changed symbol", [foreign("SymbolChangedEvent", symbolId=[EURUSD])], ".... ..... ..."),
    ("the account's end", [build("AccountDisconnectEvent")], "...b bbbbb bbb"),
    ("another account's end", [foreign("AccountDisconnectEvent")], ".... ..... ..."),
    ("the token's end", [gone(3, ACCOUNT)], "...b bbbbb bbb"),
    ("the token's end for others", [gone(3, FOREIGN)], ".... ..... ..."),
    ("the token's end for nobody", [gone()], ".... ..... ..."),
    ("the application's end", [build("ClientDisconnectEvent", reason="bye")], ".xxx xxxxx xxx"),
    ("a heartbeat", [message("ProtoHeartbeatEvent")()], ".... ..... ..."),
    (
        "a moved trailing stop",
        [build("TrailingSLChangedEvent", positionId=1, orderId=2, stopPrice=1.0, utcLastUpdateTimestamp=1)],
        "...t ttttt ttt",
    ),
    ("a change of margin", [build("MarginChangedEvent", positionId=1, usedMargin=5)], "...t ttttt ttt"),
    ("another's change of margin", [foreign("MarginChangedEvent", positionId=1, usedMargin=5)], ".... ..... ..."),
    ("a changed margin call", [build("MarginCallUpdateEvent", marginCall=margin_call())], ".... ..... ..."),
    ("a margin call", [build("MarginCallTriggerEvent", marginCall=margin_call())], ".... ..... ..."),
    ("a type nobody knows", [raw(2999, b"\xff")], ".... ..... ..."),
    ("a frame nobody can read", [UNREADABLE], ".... ..... ..."),
    ("three of them in a row", [UNREADABLE] * 3, ".xxx xxxxx xxx"),
    (
        "three with a heartbeat between",
        [UNREADABLE, UNREADABLE, message("ProtoHeartbeatEvent")(), UNREADABLE],
        "." * 12,
    ),
]

REPLIES: dict[str, Any] = {
    "ApplicationAuthRes": build("ApplicationAuthRes"),
    "VersionRes": build("VersionRes", version="1"),
    "GetAccountListByAccessTokenRes": build("GetAccountListByAccessTokenRes", accessToken="the-access-token"),
    "AccountAuthRes": build("AccountAuthRes"),
    "TraderRes": build("TraderRes", trader=trader(balance=1)),
    "AssetListRes": build("AssetListRes"),
    "SymbolsListRes": build("SymbolsListRes", symbol=[light(EURUSD)]),
    "SymbolByIdRes": build("SymbolByIdRes"),
    "SymbolsForConversionRes": build("SymbolsForConversionRes"),
    "GetDynamicLeverageByIDRes": build("GetDynamicLeverageByIDRes", leverage=build("DynamicLeverage", leverageId=7)),
    "ReconcileRes": build("ReconcileRes", position=[wire_position()]),
    "SubscribeSpotsRes": build("SubscribeSpotsRes"),
    "SubscribeDepthQuotesRes": build("SubscribeDepthQuotesRes"),
    "UnsubscribeDepthQuotesRes": build("UnsubscribeDepthQuotesRes"),
    "OrderListRes": build("OrderListRes", hasMore=False),
    "DealListRes": build("DealListRes", hasMore=False),
    "AccountLogoutRes": build("AccountLogoutRes"),
}


def tell(venue: Any, content: Any, message_id: str | None = None) -> None:
    if isinstance(content, bytes):
        venue.session.receive_frame(content, venue.now_ns)
    else:
        venue.tell(content, message_id)


def row(letters: str) -> dict[Phase, str]:
    """Read a row of the table."""
    cells = letters.replace(" ", "")
    assert len(cells) == len(COLUMNS), letters
    return dict(zip(COLUMNS, cells, strict=True))


@pytest.mark.parametrize("phase", COLUMNS)
def test_every_event_does_in_every_phase_what_the_table_says(phase: Phase) -> None:
    venue, _ = standstill(phase)
    wrong = {}
    for name, contents, letters in EVENTS:
        for message_id in (None, "r1-999999", "another-1"):
            before = dict(venue.session.counters)
            expected = row(letters)[phase]
            got = effect(venue, lambda c=contents, i=message_id, v=venue: [tell(v, content, i) for content in c])
            if got != expected:
                wrong[name, message_id] = (expected, got)
            assert phase is Phase.CLOSED or venue.session.counters["messages"] > before.get("messages", 0)
            if got not in ".t":
                heal(venue)
                venue, _ = standstill(phase)
            venue.tell(message("ProtoHeartbeatEvent")())  # so that unreadable frames of two rows are not in a row
    assert wrong == {}


@pytest.mark.parametrize("phase", COLUMNS)
def test_tokens_that_nobody_asked_for_are_not_taken(phase: Phase) -> None:
    venue, _ = standstill(phase, **RENEWABLE)
    reply = build("RefreshTokenRes", accessToken="a", tokenType="b", expiresIn=9, refreshToken="r")
    for message_id in (None, "another-1"):
        assert effect(venue, lambda i=message_id: tell(venue, reply, i)) == "."
    assert venue.session.token.pair.access_token == "the-access-token"
    assert venue.session.token.fresh is None


@pytest.mark.parametrize("phase", COLUMNS)
def test_a_reply_to_nothing_or_of_another_kind_changes_nothing_but_a_counter(phase: Phase) -> None:
    venue, waiting = standstill(phase)
    expected = {message_id: name.removeprefix("ProtoOA").removesuffix("Req") + "Res" for name, message_id, _ in waiting}
    ids = [None, "r1-1", "r1-999999", "another-1", *expected]
    for name, reply in REPLIES.items():
        for message_id in ids:
            if expected.get(message_id or "") == name:
                continue
            before = venue.session.counters["unexpected"]
            assert effect(venue, lambda r=reply, i=message_id: tell(venue, r, i)) == ".", (name, message_id)
            assert venue.session.counters["unexpected"] == before + (phase is not Phase.CLOSED)
    assert len(venue.session.requests) == len(waiting), "every question is open still"
    for asked in waiting:
        answer(venue, asked)
    if phase is not Phase.CLOSED:
        assert venue.talk().session.ready


@pytest.mark.parametrize("phase", PHASES)
def test_the_last_answer_of_a_phase_opens_the_next_one_and_none_counts_twice(phase: Phase) -> None:
    venue, waiting = standstill(phase)
    for asked in waiting[:-1]:
        assert effect(venue, lambda asked=asked: answer(venue, asked)) in ".t"
        assert effect(venue, lambda asked=asked: answer(venue, asked)) == "."
    assert effect(venue, lambda: answer(venue, waiting[-1])) == "n"
    assert venue.session.phase is TRANSITIONS[phase].next
    assert effect(venue, lambda: answer(venue, waiting[-1])) == "."


# Inputs from our own side.

REQUESTS = [place(), ClosePosition("close-1", EURUSD, 9, 500), CancelOrder("cancel-1", EURUSD, 5)]
ERRANDS = [ResolveOrders(1), ResubscribeDepth(EURUSD)]
USE = ("use", {"pair": TokenPair("another", "another-refresh", None)})

# Phases in the same order; a trade outside READY is refused with an event (`t`), and nothing is sent.
INPUTS: list[tuple[str, str]] = [
    ("connection_made", "1111 11111 111"),
    ("connection_lost", ".ccc ccccc ccc"),
    ("14 s of silence", ".... ..... ..."),
    ("15 s of silence", ".xxx xxxxx xx."),
    ("60 s of silence", ".xxx xxxxx xxx"),
    ("token renew", "..aa aaaaa aaa"),
    ("token use", "..ll aaaaa aaa"),
    ("token lost", "FFFF FFFFF FFF"),
    *((f"submit {type(request).__name__}", "tttt ttttt tta") for request in (*REQUESTS, *ERRANDS)),
]


def give(venue: Any, name: str) -> None:
    """Give a session one of `INPUTS`."""
    session, (kind, _, rest) = venue.session, name.partition(" ")
    match kind:
        case "connection_made":
            session.connection_made(venue.now_ns)
        case "connection_lost":
            session.connection_lost(venue.now_ns, "cut")
        case "token":
            fields = dict([USE]).get(rest, {"text": "log in again"})
            if rest == "lost":
                session.token.need = Need.NOW
            session.token_step(TokenStep(venue.now_ns, rest, **fields))  # type: ignore[arg-type]
        case "submit":
            (request,) = [r for r in (*REQUESTS, *ERRANDS) if type(r).__name__ == rest]
            session.submit(request, venue.now_ns)
        case _:
            venue.now_ns += int(kind) * 1_000_000_000
            session.handle_timeout(venue.now_ns)


@pytest.mark.parametrize("phase", COLUMNS)
@pytest.mark.parametrize(("name", "letters"), INPUTS, ids=[name for name, _ in INPUTS])
def test_every_input_does_in_every_phase_what_the_table_says(name: str, letters: str, phase: Phase) -> None:
    venue, _ = standstill(phase, **RENEWABLE)
    if name == "connection_made":
        assert effect(venue, lambda: give(venue, name)) == "1"
        assert venue.session.phase is Phase.APPLICATION_AUTH
    else:
        assert effect(venue, lambda: give(venue, name)) == row(letters)[phase]
    check(venue)


@pytest.mark.parametrize("phase", [phase for phase in COLUMNS if phase is not Phase.READY])
def test_what_is_asked_of_a_session_that_is_not_ready_is_refused_once_and_gone(phase: Phase) -> None:
    venue, waiting = standstill(phase)
    for request in (*REQUESTS, *ERRANDS):
        venue.session.submit(request, venue.now_ns)
    refusals = [event for event in venue.told() if isinstance(event, RequestRefused)]
    assert [(e.client_order_id, e.error_code) for e in refusals] == [
        (client_id, "NOT_READY") for client_id in ("c1", "close-1", "cancel-1", None, None)
    ]
    before = len(venue.asked)
    for asked in waiting:
        answer(venue, asked)
    heal(venue)
    assert not [
        name for name in venue.names[before:] if name in ("NewOrder", "ClosePosition", "CancelOrder", "OrderList")
    ]


@pytest.mark.parametrize("phase", PHASES)
def test_an_answer_that_comes_after_its_link_was_cut_answers_nothing(phase: Phase) -> None:
    venue, waiting = standstill(phase)
    venue.session.connection_lost(venue.now_ns, "cut")
    venue.session.connection_made(venue.now_ns)
    (application,) = venue.take()
    for asked in waiting:
        assert effect(venue, lambda asked=asked: answer(venue, asked)) == "."
    answer(venue, application)
    assert venue.talk().session.ready


def test_an_answer_to_what_has_not_left_yet_answers_nothing() -> None:
    venue, _ = standstill(Phase.READY)
    venue.session.submit(place(client_order_id="kept"), venue.now_ns)
    venue.session.submit(ResubscribeDepth(EURUSD), venue.now_ns)
    count = venue.session.requests.registered_count
    trade_id, depth_id = f"r1-{count - 1}", f"r1-{count}"
    tell(venue, build("OrderErrorEvent", errorCode="NOT_ENOUGH_MONEY"), trade_id)
    tell(venue, build("ExecutionEvent", executionType=2), trade_id)
    tell(venue, build("UnsubscribeDepthQuotesRes"), depth_id)
    assert len(venue.session.requests) == 2
    assert [event for event in venue.told() if isinstance(event, RequestRefused)] == []
    assert [message_id for _, message_id, _ in venue.take()] == [trade_id, depth_id]


@pytest.mark.parametrize("phase", [Phase.CATALOGUE, Phase.RECONCILE])
def test_an_answer_that_no_decimal_can_hold_does_not_strand_the_handshake(phase: Phase) -> None:
    venue, waiting = standstill(phase)
    absurd = {
        "ProtoOATraderReq": build("TraderRes", trader=trader(moneyDigits=4_000_000_000)),
        "ProtoOAReconcileReq": build("ReconcileRes", position=[wire_position(moneyDigits=4_000_000_000)]),
    }
    for asked in waiting:
        if asked[0] in absurd:
            tell(venue, absurd[asked[0]], asked[1])
        else:
            answer(venue, asked)
    assert venue.session.wants_disconnect is not None
    heal(venue)


def test_a_history_that_cannot_be_read_does_not_keep_the_next_one_waiting() -> None:
    venue, _ = standstill(Phase.READY)
    venue.replies["ProtoOADealListReq"] = lambda r: [
        build("DealListRes", hasMore=False, deal=[wire_deal(moneyDigits=4_000_000_000)])
    ]
    venue.session.submit(ResolveOrders(1_699_999_990_000_000_000), venue.now_ns)
    venue.talk()
    assert venue.session.wants_disconnect is not None
    heal(venue)


def test_a_maintenance_that_ends_in_no_year_is_a_maintenance_all_the_same() -> None:
    for end in (2**62, 10**14, 253_402_300_800_000):
        venue, _ = standstill(Phase.READY)
        content = build("ProtoErrorRes", errorCode="SERVER_IS_UNDER_MAINTENANCE", maintenanceEndTimestamp=end)
        assert effect(venue, lambda v=venue, c=content: tell(v, c)) == "x"
        assert venue.session.retry_at_ns == venue.now_ns + 12 * 3600 * 1_000_000_000
        assert envelope(content)
