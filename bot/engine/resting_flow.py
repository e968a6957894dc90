"""The life of our orders that rest in the book, and of their amends and cancels.

How it works: a resting order moves through the states of `execution/in_flight.py` as others do, but once accepted it is
not overdue. A change of it is an alteration with an id and a life of its own (`execution/alterations.py`). What the
venue says of the order ends the alteration; a refusal that leaves open what the order is now makes it unknown, and then
reconcile, order list and deal list have the word.

Invariants: one alteration an order; an order that is unknown is neither changed nor doubled.
"""

from collections.abc import Callable, Iterable

import numpy as np

from bot.engine import events as ev
from bot.engine.decision import IntendedOrder, OrderChange
from bot.engine.market_hours import CLOSED_CODES, MarketHours
from bot.engine.restored import NOT_LOADED
from bot.execution.alterations import Alteration, Alterations
from bot.execution.in_flight import OrdersInFlight, OwnOrder, is_as_asked
from bot.execution.orders import OrderSnapshot
from bot.execution.requests import AmendOrder, CancelOrder

GONE = frozenset({"POSITION_NOT_FOUND", "POSITION_NOT_OPEN", "ORDER_NOT_FOUND", "ENTITY_NOT_FOUND"})
# The venue would not, and does not say what the order is now.
_LOOK_IT_UP = GONE | {"UNABLE_TO_CANCEL_ORDER", "UNABLE_TO_AMEND_ORDER"}
# Nothing is wrong with the amendment, it came at the wrong moment. One that the limits kept back for too long is not
# among these: an order that cannot be moved is better taken back.
_TRY_AGAIN = frozenset({"NOT_READY", "CONCURRENT_MODIFICATION", "PENDING_EXECUTION", "POSITION_LOCKED"})
_FIRST_PAUSE_NS, _LONGEST_PAUSE_NS = 1_000_000_000, 60_000_000_000

Move = Callable[..., None]


class RestingFlow:
    """Follows resting orders and their alterations.

    Args: `move` puts an order into a state and reports it; `note` takes a line about an alteration; `hours` is told of
        refusals that mean a closed market. `version` grows with everything that may call for other quotes.
    """

    def __init__(
        self, in_flight: OrdersInFlight, hours: MarketHours, move: Move, note: Callable[[OrderChange], None]
    ) -> None:
        self.version = 0
        self._in_flight = in_flight
        self._hours = hours
        self._move = move
        self._note = note
        self._alterations = Alterations()
        self._intended: dict[str, IntendedOrder] = {}
        self._failures: dict[int, int] = {}
        self._pause_until_ns: dict[int, int] = {}
        self._held_until_ns: dict[type, int] = {}

    # -- what others may ask ------------------------------------------------------------------------------------

    def of_symbol(self, symbol_index: int) -> list[OwnOrder]:
        """Return our resting orders of a symbol without a final state, oldest first."""
        orders = self._in_flight.all()
        return [o for o in orders if o.is_resting and not o.is_foreign and o.symbol_index == symbol_index]

    def foreign_cents(self, symbol_index: int, side: int) -> int:
        """Return what other people's resting orders of a side may still add to a position, 0.01 base unit."""
        return sum(
            self._most_left_cents(order)
            for order in self._in_flight.all()
            if order.is_foreign and order.symbol_index == symbol_index and order.side == side
            and order.position_id is None
        )  # fmt: skip

    def any(self) -> bool:
        """Return whether there is a resting order of ours without a final state."""
        return self._in_flight.has_resting

    def is_altered(self, order: OwnOrder) -> bool:
        """Return whether a change of an order is on its way."""
        return self._alterations.of(order.client_order_id) is not None

    def price_to_be(self, order: OwnOrder) -> float:
        """Return the price of a resting order when the amend on its way, if there is one, has been carried out."""
        assert order.limit_price is not None
        alteration = self._alterations.of(order.client_order_id)
        if alteration is not None and alteration.state == "sent" and isinstance(alteration.request, AmendOrder):
            return alteration.request.limit_price or order.limit_price
        return order.limit_price

    def is_held(self, kind: type, now_ns: int) -> bool:
        """Return whether the venue blocks amends, or cancels, for every symbol."""
        return self._held_until_ns.get(kind, 0) > now_ns

    def may_place(self, symbol_index: int, now_ns: int) -> bool:
        """Return whether a symbol's last refused quote is long enough ago."""
        return self._pause_until_ns.get(symbol_index, 0) <= now_ns

    def is_waiting(self, *, keeping: bool) -> bool:
        """Return whether the end of a run has to wait: for an answer, or, without `keeping`, for a cancel."""
        return bool(self._alterations.all()) or any(
            not order.is_working or not (keeping or order.is_foreign) for order in self._in_flight.all()
        )

    def worst_units(self, net_units: np.ndarray) -> np.ndarray:
        """Return what the worse side of each symbol's resting orders adds if all of it fills, signed, (S,) base units.

        Args: `net_units` (S,) what is held. A side that only reduces it adds nothing.
        """
        if not self._in_flight:
            return np.zeros(len(net_units))
        buys, sells = np.zeros(len(net_units)), np.zeros(len(net_units))
        for order in self._in_flight.all():
            if order.is_resting and order.position_id is None and order.symbol_index != NOT_LOADED:
                (buys if order.side > 0 else sells)[order.symbol_index] += self._most_left_cents(order) / 100
        held = np.abs(net_units)
        by_buying, by_selling = np.abs(net_units + buys) - held, np.abs(net_units - sells) - held
        worst = np.where(by_buying >= by_selling, buys, -sells)
        return np.where(np.maximum(by_buying, by_selling) > 0, worst, 0.0)

    def standing_cents(self, symbol_index: int, side: int, *, only_opening: bool = False) -> int:
        """Return what may still fill of a side's orders of ours that rest, 0.01 base unit.

        Those whose cancel has left are not counted: it is there before what follows. Args: `only_opening` leaves out
            what closes a position by its id.
        """
        standing = 0
        for order in self.of_symbol(symbol_index):
            alteration = self._alterations.of(order.client_order_id)
            is_leaving = alteration is not None and isinstance(alteration.request, CancelOrder)
            if only_opening and order.position_id is not None:
                continue
            if order.side == side and not (is_leaving and alteration is not None and alteration.state == "sent"):
                standing += self._most_left_cents(order)
        return standing

    def _most_left_cents(self, order: OwnOrder) -> int:
        """Return what of an order may still fill, whether an amend on its way has been carried out or not."""
        alteration = self._alterations.of(order.client_order_id)
        if alteration is None or not isinstance(alteration.request, AmendOrder):
            return order.left_cents
        return max(order.left_cents, alteration.request.volume_cents - order.executed_cents)

    # -- what we do ---------------------------------------------------------------------------------------------

    def altered(self, intended: IntendedOrder, order: OwnOrder, request: AmendOrder | CancelOrder, now_ns: int) -> None:
        """Remember an alteration that goes out with this decision."""
        alteration = Alteration(request.client_order_id, order.client_order_id, request, now_ns)
        self._alterations.add(alteration)
        self._intended[alteration.client_order_id] = intended
        order.changed_ns = now_ns
        self._report(alteration, order, "sent", None, paper=False)

    def pause(self, symbol_index: int, error_code: str | None, now_ns: int) -> None:
        """Place no quote on a symbol for a while after one was refused, twice as long after each further one."""
        failures = 0 if error_code == "NOT_SENT" else self._failures.get(symbol_index, 0)
        if error_code != "NOT_SENT":
            self._failures[symbol_index] = failures + 1
        self._pause_until_ns[symbol_index] = now_ns + _pause_ns(failures)

    # -- what the venue says ------------------------------------------------------------------------------------

    def told(self, order: OwnOrder, state: str, event: ev.ExecutionReported) -> None:
        """Let an alteration follow what an execution event has done to its order."""
        self.version += 1
        if not order.is_resting:
            return
        if state != "rejected":
            self._failures.pop(order.symbol_index, None)
        alteration = self._alterations.of(order.client_order_id)
        if alteration is None:
            return
        if order.is_done:
            self.ended(order, paper=event.paper)
        elif state == "replaced" and isinstance(alteration.request, AmendOrder):
            # Somebody else may have changed an order of his at the same time: then ours is still to come.
            if not order.is_foreign or is_as_asked(order, alteration.request):
                self._finish(alteration, order, "replaced", None, paper=event.paper)
        elif alteration.state == "unknown" and not self._settle(alteration, order):
            # A fill tells that it lives, and not what it is now.
            self._move(order, "unknown", None, None, paper=event.paper)

    def cancel_rejected(self, event: ev.ExecutionReported, order: OwnOrder | None) -> None:
        """Take that a cancel was refused: the order may be working or filled."""
        self.version += 1
        found = self._alterations.find(event.client_order_id)
        alteration = found if order is None else self._alterations.of(order.client_order_id)
        if alteration is not None:
            order = self._in_flight.find(alteration.target_id, None)
            self._finish(alteration, order, "rejected", event.error_code, paper=event.paper)
        if order is not None and order.is_working and not event.paper:
            self._move(order, "unknown", None, event.error_code or "CANCEL_REJECTED", paper=False)

    def refused(self, event: ev.RequestRefused, order: OwnOrder | None) -> bool:
        """Take a refusal; return False when it is not about a change of a resting order.

        Args: `order` the one it names, by our id or the venue's.
        """
        self.version += 1
        alteration = self._alterations.find(event.client_order_id)
        if alteration is None and order is not None and order.is_resting and order.order_id is not None:
            if event.client_order_id is None:
                alteration = self._alterations.of(order.client_order_id)
            if alteration is None:
                # A late word, or one about nothing we asked: look the order up rather than believe it gone.
                if order.is_working and not order.is_paper:
                    self._move(order, "unknown", None, event.error_code, paper=event.paper)
                return True
        if alteration is None:
            return False
        order = self._in_flight.find(alteration.target_id, None)
        code, kind = event.error_code, type(alteration.request)
        if event.retry_at_ns is not None:
            self._held_until_ns[kind] = event.retry_at_ns
        self._finish(alteration, order, "unknown" if event.outcome_unknown else "rejected", code, paper=event.paper)
        if order is None:
            return True
        if kind is AmendOrder and order.is_foreign:
            self._note_refused_growth(order, alteration.request, code, event.recv_ns)
        if (event.outcome_unknown or code in _LOOK_IT_UP) and not event.paper:
            self._move(order, "unknown", None, code, paper=event.paper)
        elif code in CLOSED_CODES:
            self._hours.refused(order.symbol_index, code, event.recv_ns)
        elif kind is AmendOrder and code not in _TRY_AGAIN and not order.is_foreign:
            order.is_stuck = True
        if kind is CancelOrder:
            order.quiet_until_ns = event.recv_ns + _pause_ns(order.refusals)
            order.refusals += 1
        order.changed_ns = event.recv_ns
        return True

    def _note_refused_growth(self, order: OwnOrder, request: object, code: str, now_ns: int) -> None:
        """Remember what the venue would not do to somebody else's order: only one too large has to go for it."""
        if code in _TRY_AGAIN or code in GONE or code in CLOSED_CODES:
            return
        if isinstance(request, AmendOrder) and not request.reduces_risk:
            order.grows_again_ns = now_ns + _LONGEST_PAUSE_NS
        else:
            order.is_stuck = True

    def listed(self, orders: Iterable[OrderSnapshot]) -> None:
        """Compare with the venue's list of working orders: what it lists works, what it does not is unknown."""
        self.version += 1
        by_client_id, by_id = {}, {}
        for snapshot in orders:
            by_client_id[snapshot.client_order_id] = by_id[snapshot.order_id] = snapshot
        for order in self._in_flight.all():
            if not order.is_resting or order.is_paper:
                continue
            found = by_client_id.get(order.client_order_id) or by_id.get(order.order_id or 0)
            if found is not None:
                order.learn(found)
                if not order.is_working:
                    self._move(order, "accepted", found, None, paper=False)
                self.found_working(order)
            elif order.is_working:
                self._move(order, "unknown", None, "NOT_LISTED", paper=False)

    def found_working(self, order: OwnOrder) -> None:
        """Take that the venue's lists have an order as it is now: an unknown change of it has been made or has not."""
        order.asked_ns = order.missed_ns = None
        alteration = self._alterations.of(order.client_order_id)
        if alteration is not None and alteration.state == "unknown" and not self._settle(alteration, order):
            self._finish(alteration, order, "resolved", None, paper=False)

    def ended(self, order: OwnOrder, *, paper: bool = False) -> None:
        """Take that an order is done, and with it every change of it."""
        self.version += 1
        alteration = self._alterations.of(order.client_order_id)
        if alteration is not None:
            is_cancelled = order.state == "cancelled" and isinstance(alteration.request, CancelOrder)
            self._finish(alteration, order, "cancelled" if is_cancelled else "resolved", None, paper=paper)

    def connection_lost(self) -> None:
        """Changes without an answer may or may not have been made: unknown."""
        self.version += 1
        for alteration in self._alterations.all():
            order = self._in_flight.find(alteration.target_id, None)
            if order is None or not order.is_paper:
                self._finish(alteration, order, "unknown", "CONNECTION_LOST", paper=False)

    def overdue(self, now_ns: int, timeout_ns: int) -> None:
        """Turn changes without an answer into unknown ones, and their orders with them."""
        for alteration in self._alterations.all():
            if alteration.state == "sent" and now_ns - alteration.sent_ns >= timeout_ns:
                order = self._in_flight.find(alteration.target_id, None)
                self._finish(alteration, order, "unknown", "ORDER_TIMEOUT", paper=False)
                if order is not None:
                    self._move(order, "unknown", None, "ORDER_TIMEOUT", paper=False)

    # -- reporting ----------------------------------------------------------------------------------------------

    def _settle(self, alteration: Alteration, order: OwnOrder) -> bool:
        """End an unknown amendment if the order is what it asked for; return whether it is."""
        wanted = alteration.request
        if not isinstance(wanted, AmendOrder):
            return False
        if not is_as_asked(order, wanted):
            return False
        self._finish(alteration, order, "replaced", None, paper=False)
        return True

    def _finish(
        self, alteration: Alteration, order: OwnOrder | None, state: str, error_code: str | None, *, paper: bool
    ) -> None:
        if self._alterations.move(alteration, state):
            self.version += 1
            self._report(alteration, order, state, error_code, paper=paper)
            if alteration.is_done:
                del self._intended[alteration.client_order_id]

    def _report(
        self, alteration: Alteration, order: OwnOrder | None, state: str, error_code: str | None, *, paper: bool
    ) -> None:
        intended = self._intended[alteration.client_order_id]
        self._note(
            OrderChange(
                order=intended,
                state=state,
                order_id=alteration.request.order_id,
                position_id=intended.position_id,
                executed_cents=order.executed_cents if order is not None else 0,
                execution_price=None,
                error_code=error_code,
                paper=paper,
            )
        )


def _pause_ns(failures: int) -> int:
    return min(_FIRST_PAUSE_NS << min(failures, 10), _LONGEST_PAUSE_NS)
