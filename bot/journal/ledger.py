"""The intent ledger: what we meant to do, on disk before its bytes are on the wire, and what came of it.

How it works: one SQLite file per account, in WAL mode (`ledger_file.py`). `record_intent` returns after the disk has
confirmed the write. Everything else is written when the bytes are gone, a decision in one transaction (`record`), and
handed to the operating system at once; it reaches the disk with the next intent. It can be lost to a power cut, not to
a killed process, and the loss is harmless: an intent is then found open and is asked about.

Invariants: a client order id is used once, restarts included; a deal id is kept once, as it was first told; one process
at a time has the file for writing, and anybody may read it (`ledger_reader.py`).
"""

import json
import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bot.journal.kept import (
    DEALS,
    INTENTS,
    MARKS,
    NOTICES,
    REFUSALS,
    SAMPLES,
    Aftermath,
    Intent,
    StateChange,
    Table,
    as_json,
)
from bot.journal.ledger_file import LedgerError, LedgerFile

__all__ = ["FINAL_STATES", "OPEN_STATES", "STATES", "Intent", "Ledger", "LedgerError"]

OPEN_STATES = frozenset({"planned", "sent", "accepted", "partially_filled", "unknown"})
FINAL_STATES = frozenset({"filled", "cancelled", "expired", "rejected", "resolved"})
STATES = OPEN_STATES | FINAL_STATES | {"replaced"}

_COUNT_REFUSALS = REFUSALS.insert.replace(
    "ON CONFLICT DO NOTHING",
    """ON CONFLICT (hour_ns, symbol, check_name) DO UPDATE SET
    refusal_count = refusal_count + excluded.refusal_count, last_ns = excluded.last_ns,
    last_number = excluded.last_number, last_limit = excluded.last_limit, last_reason = excluded.last_reason""",
)


class Ledger:
    """The ledger of one account, open for reading and writing. Single-threaded."""

    def __init__(self, path: str | Path) -> None:
        """Open the ledger, or create it with mode 0600, and lock it against other processes.

        Raises: LedgerError when another process has it, or it is damaged, foreign, of a newer version or out of reach.
        """
        self._file = LedgerFile(path)

    @property
    def path(self) -> Path:
        """The ledger's file."""
        return self._file.path

    def record_intent(self, intent: Intent) -> None:
        """Put an intent on disk. It is there, power cut or not, when this returns; only then send its bytes.

        Raises: LedgerError when its id was used before or the write failed. Nothing may be sent then.
        """
        row = _checked_row(intent)
        with self._file.writing(f"intent {intent.client_order_id}", full_sync=True, is_one=True) as connection:
            added = connection.execute(INTENTS.insert, row).rowcount
        if not added:
            raise LedgerError(f"client order id {intent.client_order_id} was used before; ids are never reused")

    def record_state(self, client_order_id: str, state: str, ns: int, error_code: str | None = None) -> None:
        """Record that an intent's order changed state; `error_code` stays as it was when None.

        Which change may follow which is the order table's business (`bot.execution`), not the ledger's.
        Raises: LedgerError for an unknown id or state, or when the write failed.
        """
        self.record(Aftermath(ns, states=(StateChange(client_order_id, state, ns, error_code),)))

    def record(self, after: Aftermath) -> None:
        """Keep what came of a decision, all of it or nothing; deals and mark-outs that are known stay as they are.

        Raises: LedgerError for a change of an intent that is not in here, or when the write failed.
        """
        if after.is_empty:
            return
        for change in after.states:
            _check_state(change.client_order_id, change.state)
        found = [_checked_row(intent) for intent in after.found]
        with self._file.writing(_in_short(after), full_sync=False) as connection:
            for row in found:
                connection.execute(INTENTS.insert, row)
            for change in after.states:
                self._change(connection, change)
            for table, rows in ((DEALS, after.deals), (MARKS, after.marks), (NOTICES, after.notices)):
                _insert(connection, table, rows)
            for refusal in after.refusals:
                connection.execute(_COUNT_REFUSALS, REFUSALS.row_of(refusal))
            if after.sample is not None:
                _insert(connection, SAMPLES, (after.sample,))

    def remember(self, key: str, content: Mapping[str, Any]) -> None:
        """Keep a small fact that outlives the run, in place of what was kept under this key.

        Raises: LedgerError when it is no JSON, or the write failed.
        """
        try:
            text = as_json(dict(content))
        except (TypeError, ValueError) as error:
            raise LedgerError(f"memory {key} is no JSON: {error}") from error
        with self._file.writing(f"memory {key}", full_sync=False) as connection:
            connection.execute("INSERT OR REPLACE INTO memory (key, content) VALUES (?, ?)", (key, text))

    def recall(self, key: str) -> dict[str, Any] | None:
        """Return what was kept under a key, or None. Raises: LedgerError when it cannot be read."""
        rows = self._read("SELECT content FROM memory WHERE key = ?", (key,))
        return dict(json.loads(rows[0][0])) if rows else None

    def intent(self, client_order_id: str) -> Intent | None:
        """Return the intent of that id as it stands, or None: then the order is not one of this ledger's."""
        found = self._intents("client_order_id = ?", (client_order_id,))
        return found[0] if found else None

    def open_intents(self) -> list[Intent]:
        """Return the intents whose outcome is not final, oldest first: at a start, those to ask the venue about.

        `replaced` ends an amend; the order it changed goes on working, so a replaced order is open.
        """
        marks = ", ".join("?" * len(OPEN_STATES))
        return self._intents(
            f"state IN ({marks}) OR (state = 'replaced' AND action <> 'amend')", tuple(sorted(OPEN_STATES))
        )

    def last_sent_ns(self, count: int) -> tuple[int, ...]:
        """Return when the last `count` intents were made, oldest first. Raises: LedgerError when it cannot be read."""
        rows = self._read("SELECT created_ns FROM intents ORDER BY created_ns DESC LIMIT ?", (count,))
        return tuple(sorted(ns for (ns,) in rows))

    def last_deal_ids(self, since_ns: int, count: int) -> tuple[int, ...]:
        """Return the ids of the last `count` deals since a time, ascending. Raises: LedgerError when not to be read."""
        question = "SELECT deal_id FROM deals WHERE executed_ns >= ? ORDER BY executed_ns DESC LIMIT ?"
        return tuple(sorted(deal_id for (deal_id,) in self._read(question, (since_ns, count))))

    def close(self) -> None:
        """Close the file and give up its lock. A second call does nothing."""
        self._file.close()

    def _change(self, connection: sqlite3.Connection, change: StateChange) -> None:
        changed = connection.execute(
            "UPDATE intents SET state = ?, updated_ns = ?, error_code = coalesce(?, error_code) "
            "WHERE client_order_id = ?",
            (change.state, change.ns, change.error_code, change.client_order_id),
        ).rowcount
        if not changed:
            raise LedgerError(
                f"cannot record state {change.state} of {change.client_order_id}: no such intent in {self.path}"
            )

    def _intents(self, condition: str, arguments: tuple[str, ...]) -> list[Intent]:
        rows = self._read(
            f"SELECT {INTENTS.columns} FROM intents WHERE {condition} ORDER BY created_ns, client_order_id",
            arguments,
        )
        return [INTENTS.kept_in(row) for row in rows]

    def _read(self, question: str, arguments: tuple[str | int, ...]) -> list[tuple[Any, ...]]:
        try:
            return self._file.connection.execute(question, arguments).fetchall()
        except sqlite3.Error as error:
            raise LedgerError(f"cannot read the ledger {self.path}: {error}") from error


def _checked_row(intent: Intent) -> list[Any]:
    _check_state(intent.client_order_id, intent.state)
    try:
        return INTENTS.row_of(intent)
    except (TypeError, ValueError) as error:
        raise LedgerError(f"the detail of intent {intent.client_order_id} is no JSON: {error}") from error


def _insert(connection: sqlite3.Connection, table: Table, kept: Iterable[Any]) -> None:
    for each in kept:
        connection.execute(table.insert, table.row_of(each))


def _check_state(client_order_id: str, state: str) -> None:
    if state not in STATES:
        raise LedgerError(f"{client_order_id} cannot be in state {state!r}; states are {', '.join(sorted(STATES))}")


def _in_short(after: Aftermath) -> str:
    """Return what of a decision is being written, for an error about it."""
    parts = [f"state {change.state} of {change.client_order_id}" for change in after.states]
    parts += [f"deal {deal.deal_id}" for deal in after.deals]
    for name, rows in (("mark-out", after.marks), ("refusal", after.refusals), ("notice", after.notices)):
        parts += [f"{len(rows)} {name}(s)"] if rows else []
    return ", ".join(parts) or ("found orders" if after.found else "the account's figures")
