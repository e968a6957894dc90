"""The stop file: a file whose being there halts trading, for when nothing else reaches the bot.

Anything at its path that may be a stop file is one: a file that cannot be read, a folder, a link to nowhere.
"""

import contextlib
import os
import re
from pathlib import Path

STOP_FILE_NAME = "stop"
_READ_BYTES = 4096
_FLATTEN = re.compile(rb"\bflatten\b", re.IGNORECASE)


class StopFile:
    """Looks at the stop file of a state directory. `command` is what it asked for when it was looked at last."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / STOP_FILE_NAME
        self.command: str | None = None

    def look(self) -> bool:
        """Look whether the file is there, and what it says; return whether `command` is another than before."""
        before, self.command = self.command, self._read()
        return self.command != before

    def remove(self) -> None:
        """Take the file away, if it is there: a person wants to go on.

        Raises: OSError when it cannot be taken away.
        """
        self.path.unlink(missing_ok=True)
        self.command = None

    def _read(self) -> str | None:
        try:
            # A pipe that nobody writes to must not stop the run.
            descriptor = os.open(self.path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        except FileNotFoundError:
            return "halt" if self.path.is_symlink() else None
        except OSError:
            return "halt"
        try:
            content = os.read(descriptor, _READ_BYTES)
        except OSError:
            return "halt"
        finally:
            with contextlib.suppress(OSError):
                os.close(descriptor)
        return "flatten" if _FLATTEN.search(content) else "halt"
