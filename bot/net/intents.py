"""Orders on disk before they are on the wire: what of a Decision goes to the ledger."""

from collections.abc import Sequence

from bot.engine.decision import Decision
from bot.journal.ledger import Intent, Ledger
from bot.market.symbols import SymbolSpec


def keep_intents(ledger: Ledger, decision: Decision, specs: Sequence[SymbolSpec], run_id: str) -> None:
    """Record every order that a Decision plans, and every change of those planned before.

    Raises: LedgerError when it could not; then no byte of these orders may leave.
    """
    for order in decision.intended:
        symbol = next(spec for spec in specs if spec.name == order.symbol)
        ledger.record_intent(
            Intent(
                client_order_id=order.client_order_id,
                run_id=run_id,
                symbol_id=symbol.symbol_id,
                action=order.action,
                volume_cents=order.volume_cents if order.side == "buy" else -order.volume_cents,
                order_type=order.order_type,
                created_ns=decision.now_ns,
                position_id=order.position_id,
            )
        )
    for change in decision.order_changes:
        ledger.record_state(change.order.client_order_id, change.state, decision.now_ns, change.error_code)
