"""What a command is waiting for, on one line of the terminal that is written over and taken away at the end."""

import sys

_WIDTH = 78


class Progress:
    """Writes to standard error, and only when that is a terminal. `print` lines through it so that they stay whole."""

    def __init__(self) -> None:
        self._is_shown = sys.stderr.isatty()
        self._is_dirty = False

    def __call__(self, text: str) -> None:
        """Show what is going on now."""
        if self._is_shown:
            print(f"\r{text[:_WIDTH]:<{_WIDTH}}", end="", file=sys.stderr, flush=True)
            self._is_dirty = True

    def clear(self) -> None:
        """Take the line away; do this before printing anything else."""
        if self._is_dirty:
            print(f"\r{'':<{_WIDTH}}\r", end="", file=sys.stderr, flush=True)
            self._is_dirty = False
