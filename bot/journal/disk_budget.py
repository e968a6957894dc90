"""Keeps recordings within `recording.max_disk_gb`: the oldest segments go first, those of finished runs before others.

Never removed: a segment that is being written, anything of a run that another process records, and journals of one
file, as earlier versions wrote them.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from bot.journal.format import JournalError
from bot.journal.recording_index import Lines, compared, index_path, read_index, write_index
from bot.journal.run_lock import RunLock
from bot.journal.segment_figures import SegmentLine
from bot.journal.segments import Segment, runs_in


@dataclass(frozen=True, slots=True)
class DiskBudget:
    """Units: bytes; `reserve_bytes` are kept free for the segment that is being written to grow into."""

    max_bytes: int
    reserve_bytes: int


def keep_within(folder: Path, budget: DiskBudget, own_run: str | None, own: Lines) -> list[str]:
    """Remove segments until the folder is within its budget; return a line for each.

    Args: `own_run` is the run of the caller, who holds its lock, and `own` the lines of its closed segments: those that
        are removed say so afterwards.
    Raises: JournalError, OSError when the folder cannot be read or changed.
    """
    runs = runs_in(folder)
    taken = sum(line.file_bytes for line in own.values() if line.state == "kept")
    for run_id, segments in runs.items():
        if run_id != own_run:
            taken += sum(_size(segment.path) for segment in segments if not segment.is_whole)
    over = taken - (budget.max_bytes - budget.reserve_bytes)
    told: list[str] = []
    for run_id in _oldest_first(folder, runs):
        if over <= 0:
            return told
        if run_id == own_run:
            continue
        try:
            lock = RunLock(folder, run_id)
        except JournalError:
            continue
        try:
            lines = compared(folder, read_index(index_path(folder, run_id)), runs[run_id])
            numbers = [segment.number for segment in runs[run_id] if not segment.is_whole]
            over -= _remove(folder, lines, numbers, over, told)
            write_index(folder, run_id, lines)
        finally:
            lock.release(is_done=True)
    if own_run is not None and over > 0:
        closed = [number for number in sorted(own) if own[number].state == "kept"]
        _remove(folder, own, closed, over, told)
    return told


def _oldest_first(folder: Path, runs: dict[str, list[Segment]]) -> Iterator[str]:
    def began(run_id: str) -> tuple[int, str]:
        known = [line.from_ns for line in read_index(index_path(folder, run_id)).values() if line.from_ns is not None]
        return min(known, default=runs[run_id][0].path.stat().st_mtime_ns), run_id

    yield from (run_id for _, run_id in sorted(map(began, runs)))


def _remove(folder: Path, lines: Lines, numbers: list[int], over: int, told: list[str]) -> int:
    """Remove the files of segments, in this order, until `over` bytes are freed; return how many were."""
    freed = 0
    for number in numbers:
        if freed >= over:
            break
        line = lines.get(number)
        if line is None or line.records == 0:
            continue  # what is no journal is not ours to remove
        (folder / line.file).unlink(missing_ok=True)
        freed += line.file_bytes
        lines[number] = replace(line, state="removed")
        told.append(_in_words(line))
    return freed


def _in_words(line: SegmentLine) -> str:
    return (
        f"removed {line.file}, {line.file_bytes:,} bytes with {line.records} records: "
        "the recordings are over recording.max_disk_gb"
    )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0  # compressed or removed at this moment
