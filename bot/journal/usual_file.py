"""The file in which usual values are kept over runs: what is usual at each time of day takes days to learn.

How it works: JSON, replaced atomically; a file an account, since accounts may share a folder. A file that cannot be
read is put aside, never overwritten, and the run begins to learn anew; it costs patience, not money, because until
three days are known liquidity never counts as more than usual.
"""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from bot.engine.decision import Decision

_OLD_NAME = "usual.json"
_KIND, _VERSION = "microlev usual values", 1
_EVERY_NS = 3_600_000_000_000

Contents = dict[str, dict[str, object]]


def usual_path(directory: Path, account_id: int | None) -> Path:
    """Return the file of an account in its state folder. Args: `account_id` None: the first of a simulator's."""
    return directory / f"usual-{'first-account' if account_id is None else account_id}.json"


def path_to_read(path: Path) -> Path:
    """Return the file to read for an account's `path`: `usual.json`, that of earlier versions, until it has its own."""
    old = path.with_name(_OLD_NAME)
    return old if old.exists() and not path.exists() else path


def read_usual(path: Path) -> tuple[Contents, str | None]:
    """Return what a file holds by symbol, and what is to be told about it; nothing from one that does not exist.

    A file that is no such file is renamed, and the text says so.
    """
    try:
        content = json.loads(path.read_bytes())
        if content["kind"] != _KIND or content["version"] != _VERSION:
            raise ValueError(f"it is {content['kind']!r}, version {content['version']!r}")
        symbols = content["symbols"]
        if not isinstance(symbols, dict) or not all(isinstance(entry, dict) for entry in symbols.values()):
            raise ValueError("its symbols are not a mapping")
        return symbols, None
    except FileNotFoundError:
        return {}, None
    except (OSError, ValueError, KeyError, TypeError) as error:
        aside = path.with_suffix(".unreadable")
        try:
            path.replace(aside)
        except OSError:
            return {}, f"{path} cannot be read ({error}); usual values are learnt anew"
        return {}, f"{path} cannot be read ({error}); it is kept as {aside.name}, and usual values are learnt anew"


def write_usual(path: Path, contents: Mapping[str, object]) -> None:
    """Replace the file; after a crash it holds the old values or the new ones. Raises: OSError."""
    told = {"kind": _KIND, "version": _VERSION, "symbols": contents}
    fresh = path.with_suffix(".new")
    with fresh.open("w", encoding="utf-8") as file:
        json.dump(told, file, separators=(",", ":"), allow_nan=False)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


class UsualKeeper:
    """Writes usual values once an hour and at the end of a run.

    Args: `usual` returns them; `tell` takes the line about a file that cannot be written, once.
    """

    def __init__(self, path: Path, usual: Callable[[], Contents], tell: Callable[[str], None]) -> None:
        self._path = path
        self._usual = usual
        self._tell = tell
        self._due_ns: int | None = None
        self._has_failed = False

    def __call__(self, decision: Decision) -> None:
        """See a Decision; write when an hour is over."""
        if self._due_ns is None:
            self._due_ns = decision.now_ns + _EVERY_NS
        elif decision.now_ns >= self._due_ns:
            self._due_ns = decision.now_ns + _EVERY_NS
            self.write()

    def write(self) -> None:
        """Write now; nothing while nothing is known."""
        contents = self._usual()
        if not contents:
            return
        try:
            write_usual(self._path, contents)
        except OSError as error:
            if not self._has_failed:
                self._tell(f"{self._path}: usual values cannot be kept: {error.strerror or error}")
            self._has_failed = True
