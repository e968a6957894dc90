"""The index of a recorded run: a line a segment, in a file beside them, made anew whenever it does not fit.

How it works: a file a run (`RUN.index.jsonl`), because only whoever holds the run's lock changes its files: nobody
waits for anybody, and what is wrong with one index costs the reading of one run. It is replaced atomically. A line
counts as long as its file has the name and the size that it says; any other is made from the file. What is removed
for the disk budget is told by the index alone.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from bot.journal.format import JournalError
from bot.journal.run_lock import RunLock, is_recorded_now
from bot.journal.segment_figures import NO_RUN, Gap, SegmentLine, decode_line, scan, unreadable
from bot.journal.segments import Segment, runs_in

SUFFIX = ".index.jsonl"
Lines = dict[int, SegmentLine]


def index_path(folder: Path, run_id: str) -> Path:
    """Return the file of a run's index."""
    return folder / f"{run_id}{SUFFIX}"


def read_index(path: Path) -> Lines:
    """Return what an index says, by segment, whatever the files are; lines that cannot be read are not there."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return {}
    lines: Lines = {}
    for each in text.splitlines():
        try:
            line = decode_line(each)
        except ValueError:
            continue
        lines[line.segment] = line
    return lines


def write_index(folder: Path, run_id: str, lines: Mapping[int, SegmentLine]) -> None:
    """Replace a run's index; after a crash it is the old one or the new one. Raises: OSError."""
    path = index_path(folder, run_id)
    fresh = path.with_name(path.name + ".new")
    with open(fresh, "w", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.writelines(f"{lines[number].encode()}\n" for number in sorted(lines))
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def compared(folder: Path, known: Lines, segments: Iterable[Segment], *, is_live: bool = False) -> Lines:
    """Return the lines of a run as its files are: known ones that fit, others from the files.

    Args: `is_live`: somebody records the run, so that its last segment has no line yet.
    The line of a file that cannot be opened, or is no journal, has nothing but its damage.
    """
    lines: Lines = {}
    segments = list(segments)
    for segment in segments:
        line = known.get(segment.number)
        try:
            if line is None or not _fits(line, segment):
                line = scan(segment, is_live=is_live and segment is segments[-1])
                if line.segment == 1:
                    line = with_gap_before(folder, line)
        except JournalError as error:
            line = unreadable(segment, str(error))
        except OSError:
            continue  # it has just been compressed or removed
        lines[segment.number] = line
    gone = {number: line for number, line in known.items() if number not in lines}
    lines |= {n: line if line.state == "removed" else replace(line, state="missing") for n, line in gone.items()}
    return dict(sorted(lines.items()))


def _fits(line: SegmentLine, segment: Segment) -> bool:
    return (line.file, line.run_id, line.state) == (
        segment.path.name,
        segment.run_id,
        "kept",
    ) and line.file_bytes == segment.path.stat().st_size


def indexed_span(segments: Sequence[Segment]) -> tuple[int | None, int | None]:
    """Return when the first and the last record of a run's segments were, as far as its index says; nothing is read.

    Missing: None where the index has no line that fits the file, as of a segment that is being written.
    """
    first, last = segments[0], segments[-1]
    known = {} if first.is_whole else read_index(index_path(first.path.parent, first.run_id))
    begun, ended = known.get(first.number), known.get(last.number)
    try:
        return (
            begun.from_ns if begun is not None and _fits(begun, first) else None,
            ended.to_ns if ended is not None and _fits(ended, last) else None,
        )
    except OSError:
        return None, None  # it has just been compressed or removed


def with_gap_before(folder: Path, line: SegmentLine) -> SegmentLine:
    """Return the first line of a run with the gap since the last one of its account; by their indexes."""
    if line.from_ns is None:
        return line
    ends_ns = []
    for path in folder.glob(f"*{SUFFIX}"):
        others = read_index(path).values()
        times = [(each.from_ns, each.to_ns) for each in others if each.from_ns is not None and each.to_ns is not None]
        same = [(each.account_id, each.environment) == (line.account_id, line.environment) for each in others]
        if not times or not all(same) or path == index_path(folder, line.run_id):
            continue
        begun_ns, ended_ns = min(t[0] for t in times), max(t[1] for t in times)
        if begun_ns < line.from_ns:
            ends_ns.append(ended_ns)
    if not ends_ns or max(ends_ns) >= line.from_ns:
        return line  # the first run of all, or another records beside it
    return replace(line, gaps=(Gap(max(ends_ns), line.from_ns, NO_RUN), *line.gaps))


def recorded_runs(folder: Path) -> dict[str, Lines]:
    """Return what a folder holds, by run, from its indexes where they fit; those that do not are made anew.

    Runs whose every file was removed are told too. Nothing is written about a run that somebody records.
    Raises: JournalError when the folder cannot be read.
    """
    runs = runs_in(folder)
    ids = {*runs, *(path.name.removesuffix(SUFFIX) for path in folder.glob(f"*{SUFFIX}"))}
    found: dict[str, Lines] = {}
    for run_id in sorted(ids):
        known = read_index(index_path(folder, run_id))
        is_live = is_recorded_now(folder, run_id)
        lines = compared(folder, known, runs.get(run_id, ()), is_live=is_live)
        if lines:
            found[run_id] = lines
            if lines != known and not is_live:
                _keep(folder, run_id, lines)
    return found


def _keep(folder: Path, run_id: str, lines: Lines) -> None:
    try:
        lock = RunLock(folder, run_id)
    except JournalError:
        return  # somebody has begun to work on it, or the folder can only be read: it is not in the way of looking
    try:
        write_index(folder, run_id, lines)
    except OSError:
        return
    finally:
        lock.release(is_done=True)
