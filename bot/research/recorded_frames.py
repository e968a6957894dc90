"""The market data in recorded frames, read by what the frames themselves say.

How it works: a journal holds what came in, not what was asked for. A session that only listens asks for less than the
one that was, so its message ids are others, and the answers to a later login fit none of its questions. From the moment
the symbols are known none is needed: frames of our account say which symbol they are of, and the answers of a login, in
the order in which it always asks (`bot.ctrader.phases`), from when on spots and depth are taken again. Whose depth
subscription was renewed, and its book emptied, is among the decisions; where it is not, the session renews all of them,
one after the other, because they had outlived their login.
"""

from collections import Counter, deque
from collections.abc import Sequence
from typing import Any

from google.protobuf.message import DecodeError

from bot.ctrader.inbound import read_frame
from bot.ctrader.market_feed import MarketFeed
from bot.ctrader.schema import payload_type
from bot.engine.decision import describe
from bot.engine.events import SymbolsLoaded
from bot.research.streams import Batch

_RENEWAL = b'"ResubscribeDepth"'
_SPOT, _DEPTH = payload_type("ProtoOASpotEvent"), payload_type("ProtoOADepthEvent")
_OPENED = payload_type("ProtoOAAccountAuthRes")
_RECONCILED = payload_type("ProtoOAReconcileRes")
_SPOTS_ON = payload_type("ProtoOASubscribeSpotsRes")
_DEPTH_OFF = payload_type("ProtoOAUnsubscribeDepthQuotesRes")
_ENDED = payload_type("ProtoOAAccountDisconnectEvent"), payload_type("ProtoOAAccountsTokenInvalidatedEvent")


class RecordedFrames:
    """Turns recorded batches into delta rows by the index of their symbol.

    Args: `account_id` None for the one that the first market data name; `is_ready` whether subscriptions stand already.
    """

    def __init__(self, loaded: SymbolsLoaded, account_id: int | None, *, is_ready: bool) -> None:
        self.is_plain = False
        """Whether the last batch held market data in its plain form and nothing else."""
        self._symbol_ids = [spec.symbol_id for spec in loaded.symbols]
        self._feed = MarketFeed(Counter())
        self._feed.symbols_loaded(loaded)
        self._account_id = account_id
        self._takes_spots = self._takes_depth = is_ready
        self._traded_ids = self._symbol_ids[: loaded.traded_count]
        self._renewals: deque[int] = deque()
        self._all_renewals: deque[int] = deque()

    def lost(self, now_ns: int) -> list[Batch]:
        """Take the end of the connection: every book is empty, and nothing counts before the next login."""
        self._close(now_ns)
        return self._taken()

    def decided(self, encoded: bytes) -> None:
        """Take what was decided: whose depth is to be dropped and asked for anew."""
        if _RENEWAL not in encoded:
            return
        requests: Any = describe(encoded)["requests"]
        for symbol_id in (each["symbol_id"] for each in requests if each["request"] == "ResubscribeDepth"):
            if symbol_id in self._feed.index and symbol_id not in self._renewals:
                self._renewals.append(symbol_id)

    def batch(self, frames: Sequence[bytes], recv_ns: int) -> list[Batch]:
        """Return what the frames of one batch say of the market."""
        hot_path = self._feed.hot_path
        wire, sizes = hot_path.join(frames)
        self.is_plain = True
        at = start = 0
        while at < len(frames):
            if self._takes_depth and self._account_id is not None:
                first = at
                at, start, rows, bad_quotes, is_loud = hot_path.read(wire, sizes, at, start, self._account_id)
                if at > first:
                    self._feed.add(rows, bad_quotes, recv_ns)
                if not is_loud:
                    continue
            self.is_plain = False
            self._frame(frames[at], recv_ns)
            start += len(frames[at])
            at += 1
        return self._taken()

    def _frame(self, body: bytes, recv_ns: int) -> None:
        try:
            number, content, _ = read_frame(body)
        except DecodeError:
            return  # the session that was left it out as well
        if number in (_SPOT, _DEPTH):
            if self._account_id is None and content.symbolId in self._feed.index:
                self._account_id = content.ctidTraderAccountId
            if number == _SPOT:
                self._feed.spot(content, self._account_id if self._takes_spots else None, recv_ns)
            else:
                self._feed.depth(content, self._account_id if self._takes_depth else None, recv_ns)
        elif number in _ENDED or number == _OPENED:
            if self._is_ours(content):
                self._close(recv_ns)  # also where it is opened anew: the one before had ended, with a word or without
        elif number == _RECONCILED:
            self._takes_spots = self._takes_spots or self._is_ours(content)
        elif number == _SPOTS_ON:
            self._takes_depth = self._takes_depth or (self._takes_spots and self._is_ours(content))
        elif number == _DEPTH_OFF and self._is_ours(content):
            self._depth_ended(recv_ns)

    def _depth_ended(self, recv_ns: int) -> None:
        if self._renewals:
            self._feed.clear_book(self._renewals.popleft(), recv_ns)
            return
        if not self._all_renewals:
            self._all_renewals.extend(self._traded_ids)
        if self._all_renewals:
            self._feed.clear_book(self._all_renewals.popleft(), recv_ns)

    def _is_ours(self, content: Any) -> bool:
        if hasattr(content, "ctidTraderAccountIds"):
            return self._account_id in content.ctidTraderAccountIds
        return self._account_id is None or content.ctidTraderAccountId == self._account_id

    def _close(self, now_ns: int) -> None:
        for symbol_id in self._symbol_ids:
            self._feed.clear_book(symbol_id, now_ns)
        self._takes_spots = self._takes_depth = False
        self._renewals.clear()
        self._all_renewals.clear()

    def _taken(self) -> list[Batch]:
        return [(event.recv_ns, event.rows) for event in self._feed.take()]
