"""From the quote that is wanted on one side of a symbol to one step: keep, place, amend or cancel.

How it works: what protects comes first. A quote that is not wanted, or that the venue would not change, is cancelled;
one that is too near the market or too large is moved away or made smaller; only then may one come nearer or grow, and
only while enough of the order rate is left for what protects. A side with an order whose outcome is not known, or with
a change on its way, is left alone, so no side ever has two.

Only an `ApprovedTarget` becomes a place or an amend, as in `plan.py`.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from bot.account.risk import ApprovedTarget
from bot.execution.in_flight import OwnOrder
from bot.execution.requests import AmendOrder, CancelOrder, PlaceOrder
from bot.market.symbols import SymbolSpec

# Of the orders a minute, what quotes may use to come nearer or to grow: the rest is for moving away.
_SHARE_FOR_ADVANCES = 0.75
# As many amends a minute the platform allows its own robots (`ctrader/ratelimit.py` keeps to it); a few are spared.
_MOST_AMENDS, _SPARED_AMENDS = 100, 5
_GROWTH_FRAC = 0.1  # a quote that could be this much larger is worth an amend
_SLACK = 1e-9


@dataclass(frozen=True, slots=True)
class Wish:
    """One side of a two-sided quote as it should be.

    Units: `price` in quote currency, on the symbol's grid; `volume_cents` what is to rest, positive, 0.01 base unit.
    `position_id` the position that it is to close, None to open.
    """

    price: float
    volume_cents: int
    position_id: int | None = None


@dataclass(frozen=True, slots=True)
class QuotePace:
    """How often and how much quotes move.

    Units: `min_interval_ns` least time between two changes of an order, `advance_interval_ns` the same for one that
        comes nearer or grows; `threshold_ticks` ticks of the symbol; `sent_last_minute` orders, cancels and amends of
        the last minute, `amended_last_minute` the amends alone. `is_busy` says that another order on the symbol is on
        its way or unknown: nothing is placed or amended then.
    """

    min_interval_ns: int
    advance_interval_ns: int
    threshold_ticks: float
    sent_last_minute: int
    amended_last_minute: int
    max_orders_per_minute: int
    is_busy: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """What to do on one side. `order` is what it is done to; `volume_cents` what is to rest afterwards, positive."""

    action: Literal["keep", "place", "amend", "cancel"]
    order: OwnOrder | None = None
    price: float = math.nan
    volume_cents: int = 0
    position_id: int | None = None
    reduces_risk: bool = False
    why: str = ""


KEEP = Step("keep")


def next_step(
    wish: Wish | None,
    resting: Sequence[OwnOrder],
    is_altered: Callable[[OwnOrder], bool],
    spec: SymbolSpec,
    pace: QuotePace,
    now_ns: int,
) -> Step:
    """Return the one step that brings a side nearer to what is wanted.

    Args: `wish` None when nothing is wanted there; `resting` our orders of this side without a final state, oldest
        first.
    """
    if not resting:
        if wish is None or pace.is_busy or not _may_advance(pace):
            return KEEP
        return Step("place", None, wish.price, wish.volume_cents, wish.position_id)
    order = resting[-1]
    if any(is_altered(each) for each in resting) or not order.is_working or order.order_id is None:
        return KEEP  # an answer is on its way
    if now_ns < order.quiet_until_ns:
        return KEEP
    if len(resting) > 1:
        return Step("cancel", order, why="one quote a side is enough")
    if wish is None:
        return Step("cancel", order)
    if order.is_stuck:
        return Step("cancel", order, why="the venue did not let it be changed")
    if order.position_id != wish.position_id:
        return Step("cancel", order, why="what it would close or open is another position now")
    return _amendment(wish, order, spec, pace, now_ns)


def _amendment(wish: Wish, order: OwnOrder, spec: SymbolSpec, pace: QuotePace, now_ns: int) -> Step:
    assert order.limit_price is not None
    left, change = order.left_cents, wish.volume_cents - order.left_cents
    tick = 10.0**-spec.digits
    nearer_ticks = (wish.price - order.limit_price) / tick * order.side
    is_moved = abs(nearer_ticks) >= pace.threshold_ticks - _SLACK and wish.price != order.limit_price
    retreats, shrinks = is_moved and nearer_ticks < 0, change <= -spec.step_volume_cents
    if retreats or shrinks:
        if pace.is_busy:
            return Step("cancel", order, why="it is too near or too large, and another order has the symbol")
        if pace.amended_last_minute >= _MOST_AMENDS - _SPARED_AMENDS:
            return Step("cancel", order, why="it is too near or too large, and no more amends are allowed this minute")
        if now_ns - order.changed_ns < pace.min_interval_ns:
            return KEEP
        price = wish.price if retreats else order.limit_price
        volume = wish.volume_cents if shrinks else left
        return Step("amend", order, price, volume, order.position_id, reduces_risk=True)
    grows = change >= max(spec.step_volume_cents, _GROWTH_FRAC * wish.volume_cents)
    if not (is_moved or grows) or pace.is_busy or not _may_advance(pace):
        return KEEP
    if now_ns - order.changed_ns < max(pace.min_interval_ns, pace.advance_interval_ns):
        return KEEP
    return Step("amend", order, wish.price, max(wish.volume_cents, left), order.position_id)


def _may_advance(pace: QuotePace) -> bool:
    return pace.sent_last_minute < advances_a_minute(pace.max_orders_per_minute)


def advances_a_minute(max_orders_per_minute: int) -> float:
    """Return how many orders a minute there are for quotes that come nearer or grow."""
    return _SHARE_FOR_ADVANCES * min(max_orders_per_minute, _MOST_AMENDS)


def quote_price(reference: float, distance: float, side: int, opposite: float, spec: SymbolSpec) -> float:
    """Return the price of a quote on the symbol's grid: rounded away from the reference, a tick short of `opposite`.

    Args: `side` +1 for a bid, -1 for an ask; `opposite` the best price of the other side, NaN when there is none.
    Units: prices in quote currency.   Missing: NaN where reference or distance is.
    """
    wanted = reference - side * distance
    if not math.isfinite(wanted):
        return math.nan
    tick = 10.0**-spec.digits
    steps = math.floor(side * wanted / tick + 1e-6)
    if math.isfinite(opposite):
        steps = min(steps, math.floor(side * opposite / tick + 1e-6) - 1)
    return spec.round_price(side * steps * tick)


def place_quote(
    approved: ApprovedTarget, spec: SymbolSpec, price: float, label: str, client_order_id: str, position_id: int | None
) -> PlaceOrder:
    """Return the limit order that rests the approved change; `position_id` names the position that it closes.

    Source: ProtoOANewOrderReq.
    """
    return PlaceOrder(
        client_order_id=client_order_id,
        symbol_id=spec.symbol_id,
        volume_cents=approved.target_cents - approved.held_cents,
        order_type="limit",
        label=label,
        position_id=position_id,
        limit_price=price,
    )


def amend_quote(
    approved: ApprovedTarget, order: OwnOrder, price: float, client_order_id: str, *, reduces_risk: bool
) -> AmendOrder:
    """Return the amendment after which the approved change rests. Source: ProtoOAAmendOrderReq, volume of the whole."""
    assert order.order_id is not None
    left = abs(approved.target_cents - approved.held_cents)
    return AmendOrder(
        client_order_id=client_order_id,
        symbol_id=order.symbol_id,
        order_id=order.order_id,
        volume_cents=order.executed_cents + left,
        limit_price=price,
        reduces_risk=reduces_risk,
    )


def cancel_quote(order: OwnOrder, client_order_id: str) -> CancelOrder:
    """Return the request that takes an order out of the book. It needs no approval: it can only take risk away."""
    assert order.order_id is not None
    return CancelOrder(client_order_id, order.symbol_id, order.order_id)
