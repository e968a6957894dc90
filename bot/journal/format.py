"""The bytes of a journal: records to bytes and back, with no file in sight.

How it works: a file is the magic, a format version, then records, the first of which is the HEADER.

    file    = "MLJ1" | u32 version | record...
    record  = u32 length | u8 kind | i64 ns | payload (length bytes) | u32 crc32

All integers are little-endian. `length` counts the payload alone, so a record takes `RECORD_OVERHEAD` bytes more. The
CRC (zlib's CRC-32) covers kind, ns and payload. No kind is 0: a run of zero bytes, which a power cut can leave at the
end of a file, is never a record. `docs/journal.md` is the same for readers in other languages.

Errors, all with a one-line message:
    JournalError          cannot create, write, read or encode
      JournalCorrupt      a record that was once written whole is damaged; `path`, `offset`, `what`
      NothingRecorded     a file ends before its header does: its run was killed as it began
      SecretInJournal     a payload holds a credential; nothing of it was written
"""

import json
import struct
import zlib
from collections.abc import Mapping, Sequence
from enum import IntEnum
from pathlib import Path
from typing import Any, NamedTuple

MAGIC = b"MLJ1"
FORMAT_VERSION = 1
MAX_PAYLOAD_BYTES = 64 * 1024 * 1024

PREAMBLE = struct.Struct("<4sI")  # magic, version
RECORD_HEAD = struct.Struct("<IBq")  # length, kind, ns
RECORD_TAIL = struct.Struct("<I")  # crc32
RECORD_OVERHEAD = RECORD_HEAD.size + RECORD_TAIL.size
_U32 = struct.Struct("<I")
_LENGTH_BYTES = 4


class JournalError(Exception):
    """A journal cannot be created, written, read or encoded; the message says which and why."""


class JournalCorrupt(JournalError):
    """A record that was once written whole is damaged; everything before `offset` is good."""

    def __init__(self, path: Path, offset: int, what: str) -> None:
        super().__init__(f"{path} is corrupt at byte {offset}: {what}; the records before it are good")
        self.path = path
        self.offset = offset
        self.what = what


class NothingRecorded(JournalError):
    """A journal ends before its header does: whoever made it was killed before anything was recorded in it."""


class SecretInJournal(JournalError):
    """A payload holds a credential. Redact it first; the message does not show it, and nothing of it was written."""


class RecordKind(IntEnum):
    """What a record holds. Numbers are part of the format and are never reused."""

    HEADER = 1  # JSON: what the run is
    LINK = 2  # JSON: {"up": bool, "reason": str}
    BATCH = 3  # the frames that one dataReceived completed
    TIMER = 4  # empty: the engine's timeout was handled and it decided
    INPUT = 5  # JSON: a command or a paper execution event that entered the engine
    DECISION = 6  # bytes of the caller's: what the engine decided
    NOTE = 7  # JSON: for people, no part of replay
    END = 8  # JSON: a clean stop, with its summary


class Record(NamedTuple):
    """One record. Units: `ns` is the run's clock, UTC nanoseconds since the epoch; 0 in a HEADER, which has no time."""

    kind: RecordKind
    ns: int
    payload: bytes


def encode_preamble() -> bytes:
    """Return the bytes that open a journal file."""
    return PREAMBLE.pack(MAGIC, FORMAT_VERSION)


def encode_record(kind: RecordKind, ns: int, payload: bytes) -> bytes:
    """Return a record's bytes.

    Units: `ns` UTC nanoseconds since the epoch, within a signed 64-bit integer.
    Raises: JournalError when the payload is over `MAX_PAYLOAD_BYTES` or `ns` does not fit.
    """
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise JournalError(
            f"a {kind.name} record of {len(payload)} bytes is over the journal's limit of {MAX_PAYLOAD_BYTES}"
        )
    try:
        head = RECORD_HEAD.pack(len(payload), kind, ns)
    except struct.error:
        raise JournalError(f"the time of a {kind.name} record, {ns!r}, is no 64-bit number of nanoseconds") from None
    crc = zlib.crc32(payload, zlib.crc32(head[_LENGTH_BYTES:]))
    return b"".join((head, payload, RECORD_TAIL.pack(crc)))


def record_is_intact(data: bytes, start: int, length: int) -> bool:
    """Return whether the record at `start` of `data`, with a payload of `length` bytes, has the CRC it announces.

    Units: `start` and `length` in bytes. The whole record must be in `data`.
    """
    end = start + RECORD_HEAD.size + length
    crc: int = RECORD_TAIL.unpack_from(data, end)[0]
    return zlib.crc32(memoryview(data)[start + _LENGTH_BYTES : end]) == crc


def encode_batch(frames: Sequence[bytes]) -> bytes:
    """Return the payload of a BATCH: u32 count, then each frame as u32 length and its bytes.

    A frame is a serialized ProtoMessage as `framing.FrameReader` returns it, without the wire's own length.
    """
    parts = [_U32.pack(len(frames))]
    for frame in frames:
        parts.append(_U32.pack(len(frame)))
        parts.append(frame)
    return b"".join(parts)


def decode_batch(payload: bytes) -> list[bytes]:
    """Return the frames of a BATCH payload, in the order received.

    Raises: JournalError when the payload does not hold exactly the frames it announces.
    """
    size = len(payload)
    if size < _U32.size:
        raise JournalError(f"a BATCH payload of {size} bytes is too short to hold its count of frames")
    (count,) = _U32.unpack_from(payload)
    frames: list[bytes] = []
    position = _U32.size
    for index in range(count):
        start = position + _U32.size
        if start > size:
            raise JournalError(f"a BATCH payload of {size} bytes ends at frame {index} of the {count} it announces")
        position = start + _U32.unpack_from(payload, position)[0]
        if position > size:
            raise JournalError(f"a BATCH payload of {size} bytes ends inside frame {index} of the {count} it announces")
        frames.append(payload[start:position])
    if position != size:
        raise JournalError(f"a BATCH payload has {size - position} bytes after its {count} frames")
    return frames


def encode_json(content: Mapping[str, Any]) -> bytes:
    """Return a JSON object as compact UTF-8, keys in the order given.

    Missing: None; NaN is refused, because JSON has none and other languages cannot read it.
    Raises: JournalError for what JSON cannot hold.
    """
    try:
        return json.dumps(content, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise JournalError(f"a record cannot be written as JSON: {error}") from error


def decode_json(payload: bytes) -> dict[str, Any]:
    """Return the JSON object of a HEADER, LINK, INPUT, NOTE or END payload.

    Raises: JournalError when the payload is no JSON object.
    """
    try:
        content = json.loads(payload)
    except ValueError as error:
        raise JournalError(f"a payload of {len(payload)} bytes is no JSON: {error}") from error
    if not isinstance(content, dict):
        raise JournalError(f"a payload of {len(payload)} bytes is a JSON {type(content).__name__}, not an object")
    return content
