"""The replayed venue against the embedded one: the same market and the same hands, and the same deals to the cent.

The embedded venue looks at every change; the replayed one only where a price leaves its band. Any difference between
the two is a band that was too wide.
"""

import random
from collections.abc import Iterator
from decimal import Decimal

import pytest

from bot.research.backtest.conditions import Conditions, Swap
from bot.research.backtest.messages import Messages, collected
from bot.research.backtest.replayed_venue import ReplayedVenue
from bot.research.backtest.venue_books import VenueBooks
from bot.research.streams import change_batches
from bot.sim.change import Change, Quote
from bot.sim.entities import AccountSettings, OrderRefused
from bot.sim.listing import FX, recorded_symbol
from bot.sim.market import Market
from bot.sim.venue import Venue

SECOND = 1_000_000_000
START = 1_767_571_200 * SECOND  # Monday 2026-01-05 00:00 UTC
ACCOUNT = 7
EURUSD = recorded_symbol("EURUSD", 5, FX)
SYMBOL = EURUSD.symbol_id


def _market(seed: int, count: int = 400) -> list[Change]:
    """Return a wild walk of quotes with two levels a side, one change a second."""
    chance = random.Random(seed)
    mid, changes = 110_000, []
    standing: list[int] = []
    for i in range(count):
        mid += chance.choice((-60, -8, -3, -2, -1, 0, 1, 2, 3, 8, 60))
        half = chance.choice((1, 2, 5))
        new = tuple(
            Quote(10 * i + 2 * level + side, not side, mid + (half + 4 * level) * (1 if side else -1), size)
            for level in (0, 1)
            for side, size in ((0, 100_000 * chance.randint(5, 40)), (1, 100_000 * chance.randint(5, 40)))
        )
        changes.append(Change(START + i * SECOND, SYMBOL, mid - half, mid + half, new, tuple(standing)))
        standing = [quote.quote_id for quote in new]
    return changes


class _Hands:
    """The same random actions of an owner, on any venue."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(f"hands {seed}")

    def act(self, venue: Venue) -> None:
        kind = self._chance.choice(("trade", "trade", "rest", "protect", "protect", "protect", "close"))
        side = self._chance.choice(("buy", "sell"))
        volume = 1_000_000 * self._chance.randint(1, 12)
        off = self._chance.randint(2, 25)
        book, account = venue.books[SYMBOL], venue.desks[ACCOUNT].account
        bid, ask = book.bid_e5, book.ask_e5
        assert bid is not None
        assert ask is not None
        held = list(account.positions.values())
        try:
            if kind == "trade":
                venue.trade_by_hand(ACCOUNT, SYMBOL, side, volume)
            elif kind == "rest":
                order_type = self._chance.choice(("limit", "stop"))
                away = off if (side == "buy") == (order_type == "stop") else -off
                price = ((ask if side == "buy" else bid) + away) / 100_000
                name = "limitPrice" if order_type == "limit" else "stopPrice"
                venue.rest_by_hand(ACCOUNT, SYMBOL, order_type, side, volume, **{name: round(price, 5)})
            elif kind == "protect" and held:
                position = self._chance.choice(held)
                sign = 1 if position.is_buy else -1
                base = bid if position.is_buy else ask
                fields: dict[str, float | bool] = {
                    "stopLoss": (base - sign * off) / 100_000,
                    "takeProfit": (base + sign * 2 * off) / 100_000,
                }
                if self._chance.random() < 0.8:
                    fields["trailingStopLoss"] = True
                venue.protect_by_hand(ACCOUNT, position.position_id, **fields)
            elif kind == "close" and held:
                venue.close_by_hand(ACCOUNT, held[0].position_id)
        except OrderRefused:
            return


def _conditions(balance: int) -> Conditions:
    return Conditions(
        balance=Decimal(balance), leverage=500, commission_per_million=Decimal(30), resilience_half_life_s=0
    )


class _Embedded(Venue):
    def assets_needed(self) -> list[str]:
        return ["EUR", "USD"]


def _plain(changes: list[Change], balance: int) -> Venue:
    return _Embedded(
        Market({EURUSD: iter(changes)}),
        accounts=[
            AccountSettings(ACCOUNT, balance=Decimal(balance), leverage=500, commission_per_million=Decimal(30))
        ],
        client_id="c", client_secret="c", access_token="c", refresh_token="c", start_ns=START,
    )  # fmt: skip


class _Replay:
    """A replayed venue, and the messages that it has not seen."""

    def __init__(self, changes: list[Change], conditions: Conditions) -> None:
        self.books = VenueBooks(1)
        self.piece: Messages = next(collected(change_batches(changes, 0)))
        self.venue = ReplayedVenue([EURUSD], self.books, ACCOUNT, conditions, START, {}, "c")
        self._first = 0
        self.wakes = 0

    def play(self, last: int) -> None:
        while self._first < last:
            woken = self.books.take(self.piece, self._first, last)
            self._first = woken.message
            if woken.symbol >= 0:
                self.wakes += 1
                self.venue.price_moved(woken.symbol, woken.time_ns)
                self.venue.look_again()
        self.venue.advance(int(self.piece.times_ns[last - 1]))


def _deals(venue: Venue) -> Iterator[tuple[object, ...]]:
    for deal in venue.desks[ACCOUNT].account.deals:
        yield deal.is_buy, deal.filled_cents, deal.price, deal.executed_ns, deal.commission


@pytest.mark.parametrize("balance", [60, 200, 3_000])
@pytest.mark.parametrize("seed", range(12))
def test_it_does_what_the_embedded_venue_does_though_it_looks_at_few_changes(seed: int, balance: int) -> None:
    changes = _market(seed)
    plain, replay = _plain(changes, balance), _Replay(changes, _conditions(balance))
    hands = _Hands(seed), _Hands(seed)
    chance = random.Random(f"times {seed}")
    at = 1
    while at < len(changes):
        replay.play(at)
        plain.advance(START + (at - 1) * SECOND)
        for venue, owner in ((plain, hands[0]), (replay.venue, hands[1])):
            owner.act(venue)
        replay.venue.look_again()
        at += chance.randint(1, 25)
    replay.play(len(changes))
    plain.advance(START + (len(changes) - 1) * SECOND)

    assert list(_deals(replay.venue)) == list(_deals(plain))
    ours, theirs = replay.venue.account, plain.desks[ACCOUNT].account
    assert (ours.balance, ours.equity(), ours.used_margin()) == (theirs.balance, theirs.equity(), theirs.used_margin())
    assert len(ours.orders) == len(theirs.orders)
    calls = [venue.margin_calls[ACCOUNT]._told_ns for venue in (replay.venue, plain)]
    assert calls[0] == calls[1]  # when each notice was given, at most once in ten minutes


def test_the_hands_meet_every_kind_of_trigger() -> None:
    """Or the test above would compare nothing."""
    kinds: set[str] = set()
    for seed in range(12):
        plain, hands = _plain(_market(seed), 60 if seed % 3 else 200), _Hands(seed)
        for at in range(0, 400, 13):
            plain.advance(START + at * SECOND)
            hands.act(plain)
        for order in plain.desks[ACCOUNT].account.order_history.values():
            if order.executed_cents:
                kinds.add("stop out" if order.is_stop_out else order.order_type)
    assert kinds >= {"stop out", "STOP_LOSS_TAKE_PROFIT", "LIMIT", "STOP", "MARKET"}


def test_a_quiet_position_wakes_nobody() -> None:
    """The bands are there to be wide: a small position far from everything looks at next to nothing."""
    changes = _market(3)
    replay = _Replay(changes, _conditions(1_000_000))
    replay.play(1)
    replay.venue.trade_by_hand(ACCOUNT, SYMBOL, "buy", 100_000)
    replay.venue.look_again()
    replay.play(len(changes))
    assert replay.wakes == 0


def test_a_swap_is_booked_at_17_00_new_york_and_three_of_them_on_wednesday() -> None:
    start = START + 21 * 3_600 * SECOND  # Monday 16:00 in New York
    changes = [
        Change(start, SYMBOL, 109_999, 110_001, (Quote(1, True, 109_999, 10**9), Quote(2, False, 110_001, 10**9)))
    ]
    conditions = Conditions(
        leverage=100, swaps={"EURUSD": Swap(long_bps=-1.0, short_bps=0.5)}, latency=_conditions(1).latency
    )
    books = VenueBooks(1)
    venue = ReplayedVenue([EURUSD], books, ACCOUNT, conditions, start, {}, "c")
    books.take(next(collected(change_batches(changes, 0))), 0, 1)
    venue.trade_by_hand(ACCOUNT, SYMBOL, "buy", 10_000_000)  # 100,000 EUR at 1.1: 110,000 USD
    booked = []
    for _ in range(5):
        venue.advance(venue.turn_ns)
        venue.book_swaps()
        booked.append(venue.swaps_booked[-1][1])
    # 110,000 USD at 1.1 mid, one basis point a night: Monday, Tuesday, Wednesday three times, Thursday, Friday.
    assert booked == [Decimal(-11), Decimal(-11), Decimal(-33), Decimal(-11), Decimal(-11)]
    assert sum(p.swap for p in venue.account.positions.values()) == -7_700
