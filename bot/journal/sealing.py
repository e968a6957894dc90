"""Puts segments away: compressed, in the index, and what a run that died has left as well.

How it works: a segment's compressed file is whole before its plain one goes (`packing`), so that whatever is
interrupted can be done again: a partial file is thrown away, and a plain file beside a compressed one of the same
content is removed. A torn last record is left out of the compressed file. A damaged journal stays as it is.

Whoever calls these holds the run's lock; `seal_left` takes it, and leaves alone what another process records.
"""

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from bot.journal.format import JournalError, NothingRecorded
from bot.journal.packing import holds_the_same, pack
from bot.journal.recording_index import Lines, compared, index_path, read_index, with_gap_before, write_index
from bot.journal.run_lock import RunInUse, RunLock
from bot.journal.segment_figures import SegmentLine, scan
from bot.journal.segments import PARTIAL, Segment, named, packed_path, partial_path, runs_in
from bot.journal.writer import sync_directory


def put_away(folder: Path, line: SegmentLine) -> tuple[SegmentLine, list[str]]:
    """Compress the closed segment of a line; return its line as it is then, and what is to be told."""
    plain = folder / line.file
    packed = packed_path(plain)
    try:
        size = pack(plain, packed, line.journal_bytes - line.torn_bytes)
        plain.unlink()
        sync_directory(packed)
    except (OSError, JournalError) as error:
        with suppress(OSError):
            partial_path(packed).unlink(missing_ok=True)  # a full disk has better use for it
        said = getattr(error, "strerror", None) or error
        return line, [f"{plain} could not be compressed and stays as it is: {said}"]
    return _packed(line, packed, size), []


def seal_run(folder: Path, run_id: str) -> tuple[Lines, list[str]]:
    """Put away every segment of a run that is not, and bring its index up to date; return it and what is to be told."""
    told: list[str] = []
    for partial in folder.glob(f"*{PARTIAL}"):
        if (segment := named(partial.with_suffix(""))) is not None and segment.run_id == run_id:
            partial.unlink(missing_ok=True)
    segments = runs_in(folder).get(run_id, [])
    lines = read_index(index_path(folder, run_id))
    for segment in segments:
        if segment.is_packed or segment.is_whole:
            continue
        try:
            line, more = _sealed(folder, segment)
        except NothingRecorded:
            segment.path.unlink(missing_ok=True)  # killed as it began
            continue
        except (OSError, JournalError) as error:
            told.append(f"{error}; the file stays as it is")
            continue
        lines[line.segment] = with_gap_before(folder, line) if line.segment == 1 else line
        told += more
    lines = compared(folder, lines, runs_in(folder).get(run_id, []))
    try:
        write_index(folder, run_id, lines)
    except OSError as error:
        told.append(f"{index_path(folder, run_id)} cannot be written: {error.strerror}")
    return lines, told


def seal_left(folder: Path) -> list[str]:
    """Put away what runs that died have left in a folder; return what is to be told.

    Raises: JournalError when the folder cannot be read.
    """
    told: list[str] = []
    runs = {run for run, segments in runs_in(folder).items() if any(not (s.is_packed or s.is_whole) for s in segments)}
    for partial in folder.glob(f"*{PARTIAL}"):
        if (segment := named(partial.with_suffix(""))) is not None and not segment.is_whole:
            runs.add(segment.run_id)
    for run_id in sorted(runs):
        try:
            lock = RunLock(folder, run_id)
        except RunInUse:
            continue
        except JournalError as error:
            told.append(str(error))
            continue
        try:
            told += seal_run(folder, run_id)[1]
        finally:
            lock.release(is_done=True)
    return told


def _sealed(folder: Path, segment: Segment) -> tuple[SegmentLine, list[str]]:
    plain, packed = segment.path, packed_path(segment.path)
    line = scan(segment)
    if line.damage is not None:
        return line, [f"{line.damage}; the file stays as it is"]
    good = line.journal_bytes - line.torn_bytes
    if packed.exists() and holds_the_same(packed, plain, good):
        plain.unlink()
        sync_directory(packed)
        return _packed(line, packed, packed.stat().st_size), []
    sealed, told = put_away(folder, line)
    if line.end == "killed" and not told:
        cut = f", its last record cut off at byte {good}" if line.torn_bytes else ""
        told.append(f"{sealed.file} is what a run that was killed has left: {line.records} records{cut}")
    return sealed, told


def _packed(line: SegmentLine, packed: Path, size: int) -> SegmentLine:
    return replace(line, file=packed.name, file_bytes=size, journal_bytes=line.journal_bytes - line.torn_bytes)
