"""What an account remembers is bounded, and what it forgets does no harm."""

from venue_client import EURUSD, Desk

STEP = 100_000


def test_orders_deals_and_cash_flow_are_forgotten_oldest_first_but_never_a_working_order() -> None:
    desk = Desk(history_limit=10)
    client = desk.client()
    resting = client.order("LIMIT", "BUY", STEP, limitPrice=1.0)[0].order.orderId
    dealt = []
    for _ in range(40):
        desk.wait(1)
        opened = client.order("MARKET", "BUY", STEP)[1]
        close = {"positionId": opened.position.positionId, "volume": STEP}
        dealt += [opened.deal.dealId, client.send("ProtoOAClosePositionReq", **close)[1][1].deal.dealId]
        desk.venue.deposit(desk.account.settings.account_id, 1)
        client.messages()
    desk.wait(1)
    client.messages()
    account = desk.account
    assert (len(account.order_history), len(account.deals), len(account.cash_flow)) == (10, 10, 10)
    assert [deal.dealId for deal in client.ask("ProtoOADealListReq").deal] == dealt[-10:]
    listed = [order.orderId for order in client.ask("ProtoOAOrderListReq").order]
    assert resting in listed
    assert len(listed) == 10
    assert account.closed_ids == set()


def test_the_offsets_of_a_deal_leave_out_what_is_forgotten() -> None:
    desk = Desk(history_limit=3)
    client = desk.client()
    position_id = client.order("MARKET", "BUY", STEP)[1].position.positionId
    for _ in range(2):
        client.order("MARKET", "BUY", STEP, positionId=position_id)
    close = client.send("ProtoOAClosePositionReq", positionId=position_id, volume=3 * STEP)[1][1]
    offsets = client.ask("ProtoOADealOffsetListReq", dealId=close.deal.dealId)
    assert [offset.volume for offset in offsets.offsetting] == [STEP, STEP]


def test_a_closed_position_is_remembered_only_while_an_order_still_names_it() -> None:
    desk = Desk(account_type="netted")
    client = desk.client()
    first = client.order("MARKET", "BUY", STEP)[1].position.positionId
    order_id = client.order("LIMIT", "BUY", STEP, limitPrice=1.0995)[0].order.orderId
    client.send("ProtoOAClosePositionReq", positionId=first, volume=STEP)
    assert desk.account.closed_ids == {first}
    client.send("ProtoOACancelOrderReq", orderId=order_id)
    second = client.order("MARKET", "BUY", STEP, symbol_id=EURUSD)[1].position.positionId
    assert second != first
    client.send("ProtoOAClosePositionReq", positionId=second, volume=STEP)
    assert desk.account.closed_ids == set()
