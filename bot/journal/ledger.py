"""The intent ledger: what we meant to do, on disk before its bytes are on the wire.

How it works: one SQLite file per account, in WAL mode. `record_intent` returns after the disk has confirmed the write;
states are handed to the operating system at once and reach the disk with the next intent. They can be lost to a power
cut, not to a killed process, and the loss is harmless: an intent is then found open and is asked about.

Invariants: a client order id is used once, restarts included; one process at a time has the file (an exclusive lock of
the operating system, which ends with the process, kill -9 included).
"""

import json
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

OPEN_STATES = frozenset({"planned", "sent", "accepted", "partially_filled", "unknown"})
FINAL_STATES = frozenset({"filled", "cancelled", "expired", "rejected", "resolved"})
STATES = OPEN_STATES | FINAL_STATES | {"replaced"}

_APPLICATION_ID = 0x4D4C4C47  # "MLLG", marks the file as ours
_SCHEMA_VERSION = 1
# One tree, no further index: each would be one more page to write while an order waits.
_SCHEMA = f"""
BEGIN;
CREATE TABLE intents (
    client_order_id TEXT PRIMARY KEY, run_id TEXT NOT NULL, symbol_id INTEGER NOT NULL, action TEXT NOT NULL,
    volume_cents INTEGER NOT NULL, position_id INTEGER, order_type TEXT NOT NULL, created_ns INTEGER NOT NULL,
    state TEXT NOT NULL, updated_ns INTEGER NOT NULL, error_code TEXT, detail TEXT NOT NULL
) STRICT, WITHOUT ROWID;
PRAGMA application_id = {_APPLICATION_ID};
PRAGMA user_version = {_SCHEMA_VERSION};
COMMIT;
"""
_ADVICE = "move it away and check the account's orders by hand before starting again"
_INTENT_COLUMNS = (
    "client_order_id, run_id, symbol_id, action, volume_cents, position_id, order_type, created_ns, state, updated_ns, "
    "error_code, detail"
)


class LedgerError(Exception):
    """The ledger cannot be opened, or refuses or fails to record something. Do not send what is not recorded."""


@dataclass(frozen=True, slots=True)
class Intent:
    """One order we mean to send, or a close, amend or cancel.

    Units: `volume_cents` signed by the side of the trade, 0.01 base unit; times in UTC nanoseconds.
    Missing: `updated_ns` None in an intent not recorded yet; it starts as `created_ns`.
    """

    client_order_id: str
    run_id: str
    symbol_id: int
    action: str  # open | increase | reduce | close | place | amend | cancel
    volume_cents: int
    order_type: str
    created_ns: int
    position_id: int | None = None
    state: str = "planned"
    updated_ns: int | None = None
    error_code: str | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)


class Ledger:
    """The ledger of one account, open for reading and writing. Single-threaded."""

    def __init__(self, path: str | Path) -> None:
        """Open the ledger, or create it with mode 0600, and lock it against other processes.

        Raises: LedgerError when another process has it, or it is damaged, foreign, of a newer version or out of reach.
        """
        self._path = Path(path)
        self._full_sync: bool | None = None
        try:
            # SQLite would create it readable by others. An existing file is not opened here: closing it again would
            # drop the locks that this process may hold on it through SQLite (POSIX locks belong to the process).
            if not self._path.exists():
                os.close(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            self._connection = sqlite3.connect(self._path, timeout=0, isolation_level=None)
        except (OSError, sqlite3.Error) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise LedgerError(f"cannot open the ledger {self._path}: {reason}") from error
        try:
            self._open()
        except sqlite3.Error as error:
            self._connection.close()
            raise LedgerError(self._reason_not_opened(error)) from error
        except BaseException:
            self._connection.close()
            raise

    @property
    def path(self) -> Path:
        """The ledger's file."""
        return self._path

    def record_intent(self, intent: Intent) -> None:
        """Put an intent on disk. It is there, power cut or not, when this returns; only then send its bytes.

        Raises: LedgerError when its id was used before or the write failed. Nothing may be sent then.
        """
        _check_state(intent.client_order_id, intent.state)
        try:
            detail = json.dumps(dict(intent.detail), separators=(",", ":"), allow_nan=False)
        except (TypeError, ValueError) as error:
            raise LedgerError(f"the detail of intent {intent.client_order_id} is no JSON: {error}") from error
        row = (
            intent.client_order_id,
            intent.run_id,
            intent.symbol_id,
            intent.action,
            intent.volume_cents,
            intent.position_id,
            intent.order_type,
            intent.created_ns,
            intent.state,
            intent.created_ns if intent.updated_ns is None else intent.updated_ns,
            intent.error_code,
            detail,
        )
        with self._writing(f"intent {intent.client_order_id}", full_sync=True):
            added = self._connection.execute(
                f"INSERT INTO intents ({_INTENT_COLUMNS}) VALUES ({_marks(row)}) "
                "ON CONFLICT (client_order_id) DO NOTHING",
                row,
            ).rowcount
        if not added:
            raise LedgerError(f"client order id {intent.client_order_id} was used before; ids are never reused")

    def record_state(self, client_order_id: str, state: str, ns: int, error_code: str | None = None) -> None:
        """Record that an intent's order changed state; `error_code` stays as it was when None.

        Which change may follow which is the order table's business (`bot.execution`), not the ledger's.
        Raises: LedgerError for an unknown id or state, or when the write failed.
        """
        _check_state(client_order_id, state)
        with self._writing(f"state {state} of {client_order_id}", full_sync=False):
            changed = self._connection.execute(
                "UPDATE intents SET state = ?, updated_ns = ?, error_code = coalesce(?, error_code) "
                "WHERE client_order_id = ?",
                (state, ns, error_code, client_order_id),
            ).rowcount
        if not changed:
            raise LedgerError(f"cannot record state {state} of {client_order_id}: no such intent in {self._path}")

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

    def close(self) -> None:
        """Close the file and give up its lock. A second call does nothing."""
        self._connection.close()

    def _open(self) -> None:
        connection = self._connection
        # Set before the first access in WAL mode, it keeps the lock until the connection ends, and needs no -shm file.
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("BEGIN EXCLUSIVE")  # takes the lock now, not at the first write
        (application_id,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        connection.execute("COMMIT")
        if application_id != _APPLICATION_ID and (tables or application_id or version):
            raise LedgerError(f"not a microlev ledger: {self._path} (another program's SQLite file)")
        if version > _SCHEMA_VERSION:
            raise LedgerError(
                f"{self._path} is a ledger of version {version}, this microlev knows up to {_SCHEMA_VERSION}: update it"
            )
        (check,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if check != "ok":
            raise LedgerError(f"the ledger {self._path} is damaged ({' '.join(str(check).split())}); {_ADVICE}")
        if not tables:
            connection.executescript(_SCHEMA)
        connection.execute("PRAGMA journal_mode = WAL")
        for path in (self._path, self._path.with_name(self._path.name + "-wal")):
            if path.exists():
                path.chmod(0o600)

    def _reason_not_opened(self, error: sqlite3.Error) -> str:
        # Absent from errors that the module raises by itself; the low byte is the plain code.
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return (
                f"the ledger {self._path} is in use by another process; stop the other microlev of this account first"
            )
        if code == sqlite3.SQLITE_NOTADB:
            return f"not a microlev ledger: {self._path} (not an SQLite file)"
        if isinstance(error, sqlite3.OperationalError):
            return f"cannot open the ledger {self._path}: {error}"
        return f"the ledger {self._path} is damaged ({error}); {_ADVICE}"

    @contextmanager
    def _writing(self, what: str, *, full_sync: bool) -> Iterator[None]:
        """Run one transaction, confirmed by the disk when `full_sync`."""
        connection = self._connection
        try:
            if full_sync is not self._full_sync:
                connection.execute(f"PRAGMA synchronous = {'FULL' if full_sync else 'NORMAL'}")
                self._full_sync = full_sync
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
        except (sqlite3.Error, OverflowError) as error:
            raise LedgerError(f"cannot record {what} in the ledger {self._path}: {error}") from error

    def _intents(self, condition: str, arguments: tuple[str, ...]) -> list[Intent]:
        try:
            rows = self._connection.execute(
                f"SELECT {_INTENT_COLUMNS} FROM intents WHERE {condition} ORDER BY created_ns, client_order_id",
                arguments,
            ).fetchall()
        except sqlite3.Error as error:
            raise LedgerError(f"cannot read the ledger {self._path}: {error}") from error
        return [_intent(row) for row in rows]


def _intent(row: tuple[Any, ...]) -> Intent:
    names = _INTENT_COLUMNS.split(", ")
    columns = dict(zip(names, row, strict=True))
    return Intent(**{**columns, "detail": json.loads(columns["detail"])})


def _check_state(client_order_id: str, state: str) -> None:
    if state not in STATES:
        raise LedgerError(f"{client_order_id} cannot be in state {state!r}; states are {', '.join(sorted(STATES))}")


def _marks(row: tuple[object, ...]) -> str:
    return ", ".join("?" * len(row))
