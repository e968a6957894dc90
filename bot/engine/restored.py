"""Intents of an earlier run whose outcome its ledger does not know, as orders of unknown outcome.

Their symbols stay closed until the venue's own lists have answered, as after a drop: the bytes may have left.
"""

import math

from bot.engine.adoption import is_for_owner
from bot.engine.decision import IntendedOrder
from bot.engine.events import OpenIntent
from bot.execution.in_flight import OwnOrder
from bot.execution.requests import ClosePosition
from bot.market.symbols import SymbolSpec

ALTERATIONS = frozenset({"amend", "cancel"})
"""Actions that change an order instead of making one: the venue's list of working orders tells what came of them."""

NOT_LOADED = -1
"""Index of a symbol that this run has not loaded: its order is followed, and keeps no symbol closed."""


def restored_intent(intent: OpenIntent, spec: SymbolSpec | None) -> IntendedOrder:
    """Return an intent as the order it was planned as; `spec` None where its symbol is not loaded."""
    volume = abs(intent.volume_cents)
    return IntendedOrder(
        symbol=str(intent.symbol_id) if spec is None else spec.name,
        action=intent.action,
        side="buy" if intent.volume_cents > 0 else "sell",
        volume_cents=volume,
        lots=math.nan if spec is None else spec.lots(volume),
        order_type=intent.order_type,
        position_id=intent.position_id,
        order_id=None,
        client_order_id=intent.client_order_id,
        leverage_now=None,
        leverage_target=None,
        reason="of an earlier run, which ended before its outcome was known",
        predicted_slippage_bps=None,
        margin_before=None,
        margin_after=None,
        margin_level_after=None,
    )


def restored_order(intent: OpenIntent, symbol_index: int) -> tuple[OwnOrder, ClosePosition | None]:
    """Return the order of an intent, its outcome unknown, and the request it was if that was a close.

    A close carries no id of ours at the venue: it is recognised by its position, its volume and its time. One that was
    placed for somebody else is theirs now as then.
    """
    closes = intent.action in ("close", "reduce") and intent.position_id is not None
    request = None
    volume_cents = intent.volume_cents
    if closes and intent.position_id is not None:
        volume_cents = abs(volume_cents)  # as in its request
        request = ClosePosition(intent.client_order_id, intent.symbol_id, intent.position_id, volume_cents)
    order = OwnOrder(
        client_order_id=intent.client_order_id,
        symbol_index=symbol_index,
        symbol_id=intent.symbol_id,
        volume_cents=volume_cents,
        position_id=intent.position_id,
        sent_ns=intent.created_ns,
        increases_risk=not closes,
        state="unknown",
        limit_price=math.nan if intent.order_type == "limit" and not closes else None,
        is_foreign=is_for_owner(intent.client_order_id),
    )
    return order, request
