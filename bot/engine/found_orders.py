"""The part of the order flow that takes up orders found at the venue: those of an earlier run, and other people's.

From then on they live like the others (`order_flow.py`, `resting_flow.py`). Nothing is reported of the states of other
people's, unless we have placed them, in the place of one that could not be amended.
"""

from collections.abc import Callable, Mapping

from bot.engine.adoption import adopted, is_adoptable, may_be_close, watched
from bot.engine.decision import IntendedOrder
from bot.engine.look_ups import CLOCK_SLACK_NS
from bot.engine.resting_flow import RestingFlow
from bot.engine.restored import NOT_LOADED
from bot.execution.in_flight import OrdersInFlight, OwnOrder
from bot.execution.orders import OrderSnapshot
from bot.market.symbols import SymbolSpec


class FoundOrders:
    """Takes orders into the order flow.

    Args: `remember` keeps what an order is reported as, and reports it; `move` puts one into a state.
    """

    def __init__(
        self,
        in_flight: OrdersInFlight,
        resting: RestingFlow,
        remember: Callable[[OwnOrder, IntendedOrder, OrderSnapshot], None],
        move: Callable[..., None],
    ) -> None:
        self._in_flight = in_flight
        self._resting = resting
        self._remember = remember
        self._move = move
        self._ended_on_paper: set[int] = set()

    def adopt(self, snapshot: OrderSnapshot, symbol_index: int, spec: SymbolSpec, now_ns: int) -> None:
        """Take over an order of ours that the venue still works on, as after a crash.

        While a market order works its symbol gets no other; a resting one is then kept or cancelled, as is wished.
        """
        if not is_adoptable(snapshot) or self._in_flight.find(snapshot.client_order_id, snapshot.order_id) is not None:
            return
        if snapshot.order_id in self._ended_on_paper:
            return
        close = next((o for o in self._in_flight.all() if _has_become(snapshot, o)), None)
        if close is not None:  # a drop has hidden what it is called there
            close.learn(snapshot)
            close.asked_ns, close.sent_ns = None, now_ns
            self._move(close, "accepted", snapshot, None, paper=False)
            return
        intended, order = adopted(snapshot, symbol_index, spec, now_ns)
        self._remember(order, intended, snapshot)

    def watch(
        self, snapshot: OrderSnapshot, symbol_index: int, spec: SymbolSpec, now_ns: int, *, for_owner: bool
    ) -> OwnOrder | None:
        """Follow a resting order that is somebody else's; None where it is followed as one of ours.

        One that an earlier run's ledger has left open is in flight before the venue lists it: it goes on as it is.

        Args: `for_owner` says that an earlier run of ours placed it for somebody else: its states are reported.
        """
        known = self._in_flight.find(snapshot.client_order_id, snapshot.order_id)
        if known is not None:
            return known if known.is_foreign else None
        intended, order = watched(snapshot, symbol_index, spec, now_ns, for_owner=for_owner)
        self._resting.version += 1
        self._remember(order, intended, snapshot)
        return order

    def place(self, index: Mapping[int, int]) -> None:
        """Take where the symbols stand in the arrays: a new connection may have loaded others behind the traded ones.

        Args: `index` by symbol id.
        """
        for order in self._in_flight.all():
            order.symbol_index = index.get(order.symbol_id, NOT_LOADED)

    def left_order(self, order_id: int) -> OrderSnapshot | None:
        """Return the venue's word on an order of ours that an earlier run has left there; None for any other."""
        order = self._in_flight.find(None, order_id)
        return None if order is None or order.is_foreign else order.snapshot

    def ended_on_paper(self, order_id: int) -> None:
        """Take that a dry run has cancelled an order on paper: the venue goes on listing it, and it stays ended."""
        if self.left_order(order_id) is not None:
            self._ended_on_paper.add(order_id)

    def gone(self, order: OwnOrder) -> None:
        """End an order of somebody else's that only paper still has."""
        self._move(order, "cancelled", None, None, paper=True)
        self._resting.ended(order, paper=True)

    def ours_growing_cents(self, symbol_index: int, side: int) -> int:
        """Return what our own orders on their way or at rest may still add to a side, 0.01 base unit."""
        growing = self._resting.standing_cents(symbol_index, side, only_opening=True)
        for order in self._in_flight.all():
            if order.symbol_index == symbol_index and order.increases_risk and not order.is_resting:
                growing += order.left_cents if order.volume_cents * side > 0 else 0
        return growing


def _has_become(snapshot: OrderSnapshot, order: OwnOrder) -> bool:
    """Return whether a working order may be a close of ours that was not answered."""
    is_unnamed = order.state in ("sent", "unknown") and order.order_id is None and not order.is_resting
    return is_unnamed and snapshot.client_order_id is None and may_be_close(snapshot, order, CLOCK_SLACK_NS)
