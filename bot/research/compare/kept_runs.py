"""The folder that a backtest writes to: a file a run, what they were made from, and the comparison.

How it works: `inputs.json` says what the runs of a folder are made from. Each run's file carries a digest of that and
of what is special to the run, and counts only if it is the one that would be made now. Files are written beside their
place and renamed, so that a command that was killed at any moment finds what was done, whole, when it is run again.
"""

import json
import os
import re
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from bot.journal.segments import named, runs_in
from bot.sim.recording import SHAPE_FILE, recorded_files

INPUTS, COMPARISON = "inputs.json", "comparison.json"
_DIGEST = "inputs"
_OURS = re.compile(r".+\.\d+\.part")
"""Files that are not whole yet: the process that writes them is in the name."""


class FolderUnusable(ValueError):
    """The folder cannot be used, or holds something else; the text says what to do."""


def digest_of(content: Any) -> str:
    """Return a digest of what JSON can hold."""
    return sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


def file_facts(names: list[str]) -> list[list[Any]]:
    """Return size and time of the files that sources name: all of a folder, all segments of a recorded run.

    Of a source that is no file it is the name.
    """
    facts: list[list[Any]] = []
    for name in names:
        path = Path(name)
        files = _files_of(path)
        shapes = [file for each in {file.parent for file in files} if (file := each / SHAPE_FILE).is_file()]
        facts.append([name if not files else str(path.resolve())])
        within = path if path.is_dir() else path.parent
        facts += [
            [_name_in(within, file), file.stat().st_size, file.stat().st_mtime_ns] for file in [*files, *sorted(shapes)]
        ]
    return facts


def _files_of(path: Path) -> list[Path]:
    if path.is_dir():
        segments = [segment.path for run in runs_in(path).values() for segment in run]
        try:
            return segments or recorded_files(path)
        except ValueError:
            return []  # whoever opens it says why
    segment = named(path)
    if segment is not None and not segment.is_whole and path.parent.is_dir():
        return [each.path for each in runs_in(path.parent).get(segment.run_id, [])]
    return [path] if path.is_file() else []


def _name_in(folder: Path, file: Path) -> str:
    return str(file.relative_to(folder)) if file.is_relative_to(folder) else file.name


class RunFolder:
    """A folder of runs made from `inputs`.

    Args: `force` takes a folder over that holds runs of other inputs, or something else.
    """

    def __init__(self, path: Path, inputs: Mapping[str, Any], *, force: bool = False) -> None:
        self.path, self._inputs, self._force = path, dict(inputs), force
        self.digest = digest_of(self._inputs)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Make the folder, and keep others from writing to it.

        Raises: FolderUnusable, one line, when it cannot be made, is in use, or holds something else.
        """
        lock = FileLock(self.path / ".backtest.lock", timeout=0)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._check()
            lock.acquire()
        except Timeout:
            raise FolderUnusable(f"another backtest is writing to {self.path}: wait for it, or stop it") from None
        except OSError as error:
            raise FolderUnusable(f"{self.path} cannot be written to: {error.strerror or error}") from None
        try:
            self._begin()
            yield
        finally:
            lock.release()

    def _check(self) -> None:
        if self._force:
            return
        file = self.path / INPUTS
        if not file.exists():
            others = [entry.name for entry in self.path.iterdir() if not entry.name.startswith(".")]
            if others:
                raise FolderUnusable(
                    f"{self.path} holds something else ({min(others)}): take another --out, or --force to use it"
                )
            return
        try:
            told = json.loads(file.read_text(encoding="utf-8"))
            differ = [key for key in self._inputs if told.get(key) != _plain(self._inputs)[key]]
        except (ValueError, AttributeError):
            raise FolderUnusable(f"{file} is damaged: take another --out, or --force to replace its runs") from None
        if differ:
            raise FolderUnusable(
                f"{self.path} holds runs of other inputs ({', '.join(differ)}): take another --out, or --force to "
                "replace them"
            )

    def _begin(self) -> None:
        for left in self.path.glob("*.part"):
            if _OURS.fullmatch(left.name):
                left.unlink()
        self.write(INPUTS, json.dumps(_plain(self._inputs), indent=1) + "\n")

    def write(self, name: str, text: str) -> Path:
        """Write a file, whole or not at all; return its path."""
        path = self.path / name
        beside = path.with_suffix(f".{os.getpid()}.part")
        with beside.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        return path

    def path_of(self, run: str) -> Path:
        """Return where a run's file is, or will be."""
        return self.path / f"{run}.npz"

    def has(self, run: str, digest: str) -> bool:
        """Tell whether a run's file is there and made from just this."""
        try:
            # Opened here: numpy leaves a file open that turns out to be damaged.
            with self.path_of(run).open("rb") as file, np.load(file, allow_pickle=False) as stored:
                rest = json.loads(str(stored["rest"]))
            return bool(rest["assumptions"].get(_DIGEST) == digest)
        except (OSError, EOFError, ValueError, KeyError, AttributeError, zipfile.BadZipFile):
            return False  # not there, damaged, or of another version: made anew


def _plain(inputs: Mapping[str, Any]) -> Any:
    return json.loads(json.dumps(inputs, default=str))
