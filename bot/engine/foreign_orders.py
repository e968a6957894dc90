"""Other people's resting orders in traded symbols, each with what its owner would have it be: for `manage: all`.

How it works: an order is followed by the order flow like one of ours (`order_flow.py`, `resting_flow.py`): accepted,
altered, unknown, looked up, by the same rules. Here stands its owner's wish beside it: the volume and the terms that it
was first seen with. What of it changes, and not to what we last asked for, its owner has changed: that is the new wish.

What an earlier run has cut cannot be told from what an owner wants: the wishes of such orders are kept over runs
(`kept_wishes.py`). Of any other order what is found is the wish.

Invariant: nothing is ever asked for beyond the owner's volume.
"""

from collections.abc import Iterable

from bot.engine import events as ev
from bot.engine.adoption import is_for_owner
from bot.engine.foreign_order import ForeignOrder
from bot.engine.kept_wishes import KeptWishes
from bot.engine.order_flow import OrderFlow
from bot.execution.orders import OrderSnapshot
from bot.execution.requests import AmendOrder
from bot.market.symbols import SymbolSpec

RESTING_TYPES = frozenset({"limit", "stop", "stop_limit"})


class ForeignOrders:
    """The orders that are followed, by their life's id.

    `version` grows with every change of what a later run is to know of them.
    Args: `label` marks our own; `kept` holds the wishes that an earlier run has left.
    """

    def __init__(self, orders: OrderFlow, label: str, kept: KeptWishes) -> None:
        self._orders = orders
        self._label = label
        self._kept = kept
        self.version = 0
        self._known: dict[str, ForeignOrder] = {}
        self.ended: list[ForeignOrder] = []  # whose cancel by us has succeeded and that are to be placed anew

    def __bool__(self) -> bool:
        return bool(self._known or self.ended)

    def of_symbol(self, symbol_index: int) -> list[ForeignOrder]:
        """Return the orders of a symbol, the one first seen first."""
        return [f for f in self._known.values() if f.life.symbol_index == symbol_index]

    def find(self, order_id: int) -> OrderSnapshot | None:
        """Return what is known of an order of somebody else's; None for one that is not followed."""
        return next((f.seen for f in self._known.values() if f.life.order_id == order_id), None)

    def all(self) -> list[ForeignOrder]:
        """Return every order that is followed, the one first seen first."""
        return list(self._known.values())

    def add(self, order: ForeignOrder) -> None:
        """Follow an order that was placed anew."""
        order.is_altered = True
        self._known[order.life.client_order_id] = order
        self.version += 1

    def ask(self, order: ForeignOrder, request: AmendOrder) -> None:
        """Take what is asked for with this decision: its owner's wish is from now on more than the venue can tell."""
        order.asked, order.roomy_ns, order.is_altered = request, None, True
        self.version += 1

    def meet(self, snapshot: OrderSnapshot, symbol_index: int, spec: SymbolSpec, now_ns: int, *, netted: bool) -> None:
        """Begin to follow an order, if it rests and is somebody else's.

        Args: `netted` that orders of the account merge: none is tied to a position then, and one larger than the
            position turns it.
        """
        for_owner = snapshot.label == self._label and is_for_owner(snapshot.client_order_id)
        is_ours = snapshot.label == self._label and not for_owner
        if snapshot.order_type not in RESTING_TYPES or snapshot.status != "accepted":
            return
        if is_ours and snapshot.client_order_id is not None:
            return
        life = self._orders.found.watch(snapshot, symbol_index, spec, now_ns, for_owner=for_owner)
        if life is not None and life.client_order_id not in self._known:
            life.position_id = None if netted else life.position_id
            self._known[life.client_order_id] = self._kept.taken_up(snapshot, life)
            self.version += 1

    def observe(self, event: ev.ExecutionReported | None = None) -> None:
        """Take what the order flow has learnt of them; what is done is forgotten.

        Args: `event` that it learnt from: an order that is to be placed anew must have ended by our own cancel.
        """
        for name, order in list(self._known.items()):
            self.version += order.observe()
            if not order.life.is_done:
                continue
            del self._known[name]
            self.version += 1
            if event is None or order.cancel_id is None or order.life.state != "cancelled":
                continue
            # Where the owner's id hides ours, the cancel that was on its way is taken for the cause.
            named = event.client_order_id
            is_by_us = named is not None and named in (order.cancel_id, order.seen.client_order_id)
            if is_by_us and order.anew_cents > 0:
                self.ended.append(order)

    def drop_paper(self, listed: Iterable[int]) -> None:
        """Forget orders that a dry run has altered on paper and that the venue no longer lists."""
        still = set(listed)
        for order in self._known.values():
            if order.life.is_paper and order.life.order_id not in still:
                self._orders.found.gone(order.life)
        self.observe()
