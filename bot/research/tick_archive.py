"""The folder that downloaded ticks are kept in: DIR/SYMBOL/SYMBOL_YYYY-MM-DD.parquet, one file a symbol and UTC day.

How it works: a day is written beside its place under another name, synced, and then renamed, so that a file that is
there is whole. What a file vouches for stands in its metadata: a day that was not over yet vouches for less than it
has, and is asked for again. A day without ticks is a file without rows.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from bot.ctrader.tick_download import TickDay, TickSource, TickSpan
from bot.sim.day_files import DAY_MS, DayFile, day_file_of, file_name, safe_name
from bot.sim.recording import open_parquet

SETTLE_MS = 60_000
"""A venue may be this late with its ticks: what is younger when it is asked for is asked for again."""


class ArchiveUnusable(ValueError):
    """The folder cannot be used, or holds something else; the text says what to do.

    `exit_code` 2: another folder is wanted; 1: a day could not be written.
    """

    def __init__(self, text: str, exit_code: int = 2) -> None:
        super().__init__(text)
        self.exit_code = exit_code


@dataclass(frozen=True, slots=True)
class StoredDay:
    """A day that was written. `is_complete`: it will not be asked for again."""

    path: Path
    file: DayFile
    is_complete: bool


class TickArchive:
    """Days of ticks from `from_ms` to `to_ms` (end exclusive, not in the future) as of `now_ms`.

    Args: `force` asks for every day again, whatever is there.
    `corrupt` says of each file that could not be read what is wrong with it; its day is missing.
    """

    def __init__(self, folder: Path, from_ms: int, to_ms: int, now_ms: int, *, force: bool = False) -> None:
        self._folder, self._force = folder, force
        self._spans = list(days_between(from_ms, to_ms))
        self._settled_ms = now_ms - SETTLE_MS
        self.day_count = len(self._spans)
        self._stored: set[Path] = set()
        self.corrupt: dict[Path, str] = {}

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep others from writing to the folder, which is made.

        Raises: ArchiveUnusable when it cannot be made, another download writes to it, or pyarrow is not there.
        """
        try:
            import pyarrow.parquet  # noqa: F401
        except ImportError:
            why = "ticks are written with pyarrow, which is not there: pip install 'microlev[research]'"
            raise ArchiveUnusable(why) from None
        lock = FileLock(self._folder / ".download.lock", timeout=0)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except Timeout:
            raise ArchiveUnusable(f"another download is writing to {self._folder}: wait for it, or stop it") from None
        except OSError as error:
            raise ArchiveUnusable(f"{self._folder} cannot be written to: {error.strerror or error}") from None
        try:
            yield
        finally:
            lock.release()

    def missing(self, source: TickSource) -> list[TickSpan]:
        """Return what is to be asked for of a symbol, oldest first: days that are not there, not whole, or corrupt.

        Raises: ArchiveUnusable for a file that is not of this symbol and kind of account, or nobody knows from where.
        """
        wanted = []
        for span in self._spans:
            there = self._there(source, span)
            if there is None:
                wanted.append(span)
                continue
            is_whole = there.from_ms <= span.from_ms and min(span.to_ms, self._settled_ms) <= there.to_ms
            if not is_whole or (self._force and self._path(source, span) not in self._stored):
                wanted.append(TickSpan(min(span.from_ms, there.from_ms), max(span.to_ms, there.to_ms)))
        return wanted

    def store(self, day: TickDay) -> StoredDay:
        """Write a day; what was there is replaced.

        Raises: ArchiveUnusable when it cannot be written.
        """
        source, span = day.source, day.span
        vouched_ms = max(span.from_ms, min(span.to_ms, self._settled_ms))
        counts = (len(day.quotes.times_ms), day.bid_count, day.ask_count)
        file = DayFile(source.symbol, source.digits, source.account_kind, span.from_ms, vouched_ms, *counts)
        path = self._path(source, span)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _write(path, file, day)
        except OSError as error:
            raise ArchiveUnusable(f"{path} cannot be written: {error.strerror or error}", exit_code=1) from None
        self._stored.add(path)
        return StoredDay(path, file, vouched_ms >= span.to_ms)

    def _path(self, source: TickSource, span: TickSpan) -> Path:
        return self._folder / safe_name(source.symbol) / file_name(source.symbol, span.from_ms)

    def _there(self, source: TickSource, span: TickSpan) -> DayFile | None:
        path = self._path(source, span)
        if not path.exists():
            return None
        try:
            parquet = open_parquet(path)
        except ValueError as error:
            self.corrupt[path] = str(error)
            return None
        file = day_file_of(parquet.schema_arrow.metadata)
        if file is not None and file.row_count != parquet.metadata.num_rows:
            self.corrupt[path] = f"{path} has {parquet.metadata.num_rows} rows and should have {file.row_count}"
            return None
        if file is not None and (file.symbol, file.account_kind) == (source.symbol, source.account_kind):
            return file
        if self._force:
            return None
        is_from = "is not from a download"
        if file is not None:
            is_from = f"holds {file.symbol} of a {file.account_kind} account, not {source.symbol} of a "
            is_from += f"{source.account_kind} one"
        raise ArchiveUnusable(f"{path} {is_from}: move it away, choose another --out, or give --force")


def days_between(from_ms: int, to_ms: int) -> Iterator[TickSpan]:
    """Yield a period's UTC days, the first and the last one as far as they belong to it."""
    for day in range(from_ms // DAY_MS, -(-to_ms // DAY_MS)):
        yield TickSpan(max(from_ms, day * DAY_MS), min(to_ms, (day + 1) * DAY_MS))


def _write(path: Path, file: DayFile, day: TickDay) -> None:
    import pyarrow
    from pyarrow import parquet

    times_ms, bids_e5, asks_e5 = day.quotes
    table = pyarrow.table({"ts_us": times_ms * 1_000, "bid": bids_e5 / 100_000, "ask": asks_e5 / 100_000})
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as out:
            parquet.write_table(
                table.replace_schema_metadata(file.metadata()), out, compression="zstd", write_page_checksum=True
            )
            out.flush()
            os.fsync(out.fileno())
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    if os.name == "posix":  # the name is on disk as well; elsewhere the system sees to it
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
