"""One answer to `ResolveOrders`: every order and deal since a time, then a reconcile, told together.

How it works: the time since is cut into windows the venue accepts. A window that comes back with `hasMore`, or is
refused as too wide, is cut in half and both halves are asked again: no page order is documented, and halving needs
none. Rows are deduplicated by id, so that halves may share their edge whichever way the venue reads its bounds.
The reconcile comes last and is told at once: an older one would overwrite the fills reported while lists were read.
"""

from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message

from bot.ctrader import translate
from bot.ctrader.schema import message
from bot.ctrader.translate import NS_PER_MS
from bot.engine.events import Event, OrderHistoryListed, Reconciled

MAX_ROWS = 500
MAX_REQUESTS = 60  # twelve seconds of the historical limit; beyond it the answer is incomplete
_WEEK_MS = 604_800_000
_HOUR_NS = 3_600_000_000_000


@dataclass(frozen=True, slots=True)
class Window:
    """A span of time to list. Units: epoch milliseconds, both ends included."""

    name: str  # the request's message name
    from_ms: int
    to_ms: int


class HistoryQuery:
    """Collects one history. Ask `next_requests` until it is done; give every answer back."""

    def __init__(self, account_id: int, from_ns: int, now_ns: int) -> None:
        self._account_id = account_id
        self._from_ns = from_ns
        self._orders: dict[int, Any] = {}
        self._deals: dict[int, Any] = {}
        self._complete = True
        self._open = 0
        self._asked = 0
        self._reconcile_asked = False
        to_ms = (now_ns + _HOUR_NS) // NS_PER_MS
        start_ms = max(0, from_ns // NS_PER_MS)
        names = ("ProtoOAOrderListReq", "ProtoOADealListReq")
        self._waiting = [
            Window(name, a, min(a + _WEEK_MS, to_ms))
            # Newest first: should the budget end, the orders in question are the young ones.
            for a in reversed(range(start_ms, max(to_ms, start_ms + 1), _WEEK_MS))
            for name in names
        ]

    def next_requests(self) -> list[tuple[Message, Window | None]]:
        """Return the requests to send now, each with the window it covers (None: the reconcile)."""
        out: list[tuple[Message, Window | None]] = []
        while self._waiting and self._asked < MAX_REQUESTS:
            window = self._waiting.pop(0)
            out.append((self._request(window), window))
            self._asked += 1
            self._open += 1
        if self._waiting:
            self._waiting.clear()
            self._complete = False
        if self._open == 0 and not self._reconcile_asked:
            self._reconcile_asked = True
            out.append((message("ProtoOAReconcileReq")(ctidTraderAccountId=self._account_id), None))
        return out

    def accept(self, reply: Any, window: Window | None, recv_ns: int) -> list[Event]:
        """Take an answer; return the events once the last one has come."""
        if window is None:
            orders = tuple(map(translate.order, reply.order))
            reconciled = Reconciled(recv_ns, translate.open_positions(reply.position), orders)
            return [reconciled, self._listed(recv_ns)]
        self._open -= 1
        if window.name == "ProtoOAOrderListReq":
            self._orders |= {entity.orderId: entity for entity in reply.order}
        else:
            self._deals |= {entity.dealId: entity for entity in reply.deal}
        if reply.hasMore:
            self._halve(window)
        return []

    def refuse(self, code: str, window: Window | None, recv_ns: int) -> list[Event]:
        """Take an error in place of an answer; return the events when nothing more can come."""
        if window is None:
            self._complete = False
            return [self._listed(recv_ns)]
        self._open -= 1
        if code == "INCORRECT_BOUNDARIES":
            self._halve(window)
        else:
            self._complete = False
        return []

    def _halve(self, window: Window) -> None:
        middle = (window.from_ms + window.to_ms) // 2
        if middle == window.from_ms:
            self._complete = False  # more rows in a millisecond than fit a page
            return
        self._waiting.append(Window(window.name, middle, window.to_ms))
        self._waiting.append(Window(window.name, window.from_ms, middle))

    def _request(self, window: Window) -> Message:
        fields = {"fromTimestamp": window.from_ms, "toTimestamp": window.to_ms}
        if window.name == "ProtoOADealListReq":
            fields["maxRows"] = MAX_ROWS
        return message(window.name)(ctidTraderAccountId=self._account_id, **fields)  # type: ignore[no-any-return]

    def _listed(self, recv_ns: int) -> OrderHistoryListed:
        orders = tuple(map(translate.order, self._orders.values()))
        deals = translate.executed_deals(sorted(self._deals.values(), key=lambda d: (d.executionTimestamp, d.dealId)))
        return OrderHistoryListed(recv_ns, self._from_ns, orders, deals, self._complete)
