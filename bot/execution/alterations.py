"""Amends and cancels of our resting orders on their way: what may follow what, and the set of those without an outcome.

An alteration has an id of its own, which its `order` lines and the ledger carry; on the wire there is none. Its order
goes on beside it, with a state of its own.

Invariant: an order has one alteration at most.
"""

from dataclasses import dataclass

from bot.execution.requests import AmendOrder, CancelOrder

# What may follow what. `replaced` and `cancelled` say that it was carried out, `rejected` that it was not, `resolved`
# that its order had another end, or that the venue's lists have answered.
TRANSITIONS: dict[str, frozenset[str]] = {
    "sent": frozenset({"replaced", "cancelled", "rejected", "unknown", "resolved"}),
    "unknown": frozenset({"replaced", "cancelled", "rejected", "resolved"}),
}
FINAL = frozenset({"replaced", "cancelled", "rejected", "resolved"})


@dataclass(slots=True)
class Alteration:
    """One amend or cancel on its way; `target_id` is the client order id of the order it changes. Times ns."""

    client_order_id: str
    target_id: str
    request: AmendOrder | CancelOrder
    sent_ns: int
    state: str = "sent"

    @property
    def is_done(self) -> bool:
        """Whether its outcome is known."""
        return self.state in FINAL


class Alterations:
    """Alterations without an outcome, by the order that they change."""

    def __init__(self) -> None:
        self._by_target: dict[str, Alteration] = {}

    def add(self, alteration: Alteration) -> None:
        """Remember an alteration that is being sent.

        Raises: ValueError when its order has one already: two on their way could arrive in either order.
        """
        if alteration.target_id in self._by_target:
            raise ValueError(f"order {alteration.target_id} is being altered already")
        self._by_target[alteration.target_id] = alteration

    def of(self, target_id: str) -> Alteration | None:
        """Return the alteration of an order, by the order's client id; None when there is none."""
        return self._by_target.get(target_id)

    def find(self, client_order_id: str | None) -> Alteration | None:
        """Return an alteration by its own id, or None."""
        return next((a for a in self._by_target.values() if a.client_order_id == client_order_id), None)

    def move(self, alteration: Alteration, state: str) -> bool:
        """Put an alteration into a state; return False, with nothing changed, where the table forbids it."""
        if state not in TRANSITIONS.get(alteration.state, frozenset()):
            return False
        alteration.state = state
        if alteration.is_done:
            del self._by_target[alteration.target_id]
        return True

    def all(self) -> list[Alteration]:
        """Return every alteration without an outcome, oldest first."""
        if len(self._by_target) < 2:
            return list(self._by_target.values())
        return sorted(self._by_target.values(), key=lambda a: a.sent_ns)
