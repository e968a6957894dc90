"""What is asked at leisure: histories, whatever their pages look like, and fresh depth."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted_venue import SECOND, START, build, error, ready_venue
from test_session import EURUSD, quote
from test_translate import wire_deal, wire_order, wire_position

from bot.engine.events import (
    OrderHistoryListed,
    Reconciled,
)
from bot.execution.requests import ResolveOrders, ResubscribeDepth
from bot.market.delta import (
    CLEAR_BOOK,
    DEPTH_BID,
    END_DEPTH,
)

# Histories.


def test_resolving_lists_orders_and_deals_and_then_reconciles() -> None:
    venue = ready_venue()
    venue.replies["ProtoOAOrderListReq"] = lambda r: [build("OrderListRes", hasMore=False, order=[wire_order()])]
    venue.replies["ProtoOADealListReq"] = lambda r: [build("DealListRes", hasMore=False, deal=[wire_deal()])]
    venue.replies["ProtoOAReconcileReq"] = lambda r: [build("ReconcileRes", position=[wire_position()])]
    before = len(venue.asked)
    venue.session.submit(ResolveOrders(START - 5 * SECOND), venue.now_ns)
    reconciled, listed = venue.talk().told()
    assert venue.names[before:] == ["OrderList", "DealList", "Reconcile"]
    orders, deals = venue.requests[before : before + 2]
    assert orders.fromTimestamp == (START - 5 * SECOND) // 1_000_000
    assert deals.toTimestamp == START // 1_000_000 + 3_600_000
    assert deals.maxRows == 500
    assert [p.position_id for p in reconciled.positions] == [9]
    assert listed.complete
    assert listed.from_ns == START - 5 * SECOND
    assert ([o.order_id for o in listed.orders], [d.deal_id for d in listed.deals]) == ([5], [7])


@given(
    # Spread over an hour, or crowded into a few milliseconds where windows share their edges.
    st.one_of(
        st.lists(st.integers(0, 3_600).map(lambda s: s * 1000), unique=True, max_size=30),
        st.lists(st.integers(0, 12), unique=True, max_size=8),
    ),
    st.integers(1, 5),
    st.booleans(),
    st.booleans(),
)
@settings(max_examples=60)
def test_a_history_of_many_pages_is_complete_whatever_the_order_of_a_page(
    offsets_ms: list[int], page: int, newest_first: bool, open_ended: bool
) -> None:
    venue = ready_venue()
    begin_ms = START // 1_000_000 - 3_600_000
    all_deals = {n: begin_ms + offset for n, offset in enumerate(offsets_ms, 1)}

    def answer(request):
        inside = [
            n for n, t in all_deals.items() if request.fromTimestamp <= t < request.toTimestamp + (not open_ended)
        ]
        inside.sort(key=lambda n: all_deals[n], reverse=newest_first)
        deals = [wire_deal(dealId=n, executionTimestamp=all_deals[n]) for n in inside[:page]]
        return [build("DealListRes", hasMore=len(inside) > page, deal=deals)]

    venue.replies["ProtoOADealListReq"] = answer
    venue.session.submit(ResolveOrders(begin_ms * 1_000_000), venue.now_ns)
    (listed,) = [e for e in venue.talk().told() if isinstance(e, OrderHistoryListed)]
    found = [d.deal_id for d in listed.deals]
    assert found == sorted(found, key=lambda n: all_deals[n])
    assert set(found) == set(all_deals) or not listed.complete
    if len(offsets_ms) <= page:
        assert listed.complete


def test_a_history_that_never_ends_is_given_up_and_says_so() -> None:
    venue = ready_venue()
    venue.replies["ProtoOAOrderListReq"] = lambda r: [build("OrderListRes", hasMore=True)]
    venue.session.submit(ResolveOrders(START), venue.now_ns)
    assert venue.talk().told()[-1].complete is False


def test_a_long_history_is_asked_in_weeks() -> None:
    venue = ready_venue()
    venue.session.submit(ResolveOrders(START - 20 * 86_400 * SECOND), venue.now_ns)
    assert venue.talk().told()[-1].complete
    spans = [r for r in venue.requests if r.DESCRIPTOR.name == "ProtoOAOrderListReq"]
    assert len(spans) == 3
    assert all(r.toTimestamp - r.fromTimestamp <= 604_800_000 for r in spans)


def test_a_refused_window_is_halved_and_another_refusal_makes_it_incomplete() -> None:
    venue = ready_venue()
    venue.replies["ProtoOADealListReq"] = lambda r: (
        [error("INCORRECT_BOUNDARIES")]
        if r.toTimestamp - r.fromTimestamp > 1_000_000
        else [build("DealListRes", hasMore=False)]
    )
    venue.session.submit(ResolveOrders(START), venue.now_ns)
    assert venue.talk().told()[-1].complete
    venue.replies["ProtoOADealListReq"] = lambda r: [error("INVALID_REQUEST")]
    venue.session.submit(ResolveOrders(START), venue.now_ns)
    assert [type(e) for e in venue.talk().told()] == [Reconciled, OrderHistoryListed]
    venue.replies["ProtoOAReconcileReq"] = lambda r: [error("INVALID_REQUEST")]
    venue.session.submit(ResolveOrders(START), venue.now_ns)
    (listed,) = venue.talk().told()
    assert listed.complete is False


def test_a_history_without_an_answer_is_incomplete_and_the_link_stays() -> None:
    venue = ready_venue()
    venue.replies["ProtoOAOrderListReq"] = lambda r: []
    venue.session.submit(ResolveOrders(START), venue.now_ns)
    venue.talk().wait(16)
    assert venue.told()[-1].complete is False
    assert venue.session.ready


def test_histories_are_told_one_after_the_other() -> None:
    venue = ready_venue()
    for n in range(3):
        venue.session.submit(ResolveOrders(START + n), venue.now_ns)
    assert [e.from_ns for e in venue.talk().told() if isinstance(e, OrderHistoryListed)] == [
        START,
        START + 1,
        START + 2,
    ]


# Depth renewed.


def test_renewed_depth_is_emptied_between_the_two_subscriptions() -> None:
    venue = ready_venue()
    venue.replies["ProtoOASubscribeDepthQuotesReq"] = lambda r: [
        build("SubscribeDepthQuotesRes"),
        build("DepthEvent", symbolId=EURUSD, newQuotes=[quote(3, bid=5)]),
    ]
    venue.session.submit(ResubscribeDepth(EURUSD), venue.now_ns)
    venue.session.submit(ResubscribeDepth(EURUSD), venue.now_ns)
    venue.session.submit(ResubscribeDepth(4711), venue.now_ns)
    (event,) = venue.talk().told()
    assert venue.names[-2:] == ["UnsubscribeDepthQuotes", "SubscribeDepthQuotes"]
    assert venue.names.count("UnsubscribeDepthQuotes") == 1
    assert list(venue.requests[-1].symbolId) == [EURUSD]
    assert event.rows["kind"].tolist() == [CLEAR_BOOK, DEPTH_BID, END_DEPTH]
    venue.session.submit(ResubscribeDepth(EURUSD), venue.now_ns)
    assert venue.talk().names.count("UnsubscribeDepthQuotes") == 2, "once done it can be asked again"


@pytest.mark.parametrize("lose", ["connection", "account"])
def test_a_renewal_cut_short_can_be_asked_again(lose: str) -> None:
    venue = ready_venue()
    venue.session.submit(ResubscribeDepth(EURUSD), venue.now_ns)
    if lose == "connection":
        venue.session.connection_lost(venue.now_ns, "cut")
        venue.connect()
    else:
        venue.tell(build("AccountDisconnectEvent"))
        venue.talk()
    venue.session.submit(ResubscribeDepth(EURUSD), venue.now_ns)
    assert venue.talk().names.count("UnsubscribeDepthQuotes") == 1


def test_depth_that_was_not_subscribed_is_subscribed_and_a_refusal_asks_for_a_new_connection() -> None:
    venue = ready_venue()
    venue.replies["ProtoOAUnsubscribeDepthQuotesReq"] = lambda r: [error("INVALID_REQUEST", "not subscribed")]
    venue.session.submit(ResubscribeDepth(EURUSD), venue.now_ns)
    assert venue.talk().told()[0].rows["kind"].tolist() == [CLEAR_BOOK]
    venue.replies["ProtoOASubscribeDepthQuotesReq"] = lambda r: [error("UNKNOWN_SYMBOL")]
    venue.session.submit(ResubscribeDepth(EURUSD), venue.now_ns)
    assert "UNKNOWN_SYMBOL" in venue.talk().session.wants_disconnect
