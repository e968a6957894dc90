"""How every side takes its times: pinned to one core, warm, several repetitions. Standard library only.

How it works: a repetition has a preparation, which is not timed, and a run, which is. Processor time of the process is
counted, all its threads together: no side waits for anything in a run, and so the other programs of a busy machine
count only by what they do to its caches. Before a run garbage is collected and what is alive is taken out of the
collector's sight (`gc.freeze`); during the run the collector is on, as in a live process. The first repetition warms
caches and is thrown away.
"""

import gc
import json
import os
import time
from array import array
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

Prepare = Callable[[], Callable[[], Any]]


def pin_to_one_core() -> int | None:
    """Keep this process on the last core it may use; return its number, None where the system cannot."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    core = max(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {core})
    return core


def repeat(prepare: Prepare, events: int, repetitions: int) -> list[float]:
    """Return microseconds of processor time an event, of each repetition."""
    return [took_ns(prepare()) / events / 1000 for _ in range(repetitions + 1)][1:]


def took_ns(run: Callable[[], Any]) -> int:
    """Return the processor time of one run."""
    gc.collect()
    gc.freeze()
    began_ns = time.process_time_ns()
    run()
    ended_ns = time.process_time_ns()
    gc.unfreeze()
    return ended_ns - began_ns


def cut_frames(data: bytes, frames_each: int) -> list[bytes]:
    """Return a stream of frames in deliveries of so many whole frames each."""
    deliveries, start, end, held = [], 0, 0, 0
    while end < len(data):
        end += 4 + int.from_bytes(data[end : end + 4], "big")
        held += 1
        if held == frames_each or end >= len(data):
            deliveries.append(data[start:end])
            start, held = end, 0
    return deliveries


def write_figures(path: Path, figures: Iterable[float]) -> None:
    """Write doubles for `scripts/bench --verify` to compare."""
    path.write_bytes(array("d", figures).tobytes())


def tell(rows: dict[str, list[float]], versions: dict[str, str], **more: Any) -> None:
    """Print what this side has measured, for `scripts/bench`."""
    print(json.dumps({"rows": rows, "versions": versions, **more}), flush=True)
