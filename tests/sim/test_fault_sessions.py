"""Faults of replies, sessions, tokens and servers, as a client sees them."""

from typing import Any

import pytest
from fault_bench import ANSWER, EXECUTION, MS, ORDER, VERSION, at, bench, names, on_event, on_request, version
from venue_client import ACCOUNT, EURUSD, SECOND, USDJPY, Desk, kinds

from bot.ctrader.schema import payload_type
from bot.sim.entities import AccountSettings
from bot.sim.faults.reply_faults import NoReply, PartialFill, Reject
from bot.sim.faults.script import ALWAYS, Fault, When
from bot.sim.faults.session_faults import (
    AccountDisconnect,
    Block,
    ClientDisconnect,
    ExpireToken,
    Maintenance,
    NotRoutable,
    Rate,
    RefuseConnections,
    ServerUnreachable,
    TokenInvalidated,
)


@pytest.mark.parametrize(
    ("shape", "name"),
    [
        ("error_res", "ProtoOAErrorRes"),
        ("common", "ProtoErrorRes"),
        ("order_error", "ProtoOAOrderErrorEvent"),
    ],
)
def test_a_rejection_comes_in_the_shape_asked_for_with_any_code_and_nothing_is_executed(shape: str, name: str) -> None:
    desk = bench(on_request(ORDER, Reject("NOBODY_KNOWS_THIS", shape), nth=2))
    client = desk.client()
    client.order("MARKET", "BUY", 100_000)
    (refused,) = client.order("MARKET", "BUY", 100_000)
    assert (refused.DESCRIPTOR.name, refused.errorCode) == (name, "NOBODY_KNOWS_THIS")
    assert len(desk.account.positions) == 1
    assert list(desk.venue.stage.request_log)[-1].outcome == "NOBODY_KNOWS_THIS"
    assert len(client.order("MARKET", "BUY", 100_000)) == 2, "once, and no more"


def test_a_rejection_by_execution_ends_an_order_that_was_accepted_and_history_knows_it() -> None:
    desk = bench(on_request(ORDER, Reject("MAX_EXPOSURE_REACHED", "execution")))
    client = desk.client()
    events = client.order("MARKET", "BUY", 100_000, clientOrderId="mine")
    assert kinds(events) == ["ORDER_ACCEPTED", "ORDER_REJECTED"]
    assert events[-1].errorCode == "MAX_EXPOSURE_REACHED"
    assert not desk.account.positions
    desk.wait(1)
    (order,) = client.ask("ProtoOAOrderListReq").order
    assert order.clientOrderId == "mine"


def test_a_rejection_by_execution_of_a_cancel_says_so() -> None:
    desk = bench(on_request("ProtoOACancelOrderReq", Reject("UNABLE_TO_CANCEL_ORDER", "execution")))
    client = desk.client()
    order = client.order("LIMIT", "BUY", 100_000, limitPrice=1.0)[0].order
    refused = client.ask("ProtoOACancelOrderReq", orderId=order.orderId)
    assert kinds([refused]) == ["ORDER_CANCEL_REJECTED"]
    assert order.orderId in desk.account.orders


@pytest.mark.parametrize(("request_is", "positions"), [("executed", 1), ("ignored", 0)])
def test_no_reply_means_nothing_or_an_order_nobody_told_of(request_is: str, positions: int) -> None:
    desk = bench(on_request(ORDER, NoReply(request_is)))
    client, other = desk.client(), desk.client()
    assert client.order("MARKET", "BUY", 100_000) == []
    assert len(desk.account.positions) == positions
    assert len(other.messages(EXECUTION)) == 2 * positions, "other connections hear of what happened"
    desk.wait(100)
    assert client.messages(EXECUTION) == []


def test_a_partial_fill_leaves_a_rest_that_is_cancelled_or_filled() -> None:
    desk = bench(on_request(ORDER, PartialFill(0.3)), on_request(ORDER, PartialFill(0.5, "filled"), nth=2))
    client = desk.client()
    events = client.order("MARKET", "BUY", 1_000_000)
    assert kinds(events) == ["ORDER_ACCEPTED", "ORDER_PARTIAL_FILL", "ORDER_CANCELLED"]
    assert events[-1].order.executedVolume == 300_000
    events = client.order("MARKET", "BUY", 1_000_000, symbol_id=USDJPY)
    desk.wait(5)
    events += client.messages()
    deals = [event.deal.filledVolume for event in events if kinds([event])[0] in ("ORDER_PARTIAL_FILL", "ORDER_FILLED")]
    assert deals == [500_000, 500_000]


def test_an_account_disconnect_ends_the_session_and_not_the_connection() -> None:
    desk = bench(at(10, AccountDisconnect()))
    client = desk.client()
    client.send("ProtoOASubscribeSpotsReq", symbolId=[EURUSD])
    desk.wait(10)
    (event,) = client.messages("ProtoOAAccountDisconnectEvent")
    assert event.ctidTraderAccountId == ACCOUNT
    assert client.ask("ProtoOATraderReq").errorCode == "ACCOUNT_NOT_AUTHORIZED"
    desk.price(EURUSD, 111_000, 111_010)
    assert client.received() == [], "its subscriptions are gone"
    assert client.ask("ProtoOAAccountAuthReq", accessToken="trade").DESCRIPTOR.name == "ProtoOAAccountAuthRes"


def test_an_invalidated_token_names_the_account_and_can_log_in_again() -> None:
    desk = bench(at(1, TokenInvalidated("revoked")))
    client = desk.client()
    desk.wait(1)
    (event,) = client.messages("ProtoOAAccountsTokenInvalidatedEvent")
    assert (list(event.ctidTraderAccountIds), event.reason) == ([ACCOUNT], "revoked")
    assert client.ask("ProtoOATraderReq").errorCode == "ACCOUNT_NOT_AUTHORIZED"
    assert client.ask("ProtoOAAccountAuthReq", accessToken="trade").DESCRIPTOR.name == "ProtoOAAccountAuthRes"


def test_of_two_accounts_only_the_one_of_the_fault_loses_its_session() -> None:
    other = ACCOUNT + 1
    desk = Desk(others=(AccountSettings(other),))
    client = desk.client()
    client.ask("ProtoOAAccountAuthReq", accessToken="trade", ctidTraderAccountId=other)
    desk.venue.stage.fire(AccountDisconnect(), account_id=other)
    (event,) = client.messages()
    assert event.ctidTraderAccountId == other
    assert client.ask("ProtoOATraderReq").DESCRIPTOR.name == "ProtoOATraderRes"


def test_a_client_disconnect_is_told_before_the_connection_ends() -> None:
    desk = bench(at(1, ClientDisconnect("enough")))
    client = desk.client()
    desk.wait(1)
    (event,) = client.messages()
    assert (event.DESCRIPTOR.name, event.reason) == ("ProtoOAClientDisconnectEvent", "enough")
    assert client.link.is_closed
    assert version(client) == []


@pytest.mark.parametrize("code", ["OA_AUTH_TOKEN_EXPIRED", "CH_ACCESS_TOKEN_INVALID"])
def test_an_expired_token_is_refused_until_it_is_refreshed(code: str) -> None:
    desk = bench(at(1, ExpireToken(code)))
    client = desk.client()
    desk.wait(1)
    assert names(client.received()) == ["ProtoOAAccountsTokenInvalidatedEvent"]
    assert client.ask("ProtoOAAccountAuthReq", accessToken="trade").errorCode == code
    fresh = client.ask("ProtoOARefreshTokenReq", refreshToken="refresh").accessToken
    assert client.ask("ProtoOAAccountAuthReq", accessToken=fresh).DESCRIPTOR.name == "ProtoOAAccountAuthRes"


def test_blocked_types_are_refused_with_the_seconds_to_wait() -> None:
    desk = bench(at(1, Block((VERSION, ORDER), 30 * SECOND)))
    client = desk.client()
    desk.wait(1)
    blocked = client.ask(VERSION)
    assert (blocked.errorCode, blocked.retryAfter) == ("BLOCKED_PAYLOAD_TYPE", 30)
    assert client.ask("ProtoOATraderReq").DESCRIPTOR.name == "ProtoOATraderRes"
    sent = desk.venue.stage.request_log.sent_between(payload_type(VERSION), desk.now_ns, desk.now_ns + 30 * SECOND)
    assert [entry.outcome for entry in sent] == ["BLOCKED_PAYLOAD_TYPE"]
    desk.wait(30)
    assert names(version(client)) == ANSWER


def test_a_block_may_keep_its_length_to_itself_and_grow() -> None:
    desk = bench(at(1, Block((VERSION,), 2 * SECOND, tells_retry_after=False, extends=True)))
    client = desk.client()
    desk.wait(1)
    assert not client.ask(VERSION).HasField("retryAfter")
    desk.wait(1.5)
    assert client.ask(VERSION).errorCode == "BLOCKED_PAYLOAD_TYPE"
    desk.wait(1.5)
    assert client.ask(VERSION).errorCode == "BLOCKED_PAYLOAD_TYPE"
    desk.wait(2)
    assert names(version(client)) == ANSWER


def test_other_limits_hold_for_a_while_for_old_and_new_connections() -> None:
    desk = bench(at(1, Rate(requests_per_s=2), for_ns=10 * SECOND))
    client = desk.client()
    desk.wait(1)
    codes = [getattr(client.ask(VERSION), "errorCode", "") for _ in range(3)]
    assert codes == ["", "", "REQUEST_FREQUENCY_EXCEEDED"]
    other = desk.client()
    assert client.ask(VERSION).errorCode == other.ask(VERSION).errorCode == "REQUEST_FREQUENCY_EXCEEDED"
    desk.wait(10)
    assert [names(version(client)) for _ in range(10)] == [ANSWER] * 10


@pytest.mark.parametrize(("shape", "name", "unit"), [("error_res", "ProtoOAErrorRes", SECOND),
                                                     ("common", "ProtoErrorRes", MS)])  # fmt: skip
def test_maintenance_refuses_everything_and_says_when_it_ends(shape: str, name: str, unit: int) -> None:
    desk = bench(at(5, Maintenance(shape), for_ns=60 * SECOND))
    client = desk.client()
    desk.wait(5)
    refused = client.ask(VERSION)
    assert (refused.DESCRIPTOR.name, refused.errorCode) == (name, "SERVER_IS_UNDER_MAINTENANCE")
    assert refused.maintenanceEndTimestamp * unit == desk.now_ns + 60 * SECOND
    newcomer = desk.client(stage="connected")
    refused = newcomer.ask("ProtoOAApplicationAuthReq", clientId="app", clientSecret="secret")
    assert refused.errorCode == "SERVER_IS_UNDER_MAINTENANCE"
    desk.wait(60)
    assert names(version(client)) == ANSWER


def test_maintenance_may_refuse_new_connections_and_needs_an_end() -> None:
    desk = Desk()
    desk.venue.stage.fire(Maintenance(connections="refused"))
    assert desk.venue.stage.fired[-1].problem is not None
    assert not desk.client().link.is_closed
    desk.venue.stage.fire(Maintenance(connections="refused"), for_ns=SECOND)
    assert desk.venue.connect(desk.now_ns).is_closed
    desk.wait(1)
    assert not desk.client().link.is_closed


def test_refused_connections_end_at_once_while_old_ones_stay() -> None:
    desk = bench(at(1, RefuseConnections(), for_ns=10 * SECOND))
    client = desk.client()
    desk.wait(1)
    refused = desk.venue.connect(desk.now_ns)
    assert (refused.is_closed, refused.aborts) == (True, True)
    assert names(version(client)) == ANSWER
    desk.wait(10)
    assert names(version(desk.client())) == ANSWER


@pytest.mark.parametrize(
    ("what", "code"), [(NotRoutable(), "CANT_ROUTE_REQUEST"), (ServerUnreachable(), "CH_SERVER_NOT_REACHABLE")]
)
def test_requests_on_an_account_fail_while_its_server_is_away(what: Any, code: str) -> None:
    desk = bench(at(1, what, for_ns=10 * SECOND))
    client = desk.client()
    desk.wait(1)
    refused = client.ask("ProtoOATraderReq")
    assert (refused.errorCode, refused.ctidTraderAccountId) == (code, ACCOUNT)
    assert [m.errorCode for m in client.order("MARKET", "BUY", 100_000)] == [code]
    assert names(version(client)) == ANSWER, "what needs no account is answered"
    desk.wait(10)
    assert client.ask("ProtoOATraderReq").DESCRIPTOR.name == "ProtoOATraderRes"


# -- when -----------------------------------------------------------------------------------------------------------


def struck_at(desk: Desk, seconds: int, step_s: float = 0.5) -> list[float]:
    start_ns = desk.now_ns
    for _ in range(round(seconds / step_s)):
        desk.wait(step_s)
    return [(fired.time_ns - start_ns) / SECOND for fired in desk.venue.stage.fired]


def test_every_strikes_on_its_grid_as_often_as_it_may_whatever_the_caller_s_steps() -> None:
    fault = Fault(AccountDisconnect(), When(every_ns=7 * SECOND), times=3)
    assert struck_at(bench(fault), 60) == struck_at(bench(fault), 60, step_s=20) == [7, 14, 21]


def test_jitter_moves_each_strike_around_the_grid_and_never_adds_up() -> None:
    fault = Fault(AccountDisconnect(), When(every_ns=10 * SECOND, jitter_ns=2 * SECOND))
    struck = struck_at(bench(fault), 1_000)
    off = [time - 10 * number for number, time in enumerate(struck, start=1)]
    assert len(struck) >= 99
    assert all(abs(distance) <= 2 for distance in off)
    assert len(set(off)) > 90


def test_probability_throws_the_dice_each_time() -> None:
    fault = Fault(AccountDisconnect(), When(every_ns=SECOND), probability=0.3)
    assert 220 < len(struck_at(bench(fault), 1_000, step_s=10)) < 380


def test_after_a_time_the_nth_request_of_that_name_is_struck_and_always_means_each_from_then_on() -> None:
    when = When(on_request=(VERSION,), nth=2, after_ns=10 * SECOND)
    desk = bench(Fault(Reject("X"), when, times=ALWAYS))
    client = desk.client()
    assert [names(version(client)) for _ in range(5)] == [ANSWER] * 5
    desk.wait(10)
    assert names(version(client)) == ANSWER
    client.ask("ProtoOATraderReq")
    assert [client.ask(VERSION).errorCode for _ in range(3)] == ["X", "X", "X"]


def test_a_time_beside_a_request_waits_for_the_first_one_from_then_on() -> None:
    desk = bench(Fault(Reject("X"), When(at_ns=10 * SECOND, on_request=(VERSION,))))
    client = desk.client()
    assert names(version(client)) == ANSWER
    desk.wait(11)
    assert client.ask(VERSION).errorCode == "X"
    assert names(version(client)) == ANSWER


def test_a_symbol_filter_looks_into_orders_and_positions() -> None:
    desk = bench(
        on_request(ORDER, Reject("X"), symbol="USDJPY"),
        on_request("ProtoOAClosePositionReq", Reject("Y"), symbol="USDJPY", times=ALWAYS),
        on_event(EXECUTION, ClientDisconnect(), kind="ORDER_FILLED", symbol="USDJPY", nth=2),
    )
    client = desk.client()
    client.order("MARKET", "BUY", 100_000)
    assert client.order("MARKET", "BUY", 100_000, symbol_id=USDJPY)[0].errorCode == "X"
    client.order("MARKET", "BUY", 100_000, symbol_id=USDJPY)
    euro, yen = desk.account.positions
    assert client.ask("ProtoOAClosePositionReq", positionId=yen, volume=100_000).errorCode == "Y"
    assert len(client.send("ProtoOAClosePositionReq", positionId=euro, volume=100_000)) >= 2
    assert not client.link.is_closed
    client.order("MARKET", "BUY", 100_000, symbol_id=USDJPY)
    assert client.link.is_closed
