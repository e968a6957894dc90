"""Books that are shown crossed, one-sided or standing still, and come back to the market."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from venue_client import ACCOUNT, EURUSD, SECOND, USDJPY, Client, Desk, kinds

from bot.sim.book import VenueBook
from bot.sim.change import Change

LOT = 10_000_000
SUBSCRIBE = ("ProtoOASubscribeSpotsReq", "ProtoOASubscribeDepthQuotesReq")
FILL = ["ORDER_ACCEPTED", "ORDER_FILLED"]


@dataclass
class Seen:
    """What a client knows of a symbol from events alone."""

    client: Client
    quotes: dict[int, tuple[bool, int, int]] = field(default_factory=dict)
    bid: int | None = None
    ask: int | None = None
    count: int = 0

    def take(self, events: list[Any]) -> None:
        for event in events:
            name = event.DESCRIPTOR.name
            self.count += name in ("ProtoOASpotEvent", "ProtoOADepthEvent")
            if name == "ProtoOASpotEvent":
                self.bid = event.bid if event.HasField("bid") else self.bid
                self.ask = event.ask if event.HasField("ask") else self.ask
            elif name == "ProtoOADepthEvent":
                for quote_id in event.deletedQuotes:
                    del self.quotes[quote_id]
                for quote in event.newQuotes:
                    self.quotes[quote.id] = (quote.HasField("bid"), quote.bid or quote.ask, quote.size)

    def look(self) -> "Seen":
        self.take(self.client.messages())
        return self

    def best(self) -> tuple[int | None, int | None]:
        bids = [price for is_bid, price, _ in self.quotes.values() if is_bid]
        asks = [price for is_bid, price, _ in self.quotes.values() if not is_bid]
        return max(bids, default=None), min(asks, default=None)

    def agrees_with(self, book: VenueBook) -> bool:
        shown = {q.quote_id: (q.is_bid, q.price_e5, q.size_cents) for q in book.quotes.values()}
        return (self.quotes, self.bid, self.ask) == (shown, book.bid_e5, book.ask_e5)


def watching(desk: Desk) -> Seen:
    seen = Seen(desk.client())
    for name in ("ProtoOASubscribeSpotsReq", "ProtoOASubscribeDepthQuotesReq"):
        seen.take([body for _, body in seen.client.send(name, symbolId=[EURUSD])])
    assert seen.best() == (109_999, 110_001)
    return seen


def test_a_crossed_book_is_crossed_in_depth_and_spot_moves_with_the_market_and_comes_back() -> None:
    desk = Desk()
    seen = watching(desk)
    desk.venue.cross_book(EURUSD, 10 * SECOND)
    assert seen.look().best() == (109_999, 109_997)
    assert (seen.bid, seen.ask) == (109_999, 109_997)
    desk.price(EURUSD, 110_010, 110_012)
    assert seen.look().best() == (110_010, 110_008)
    desk.price(EURUSD, 110_000, 110_060)  # a wider spread does not uncross it
    best_bid, best_ask = seen.look().best()
    assert best_bid is not None and best_ask is not None and best_ask < best_bid
    filled = seen.client.order("MARKET", "BUY", LOT)
    assert filled[1].deal.executionPrice == best_ask / 100_000
    desk.wait(7.9)
    assert seen.look().ask == best_ask
    assert desk.venue.next_event_ns() == desk.now_ns + SECOND // 10
    desk.wait(0.1)
    assert seen.look().best() == (seen.bid, seen.ask) == (110_000, 110_060)


@pytest.mark.parametrize(("side", "hidden"), [("bid", {0}), ("ask", {1}), ("both", {0, 1})])
def test_an_empty_side_has_no_quotes_its_spot_stands_still_and_orders_into_it_are_cancelled(
    side: str, hidden: set[int]
) -> None:
    desk = Desk()
    seen = watching(desk)
    position = seen.client.order("MARKET", "BUY", LOT)[1].position
    desk.venue.empty_book(EURUSD, side, 5 * SECOND)
    assert seen.look().best() == tuple(None if i in hidden else price for i, price in enumerate((109_999, 110_001)))
    desk.price(EURUSD, 110_019, 110_021)
    assert seen.look().best() == tuple(None if i in hidden else price for i, price in enumerate((110_019, 110_021)))
    assert seen.bid == (109_999 if 0 in hidden else 110_019)
    assert seen.ask == (110_001 if 1 in hidden else 110_021)
    closing = seen.client.send("ProtoOAClosePositionReq", positionId=position.positionId, volume=LOT)
    expected = ["ORDER_ACCEPTED", "ORDER_CANCELLED"] if 0 in hidden else FILL
    assert kinds([body for _, body in closing]) == expected
    desk.wait(4)
    assert seen.look().best() == (seen.bid, seen.ask) == (110_019, 110_021)


@pytest.mark.parametrize(("bps", "ticks"), [(5, 55), (-5, -55), (0.01, 0)])
def test_a_shifted_symbol_moves_with_its_market_at_a_distance_trades_there_and_comes_back(
    bps: float, ticks: int
) -> None:
    desk = Desk()
    seen = watching(desk)
    desk.venue.shift_prices(EURUSD, bps, 10 * SECOND)
    assert seen.look().best() == (seen.bid, seen.ask) == (109_999 + ticks, 110_001 + ticks)
    desk.price(EURUSD, 120_019, 120_021)
    assert seen.look().best() == (seen.bid, seen.ask) == (120_019 + ticks, 120_021 + ticks), "the same distance"
    filled = seen.client.order("MARKET", "BUY", LOT)
    assert filled[1].deal.executionPrice == pytest.approx((120_021 + ticks) / 100_000)
    desk.wait(9)
    assert seen.look().best() == (seen.bid, seen.ask) == (120_019, 120_021)


def test_a_shift_leaves_the_other_symbols_alone_and_needs_no_quote_to_begin() -> None:
    desk = Desk(quoted=False)
    desk.venue.shift_prices(EURUSD, 100)
    desk.price(USDJPY, 15_000_000, 15_001_000)
    desk.price(EURUSD, 99_999, 100_001)
    books = desk.venue.books
    assert (books[EURUSD].bid_e5, books[EURUSD].ask_e5) == (100_999, 101_001)
    assert (books[USDJPY].bid_e5, books[USDJPY].ask_e5) == (15_000_000, 15_001_000)


def test_hidden_depth_is_withdrawn_spot_goes_on_orders_are_filled_and_the_whole_book_comes_back() -> None:
    desk = Desk()
    seen = watching(desk)
    desk.venue.hide_depth(EURUSD)
    assert seen.look().best() == (None, None)
    desk.price(EURUSD, 110_019, 110_021)
    assert not seen.look().quotes
    assert (seen.bid, seen.ask) == (110_019, 110_021)
    assert desk.venue.snapshot(ACCOUNT).markets[EURUSD].quotes == {}
    late = desk.client()
    answers = [kinds([body for _, body in late.send(name, symbolId=[EURUSD])]) for name in SUBSCRIBE]
    assert answers == [["ProtoOASubscribeSpotsRes", "ProtoOASpotEvent"], ["ProtoOASubscribeDepthQuotesRes"]]
    assert seen.client.order("MARKET", "BUY", LOT)[1].deal.executionPrice == 1.10021
    late.messages()
    desk.venue.show_depth(EURUSD)
    assert seen.look().best() == (110_019, 110_021)
    assert kinds(late.messages()) == ["ProtoOADepthEvent"]
    desk.venue.show_depth(EURUSD)
    assert late.messages() == []


def test_depth_that_is_hidden_twice_comes_back_when_both_have_ended() -> None:
    desk = Desk()
    seen = watching(desk)
    for _ in range(2):
        desk.venue.hide_depth(EURUSD)
    desk.venue.show_depth(EURUSD)
    assert not seen.look().quotes
    desk.venue.show_depth(EURUSD)
    assert seen.look().agrees_with(desk.venue.books[EURUSD])


def test_without_quotes_orders_are_executed_at_the_prices_that_stand() -> None:
    desk = Desk()
    seen = watching(desk)
    desk.venue.stop_quotes(EURUSD, 5 * SECOND)
    desk.price(EURUSD, 120_000, 120_002)
    before = seen.count
    assert seen.look().count == before
    assert seen.client.order("MARKET", "BUY", LOT)[1].deal.executionPrice == 1.10001
    desk.wait(4)
    assert seen.look().best() == (seen.bid, seen.ask) == (120_000, 120_002)


def test_a_fault_without_an_end_lasts_until_the_book_is_restored() -> None:
    desk = Desk()
    seen = watching(desk)
    desk.venue.cross_book(EURUSD)
    desk.wait(3_600)
    assert seen.look().ask == 109_997
    desk.venue.restore_book(EURUSD)
    assert seen.look().best() == (seen.bid, seen.ask) == (109_999, 110_001)
    desk.venue.restore_book(EURUSD)
    before = seen.count
    assert seen.look().count == before


def test_faults_of_the_book_and_a_stop_end_each_for_itself() -> None:
    desk = Desk()
    seen = watching(desk)
    desk.venue.stop_quotes(EURUSD, 2 * SECOND)
    desk.venue.stop_trading(EURUSD)
    desk.wait(3)
    desk.price(EURUSD, 111_000, 111_002)
    assert seen.look().bid == 109_999
    desk.venue.resume_trading(EURUSD)
    assert seen.look().best() == (seen.bid, seen.ask) == (111_000, 111_002)


def test_a_new_client_in_the_middle_of_a_fault_sees_what_everybody_sees() -> None:
    desk = Desk()
    first = watching(desk)
    desk.venue.cross_book(EURUSD)
    second = Seen(desk.client())
    for name in ("ProtoOASubscribeSpotsReq", "ProtoOASubscribeDepthQuotesReq"):
        second.take([body for _, body in second.client.send(name, symbolId=[EURUSD])])
    desk.price(EURUSD, 110_003, 110_005)
    first.look()
    second.look()
    assert (first.quotes, first.bid, first.ask) == (second.quotes, second.bid, second.ask)


ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("quote"), st.integers(1, 60), st.integers(1, 60)),
        st.tuples(st.sampled_from(["cross", "still", "bid", "ask", "both"]), st.one_of(st.none(), st.integers(1, 4))),
        st.tuples(st.just("shift"), st.one_of(st.none(), st.integers(1, 4)), st.integers(-20, 20)),
        st.tuples(st.sampled_from(["stop", "resume", "restore", "wait", "hide", "show"])),
    ),
    max_size=25,
)


@settings(max_examples=60, deadline=None)
@given(ACTS)
def test_whatever_happens_a_client_sees_the_shown_book_and_in_the_end_the_market(acts: list[Any]) -> None:
    desk = Desk()
    seen = watching(desk)
    hidden, market = 0, VenueBook()
    market.apply(Change(0, EURUSD, 109_999, 110_001, tuple(desk.venue.books[EURUSD].quotes.values())))
    for kind, *rest in acts:
        duration = rest[0] * SECOND if rest and rest[0] is not None else None
        if kind == "quote":
            bid, ask = 110_000 - rest[0], 110_000 + rest[1]
            desk.now_ns += SECOND
            desk.queue_quotes(EURUSD, [(bid, LOT), (bid - 3, LOT)], [(ask, LOT)])
            market.apply(desk.market.queue[-1])
            desk.venue.advance(desk.now_ns)
        elif kind == "cross":
            desk.venue.cross_book(EURUSD, duration)
        elif kind == "still":
            desk.venue.stop_quotes(EURUSD, duration)
        elif kind in ("bid", "ask", "both"):
            desk.venue.empty_book(EURUSD, kind, duration)
        elif kind == "shift":
            desk.venue.shift_prices(EURUSD, rest[1], duration)
        elif kind == "hide":
            desk.venue.hide_depth(EURUSD)
            hidden += 1
        elif kind == "show":
            desk.venue.show_depth(EURUSD)
            hidden = max(0, hidden - 1)
        elif kind == "stop":
            desk.venue.stop_trading(EURUSD)
        elif kind == "resume":
            desk.venue.resume_trading(EURUSD)
        elif kind == "restore":
            desk.venue.restore_book(EURUSD)
        else:
            desk.wait(2)
        if hidden:
            assert not seen.look().quotes
            assert (seen.bid, seen.ask) == (desk.venue.books[EURUSD].bid_e5, desk.venue.books[EURUSD].ask_e5)
        else:
            assert seen.look().agrees_with(desk.venue.books[EURUSD])
    for _ in range(hidden):
        desk.venue.show_depth(EURUSD)
    desk.venue.resume_trading(EURUSD)
    desk.venue.restore_book(EURUSD)
    assert seen.look().agrees_with(market)
