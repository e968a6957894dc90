"""Records a run: a chain of journal files, each closed when it is full or old, then compressed beside the run.

How it works: it takes what a `JournalWriter` takes. When the segment of now is due, its file is first synced beside
the run; then, right behind a Decision, it is closed (what is left to sync is little), and the next one begins with the
market as it stands. Compression, index and disk budget are jobs for `beside`, one after the other; without a thread
they are done at once. At the end `put_away` does what is left.

Invariants: an input and its Decision are in one segment; a segment is whole on disk before the next one begins; only
jobs touch files that are closed, and the index.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from bot.journal.disk_budget import DiskBudget, keep_within
from bot.journal.format import JournalError
from bot.journal.recording_index import Lines, with_gap_before, write_index
from bot.journal.run_lock import LOOKING_S, RunLock
from bot.journal.run_reader import CLOSED, OPENED
from bot.journal.sealing import put_away, seal_run
from bot.journal.segment_figures import End, SegmentFigures, SegmentLine
from bot.journal.segments import packed_path, segment_path
from bot.journal.writer import JournalWriter


class Beside(Protocol):
    """Does jobs beside the run, one after the other, and calls back from within it."""

    def __call__(self, job: Callable[[], Any], done: Callable[[Any], None]) -> None:
        """Do a job, then call `done` with what it returns."""


def at_once(job: Callable[[], Any], done: Callable[[Any], None]) -> None:
    """Do a job now: for tests, and where nothing waits."""
    done(job())


@dataclass(frozen=True, slots=True)
class RecordingLimits:
    """When a segment is closed, and how much may be kept. Units: bytes, nanoseconds. Missing: None, no limit."""

    segment_bytes: int = 64_000_000
    segment_ns: int = 3_600_000_000_000
    max_bytes: int | None = None

    @property
    def budget(self) -> DiskBudget | None:
        """The disk budget; None without one."""
        return None if self.max_bytes is None else DiskBudget(self.max_bytes, self.segment_bytes)


class Recording:
    """One run being recorded. Single-threaded, but for the jobs that `beside` does."""

    def __init__(
        self,
        folder: Path,
        run_id: str,
        header: Mapping[str, Any],
        *,
        limits: RecordingLimits,
        secrets: Sequence[bytes] = (),
        standing: Callable[[], Mapping[str, Any]] = lambda: {"ready": False},
        beside: Beside = at_once,
        tell: Callable[[str], None] = lambda text: None,
    ) -> None:
        """Take the run's lock and begin its first file.

        Args: `header` as of `JournalWriter`; `standing` returns the market as it stands, as plain JSON; `tell` takes a
            line for a person.
        Raises: as `JournalWriter`; RunInUse when there is another recording of this run.
        """
        self.folder, self.run_id = folder, run_id
        self._header = dict(header) | {"run_id": run_id}
        self._secrets = list(secrets)
        self._limits, self._standing, self._beside, self._tell = limits, standing, beside, tell
        self._number = 1
        self._figures = SegmentFigures()
        self._lines: Lines = {}  # of closed segments; only jobs change it
        self._waiting: list[str] = []  # told by jobs, not yet passed on
        self._sync: str | None = None  # of a segment that is due: "begun", or "done"
        self._failed_sync: str | None = None
        self._end: End = "killed"
        self._lock: RunLock | None = RunLock(folder, run_id, wait_s=LOOKING_S)
        try:
            self._writer = self._begin_file(1)
        except BaseException:
            self._lock.release(is_done=True)
            raise
        if limits.budget is not None:
            self._beside(self._look_at_budget, self._pass_on)

    @property
    def path(self) -> Path:
        """The run's first file, while it is not compressed."""
        return segment_path(self.folder, self.run_id, 1)

    @property
    def path_to_keep(self) -> Path:
        """The run's first file as it is when the run is over."""
        return packed_path(self.path)

    # -- what a journal takes -----------------------------------------------------------------------------------

    def add_secrets(self, secrets: Sequence[bytes]) -> None:
        """Refuse these from now on, too: a token may be renewed while the run goes on."""
        self._secrets += secrets
        self._writer.add_secrets(secrets)

    def link(self, ns: int, up: bool, reason: str) -> None:
        """Record that the connection came up or went down."""
        self._writer.link(ns, up, reason)
        self._figures.count(ns)

    def batch(self, ns: int, frames: Sequence[bytes]) -> None:
        """Record the frames that one dataReceived completed, credentials already replaced."""
        self._writer.batch(ns, frames)
        self._figures.count(ns)
        self._figures.frames += len(frames)

    def timer(self, ns: int) -> None:
        """Record that the engine handled its timeout and decided at `ns`."""
        self._writer.timer(ns)
        self._figures.count(ns)

    def input(self, ns: int, payload: bytes) -> None:
        """Record a command or a paper execution event that entered the engine, as JSON bytes."""
        self._writer.input(ns, payload)
        self._figures.count(ns)

    def decision(self, ns: int, payload: bytes) -> None:
        """Record what the engine decided; the next segment begins behind it when it is time."""
        self._writer.decision(ns, payload)
        self._figures.decided(ns, payload)
        if self._is_due(ns):
            self._turn(ns)

    def flush(self) -> None:
        """Hand all pending records to the operating system. Raises: JournalError, as `JournalWriter.flush`."""
        self._writer.flush()

    def sync(self) -> None:
        """Flush, then force the file to disk. Raises: JournalError, as `JournalWriter.sync`."""
        self._writer.sync()

    def close(self, ns: int, summary: Mapping[str, Any]) -> None:
        """Record a clean stop and close the file. Raises: JournalError, as `JournalWriter.close`."""
        self._writer.close(ns, summary)
        if self._writer.failure is None:
            self._figures.count(ns)
            self._end = "clean"

    # -- segments -----------------------------------------------------------------------------------------------

    def _begin_file(self, number: int) -> JournalWriter:
        header = self._header | {"segment": number}
        if number > 1:
            header |= {"of_run": self.run_id, "previous": segment_path(self.folder, self.run_id, number - 1).name}
        path = segment_path(self.folder, self.run_id, number)
        # A later one is synced beside the run, with all else there is to do at its beginning.
        return JournalWriter(path, header, secrets=self._secrets, is_synced=number == 1)

    def _is_due(self, ns: int) -> bool:
        limits, from_ns = self._limits, self._figures.from_ns
        is_old = from_ns is not None and ns - from_ns >= limits.segment_ns
        return is_old or self._writer.size_bytes >= limits.segment_bytes

    def _turn(self, ns: int) -> None:
        """Begin to sync a segment that is due; close it when that is done."""
        if self._sync is None:
            self._sync = "begun"
            self._writer.flush()
            self._beside(self._writer.begin_sync(), self._synced)
        if self._failed_sync is not None:
            raise JournalError(f"{self._failed_sync}; the recording ends here")
        if self._sync == "done":
            self._sync = None
            self._next_segment(ns)

    def _synced(self, failure: str | None) -> None:
        self._sync, self._failed_sync = "done", failure

    def _next_segment(self, ns: int) -> None:
        self._writer.note(ns, {CLOSED: self._number})
        self._writer.leave()
        figures = self._figures
        figures.to_ns = ns
        line = self._line("rotated")
        self._number += 1
        self._figures = SegmentFigures(why_not=figures.why_not)
        self._figures.begin(ns)
        try:
            self._writer = self._begin_file(self._number)
        except OSError as error:
            raise JournalError(str(error)) from error
        standing = {OPENED: self._number, "why_not": figures.why_not, **self._standing()}
        self._writer.note(ns, standing | {"ready": figures.why_not is None})
        self._writer.flush()
        sync = self._writer.begin_sync(its_name=True)
        self._beside(lambda: self._begin_next(sync, line), self._pass_on)

    def _line(self, end: End) -> SegmentLine:
        path = self._writer.path
        size = self._writer.size_bytes
        return self._figures.line(self._header | {"segment": self._number}, path.name, size, size, end)

    # -- jobs ---------------------------------------------------------------------------------------------------

    def _begin_next(self, sync: Callable[[], str | None], line: SegmentLine) -> None:
        """Sync the segment that has just begun, and put the one before away. A job: it raises nothing."""
        if (failure := sync()) is not None:
            self._waiting.append(failure)
        self._put_away(line)

    def _put_away(self, line: SegmentLine) -> None:
        """Compress a closed segment, tell the index, keep to the disk budget. A job: it raises nothing."""
        try:
            if line.segment == 1:
                line = with_gap_before(self.folder, line)
            self._lines[line.segment], told = put_away(self.folder, line)
            self._waiting += told
            write_index(self.folder, self.run_id, self._lines)
            self._keep_within()
        except (OSError, JournalError) as error:
            self._waiting.append(f"recording {self.run_id} in {self.folder}: {error}")

    def _look_at_budget(self) -> None:
        """Keep to the disk budget. A job: it raises nothing."""
        try:
            self._keep_within()
        except (OSError, JournalError) as error:
            self._waiting.append(f"recording {self.run_id} in {self.folder}: {error}")

    def _keep_within(self) -> None:
        budget = self._limits.budget
        if budget is not None and (told := keep_within(self.folder, budget, self.run_id, self._lines)):
            self._waiting += told
            write_index(self.folder, self.run_id, self._lines)

    def _pass_on(self, _: object) -> None:
        waiting, self._waiting = self._waiting, []
        for text in waiting:
            self._tell(text)

    def put_away(self) -> Lines:
        """Put the last segment away and give up the lock, when `beside` has done its last job; return the run's lines.

        A second call only returns them.
        """
        if self._lock is not None:
            if self._end == "clean":
                self._put_away(self._line("clean"))
            else:
                try:
                    self._writer.leave()
                except JournalError as error:
                    self._waiting.append(str(error))
                try:
                    self._lines, told = seal_run(self.folder, self.run_id)
                    self._waiting += told
                except (OSError, JournalError) as error:
                    self._waiting.append(f"recording {self.run_id} in {self.folder}: {error}")
            self._pass_on(None)
            self._lock.release(is_done=True)
            self._lock = None
        return self._lines
