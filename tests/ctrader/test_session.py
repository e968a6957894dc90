"""READY and after: market data, trades, their echoes, histories, and whatever else may come over the wire."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted_venue import ACCOUNT, SECOND, START, ScriptedVenue, build, error, plan, ready_venue
from test_translate import place, trade_data, wire_deal, wire_order, wire_position

from bot.ctrader.correlation import Outcome
from bot.ctrader.framing import FrameReader, frame
from bot.ctrader.schema import envelope, message
from bot.ctrader.session import Session
from bot.engine.events import (
    ExecutionReported,
    MarginStated,
    MarketDataChanged,
    RequestRefused,
    StopTrailed,
)
from bot.execution.requests import AmendOrder, CancelOrder, ClosePosition, ResolveOrders, ResubscribeDepth
from bot.market.delta import (
    DEPTH_ASK,
    DEPTH_BID,
    DEPTH_DELETE,
    END_DEPTH,
    END_SPOT,
    SPOT_ASK,
    SPOT_BID,
)

EURUSD, USDJPY = 11, 12  # indices 1 and 0
CLOSE = ClosePosition("close-1", EURUSD, 9, 500)
TRADES = [place(), CLOSE, AmendOrder("amend-1", EURUSD, 5, 400, limit_price=1.1), CancelOrder("cancel-1", EURUSD, 5)]


def quote(quote_id: int, size: int = 100, **side: int):
    return build("DepthQuote", id=quote_id, size=size, **side)


def submit(venue: ScriptedVenue, request) -> str:
    """Submit a request and return the message id under which it left."""
    venue.session.submit(request, venue.now_ns)
    venue.talk()
    return venue.asked[-1][1]


# Market data.


def test_spot_and_depth_become_rows_of_one_event_until_something_else_happens() -> None:
    venue = ready_venue()
    venue.tell(build("SpotEvent", symbolId=EURUSD, bid=110_000))
    venue.tell(build("DepthEvent", symbolId=USDJPY, newQuotes=[quote(2, ask=7), quote(1, bid=5)], deletedQuotes=[9]))
    venue.tell(build("ExecutionEvent", executionType=2))
    venue.tell(build("SpotEvent", symbolId=EURUSD, ask=110_010))
    first, execution, second = venue.told()
    assert first.rows.tolist() == [
        (SPOT_BID, 1, 0, 110_000, 0),
        (END_SPOT, 1, 0, 0, 0),
        (DEPTH_DELETE, 0, 9, 0, 0),
        (DEPTH_ASK, 0, 2, 7, 100),
        (DEPTH_BID, 0, 1, 5, 100),
        (END_DEPTH, 0, 0, 0, 0),
    ]
    assert isinstance(execution, ExecutionReported)
    assert second.rows.tolist() == [(SPOT_ASK, 1, 0, 110_010, 0), (END_SPOT, 1, 0, 0, 0)]
    assert not first.rows.flags.writeable


def test_rows_received_at_different_times_are_different_events() -> None:
    venue = ready_venue()
    venue.tell(build("SpotEvent", symbolId=EURUSD, bid=1))
    venue.now_ns += 5
    venue.tell(build("SpotEvent", symbolId=EURUSD, bid=2))
    assert [e.recv_ns for e in venue.told()] == [START, START + 5]


@pytest.mark.parametrize(
    "bad", [quote(1), quote(1, bid=1, ask=2), quote(1, bid=0), quote(1, size=0, bid=5), quote(1, bid=2**63)]
)
def test_a_quote_that_cannot_be_one_is_dropped_and_counted_and_its_message_goes_on(bad) -> None:
    venue = ready_venue()
    venue.tell(build("DepthEvent", symbolId=EURUSD, newQuotes=[bad, quote(2**64 - 1, bid=5)]))
    (event,) = venue.told()
    assert event.rows.tolist() == [(DEPTH_BID, 1, 2**64 - 1, 5, 100), (END_DEPTH, 1, 0, 0, 0)]
    assert venue.session.counters["bad_quotes"] == 1


def test_a_spot_price_of_zero_is_no_price_and_an_absent_side_no_zero() -> None:
    venue = ready_venue()
    venue.tell(build("SpotEvent", symbolId=EURUSD, bid=0))
    venue.tell(build("SpotEvent", symbolId=EURUSD))
    assert venue.told()[0].rows["kind"].tolist() == [END_SPOT, END_SPOT]
    assert venue.session.counters["bad_quotes"] == 1


def test_market_data_of_unknown_symbols_and_foreign_accounts_is_counted_and_passed_over() -> None:
    venue = ready_venue()
    venue.tell(build("SpotEvent", symbolId=4711, bid=1))
    venue.tell(build("DepthEvent", symbolId=EURUSD, ctidTraderAccountId=3))
    assert venue.told() == []
    assert (venue.session.counters["unknown_symbols"], venue.session.counters["market_data_ignored"]) == (1, 1)


def test_market_data_before_the_symbols_are_known_is_ignored() -> None:
    venue = ScriptedVenue(Session(plan()))
    venue.session.connection_made(START)
    venue.tell(build("SpotEvent", symbolId=EURUSD, bid=1))
    assert venue.session.counters["market_data_ignored"] == 1
    assert not any(isinstance(e, MarketDataChanged) for e in venue.connect().told())


@pytest.mark.parametrize(
    ("kind", "quotes"),
    [
        ("Spots", build("SpotEvent", symbolId=EURUSD, bid=1, ask=2)),
        ("DepthQuotes", build("DepthEvent", symbolId=EURUSD, newQuotes=[quote(1, bid=5)])),
    ],
)
def test_a_first_quote_that_comes_before_the_reply_to_the_subscription_is_kept(kind: str, quotes) -> None:
    venue = ScriptedVenue(Session(plan()))
    venue.replies[f"ProtoOASubscribe{kind}Req"] = lambda r: [quotes, build(f"Subscribe{kind}Res")]
    assert any(isinstance(e, MarketDataChanged) for e in venue.connect().told())


contents = st.one_of(
    st.builds(lambda s, b: build("SpotEvent", symbolId=s, bid=b), st.sampled_from([11, 12, 99]), st.integers(0, 9)),
    st.builds(
        lambda s, q: build("DepthEvent", symbolId=s, newQuotes=q),
        st.sampled_from([11, 12]),
        st.lists(st.builds(lambda i, b: quote(i, bid=b), st.integers(0, 3), st.integers(0, 3)), max_size=3),
    ),
    st.builds(lambda n: build("ExecutionEvent", executionType=2, order=wire_order(orderId=n)), st.integers(1, 5)),
    st.just(build("MarginChangedEvent", positionId=1, usedMargin=5)),
)


def plain(events) -> list:
    """Return events with their rows as one list wherever they were cut."""
    out: list = []
    for event in events:
        if not isinstance(event, MarketDataChanged):
            out.append(event)
        elif out and isinstance(out[-1], list):
            out[-1] += event.rows.tolist()
        else:
            out.append(event.rows.tolist())
    return out


@given(st.lists(contents, max_size=8), st.lists(st.integers(1, 60), min_size=1), st.integers(0, 3))
@settings(max_examples=50)
def test_any_split_of_the_stream_gives_the_same_events(messages, sizes, drain_every) -> None:
    stream = b"".join(frame(envelope(m)) for m in messages)
    results = []
    for cuts in ([len(stream) or 1], sizes):
        venue, reader, events, rest, i = ready_venue(), FrameReader(), [], stream, 0
        while rest:
            size = cuts[i % len(cuts)]
            for body in reader.receive(rest[:size]):
                venue.session.receive_frame(body, START)
            if drain_every and i % drain_every == 0:
                events += venue.told()
            rest, i = rest[size:], i + 1
        results.append(plain(events + venue.told()))
    assert results[0] == results[1]


# Trades and their echoes.


@pytest.mark.parametrize("request_", [*TRADES, ResolveOrders(START), ResubscribeDepth(EURUSD)])
def test_what_is_asked_before_ready_is_refused_and_never_sent(request_) -> None:
    venue = ScriptedVenue(Session(plan()))
    venue.session.submit(request_, START)
    (event,) = venue.told()
    assert (event.error_code, event.client_order_id) == ("NOT_READY", getattr(request_, "client_order_id", None))
    venue.connect()
    assert not {"NewOrder", "ClosePosition", "AmendOrder", "CancelOrder", "OrderList"} & set(venue.names)


@pytest.mark.parametrize("request_", TRADES)
def test_a_trade_leaves_at_once_under_a_fresh_id(request_) -> None:
    venue = ready_venue()
    message_id = submit(venue, request_)
    assert venue.names[-1] in ("NewOrder", "ClosePosition", "AmendOrder", "CancelOrder")
    assert message_id not in [i for _, i in venue.asked[:-1]]
    assert venue.requests[-1].ctidTraderAccountId == ACCOUNT
    assert venue.told() == []


@pytest.mark.parametrize("request_", TRADES)
@pytest.mark.parametrize(
    "refusal",
    [
        error("NOT_ENOUGH_MONEY", "no"),
        build("OrderErrorEvent", errorCode="NOT_ENOUGH_MONEY", description="no", orderId=0, positionId=0),
        build("ProtoErrorRes", errorCode="NOT_ENOUGH_MONEY", description="no"),
    ],
    ids=lambda m: m.DESCRIPTOR.name,
)
def test_a_refusal_of_any_shape_finds_its_order(request_, refusal) -> None:
    venue = ready_venue()
    venue.tell(refusal, submit(venue, request_))
    (event,) = venue.told()
    assert (event.client_order_id, event.error_code, event.description) == (
        request_.client_order_id,
        "NOT_ENOUGH_MONEY",
        "no",
    )
    assert event.order_id == getattr(request_, "order_id", None)
    assert event.position_id == getattr(request_, "position_id", None)
    venue.tell(refusal, venue.asked[-1][1])
    assert [e for e in venue.told() if e.client_order_id] == [], "an answer counts once"


@pytest.mark.parametrize("code", ["TIMEOUT_ERROR", "CH_SERVER_NOT_REACHABLE", "UNKNOWN_ERROR", "NEVER_HEARD_OF"])
def test_an_error_that_leaves_the_outcome_open_says_so(code: str) -> None:
    venue = ready_venue()
    venue.tell(error(code), submit(venue, place()))
    (event,) = venue.told()
    assert (event.error_code, event.outcome_unknown) == (code, True)
    assert venue.session.requests.outcomes[Outcome.UNKNOWN] == 1
    assert venue.session.ready


def test_an_order_error_without_our_id_is_told_with_the_ids_it_has() -> None:
    venue = ready_venue()
    venue.tell(build("OrderErrorEvent", errorCode="ORDER_NOT_FOUND", orderId=5, positionId=0))
    (event,) = venue.told()
    assert (event.client_order_id, event.order_id, event.position_id) == (None, 5, None)


def test_all_events_of_a_close_carry_our_id_even_after_a_drop() -> None:
    venue = ready_venue()
    closing = wire_order(orderId=77, closingOrder=True)
    venue.tell(build("ExecutionEvent", executionType=2, order=closing), submit(venue, CLOSE))
    venue.tell(build("ExecutionEvent", executionType=11, order=closing, deal=wire_deal(orderId=77)))
    venue.session.connection_lost(venue.now_ns, "cut")
    venue.connect()
    venue.tell(build("ExecutionEvent", executionType=3, deal=wire_deal(orderId=77), position=wire_position()))
    venue.tell(build("ExecutionEvent", executionType=3, order=wire_order(orderId=78)))
    told = [e for e in venue.told() if isinstance(e, ExecutionReported)]
    assert [e.client_order_id for e in told] == ["close-1", "close-1", "close-1", None]
    assert [e.kind for e in told] == ["accepted", "partially_filled", "filled", "filled"]


def test_a_cancel_is_answered_by_the_order_it_cancelled() -> None:
    venue = ready_venue()
    cancelled = wire_order(orderId=5, clientOrderId="resting-1", orderStatus=5)
    venue.tell(build("ExecutionEvent", executionType=5, order=cancelled), submit(venue, TRADES[2]))
    (event,) = venue.told()
    assert (event.kind, event.client_order_id) == ("cancelled", "resting-1")


def test_events_of_another_account_are_passed_over() -> None:
    venue = ready_venue()
    venue.tell(build("ExecutionEvent", executionType=2, ctidTraderAccountId=3))
    assert venue.told() == []


def test_a_fill_during_the_handshake_is_not_lost() -> None:
    venue = ScriptedVenue(Session(plan()))
    venue.replies["ProtoOATraderReq"] = lambda r: [
        build("ExecutionEvent", executionType=3, deal=wire_deal()),
        *ScriptedVenue(Session(plan())).replies["ProtoOATraderReq"](r),
    ]
    assert any(isinstance(e, ExecutionReported) for e in venue.connect().told())


def test_what_never_left_is_reported_and_what_left_is_not() -> None:
    venue = ready_venue()
    submit(venue, place(client_order_id="left"))
    venue.session.submit(place(client_order_id="stayed"), venue.now_ns)
    venue.session.submit(ResolveOrders(START), venue.now_ns)
    venue.session.connection_lost(venue.now_ns, "cut")
    refusal, readiness = venue.told()
    assert (refusal.client_order_id, refusal.error_code) == ("stayed", "NOT_SENT")
    assert "cut" in refusal.description
    assert readiness.reasons == ("disconnected",)
    before = len(venue.asked)
    venue.connect()
    assert not {"NewOrder", "OrderList"} & set(venue.names[before:]), "nothing queued survives a drop"


def test_an_account_loss_reports_what_never_left_and_still_takes_late_answers() -> None:
    venue = ready_venue()
    left = submit(venue, place(client_order_id="left"))
    venue.session.submit(place(client_order_id="stayed"), venue.now_ns)
    venue.tell(build("AccountDisconnectEvent"))
    assert [e.client_order_id for e in venue.told() if isinstance(e, RequestRefused)] == ["stayed"]
    venue.tell(error("MARKET_CLOSED"), left)
    assert [e.client_order_id for e in venue.told() if isinstance(e, RequestRefused)] == ["left"]


@pytest.mark.parametrize(
    "refusal", [error("ACCOUNT_NOT_AUTHORIZED"), error("INVALID_REQUEST", "Trading account is not authorized")]
)
def test_an_order_refused_for_a_lost_session_brings_the_session_back(refusal) -> None:
    venue = ready_venue()
    venue.tell(refusal, submit(venue, place()))
    assert not venue.session.ready
    assert venue.talk().session.ready


def test_an_order_refused_for_a_lost_application_asks_for_a_new_connection() -> None:
    venue = ready_venue()
    venue.tell(error("CH_CLIENT_NOT_AUTHENTICATED"), submit(venue, place()))
    assert "CH_CLIENT_NOT_AUTHENTICATED" in venue.session.wants_disconnect


def test_a_blocked_kind_of_order_is_refused_here_until_the_block_is_over() -> None:
    venue = ready_venue()
    venue.tell(error("BLOCKED_PAYLOAD_TYPE", retryAfter=60), submit(venue, place(client_order_id="a")))
    venue.session.submit(place(client_order_id="b"), venue.now_ns)
    venue.session.submit(CLOSE, venue.now_ns)
    assert [(e.client_order_id, e.error_code) for e in venue.told()] == [
        ("a", "BLOCKED_PAYLOAD_TYPE"),
        ("b", "BLOCKED_PAYLOAD_TYPE"),
    ]
    venue.talk()
    assert venue.names[-1] == "ClosePosition", "closes are another kind"
    venue.now_ns += 60 * SECOND
    submit(venue, place(client_order_id="c"))
    assert venue.names[-1] == "NewOrder"


def test_changes_that_take_risk_away_leave_before_what_adds_some() -> None:
    venue = ready_venue()
    farther = AmendOrder("farther", EURUSD, 5, 400, limit_price=1.0, reduces_risk=True)
    for request in (
        place(),
        AmendOrder("nearer", EURUSD, 6, 400, limit_price=1.1),
        farther,
        CancelOrder("c", EURUSD, 7),
    ):
        venue.session.submit(request, venue.now_ns)
    venue.talk()
    assert venue.names[-4:] == ["AmendOrder", "CancelOrder", "NewOrder", "AmendOrder"]
    assert venue.requests[-4].orderId == 5


def test_an_order_the_venue_cannot_take_is_refused_here() -> None:
    venue = ready_venue()
    venue.session.submit(place(volume_cents=0), START)
    (event,) = venue.told()
    assert (event.error_code, event.client_order_id) == ("NOT_SENT", "c1")


def test_an_error_without_a_request_that_ends_the_grant_is_fatal() -> None:
    venue = ready_venue()
    venue.tell(error("CH_ACCESS_TOKEN_INVALID"))
    assert venue.session.fatal.exit_code == 3


# Whatever else may come.


def test_an_unknown_payload_type_is_counted_and_passed_over() -> None:
    venue = ready_venue()
    body = message("ProtoMessage")(payloadType=2999, payload=b"\xff").SerializeToString()
    for _ in range(5):
        venue.session.receive_frame(body, START)
    assert venue.session.counters["unknown_types"] == 5
    assert venue.session.ready


@pytest.mark.parametrize(
    "bad",
    [
        b"\xff\xff",
        b"",
        message("ProtoMessage")(payloadType=2131, payload=b"\xff").SerializeToString(),
        message("ProtoMessage")(payloadType=2126).SerializeToString(),
        envelope(build("ExecutionEvent", executionType=3, position=wire_position(moneyDigits=4_000_000_000))),
    ],
)
def test_three_unreadable_frames_in_a_row_end_the_connection_and_two_do_not(bad: bytes) -> None:
    venue = ready_venue()
    for _ in range(4):
        for _ in range(2):
            venue.session.receive_frame(bad, START)
        venue.tell(message("ProtoHeartbeatEvent")())
    assert venue.session.ready
    for _ in range(3):
        venue.session.receive_frame(bad, START)
    assert "3 frames in a row" in venue.session.wants_disconnect
    assert venue.session.counters["malformed"] == 11


@given(st.lists(st.one_of(st.binary(max_size=60), contents.map(envelope)), max_size=6), st.data())
def test_no_bytes_at_all_raise(frames: list[bytes], data: st.DataObject) -> None:
    venue = ready_venue()
    for body in frames:
        changed = bytearray(body)
        if changed:
            changed[data.draw(st.integers(0, len(changed) - 1))] ^= data.draw(st.integers(0, 255))
        venue.session.receive_frame(bytes(changed), START)
    venue.session.handle_timeout(START + 1)
    venue.session.data_to_send(START + 1)
    venue.told()


def test_a_dispensable_event_is_counted_as_unexpected() -> None:
    venue = ready_venue()
    call = build("MarginCall", marginCallType=61, marginLevelThreshold=0.5)
    venue.tell(build("MarginCallUpdateEvent", marginCall=call))
    venue.tell(build("ExecutionEvent", executionType=9, position=wire_position(tradeData=trade_data())))
    assert venue.session.counters["unexpected"] == 1
    assert venue.told()[0].kind == "swap"


def test_a_change_of_margin_is_told_in_money() -> None:
    venue = ready_venue()
    venue.tell(build("MarginChangedEvent", positionId=1, usedMargin=51_234, moneyDigits=3))
    assert venue.told() == [MarginStated(venue.now_ns, 1, Decimal("51.234"))]


def test_a_trailing_stop_that_the_broker_has_moved_is_told() -> None:
    venue = ready_venue()
    moved = {"positionId": 1, "orderId": 2, "stopPrice": 1.0995, "utcLastUpdateTimestamp": 1_700_000_000_123}
    venue.tell(build("TrailingSLChangedEvent", **moved))
    assert venue.told() == [StopTrailed(venue.now_ns, 1, 2, 1.0995, 1_700_000_000_123_000_000)]
    venue.tell(build("TrailingSLChangedEvent", **moved, ctidTraderAccountId=4711))
    assert venue.told() == []


def test_text_that_is_not_utf8_is_read_as_far_as_it_can_be() -> None:
    venue = ready_venue()
    bad = wire_order(clientOrderId="abcd")
    body = envelope(build("ExecutionEvent", executionType=2, order=bad)).replace(b"abcd", b"ab\xff\xfe")
    venue.session.receive_frame(body, START)
    (event,) = venue.told()
    assert event.client_order_id == "ab\ufffd\ufffd"
    venue.session.receive_frame(envelope(error("abcd"), submit(venue, place())).replace(b"abcd", b"ab\xff\xfe"), START)
    assert venue.session.requests.outcomes[Outcome.UNKNOWN] == 1
