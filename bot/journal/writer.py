"""Writes a journal: one new file per run, append-only, never overwritten, never holding a credential.

How it works: records collect in memory and go to the operating system in one write, at the latest after
`flush_records` records or `flush_ns` of the run's clock. What has reached the operating system survives the death of
the process; what has been synced survives a power cut. There is no clock here: on a quiet line nothing calls, so the
caller calls `flush` from its own timer.

Invariants: a record is in the file whole, or is the torn last one; after a failed write nothing more is written,
because a record behind a torn one would make the file corrupt instead of short.
"""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bot.journal.format import (
    JournalError,
    RecordKind,
    SecretInJournal,
    encode_batch,
    encode_json,
    encode_preamble,
    encode_record,
)

MIN_SECRET_BYTES = 6
_FLUSH_BYTES = 256 * 1024


class JournalWriter:
    """One journal being written. Single-threaded; every method but `flush`, `sync` and `close` adds one record."""

    def __init__(
        self,
        path: str | Path,
        header: Mapping[str, Any],
        *,
        secrets: Sequence[bytes] = (),
        flush_records: int = 64,
        flush_ns: int = 200_000_000,
        is_synced: bool = True,
    ) -> None:
        """Create the file, mode 0600, and put its header on disk.

        Args: `header` says what the run is (software version, run id, redacted config, mode, symbols, clock base).
            `secrets` must never be written; those under `MIN_SECRET_BYTES` are ignored, because so few bytes turn up
            in market data by chance and a good record would be refused. Without `is_synced` the header is handed to the
            operating system, and `begin_sync` is left to the caller.
        Units: `flush_ns` nanoseconds of the clock that the records carry.
        Raises: FileExistsError when there is a file already; SecretInJournal (then no file is made); JournalError.
        """
        self._path = Path(path)
        self._needles = _needles(secrets)
        self._flush_records = flush_records
        self._flush_ns = flush_ns
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._oldest_ns = 0
        self._size_bytes = 0
        self._failure: JournalError | None = None
        self._fd: int | None = None
        payload = encode_json(header)
        self._refuse_secrets(RecordKind.HEADER, payload)
        first = encode_preamble() + encode_record(RecordKind.HEADER, 0, payload)
        self._fd = _create(self._path)
        self._pending.append(first)
        self._size_bytes = len(first)
        try:
            self.flush()
            if is_synced:
                self.sync()
                sync_directory(self._path)
        except JournalError:
            self._release()
            raise

    def add_secrets(self, secrets: Sequence[bytes]) -> None:
        """Refuse these from now on, too: a token may be renewed while the run goes on."""
        self._needles = (*self._needles, *_needles(secrets))

    @property
    def path(self) -> Path:
        """The file being written."""
        return self._path

    @property
    def failure(self) -> JournalError | None:
        """The error that ended the writing; None while all is well. Records after it are dropped."""
        return self._failure

    @property
    def size_bytes(self) -> int:
        """Size of the file with everything that waits to be written."""
        return self._size_bytes

    def link(self, ns: int, up: bool, reason: str) -> None:
        """Record that the connection came up or went down."""
        self._add(RecordKind.LINK, ns, encode_json({"up": up, "reason": reason}))

    def batch(self, ns: int, frames: Sequence[bytes]) -> None:
        """Record the frames that one dataReceived completed, credentials already replaced.

        Units: `ns` the batch's recv_ns.
        """
        self._add(RecordKind.BATCH, ns, encode_batch(frames))

    def timer(self, ns: int) -> None:
        """Record that the engine handled its timeout and decided at `ns`."""
        self._add(RecordKind.TIMER, ns, b"")

    def input(self, ns: int, payload: bytes) -> None:
        """Record a command or a paper execution event that entered the engine, as JSON bytes."""
        self._add(RecordKind.INPUT, ns, payload)

    def decision(self, ns: int, payload: bytes) -> None:
        """Record what the engine decided; the bytes are the caller's own and are compared as they are."""
        self._add(RecordKind.DECISION, ns, payload)

    def note(self, ns: int, content: Mapping[str, Any]) -> None:
        """Record something for people; replay passes over it."""
        self._add(RecordKind.NOTE, ns, encode_json(content))

    def flush(self) -> None:
        """Hand all pending records to the operating system: they now survive the death of the process.

        Raises: JournalError at the first failed write only; later calls do nothing, see `failure`.
        """
        if not self._pending:
            return
        content = memoryview(b"".join(self._pending))
        self._pending.clear()
        self._pending_bytes = 0
        try:
            while content:
                content = content[os.write(self._open_fd(), content) :]
        except OSError as error:
            self._fail("write", error)

    def sync(self) -> None:
        """Flush, then force the file to disk: it now survives a power cut. Takes milliseconds.

        Raises: JournalError at the first failure only, as `flush`.
        """
        self.flush()
        if self._failure is not None:
            return
        try:
            os.fsync(self._open_fd())
        except OSError as error:
            self._fail("sync", error)

    def begin_sync(self, *, its_name: bool = False) -> Callable[[], str | None]:
        """Return a job that forces to disk what has been flushed, for another thread; it says what went wrong.

        Args: `its_name`: force the file's name to disk as well, once after it was made.
        """
        fd = os.dup(self._open_fd())

        def sync() -> str | None:
            try:
                os.fsync(fd)
                if its_name:
                    sync_directory(self._path)
            except OSError as error:
                return f"cannot sync the journal {self._path}: {error.strerror}"
            except JournalError as error:
                return str(error)
            finally:
                os.close(fd)
            return None

        return sync

    def leave(self) -> None:
        """Sync and close the file without an END: the run goes on elsewhere, or did not stop cleanly.

        Raises: JournalError when it could not be written; the file is closed all the same.
        """
        if self._fd is not None:
            try:
                self.sync()
            finally:
                self._release()

    def close(self, ns: int, summary: Mapping[str, Any]) -> None:
        """Record a clean stop, sync and close the file. A second call does nothing.

        Raises: JournalError when the end could not be written; the file is closed all the same.
        """
        if self._fd is None:
            return
        try:
            self._add(RecordKind.END, ns, encode_json(summary))
        finally:
            try:
                self.sync()
            finally:
                self._release()

    def _add(self, kind: RecordKind, ns: int, payload: bytes) -> None:
        self._open_fd()
        self._refuse_secrets(kind, payload)
        record = encode_record(kind, ns, payload)
        if self._failure is not None:
            return
        if not self._pending:
            self._oldest_ns = ns
        self._pending.append(record)
        self._pending_bytes += len(record)
        self._size_bytes += len(record)
        if (
            len(self._pending) >= self._flush_records
            or ns - self._oldest_ns >= self._flush_ns
            or self._pending_bytes >= _FLUSH_BYTES
        ):
            self.flush()

    def _refuse_secrets(self, kind: RecordKind, payload: bytes) -> None:
        for number, needle in self._needles:
            if needle in payload:
                raise SecretInJournal(
                    f"a {kind.name} record of {len(payload)} bytes holds secret number {number} and was not written "
                    f"to {self._path}; redact it before journalling"
                )

    def _open_fd(self) -> int:
        if self._fd is None:
            raise JournalError(f"the journal {self._path} is closed; nothing can be added to it")
        return self._fd

    def _fail(self, verb: str, error: OSError) -> None:
        self._failure = JournalError(
            f"cannot {verb} the journal {self._path}: {error.strerror}; it ends here, later records are dropped"
        )
        raise self._failure from error

    def _release(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def _needles(secrets: Sequence[bytes]) -> tuple[tuple[int, bytes], ...]:
    # A quote or a backslash in a secret looks different inside JSON, so that form is searched for as well.
    found: dict[bytes, int] = {}
    for number, secret in enumerate(secrets, start=1):
        if len(secret) < MIN_SECRET_BYTES:
            continue
        found.setdefault(bytes(secret), number)
        text = secret.decode("utf-8", "replace")
        found.setdefault(json.dumps(text, ensure_ascii=False)[1:-1].encode(), number)
    return tuple((number, needle) for needle, number in found.items())


def _create(path: Path) -> int:
    flags = (
        os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    )
    try:
        return os.open(path, flags, 0o600)
    except FileExistsError:
        raise FileExistsError(
            f"{path} exists already; a journal is never overwritten, give this run a new name"
        ) from None
    except OSError as error:
        raise JournalError(f"cannot create the journal {path}: {error.strerror}") from error


def sync_directory(path: Path) -> None:
    """Force the name of a file to disk: without this a power cut may lose it although the content is safe.

    Raises: JournalError.
    """
    # Windows cannot open a directory.
    if os.name != "posix":
        return
    try:
        fd = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
    except OSError as error:
        raise JournalError(f"cannot sync the folder of the journal {path}: {error.strerror}") from error
