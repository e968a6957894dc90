"""The ledger's file: made for its owner alone, locked to one process, checked, and brought to the version of today.

How it works: who writes holds an operating-system lock on `<ledger>.lock`; the system takes it back when its holder
dies, kill -9 included. SQLite itself runs in WAL mode with its usual locks, so that others can read while a run writes:
`open_to_read` takes no lock of ours and never writes. An older file is migrated in one transaction.

Invariant: nothing is changed in a file that is not a sound ledger of a version we know.
"""

import errno
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

APPLICATION_ID = 0x4D4C4C47  # "MLLG", marks the file as ours
SCHEMA_VERSION = 2
_BUSY_S = 2.0  # another's checkpoint or recovery takes a moment; nobody else writes
_ADVICE = "move it away and check the account's orders by hand before starting again"

_VERSIONS: dict[int, tuple[str, ...]] = {
    # One tree, no further index: each would be one more page to write while an order waits.
    1: (
        """CREATE TABLE intents (
            client_order_id TEXT PRIMARY KEY, run_id TEXT NOT NULL, symbol_id INTEGER NOT NULL, action TEXT NOT NULL,
            volume_cents INTEGER NOT NULL, position_id INTEGER, order_type TEXT NOT NULL, created_ns INTEGER NOT NULL,
            state TEXT NOT NULL, updated_ns INTEGER NOT NULL, error_code TEXT, detail TEXT NOT NULL
        ) STRICT, WITHOUT ROWID""",
    ),
    # Written when the bytes are gone. Money is text, so that it comes back to the last digit.
    2: (
        """CREATE TABLE deals (
            deal_id INTEGER PRIMARY KEY, order_id INTEGER NOT NULL, position_id INTEGER NOT NULL, client_order_id TEXT,
            symbol TEXT NOT NULL, is_own INTEGER NOT NULL, cause TEXT NOT NULL, volume_cents INTEGER NOT NULL,
            closed_volume_cents INTEGER NOT NULL, price REAL NOT NULL, commission TEXT NOT NULL, gross_profit TEXT,
            swap TEXT, close_commission TEXT, balance TEXT, balance_version INTEGER, executed_ns INTEGER NOT NULL,
            recorded_ns INTEGER NOT NULL, decision_mid REAL, predicted_bps REAL, lots REAL, notional REAL
        ) STRICT""",
        "CREATE INDEX deals_by_time ON deals (executed_ns)",
        """CREATE TABLE marks (
            deal_id INTEGER NOT NULL, delay_s INTEGER NOT NULL, mid REAL NOT NULL, realised_bps REAL NOT NULL,
            impact_bps REAL NOT NULL, PRIMARY KEY (deal_id, delay_s)
        ) STRICT, WITHOUT ROWID""",
        # One row an hour, symbol and check: a refusal is said again every ten seconds while it lasts.
        """CREATE TABLE refusals (
            hour_ns INTEGER NOT NULL, symbol TEXT NOT NULL, check_name TEXT NOT NULL, refusal_count INTEGER NOT NULL,
            last_ns INTEGER NOT NULL, last_number REAL, last_limit REAL, last_reason TEXT NOT NULL,
            PRIMARY KEY (hour_ns, symbol, check_name)
        ) STRICT, WITHOUT ROWID""",
        "CREATE TABLE notices (ns INTEGER NOT NULL, code TEXT NOT NULL, symbol TEXT, text TEXT NOT NULL) STRICT",
        "CREATE INDEX notices_by_time ON notices (ns)",
        """CREATE TABLE account_samples (
            ns INTEGER PRIMARY KEY, equity REAL, balance TEXT, used_margin REAL, margin_level REAL
        ) STRICT""",
        "CREATE TABLE memory (key TEXT PRIMARY KEY, content TEXT NOT NULL) STRICT, WITHOUT ROWID",
    ),
}


class LedgerError(Exception):
    """The ledger cannot be opened, or refuses or fails to record something. Do not send what is not recorded."""


class LedgerFile:
    """A ledger's file, open for writing. Single-threaded; one process at a time."""

    def __init__(self, path: str | Path) -> None:
        """Open the file, or create it with mode 0600, and lock it against other processes.

        Raises: LedgerError when another process has it, or it is damaged, foreign, of a newer version or out of reach.
        """
        self.path = Path(path)
        self._full_sync: bool | None = None
        # Without flock the library would take a lock that survives its holder: rather none at all.
        target = os.path.realpath(self.path)
        self._lock = FileLock(f"{target}.lock", mode=0o600, thread_local=False, fallback_to_soft=False)
        if not Path(target).parent.is_dir():  # the lock would make it
            raise LedgerError(f"cannot open the ledger {self.path}: {os.strerror(errno.ENOENT)}")
        self._take_lock()
        try:
            self.connection = self._connect()
        except BaseException:
            self._lock.release(force=True)
            raise
        try:
            self._prepare()
        except sqlite3.Error as error:
            self.close()
            raise LedgerError(_reason_not_opened(self.path, error)) from error
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the file and give up its lock. A second call does nothing."""
        self.connection.close()
        self._lock.release(force=True)

    @contextmanager
    def writing(self, what: str, *, full_sync: bool, is_one: bool = False) -> Iterator[sqlite3.Connection]:
        """Run one transaction, confirmed by the disk when `full_sync`; `is_one` says that it is a single statement.

        Raises: LedgerError, which names `what`, when it could not be written; then nothing of it is.
        """
        connection = self.connection
        try:
            if full_sync is not self._full_sync:
                connection.execute(f"PRAGMA synchronous = {'FULL' if full_sync else 'NORMAL'}")
                self._full_sync = full_sync
            if not is_one:  # a statement alone is a transaction by itself, and an order waits for this one
                connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                if not is_one:
                    connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
        except (sqlite3.Error, OverflowError) as error:
            reason = f"{error}{_about_the_disk(self.path, error)}"
            raise LedgerError(f"cannot record {what} in the ledger {self.path}: {reason}") from error

    def _take_lock(self) -> None:
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise LedgerError(_in_use(self.path)) from None
        except (OSError, NotImplementedError) as error:
            said = getattr(error, "strerror", None) or error
            raise LedgerError(f"cannot open the ledger {self.path}: {said} (its lock file)") from error

    def _connect(self) -> sqlite3.Connection:
        try:
            # SQLite would create it readable by others. An existing file is not opened here: closing it again would
            # drop the locks that this process may hold on it through SQLite (POSIX locks belong to the process).
            if not self.path.exists():
                os.close(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            return sqlite3.connect(self.path, timeout=_BUSY_S, isolation_level=None)
        except (OSError, sqlite3.Error) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise LedgerError(f"cannot open the ledger {self.path}: {reason}") from error

    def _prepare(self) -> None:
        connection = self.connection
        version = _checked_version(connection, self.path, may_be_new=True)
        (check,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if check != "ok":
            raise LedgerError(f"the ledger {self.path} is damaged ({' '.join(str(check).split())}); {_ADVICE}")
        if version < SCHEMA_VERSION:
            connection.execute("BEGIN EXCLUSIVE")
            for step in range(version + 1, SCHEMA_VERSION + 1):
                for statement in _VERSIONS[step]:
                    connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            connection.execute("COMMIT")
        connection.execute("PRAGMA journal_mode = WAL")
        for suffix in ("", "-wal", "-shm"):
            path = self.path.with_name(self.path.name + suffix)
            if path.exists():
                path.chmod(0o600)


def open_to_read(path: Path) -> sqlite3.Connection:
    """Open a ledger to read it, while a run writes it or not. Every row is of one moment within a transaction.

    Raises: LedgerError, one line, when there is none, or it is foreign, damaged or of another version.
    """
    if not path.is_file():
        raise LedgerError(f"there is no ledger at {path}; a run with mode: trade makes one")
    try:
        connection = sqlite3.connect(
            f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=_BUSY_S, isolation_level=None
        )
    except sqlite3.Error as error:
        raise LedgerError(f"cannot open the ledger {path}: {error}") from error
    try:
        version = _checked_version(connection, path, may_be_new=False)
        if version < SCHEMA_VERSION:
            raise LedgerError(
                f"{path} is a ledger of version {version}, this microlev reads version {SCHEMA_VERSION}: "
                "the next run with mode: trade brings it up to date"
            )
    except sqlite3.Error as error:
        connection.close()
        raise LedgerError(_reason_not_opened(path, error)) from error
    except BaseException:
        connection.close()
        raise
    return connection


def _checked_version(connection: sqlite3.Connection, path: Path, *, may_be_new: bool) -> int:
    (application_id,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    is_new = may_be_new and not (tables or application_id or version)
    if application_id != APPLICATION_ID and not is_new:
        raise LedgerError(f"not a microlev ledger: {path} (another program's SQLite file)")
    if version > SCHEMA_VERSION:
        raise LedgerError(
            f"{path} is a ledger of version {version}, this microlev knows up to {SCHEMA_VERSION}: update it"
        )
    return int(version)


def _reason_not_opened(path: Path, error: sqlite3.Error) -> str:
    # Absent from errors that the module raises by itself.
    code = _plain_code(error)
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return _in_use(path)
    if code == sqlite3.SQLITE_NOTADB:
        return f"not a microlev ledger: {path} (not an SQLite file)"
    if isinstance(error, sqlite3.OperationalError):
        return f"cannot open the ledger {path}: {error}{_about_the_disk(path, error)}"
    return f"the ledger {path} is damaged ({error}); {_ADVICE}"


def _in_use(path: Path) -> str:
    return f"the ledger {path} is in use by another process; stop the other microlev of this account first"


def _plain_code(error: BaseException) -> int:
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def _about_the_disk(path: Path, error: BaseException) -> str:
    """Return what a person can do about a full or failing disk; empty for other errors."""
    code = _plain_code(error)
    if code not in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
        return ""
    try:
        free = f"{shutil.disk_usage(path.parent).free:,} bytes are free there"
    except OSError:
        free = "its free space cannot be read"
    what = "make room" if code == sqlite3.SQLITE_FULL else "make room, or look at the disk"
    return f" ({free}); {what}, check the account's orders, then start again"
