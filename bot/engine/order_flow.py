"""The life of our orders: sent, answered, overdue, unknown, resolved; and the lines that report it.

What is particular to orders that rest in the book, and to their amends and cancels, is in `resting_flow.py`.

Invariant: an order whose outcome is unknown keeps its symbol closed until reconcile, order list and deal list have
answered, and for `settle_s` after that. It is never sent again.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from bot.engine import events as ev
from bot.engine.adoption import may_be_close
from bot.engine.decision import IntendedOrder, OrderChange
from bot.engine.found_orders import FoundOrders
from bot.engine.look_ups import CLOCK_SLACK_NS, LookUps
from bot.engine.market_hours import CLOSED_CODES, MarketHours
from bot.engine.protection_flow import ProtectionFlow
from bot.engine.resting_flow import GONE, RestingFlow
from bot.engine.restored import ALTERATIONS, NOT_LOADED, restored_intent, restored_order
from bot.execution.in_flight import OrdersInFlight, OwnOrder
from bot.execution.orders import OrderSnapshot
from bot.execution.requests import ClosePosition, PlaceOrder, Request
from bot.market.symbols import SymbolSpec

_SECOND = 1_000_000_000
_ASK_AGAIN_NS = 10 * _SECOND
_FIRST_PAUSE_NS, _LONGEST_PAUSE_NS = _SECOND, 60 * _SECOND

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
    request: PlaceOrder | ClosePosition | None  # None for one that an earlier run sent


class OrderFlow:
    """Follows every order of ours until it is done.

    Args: `hours` is told of refusals that mean a closed market.   Units: `order_timeout_s`, `settle_s` seconds.
    """

    def __init__(self, order_timeout_s: float, settle_s: float, hours: MarketHours) -> None:
        self._hours = hours
        self._timeout_ns = round(order_timeout_s * _SECOND)
        self._settle_ns = round(settle_s * _SECOND)
        self._in_flight = OrdersInFlight()
        self.look = self._in_flight.all  # to look at: our orders without a final state, oldest first
        self.resting = RestingFlow(self._in_flight, hours, self._move, self._note)
        self.found = FoundOrders(self._in_flight, self.resting, self._take_up, self._move)
        self.protections = ProtectionFlow(self._note)
        self._sent: dict[str, _Sent] = {}
        self._changes: list[OrderChange] = []
        self._ours: set[str | None] = set()
        self._our_order_ids: set[int | None] = set()
        self._failures: dict[int, int] = {}  # refusals in a row, by symbol index
        self._pause_until_ns: dict[int, int] = {}
        self._held_until_ns: dict[type, int] = {}  # by kind of request
        self.look_ups = LookUps()
        self._restored_alterations: list[IntendedOrder] = []

    def sent(
        self,
        intended: IntendedOrder,
        symbol_index: int,
        symbol_id: int,
        request: PlaceOrder | ClosePosition,
        now_ns: int,
        *,
        grows: bool,
        for_owner: bool = False,
    ) -> OwnOrder:
        """Remember an order that goes out with this decision; `for_owner` in the place of somebody else's."""
        order = OwnOrder(
            client_order_id=intended.client_order_id,
            symbol_index=symbol_index,
            symbol_id=symbol_id,
            volume_cents=request.volume_cents,
            position_id=request.position_id,
            sent_ns=now_ns,
            increases_risk=grows,
            limit_price=request.limit_price if isinstance(request, PlaceOrder) else None,
            changed_ns=now_ns,
            is_foreign=for_owner,
        )
        self._in_flight.add(order)
        self._ours.add(order.client_order_id)
        self._sent[intended.client_order_id] = _Sent(intended, request)
        self._report(order, "sent", None, None, paper=False)
        return order

    def busy(self, symbol_index: int, now_ns: int) -> bool:
        """Return whether a symbol has an order on its way, settles after an unknown one, or was just refused one."""
        if self._pause_until_ns.get(symbol_index, 0) > now_ns:
            return True
        if self.protections.pending and symbol_index in self.protections.unknown_symbols():
            return True
        return self._in_flight.busy(symbol_index, now_ns)

    def is_on_its_way(self, symbol_index: int, now_ns: int) -> bool:
        """Return whether a symbol has an order on its way, or settles after an unknown one."""
        return self._in_flight.busy(symbol_index, now_ns)

    def is_held(self, request: PlaceOrder | ClosePosition, now_ns: int) -> bool:
        """Return whether the venue blocks this kind of request, for every symbol."""
        return self.is_kind_held(type(request), now_ns)

    def is_kind_held(self, kind: type, now_ns: int) -> bool:
        """Return whether the venue blocks a kind of request, for every symbol."""
        return self._held_until_ns.get(kind, 0) > now_ns

    def has_open(self, symbol_id: int) -> bool:
        """Return whether an order of ours on this symbol has no final state yet."""
        return any(order.symbol_id == symbol_id and not order.is_foreign for order in self._in_flight.all())

    def restore(self, intents: Iterable[ev.OpenIntent], index: Mapping[int, tuple[int, SymbolSpec]]) -> None:
        """Take over what an earlier run left open: unknown, until the venue's lists have answered.

        Args: `index` array index and definition of every loaded symbol, by id.
        """
        for intent in intents:
            s, spec = index.get(intent.symbol_id, (NOT_LOADED, None))
            intended = restored_intent(intent, spec)
            if intent.action in ALTERATIONS:
                self._restored_alterations.append(intended)
                continue
            order, request = restored_order(intent, s)
            self._in_flight.add(order)
            self._ours.add(order.client_order_id)
            self._sent[order.client_order_id] = _Sent(intended, request)
            self._report(order, "unknown", None, "RESTARTED", paper=False)

    def discard(self, intents: Iterable[ev.OpenIntent]) -> None:
        """Say of intents that this account's venue will never know them: they were another account's."""
        for intent in intents:
            intended = restored_intent(intent, None)
            self._note(OrderChange(intended, "resolved", None, None, 0, None, "OTHER_ACCOUNT", paper=False))
        self.look_ups.forget()

    def catch_up(self, since_ns: int) -> None:
        """Have the deals since a time listed once we are READY: an earlier run may have ended before it saw them."""
        self.look_ups.catch_up(since_ns)

    def is_ours(self, client_order_id: str | None, order_id: int | None) -> bool:
        """Return whether an order is, or was lately, one of this run's."""
        return client_order_id in self._ours or order_id in self._our_order_ids

    def may_close(self, position_id: int) -> bool:
        """Return whether a close of ours is on its way whose own order the venue has not named yet.

        A close carries no id of ours: until the first event that answers it has come, any of its fills may be that one.
        """
        return any(o.position_id == position_id and o.order_id is None for o in self._in_flight.all())

    def pending_units(self, net_units: np.ndarray) -> np.ndarray:
        """Return the signed volume of increases on their way, (S,) base units: what may fill at any moment.

        Args: `net_units` (S,) what we hold. Of the resting orders of a symbol only one side counts, the worse one.
        """
        pending = np.zeros(len(net_units))
        if not self._in_flight:
            return pending
        for order in self._in_flight.all():
            if order.increases_risk and not order.is_resting and order.symbol_index != NOT_LOADED:
                pending[order.symbol_index] += math.copysign(order.left_cents, order.volume_cents) / 100
        return np.asarray(pending + self.resting.worst_units(net_units + pending))

    def unknown_symbols(self) -> list[int]:
        """Return the indexes of symbols with an order whose outcome is unknown."""
        unknown = [o.symbol_index for o in self._in_flight.all() if o.state == "unknown"]
        if self.protections.pending:
            unknown += [s for s in self.protections.unknown_symbols() if s not in unknown]
        return [s for s in unknown if s != NOT_LOADED]

    def take(self) -> tuple[OrderChange, ...]:
        """Return the changes since the last call."""
        changes, self._changes = tuple(self._changes), []
        return changes

    # -- what the venue says ------------------------------------------------------------------------------------

    def executed(self, event: ev.ExecutionReported) -> None:
        """Move the order an execution event speaks of, if it is ours."""
        self.look_ups.moved(event.recv_ns)
        self.protections.executed(event)
        state = _STATE_OF_KIND.get(event.kind)
        order_id = event.order.order_id if event.order is not None else None
        order = self._in_flight.find(event.client_order_id, order_id)
        if event.kind == "cancel_rejected":
            self.resting.cancel_rejected(event, order)
        if order is None or state is None:
            return
        order.is_paper = event.paper
        if event.order is not None:
            order.learn(event.order)
        if state == "rejected":
            self._pause(order, event.error_code, event.recv_ns)
        elif state in ("partially_filled", "filled"):
            self._failures.pop(order.symbol_index, None)
            self._hours.traded(order.symbol_index)
        self._move(order, state, event.order, event.error_code, paper=event.paper)
        self.resting.told(order, state, event)

    def _pause(self, order: OwnOrder, error_code: str | None, now_ns: int) -> None:
        """Wait before the next order on a symbol after a refusal, twice as long after each further one."""
        symbol_index = order.symbol_index
        if error_code in CLOSED_CODES:
            self._hours.refused(symbol_index, str(error_code), now_ns)
            return
        if order.is_resting:
            self.resting.pause(symbol_index, error_code, now_ns)
            return
        if error_code == "NOT_SENT":
            # Nobody has refused it: what was too old to be sent is decided anew, on the market of then.
            self._pause_until_ns[symbol_index] = now_ns + _FIRST_PAUSE_NS
            return
        failures = self._failures.get(symbol_index, 0)
        self._failures[symbol_index] = failures + 1
        self._pause_until_ns[symbol_index] = now_ns + min(_FIRST_PAUSE_NS << min(failures, 10), _LONGEST_PAUSE_NS)

    def refused(self, event: ev.RequestRefused) -> None:
        """Mark a refused order: rejected, or unknown where the code does not say that nothing happened."""
        if self.protections.refused(event):
            return
        order = self._in_flight.find(event.client_order_id, event.order_id)
        if self.resting.refused(event, order):
            return
        if order is not None:
            # What is gone at the venue is not what we hold: look it up instead of trying again.
            doubtful = event.outcome_unknown or event.error_code in GONE
            sent = self._sent.get(order.client_order_id)
            if event.retry_at_ns is not None and sent is not None:
                self._held_until_ns[type(sent.request)] = event.retry_at_ns
            elif not doubtful:
                self._pause(order, event.error_code, event.recv_ns)
            self._move(order, "unknown" if doubtful else "rejected", None, event.error_code, paper=event.paper)

    def connection_lost(self) -> None:
        """Everything without a final answer may or may not have happened: unknown."""
        self.look_ups.connection_lost()
        self.resting.connection_lost()
        self.protections.connection_lost()
        for order in self._in_flight.all():
            order.asked_ns = None
            if order.state != "unknown" and not order.is_paper:
                self._move(order, "unknown", None, "CONNECTION_LOST", paper=False)

    def history(self, event: ev.OrderHistoryListed, lagging: frozenset[int] = frozenset()) -> None:
        """Resolve unknown orders from the venue's own lists; an incomplete answer resolves nothing that it lacks.

        The lists may be seconds behind what was executed: an order that they do not know is looked for once more.

        Args: `lagging` positions that the deals have and the reconcile has not: their orders stay unknown.
        """
        self.look_ups.answered(complete=event.complete)
        for symbol_index in self.protections.listed(complete=event.complete):
            self._in_flight.settle(symbol_index, event.recv_ns + self._settle_ns)
        for order in self._in_flight.all():
            if order.state != "unknown" or order.asked_ns is None:
                continue
            found = self._found(order, event)
            if found is not None and lagging & {d.position_id for d in event.deals if d.order_id == found.order_id}:
                continue  # asked again in a while
            if found is not None and found.status != "accepted":
                order.learn(found)
                self._move(order, found.status, found, None, paper=False)
                self.resting.ended(order)
            elif found is not None:
                order.learn(found)
                order.asked_ns = None
                self._move(order, "accepted", found, None, paper=False)
                order.sent_ns = event.recv_ns  # it lives: give it its time again
                self.resting.found_working(order)
                continue
            elif event.complete and self._is_missing_for_good(order, event.recv_ns):
                self._pause(order, None, event.recv_ns)
                self._move(order, "resolved", None, None, paper=False)
                self.resting.ended(order)
                continue  # it has settled between the two looks
            else:
                continue  # asked again in a while
            self._in_flight.settle(order.symbol_index, event.recv_ns + self._settle_ns)

    def _is_missing_for_good(self, order: OwnOrder, now_ns: int) -> bool:
        if order.missed_ns is None:
            order.missed_ns = now_ns
        return now_ns - order.missed_ns >= self._settle_ns

    def _found(self, order: OwnOrder, event: ev.OrderHistoryListed) -> OrderSnapshot | None:
        """Return the venue's own record of an order: by client id, or for a close by position, volume and time."""
        for snapshot in event.orders:
            if snapshot.client_order_id == order.client_order_id or (
                order.order_id is not None and snapshot.order_id == order.order_id
            ):
                return snapshot
        if isinstance(self._sent[order.client_order_id].request, ClosePosition):
            for snapshot in event.orders:
                if snapshot.order_id not in self._our_order_ids and may_be_close(snapshot, order, CLOCK_SLACK_NS):
                    return snapshot
        return None

    def listed(self, orders: Iterable[OrderSnapshot]) -> None:
        """Compare our resting orders with the venue's own list of working ones."""
        self.resting.listed(orders)
        for intended in self._restored_alterations:  # their orders are as the list has them
            self._changes.append(OrderChange(intended, "resolved", None, None, 0, None, None, paper=False))
        self._restored_alterations.clear()

    def doubt(self) -> None:
        """Say that positions and events do not add up: the venue is asked, at most every ten seconds."""
        self.look_ups.doubt()

    # -- time ---------------------------------------------------------------------------------------------------

    def overdue(self, now_ns: int, *, ready: bool) -> list[Request]:
        """Turn orders without an answer into unknown ones, and ask the venue about those once we are ready."""
        earliest: int | None = None
        self.resting.overdue(now_ns, self._timeout_ns)
        if self.protections.pending and self.protections.overdue(now_ns, self._timeout_ns):
            self.look_ups.doubt()
        for order in self._in_flight.all():
            is_late = not order.is_working and now_ns - order.sent_ns >= self._timeout_ns
            if order.state != "unknown" and is_late:
                self._move(order, "unknown", None, "ORDER_TIMEOUT", paper=False)
            if order.state == "unknown" and ready:
                if self._is_to_be_asked_for(order, now_ns):
                    order.asked_ns = now_ns
                    earliest = order.sent_ns if earliest is None else min(earliest, order.sent_ns)
        looks = self.look_ups
        if ready and (looks.is_pressing(now_ns) or (looks.is_usual(now_ns) and self._is_calm())):
            earliest = now_ns if earliest is None else earliest
        return [] if earliest is None else [looks.ask(earliest, now_ns)]

    def _is_calm(self) -> bool:
        is_open = not bool(self._hours.closed.all())  # nothing moves in closed markets
        return is_open and all(order.is_working for order in self._in_flight.all())

    def _is_to_be_asked_for(self, order: OwnOrder, now_ns: int) -> bool:
        if order.asked_ns is None or now_ns - order.asked_ns >= _ASK_AGAIN_NS:
            return True
        is_waiting = order.missed_ns is None or order.asked_ns > order.missed_ns
        return not is_waiting and order.missed_ns is not None and now_ns - order.missed_ns >= self._settle_ns

    # -- reporting ----------------------------------------------------------------------------------------------

    def _move(
        self, order: OwnOrder, state: str, snapshot: OrderSnapshot | None, error_code: str | None, *, paper: bool
    ) -> None:
        if order.is_told and order.order_id is not None:
            self._our_order_ids.add(order.order_id)
        if self._in_flight.move(order, state):
            self._report(order, state, snapshot, error_code, paper=paper)
            if order.is_done:
                del self._sent[order.client_order_id]

    def _take_up(self, order: OwnOrder, intended: IntendedOrder, snapshot: OrderSnapshot) -> None:
        self._in_flight.add(order)
        self._sent[order.client_order_id] = _Sent(intended, None)
        if order.is_told:
            self._ours.add(order.client_order_id)
            self._our_order_ids.add(snapshot.order_id)
            self._report(order, "accepted", snapshot, None, paper=False)

    def _note(self, change: OrderChange) -> None:
        self._ours.add(change.order.client_order_id)
        self._changes.append(change)

    def _report(
        self, order: OwnOrder, state: str, snapshot: OrderSnapshot | None, error_code: str | None, *, paper: bool
    ) -> None:
        if not order.is_told:
            return
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
