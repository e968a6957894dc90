"""What waits to leave on one link: bytes that may go now, and bytes that a fault makes wait.

How it works: without a shape, `put` appends to one buffer and `take` empties it. A shape gives each frame the time at
which it is due; one that is due waits behind those before it, as on a real connection. What is due is cut into segments
when it is taken, and the segments may have to keep a distance, too.
"""

from collections import deque
from dataclasses import dataclass
from random import Random

from bot.sim.faults.link_faults import Latency, Merge, Split


@dataclass(frozen=True, slots=True)
class Shape:
    """The faults that act on a link's outgoing bytes now."""

    latency: Latency | None = None
    merge: Merge | None = None
    split: Split | None = None


class Outbound:
    """The send queue of one link. Units: times in ns.

    While it is not `is_bent`, whoever is in a hurry may append to `ready` instead of calling `put`.
    """

    def __init__(self, random: Random) -> None:
        self.ready = bytearray()
        self.is_bent = False
        self._shape: Shape | None = None
        self._random = random
        self._waiting: deque[tuple[int, bytes]] = deque()
        self._segments: deque[tuple[int, bytes]] = deque()
        self._window_end_ns = 0

    def __len__(self) -> int:
        if not self._waiting and not self._segments:
            return len(self.ready)
        return len(self.ready) + sum(len(data) for queue in (self._waiting, self._segments) for _, data in queue)

    @property
    def shape(self) -> Shape | None:
        """What acts on the bytes from now on; None for nothing."""
        return self._shape

    @shape.setter
    def shape(self, shape: Shape | None) -> None:
        self._shape = shape
        self.is_bent = shape is not None or bool(self._waiting)

    @property
    def next_ns(self) -> int | None:
        """When the next bytes that wait are due; None when none do. What may go now does not count as waiting."""
        times = [queue[0][0] for queue in (self._waiting, self._segments) if queue]
        return min(times, default=None)

    def put(self, data: bytes, now_ns: int, *, not_before_ns: int = 0) -> None:
        """Add a frame; `not_before_ns` holds it, and all that follows it, at least until then."""
        if self.shape is None and not self._waiting and not_before_ns <= now_ns:
            self.ready += data
            return
        self._waiting.append((max(self._due_ns(now_ns), not_before_ns), data))
        self.is_bent = True

    def take(self, now_ns: int) -> list[bytes]:
        """Remove and return what may leave at `now_ns`, one item for each segment."""
        while self._waiting and self._waiting[0][0] <= now_ns:
            self.ready += self._waiting.popleft()[1]
        self.shape = self._shape
        split = self._shape.split if self._shape is not None else None
        if self.ready and (split is not None or self._segments):
            size, gap_ns = (split.size_bytes, split.gap_ns) if split is not None else (len(self.ready), 0)
            due_ns = max(now_ns, self._segments[-1][0] if self._segments else 0)
            for start in range(0, len(self.ready), size):
                self._segments.append((due_ns, bytes(self.ready[start : start + size])))
                due_ns += gap_ns
            self.ready.clear()
        taken = []
        while self._segments and self._segments[0][0] <= now_ns:
            taken.append(self._segments.popleft()[1])
        if self.ready:
            taken.append(bytes(self.ready))
            self.ready.clear()
        return taken

    def end(self, now_ns: int) -> None:
        """Lose what is not due yet: the connection has ended with it still on its way."""
        left = self.take(now_ns)
        self._waiting.clear()
        self._segments.clear()
        self.shape = None
        self.ready += b"".join(left)

    def _due_ns(self, now_ns: int) -> int:
        due_ns = now_ns
        shape = self.shape
        if shape is not None and shape.latency is not None:
            due_ns += shape.latency.outbound_ns + self._random.randint(0, shape.latency.jitter_ns)
        if shape is not None and shape.merge is not None:
            if self._window_end_ns <= now_ns:
                self._window_end_ns = now_ns + shape.merge.window_ns
            due_ns = max(due_ns, self._window_end_ns)
        return due_ns
