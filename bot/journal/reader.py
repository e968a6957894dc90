"""Reads a journal, record by record, in constant memory.

How it works: a run that was killed leaves a torn last record, which is no error: reading ends before it and
`truncated_at` says where. Damage anywhere else is an error, because replay would go wrong without a word. To tell the
two apart, a record that seems to run past the end of the file is a torn one only if no intact record follows its first
byte (otherwise its length is what is damaged), and a tail of zeros, which a power cut leaves where a block was
allocated and never written, counts as not written.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from bot.journal.format import (
    FORMAT_VERSION,
    MAGIC,
    MAX_PAYLOAD_BYTES,
    PREAMBLE,
    RECORD_HEAD,
    RECORD_OVERHEAD,
    RECORD_TAIL,
    JournalCorrupt,
    JournalError,
    NothingRecorded,
    Record,
    RecordKind,
    decode_json,
    record_is_intact,
)
from bot.journal.packing import PackedFile
from bot.journal.segments import PACKED

_CHUNK_BYTES = 1024 * 1024
_KINDS = {kind.value: kind for kind in RecordKind}
# Bytes 3 and 4 of a possible record: the top byte of a length within the limit, then a kind that exists.
_CANDIDATE = re.compile(rb"(?=[\x00-\x04][\x01-\x08])")


class JournalReader:
    """A journal file, read once from front to back: `for record in reader` gives every record after the header.

    It may be compressed, if it is called so (`.journal.zst`). A run of several files: `run_reader.open_run`.
    Use it as a context manager. After the loop `truncated_at` and `ended_cleanly` say how the run stopped.
    """

    def __init__(self, path: str | Path) -> None:
        """Open the file and read its header.

        Raises: JournalError when the file cannot be read, is no journal, is of a newer version or ends inside its
            header; JournalCorrupt when the header is damaged.
        """
        self._path = Path(path)
        self._buffer = b""
        self._position = 0  # of the next record, in the buffer
        self._offset = 0  # of the next record, in the file
        self._truncated_at: int | None = None
        self._ended_cleanly = False
        try:
            self._file: BinaryIO | PackedFile = self._open()
        except OSError as error:
            raise JournalError(f"cannot read the journal {self._path}: {error.strerror}") from error
        try:
            self._header = self._read_header()
        except BaseException:
            self._file.close()
            raise

    @property
    def path(self) -> Path:
        """The file being read."""
        return self._path

    @property
    def header(self) -> dict[str, Any]:
        """What the run is: the object that was given to the writer."""
        return self._header

    @property
    def length(self) -> int:
        """Size of the journal in bytes, as it is when it is not compressed; of one that grows, at this moment."""
        if isinstance(self._file, PackedFile):
            return self._file.length
        return os.fstat(self._file.fileno()).st_size

    @property
    def truncated_at(self) -> int | None:
        """Offset in bytes of a torn last record; None when there is none (or it has not been reached yet)."""
        return self._truncated_at

    @property
    def bytes_read(self) -> int:
        """How far reading has come."""
        return self._offset

    @property
    def bytes_total(self) -> int:
        """How much there is to read now; a run that goes on writes more."""
        return self.length

    @property
    def ended_cleanly(self) -> bool:
        """Whether the END of a clean stop has been read."""
        return self._ended_cleanly

    def close(self) -> None:
        """Close the file. A second call does nothing."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[Record]:
        """Yield the records that remain, in the order written.

        Raises: JournalCorrupt at a damaged record; JournalError when the file cannot be read on.
        """
        while (record := self._next()) is not None:
            if record.kind is RecordKind.END:
                self._ended_cleanly = True
            yield record

    def _open(self) -> BinaryIO | PackedFile:
        return PackedFile(self._path) if self._path.name.endswith(PACKED) else self._path.open("rb")

    def _read_header(self) -> dict[str, Any]:
        self._fill(PREAMBLE.size)
        start = self._buffer[: PREAMBLE.size]
        if not start:
            raise NothingRecorded(f"not a microlev journal: {self._path} (it is empty)")
        if len(start) == PREAMBLE.size and self._is_zero_to_the_end(0):
            raise NothingRecorded(f"not a microlev journal: {self._path} (it holds nothing but zeros)")
        if start[: len(MAGIC)] != MAGIC[: len(start)]:
            raise JournalError(f"not a microlev journal: {self._path} (starts with {start!r})")
        if len(start) < PREAMBLE.size:
            raise NothingRecorded(f"{self._path} ends inside its header: nothing was recorded")
        version: int = PREAMBLE.unpack(start)[1]
        if version > FORMAT_VERSION:
            raise JournalError(
                f"{self._path} is a journal of format {version}, this microlev reads up to {FORMAT_VERSION}: update it"
            )
        if version != FORMAT_VERSION:
            raise JournalCorrupt(self._path, len(MAGIC), f"there is no format {version}")
        self._advance(PREAMBLE.size)
        offset = self._offset
        record = self._next()
        if record is None:
            raise NothingRecorded(f"{self._path} ends inside its header: nothing was recorded")
        if record.kind is not RecordKind.HEADER:
            raise JournalCorrupt(self._path, offset, f"the first record is a {record.kind.name}, not the HEADER")
        try:
            return decode_json(record.payload)
        except JournalError as error:
            raise JournalCorrupt(self._path, offset, str(error)) from error

    def _next(self) -> Record | None:
        if not self._fill(RECORD_HEAD.size):
            self._note_torn_record()
            return None
        length: int
        length, kind_number, ns = RECORD_HEAD.unpack_from(self._buffer, self._position)
        if length > MAX_PAYLOAD_BYTES:
            raise self._corrupt(f"a record announces {length} bytes, the limit is {MAX_PAYLOAD_BYTES}")
        size = length + RECORD_OVERHEAD
        if not self._fill(size):
            if self._intact_record_follows():
                raise self._corrupt(f"a record announces {length} bytes, past the end of the file, yet another follows")
            self._note_torn_record()
            return None
        if not record_is_intact(self._buffer, self._position, length):
            if not self._is_zero_to_the_end(self._position + size - RECORD_TAIL.size):
                raise self._corrupt(f"the CRC of a record with {length} bytes is wrong")
            self._note_torn_record()
            return None
        kind = _KINDS.get(kind_number)
        if kind is None:
            raise self._corrupt(f"kind {kind_number} is unknown to format {FORMAT_VERSION}")
        start = self._position + RECORD_HEAD.size
        payload = self._buffer[start : start + length]
        self._advance(size)
        return Record(kind, ns, payload)

    def _note_torn_record(self) -> None:
        if len(self._buffer) > self._position:
            self._truncated_at = self._offset

    def _corrupt(self, what: str) -> JournalCorrupt:
        return JournalCorrupt(self._path, self._offset, what)

    def _is_zero_to_the_end(self, position: int) -> bool:
        if self._buffer[position:].strip(b"\0"):
            return False
        while piece := self._read(_CHUNK_BYTES):
            if piece.strip(b"\0"):
                return False
        return True

    def _intact_record_follows(self) -> bool:
        # The announced record does not fit into the file, so the buffer holds the whole rest of it.
        buffer, end = self._buffer, len(self._buffer)
        for match in _CANDIDATE.finditer(buffer, self._position + 4):
            start = match.start() - 3
            if start + RECORD_OVERHEAD > end:
                break
            length: int = RECORD_HEAD.unpack_from(buffer, start)[0]
            if start + RECORD_OVERHEAD + length <= end and record_is_intact(buffer, start, length):
                return True
        return False

    def _advance(self, count: int) -> None:
        self._position += count
        self._offset += count

    def _fill(self, count: int) -> bool:
        """Make the next `count` bytes available; False when the file ends before."""
        while (missing := count - (len(self._buffer) - self._position)) > 0:
            piece = self._read(max(_CHUNK_BYTES, missing))
            if not piece:
                return False
            self._buffer = self._buffer[self._position :] + piece
            self._position = 0
        return True

    def _read(self, count: int) -> bytes:
        try:
            return self._file.read(count)
        except OSError as error:
            raise JournalError(f"cannot read the journal {self._path}: {error.strerror}") from error
