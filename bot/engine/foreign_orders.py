"""Other people's resting orders in traded symbols, each with what its owner would have it be: for `manage: all`.

How it works: an order is followed by the order flow like one of ours (`order_flow.py`, `resting_flow.py`): accepted,
altered, unknown, looked up, by the same rules. Here stands its owner's wish beside it: the volume and the terms that it
was first seen with. What of it changes, and not to what we last asked for, its owner has changed: that is the new wish.

What an earlier run has cut cannot be told from what an owner wants: after a restart the volume found is the wish.

Invariant: nothing is ever asked for beyond the owner's volume.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from bot.engine import events as ev
from bot.engine.adoption import is_for_owner
from bot.engine.order_flow import OrderFlow
from bot.execution.in_flight import OwnOrder
from bot.execution.orders import OrderSnapshot
from bot.execution.requests import AmendOrder
from bot.market.symbols import SymbolSpec

RESTING_TYPES = frozenset({"limit", "stop", "stop_limit"})
TERMS = (
    *("limit_price", "stop_price", "expires_ns", "stop_loss", "take_profit", "relative_stop_loss_e5"),
    *("relative_take_profit_e5", "slippage_points", "trailing", "guaranteed", "trigger_method"),
)
"""What an owner chooses of an order beside its volume; requests have fields of the same names."""


def terms(snapshot: OrderSnapshot) -> dict[str, Any]:
    """Return the terms of an order by name."""
    return {name: getattr(snapshot, name) for name in TERMS}


@dataclass(slots=True)
class ForeignOrder:
    """Somebody else's resting order: its life, its owner's wish, what the venue last said, what we last asked.

    `replaces` is the order whose place it is to take, or has taken: `cancel_id` the id of the cancel that has to
    succeed first. `roomy_ns` since when there has been room to give it back more.
    """

    life: OwnOrder
    wish: OrderSnapshot
    seen: OrderSnapshot
    asked: AmendOrder | None = None
    cancel_id: str | None = None
    anew_cents: int = 0
    roomy_ns: int | None = None

    @property
    def wish_left_cents(self) -> int:
        """What its owner would still have rest, positive."""
        return max(abs(self.wish.volume_cents) - self.life.executed_cents, 0)

    @property
    def is_in_place(self) -> bool:
        """Whether its prices and terms are its owner's."""
        return terms(self.seen) == terms(self.wish)

    def observe(self) -> None:
        """Compare what the venue says with what was asked: what is neither that nor as before is its owner's."""
        now, before = self.life.snapshot, self.seen
        if now is None or now is before:
            return
        self.seen = now
        changed: dict[str, Any] = {}
        for name in TERMS:
            told = getattr(now, name)
            if told != getattr(before, name) and (self.asked is None or told != getattr(self.asked, name)):
                changed[name] = told
        if now.volume_cents != before.volume_cents:
            if self.asked is None or abs(now.volume_cents) != self.asked.volume_cents:
                changed["volume_cents"] = now.volume_cents
        if changed:
            self.wish = replace(self.wish, **changed)


class ForeignOrders:
    """The orders that are followed, by their life's id. Args: `label` marks our own."""

    def __init__(self, orders: OrderFlow, label: str) -> None:
        self._orders = orders
        self._label = label
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

    def add(self, order: ForeignOrder) -> None:
        """Follow an order that was placed anew."""
        self._known[order.life.client_order_id] = order

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
            self._known[life.client_order_id] = ForeignOrder(life, replace(snapshot, executed_cents=0), snapshot)

    def observe(self, event: ev.ExecutionReported | None = None) -> None:
        """Take what the order flow has learnt of them; what is done is forgotten.

        Args: `event` that it learnt from: an order that is to be placed anew must have ended by our own cancel.
        """
        for name, order in list(self._known.items()):
            order.observe()
            if not order.life.is_done:
                continue
            del self._known[name]
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
