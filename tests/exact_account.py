"""What an account is worth and how far it is geared, in exact decimals, from the venue's own holdings at given prices.

Nothing of `bot.account` or `bot.sizing` is used, and of the venue only what it holds: a second opinion for tests.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

Spots = Mapping[int, tuple[int, int]]
"""Bid and ask by symbol id. Units: 1/100000."""


class Unpriced(Exception):
    """A symbol that matters has no price among those given."""


class ExactAccount:
    """One account of a venue at some prices.

    Args: `label` marks the positions and orders that are ours; with `manages_all` every position is.
    """

    def __init__(self, venue: Any, account_id: int, label: str, spots: Spots, *, manages_all: bool = False) -> None:
        self._venue, self._spots, self._label, self._manages_all = venue, spots, label, manages_all
        self._account = venue.desks[account_id].account
        self._deposit = self._account.settings.deposit_currency

    def mid(self, symbol_id: int) -> Decimal:
        """Return a symbol's mid. Raises: Unpriced."""
        bid, ask = self._spots.get(symbol_id, (0, 0))
        if bid <= 0 or ask <= 0:
            raise Unpriced(str(symbol_id))
        return Decimal(bid + ask) / 200_000

    def rate(self, asset: str) -> Decimal:
        """Return what one unit of an asset is in the deposit currency. Raises: Unpriced."""
        rate = Decimal(1)
        for spec, divides in self._venue.rates.chain(asset, self._deposit):
            mid = self.mid(spec.symbol_id)
            rate = rate / mid if divides else rate * mid
        return rate

    def equity(self) -> Decimal:
        """Return balance and the net profit of every position, unrounded. Units: deposit currency."""
        scale = 10**self._account.money_digits
        equity = Decimal(self._account.balance) / scale
        for held in self._account.positions.values():
            self.mid(held.symbol_id)  # priced at all?
            exit_price = Decimal(self._spots[held.symbol_id][0 if held.is_buy else 1]) / 100_000
            move = exit_price - held.price if held.is_buy else held.price - exit_price
            quote = self._venue.specs[held.symbol_id].quote_asset
            equity += move * held.volume_cents / 100 * self.rate(quote)
            equity += Decimal(held.swap + held.commission) / scale
        return equity

    def notional(self, symbol_id: int, cents: int) -> Decimal:
        """Return what a signed volume is worth at mid, unsigned. Units: deposit currency."""
        quote = self._venue.specs[symbol_id].quote_asset
        return abs(Decimal(cents)) / 100 * self.mid(symbol_id) * self.rate(quote)

    def own_cents(self, symbol_id: int) -> int:
        """Return our net signed volume in a symbol."""
        return sum(
            held.volume_cents if held.is_buy else -held.volume_cents
            for held in self._account.positions.values()
            if held.symbol_id == symbol_id and self._is_own(held)
        )

    def _is_own(self, held: Any) -> bool:
        return self._manages_all or held.label == self._label

    def working_cents(self, symbol_id: int, *, is_buy: bool) -> int:
        """Return what of our working orders on a side that open something may still fill, signed."""
        left = sum(
            self._account.opening_cents(order)
            for order in self._account.orders.values()
            if order.symbol_id == symbol_id and order.label == self._label and order.is_buy == is_buy
        )
        return left if is_buy else -left

    def symbol_leverage(self, symbol_id: int, more_cents: int = 0) -> Decimal:
        """Return |our net volume and this much more| as a multiple of equity."""
        return self.notional(symbol_id, self.own_cents(symbol_id) + more_cents) / self.equity()

    def leverage(self, symbol_id: int, more_cents: int) -> Decimal:
        """Return the sum over the account: ours net by symbol, everybody else's position by position."""
        own = {held.symbol_id for held in self._account.positions.values() if self._is_own(held)} | {symbol_id}
        worth = sum(
            (self.notional(s, self.own_cents(s) + (more_cents if s == symbol_id else 0)) for s in own), Decimal(0)
        )
        for held in self._account.positions.values():
            if not self._is_own(held):
                worth += self.notional(held.symbol_id, held.volume_cents)
        return worth / self.equity()
