"""Orders on disk before they are on the wire: what of a Decision goes to the ledger first."""

import math
from typing import Any

from bot.engine.decision import Decision, IntendedOrder
from bot.engine.engine import Engine
from bot.journal.ledger import Intent, Ledger


def keep_intents(ledger: Ledger, decision: Decision, engine: Engine, run_id: str) -> None:
    """Record every order that a Decision plans.

    Raises: LedgerError when it could not; then no byte of these orders may leave.
    """
    for planned in decision.intended:
        ledger.record_intent(intent_of(planned, decision.now_ns, engine, run_id))


def intent_of(order: IntendedOrder, now_ns: int, engine: Engine, run_id: str) -> Intent:
    """Return what the ledger keeps of an order: what is asked of the venue, and why."""
    s, spec = next((i, spec) for i, spec in enumerate(engine.specs) if spec.name == order.symbol)
    return Intent(
        client_order_id=order.client_order_id,
        run_id=run_id,
        symbol_id=spec.symbol_id,
        action=order.action,
        volume_cents=order.volume_cents if order.side == "buy" else -order.volume_cents,
        order_type=order.order_type,
        created_ns=now_ns,
        position_id=order.position_id,
        detail=_detail(order, s, engine),
    )


def _detail(order: IntendedOrder, s: int, engine: Engine) -> dict[str, Any]:
    """Return what a person may want to know of an order later; None where nobody knew."""
    return {
        "symbol": order.symbol,
        "order_id": order.order_id,
        "reason": order.reason,
        "leverage_now": order.leverage_now,
        "leverage_target": order.leverage_target,
        "predicted_slippage_bps": order.predicted_slippage_bps,
        "margin_before": order.margin_before,
        "margin_after": order.margin_after,
        "margin_level_after": order.margin_level_after,
        "sent_mid": _mid(order.client_order_id, s, engine),
    }


def _mid(client_order_id: str, s: int, engine: Engine) -> float | None:
    decided_mid, _ = engine.decided(client_order_id)
    if decided_mid is not None or engine.features is None:
        return decided_mid
    mid = float(engine.features.mid[s])
    return mid if math.isfinite(mid) else None
