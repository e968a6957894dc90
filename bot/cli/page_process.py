"""The dashboard as a process beside a demo: it starts at once, ends with the demo, and may die alone."""

import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

_PATIENCE_S = 5.0


class PageProcess:
    """`microlev dashboard` for the bot that keeps its state in a folder, now or later.

    How it works: the page's process holds the other end of a pipe and ends with it, so it cannot outlive us, however we
    end. It is in a session of its own: Ctrl-C is for us. What it says goes through us, or it would be drawn over by the
    live table.

    Args: `tell` takes a line for a person, from a thread of its own; `options` are those of `microlev dashboard`.
    """

    def __init__(self, state_file: Path, options: Sequence[str], tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._is_ending = False
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bot", "dashboard", str(state_file), "--with-parent", *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self._listener = threading.Thread(target=self._listen, name="dashboard", daemon=True)
        self._listener.start()

    @property
    def process_id(self) -> int:
        """The number of the page's process."""
        return self._process.pid

    def end(self) -> None:
        """End the page's process, kindly first."""
        self._is_ending = True
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._listener.join(_PATIENCE_S)

    def _listen(self) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as lines:
            for line in lines:
                self._tell(line.decode(errors="replace").rstrip())
        code = self._process.wait()
        if not self._is_ending:
            self._tell(f"the dashboard has ended (exit code {code}); the demo goes on")
