"""What of a Decision reaches the ledger."""

from dataclasses import replace
from pathlib import Path

from bot.engine.decision import Decision, IntendedOrder, OrderChange
from bot.engine.rows import NO_ROWS
from bot.journal.ledger import Ledger
from bot.market.symbols import SymbolSpec
from bot.net.intents import keep_intents

EURUSD = SymbolSpec(1, "EURUSD", "EUR", "USD", 5, 4, 10_000_000, 100_000, 100_000, 10**12)
ORDER = IntendedOrder(
    "EURUSD", "open", "sell", 100_000, 0.01, "market", None, None, "r1-1", 0.0, 1.0, "", None, None, None, None
)


def change(order: IntendedOrder, state: str) -> OrderChange:
    return OrderChange(order, state, order.order_id, None, 0, None, None, paper=False)


def test_a_planned_order_and_its_states_are_kept(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite3")
    keep_intents(ledger, Decision(5, NO_ROWS, (ORDER,), order_changes=(change(ORDER, "sent"),)), [EURUSD], "r1")
    (intent,) = ledger.open_intents()
    assert (intent.client_order_id, intent.volume_cents, intent.state) == ("r1-1", -100_000, "sent")
    ledger.close()


def test_an_order_found_at_the_venue_is_kept_even_if_another_ledger_had_it(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite3")
    found = replace(ORDER, client_order_id="elsewhere-1", order_id=77)
    for state in ("accepted", "filled"):
        keep_intents(ledger, Decision(5, NO_ROWS, order_changes=(change(found, state),)), [EURUSD], "r1")
    intent = ledger.intent("elsewhere-1")
    assert intent is not None
    assert intent.state == "filled"
    ledger.close()
