"""A second look at a venue: a plain client of our own on the account that another client trades.

How it works: it logs in over verified TLS before the other client starts and subscribes to the same symbol. The venue
tells every client of an account the same things, so whatever the other client says it saw must be among what came
here. `look` and `balance` ask for the state of now, by reconcile and trader request.
"""

import socket
import ssl
import time
from dataclasses import dataclass
from typing import Any

from bot.ctrader.framing import FrameReader, frame
from bot.ctrader.schema import enum, envelope, message, message_for

ANSWER_WITHIN_S = 20.0
EXECUTION_TYPES = {number: name for name, number in enum("ProtoOAExecutionType").items()}


@dataclass(frozen=True)
class Look:
    """What is open on the account at one moment: ProtoOAPosition and ProtoOAOrder by id."""

    positions: dict[int, Any]
    orders: dict[int, Any]


class Observer:
    """Logged in and subscribed from the start; use it in a `with` block."""

    def __init__(self, ready: dict[str, Any], symbol_name: str = "EURUSD") -> None:
        self.account_id: int = ready["accounts"][0]["id"]
        self.bids_e5: set[int] = set()
        self.asks_e5: set[int] = set()
        self.quotes: set[tuple[int, str, int, int]] = set()
        """Each (id, side, price, size) that the venue ever published."""
        self.executions: list[tuple[str, Any]] = []
        self.payloads: list[tuple[int, bytes]] = []
        """Everything that came, as (payload type, bytes)."""
        self._asked = 0
        self._reader = FrameReader()
        context = ssl.create_default_context(cafile=ready["ca_file"])
        plain = socket.create_connection((ready["host"], ready["port"]), timeout=ANSWER_WITHIN_S)
        self._socket = context.wrap_socket(plain, server_hostname=ready["host"])
        self.ask("ProtoOAApplicationAuthReq", clientId=ready["client_id"], clientSecret=ready["client_secret"])
        self.ask("ProtoOAAccountAuthReq", accessToken=ready["access_token"])
        self.listed = {entry.symbolName: entry for entry in self.ask("ProtoOASymbolsListReq").symbol}
        """ProtoOALightSymbol by name."""
        full = self.ask("ProtoOASymbolByIdReq", symbolId=[entry.symbolId for entry in self.listed.values()])
        self.details = {entry.symbolId: entry for entry in full.symbol}
        """ProtoOASymbol by id."""
        for kind in ("Spots", "DepthQuotes"):
            self.ask(f"ProtoOASubscribe{kind}Req", symbolId=[self.listed[symbol_name].symbolId])

    def __enter__(self) -> "Observer":
        return self

    def __exit__(self, *_failure: object) -> None:
        self._socket.close()

    def look(self) -> Look:
        """Return what is open now; everything that the venue sent before is taken in, too."""
        held = self.ask("ProtoOAReconcileReq")
        return Look(
            {position.positionId: position for position in held.position},
            {order.orderId: order for order in held.order},
        )

    def balance(self) -> float:
        """Return the account's balance in deposit units."""
        trader = self.ask("ProtoOATraderReq").trader
        return float(trader.balance / 10**trader.moneyDigits)

    def events(self, kind: str, *, order_id: int | None = None, position_id: int | None = None) -> list[Any]:
        """Return the execution events of a kind that were about an order or a position, oldest first."""
        return [
            event
            for name, event in self.executions
            if name == kind
            and order_id in (None, event.order.orderId)
            and position_id in (None, event.order.positionId)
        ]  # fmt: skip

    def ask(self, name: str, **fields: Any) -> Any:
        """Send a request and return the message that answers it, a refusal included; what comes before is noted."""
        cls = message(name)
        if "ctidTraderAccountId" in cls.DESCRIPTOR.fields_by_name:
            fields.setdefault("ctidTraderAccountId", self.account_id)
        self._asked += 1
        msg_id = f"observer-{self._asked}"
        self._socket.sendall(frame(envelope(cls(**fields), msg_id)))
        answer = None
        while answer is None:
            answer = self._take(msg_id)
        return answer

    def listen(self, seconds: float) -> None:
        """Note what comes for a while; the market makes sure that something does."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self._take("")

    def _take(self, msg_id: str) -> Any | None:
        """Take in what one read brings; return the answer to a request if it is there."""
        data = self._socket.recv(65_536)
        assert data, "the venue has closed the observer's connection"
        answer = None
        for body in self._reader.receive(data):
            wrapper = message("ProtoMessage").FromString(body)
            self.payloads.append((wrapper.payloadType, wrapper.payload))
            decoded = message_for(wrapper.payloadType).FromString(wrapper.payload)
            if wrapper.clientMsgId == msg_id:
                answer = decoded if answer is None else answer
            self._note(decoded)
        return answer

    def _note(self, event: Any) -> None:
        name = event.DESCRIPTOR.name
        if name == "ProtoOASpotEvent":
            if event.HasField("bid"):
                self.bids_e5.add(event.bid)
            if event.HasField("ask"):
                self.asks_e5.add(event.ask)
        elif name == "ProtoOADepthEvent":
            for quote in event.newQuotes:
                side = "bid" if quote.HasField("bid") else "ask"
                self.quotes.add((quote.id, side, getattr(quote, side), quote.size))
        elif name == "ProtoOAExecutionEvent":
            self.executions.append((EXECUTION_TYPES[event.executionType], event))
