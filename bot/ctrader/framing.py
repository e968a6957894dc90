"""Length-prefixed frames: bytes in any pieces to whole frames, and back.

A frame is a 4-byte unsigned big-endian length, then that many bytes of a serialized `ProtoMessage`.
Source: cTrader Open API, "Sending and receiving Protobuf".
"""

import struct

MAX_FRAME_BYTES = 15_000_000
_LENGTH = struct.Struct("!I")
_length_at = _LENGTH.unpack_from


class FrameTooLong(ValueError):
    """The peer announced a frame above the limit: not cTrader, or a corrupt stream. Drop the connection."""


def frame(body: bytes) -> bytes:
    """Return `body` with its length in front.

    Raises: FrameTooLong above `MAX_FRAME_BYTES`.
    """
    if len(body) > MAX_FRAME_BYTES:
        raise FrameTooLong(f"a frame of {len(body)} bytes is over the limit of {MAX_FRAME_BYTES}")
    return _LENGTH.pack(len(body)) + body


class FrameReader:
    """Collects received bytes and yields whole frames, however the network has split or merged them."""

    def __init__(self, max_frame_bytes: int = MAX_FRAME_BYTES) -> None:
        self._buffer = bytearray()
        self._wanted_bytes = 0
        self._max_frame_bytes = max_frame_bytes

    def receive(self, data: bytes) -> list[bytes]:
        """Return the frames that `data` completes, in order.

        Raises: FrameTooLong as soon as a length above the limit is seen; the reader is then unusable.
        """
        if self._buffer:
            self._buffer += data
            if len(self._buffer) < self._wanted_bytes:
                return []  # a long frame comes in many reads: it is copied once, when it is whole
            data = bytes(self._buffer)
            self._buffer.clear()
        end = len(data)
        if end > 4 and _length_at(data)[0] == end - 4 <= self._max_frame_bytes:
            return [data[4:]]  # one frame and nothing else, as most reads are
        frames, start, wanted = [], 0, 4
        while end - start >= 4:
            (length,) = _length_at(data, start)
            if length > self._max_frame_bytes:
                raise FrameTooLong(
                    f"the venue announced a frame of {length} bytes; the limit is {self._max_frame_bytes}"
                )
            stop = start + 4 + length
            if stop > end:
                wanted += length
                break
            frames.append(data[start + 4 : stop])
            start = stop
        if start < end:
            self._buffer += data[start:]
            self._wanted_bytes = wanted
        return frames

    @property
    def pending_bytes(self) -> int:
        """Bytes received that do not make a whole frame yet."""
        return len(self._buffer)
