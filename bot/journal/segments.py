"""The files of a recorded run: how its segments are called, and which of them a folder holds.

RUN.0001.journal.zst   a segment that is closed and compressed
RUN.0002.journal       the one being written, or one that nobody has compressed yet
RUN.journal            a run of one file: journals of earlier versions, and whatever a person calls so
"""

import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from bot.journal.format import JournalError

PLAIN, PACKED, PARTIAL = ".journal", ".journal.zst", ".journal.zst.part"
_NUMBERED = re.compile(r"(?P<run>.+)\.(?P<number>\d{4,})\.journal(?P<packed>\.zst)?")
_WHOLE = re.compile(r"(?P<run>.+)\.journal(?P<packed>\.zst)?")
_MOST_NAMED = 8


class Segment(NamedTuple):
    """A segment's file. `is_whole` says that it is all of its run, by its name: it has no number, and counts as 1."""

    run_id: str
    number: int
    path: Path
    is_packed: bool
    is_whole: bool


def segment_path(folder: Path, run_id: str, number: int) -> Path:
    """Return the file of a segment while it is not compressed."""
    return folder / f"{run_id}.{number:04d}{PLAIN}"


def packed_path(plain: Path) -> Path:
    """Return the file of a segment when it is compressed."""
    return plain.with_name(plain.name.removesuffix(PLAIN) + PACKED)


def partial_path(packed: Path) -> Path:
    """Return the file that a segment is compressed into, before it gets its name."""
    return packed.with_name(packed.name.removesuffix(PACKED) + PARTIAL)


def named(path: Path) -> Segment | None:
    """Return what a file's name says; None for one that is not called as a journal is."""
    match = _NUMBERED.fullmatch(path.name)
    if match is not None:
        return Segment(match["run"], int(match["number"]), path, match["packed"] is not None, False)
    match = _WHOLE.fullmatch(path.name)
    return None if match is None else Segment(match["run"], 1, path, match["packed"] is not None, True)


def is_recording(path: Path) -> bool:
    """Tell whether a path is meant as a recording: a journal by its name, or a folder."""
    return named(path) is not None or path.is_dir()


def runs_in(folder: Path) -> dict[str, list[Segment]]:
    """Return the segments in a folder by run, runs and segments in order.

    Where a segment is there twice, compressed and not, it is the one that is not: nobody has yet seen to it that the
    other is the same.
    Raises: JournalError when the folder cannot be read.
    """
    try:
        found = [segment for path in folder.iterdir() if (segment := named(path)) is not None]
    except OSError as error:
        raise JournalError(f"cannot read the folder {folder}: {error.strerror}") from error
    runs: dict[str, dict[int, Segment]] = {}
    for segment in sorted(found, key=lambda s: (s.run_id, s.number, not s.is_whole, not s.is_packed)):
        runs.setdefault(segment.run_id, {})[segment.number] = segment
    return {run_id: list(segments.values()) for run_id, segments in runs.items()}


def segments_for(path: Path) -> list[Segment]:
    """Return the segments of the run that is meant by a path: any segment of it, or the folder that holds it alone.

    A segment's name is good for either of its forms. A file that is not called as a segment stands for itself.
    Raises: JournalError, one line, when there is no such run, or are several, or one in the middle is missing.
    """
    if path.is_dir():
        runs = runs_in(path)
        if not runs:
            raise JournalError(f"{path} holds no recording: no file in it ends in {PLAIN} or {PACKED}")
        if len(runs) > 1:
            names = [*runs][:_MOST_NAMED] + ["…"] * (len(runs) > _MOST_NAMED)
            raise JournalError(f"{path} holds {len(runs)} runs ({', '.join(names)}); name a file of the one you mean")
        (segments,) = runs.values()
        return _without_holes(segments)
    meant = named(path)
    if meant is None or meant.is_whole:
        return [meant or Segment(path.stem, 1, path, False, True)]
    segments = runs_in(path.parent).get(meant.run_id, []) if path.parent.is_dir() else []
    if meant.number not in {segment.number for segment in segments}:
        return [meant]  # opening it says what is wrong
    return _without_holes(segments)


def _without_holes(segments: Sequence[Segment]) -> list[Segment]:
    for before, after in pairwise(segments):
        if after.number != before.number + 1:
            first, last = before.number + 1, after.number - 1
            lost = f"segment {first} is" if first == last else f"segments {first} to {last} are"
            raise JournalError(
                f"{lost} missing of the run {before.run_id} in {before.path.parent}: "
                f"{before.path.name} and {after.path.name} are there"
            )
    return list(segments)
