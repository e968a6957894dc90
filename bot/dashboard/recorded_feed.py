"""Snapshots of a recorded run, kept in memory, with a place that can be moved and time that can be let pass.

How it works: `microlev snapshots` decides the run again in a process of its own and writes its snapshots as lines. Each
is kept compressed; the one at the place is unpacked when it is shown. The trail behind the place is filled in small
portions, so that a slider that is dragged stays quick.

Invariant: memory is bounded; a run of more snapshots than are kept is thinned, evenly.
"""

import asyncio
import sys
import time
import zlib
from bisect import bisect_right
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson

from bot.dashboard.feed import Kind, Trouble
from bot.dashboard.ndjson import LineSplitter, LineTooLong, object_of
from bot.dashboard.trail import MALFORMED, Trail

MOST_KEPT = 4000
MOST_BYTES = 400_000_000
TRAIL_LENGTH = 600
"""Snapshots before the place that the trail is filled with."""
_PORTION = 25
_TICK_S = 0.1
_CHUNK = 262_144
_LAST_WORDS = 4_000


class RecordedFeed:
    """A recorded run.

    Args: `path` a file of it; `command` what writes its snapshots; `tell` takes a line for a person.
    """

    kind: Kind = "journal"

    def __init__(
        self,
        path: Path,
        *,
        command: Sequence[str] = (sys.executable, "-m", "bot", "snapshots"),
        tell: Callable[[str], None] = lambda text: None,
        most_kept: int = MOST_KEPT,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._command = (*command, str(path))
        self._tell, self._most_kept, self._now_s = tell, most_kept, now_s
        self._packed: list[bytes] = []
        self._bytes = 0
        self._keep_every, self._came = 1, 0
        self._left_out: tuple[int, bytes] | None = None
        self._trail_end = 0
        self._time_ns = 0
        self._wake = asyncio.Event()
        self.trail = Trail()
        self.snapshot: dict[str, Any] | None = None
        self.trouble: Trouble | None = "reading"
        self.times_ns: list[int] = []
        self.place = 0
        self.playing = False
        self.speed = 1.0
        self.read_frac: float | None = 0.0

    @property
    def received_s(self) -> float | None:
        """None: nothing of a recording is new."""
        return None

    async def command(self, name: str, reason: str = "") -> tuple[bool, str]:  # noqa: ARG002
        """Refuse: what is recorded cannot be steered."""
        return False, "recorded"

    # -- reading --

    async def run(self) -> None:
        """Read the recording, and let its time pass while it is played."""
        reading = asyncio.create_task(self._read())
        reading.add_done_callback(lambda _: self._wake.set())
        try:
            before_s = self._now_s()
            while True:
                self._wake.clear()
                is_busy = self._fill_trail() or self.playing
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), self._tick_s() if is_busy else None)
                now_s = self._now_s()
                self.advance(now_s - before_s if is_busy else 0.0)
                before_s = now_s
                if reading.done():
                    reading.result()  # an error of ours is not to be lost
        finally:
            reading.cancel()
            with suppress(asyncio.CancelledError):
                await reading

    def _tick_s(self) -> float:
        return _TICK_S if self._trail_end > self.place else 0.0

    async def _read(self) -> None:
        process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        assert process.stderr is not None
        words = asyncio.create_task(_last_line(process.stderr))
        splitter = LineSplitter()
        is_sound = True
        try:
            while chunk := await process.stdout.read(_CHUNK):
                for line in splitter.feed(chunk):
                    is_sound &= self._take(line)
                await asyncio.sleep(0)
            code = await process.wait()
            said = await words
        except LineTooLong:
            code, said = 1, "it wrote a line that is too long"
        finally:
            words.cancel()
            if process.returncode is None:
                process.kill()
                await process.wait()
        if self._left_out is not None:
            self._keep(*self._left_out)  # how it ended is what one wants to see
        self.read_frac = None
        self.trouble = None if is_sound and code == 0 and self.times_ns else "unreadable"
        if code:
            self._tell(f"the recording could not be read to its end: {said or f'exit code {code}'}")

    def _take(self, line: bytes) -> bool:
        """Take a line; return whether it could be read."""
        content = object_of(line)
        if content is None:
            return False
        if content["type"] == "progress" and isinstance(content.get("read_frac"), int | float):
            self.read_frac = min(max(float(content["read_frac"]), 0.0), 1.0)
        if content["type"] != "snapshot":
            return True
        time_ns = content.get("time_ns")
        if not isinstance(time_ns, int) or (self.times_ns and time_ns < self.times_ns[-1]):
            return False
        is_kept = self._came % self._keep_every == 0
        self._came += 1
        self._left_out = None if is_kept else (time_ns, line)
        if is_kept:
            self._keep(time_ns, line)
        if self.snapshot is None:
            self.seek(0)
        return True

    def _keep(self, time_ns: int, line: bytes) -> None:
        packed = zlib.compress(line, 1)
        self.times_ns.append(time_ns)
        self._packed.append(packed)
        self._bytes += len(packed)
        if len(self.times_ns) > self._most_kept or self._bytes > MOST_BYTES:
            self._keep_every *= 2
            del self.times_ns[1::2], self._packed[1::2]
            self._bytes = sum(map(len, self._packed))
            self.place, self._trail_end = self.place // 2, (self._trail_end + 1) // 2
            self.snapshot = self._unpacked(self.place)

    # -- the place --

    def seek(self, place: int) -> None:
        """Show another of `times_ns`; a number beyond either end means that end."""
        if not self.times_ns:
            return
        self._show(min(max(place, 0), len(self.times_ns) - 1))
        self._time_ns = self.times_ns[self.place]
        self._wake.set()

    def play(self, on: bool) -> None:
        """Let recorded time pass, or stop it; at the end it begins again."""
        if on and self.times_ns and self.place == len(self.times_ns) - 1 and self.trouble != "reading":
            self.seek(0)
        self.playing = on and bool(self.times_ns)
        self._wake.set()

    def advance(self, seconds: float) -> None:
        """Let so many seconds of the clock pass."""
        if not self.playing:
            return
        self._time_ns = min(self._time_ns + round(seconds * self.speed * 1e9), self.times_ns[-1])
        place = max(bisect_right(self.times_ns, self._time_ns) - 1, self.place)
        if place != self.place:
            self._show(place)
        if self.place == len(self.times_ns) - 1 and self.trouble != "reading":
            self.playing = False

    def _show(self, place: int) -> None:
        self.place, self.snapshot = place, self._unpacked(place)
        if not place - TRAIL_LENGTH < self._trail_end <= place + 1:
            self.trail.clear()
            self._trail_end = max(place + 1 - TRAIL_LENGTH, 0)

    def _fill_trail(self) -> bool:
        """Add some of what the trail lacks; return whether it lacks more."""
        for place in range(self._trail_end, min(self.place + 1, self._trail_end + _PORTION)):
            with suppress(*MALFORMED):
                self.trail.add(self._unpacked(place))  # one that cannot be drawn leaves a hole
            self._trail_end = place + 1
        return self._trail_end <= self.place

    def _unpacked(self, place: int) -> dict[str, Any]:
        content: dict[str, Any] = orjson.loads(zlib.decompress(self._packed[place]))
        return content


async def _last_line(stream: asyncio.StreamReader) -> str:
    """Return the last line that a process wrote for a person."""
    end = b""
    while chunk := await stream.read(_LAST_WORDS):
        end = (end + chunk)[-_LAST_WORDS:]
    lines = end.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else ""
