"""How far prices may go before somebody at the venue has to look: orders that rest, stops, targets, margin.

How it works: a band is asked for whenever something of the account has changed or a band was left. Orders and
protections give the prices themselves. For margin the account's equity may fall by half of what keeps it from the first
notice of the broker: as long as every symbol stays within the same fraction of its price, it cannot have fallen
further, because the loss is at most that fraction of everything held.
"""

import math

from bot.research.backtest.venue_books import NEVER_HIGH, NEVER_LOW, OPEN_BAND
from bot.sim.account import Account
from bot.sim.book import VenueBook
from bot.sim.entities import OrderRefused, SimOrder, SimPosition

_E5 = 100_000
_ALWAYS = (NEVER_HIGH, NEVER_LOW, NEVER_HIGH, NEVER_LOW, NEVER_LOW, NEVER_HIGH)
_MOST = 0.2  # of a price: a band is looked at again in any case before the maths of small moves ends
_CALLS = (1.0, 0.8, 0.6)
"""The venue's own thresholds for margin calls, equity / used margin (`bot.sim.margin_calls`)."""

Band = tuple[int, int, int, int, int, int]


def bands(account: Account, books: dict[int, VenueBook]) -> dict[int, Band]:
    """Return what wakes each symbol, by its id, in the order of `venue_books.BAND`."""
    found: dict[int, Band] = dict.fromkeys(books, OPEN_BAND)
    for order in account.orders.values():
        found[order.symbol_id] = _joined(found[order.symbol_id], _of_order(order))
    for position in account.positions.values():
        found[position.symbol_id] = _joined(found[position.symbol_id], _of_protection(position, books))
    if account.positions:
        slack_frac = _slack_frac(account)
        for symbol_id, book in books.items():
            found[symbol_id] = _joined(found[symbol_id], _around(book, slack_frac))
    return found


def _of_order(order: SimOrder) -> Band:
    if order.order_type == "LIMIT" and order.limit_price is not None:
        limit_e5 = order.limit_price * _E5
        if order.is_buy:
            return (*OPEN_BAND[:5], math.floor(limit_e5))
        return (*OPEN_BAND[:4], math.ceil(limit_e5), NEVER_LOW)
    # Stops by whatever price they heed, orders that go on in a moment: these are few, so every message asks.
    return _ALWAYS


def _of_protection(position: SimPosition, books: dict[int, VenueBook]) -> Band:
    stop, target = position.stop_loss, position.take_profit
    low, high = (stop, target) if position.is_buy else (target, stop)
    low_e5 = NEVER_LOW if low is None else math.floor(low * _E5) + 1
    high_e5 = NEVER_HIGH if high is None else math.ceil(high * _E5) - 1
    if position.trailing_distance is not None:  # the stop follows every move in our favour
        book = books[position.symbol_id]
        if position.is_buy:
            high_e5 = min(high_e5, book.bid_e5 or NEVER_LOW)
        else:
            low_e5 = max(low_e5, book.ask_e5 or NEVER_HIGH)
    if position.is_buy:
        return (low_e5, high_e5, *OPEN_BAND[2:])
    return (*OPEN_BAND[:2], low_e5, high_e5, *OPEN_BAND[4:])


def _slack_frac(account: Account) -> float:
    """Return by what fraction every price may move; 0 where that is not known, or nothing is left."""
    used, equity = account.used_margin(), account.equity()
    threshold = max(account.settings.stop_out_frac, *_CALLS) * used
    if equity <= threshold:  # notices are due, or the stop-out: look at every change
        return 0.0
    gross = 0.0
    for position in account.positions.values():
        try:
            rate = float(account.opening_rates(position.symbol_id)[0])
        except OrderRefused:  # no price to value it at: look at every change
            return 0.0
        gross += position.volume_cents / 100 * rate
    slack = float(equity - threshold) / 10**account.money_digits
    # A move of the price and one of the rate to deposit currency: together at most twice the fraction, and a bit.
    return min(_MOST, slack / (2.5 * gross) / 2) if gross > 0 else _MOST


def _around(book: VenueBook, frac: float) -> Band:
    bid_e5, ask_e5 = book.bid_e5, book.ask_e5
    if bid_e5 is None or ask_e5 is None:
        return _ALWAYS
    return (
        math.ceil(bid_e5 * (1 - frac)), math.floor(bid_e5 * (1 + frac)),
        math.ceil(ask_e5 * (1 - frac)), math.floor(ask_e5 * (1 + frac)),
        NEVER_HIGH, NEVER_LOW,
    )  # fmt: skip


def _joined(one: Band, other: Band) -> Band:
    return (
        max(one[0], other[0]), min(one[1], other[1]), max(one[2], other[2]), min(one[3], other[3]),
        min(one[4], other[4]), max(one[5], other[5]),
    )  # fmt: skip
