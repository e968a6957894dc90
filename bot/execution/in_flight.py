"""Our orders on their way: the table of states one goes through, and the set of those without a final state."""

from dataclasses import dataclass

# What may follow what. A state that is not a key is final. `unknown` is left only by the venue's own word.
TRANSITIONS: dict[str, frozenset[str]] = {
    "sent": frozenset({"accepted", "partially_filled", "filled", "cancelled", "expired", "rejected", "unknown"}),
    "accepted": frozenset({"partially_filled", "filled", "replaced", "cancelled", "expired", "rejected", "unknown"}),
    "partially_filled": frozenset(
        {"partially_filled", "filled", "replaced", "cancelled", "expired", "rejected", "unknown"}
    ),
    "replaced": frozenset({"partially_filled", "filled", "replaced", "cancelled", "expired", "rejected", "unknown"}),
    "unknown": frozenset(
        {"accepted", "partially_filled", "filled", "replaced", "cancelled", "expired", "rejected", "resolved"}
    ),
}
FINAL = frozenset({"filled", "cancelled", "expired", "rejected", "resolved"})


@dataclass(slots=True)
class OwnOrder:
    """One of our orders on its way. Units: volumes in 0.01 base unit, as in its request; times ns."""

    client_order_id: str
    symbol_index: int
    symbol_id: int
    volume_cents: int
    position_id: int | None
    sent_ns: int
    increases_risk: bool
    state: str = "sent"
    order_id: int | None = None
    executed_cents: int = 0
    asked_ns: int | None = None  # when the venue was asked what became of it
    missed_ns: int | None = None  # when its lists did not know it, for the first time

    @property
    def is_done(self) -> bool:
        """Whether the venue has nothing more to say about it."""
        return self.state in FINAL


class OrdersInFlight:
    """Our orders that have no final state yet, by client order id; at most one a symbol may be open."""

    def __init__(self) -> None:
        self._orders: dict[str, OwnOrder] = {}
        self._settling_ns: dict[int, int] = {}

    def add(self, order: OwnOrder) -> None:
        """Remember an order that is being sent."""
        self._orders[order.client_order_id] = order

    def find(self, client_order_id: str | None, order_id: int | None) -> OwnOrder | None:
        """Return our order of this client id or venue id, or None."""
        if client_order_id is not None and client_order_id in self._orders:
            return self._orders[client_order_id]
        if order_id:
            for order in self._orders.values():
                if order.order_id == order_id:
                    return order
        return None

    def move(self, order: OwnOrder, state: str) -> bool:
        """Put an order into a state; return False, with nothing changed, where the table forbids it."""
        if state not in TRANSITIONS.get(order.state, frozenset()):
            return False
        order.state = state
        if order.is_done:
            del self._orders[order.client_order_id]
        return True

    def settle(self, symbol_index: int, until_ns: int) -> None:
        """Keep a symbol untouched until a time, after the outcome of an unknown order became known."""
        self._settling_ns[symbol_index] = until_ns

    def busy(self, symbol_index: int, now_ns: int) -> bool:
        """Return whether a symbol must not get another order now."""
        if self._settling_ns.get(symbol_index, 0) > now_ns:
            return True
        return any(o.symbol_index == symbol_index for o in self._orders.values())

    def all(self) -> list[OwnOrder]:
        """Return every order without a final state, oldest first."""
        return sorted(self._orders.values(), key=lambda o: o.sent_ns)
