"""Our orders on their way: the table of states one goes through, and the set of those without a final state."""

from dataclasses import dataclass

from bot.execution.orders import OrderSnapshot
from bot.execution.requests import AmendOrder

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
# States in which a resting order waits in the book: nothing is overdue about it.
WORKING = frozenset({"accepted", "partially_filled", "replaced"})


@dataclass(slots=True)
class OwnOrder:
    """One of our orders on its way, or resting in the book; or somebody else's that rests and that we resize.

    `position_id` is the position that its request named: a resting order that names one closes it and nothing else.
    `is_stuck` says that the venue would not change it: it is to be cancelled. `is_foreign` that it is somebody else's,
    or placed for somebody else: it rests, and is theirs to want or not; `is_told` that its states are reported. Of such
    a one, and of one that an earlier run has left, `snapshot` is the venue's last word.
    Units: volumes in 0.01 base unit, as in its request; `limit_price` in quote currency; times ns.
    """

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
    limit_price: float | None = None  # of a resting order
    changed_ns: int = 0  # when we last asked for a change of it
    quiet_until_ns: int = 0  # before when no change of it is asked for, after a refused cancel
    refusals: int = 0  # of its cancel
    is_paper: bool = False
    is_stuck: bool = False
    is_foreign: bool = False
    is_told: bool = True
    snapshot: OrderSnapshot | None = None
    grows_again_ns: int = 0  # before when it is not made larger, after the venue refused that

    @property
    def is_done(self) -> bool:
        """Whether the venue has nothing more to say about it."""
        return self.state in FINAL

    @property
    def is_resting(self) -> bool:
        """Whether it is meant to wait in the book."""
        return self.limit_price is not None or self.is_foreign

    @property
    def is_working(self) -> bool:
        """Whether it waits in the book, as far as we know."""
        return self.is_resting and self.state in WORKING

    @property
    def side(self) -> int:
        """+1 to buy, -1 to sell; of a resting order, whose volume is signed."""
        return 1 if self.volume_cents > 0 else -1

    @property
    def left_cents(self) -> int:
        """What of it is not executed, positive."""
        return max(abs(self.volume_cents) - self.executed_cents, 0)

    def learn(self, snapshot: OrderSnapshot) -> None:
        """Take what the venue says the order is."""
        self.order_id = snapshot.order_id
        if self.is_foreign or self.snapshot is not None:
            self.snapshot = snapshot
        self.executed_cents = max(self.executed_cents, snapshot.executed_cents)
        if self.is_resting:
            self.volume_cents = snapshot.volume_cents or self.volume_cents
            self.limit_price = self.limit_price if snapshot.limit_price is None else snapshot.limit_price


def is_as_asked(order: OwnOrder, asked: AmendOrder) -> bool:
    """Return whether an order now is what an amendment asked for: its volume and prices."""
    if (abs(order.volume_cents), order.limit_price) != (asked.volume_cents, asked.limit_price):
        return False
    return order.snapshot is None or order.snapshot.stop_price == asked.stop_price


class OrdersInFlight:
    """Our orders that have no final state yet, by client order id.

    At most one a symbol may be on its way to a fill; resting ones stand beside it, one a side.
    """

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
        """Return whether a symbol must not get another order now: one is on its way, unknown, or was so just now.

        An order that rests, or is about to, does not stand in the way of one that closes a position.
        """
        if self._settling_ns.get(symbol_index, 0) > now_ns:
            return True
        for order in self._orders.values():
            if order.symbol_index == symbol_index and (not order.is_resting or order.state == "unknown"):
                return True
        return False

    @property
    def has_resting(self) -> bool:
        """Whether one of ours is meant to wait in the book."""
        return any(order.is_resting and not order.is_foreign for order in self._orders.values())

    def __len__(self) -> int:
        return len(self._orders)

    def all(self) -> list[OwnOrder]:
        """Return every order without a final state, oldest first."""
        if len(self._orders) < 2:
            return list(self._orders.values())
        return sorted(self._orders.values(), key=lambda o: o.sent_ns)
