"""Whatever is done to an account, by clients, by hand or by the broker: deals make positions, and money adds up."""

from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from venue_client import ACCOUNT, EURJPY, EURUSD, SECOND, Desk

from bot.sim.entities import Refused

STEP = 100_000
SYMBOLS = st.sampled_from([EURUSD, EURJPY])
VOLUMES = st.integers(1, 30).map(lambda steps: steps * STEP)
ACTS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["order", "by hand"]), SYMBOLS, st.booleans(), VOLUMES),
        st.tuples(st.sampled_from(["close", "close by hand", "swap", "margin"]), st.integers(0, 5), VOLUMES),
        st.tuples(st.just("price"), SYMBOLS, st.integers(-40, 40)),
        st.tuples(st.sampled_from(["deposit", "withdraw"]), st.integers(1, 3_000)),
        st.tuples(st.just("partial"), st.floats(0.05, 0.95), st.sampled_from(["cancelled", "filled"])),
        st.tuples(st.sampled_from(["reject", "stop", "resume", "close all"])),
        st.tuples(st.just("leverage"), st.sampled_from([30, 100, 500])),
    ),
    max_size=30,
)


class Scene:
    """A desk, its client, and the deals that events have told of."""

    def __init__(self, account_type: str, margin_mode: str) -> None:
        self.desk = Desk(
            account_type=account_type, margin_mode=margin_mode, commission_per_million=Decimal(25),
            balance=Decimal(100_000),
        )  # fmt: skip
        self.client = self.desk.client()
        self.prices = {EURUSD: 110_000, EURJPY: 16_500_000}
        self.deals: list[Any] = []
        self.transfers: list[Any] = []

    def act(self, kind: str, *rest: Any) -> None:
        desk, venue = self.desk, self.desk.venue
        held = list(desk.account.positions.values())
        if kind == "order":
            symbol_id, is_buy, volume = rest
            self.hear(self.client.order("MARKET", "BUY" if is_buy else "SELL", volume, symbol_id=symbol_id))
        elif kind == "by hand":
            venue.trade_by_hand(ACCOUNT, rest[0], "buy" if rest[1] else "sell", rest[2])
        elif kind == "price":
            symbol_id, move = rest
            unit = 1 if symbol_id == EURUSD else 1_000
            self.prices[symbol_id] += move * unit
            desk.price(symbol_id, self.prices[symbol_id] - unit, self.prices[symbol_id] + unit)
        elif kind in ("deposit", "withdraw"):
            getattr(venue, kind)(ACCOUNT, rest[0])
        elif kind == "partial":
            venue.partial_fill(None, rest[0], rest[1], SECOND // 2)
        elif kind == "reject":
            venue.reject_next(ACCOUNT, "TIMEOUT_ERROR")
        elif kind == "stop":
            venue.stop_trading(EURUSD)
        elif kind == "resume":
            venue.resume_trading(EURUSD)
        elif kind == "close all":
            venue.close_by_hand(ACCOUNT)
        elif kind == "leverage":
            venue.set_leverage(ACCOUNT, rest[0])
        elif held:
            position = held[rest[0] % len(held)]
            volume = min(rest[1], position.volume_cents)
            if kind == "close":
                request = {"positionId": position.position_id, "volume": volume}
                self.hear([body for _, body in self.client.send("ProtoOAClosePositionReq", **request)])
            elif kind == "close by hand":
                venue.close_by_hand(ACCOUNT, position.position_id, volume)
            elif kind == "swap":
                venue.book_swap(position.position_id, Decimal(rest[1]) / STEP - 15)
            else:
                venue.set_margin(position.position_id, 1 + rest[0])

    def hear(self, events: list[Any]) -> None:
        for event in events:
            if event.DESCRIPTOR.name == "ProtoOAExecutionEvent":
                self.deals += [event.deal] if event.HasField("deal") else []
                self.transfers += [event.depositWithdraw] if event.HasField("depositWithdraw") else []


@settings(max_examples=80, deadline=None)
@given(ACTS, st.sampled_from(["hedged", "netted"]), st.sampled_from(["recomputed", "fixed"]))
def test_deals_make_positions_and_the_balance_is_opening_plus_transfers_plus_closed_profit(
    acts: list[Any], account_type: str, margin_mode: str
) -> None:
    scene = Scene(account_type, margin_mode)
    desk, client = scene.desk, scene.client
    for act in acts:
        with suppress(Refused):  # the owner and the broker are refused what a client would be
            scene.act(*act)
        desk.wait(0.2)
        scene.hear(client.messages())
    desk.wait(2)
    scene.hear(client.messages())

    listed = client.ask("ProtoOADealListReq").deal
    assert [deal.dealId for deal in listed] == [deal.dealId for deal in scene.deals]
    net: dict[int, int] = {}
    balance, swaps = 10_000_000, 0
    for deal in listed:
        signed = deal.filledVolume if deal.tradeSide == 1 else -deal.filledVolume
        net[deal.positionId] = net.get(deal.positionId, 0) + signed
        if deal.HasField("closePositionDetail"):
            detail = deal.closePositionDetail
            balance += detail.grossProfit + detail.swap + detail.commission
            swaps += detail.swap
    for change in scene.transfers:
        balance += change.delta if change.operationType == 0 else -change.delta

    truth = desk.venue.snapshot(ACCOUNT)
    assert {held.position_id: held.signed_volume_cents for held in truth.positions} == {
        position_id: volume for position_id, volume in net.items() if volume
    }
    assert truth.balance == balance == client.ask("ProtoOATraderReq").trader.balance
    reconciled = client.ask("ProtoOAReconcileReq")
    assert {(p.positionId, p.usedMargin) for p in reconciled.position} == {
        (p.position_id, p.used_margin) for p in desk.account.positions.values()
    }
    assert [order.orderId for order in reconciled.order] == [order.order_id for order in truth.orders] == []
    for symbol_id in (EURUSD, EURJPY):
        assert truth.net_cents(symbol_id) == sum(
            p.tradeData.volume * (1 if p.tradeData.tradeSide == 1 else -1)
            for p in reconciled.position
            if p.tradeData.symbolId == symbol_id
        )
    if account_type == "netted":
        assert len({held.symbol_id for held in truth.positions}) == len(truth.positions)


def test_a_snapshot_holds_orders_books_and_money_and_does_not_move_afterwards() -> None:
    desk = Desk()
    client = desk.client()
    client.order("MARKET", "SELL", 10 * STEP)
    client.order("LIMIT", "SELL", 5 * STEP, limitPrice=1.2, label="bot", clientOrderId="mine")
    truth = desk.venue.snapshot(ACCOUNT)
    (held,), (order,) = truth.positions, truth.orders
    assert (held.symbol_id, held.signed_volume_cents, truth.net_cents(EURUSD)) == (EURUSD, -10 * STEP, -10 * STEP)
    assert (order.signed_left_cents, order.order_type, order.label, order.client_order_id) == (
        -5 * STEP, "LIMIT", "bot", "mine")  # fmt: skip
    market = truth.markets[EURUSD]
    assert (market.bid_e5, market.ask_e5, len(market.quotes)) == (109_999, 110_001, 2)
    assert (truth.balance, truth.used_margin, truth.money_digits) == (1_000_000, 2_200, 2)
    assert truth.equity == desk.account.equity()
    desk.price(EURUSD, 111_000, 111_002)
    assert truth.markets[EURUSD].quotes.keys() != desk.venue.books[EURUSD].quotes.keys()
    with pytest.raises(KeyError):
        desk.venue.snapshot(7)
