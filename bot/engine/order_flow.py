"""The life of our orders: sent, answered, overdue, unknown, resolved; and the lines that report it.

Invariant: an order whose outcome is unknown keeps its symbol closed until reconcile, order list and deal list have
answered, and for `settle_s` after that. It is never sent again.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from bot.engine import events as ev
from bot.engine.decision import IntendedOrder, OrderChange
from bot.execution.in_flight import OrdersInFlight, OwnOrder
from bot.execution.orders import OrderSnapshot
from bot.execution.requests import ClosePosition, PlaceOrder, Request, ResolveOrders

_SECOND = 1_000_000_000
_ASK_AGAIN_NS = 10 * _SECOND
_CLOCK_SLACK_NS = 60 * _SECOND  # the venue's clock may differ from ours when orders are looked up by time

_STATE_OF_KIND = {
    "accepted": "accepted",
    "partially_filled": "partially_filled",
    "filled": "filled",
    "replaced": "replaced",
    "cancelled": "cancelled",
    "expired": "expired",
    "rejected": "rejected",
}


@dataclass(frozen=True, slots=True)
class _Sent:
    intended: IntendedOrder
    request: PlaceOrder | ClosePosition


class OrderFlow:
    """Follows every order of ours until it is done. Units: `order_timeout_s`, `settle_s` seconds."""

    def __init__(self, order_timeout_s: float, settle_s: float) -> None:
        self._timeout_ns = round(order_timeout_s * _SECOND)
        self._settle_ns = round(settle_s * _SECOND)
        self._in_flight = OrdersInFlight()
        self._sent: dict[str, _Sent] = {}
        self._changes: list[OrderChange] = []
        self._ours: set[str | None] = set()
        self._our_order_ids: set[int | None] = set()

    def sent(
        self,
        intended: IntendedOrder,
        symbol_index: int,
        symbol_id: int,
        request: PlaceOrder | ClosePosition,
        now_ns: int,
        *,
        grows: bool,
    ) -> None:
        """Remember an order that goes out with this decision."""
        order = OwnOrder(
            client_order_id=intended.client_order_id,
            symbol_index=symbol_index,
            symbol_id=symbol_id,
            volume_cents=request.volume_cents,
            position_id=request.position_id,
            sent_ns=now_ns,
            increases_risk=grows,
        )
        self._in_flight.add(order)
        self._ours.add(order.client_order_id)
        self._sent[intended.client_order_id] = _Sent(intended, request)
        self._report(order, "sent", None, None, paper=False)

    def open_orders(self) -> list[OwnOrder]:
        """Return our orders without a final state."""
        return self._in_flight.all()

    def busy(self, symbol_index: int, now_ns: int) -> bool:
        """Return whether a symbol has an order on its way, or is settling after an unknown one."""
        return self._in_flight.busy(symbol_index, now_ns)

    def is_ours(self, client_order_id: str | None, order_id: int | None) -> bool:
        """Return whether an order is, or was lately, one of this run's."""
        return client_order_id in self._ours or order_id in self._our_order_ids

    def pending_units(self, symbol_count: int) -> np.ndarray:
        """Return the signed volume of increases on their way, (S,) base units: what may fill at any moment."""
        pending = np.zeros(symbol_count)
        for order in self._in_flight.all():
            if order.increases_risk:
                left = abs(order.volume_cents) - order.executed_cents
                pending[order.symbol_index] += math.copysign(left, order.volume_cents) / 100
        return pending

    def unknown_symbols(self) -> list[int]:
        """Return the indexes of symbols with an order whose outcome is unknown."""
        return [o.symbol_index for o in self._in_flight.all() if o.state == "unknown"]

    def take(self) -> tuple[OrderChange, ...]:
        """Return the changes since the last call."""
        changes, self._changes = tuple(self._changes), []
        return changes

    # -- what the venue says ------------------------------------------------------------------------------------

    def executed(self, event: ev.ExecutionReported) -> None:
        """Move the order an execution event speaks of, if it is ours."""
        state = _STATE_OF_KIND.get(event.kind)
        order_id = event.order.order_id if event.order is not None else None
        order = self._in_flight.find(event.client_order_id, order_id)
        if order is None or state is None:
            return
        if event.order is not None:
            order.order_id = event.order.order_id
            self._our_order_ids.add(order.order_id)
            order.executed_cents = max(order.executed_cents, event.order.executed_cents)
        self._move(order, state, event.order, event.error_code, paper=event.paper)

    def refused(self, event: ev.RequestRefused) -> None:
        """Mark a refused order: rejected, or unknown where the code does not say that nothing happened."""
        order = self._in_flight.find(event.client_order_id, event.order_id)
        if order is not None:
            state = "unknown" if event.outcome_unknown else "rejected"
            self._move(order, state, None, event.error_code, paper=event.paper)

    def connection_lost(self) -> None:
        """Everything without a final answer may or may not have happened: unknown."""
        for order in self._in_flight.all():
            order.asked_ns = None
            if order.state != "unknown":
                self._move(order, "unknown", None, "CONNECTION_LOST", paper=False)

    def history(self, event: ev.OrderHistoryListed) -> None:
        """Resolve unknown orders from the venue's own lists; an incomplete answer resolves nothing that it lacks."""
        for order in self._in_flight.all():
            if order.state != "unknown" or order.asked_ns is None:
                continue
            found = self._found(order, event)
            if found is not None and found.status != "accepted":
                order.order_id = found.order_id
                order.executed_cents = max(order.executed_cents, found.executed_cents)
                self._move(order, found.status, found, None, paper=False)
            elif found is not None:
                order.order_id, order.asked_ns = found.order_id, None
                self._move(order, "accepted", found, None, paper=False)
                order.sent_ns = event.recv_ns  # it lives: give it its time again
                continue
            elif event.complete:
                self._move(order, "resolved", None, None, paper=False)
            else:
                order.asked_ns = None
                continue
            self._in_flight.settle(order.symbol_index, event.recv_ns + self._settle_ns)

    def _found(self, order: OwnOrder, event: ev.OrderHistoryListed) -> OrderSnapshot | None:
        """Return the venue's own record of an order: by client id, or for a close by position, volume and time."""
        for snapshot in event.orders:
            if snapshot.client_order_id == order.client_order_id or (
                order.order_id is not None and snapshot.order_id == order.order_id
            ):
                return snapshot
        if isinstance(self._sent[order.client_order_id].request, ClosePosition):
            for snapshot in event.orders:
                recent = snapshot.updated_ns is None or snapshot.updated_ns >= order.sent_ns - _CLOCK_SLACK_NS
                same = snapshot.position_id == order.position_id and abs(snapshot.volume_cents) == order.volume_cents
                if snapshot.closing and same and recent:
                    return snapshot
        return None

    # -- time ---------------------------------------------------------------------------------------------------

    def overdue(self, now_ns: int, *, ready: bool) -> Iterator[Request]:
        """Turn orders without an answer into unknown ones, and ask the venue about those once we are ready."""
        earliest: int | None = None
        for order in self._in_flight.all():
            if order.state != "unknown" and now_ns - order.sent_ns >= self._timeout_ns:
                self._move(order, "unknown", None, "ORDER_TIMEOUT", paper=False)
            if order.state == "unknown" and ready:
                if order.asked_ns is None or now_ns - order.asked_ns >= _ASK_AGAIN_NS:
                    order.asked_ns = now_ns
                    earliest = order.sent_ns if earliest is None else min(earliest, order.sent_ns)
        if earliest is not None:
            yield ResolveOrders(from_ns=earliest - _CLOCK_SLACK_NS)

    # -- reporting ----------------------------------------------------------------------------------------------

    def _move(
        self, order: OwnOrder, state: str, snapshot: OrderSnapshot | None, error_code: str | None, *, paper: bool
    ) -> None:
        if self._in_flight.move(order, state):
            self._report(order, state, snapshot, error_code, paper=paper)
            if order.is_done:
                del self._sent[order.client_order_id]

    def _report(
        self, order: OwnOrder, state: str, snapshot: OrderSnapshot | None, error_code: str | None, *, paper: bool
    ) -> None:
        sent = self._sent[order.client_order_id]
        position_id = snapshot.position_id if snapshot is not None else None
        self._changes.append(
            OrderChange(
                order=sent.intended,
                state=state,
                order_id=order.order_id,
                position_id=position_id if position_id is not None else order.position_id,
                executed_cents=order.executed_cents,
                execution_price=snapshot.execution_price if snapshot is not None else None,
                error_code=error_code,
                paper=paper,
            )
        )
