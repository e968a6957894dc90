"""Compressed segments: one zstd frame with its length and a checksum, made in one pass and read in one.

How it works: a segment is compressed into a file of another name, which is synced and only then gets its own: a file
with the name of a compressed segment is whole. That it still is, its reader sees by the length in the frame's header.
"""

import os
from pathlib import Path

import zstandard

from bot.journal.format import JournalError
from bot.journal.segments import partial_path
from bot.journal.writer import sync_directory

LEVEL = 3
_CHUNK_BYTES = 1024 * 1024
_LONGEST_FRAME_HEADER = 18
_LARGEST_WINDOW = 1 << 27  # what `zstd` itself takes without being asked


def pack(plain: Path, packed: Path, length: int) -> int:
    """Compress the first `length` bytes of a file, and return how many they have become. The file itself stays.

    Raises: OSError when it cannot be done; then there is no file `packed`.
    """
    partial = partial_path(packed)
    compressor = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True)
    with plain.open("rb") as source, open(partial, "wb", opener=_private) as out:
        missing = length
        try:
            with compressor.stream_writer(out, size=length, closefd=False) as writer:
                while missing:
                    piece = source.read(min(missing, _CHUNK_BYTES))
                    if not piece:
                        break
                    writer.write(piece)
                    missing -= len(piece)
        except zstandard.ZstdError as error:
            what = f"it has {length - missing} bytes, not {length}" if missing else str(error)
            raise OSError(0, f"cannot compress {plain}: {what}") from error
        out.flush()
        os.fsync(out.fileno())
        size = out.tell()
    partial.replace(packed)
    sync_directory(packed)
    return size


def holds_the_same(packed: Path, plain: Path, length: int) -> bool:
    """Tell whether a compressed segment is the first `length` bytes of a file. Raises: OSError for the file."""
    try:
        with PackedFile(packed) as one, plain.open("rb") as other:
            while length:
                piece = one.read(min(length, _CHUNK_BYTES))
                if not piece or piece != other.read(len(piece)):
                    return False
                length -= len(piece)
            return not one.read(1)
    except JournalError:
        return False


class PackedFile:
    """A compressed segment, read as the file that it was made of."""

    def __init__(self, path: Path) -> None:
        """Open the file. Raises: OSError; JournalError when it is no whole zstd frame of known length."""
        self._path = path
        self._given = 0
        self._file = path.open("rb")
        try:
            head = self._file.read(_LONGEST_FRAME_HEADER)
            self._length = int(zstandard.get_frame_parameters(head).content_size)
            if self._length >= zstandard.CONTENTSIZE_ERROR:
                raise JournalError(f"{path} does not say how long it is: compress the journal anew, from a file")
            self._file.seek(0)
            self._stream = zstandard.ZstdDecompressor(max_window_size=_LARGEST_WINDOW).stream_reader(
                self._file, read_across_frames=True, closefd=False
            )
        except zstandard.ZstdError as error:
            self._file.close()
            raise JournalError(f"{path} is no compressed journal: {error}") from None
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> "PackedFile":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def length(self) -> int:
        """How many bytes it holds, by its own word."""
        return self._length

    def read(self, count: int) -> bytes:
        """Return up to `count` bytes; none at the end.

        Raises: OSError; JournalError when the file is damaged, cut short, or has something behind its end.
        """
        try:
            piece = bytes(self._stream.read(count))
        except zstandard.ZstdError as error:
            raise JournalError(f"{self._path} is damaged behind byte {self._given} of its content: {error}") from None
        self._given += len(piece)
        if self._given > self._length:
            raise JournalError(f"{self._path} is damaged: it holds more than the {self._length} bytes it announces")
        if not piece and count and self._given < self._length:
            raise JournalError(
                f"{self._path} is cut short: it holds {self._given} of the {self._length} bytes of its segment"
            )
        return piece

    def close(self) -> None:
        """Close the file. A second call does nothing."""
        self._file.close()


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
