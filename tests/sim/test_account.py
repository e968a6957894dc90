"""The account against an oracle that knows nothing but the deals: volumes, balance and entry prices must follow."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from venue_client import EURJPY, EURUSD, Desk

LOT = 10_000_000
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("order"), st.sampled_from([EURUSD, EURJPY]), st.booleans(), st.integers(1, 30)),
        st.tuples(st.just("close"), st.integers(0, 5), st.booleans(), st.integers(1, 30)),
        st.tuples(st.just("move"), st.sampled_from([EURUSD, EURJPY]), st.booleans(), st.integers(1, 40)),
    ),
    max_size=25,
)


@settings(max_examples=60)
@given(STEPS, st.sampled_from(["hedged", "netted"]))
def test_positions_and_balance_are_what_the_deals_alone_say(steps: list[Any], account_type: str) -> None:
    desk = Desk(account_type=account_type, commission_per_million=Decimal(25), balance=Decimal(100_000))
    client = desk.client()
    prices = {EURUSD: 110_000, EURJPY: 16_500_000}
    units = {EURUSD: 1, EURJPY: 1_000}
    for kind, first, flag, size in steps:
        if kind == "order":
            client.order("MARKET", "BUY" if flag else "SELL", size * 100_000, symbol_id=first)
        elif kind == "move":
            prices[first] += (size if flag else -size) * units[first]
            desk.price(first, prices[first] - units[first], prices[first] + units[first])
        elif desk.account.positions:
            position = list(desk.account.positions.values())[first % len(desk.account.positions)]
            volume = position.volume_cents if flag else min(position.volume_cents, size * 100_000)
            client.send("ProtoOAClosePositionReq", positionId=position.position_id, volume=volume)
    deals = client.ask("ProtoOADealListReq").deal
    assert len({deal.dealId for deal in deals}) == len(deals)
    net: dict[int, int] = {}
    cost: dict[int, Decimal] = {}
    balance = 10_000_000
    for deal in deals:
        signed = deal.filledVolume if deal.tradeSide == 1 else -deal.filledVolume
        held = net.get(deal.positionId, 0)
        if deal.HasField("closePositionDetail"):
            detail = deal.closePositionDetail
            assert held * signed < 0, "a closing deal is against its position"
            assert detail.closedVolume == deal.filledVolume <= abs(held)
            assert detail.entryPrice == pytest.approx(float(cost[deal.positionId] / abs(held)), abs=1e-9)
            cost[deal.positionId] *= Decimal(abs(held) - deal.filledVolume) / abs(held)
            balance += detail.grossProfit + detail.swap + detail.commission
            assert detail.balance == balance
        else:
            assert held * signed >= 0
            entry = Decimal(repr(deal.executionPrice)) * deal.filledVolume
            cost[deal.positionId] = cost.get(deal.positionId, Decimal(0)) + entry
        net[deal.positionId] = held + signed
    listed = client.ask("ProtoOAReconcileReq").position
    volumes = {p.positionId: p.tradeData.volume * (1 if p.tradeData.tradeSide == 1 else -1) for p in listed}
    assert volumes == {position_id: volume for position_id, volume in net.items() if volume}
    assert client.ask("ProtoOATraderReq").trader.balance == balance
    if account_type == "netted":
        assert len({p.tradeData.symbolId for p in listed}) == len(listed)
    opened = sum(deal.commission for deal in deals)
    booked = sum(deal.closePositionDetail.commission for deal in deals)
    assert opened == booked + sum(p.commission for p in listed), "commission is charged once and booked once"


def test_equity_is_the_balance_plus_every_positions_net_profit() -> None:
    desk = Desk()
    client = desk.client()
    client.order("MARKET", "BUY", LOT)
    client.order("MARKET", "SELL", LOT // 2)
    desk.price(EURUSD, 110_049, 110_051)
    assert desk.account.equity() == 1_000_000 + 4_800 - 2_600
    assert desk.account.margin_level() == desk.account.equity() / 22_000


def test_an_account_without_positions_has_no_margin_level() -> None:
    assert Desk().account.margin_level() is None
