"""The venue as a whole: one clock, any number of clients, the synthetic market through the wire."""

from decimal import Decimal

import pytest
from venue_client import ACCOUNT, EURUSD, SECOND, START_NS, Client, Desk

from bot.sim.entities import AccountSettings
from bot.sim.market import open_market
from bot.sim.venue import Venue

KEYS = {"client_id": "app", "client_secret": "secret", "access_token": "trade", "refresh_token": "refresh"}


def _venue(**settings: object) -> Venue:
    market = open_market("synthetic", seed=3, start_ns=START_NS, speed=1.0)
    return Venue(market, accounts=[AccountSettings(ACCOUNT, **settings)], start_ns=START_NS, **KEYS)  # type: ignore[arg-type]


class Clock:
    now_ns = START_NS


def test_a_book_kept_from_the_wire_alone_is_the_venues_book() -> None:
    venue = _venue()
    client = Client(Clock, venue.connect(START_NS))  # type: ignore[arg-type]
    client.ask("ProtoOAApplicationAuthReq", clientId="app", clientSecret="secret")
    client.ask("ProtoOAAccountAuthReq", accessToken="trade")
    client.send("ProtoOASubscribeSpotsReq", symbolId=[EURUSD])
    venue.advance(START_NS + SECOND)
    client.messages()
    book: dict[int, tuple[bool, int, int]] = {}
    events = [body for _, body in client.send("ProtoOASubscribeDepthQuotesReq", symbolId=[EURUSD])][1:]
    for _ in range(200):
        next_ns = venue.next_event_ns()
        assert next_ns is not None
        venue.advance(next_ns)
        events += client.messages("ProtoOADepthEvent")
        for event in events:
            for quote_id in event.deletedQuotes:
                del book[quote_id]
            for quote in event.newQuotes:
                book[quote.id] = (quote.HasField("bid"), quote.bid or quote.ask, quote.size)
        events = []
        assert book == {q.quote_id: (q.is_bid, q.price_e5, q.size_cents) for q in venue.books[EURUSD].quotes.values()}


def test_the_same_seed_and_requests_give_the_same_bytes() -> None:
    def bytes_of_a_session() -> bytes:
        venue = _venue()
        client = Client(Clock, venue.connect(START_NS))  # type: ignore[arg-type]
        client.ask("ProtoOAApplicationAuthReq", clientId="app", clientSecret="secret")
        client.ask("ProtoOAAccountAuthReq", accessToken="trade")
        client.send("ProtoOASubscribeSpotsReq", symbolId=[EURUSD])
        client.order("MARKET", "BUY", 10_000_000)
        venue.advance(START_NS + 5 * SECOND)
        return client.link.data_to_send()

    assert bytes_of_a_session() == bytes_of_a_session() != b""


def test_the_next_event_is_never_in_the_past_once_it_was_advanced_to() -> None:
    venue = _venue()
    for _ in range(50):
        before = venue.next_event_ns()
        assert before is not None
        venue.advance(before)
        after = venue.next_event_ns()
        assert after is not None
        assert after > before


def test_an_account_outlives_its_clients() -> None:
    desk = Desk()
    client = desk.client()
    position = client.order("MARKET", "BUY", 10_000_000)[1].position
    client.link.close()
    assert desk.client().ask("ProtoOAReconcileReq").position[0].positionId == position.positionId


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"account_type": "odd"}, "hedged or netted"),
        ({"deposit_currency": "CHF"}, "CHF"),
        ({"balance": Decimal(0)}, "balance"),
        ({"balance": Decimal("NaN")}, "balance"),
        ({"leverage": 0}, "leverage"),
        ({"margin_calculation": "OTHER"}, "MAX, SUM or NET"),
    ],
)
def test_a_senseless_account_is_one_line(settings: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said) as error:
        _venue(**settings)
    assert "\n" not in str(error.value)


def test_tier_leverage_can_be_served_in_cents() -> None:
    market = open_market("synthetic", seed=3, start_ns=START_NS, speed=1.0)
    venue = Venue(market, accounts=[AccountSettings(ACCOUNT)], start_ns=START_NS, tier_leverage_in_cents=True, **KEYS)
    client = Client(Clock, venue.connect(START_NS))  # type: ignore[arg-type]
    client.ask("ProtoOAApplicationAuthReq", clientId="app", clientSecret="secret")
    client.ask("ProtoOAAccountAuthReq", accessToken="trade")
    tiers = client.ask("ProtoOAGetDynamicLeverageByIDReq", leverageId=1).leverage.tiers
    assert tiers[0].leverage == 50_000
