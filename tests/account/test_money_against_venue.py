"""Balance, swap, commission and profit as we keep them, against the embedded venue's own books, to the cent.

The portfolio hears what a bot hears: execution events over the protocol. With the venue's position in them every figure
is the venue's exactly; without it, only the rounding of a share of swap or commission may differ.
"""

from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from venue_client import EURJPY, EURUSD, PRICES_E5, USDJPY, Desk

from bot.account.portfolio import Portfolio
from bot.ctrader.schema import message
from bot.ctrader.translate import deal, execution_reported, money

SYMBOLS = (EURUSD, USDJPY, EURJPY)
STEP = 100_000
ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("order"), st.sampled_from(SYMBOLS), st.booleans(), st.integers(1, 30)),
        st.tuples(st.just("close"), st.integers(0, 5), st.integers(1, 30)),
        st.tuples(st.just("swap"), st.integers(0, 5), st.integers(-900, 900)),
        st.tuples(st.just("price"), st.sampled_from(SYMBOLS), st.integers(-40, 40)),
        st.tuples(st.just("money"), st.integers(-500, 500)),
    ),
    max_size=25,
)


class Books:
    """A venue, and a portfolio that hears of it."""

    def __init__(self, account_type: str, deposit: str, *, snapshots: bool = True) -> None:
        self.desk = Desk(
            account_type=account_type, deposit_currency=deposit, commission_per_million=Decimal(25),
            balance=Decimal(10**6),
        )  # fmt: skip
        self.client = self.desk.client()
        self.account = self.desk.account
        self.deposit, self.snapshots = deposit, snapshots
        self.closes = 0
        self.prices = {symbol_id: PRICES_E5[symbol_id] for symbol_id in SYMBOLS}
        self.portfolio = Portfolio("", manage_all=True)
        self.portfolio.set_symbols({symbol_id: i for i, symbol_id in enumerate(SYMBOLS)})
        trader = self.client.ask("ProtoOATraderReq").trader
        self.portfolio.set_balance(money(trader.balance, trader.moneyDigits), trader.balanceVersion)

    def act(self, kind: str, *rest: Any) -> None:
        positions, told = list(self.account.positions.values()), []
        if kind == "order":
            symbol_id, is_buy, size = rest
            told = self.client.order("MARKET", "BUY" if is_buy else "SELL", size * STEP, symbol_id=symbol_id)
        elif kind == "price":
            symbol_id, move = rest
            unit = 1 if symbol_id == EURUSD else 1_000
            self.prices[symbol_id] += move * unit
            self.desk.price(symbol_id, self.prices[symbol_id] - unit, self.prices[symbol_id] + unit)
            self.client.messages()
        elif kind == "money" and rest[0]:
            (self.desk.venue.deposit if rest[0] > 0 else self.desk.venue.withdraw)(1_000_001, abs(rest[0]))
            told = self.client.messages()
        elif positions and kind == "close":
            position = positions[rest[0] % len(positions)]
            volume = min(position.volume_cents, rest[1] * STEP)
            self.client.link.data_to_send()
            told = [m for _, m in self.client.send(
                "ProtoOAClosePositionReq", positionId=position.position_id, volume=volume
            )]  # fmt: skip
        elif positions and kind == "swap":
            amount = Decimal(rest[1]) / 10**self.account.money_digits
            self.desk.venue.back_office.book_swap(positions[rest[0] % len(positions)].position_id, amount)
            told = self.client.messages()
        for body in told:
            if body.DESCRIPTOR.name == "ProtoOAExecutionEvent":
                self.hear(body)

    def hear(self, body: Any) -> None:
        event = execution_reported(body, None, 0)
        if event.deal is not None:
            self.closes += event.deal.gross_profit is not None
            snapshot = event.position if self.snapshots else None
            self.portfolio.apply_deal(event.deal, label="", snapshot=snapshot)
        elif event.position is not None:
            self.portfolio.update_position(event.position)
        if event.balance is not None and event.balance_change is not None:
            self.portfolio.set_balance(event.balance, event.balance_version)

    def minor(self, amount: int) -> Decimal:
        return money(amount, self.account.money_digits)

    def rates(self) -> np.ndarray:
        of_quote = {"USD": self.desk.venue.rates.rate("USD", self.deposit)}
        of_quote["JPY"] = self.desk.venue.rates.rate("JPY", self.deposit)
        return np.array([float(of_quote[quote]) for quote in ("USD", "JPY", "JPY")])

    def check(self) -> None:
        held = {p.position_id: p for p in self.portfolio.positions()}
        truth = self.account.positions
        assert {i: p.volume_cents for i, p in held.items()} == {
            i: p.volume_cents if p.is_buy else -p.volume_cents for i, p in truth.items()
        }
        assert self.portfolio.balance == self.minor(self.account.balance)
        cent = self.minor(1)
        for i, p in truth.items():
            room = Decimal(0) if self.snapshots else self.closes * cent / 2  # the venue rounds a share at each close
            assert abs(held[i].swap - self.minor(p.swap)) <= room
            assert abs(held[i].commission - self.minor(p.commission)) <= room
            assert held[i].price == pytest.approx(float(p.price), abs=1e-9)
        books = [self.desk.venue.books[symbol_id] for symbol_id in SYMBOLS]
        bid, ask = (np.array([getattr(b, side) / 1e5 for b in books]) for side in ("bid_e5", "ask_e5"))
        value = self.portfolio.value(bid, ask, self.rates())
        rounding = float(cent) * (0.5 + 1e-6) * max(1, len(truth)) * (1 if self.snapshots else 1 + 2 * self.closes)
        assert value.equity == pytest.approx(float(self.minor(self.account.equity())), abs=rounding)
        reply = self.client.ask("ProtoOAGetPositionUnrealizedPnLReq")
        stated = sum(money(row.netUnrealizedPnL, reply.moneyDigits) for row in reply.positionUnrealizedPnL)
        assert value.equity - float(self.portfolio.balance) == pytest.approx(float(stated), abs=rounding)


@pytest.mark.parametrize("deposit", ["USD", "EUR", "JPY"])
@settings(max_examples=15)
@given(acts=ACTS, account_type=st.sampled_from(["hedged", "netted"]), snapshots=st.booleans())
def test_our_books_are_the_venues_whatever_happens(
    deposit: str, acts: list[Any], account_type: str, snapshots: bool
) -> None:
    books = Books(account_type, deposit, snapshots=snapshots)
    for act in acts:
        books.act(*act)
    books.check()


@pytest.mark.parametrize("snapshots", [True, False])
@pytest.mark.parametrize("deposit", ["USD", "EUR", "JPY"])
def test_swap_and_commission_leave_with_the_share_that_is_closed(deposit: str, snapshots: bool) -> None:
    books = Books("hedged", deposit, snapshots=snapshots)
    books.act("order", EURUSD, True, 30)
    books.act("swap", 0, -301)
    books.check()
    books.act("close", 0, 7)
    books.check()
    books.act("price", EURUSD, 25)
    books.act("order", EURJPY, False, 11)
    books.check()
    books.act("close", 0, 23)
    books.act("close", 0, 11)
    books.check()
    assert not books.portfolio.positions()


def test_a_flip_on_a_netted_account_takes_charges_into_the_balance_and_starts_anew() -> None:
    books = Books("netted", "EUR")
    books.act("order", EURUSD, True, 10)
    books.act("swap", 0, -77)
    books.act("order", EURUSD, False, 25)
    books.check()
    (held,) = books.portfolio.positions()
    assert held.volume_cents == -15 * STEP and held.swap == 0


def test_each_message_counts_its_money_in_its_own_digits() -> None:
    detail = message("ProtoOAClosePositionDetail")(
        entryPrice=1.1, grossProfit=12_345, swap=-12, commission=-250, balance=1_000_000, moneyDigits=3
    )
    wire = message("ProtoOADeal")(
        dealId=1, orderId=2, positionId=3, volume=100, filledVolume=100, symbolId=1, createTimestamp=1,
        executionTimestamp=1, tradeSide=1, dealStatus=2, commission=-12_345, moneyDigits=4, closePositionDetail=detail,
    )  # fmt: skip
    found = deal(wire)
    assert found is not None
    assert (found.commission, found.gross_profit, found.balance) == tuple(map(Decimal, ("-1.2345", "12.345", "1000")))
    assert (found.swap, found.close_commission) == (Decimal("-0.012"), Decimal("-0.25"))
