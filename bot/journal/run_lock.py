"""Whose a recorded run is: a lock of the operating system, which a process that dies gives up by dying."""

import os
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from bot.journal.format import JournalError

LOOKING_S = 2.0
"""For so long the lock of a new run is waited for: who only looks whether it is recorded holds it for a moment."""


class RunLock:
    """The right to change a run's files. Whoever records it holds the lock from before its first file is made."""

    def __init__(self, folder: Path, run_id: str, *, wait_s: float = 0.0) -> None:
        """Take the lock. Args: `wait_s`: for so long another may have it.

        Raises: RunInUse when another has it; JournalError when there can be no lock.
        """
        self._path = folder / f"{run_id}.lock"
        # As in `ledger_file`: without flock the library would take a lock that survives its holder.
        self._lock = FileLock(f"{self._path}", mode=0o600, thread_local=False, fallback_to_soft=False)
        try:
            self._lock.acquire(timeout=wait_s)
        except Timeout:
            raise RunInUse(f"the recording {run_id} in {folder} is being written by another process") from None
        except (OSError, NotImplementedError) as error:
            said = getattr(error, "strerror", None) or error
            raise JournalError(f"cannot lock the recording {run_id} in {folder}: {said}") from error

    def release(self, *, is_done: bool) -> None:
        """Give up the lock, and take its file away when there is nothing left to do for the run.

        Somebody who has opened that file and waits for it sees that it is gone, and makes it anew.
        """
        if is_done and os.name == "posix":  # elsewhere a file that is open cannot be removed
            with suppress(OSError):
                self._path.unlink(missing_ok=True)
        self._lock.release(force=True)


class RunInUse(JournalError):
    """Another process records this run."""


def is_recorded_now(folder: Path, run_id: str) -> bool:
    """Tell whether somebody records a run at this moment. A lock that a dead recorder has left goes."""
    if not (folder / f"{run_id}.lock").exists():
        return False
    try:
        RunLock(folder, run_id).release(is_done=True)
    except RunInUse:
        return True
    except JournalError:
        return False  # a folder that can only be read: nobody records there
    return False
