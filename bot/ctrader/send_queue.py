"""What waits for its turn to leave, in the order of its importance, and what has waited too long.

Risk reductions go first, then orders that grow a position, then what the session asks for itself, then histories; first
in first out in each. An intention of the engine is made for the market of its moment: one that cannot leave within its
life is dropped, and the engine, told so, makes a new one of the market as it is then.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from bot.ctrader.ratelimit import Budget, Importance


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message that waits for its turn; from `stale_ns` on it is not sent any more."""

    message_id: str
    payload_type: int
    body: bytes
    importance: Importance
    stale_ns: int | None = None

    def is_stale(self, now_ns: int) -> bool:
        """Return whether its life is over."""
        return self.stale_ns is not None and now_ns >= self.stale_ns


class SendQueue:
    """Messages that wait for their turn within a budget."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self._lanes: dict[Importance, deque[Outgoing]] = {importance: deque() for importance in Importance}

    @property
    def is_waiting(self) -> bool:
        """Whether any message waits."""
        return any(self._lanes.values())

    def put(self, item: Outgoing) -> None:
        """Add a message behind those of its importance."""
        self._lanes[item.importance].append(item)

    def take(self, now_ns: int) -> list[Outgoing]:
        """Remove and return what may be sent at `now_ns`, in order."""
        taken = []
        for importance, items in self._lanes.items():
            if not items:
                continue
            kept: deque[Outgoing] = deque()
            while items:
                item = items.popleft()
                if item.is_stale(now_ns) or self._earliest_ns(item) > now_ns:
                    kept.append(item)
                    continue
                self.budget.record(item.payload_type, now_ns, historical=importance is Importance.HISTORICAL)
                taken.append(item)
            items.extend(kept)
        return taken

    def take_stale(self, now_ns: int) -> list[Outgoing]:
        """Remove and return what has waited too long."""
        stale = [item for items in self._lanes.values() for item in items if item.is_stale(now_ns)]
        if stale:
            self.discard(item.message_id for item in stale)
        return stale

    def next_ns(self) -> int | None:
        """Return when something is to be done, None with nothing waiting; a time gone by means now."""
        times = []
        for items in self._lanes.values():
            for item in items:
                free_ns = self._earliest_ns(item)
                times.append(free_ns if item.stale_ns is None else min(free_ns, item.stale_ns))
        return min(times, default=None)

    def discard(self, message_ids: Iterable[str]) -> None:
        """Remove messages that wait, by id; ids not waiting are ignored."""
        unwanted = set(message_ids)
        if unwanted:
            for importance, items in self._lanes.items():
                self._lanes[importance] = deque(item for item in items if item.message_id not in unwanted)

    def __len__(self) -> int:
        return sum(len(items) for items in self._lanes.values())

    def _earliest_ns(self, item: Outgoing) -> int:
        return self.budget.earliest_ns(item.payload_type, item.importance)
