"""Orders of ours that an earlier run sent and the venue still works on: how they are told apart, and what is known."""

import re
from dataclasses import replace

from bot.engine.decision import IntendedOrder
from bot.execution.in_flight import OwnOrder
from bot.execution.orders import OrderSnapshot
from bot.market.symbols import SymbolSpec


def is_adoptable(snapshot: OrderSnapshot) -> bool:
    """Return whether an order with our label is one of ours at work.

    A limit order without a client order id was made by hand, whatever its label; stop orders we never send.
    """
    is_limit = snapshot.order_type == "limit" and snapshot.client_order_id is not None
    if is_for_owner(snapshot.client_order_id):
        return False
    return snapshot.status == "accepted" and (is_limit or snapshot.order_type in ("market", "market_range"))


_FOR_OWNER = re.compile(r"-for-\d+$")


def id_for_owner(client_order_id: str, order_id: int) -> str:
    """Return the client order id of an order that takes the place of somebody else's `order_id`."""
    return f"{client_order_id}-for-{order_id}"


def is_for_owner(client_order_id: str | None) -> bool:
    """Return whether an order of ours took the place of somebody else's: it is not ours to take back."""
    return client_order_id is not None and _FOR_OWNER.search(client_order_id) is not None


def watched(
    snapshot: OrderSnapshot, symbol_index: int, spec: SymbolSpec, now_ns: int, *, for_owner: bool
) -> tuple[IntendedOrder, OwnOrder]:
    """Return somebody else's resting order as one of ours would be remembered.

    Args: `for_owner` says that it carries an id of ours, since it was placed by us for its owner.
    """
    named = snapshot if for_owner else replace(snapshot, client_order_id=None)
    intended, order = adopted(named, symbol_index, spec, now_ns)
    intended = replace(intended, action="place", order_type=line_type(snapshot.order_type))
    order.position_id = snapshot.position_id if snapshot.closing else None
    order.limit_price = snapshot.limit_price
    order.is_foreign, order.is_told = True, for_owner
    return intended, order


def line_type(order_type: str) -> str:
    """Return the word for a type of order in our lines, which know no stop limit orders."""
    return "stop" if order_type == "stop_limit" else order_type


def may_be_close(snapshot: OrderSnapshot, order: OwnOrder, slack_ns: int) -> bool:
    """Return whether a venue's order may be what a close of ours has become, which carries no id of ours.

    What the venue does by itself, a stop-out or a protection, is none, however alike it looks.
    Units: `slack_ns` how far the venue's clock may be behind ours.
    """
    if not snapshot.closing or snapshot.is_stop_out or snapshot.order_type != "market":
        return False
    recent = snapshot.updated_ns is None or snapshot.updated_ns >= order.sent_ns - slack_ns
    return recent and (snapshot.position_id, abs(snapshot.volume_cents)) == (order.position_id, order.volume_cents)


def adopted(
    snapshot: OrderSnapshot, symbol_index: int, spec: SymbolSpec, now_ns: int
) -> tuple[IntendedOrder, OwnOrder]:
    """Return an order of an earlier run as this run would have planned it, and as it now works."""
    client_order_id = snapshot.client_order_id or f"venue-{snapshot.order_id}"
    volume = abs(snapshot.volume_cents)
    is_limit = snapshot.order_type == "limit"
    intended = IntendedOrder(
        symbol=spec.name,
        action="place" if is_limit else "close" if snapshot.closing else "open",
        side="buy" if snapshot.volume_cents > 0 else "sell",
        volume_cents=volume,
        lots=spec.lots(volume),
        order_type=snapshot.order_type,
        position_id=snapshot.position_id,
        order_id=snapshot.order_id,
        client_order_id=client_order_id,
        leverage_now=None,
        leverage_target=None,
        reason="found working at the venue: sent before this run",
        predicted_slippage_bps=None,
        margin_before=None,
        margin_after=None,
        margin_level_after=None,
    )
    order = OwnOrder(
        client_order_id=client_order_id,
        symbol_index=symbol_index,
        symbol_id=snapshot.symbol_id,
        volume_cents=snapshot.volume_cents,
        # The venue reserves a position for every order; only a closing one is tied to it.
        position_id=None if is_limit and not snapshot.closing else snapshot.position_id,
        sent_ns=now_ns,
        increases_risk=not snapshot.closing,
        state="accepted",
        order_id=snapshot.order_id,
        executed_cents=snapshot.executed_cents,
        limit_price=snapshot.limit_price if is_limit else None,
        snapshot=snapshot,
    )
    return intended, order
