"""A made-up run, recorded: inputs and decisions of random length, from a seed, as the driver would write them."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bot.journal.format import RecordKind
from bot.journal.reader import JournalReader
from bot.journal.recording import Recording, RecordingLimits
from bot.journal.run_reader import open_run
from bot.journal.writer import JournalWriter

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND
HEADER = {
    "software": "microlev",
    "symbols": ["EURUSD"],
    "config": {"account": {"id": 7}, "venue": {"environment": "demo"}},
}
LIMITS = RecordingLimits(segment_bytes=2_000, segment_ns=3600 * SECOND)
READY = b'{"intended":[],"state":{"ready":true,"reasons":[],"texts":[]}}'
NOT_READY = b'{"intended":[],"state":{"ready":false,"reasons":["disconnected"],"texts":["lost"]}}'

Step = tuple[RecordKind, int, Any]


def steps(seed: int, count: int) -> Iterator[Step]:
    """Yield inputs, each with its decision; after the first ten the session is READY, but for a loss now and then."""
    chance = random.Random(seed)
    ns = START + seed * 1000 * SECOND
    yield RecordKind.LINK, ns, True
    yield RecordKind.DECISION, ns, NOT_READY
    for i in range(count):
        ns += chance.randrange(SECOND)
        if chance.random() < 0.7:
            frames = [chance.randbytes(chance.randrange(60)) for _ in range(chance.randrange(1, 4))]
            yield RecordKind.BATCH, ns, frames
        else:
            yield RecordKind.TIMER, ns, None
        loud = READY if i % 20 == 10 else NOT_READY if i % 20 == 19 else b""
        yield RecordKind.DECISION, ns, chance.randbytes(chance.randrange(12, 80)) + loud


def play(writer: Recording | JournalWriter, every: Iterator[Step], close: bool = True) -> None:
    ns = 0
    for kind, ns, content in every:
        match kind:
            case RecordKind.LINK:
                writer.link(ns, content, "")
            case RecordKind.BATCH:
                writer.batch(ns, content)
            case RecordKind.TIMER:
                writer.timer(ns)
            case _:
                writer.decision(ns, content)
    if close:
        writer.close(ns, {"decisions": 1})


def plain(path: Path, seed: int, count: int) -> list[tuple[int, int, bytes]]:
    """Return the records of a run that is one long file."""
    play(JournalWriter(path, HEADER), steps(seed, count))
    with JournalReader(path) as reader:
        return [tuple(record) for record in reader]


def recorded(folder: Path, seed: int = 1, count: int = 150, **more: Any) -> Recording:
    """Return a recording that was written to its end and not put away; its closed segments are."""
    folder.mkdir(exist_ok=True)
    recording = Recording(folder, f"run{seed}", HEADER, **{"limits": LIMITS, **more})
    play(recording, steps(seed, count))
    return recording


def read(path: Path) -> list[tuple[int, int, bytes]]:
    with open_run(path) as reader:
        return [tuple(record) for record in reader]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())
