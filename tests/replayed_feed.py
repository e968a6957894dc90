"""A feed for tests of the page: it has snapshots, moves when it is told to, counts the commands it is given."""

import asyncio
from datetime import datetime
from typing import Any

from bot.dashboard.feed import Kind, Trouble
from bot.dashboard.trail import Trail


class ReplayedFeed:
    """Shows one of its snapshots. `step` goes on to the next; `answer` is what a command comes to.

    While it is run it steps every `every_s`, unless that is None.
    """

    def __init__(self, snapshots: list[dict[str, Any]], *, kind: Kind = "live", place: int = 0) -> None:
        self.kind = kind
        self.trail = Trail()
        self.trouble: Trouble | None = None
        self.received_s: float | None = 0.2 if kind == "live" else None
        self.snapshots = snapshots
        self.times_ns = [round(datetime.fromisoformat(each["time"]).timestamp() * 1e9) for each in snapshots]
        self.playing, self.speed = False, 1.0
        self.read_frac: float | None = None
        self.every_s: float | None = None
        self.commands: list[tuple[str, str]] = []
        self.answer: tuple[bool, str] = (True, "halted")
        self.place = 0
        self.snapshot: dict[str, Any] | None = None
        if snapshots:
            self.seek(place)

    async def run(self) -> None:
        while True:
            await asyncio.sleep(self.every_s or 0.05)
            if self.every_s is not None:
                self.step()

    async def command(self, name: str, reason: str = "") -> tuple[bool, str]:
        self.commands.append((name, reason))
        return self.answer

    def seek(self, place: int) -> None:
        self.place = min(max(place, 0), len(self.snapshots) - 1)
        self.trail.clear()
        for each in self.snapshots[: self.place + 1]:
            self.trail.add(each)
        self.snapshot = self.snapshots[self.place]

    def play(self, on: bool) -> None:
        self.playing = on

    def step(self) -> None:
        """Go on to the next snapshot, while there is one."""
        if self.place + 1 < len(self.snapshots):
            self.place += 1
            self.snapshot = self.snapshots[self.place]
            self.trail.add(self.snapshot)
