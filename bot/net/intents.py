"""Orders on disk before they are on the wire: what of a Decision goes to the ledger."""

from collections.abc import Sequence

from bot.engine.decision import Decision, IntendedOrder
from bot.journal.ledger import Intent, Ledger
from bot.market.symbols import SymbolSpec


def keep_intents(ledger: Ledger, decision: Decision, specs: Sequence[SymbolSpec], run_id: str) -> None:
    """Record every order that a Decision plans, and every change of those planned before.

    Raises: LedgerError when it could not; then no byte of these orders may leave.
    """

    def record(order: IntendedOrder) -> None:
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

    for planned in decision.intended:
        record(planned)
    for change in decision.order_changes:
        # Only an order found at the venue has its id from the start; its run may have used another ledger.
        if change.order.order_id is not None and ledger.intent(change.order.client_order_id) is None:
            record(change.order)
        ledger.record_state(change.order.client_order_id, change.state, decision.now_ns, change.error_code)
