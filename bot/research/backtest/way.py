"""The way between the bot and the venue: bytes that take their time, and quotes that die meanwhile.

How it works: each direction is a queue in which nothing overtakes. Until the session is ready everything arrives at
once: how long a login takes is no part of a backtest, and what a subscription tells must not be late for the changes
that follow it. A request that wants a market price remembers the best prices of when it left.
"""

from collections import deque
from typing import Any, NamedTuple

import numpy as np

from bot.ctrader.framing import FrameReader, frame
from bot.ctrader.schema import enum, message, message_for, payload_type
from bot.research.backtest.latency import Latency
from bot.research.backtest.replayed_venue import ReplayedVenue

_MARKET_DATA = (payload_type("ProtoOASpotEvent"), payload_type("ProtoOADepthEvent"))
_NEW_ORDER, _CLOSE = payload_type("ProtoOANewOrderReq"), payload_type("ProtoOAClosePositionReq")
_AT_ONCE = tuple(enum("ProtoOAOrderType")[name] for name in ("MARKET", "MARKET_RANGE"))
DEAD_QUOTE = "NO_QUOTES"
"""How the venue refuses a market order whose price has gone."""

Touch = dict[int, tuple[int | None, int | None]]


class Parcel(NamedTuple):
    """Bytes on their way. `touch` the best bid and ask of each symbol when they left, where that matters."""

    due_ns: int
    data: bytes
    touch: Touch | None = None


class Way:
    """One connection. Times in ns; `random` draws how long each parcel takes."""

    def __init__(self, venue: ReplayedVenue, latency: Latency, random: np.random.Generator, now_ns: int) -> None:
        self._venue, self._latency, self._random = venue, latency, random
        self._link = venue.connect(now_ns)
        self._reader, self._up_reader = FrameReader(), FrameReader()
        self._up: deque[Parcel] = deque()
        self._down: deque[Parcel] = deque()
        self._rejects_dead_quotes = False
        self.is_instant = True
        self.is_closed = False
        self.dead_quotes = 0

    @property
    def close_reason(self) -> str | None:
        """Why the venue has closed the connection; None while it has not."""
        return self._link.close_reason

    def close(self) -> None:
        """End the connection; what is on its way, to either side, is lost."""
        self._link.close()
        self._up.clear()
        self._down.clear()
        self.is_closed = True

    @property
    def up_ns(self) -> int | None:
        """When the next bytes reach the venue."""
        return self._up[0].due_ns if self._up else None

    @property
    def down_ns(self) -> int | None:
        """When the next bytes reach the bot."""
        return self._down[0].due_ns if self._down else None

    def reject_dead_quotes(self) -> None:
        """Refuse market orders from now on whose price is gone when they arrive."""
        self._rejects_dead_quotes = True

    def send(self, data: bytes, now_ns: int) -> None:
        """Take what the bot writes."""
        if self.is_closed:
            return
        touch = self._touch() if self._rejects_dead_quotes else None
        self._up.append(Parcel(self._due_ns(self._up, now_ns), data, touch))

    def arrive(self) -> None:
        """Let the next bytes reach the venue."""
        parcel, venue = self._up.popleft(), self._venue
        venue.advance(parcel.due_ns)
        for body in self._up_reader.receive(parcel.data):
            doomed = parcel.touch is not None and self._wants_dead_quote(body, parcel.touch)
            if doomed:
                self.dead_quotes += 1
                venue.reject_next(venue.account_id, DEAD_QUOTE)
            self._link.receive(frame(body), parcel.due_ns)
            if doomed:  # refused for another reason before it came to that
                venue.mishaps.take_rejection(venue.account_id)
        self.collect(parcel.due_ns)

    def collect(self, now_ns: int) -> None:
        """Put on the way what the venue has to say."""
        for segment in self._link.segments_to_send(now_ns):
            if not self.is_instant and any(map(_is_market_data, FrameReader().receive(segment))):
                # A book that is told anew must not be late for its changes, which come without delay.
                self._down = deque(parcel._replace(due_ns=now_ns) for parcel in self._down)
                self._down.append(Parcel(now_ns, segment))
            else:
                self._down.append(Parcel(self._due_ns(self._down, now_ns), segment))

    def receive(self) -> list[bytes]:
        """Return the frames that the next bytes complete at the bot."""
        return self._reader.receive(self._down.popleft().data)

    def _due_ns(self, queue: deque[Parcel], now_ns: int) -> int:
        due_ns = now_ns if self.is_instant else now_ns + self._latency.draw_ns(self._random)
        return max(due_ns, queue[-1].due_ns) if queue else due_ns

    def _touch(self) -> Touch:
        return {symbol_id: _best(book) for symbol_id, book in self._venue.books.items()}

    def _wants_dead_quote(self, body: bytes, sent: Touch) -> bool:
        """Tell whether a message is a market order whose side was better when it left."""
        wrapper = message("ProtoMessage").FromString(body)
        if wrapper.payloadType not in (_NEW_ORDER, _CLOSE):
            return False
        request = message_for(wrapper.payloadType).FromString(wrapper.payload)  # type: ignore[union-attr]
        if wrapper.payloadType == _CLOSE:
            position = self._venue.account.positions.get(request.positionId)
            if position is None:
                return False
            symbol_id, is_buy = position.symbol_id, not position.is_buy
        elif request.orderType in _AT_ONCE:
            symbol_id, is_buy = request.symbolId, request.tradeSide == enum("ProtoOATradeSide")["BUY"]
        else:
            return False
        book = self._venue.books.get(symbol_id)
        if book is None:
            return False
        (was_bid, was_ask), (bid, ask) = sent[symbol_id], _best(book)
        if is_buy:
            return was_ask is not None and (ask is None or ask > was_ask)
        return was_bid is not None and (bid is None or bid < was_bid)


def _best(book: Any) -> tuple[int | None, int | None]:
    """Return the best prices of the depth, 1/100000."""
    bids, asks = book.levels(is_bid=True), book.levels(is_bid=False)
    return (bids[0][0] if bids else None), (asks[0][0] if asks else None)


def _is_market_data(body: bytes) -> bool:
    return message("ProtoMessage").FromString(body).payloadType in _MARKET_DATA
