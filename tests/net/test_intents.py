"""What of a Decision reaches the ledger: intents before its bytes leave, the rest after."""

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from wired_bot import WiredBot, bot_config, virtual_venue

from bot.account.position import Deal
from bot.account.risk import Refused
from bot.engine.decision import CountedDeal, DealMark, Decision, IntendedOrder, Notice, OrderChange
from bot.engine.engine import Engine
from bot.engine.rows import NO_ROWS
from bot.journal.ledger import Ledger
from bot.journal.ledger_reader import LedgerSpan, read_everything
from bot.net.aftermath import aftermath
from bot.net.intents import keep_intents

ORDER = IntendedOrder(
    "EURUSD", "open", "sell", 100_000, 0.01, "market", None, None, "r1-1", 0.0, 1.0, "because", 0.3, 0.0, 7.5, 9.0
)
NOW = 7_200_000_000_005
DEAL = Deal(900, 70, 80, 1, -100_000, 1.1, Decimal("-0.03"), 4)


def change(order: IntendedOrder, state: str) -> OrderChange:
    return OrderChange(order, state, order.order_id, None, 0, None, None, paper=False)


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    """Return an engine that is READY and holds nothing."""
    config = bot_config(tmp_path, symbols={"EURUSD": {"direction": "follow"}})
    bot = WiredBot(tmp_path, config, virtual_venue()).start()
    return bot.until(lambda: bot.is_ready).let(0.25).run.engine


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger(tmp_path / "ledger.sqlite3")
    yield opened
    opened.close()


def kept(ledger: Ledger, engine: Engine, decision: Decision, *, sampled: bool = False) -> LedgerSpan:
    keep_intents(ledger, decision, engine, "r1")
    ledger.record(aftermath(decision, engine, "r1", sampled=sampled))
    return read_everything(ledger.path)


def test_a_planned_order_is_kept_with_why_and_its_state_follows(ledger: Ledger, engine: Engine) -> None:
    keep_intents(ledger, Decision(NOW, NO_ROWS, (ORDER,), order_changes=(change(ORDER, "sent"),)), engine, "r1")
    (intent,) = ledger.open_intents()
    assert (intent.client_order_id, intent.volume_cents, intent.state) == ("r1-1", -100_000, "planned")
    assert intent.detail == {
        "symbol": "EURUSD",
        "order_id": None,
        "reason": "because",
        "leverage_now": 0.0,
        "leverage_target": 1.0,
        "predicted_slippage_bps": 0.3,
        "margin_before": 0.0,
        "margin_after": 7.5,
        "margin_level_after": 9.0,
        "sent_mid": pytest.approx(1.1, rel=1e-3),
    }
    kept(ledger, engine, Decision(NOW, NO_ROWS, order_changes=(change(ORDER, "sent"),)))
    assert ledger.open_intents()[0].state == "sent"


def test_an_order_found_at_the_venue_is_kept_even_if_another_ledger_had_it(ledger: Ledger, engine: Engine) -> None:
    found = replace(ORDER, client_order_id="elsewhere-1", order_id=77)
    both = tuple(change(found, state) for state in ("accepted", "partially_filled"))
    kept(ledger, engine, Decision(NOW, NO_ROWS, order_changes=both))
    kept(ledger, engine, Decision(NOW + 1, NO_ROWS, order_changes=(change(found, "filled"),)))
    intent = ledger.intent("elsewhere-1")
    assert intent is not None
    assert (intent.state, intent.created_ns, intent.updated_ns) == ("filled", NOW, NOW + 1)


def test_a_deal_is_kept_with_its_lots_and_its_worth_in_deposit_currency(ledger: Ledger, engine: Engine) -> None:
    counted = CountedDeal(DEAL, "EURUSD", "r1-1", "ours", 1.09998, 0.3, is_own=True)
    (deal,) = kept(ledger, engine, Decision(NOW, NO_ROWS, deals=(counted,))).deals
    assert (deal.deal_id, deal.lots, deal.recorded_ns) == (900, 0.01, NOW)
    assert deal.notional == pytest.approx(1_100)
    assert (deal.commission, deal.is_own, deal.decision_mid) == (Decimal("-0.03"), True, 1.09998)


def test_marks_refusals_and_notices_are_kept(ledger: Ledger, engine: Engine) -> None:
    refused = Refused("EURUSD", "stale_quote", float("nan"), 5.0, "nothing heard")
    decision = Decision(
        NOW,
        NO_ROWS,
        refused=(refused, refused),
        deals=(CountedDeal(DEAL, "EURUSD", None, "manual"),),
        marks=(DealMark(900, 5, 1.1, 0.5, -0.25, paper=False),),
        notices=(Notice("leverage_changed", None, "text"),),
    )
    span = kept(ledger, engine, decision)
    (row,) = span.refusals
    assert (row.refusal_count, row.hour_ns, row.last_number, row.last_limit) == (2, 7_200_000_000_000, None, 5.0)
    assert [(m.deal_id, m.delay_s, m.realised_bps) for m in span.marks] == [(900, 5, 0.5)]
    assert [(n.ns, n.code, n.text) for n in span.notices] == [(NOW, "leverage_changed", "text")]


def test_the_account_is_sampled_when_it_is_asked_for(ledger: Ledger, engine: Engine) -> None:
    (sample,) = kept(ledger, engine, Decision(NOW, NO_ROWS), sampled=True).samples
    assert (sample.ns, sample.equity, sample.balance) == (NOW, 10_000.0, Decimal(10_000))
    assert (sample.used_margin, sample.margin_level) == (0.0, None)
    assert len(kept(ledger, engine, Decision(NOW + 1, NO_ROWS)).samples) == 1
