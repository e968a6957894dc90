"""Lines of JSON out of chunks of bytes, bounded: what another process writes is not to fill our memory."""

from typing import Any

import orjson

LONGEST_LINE = 8_000_000


class LineTooLong(Exception):
    """A line is longer than any snapshot; nothing behind it can be trusted."""


class LineSplitter:
    """Cuts chunks into lines. What stands behind the last end of a line waits for the next chunk."""

    def __init__(self, longest: int = LONGEST_LINE) -> None:
        self._longest = longest
        self._parts: list[bytes] = []
        self._waiting = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the lines that a chunk completes, without those that are empty. Raises: LineTooLong."""
        first, *rest = chunk.split(b"\n")
        self._parts.append(first)
        self._waiting += len(first)
        lines = []
        for part in rest:
            lines.append(b"".join(self._parts))
            self._parts, self._waiting = [part], len(part)
        if self._waiting > self._longest or any(len(line) > self._longest for line in lines):
            raise LineTooLong
        return [line for line in lines if line.strip()]


def object_of(line: bytes) -> dict[str, Any] | None:
    """Return the object in a line when it is one with a `type`; None for anything else."""
    try:
        content = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return content if isinstance(content, dict) and isinstance(content.get("type"), str) else None
