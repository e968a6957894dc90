"""Reads a span of a ledger, while a run writes it or not: everything a day's report is made of.

How it works: one read transaction, so that every row is of one moment; it holds up no writer, takes no lock of ours and
changes nothing.
"""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bot.journal.kept import (
    DEALS,
    INTENTS,
    MARKS,
    NOTICES,
    REFUSALS,
    SAMPLES,
    AccountSample,
    Intent,
    KeptDeal,
    KeptMark,
    KeptNotice,
    KeptRefusals,
)
from bot.journal.ledger_file import LedgerError, open_to_read


@dataclass(frozen=True, slots=True)
class LedgerSpan:
    """What a ledger holds of a span of time, each kind in the order it happened.

    `intents` are those made in the span; `outside` those made before it (or after, where the clocks differ) that have
    deals in it. Deals count by the venue's time. `executed_cents` is how much of each intent all of its deals have
    executed, whenever: 0.01 base unit.
    """

    intents: tuple[Intent, ...] = ()
    outside: tuple[Intent, ...] = ()
    deals: tuple[KeptDeal, ...] = ()
    marks: tuple[KeptMark, ...] = ()
    refusals: tuple[KeptRefusals, ...] = ()
    notices: tuple[KeptNotice, ...] = ()
    samples: tuple[AccountSample, ...] = ()
    executed_cents: Mapping[str, int] = field(default_factory=dict)
    account: Mapping[str, Any] = field(default_factory=dict)


def read_span(path: Path, from_ns: int, to_ns: int) -> LedgerSpan:
    """Return what a ledger holds from one time (included) to another (excluded), UTC nanoseconds.

    Refusals are kept by the hour: both ends should be full hours.
    Raises: LedgerError, one line, when there is no ledger, or it is foreign, damaged or of another version.
    """
    connection = open_to_read(path)
    try:
        connection.execute("BEGIN")
        return _span(connection, from_ns, to_ns)
    except (sqlite3.Error, ValueError, TypeError, ArithmeticError) as error:
        raise LedgerError(f"cannot read the ledger {path}: {error}") from error
    finally:
        connection.close()


def read_everything(path: Path) -> LedgerSpan:
    """Return all that a ledger holds. Raises: LedgerError, as `read_span`."""
    return read_span(path, 0, 1 << 62)


def round_trips_ns(path: Path, longest_ns: int) -> list[int]:
    """Return how long each market order took from its intent to its first deal, by our own clock, in order of time.

    The intent is written just before the order's bytes go out. The ledger keeps no time of acceptance; a market order's
    first deal comes with it. Left out: what took longer than `longest_ns`, since such an order had become unknown and
    its deal was found by asking; orders met at the venue; those that rest, are refused or never left.
    Raises: LedgerError, as `read_span`.
    """
    question = """SELECT min(deals.recorded_ns) - intents.created_ns AS took FROM intents
        JOIN deals ON deals.client_order_id = intents.client_order_id
        WHERE intents.order_type IN ('market', 'market_range') GROUP BY intents.client_order_id
        HAVING took > 0 AND took <= ? ORDER BY intents.created_ns, intents.client_order_id"""
    connection = open_to_read(path)
    try:
        return [took for (took,) in connection.execute(question, (longest_ns,))]
    except sqlite3.Error as error:
        raise LedgerError(f"cannot read the ledger {path}: {error}") from error
    finally:
        connection.close()


def _span(connection: sqlite3.Connection, from_ns: int, to_ns: int) -> LedgerSpan:
    span = from_ns, to_ns

    def rows(table: Any, condition: str) -> tuple[Any, ...]:
        found = connection.execute(f"SELECT {table.columns} FROM {table.name} WHERE {condition}", span)
        return tuple(table.kept_in(row) for row in found)

    in_span = "executed_ns >= ? AND executed_ns < ?"
    memory = connection.execute("SELECT content FROM memory WHERE key = 'account'").fetchone()
    sums = """SELECT client_order_id, sum(abs(volume_cents)) FROM deals WHERE client_order_id IN
        (SELECT client_order_id FROM intents WHERE created_ns >= ? AND created_ns < ?) GROUP BY client_order_id"""
    its_deals = f"SELECT client_order_id FROM deals WHERE {in_span}"
    by_time = "ORDER BY created_ns, client_order_id"
    return LedgerSpan(
        intents=rows(INTENTS, f"created_ns >= ? AND created_ns < ? {by_time}"),
        outside=tuple(
            intent
            for intent in rows(INTENTS, f"client_order_id IN ({its_deals}) {by_time}")
            if not from_ns <= intent.created_ns < to_ns
        ),
        deals=rows(DEALS, f"{in_span} ORDER BY executed_ns, deal_id"),
        marks=rows(MARKS, f"deal_id IN (SELECT deal_id FROM deals WHERE {in_span}) ORDER BY deal_id, delay_s"),
        refusals=rows(REFUSALS, "hour_ns >= ? AND hour_ns < ? ORDER BY last_ns, symbol, check_name"),
        notices=rows(NOTICES, "ns >= ? AND ns < ? ORDER BY ns, rowid"),
        samples=rows(SAMPLES, "ns >= ? AND ns < ? ORDER BY ns"),
        executed_cents=dict(connection.execute(sums, span).fetchall()),
        account={} if memory is None else json.loads(memory[0]),
    )
