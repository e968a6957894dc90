"""A client's link: what must come first, who may do what, and what everything is answered with."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from venue_client import ACCOUNT, BTCUSD, EURUSD, SECOND, USDJPY, Desk, kinds

from bot.ctrader.framing import frame
from bot.ctrader.schema import enum, envelope, message, message_for, payload_type
from bot.sim.change import Change
from bot.sim.protocol import HEARTBEAT_NS, MAX_REQUEST_BYTES


def _order() -> dict[str, int]:
    return {"symbolId": EURUSD, "orderType": 1, "tradeSide": 1, "volume": 100_000}


# Every request of the protocol that is neither deprecated nor withdrawn, with fields that make it answerable.
REQUESTS: dict[str, tuple[dict[str, object], str]] = {
    "ProtoOAVersionReq": ({}, "ProtoOAVersionRes"),
    "ProtoOAGetAccountListByAccessTokenReq": ({"accessToken": "trade"}, "ProtoOAGetAccountListByAccessTokenRes"),
    "ProtoOAGetCtidProfileByTokenReq": ({"accessToken": "trade"}, "ProtoOAGetCtidProfileByTokenRes"),
    "ProtoOATraderReq": ({}, "ProtoOATraderRes"),
    "ProtoOAAssetListReq": ({}, "ProtoOAAssetListRes"),
    "ProtoOAAssetClassListReq": ({}, "ProtoOAAssetClassListRes"),
    "ProtoOASymbolCategoryListReq": ({}, "ProtoOASymbolCategoryListRes"),
    "ProtoOASymbolsListReq": ({}, "ProtoOASymbolsListRes"),
    "ProtoOASymbolByIdReq": ({"symbolId": [1, 2]}, "ProtoOASymbolByIdRes"),
    "ProtoOASymbolsForConversionReq": ({"firstAssetId": 3, "lastAssetId": 4}, "ProtoOASymbolsForConversionRes"),
    "ProtoOAReconcileReq": ({"returnProtectionOrders": True}, "ProtoOAReconcileRes"),
    "ProtoOASubscribeSpotsReq": ({"symbolId": [BTCUSD]}, "ProtoOASubscribeSpotsRes"),
    "ProtoOAUnsubscribeSpotsReq": ({"symbolId": [BTCUSD]}, "ProtoOAUnsubscribeSpotsRes"),
    "ProtoOASubscribeDepthQuotesReq": ({"symbolId": [EURUSD]}, "ProtoOASubscribeDepthQuotesRes"),
    "ProtoOAUnsubscribeDepthQuotesReq": ({"symbolId": [EURUSD]}, "ProtoOAUnsubscribeDepthQuotesRes"),
    "ProtoOASubscribeLiveTrendbarReq": ({"symbolId": EURUSD, "period": 1}, "ProtoOASubscribeLiveTrendbarRes"),
    "ProtoOAUnsubscribeLiveTrendbarReq": ({"symbolId": EURUSD, "period": 1}, "ProtoOAUnsubscribeLiveTrendbarRes"),
    "ProtoOAGetTrendbarsReq": ({"symbolId": EURUSD, "period": 1}, "ProtoOAGetTrendbarsRes"),
    "ProtoOAGetTickDataReq": ({"symbolId": EURUSD, "type": 1}, "ProtoOAGetTickDataRes"),
    "ProtoOANewOrderReq": (_order(), "ProtoOAExecutionEvent"),
    "ProtoOACancelOrderReq": ({"orderId": 1}, "ProtoOAOrderErrorEvent"),
    "ProtoOAAmendOrderReq": ({"orderId": 1}, "ProtoOAOrderErrorEvent"),
    "ProtoOAAmendPositionSLTPReq": ({"positionId": 1}, "ProtoOAOrderErrorEvent"),
    "ProtoOAClosePositionReq": ({"positionId": 1, "volume": 1}, "ProtoOAOrderErrorEvent"),
    "ProtoOADealListReq": ({}, "ProtoOADealListRes"),
    "ProtoOAOrderListReq": ({}, "ProtoOAOrderListRes"),
    "ProtoOADealListByPositionIdReq": ({"positionId": 1}, "ProtoOADealListByPositionIdRes"),
    "ProtoOAOrderDetailsReq": ({"orderId": 500_001}, "ProtoOAOrderDetailsRes"),
    "ProtoOAOrderListByPositionIdReq": ({"positionId": 1}, "ProtoOAOrderListByPositionIdRes"),
    "ProtoOADealOffsetListReq": ({"dealId": 900_001}, "ProtoOADealOffsetListRes"),
    "ProtoOAExpectedMarginReq": ({"symbolId": EURUSD, "volume": [100_000]}, "ProtoOAExpectedMarginRes"),
    "ProtoOACashFlowHistoryListReq": ({"fromTimestamp": 0, "toTimestamp": 1}, "ProtoOACashFlowHistoryListRes"),
    "ProtoOAMarginCallListReq": ({}, "ProtoOAMarginCallListRes"),
    "ProtoOAMarginCallUpdateReq": (
        {"marginCall": {"marginCallType": 61, "marginLevelThreshold": 90.0}}, "ProtoOAMarginCallUpdateRes"),
    "ProtoOAGetDynamicLeverageByIDReq": ({"leverageId": 1}, "ProtoOAGetDynamicLeverageByIDRes"),
    "ProtoOAGetPositionUnrealizedPnLReq": ({}, "ProtoOAGetPositionUnrealizedPnLRes"),
    "ProtoOARefreshTokenReq": ({"refreshToken": "refresh"}, "ProtoOARefreshTokenRes"),
    "ProtoOAAccountLogoutReq": ({}, "ProtoOAAccountLogoutRes"),
}  # fmt: skip


@pytest.mark.parametrize("name", REQUESTS)
def test_every_request_type_is_answered_first_with_its_own_answer_and_id(name: str) -> None:
    client = Desk().client()
    client.send("ProtoOASubscribeSpotsReq", symbolId=[EURUSD])
    client.order("MARKET", "BUY", 100_000)
    fields, answer = REQUESTS[name]
    msg_id, first = client.send(name, **fields)[0]
    assert (first.DESCRIPTOR.name, msg_id) == (answer, client.last_id)


def test_the_table_of_requests_above_is_complete() -> None:
    names = {
        cls.DESCRIPTOR.name
        for number in range(2_100, 2_200)
        if (cls := message_for(number)) is not None and cls.DESCRIPTOR.name.endswith("Req")
    }
    apart = {"ProtoOAApplicationAuthReq", "ProtoOAAccountAuthReq"}
    withdrawn = {name for name in names if name.startswith("ProtoOAv1PnL")}
    assert names - apart - withdrawn == set(REQUESTS)


@pytest.mark.parametrize("name", REQUESTS)
def test_nothing_may_precede_application_auth(name: str) -> None:
    client = Desk().client(stage="connected")
    assert client.ask(name, **REQUESTS[name][0]).errorCode == "CH_CLIENT_NOT_AUTHENTICATED"


@pytest.mark.parametrize("name", [n for n in REQUESTS if "ctidTraderAccountId" in message(n).DESCRIPTOR.fields_by_name])
def test_an_account_must_be_authorised_before_it_is_used(name: str) -> None:
    client = Desk().client(stage="app")
    assert client.ask(name, **REQUESTS[name][0]).errorCode == "ACCOUNT_NOT_AUTHORIZED"
    unknown = client.ask(name, **{**REQUESTS[name][0], "ctidTraderAccountId": 5})
    assert (unknown.errorCode, unknown.ctidTraderAccountId) == ("INVALID_REQUEST", 5)
    assert "not authorized" in unknown.description


@pytest.mark.parametrize(("client_id", "secret"), [("app", "wrong"), ("other", "secret"), ("", ""), ("ap", "psecret")])
def test_a_wrong_client_or_secret_is_refused(client_id: str, secret: str) -> None:
    client = Desk().client(stage="connected")
    refused = client.ask("ProtoOAApplicationAuthReq", clientId=client_id, clientSecret=secret)
    assert refused.errorCode == "CH_CLIENT_AUTH_FAILURE"
    assert client.ask("ProtoOAVersionReq").errorCode == "CH_CLIENT_NOT_AUTHENTICATED"


def test_a_second_login_of_each_kind_is_refused_as_a_duplicate() -> None:
    client = Desk().client()
    again = client.ask("ProtoOAApplicationAuthReq", clientId="app", clientSecret="secret")
    assert again.errorCode == "CH_CLIENT_ALREADY_AUTHENTICATED"
    assert client.ask("ProtoOAAccountAuthReq", accessToken="trade").errorCode == "ALREADY_LOGGED_IN"


def test_an_unknown_token_and_an_account_outside_the_grant_are_refused() -> None:
    client = Desk().client(stage="app")
    assert client.ask("ProtoOAAccountAuthReq", accessToken="stolen").errorCode == "CH_ACCESS_TOKEN_INVALID"
    other = client.ask("ProtoOAAccountAuthReq", accessToken="trade", ctidTraderAccountId=5)
    assert other.errorCode == "CH_CTID_TRADER_ACCOUNT_NOT_FOUND"
    listed = client.ask("ProtoOAGetAccountListByAccessTokenReq", accessToken="stolen")
    assert listed.errorCode == "CH_ACCESS_TOKEN_INVALID"


def test_a_view_token_reads_everything_and_trades_nothing() -> None:
    desk = Desk()
    trader, viewer = desk.client(), desk.client(token="view")
    listed = viewer.ask("ProtoOAGetAccountListByAccessTokenReq", accessToken="view")
    assert listed.permissionScope == enum("ProtoOAClientPermissionScope")["SCOPE_VIEW"]
    assert viewer.ask("ProtoOATraderReq").trader.balance == 1_000_000
    assert viewer.ask("ProtoOANewOrderReq", **_order()).errorCode == "TRADING_NOT_ALLOWED"
    trader.order("MARKET", "BUY", 100_000)
    assert kinds(viewer.messages()) == ["ORDER_ACCEPTED", "ORDER_FILLED"]


def test_a_refresh_token_works_once_and_the_old_pair_dies_at_once() -> None:
    desk = Desk()
    client, other = desk.client(), desk.client()
    (_, renewed), (_, ended) = client.send("ProtoOARefreshTokenReq", refreshToken="refresh")
    assert renewed.expiresIn == 2_628_000
    assert list(ended.ctidTraderAccountIds) == [ACCOUNT]
    assert kinds(other.messages()) == ["ProtoOAAccountsTokenInvalidatedEvent"]
    assert client.ask("ProtoOATraderReq").errorCode == "ACCOUNT_NOT_AUTHORIZED"
    assert client.ask("ProtoOAAccountAuthReq", accessToken="trade").errorCode == "CH_ACCESS_TOKEN_INVALID"
    assert client.ask("ProtoOARefreshTokenReq", refreshToken="refresh").errorCode == "CH_ACCESS_TOKEN_INVALID"
    assert client.ask("ProtoOAAccountAuthReq", accessToken=renewed.accessToken).ctidTraderAccountId == ACCOUNT
    assert client.send("ProtoOARefreshTokenReq", refreshToken=renewed.refreshToken)[0][1].accessToken not in (
        "trade",
        renewed.accessToken,
    )


def test_a_logout_ends_the_session_and_its_subscriptions() -> None:
    desk = Desk()
    client = desk.client()
    client.send("ProtoOASubscribeSpotsReq", symbolId=[EURUSD])
    assert kinds([body for _, body in client.send("ProtoOAAccountLogoutReq")]) == [
        "ProtoOAAccountLogoutRes",
        "ProtoOAAccountDisconnectEvent",
    ]
    desk.price(EURUSD, 110_100, 110_102)
    assert client.messages() == []
    assert client.ask("ProtoOATraderReq").errorCode == "ACCOUNT_NOT_AUTHORIZED"


@pytest.mark.parametrize("kind", [2131, 2126, 2189, 9_999, 5])
def test_what_is_no_request_is_unsupported(kind: int) -> None:
    client = Desk().client()
    client.link.receive(frame(message("ProtoMessage")(payloadType=kind, clientMsgId="x").SerializeToString()), 0)
    ((msg_id, body),) = client.received()
    assert (msg_id, body.DESCRIPTOR.name, body.errorCode) == ("x", "ProtoErrorRes", "UNSUPPORTED_MESSAGE")


def test_a_payload_that_cannot_be_read_or_lacks_a_field_is_an_invalid_request() -> None:
    client = Desk().client()
    for payload in (b"\xff\xff", b""):
        body = message("ProtoMessage")(payloadType=payload_type("ProtoOANewOrderReq"), payload=payload)
        client.link.receive(frame(body.SerializeToString()), 0)
        assert [error.errorCode for error in client.messages()] == ["INVALID_REQUEST"]


def test_a_peer_that_does_not_speak_the_protocol_is_closed() -> None:
    for data in (frame(b"\xff\xff\xff"), (MAX_REQUEST_BYTES + 1).to_bytes(4, "big"), b"GET / HTTP/1.1\r\n"):
        client = Desk().client()
        client.link.receive(data, 0)
        assert client.link.is_closed
        assert client.link.close_reason
        client.link.receive(frame(envelope(message("ProtoOAVersionReq")())), 0)
        assert client.messages() == []


@given(st.binary(max_size=60))
def test_no_bytes_can_break_a_link(data: bytes) -> None:
    client = FUZZED.client()
    client.link.receive(data, FUZZED.now_ns)
    client.link.receive(frame(data), FUZZED.now_ns)
    for kind in (payload_type("ProtoOANewOrderReq"), payload_type("ProtoOASubscribeSpotsReq")):
        body = message("ProtoMessage")(payloadType=kind, payload=data)
        client.link.receive(frame(body.SerializeToString()), FUZZED.now_ns)
    client.link.close()


FUZZED = Desk()


def test_a_request_may_come_in_any_pieces() -> None:
    client = Desk().client(stage="connected")
    data = frame(envelope(message("ProtoOAApplicationAuthReq")(clientId="app", clientSecret="secret"), "1"))
    for byte in data:
        client.link.receive(bytes([byte]), 0)
    assert [body.DESCRIPTOR.name for body in client.messages()] == ["ProtoOAApplicationAuthRes"]


def test_the_first_spot_has_both_prices_and_later_ones_only_what_moved() -> None:
    desk = Desk()
    client = desk.client()
    (_, _answer), (msg_id, first) = client.send("ProtoOASubscribeSpotsReq", symbolId=[EURUSD])
    assert msg_id is None
    assert (first.bid, first.ask) == (109_999, 110_001)
    assert not first.HasField("timestamp")
    desk.market.queue.append(Change(desk.now_ns, EURUSD, None, 110_005))
    desk.venue.advance(desk.now_ns)
    (moved,) = client.messages()
    assert (moved.HasField("bid"), moved.ask) == (False, 110_005)


def test_spot_times_come_only_when_asked_for() -> None:
    desk = Desk()
    client = desk.client()
    (_, spot) = client.send("ProtoOASubscribeSpotsReq", symbolId=[EURUSD], subscribeToSpotTimestamp=True)[1]
    assert spot.timestamp == desk.now_ns // 1_000_000


def test_depth_needs_spots_first_and_starts_with_the_whole_book() -> None:
    desk = Desk()
    client = desk.client()
    assert client.ask("ProtoOASubscribeDepthQuotesReq", symbolId=[EURUSD]).errorCode == "NOT_SUBSCRIBED_TO_SPOTS"
    client.send("ProtoOASubscribeSpotsReq", symbolId=[EURUSD])
    desk.quote(EURUSD, [(109_990, 7), (109_980, 8)], [(110_010, 9)])
    client.messages()
    snapshot = client.send("ProtoOASubscribeDepthQuotesReq", symbolId=[EURUSD])[1][1]
    assert sorted((q.bid, q.ask, q.size) for q in snapshot.newQuotes) == [
        (0, 110_010, 9), (109_980, 0, 8), (109_990, 0, 7)]  # fmt: skip
    assert all(quote.HasField("bid") != quote.HasField("ask") for quote in snapshot.newQuotes)
    desk.quote(EURUSD, [(109_991, 7)], [(110_010, 9)])
    (event,) = client.messages("ProtoOADepthEvent")
    assert sorted(event.deletedQuotes) == sorted(quote.id for quote in snapshot.newQuotes)
    assert len(event.newQuotes) == 2


def test_a_second_subscription_is_refused_and_one_after_unsubscribing_is_not() -> None:
    client = Desk().client()
    for what in ("Spots", "DepthQuotes"):
        client.send(f"ProtoOASubscribe{what}Req", symbolId=[EURUSD])
        again = client.ask(f"ProtoOASubscribe{what}Req", symbolId=[USDJPY, EURUSD] if what == "Spots" else [EURUSD])
        assert again.errorCode == "ALREADY_SUBSCRIBED"
    client.ask("ProtoOAUnsubscribeSpotsReq", symbolId=[EURUSD])
    assert len(client.send("ProtoOASubscribeSpotsReq", symbolId=[EURUSD])) == 2


def test_an_unknown_symbol_and_an_empty_list_are_refused() -> None:
    client = Desk().client()
    assert client.ask("ProtoOASubscribeSpotsReq", symbolId=[99]).errorCode == "SYMBOL_NOT_FOUND"
    assert client.ask("ProtoOASubscribeSpotsReq").errorCode == "INVALID_REQUEST"
    assert client.ask("ProtoOASymbolByIdReq", symbolId=[99]).errorCode == "SYMBOL_NOT_FOUND"


def test_market_data_goes_only_to_those_who_asked() -> None:
    desk = Desk()
    client, other = desk.client(), desk.client()
    client.send("ProtoOASubscribeSpotsReq", symbolId=[EURUSD])
    desk.price(EURUSD, 110_100, 110_102)
    desk.price(USDJPY, 15_100_000, 15_101_000)
    assert [body.symbolId for body in client.messages()] == [EURUSD]
    assert other.messages() == []


def test_a_link_without_the_account_hears_nothing_of_it() -> None:
    desk = Desk()
    trader, stranger = desk.client(), desk.client(stage="app")
    trader.order("MARKET", "BUY", 100_000)
    assert stranger.messages() == []


def test_quotes_that_only_leave_are_told_and_unsubscribing_spots_ends_depth_too() -> None:
    desk = Desk()
    client = desk.client()
    client.send("ProtoOASubscribeSpotsReq", symbolId=[EURUSD])
    snapshot = client.send("ProtoOASubscribeDepthQuotesReq", symbolId=[EURUSD])[1][1]
    gone = snapshot.newQuotes[0].id
    desk.market.queue.append(Change(desk.now_ns, EURUSD, deleted=(gone,)))
    desk.venue.advance(desk.now_ns)
    (event,) = client.messages()
    assert (list(event.deletedQuotes), len(event.newQuotes)) == ([gone], 0)
    client.ask("ProtoOAUnsubscribeSpotsReq", symbolId=[EURUSD])
    desk.price(EURUSD, 110_100, 110_102)
    assert client.messages() == []


def test_a_live_trendbar_rides_on_the_spot_event() -> None:
    desk = Desk()
    client = desk.client()
    early = client.ask("ProtoOASubscribeLiveTrendbarReq", symbolId=EURUSD, period=1)
    assert early.errorCode == "NOT_SUBSCRIBED_TO_SPOTS"
    client.send("ProtoOASubscribeSpotsReq", symbolId=[EURUSD])
    client.ask("ProtoOASubscribeLiveTrendbarReq", symbolId=EURUSD, period=1)
    desk.price(EURUSD, 110_100, 110_102)
    (spot,) = client.messages("ProtoOASpotEvent")
    (bar,) = spot.trendbar
    assert (bar.low + bar.deltaClose, bar.period) == (110_100, 1)


def test_the_venue_sends_a_heartbeat_after_25_idle_seconds_and_bears_the_clients() -> None:
    desk = Desk()
    client = desk.client()
    client.link.receive(frame(envelope(message("ProtoHeartbeatEvent")())), desk.now_ns)
    assert client.messages() == []
    assert desk.venue.next_event_ns() == desk.now_ns + HEARTBEAT_NS
    desk.venue.advance(desk.now_ns + HEARTBEAT_NS - 1)
    assert client.messages() == []
    desk.venue.advance(desk.now_ns + HEARTBEAT_NS)
    assert kinds(client.messages()) == ["ProtoHeartbeatEvent"]
    desk.venue.advance(desk.now_ns + HEARTBEAT_NS + 5 * SECOND)
    assert client.messages() == []


def test_a_closed_link_gets_nothing_more() -> None:
    desk = Desk()
    client = desk.client()
    client.send("ProtoOASubscribeSpotsReq", symbolId=[EURUSD])
    client.link.close()
    desk.price(EURUSD, 110_100, 110_102)
    assert client.link.pending_bytes == 0


def test_a_text_that_is_not_utf8_is_refused_and_harms_nobody_else() -> None:
    desk = Desk()
    desk_client, other = desk.client(), desk.client()
    order = message("ProtoOANewOrderReq")(ctidTraderAccountId=ACCOUNT, **_order(), label="abcd")
    body = envelope(order, "m").replace(b"abcd", b"ab\xff\xfe")
    desk_client.link.receive(frame(body), desk.now_ns)
    ((_, answer),) = desk_client.received()
    assert answer.errorCode == "INVALID_REQUEST"
    assert not other.ask("ProtoOAReconcileReq").order
    desk_client.link.receive(frame(envelope(message("ProtoOAVersionReq")(), "abcd").replace(b"abcd", b"ab\xff\xfe")), 0)
    assert desk_client.link.is_closed
