"""Reads a whole run, from however many files it has, as one stream of records.

Notes at the edges of segments are about files, not about the run, and are left out: the stream is what one long file
would hold.
"""

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bot.journal.format import JournalError, NothingRecorded, Record, RecordKind, decode_json
from bot.journal.reader import JournalReader
from bot.journal.segments import Segment, packed_path, segments_for

OPENED, CLOSED = "segment_opened", "segment_closed"
"""Keys of the notes that a later segment begins with (and the market as it stood), and an earlier one ends with."""
_EDGES = (f'{{"{OPENED}":'.encode(), f'{{"{CLOSED}":'.encode())


def open_run(path: str | Path) -> "RunReader":
    """Return the reader of the run that is meant: by any file of it, in either form, or by the folder it is alone in.

    Raises: JournalError, one line, when there is no such run, are several, or a segment in the middle is missing.
    """
    return RunReader(segments_for(Path(path)))


def is_edge(record: Record) -> bool:
    """Tell whether a record is a note about the edge of a segment."""
    return record.kind is RecordKind.NOTE and record.payload.startswith(_EDGES)


def open_segment(segment: Segment) -> JournalReader:
    """Open a segment's file. One that has been compressed since it was looked for is read from there.

    Raises: JournalError, also when its header says that it is another.
    """
    try:
        reader = JournalReader(segment.path)
    except JournalError:
        if segment.is_packed or segment.path.exists() or not packed_path(segment.path).exists():
            raise
        reader = JournalReader(packed_path(segment.path))
    header = reader.header
    if not segment.is_whole and (header.get("run_id"), header.get("segment")) != (segment.run_id, segment.number):
        reader.close()
        its = f"segment {header.get('segment')} of the run {header.get('run_id')}"
        raise JournalError(
            f"{segment.path} holds {its}, not segment {segment.number} of {segment.run_id}: it was renamed"
        )
    return reader


def _length(segment: Segment) -> int:
    """Return how many bytes a segment holds; 0 for one that is not there any more, or cannot be read."""
    try:
        with open_segment(segment) as reader:
            return reader.length
    except JournalError:
        return 0


class RunReader:
    """A run, read once from front to back, as a `JournalReader` reads a file. Use it as a context manager.

    `standing` is the market as its first segment found it, for `bot.engine.standing_market.read_standing`: None for a
    recording that has its beginning.
    """

    def __init__(self, segments: list[Segment]) -> None:
        """Open the first segment. Raises: JournalError as `JournalReader`."""
        self._segments = segments
        self._reader = open_segment(segments[0])
        self._read_before = 0
        self.standing: tuple[int, dict[str, Any]] | None = None
        if segments[0].number > 1:
            self.standing = self._read_standing()

    @property
    def path(self) -> Path:
        """The file that is being read."""
        return self._reader.path

    @property
    def header(self) -> dict[str, Any]:
        """What the run is: the header of its first segment, later of the one being read."""
        return self._reader.header

    @property
    def first_segment(self) -> int:
        """The number of the first segment that is there: above 1, earlier ones were removed."""
        return self._segments[0].number

    @property
    def bytes_read(self) -> int:
        """How far reading has come, over all segments, uncompressed."""
        return self._read_before + self._reader.bytes_read

    @property
    def bytes_total(self) -> int:
        """How much there is to read now, uncompressed; a run that goes on writes more."""
        return sum(map(_length, self._segments))

    @property
    def truncated_at(self) -> int | None:
        """Offset in bytes of a torn last record in the last file; None when there is none, or it is not reached yet."""
        return self._reader.truncated_at

    @property
    def ended_cleanly(self) -> bool:
        """Whether the END of a clean stop has been read."""
        return self._reader.ended_cleanly

    def close(self) -> None:
        """Close what is open. A second call does nothing."""
        self._reader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[Record]:
        """Yield the records that remain, in the order written.

        Raises: JournalCorrupt at a damaged record; JournalError when a file cannot be read on, or ends too early.
        """
        for index, segment in enumerate(self._segments):
            if index:
                self._read_before += self._reader.bytes_read
                self._reader.close()
                try:
                    self._reader = open_segment(segment)
                except NothingRecorded:
                    if segment is not self._segments[-1]:
                        raise
                    return  # killed as it began: the run ends with the segment before
            is_closed = False
            for record in self._reader:
                if is_edge(record):
                    is_closed = record.payload.startswith(_EDGES[1])
                else:
                    yield record
            if not is_closed and index + 1 < len(self._segments):
                self._refuse_hole(segment.number)

    def _refuse_hole(self, number: int) -> None:
        torn = self._reader.truncated_at
        what = "ends before it was closed" if torn is None else f"ends in a torn record at byte {torn}"
        raise JournalError(f"{self.path} {what}, yet segment {number + 1} follows: what was between is lost")

    def _read_standing(self) -> tuple[int, dict[str, Any]]:
        # It is the first record, so that reading on from here leaves nothing out.
        for record in self._reader:
            if is_edge(record):
                return record.ns, decode_json(record.payload)
            break
        self._reader.close()
        raise JournalError(f"{self.path} does not say how the market stood when it began")
