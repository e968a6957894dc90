"""Positions of ours that an earlier run has left open, and who closed there while no bot ran.

How it works: those that the first reconcile has no longer, or smaller, are `missed`. Then the venue's lists tell: the
last deal that closed something of one, and its order. Until they have, who it was is anybody's guess.
"""

from dataclasses import astuple, dataclass
from typing import Any

from bot.account.portfolio import Portfolio
from bot.account.position import Position
from bot.engine.events import OrderHistoryListed
from bot.engine.order_flow import OrderFlow
from bot.execution.orders import OrderSnapshot

_MOST = 1000  # positions


@dataclass(frozen=True, slots=True)
class LeftPosition:
    """A position as an earlier run last knew it. Units: `volume_cents` signed, 0.01 base unit."""

    position_id: int
    symbol_id: int
    volume_cents: int
    label: str
    has_leg: bool

    def is_less(self, now: Position | None) -> bool:
        """Return whether something of it has been closed; `now` None where it is gone."""
        if now is None or now.volume_cents * self.volume_cents < 0:
            return True
        return abs(now.volume_cents) < abs(self.volume_cents)


@dataclass(frozen=True, slots=True)
class Exit:
    """What the lists say of a missed position. `cause`: protection, ours, other, or unknown: they do not tell."""

    left: LeftPosition
    cause: str
    executed_ns: int


class LeftPositions:
    """What an earlier run has left, and what this one would leave now."""

    def __init__(self, portfolio: Portfolio, orders: OrderFlow) -> None:
        self._portfolio = portfolio
        self._orders = orders
        self._restored: list[LeftPosition] = []
        self._missed: list[LeftPosition] = []
        self._held: tuple[LeftPosition, ...] | None = None  # None before the first reconcile
        self._is_netted = False

    def restore(self, content: Any) -> None:
        """Take what `content` has returned in an earlier run. Raises: ValueError for anything else."""
        try:
            self._restored = [_checked(*each) for each in content]
        except (TypeError, ValueError) as error:
            raise ValueError(f"not positions that were left open: {error!r}") from None

    def forget(self) -> None:
        """Forget what was restored: it is about another account."""
        self._restored = []

    def accounted(self) -> None:
        """Take that a person knows of what is missing, and has said to go on."""
        self._missed = []

    def content(self) -> list[list[Any]]:
        """Return what a later run is to know: what is held, and what nobody has accounted for yet."""
        left = self._restored if self._held is None else [*self._missed, *self._held]
        return [list(astuple(each)) for each in left[:_MOST]]

    def note(self) -> bool:
        """Take what is held now; return whether a later run is to know something else than before."""
        if self._held is None:
            return False
        own = (p for p in self._portfolio.venue_positions() if self._portfolio.is_ours(p))
        held, before = tuple(map(_left, own)), self._held
        self._held = held
        return held != before

    def reconciled(self, *, netted: bool) -> list[LeftPosition]:
        """Return what the first reconcile, which the portfolio has taken, leaves to be accounted for; later, nothing.

        One that an order of ours may have closed, which is still without an end, waits for the lists alone.
        Args: `netted` that orders of the account merge: any of a symbol may close there.
        """
        self._is_netted = netted
        if self._held is not None:
            return []
        self._held = ()
        own = [each for each in self._restored if self._portfolio.is_own_label(each.label)]
        self._restored = []
        self._missed = [each for each in own if each.is_less(self._now(each))]
        return [each for each in self._missed if not self._may_be_by_us(each, only_unknown=False)]

    def listed(self, event: OrderHistoryListed) -> list[Exit]:
        """Return what the venue's lists say of the missed ones, in the order of time; the order flow has taken them."""
        if not self._missed:
            return []
        orders = {order.order_id: order for order in event.orders}
        exits: list[Exit] = []
        waiting: list[LeftPosition] = []
        for left in self._missed:
            if not left.is_less(self._now(left)):
                continue
            told = self._told(left, event, orders)
            if told is None:
                waiting.append(left)
            else:
                exits.append(told)
        self._missed = waiting
        return sorted(exits, key=lambda each: each.executed_ns)

    def is_missing_in(self, symbol_id: int) -> bool:
        """Return whether something of a symbol is not accounted for."""
        return any(left.symbol_id == symbol_id for left in self._missed)

    def ids(self) -> list[int]:
        """Return the ids of what an earlier run has left, before the first reconcile."""
        return [left.position_id for left in self._restored if self._portfolio.is_own_label(left.label)]

    def _told(self, left: LeftPosition, event: OrderHistoryListed, orders: dict[int, OrderSnapshot]) -> Exit | None:
        closing = [
            deal
            for deal in event.deals
            if deal.position_id == left.position_id and deal.volume_cents * left.volume_cents < 0
        ]
        last = max(closing, key=lambda deal: (deal.executed_ns, deal.deal_id), default=None)
        order = None if last is None else orders.get(last.order_id)
        if last is None or order is None:
            is_to_come = not event.complete or self._may_be_by_us(left, only_unknown=True)
            return None if is_to_come else Exit(left, "unknown", event.recv_ns)
        if order.order_type == "stop_loss_take_profit":
            return Exit(left, "protection", last.executed_ns)
        if self._orders.is_ours(order.client_order_id, order.order_id):
            return Exit(left, "ours", last.executed_ns)
        if not order.is_stop_out and self._may_be_by_us(left, only_unknown=True):
            return None
        return Exit(left, "other", last.executed_ns)

    def _may_be_by_us(self, left: LeftPosition, *, only_unknown: bool) -> bool:
        """Return whether an order of ours without a final state may have closed something of a position."""
        for order in self._orders.look():
            names_it = order.position_id == left.position_id
            merges = self._is_netted and order.symbol_id == left.symbol_id and not order.is_foreign
            if (names_it or merges) and (order.state == "unknown" or not only_unknown):
                return True
        return False

    def _now(self, left: LeftPosition) -> Position | None:
        return self._portfolio.position(left.position_id)


def _left(p: Position) -> LeftPosition:
    has_leg = (p.stop_loss, p.take_profit) != (None, None)
    return LeftPosition(p.position_id, p.symbol_id, p.volume_cents, p.label, has_leg)


def _checked(*fields: Any) -> LeftPosition:
    left = LeftPosition(*fields)
    if [type(each) for each in fields] != [int, int, int, str, bool] or not left.volume_cents:
        raise ValueError(repr(fields))
    return left
