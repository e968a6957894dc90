"""The session against the embedded venue, in memory: two programs that share only the wire."""

from decimal import Decimal

import pytest
from scripted_venue import SECOND, START, plan

from bot.ctrader.framing import FrameReader
from bot.ctrader.session import Session
from bot.engine.events import (
    AccountLoaded,
    Event,
    ExecutionReported,
    MarketDataChanged,
    OrderHistoryListed,
    RequestRefused,
    SymbolsLoaded,
)
from bot.execution.requests import (
    AmendOrder,
    CancelOrder,
    ClosePosition,
    PlaceOrder,
    ResolveOrders,
    ResubscribeDepth,
)
from bot.market.delta import CLEAR_BOOK, DEPTH_BID
from bot.sim.entities import AccountSettings
from bot.sim.market import open_market
from bot.sim.venue import Venue

SECRETS = {"client_id": "client", "client_secret": "the-client-secret", "access_token": "the-access-token"}


class Wire:
    """A session and a venue joined by two byte streams under one virtual clock."""

    def __init__(self, deposit_currency: str = "EUR", **changes) -> None:
        market = open_market("synthetic:calm", seed=1, start_ns=START, speed=1.0)
        account = AccountSettings(1_000_001, deposit_currency=deposit_currency, balance=Decimal(10_000))
        self.venue = Venue(market, accounts=[account], refresh_token="r", start_ns=START, **SECRETS)
        self.session = Session(plan(environment="simulator", **changes))
        self.now_ns = START
        self.connect()

    def connect(self) -> None:
        self.link, self.reader = self.venue.connect(self.now_ns), FrameReader()
        self.session.connection_made(self.now_ns)

    def run(self, seconds: float) -> list[Event]:
        """Let time pass in steps of 10 ms and return what the session told."""
        told: list[Event] = []
        for _ in range(round(seconds * 100)):
            for data in self.session.data_to_send(self.now_ns):
                self.link.receive(data, self.now_ns)
            self.venue.advance(self.now_ns)
            self.session.receive_frames(self.reader.receive(self.link.data_to_send()), self.now_ns)
            self.session.handle_timeout(self.now_ns)
            told += self.session.events()
            self.now_ns += SECOND // 100
        assert self.session.fatal is None
        assert self.session.wants_disconnect is None
        return told

    def ask(self, request, seconds: float = 0.5) -> list[Event]:
        """Submit a request; return what was told, market data aside."""
        self.session.submit(request, self.now_ns)
        return [e for e in self.run(seconds) if not isinstance(e, MarketDataChanged)]


@pytest.fixture(scope="module")
def wire() -> Wire:
    wire = Wire()
    wire.told = wire.run(3)
    return wire


def of(kind, events) -> list:
    return [e for e in events if isinstance(e, kind)]


def order(client_order_id: str, **fields) -> PlaceOrder:
    defaults = {"volume_cents": 10_000_000, "order_type": "market", "label": "microlev"}
    return PlaceOrder(client_order_id=client_order_id, symbol_id=fields.pop("symbol_id"), **(defaults | fields))


@pytest.mark.parametrize("currency", ["EUR", "USD", "JPY"])
def test_the_session_becomes_ready_and_every_asset_has_a_rate(currency: str) -> None:
    wire = Wire(currency)
    told = wire.run(1)
    assert wire.session.ready
    (loaded,) = of(SymbolsLoaded, told)
    assert loaded.conversions.keys() == loaded.usd_conversions.keys() | {currency} == {"EUR", "USD", "JPY"}
    assert of(AccountLoaded, told)[0].account.balance == 10_000


def test_market_data_of_every_symbol_arrives_without_a_bad_quote(wire: Wire) -> None:
    rows = [row for e in of(MarketDataChanged, wire.told) for row in e.rows]
    assert {int(r["symbol"]) for r in rows if r["kind"] == DEPTH_BID} == {0, 1}
    assert wire.session.counters["bad_quotes"] == wire.session.counters["malformed"] == 0


def test_a_position_is_opened_closed_and_found_in_the_history_under_our_ids(wire: Wire) -> None:
    eurusd = wire.session._walk.handshake.catalogue.traded_ids[1]
    begin_ns = wire.now_ns
    opened = of(ExecutionReported, wire.ask(order("open-1", symbol_id=eurusd)))
    assert [(e.kind, e.client_order_id) for e in opened] == [("accepted", "open-1"), ("filled", "open-1")]
    position = opened[-1].position
    assert position.volume_cents == opened[-1].deal.volume_cents == 10_000_000
    closed = of(ExecutionReported, wire.ask(ClosePosition("close-1", eurusd, position.position_id, 10_000_000)))
    assert [(e.kind, e.client_order_id) for e in closed] == [("accepted", "close-1"), ("filled", "close-1")]
    assert closed[-1].position.volume_cents == 0
    assert closed[-1].balance is not None
    (listed,) = of(OrderHistoryListed, wire.ask(ResolveOrders(begin_ns)))
    assert listed.complete
    assert sum(d.volume_cents for d in listed.deals) == 0
    assert "open-1" in [o.client_order_id for o in listed.orders]


def test_a_resting_order_is_amended_under_its_own_id(wire: Wire) -> None:
    eurusd = wire.session._walk.handshake.catalogue.traded_ids[1]
    (placed,) = wire.ask(order("rest-2", symbol_id=eurusd, order_type="limit", limit_price=0.5))
    amend = AmendOrder("amend-2", eurusd, placed.order.order_id, 20_000_000, limit_price=0.6)
    (replaced,) = wire.ask(amend)
    assert (replaced.kind, replaced.client_order_id) == ("replaced", "rest-2"), "the venue names the order"
    assert (replaced.order.limit_price, replaced.order.volume_cents) == (0.6, 20_000_000)
    wire.ask(CancelOrder("cancel-2", eurusd, placed.order.order_id))
    (refusal,) = wire.ask(amend)
    assert isinstance(refusal, RequestRefused)
    assert (refusal.client_order_id, refusal.error_code) == ("amend-2", "ORDER_NOT_FOUND"), "and the request's own id"


def test_a_resting_order_is_placed_and_cancelled(wire: Wire) -> None:
    eurusd = wire.session._walk.handshake.catalogue.traded_ids[1]
    (placed,) = wire.ask(order("rest-1", symbol_id=eurusd, order_type="limit", limit_price=0.5))
    assert (placed.kind, placed.order.limit_price) == ("accepted", 0.5)
    (cancelled,) = wire.ask(CancelOrder("rest-1", eurusd, placed.order.order_id))
    assert (cancelled.kind, cancelled.client_order_id) == ("cancelled", "rest-1")


def test_a_refused_order_comes_back_under_our_id(wire: Wire) -> None:
    symbol_id = wire.session._walk.handshake.catalogue.traded_ids[1]
    (refusal,) = wire.ask(order("odd-1", symbol_id=symbol_id, volume_cents=7))
    assert isinstance(refusal, RequestRefused)
    assert (refusal.client_order_id, refusal.error_code) == ("odd-1", "TRADING_BAD_VOLUME")


def test_renewed_depth_is_cleared_and_comes_again(wire: Wire) -> None:
    wire.session.submit(ResubscribeDepth(wire.session._walk.handshake.catalogue.traded_ids[1]), wire.now_ns)
    kinds = [int(r["kind"]) for e in of(MarketDataChanged, wire.run(1)) for r in e.rows if r["symbol"] == 1]
    assert kinds.count(CLEAR_BOOK) == 1
    assert DEPTH_BID in kinds[kinds.index(CLEAR_BOOK) :]


def test_after_a_drop_everything_comes_again(wire: Wire) -> None:
    wire.link.close()
    wire.session.connection_lost(wire.now_ns, "cut")
    assert not wire.session.ready
    wire.connect()
    told = wire.run(1)
    assert wire.session.ready
    assert {int(r["symbol"]) for e in of(MarketDataChanged, told) for r in e.rows} == {0, 1, 2}
