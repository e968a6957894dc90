"""Watches the machine: free disk space, and steps of its clock. Says only what is news, so that journals stay small."""

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from bot.engine.events import HostChecked

CLOCK_NEWS_S = 0.5


def free_bytes(folders: Sequence[Path]) -> int | None:
    """Return the least free space of the disks that folders are on; None when one of them cannot say."""
    try:
        return min(shutil.disk_usage(_existing(folder)).free for folder in folders)
    except (OSError, ValueError):
        return None


def _existing(folder: Path) -> Path:
    folder = folder.absolute()
    while not os.path.lexists(folder) and folder != folder.parent:
        folder = folder.parent
    return folder


class HostWatch:
    """Tells what the machine says of itself, when it is news.

    Free space is news when it has passed a power of two, or the limit; a clock when it has stepped by over half a
    second since the last word of it.

    Args: `now_ns` is the run's clock and `wall_ns` the machine's, ns since the epoch; `free` measures free bytes.
    """

    def __init__(
        self,
        min_free_bytes: int,
        now_ns: Callable[[], int],
        wall_ns: Callable[[], int],
        free: Callable[[], int | None],
    ) -> None:
        self._min_free_bytes = min_free_bytes
        self._now_ns, self._wall_ns, self._free = now_ns, wall_ns, free
        self._told: tuple[object, float] | None = None

    def look(self) -> HostChecked | None:
        """Return the news, or None."""
        now_ns = self._now_ns()
        step_s = (self._wall_ns() - now_ns) / 1e9
        free = self._free()
        room = None if free is None else (free < self._min_free_bytes, free.bit_length())
        if self._told is not None and self._told[0] == room and abs(step_s - self._told[1]) <= CLOCK_NEWS_S:
            return None
        self._told = room, step_s
        return HostChecked(now_ns, free, round(step_s, 3))
