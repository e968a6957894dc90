"""Positions, money and leverage against plain cash accounting: money paid and got, and holdings at the mark."""

import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.account.portfolio import Portfolio
from bot.account.position import Deal, Position

OURS, THEIRS = "microlev", "somebody"
INDEX = {11: 0, 22: 1}
RATE = np.array([0.5, 2.0])  # quote currency into deposit currency
BID, ASK = np.array([1.1, 150.0]), np.array([1.2, 151.0])


def portfolio(balance: str = "10000", *, manage_all: bool = False) -> Portfolio:
    found = Portfolio(OURS, manage_all=manage_all)
    found.set_symbols(INDEX)
    found.set_balance(Decimal(balance), 1)
    return found


def deal(deal_id: int, position_id: int, volume: int, price: float, *, symbol: int = 11, **more: object) -> Deal:
    return Deal(deal_id, 1, position_id, symbol, volume, price, Decimal(0), 0, **more)  # type: ignore[arg-type]


def position(position_id: int, volume: int, price: float, *, symbol: int = 11, **more: object) -> Position:
    return Position(position_id, symbol, volume, price, **{"label": OURS, **more})  # type: ignore[arg-type]


def equity(held: Portfolio) -> float:
    return held.value(BID, ASK, RATE).equity


class Cash:
    """What a bookkeeper knows: money paid and got, and units in hand. Knows nothing of entry prices or profit."""

    def __init__(self, balance: int) -> None:
        self.cash = Fraction(balance)
        self.units: dict[int, Fraction] = {}
        self.symbol: dict[int, int] = {}

    def trade(self, position_id: int, symbol: int, volume: int, price: float) -> None:
        units = Fraction(volume, 100)
        self.cash -= units * Fraction(price) * Fraction(RATE[INDEX[symbol]])
        self.units[position_id] = self.units.get(position_id, Fraction(0)) + units
        self.symbol[position_id] = symbol

    def equity(self) -> float:
        worth = Fraction(0)
        for position_id, units in self.units.items():
            i = INDEX[self.symbol[position_id]]
            worth += units * Fraction((BID if units > 0 else ASK)[i]) * Fraction(RATE[i])
        return float(self.cash + worth)


MOVES = st.lists(
    st.tuples(
        st.integers(1, 4),  # position
        st.sampled_from([-300, -200, -100, 100, 200, 300]),
        st.integers(900, 1100),
        st.booleans(),
    ),
    max_size=25,
)


@pytest.mark.parametrize("paper", [False, True])
@given(MOVES)
def test_equity_is_cash_and_holdings_at_the_mark_whatever_was_traded(paper: bool, moves: list) -> None:
    held, cash = portfolio(), Cash(10_000)
    booked = Fraction(10_000)
    for number, (pid, volume, price_e3, flips) in enumerate(moves, start=1):
        symbol, price = (11, price_e3 / 1000) if pid % 2 else (22, price_e3 / 7)
        now = held.position(pid)
        closed = min(abs(volume), abs(now.volume_cents)) if now and now.volume_cents * volume < 0 else 0
        if closed < abs(volume) and closed and not flips:
            volume = closed if volume > 0 else -closed
        profit = None
        if now is not None and closed:
            side = 1 if now.volume_cents > 0 else -1
            gross = side * (Fraction(price) - Fraction(now.price)) * closed / 100 * Fraction(RATE[INDEX[symbol]])
            profit = Decimal(repr(float(gross)))
            booked += gross
        known = {} if paper else {"balance": Decimal(repr(float(booked))), "balance_version": number + 1}
        held.apply_deal(
            deal(
                number, pid, volume, price, symbol=symbol, closed_volume_cents=closed, gross_profit=profit, paper=paper,
                **known,
            ),
            label=OURS,
        )  # fmt: skip
        cash.trade(pid, symbol, volume, price)
        assert equity(held) == pytest.approx(cash.equity(), rel=1e-12, abs=1e-8)
        for i in {11, 22}:
            expected = sum(int(100 * u) for p, u in cash.units.items() if cash.symbol[p] == i)
            assert held.own_cents(i) == expected
    long_units, short_units = held.sides_units()
    for i, symbol in enumerate((11, 22)):
        mine = [u for p, u in cash.units.items() if cash.symbol[p] == symbol]
        assert long_units[i] == float(sum(u for u in mine if u > 0))
        assert short_units[i] == float(-sum(u for u in mine if u < 0))


def test_a_paper_increase_of_a_real_position_is_bought_at_its_own_price() -> None:
    held = portfolio()
    held.reconcile([position(1, 100_000, 1.0)])
    before = equity(held)
    held.apply_deal(deal(1, 1, 100_000, float(BID[0]), paper=True), label=OURS)
    assert equity(held) == pytest.approx(before, rel=1e-12), "bought at the mark: nothing won, nothing lost"
    assert held.position(1) == position(1, 200_000, (1.0 + float(BID[0])) / 2)


@pytest.mark.parametrize("closed", [30_000, 100_000])
def test_closing_a_real_position_on_paper_realises_its_charges(closed: int) -> None:
    held = portfolio()
    held.reconcile([position(1, 100_000, 1.0, swap=Decimal("-7"), commission=Decimal("-3"))])
    before = equity(held)
    gross = Decimal(repr((float(BID[0]) - 1.0) * closed / 100 * 0.5))
    held.apply_deal(
        deal(1, 1, -closed, float(BID[0]), closed_volume_cents=closed, gross_profit=gross, paper=True), label=OURS
    )
    assert equity(held) == pytest.approx(before, rel=1e-12)
    assert held.balance is not None
    assert float(held.balance) == pytest.approx(float(10_000 + gross - 10 * closed / Decimal(100_000)), rel=1e-12)


def test_a_deal_counts_once_and_paper_ids_are_their_own() -> None:
    held = portfolio()
    assert held.apply_deal(deal(5, 1, 100, 1.0), label=OURS)
    assert not held.apply_deal(deal(5, 1, 100, 1.0), label=OURS)
    assert held.apply_deal(deal(5, 1 << 62, 100, 1.0, paper=True), label=OURS)
    assert held.own_cents(11) == 200


def test_deals_that_a_reconcile_has_already_shown_count_for_nothing() -> None:
    held = portfolio()
    held.reconcile([position(1, 100, 1.0)])
    held.mark_seen([5])
    assert not held.apply_deal(deal(5, 1, 100, 1.0), label=OURS)
    assert held.own_cents(11) == 100


def test_a_late_closing_deal_of_a_position_that_is_gone_opens_nothing() -> None:
    held = portfolio()
    held.apply_deal(deal(5, 1, -100, 1.0, closed_volume_cents=100), label=OURS)
    assert held.positions() == []
    held.apply_deal(deal(6, 2, -300, 1.0, closed_volume_cents=100), label=OURS)
    assert held.own_cents(11) == -200, "what a netted flip opened is there"


def test_reconcile_replaces_the_venues_positions_and_paper_ones_survive_it() -> None:
    held = portfolio()
    held.reconcile([position(1, 500, 1.0), position(2, 300, 1.0)])
    held.apply_deal(deal(1, 77, -200, 1.0, paper=True), label=OURS)
    held.apply_deal(deal(2, 1, -400, 1.0, closed_volume_cents=400, paper=True), label=OURS)
    assert {p.position_id: p.volume_cents for p in held.positions()} == {1: 100, 2: 300, 77: -200}
    held.reconcile([position(1, 500, 1.0)])
    assert {p.position_id: p.volume_cents for p in held.positions()} == {1: 100, 77: -200}
    held.reconcile([position(1, 300, 1.0)])
    assert [p.position_id for p in held.positions()] == [77], "the owner closed what paper had not"
    held.reconcile([])
    held.reconcile([position(1, 500, 1.0)])
    assert held.position(1) == position(1, 500, 1.0), "a position that was gone starts anew"


def test_a_snapshot_gives_price_charges_and_label_and_the_deal_the_volume() -> None:
    held = portfolio()
    said = position(1, 999, 1.05, swap=Decimal(-1), commission=Decimal(-2), label=THEIRS, used_margin=Decimal(9))
    held.apply_deal(deal(1, 1, 100, 1.0), label=OURS, snapshot=said)
    assert held.position(1) == position(
        1, 100, 1.05, swap=Decimal(-1), commission=Decimal(-2), label=THEIRS, used_margin=Decimal(9), opened_ns=0
    )


def test_without_a_snapshot_the_deals_own_commission_is_charged_and_leaves_in_proportion() -> None:
    held = portfolio()
    held.apply_deal(Deal(1, 1, 1, 11, 200, 1.0, Decimal(-4), 0), label=OURS)
    assert held.position(1).commission == Decimal(-4)  # type: ignore[union-attr]
    held.apply_deal(
        Deal(2, 2, 1, 11, -50, 1.0, Decimal(-1), 0, closed_volume_cents=50, balance=Decimal(9998), balance_version=2),
        label=OURS,
    )
    assert held.position(1).commission == Decimal(-3)  # type: ignore[union-attr]
    assert held.balance == Decimal(9998)


def test_a_swap_is_taken_only_while_the_volume_agrees() -> None:
    held = portfolio()
    held.reconcile([position(1, 100, 1.0)])
    held.update_position(position(1, 100, 1.0, swap=Decimal(-5)))
    held.update_position(position(1, 50, 1.0, swap=Decimal(-9)))
    held.update_position(position(2, 50, 1.0))
    assert held.positions() == [position(1, 100, 1.0, swap=Decimal(-5))]
    assert equity(held) == pytest.approx(10_000 - 5 + 1.0 * 0.1 * 0.5)


def test_an_older_balance_never_replaces_a_newer_one() -> None:
    held = portfolio()
    assert held.set_balance(Decimal(5), 7)
    assert not held.set_balance(Decimal(4), 6)
    assert held.set_balance(Decimal(6), 7)
    assert held.set_balance(Decimal(8), None)
    assert not held.set_balance(Decimal(4), 6)
    assert held.balance == Decimal(8)


def test_other_peoples_positions_are_counted_apart_unless_all_are_ours() -> None:
    some = [position(1, 100_000, 1.0), position(2, -40_000, 1.0, label=THEIRS), position(3, 60_000, 1.0, label=THEIRS)]
    held, every = portfolio(), portfolio(manage_all=True)
    held.reconcile(some)
    every.reconcile(some)
    unit = 1.15 * 0.5 / equity(held)
    value = held.value(BID, ASK, RATE)
    assert value.leverage.tolist() == pytest.approx([1000 * unit, 0.0])
    assert value.foreign_leverage == pytest.approx(1000 * unit)
    assert (held.has_foreign(11), held.has_foreign(22), every.has_foreign(11)) == (True, False, False)
    assert every.value(BID, ASK, RATE).leverage.tolist() == pytest.approx([1200 * unit, 0.0])
    assert [p.position_id for p in held.own_positions(11)] == [1]
    assert [p.position_id for p in every.own_positions(11)] == [1, 3, 2], "the largest first"


@pytest.mark.parametrize("spoilt", ["bid", "ask", "rate"])
def test_an_unknown_price_of_what_is_held_makes_equity_unknown_and_no_other_does(spoilt: str) -> None:
    held = portfolio()
    held.reconcile([position(1, 100, 1.0), position(2, -100, 1.0)])
    prices = {"bid": BID.copy(), "ask": ASK.copy(), "rate": RATE.copy()}
    prices[spoilt][1] = math.nan
    assert math.isfinite(held.value(*prices.values()).equity)
    assert held.value(*prices.values()).leverage[1] == 0.0
    prices[spoilt][0] = math.nan
    value = held.value(*prices.values())
    assert math.isnan(value.equity)
    assert np.isnan(value.leverage).all()
    assert math.isnan(value.foreign_leverage)


def test_equity_is_unknown_before_the_balance_and_with_a_position_nobody_prices() -> None:
    empty = Portfolio(OURS)
    empty.set_symbols(INDEX)
    assert math.isnan(equity(empty))
    held = portfolio()
    held.reconcile([position(1, 100, 1.0, symbol=99)])
    assert [p.position_id for p in held.unpriced()] == [1]
    assert math.isnan(equity(held))
    held.set_symbols({**INDEX, 99: 2})
    assert held.unpriced() == []


def test_without_equity_every_position_has_infinite_leverage() -> None:
    held = portfolio("-50")
    held.reconcile([position(1, -100, 1.2), position(2, 100, 150.0, symbol=22, label=THEIRS)])
    value = held.value(BID, ASK, RATE)
    assert value.equity == pytest.approx(-50)
    assert value.leverage.tolist() == [-math.inf, 0.0]
    assert value.foreign_leverage == math.inf
    nobody = portfolio("0").value(BID, ASK, RATE)
    assert (nobody.leverage.tolist(), nobody.foreign_leverage) == ([0.0, 0.0], 0.0)
