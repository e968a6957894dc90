"""What the owners of orders that we have altered would have them be, kept over runs: for `manage: all`.

How it works: beside each wish stand the order as the venue last had it and as we last asked for it. An order that a
later run finds as either of the two has been left alone since, and its owner still wants what he wanted. Anything else
its owner has changed meanwhile: what is found is then the wish, whatever was kept.

Invariant: a wish that is not known for certain is not heeded.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from bot.engine.foreign_order import TERMS, ForeignOrder, terms
from bot.execution.in_flight import OwnOrder
from bot.execution.orders import OrderSnapshot
from bot.execution.requests import AmendOrder

_MOST = 500  # orders, those met last; of one that is left out the volume found is the wish
_UNSTATED = {field.name: field.default for field in fields(OrderSnapshot) if field.name in TERMS}
_NUMBER, _WHOLE = (int, float), (int,)
_KINDS: dict[str, tuple[type, ...]] = {
    "volume_cents": _WHOLE, "limit_price": _NUMBER, "stop_price": _NUMBER, "stop_loss": _NUMBER,
    "take_profit": _NUMBER, "expires_ns": _WHOLE, "relative_stop_loss_e5": _WHOLE, "relative_take_profit_e5": _WHOLE,
    "slippage_points": _WHOLE, "trailing": (bool,), "guaranteed": (bool,), "trigger_method": (str,),
}  # fmt: skip

Shape = Mapping[str, Any]
"""Volume (signed, 0.01 base unit) and terms of an order by name, without those that nobody has stated."""


@dataclass(frozen=True, slots=True)
class KeptWish:
    """The wish of one order.

    `own_id` is the client order id of one that we have placed for its owner, None for any other; `order_id` None while
    the venue has not named it.
    """

    order_id: int | None
    own_id: str | None
    wish: Shape
    seen: Shape
    asked: Shape | None

    def is_of(self, order: OrderSnapshot) -> bool:
        """Return whether it is about this order."""
        if self.order_id is not None:
            return self.order_id == order.order_id
        return self.own_id is not None and self.own_id == order.client_order_id


class KeptWishes:
    """The wishes that an earlier run has kept, until their orders are found."""

    def __init__(self) -> None:
        self._waiting: list[KeptWish] = []

    def restore(self, content: Any) -> None:
        """Take what `content` has returned in an earlier run. Raises: ValueError for anything else."""
        try:
            self._waiting = [_kept(each) for each in content]
        except (TypeError, KeyError, AttributeError, ValueError) as error:
            raise ValueError(f"not the wishes of owners of orders: {error!r}") from None

    def forget(self) -> None:
        """Forget them: they are about another account."""
        self._waiting = []

    def forget_ended(self, listed: Iterable[OrderSnapshot], in_flight: Collection[str]) -> bool:
        """Forget those whose orders the venue does not list; return whether there were any.

        Args: `in_flight` client order ids of ours whose outcome is still to be told.
        """
        orders = list(listed)
        still = [
            kept for kept in self._waiting if kept.own_id in in_flight or any(kept.is_of(order) for order in orders)
        ]
        is_less = len(still) < len(self._waiting)
        self._waiting = still
        return is_less

    def taken_up(self, found: OrderSnapshot, life: OwnOrder) -> ForeignOrder:
        """Return an order that is met for the first time in this run, with its owner's wish."""
        order = ForeignOrder(life, replace(found, executed_cents=0), found)
        kept = next((each for each in self._waiting if each.is_of(found)), None)
        if kept is None:
            return order
        self._waiting.remove(kept)
        if _shape(found) in (kept.seen, kept.asked):
            order.wish = replace(order.wish, **{**_UNSTATED, **kept.wish})
            order.asked = None if kept.asked is None else _as_request(kept.asked, found)
        order.is_altered = True
        return order

    def content(self, followed: Iterable[ForeignOrder]) -> list[dict[str, Any]]:
        """Return what a later run is to know: of the orders that are followed now, and of those not found yet."""
        told = [
            *self._waiting,
            *(_wish_of(order) for order in followed if order.is_altered and not order.life.is_paper),
        ]
        return [
            {"order_id": k.order_id, "own_id": k.own_id, "wish": k.wish, "seen": k.seen, "asked": k.asked}
            for k in told[-_MOST:]
        ]


def _wish_of(order: ForeignOrder) -> KeptWish:
    life, asked = order.life, None
    if order.asked is not None:
        asked = _shape(order.asked) | {"volume_cents": life.side * order.asked.volume_cents}
    # Only one that we have placed has an id of ours; of the others the venue's is known from the start.
    own_id = life.client_order_id if life.is_told else None
    return KeptWish(life.order_id, own_id, _shape(order.wish), _shape(order.seen), asked)


def _shape(order: OrderSnapshot | AmendOrder) -> dict[str, Any]:
    stated = {name: value for name, value in terms(order).items() if value != _UNSTATED[name]}
    return {"volume_cents": order.volume_cents} | stated


def _as_request(asked: Shape, found: OrderSnapshot) -> AmendOrder:
    """Return what an earlier run has asked for: it may still be on its way."""
    shape = {**_UNSTATED, **asked, "volume_cents": abs(asked["volume_cents"])}
    return AmendOrder("", found.symbol_id, found.order_id, **shape)


def _kept(plain: Mapping[str, Any]) -> KeptWish:
    order_id, own_id = plain["order_id"], plain["own_id"]
    if not (order_id is None or type(order_id) is int) or not (own_id is None or type(own_id) is str):
        raise ValueError(f"order {order_id!r}, {own_id!r}")
    asked = plain["asked"]
    return KeptWish(
        order_id, own_id, _checked(plain["wish"]), _checked(plain["seen"]), None if asked is None else _checked(asked)
    )


def _checked(shape: Mapping[str, Any]) -> Shape:
    for name, value in shape.items():
        if type(value) not in _KINDS[name]:  # a bool is no number here
            raise ValueError(f"{name} {value!r}")
    if not shape["volume_cents"]:
        raise ValueError("an order of no volume")
    return dict(shape)
