"""Our margin against that of the embedded venue, asked over its own protocol: equal to the cent, whatever the account.

The two share no code: the venue counts in exact decimals and slices of tiers, we in floats and sums over brackets.
"""

from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from venue_client import BTCUSD, EURJPY, EURUSD, GBPUSD, USDJPY, XAUUSD, Desk

from bot.account.margin import MarginRules, used_margin
from bot.engine.margin_watch import SymbolMargin
from bot.sim.listing import default_symbols, extra_symbols

US500, JP225, XAGUSD = 8, 9, 10
SPECS = {spec.symbol_id: spec for spec in (*default_symbols(), *extra_symbols())}
EXTRA_E5 = {US500: 500_000_000, JP225: 3_800_000_000, XAGUSD: 3_000_000}
IN_USD = {
    EURUSD: 1.1, USDJPY: 1.0, EURJPY: 1.1, GBPUSD: 1.27, XAUUSD: 2_400.0, BTCUSD: 60_000.0,
    US500: 5_000.0, JP225: 38_000 / 150, XAGUSD: 30.0,
}  # fmt: skip
"""One base unit of each symbol in USD, at the prices of the desk."""
OF_USD = {"USD": 1.0, "EUR": 1 / 1.1, "JPY": 150.0}
HEDGED = {"account_type": "hedged"}


class Venue:
    """The embedded venue with nine symbols, an account and a client of it."""

    def __init__(self, deposit: str = "USD", leverage: int = 500, **more: Any) -> None:
        specs = tuple(SPECS.values())
        self.desk = Desk(specs=specs, deposit_currency=deposit, leverage=leverage, balance=Decimal(10**10), **more)
        for symbol_id, price_e5 in EXTRA_E5.items():
            self.desk.queue_quotes(symbol_id, [(price_e5 - 1, 10**14)], [(price_e5 + 1, 10**14)])
        self.desk.venue.advance(self.desk.now_ns)
        self.client = self.desk.client()
        self.deposit, self.leverage = deposit, leverage
        self.scale = 10**self.desk.account.money_digits

    def hold(self, symbol_id: int, long_cents: int, short_cents: int) -> None:
        for side, left in (("BUY", long_cents), ("SELL", short_cents)):
            while left:
                volume = min(left, SPECS[symbol_id].max_volume_cents)
                self.client.order("MARKET", side, volume, symbol_id=symbol_id)
                left -= volume
        held = [p for p in self.desk.account.positions.values() if p.symbol_id == symbol_id]
        assert sum(p.volume_cents for p in held) == long_cents + short_cents

    def asked(self, symbol_id: int, *volumes: int) -> list[tuple[int, int]]:
        """What the venue expects for each volume, to buy and to sell, in minor units."""
        reply = self.client.ask("ProtoOAExpectedMarginReq", symbolId=symbol_id, volume=volumes)
        assert [m.volume for m in reply.margin] == list(volumes)
        return [(m.buyMargin, m.sellMargin) for m in reply.margin]

    def tiers(self, symbol_id: int) -> tuple[tuple[float, float], ...]:
        found = self.desk.venue.tiers[SPECS[symbol_id].leverage_id or 0]
        return tuple((float(upper), float(ratio)) for upper, ratio in found)

    def ours(self, symbol_id: int, open_cents: tuple[int, int] = (0, 0)) -> SymbolMargin:
        in_usd = IN_USD[symbol_id]
        rules = MarginRules(self.leverage, "MAX")
        held = open_cents[0] / 100, open_cents[1] / 100
        notional = in_usd * OF_USD[self.deposit]
        return SymbolMargin(rules, self.tiers(symbol_id), held, notional, in_usd, 0.0, 1 / self.scale)

    def agrees(self, symbol_id: int, open_cents: tuple[int, int], *volumes: int) -> None:
        ours = self.ours(symbol_id, open_cents)
        for volume, told in zip(volumes, self.asked(symbol_id, *volumes), strict=True):
            for side in (0, 1):
                own = ours.added(side, volume / 100) * self.scale
                assert abs(own - told[side]) <= 0.5 + 1e-6 * max(1.0, own * 1e-6), (symbol_id, volume, side, own, told)


@pytest.mark.parametrize("deposit", ["USD", "EUR", "JPY"])
@pytest.mark.parametrize("symbol_id", sorted(IN_USD), ids=lambda i: SPECS[i].name)
def test_below_at_and_above_each_edge_of_the_tiers(symbol_id: int, deposit: str) -> None:
    venue, spec = Venue(deposit), SPECS[symbol_id]
    volumes = {spec.least_volume_cents, spec.max_volume_cents}
    for upper, _ in venue.tiers(symbol_id):
        at = int(upper / IN_USD[symbol_id] * 100)
        volumes |= {v - v % spec.step_volume_cents for v in (at - spec.step_volume_cents, at, 2 * at)}
        volumes.add(at + spec.step_volume_cents)
    venue.agrees(symbol_id, (0, 0), *sorted(v for v in volumes if v > 0))


@pytest.mark.parametrize("leverage", [1, 30, 100, 200, 1000])
@pytest.mark.parametrize("symbol_id", [EURUSD, BTCUSD, JP225], ids=lambda i: SPECS[i].name)
def test_the_smaller_of_the_accounts_leverage_and_the_tiers_counts(symbol_id: int, leverage: int) -> None:
    spec = SPECS[symbol_id]
    Venue(leverage=leverage).agrees(symbol_id, (0, 0), spec.least_volume_cents, spec.max_volume_cents)


@pytest.mark.parametrize("symbol_id", [EURUSD, XAUUSD, XAGUSD], ids=lambda i: SPECS[i].name)
def test_a_new_order_lies_in_the_tiers_above_what_is_open_on_its_side(symbol_id: int) -> None:
    spec, venue = SPECS[symbol_id], Venue(**HEDGED)
    bought, sold = spec.max_volume_cents, 7 * spec.least_volume_cents
    venue.hold(symbol_id, bought, sold)
    venue.agrees(symbol_id, (bought, sold), spec.least_volume_cents, spec.max_volume_cents)


CASES = st.tuples(
    st.sampled_from(["USD", "EUR", "JPY"]),
    st.sampled_from(sorted(IN_USD)),
    st.sampled_from([10, 50, 200, 500]),
    st.sampled_from(["MAX", "SUM", "NET"]),
    st.floats(0, 1), st.floats(0, 1), st.floats(0, 1),
    st.booleans(),
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(CASES)
def test_any_account_agrees_before_and_after_an_order(
    case: tuple[str, int, int, str, float, float, float, bool],
) -> None:
    deposit, symbol_id, leverage, calculation, long_share, short_share, new_share, is_buy = case
    spec = SPECS[symbol_id]
    venue = Venue(deposit, leverage, margin_calculation=calculation, **HEDGED)
    bought, sold, new = (
        spec.round_volume(share * spec.max_volume_cents) for share in (long_share, short_share, new_share)
    )
    venue.hold(symbol_id, bought, sold)
    if new:
        venue.agrees(symbol_id, (bought, sold), new)
    account = venue.desk.account
    unit = np.array([IN_USD[symbol_id] * OF_USD[deposit]]), np.array([IN_USD[symbol_id]])
    tiers = [venue.tiers(symbol_id)]
    rules = MarginRules(leverage, calculation)
    sides = np.array([bought / 100]), np.array([sold / 100])
    close = 1.5 * 3 / venue.scale  # three roundings to minor units, and one more for what is joined of them
    assert used_margin(rules, *sides, *unit, tiers) == pytest.approx(account.used_margin() / venue.scale, abs=close)
    if new:
        change = new / 100 if is_buy else -new / 100
        told = account.used_margin_after(symbol_id, is_buy=is_buy, volume_cents=new) / venue.scale
        after = used_margin(rules, *sides, *unit, tiers, change_units=change)
        assert after == pytest.approx(told, abs=close)
