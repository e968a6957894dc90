"""Deals as a table, one row a deal with everything that is known about it: for a spreadsheet."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from bot.journal.day_report import DELAYS_S, iso_time, slippage_bps
from bot.journal.kept import DEALS
from bot.journal.ledger_reader import LedgerSpan

_OF_THE_ORDER = (
    "reason",
    "leverage_now",
    "leverage_target",
    "margin_before",
    "margin_after",
    "margin_level_after",
    "sent_mid",
)
_OF_A_MARK = ("mid", "realised_bps", "impact_bps")
COLUMNS = (
    "executed_time",
    *DEALS.columns.split(", "),
    "realised_profit",
    "slippage_bps",
    "order_action",
    "order_type",
    "order_state",
    "order_volume_cents",
    "order_created_time",
    *(f"order_{name}" for name in _OF_THE_ORDER),
    *(f"mark_{delay_s}s_{name}" for delay_s in DELAYS_S for name in _OF_A_MARK),
)


def deal_rows(span: LedgerSpan) -> Iterator[dict[str, Any]]:
    """Yield the deals of a span in the order they happened, by the names in `COLUMNS`. Missing: None."""
    intents = {intent.client_order_id: intent for intent in (*span.outside, *span.intents)}
    marks: dict[int, dict[int, Any]] = defaultdict(dict)
    for mark in span.marks:
        marks[mark.deal_id][mark.delay_s] = mark
    for deal in span.deals:
        row: dict[str, Any] = dict.fromkeys(COLUMNS)
        row |= {name: getattr(deal, name) for name in DEALS.columns.split(", ")}
        row["executed_time"] = iso_time(deal.executed_ns)
        row["slippage_bps"] = slippage_bps(deal)
        if deal.gross_profit is not None:
            row["realised_profit"] = deal.gross_profit + (deal.swap or 0) + (deal.close_commission or 0)
        intent = intents.get(deal.client_order_id or "")
        if intent is not None:
            row["order_action"], row["order_type"], row["order_state"] = intent.action, intent.order_type, intent.state
            row["order_volume_cents"] = intent.volume_cents
            row["order_created_time"] = iso_time(intent.created_ns)
            row |= {f"order_{name}": intent.detail.get(name) for name in _OF_THE_ORDER}
        for delay_s, mark in marks[deal.deal_id].items():
            if delay_s in DELAYS_S:
                row |= {f"mark_{delay_s}s_{name}": getattr(mark, name) for name in _OF_A_MARK}
        yield row
