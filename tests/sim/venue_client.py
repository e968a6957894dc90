"""A client of the venue for tests: requests in, decoded messages out; and a market that a test moves by hand."""

import itertools
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from bot.ctrader.framing import FrameReader, frame
from bot.ctrader.schema import enum, envelope, message, message_for
from bot.market.symbols import SymbolSpec
from bot.sim.change import Change, Quote
from bot.sim.entities import AccountSettings
from bot.sim.listing import default_symbols
from bot.sim.market import Market
from bot.sim.protocol import Link
from bot.sim.venue import Venue

START_NS = 1_700_000_000_000_000_000
SECOND = 1_000_000_000
ACCOUNT = 1_000_001
EURUSD, USDJPY, EURJPY, GBPUSD, XAUUSD, BTCUSD = range(1, 7)
PRICES_E5 = {EURUSD: 110_000, USDJPY: 15_000_000, EURJPY: 16_500_000, GBPUSD: 127_000, XAUUSD: 240_000_000,
             BTCUSD: 6_000_000_000}  # fmt: skip


class HandMarket(Market):
    """A market whose changes a test puts in."""

    def __init__(self, specs: tuple[SymbolSpec, ...] = default_symbols()) -> None:
        empty: Iterator[Change] = iter(())
        super().__init__(dict.fromkeys(specs, empty), {})
        self.queue: list[Change] = []

    def next_change_ns(self) -> int | None:
        return self.queue[0].time_ns if self.queue else None

    def advance(self, now_ns: int) -> list[Change]:
        due = [change for change in self.queue if change.time_ns <= now_ns]
        self.queue = [change for change in self.queue if change.time_ns > now_ns]
        return due


class Desk:
    """A venue with a hand-moved market, its clock, and clients that talk to it."""

    def __init__(
        self,
        *,
        quoted: bool = True,
        start_ns: int = START_NS,
        specs: tuple[SymbolSpec, ...] | None = None,
        others: tuple[AccountSettings, ...] = (),
        options: dict[str, Any] | None = None,
        **settings: Any,
    ) -> None:
        """`settings` make the account; `others` are further ones; `options` go to the venue."""
        self.market = HandMarket(specs or default_symbols())
        self._ids = itertools.count(1)
        self._standing: dict[int, list[int]] = {}
        self.now_ns = start_ns
        if quoted:
            for symbol_id, price_e5 in PRICES_E5.items():
                half = price_e5 // 100_000 or 1
                self.queue_quotes(symbol_id, [(price_e5 - half, 10**12)], [(price_e5 + half, 10**12)])
        account = AccountSettings(ACCOUNT, **{"balance": Decimal(10_000), **settings})
        self.venue = Venue(
            self.market, accounts=[account, *others], client_id="app", client_secret="secret", access_token="trade",
            refresh_token="refresh", view_token="view", start_ns=start_ns, **(options or {}),
        )  # fmt: skip

    @property
    def account(self) -> Any:
        return self.venue.desks[ACCOUNT].account

    def queue_quotes(self, symbol_id: int, bids: list[tuple[int, int]], asks: list[tuple[int, int]]) -> None:
        """Replace a symbol's book; spot follows its best prices."""
        deleted = tuple(self._standing.get(symbol_id, ()))
        new = [Quote(next(self._ids), True, *level) for level in bids]
        new += [Quote(next(self._ids), False, *level) for level in asks]
        self._standing[symbol_id] = [quote.quote_id for quote in new]
        self.market.queue.append(
            Change(
                self.now_ns, symbol_id, bids[0][0] if bids else None, asks[0][0] if asks else None, tuple(new), deleted
            )
        )

    def quote(self, symbol_id: int, bids: list[tuple[int, int]], asks: list[tuple[int, int]], wait_s: int = 1) -> None:
        self.now_ns += wait_s * SECOND
        self.queue_quotes(symbol_id, bids, asks)
        self.venue.advance(self.now_ns)

    def wait(self, seconds: float) -> None:
        """Let time pass; what was queued and is due by then happens."""
        self.now_ns += int(seconds * SECOND)
        self.venue.advance(self.now_ns)

    def price(self, symbol_id: int, bid_e5: int, ask_e5: int) -> None:
        self.quote(symbol_id, [(bid_e5, 10**12)], [(ask_e5, 10**12)])

    def client(self, *, stage: str = "account", token: str = "trade") -> "Client":
        """A new client: connected, authenticated as "app", or logged in to the "account"."""
        client = Client(self, self.venue.connect(self.now_ns))
        if stage in ("app", "account"):
            client.ask("ProtoOAApplicationAuthReq", clientId="app", clientSecret="secret")
        if stage == "account":
            client.ask("ProtoOAAccountAuthReq", ctidTraderAccountId=ACCOUNT, accessToken=token)
        return client


class Client:
    def __init__(self, desk: Desk, link: Link) -> None:
        self.desk, self.link = desk, link
        self._reader = FrameReader()
        self._numbers = itertools.count(1)
        self.last_id = ""

    def received(self) -> list[tuple[str | None, Any]]:
        """(message id or None, message) of everything that came since the last call."""
        found = []
        for body in self._reader.receive(self.link.data_to_send()):
            wrapper = message("ProtoMessage").FromString(body)
            decoded = message_for(wrapper.payloadType).FromString(wrapper.payload)
            assert decoded.IsInitialized(), decoded
            found.append((wrapper.clientMsgId if wrapper.HasField("clientMsgId") else None, decoded))
        return found

    def messages(self, name: str | None = None) -> list[Any]:
        return [body for _, body in self.received() if name is None or body.DESCRIPTOR.name == name]

    def send(self, name: str, **fields: Any) -> list[tuple[str | None, Any]]:
        cls = message(name)
        if "ctidTraderAccountId" in cls.DESCRIPTOR.fields_by_name:
            fields.setdefault("ctidTraderAccountId", ACCOUNT)
        self.last_id = f"id-{next(self._numbers)}"
        self.link.receive(frame(envelope(cls(**fields), self.last_id)), self.desk.now_ns)
        return self.received()

    def ask(self, name: str, **fields: Any) -> Any:
        """Send a request; the answer must be one message, with the request's id."""
        ((msg_id, body),) = self.send(name, **fields)
        assert msg_id == self.last_id
        return body

    def order(self, kind: str, side: str, volume: int, symbol_id: int = EURUSD, **fields: Any) -> list[Any]:
        """Place an order; the messages it brought."""
        return [
            body
            for _, body in self.send(
                "ProtoOANewOrderReq", symbolId=symbol_id, orderType=enum("ProtoOAOrderType")[kind],
                tradeSide=enum("ProtoOATradeSide")[side], volume=volume, **fields,
            )
        ]  # fmt: skip


def kinds(messages: list[Any]) -> list[str]:
    """The execution types of messages; other messages by their name."""
    names = {number: name for name, number in enum("ProtoOAExecutionType").items()}
    return [
        names[body.executionType] if body.DESCRIPTOR.name == "ProtoOAExecutionEvent" else body.DESCRIPTOR.name
        for body in messages
    ]
