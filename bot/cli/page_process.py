"""The dashboard as a process beside a demo: it starts at once, ends with the demo, and may die alone."""

import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from bot.cli.dashboard import LINK_IS

_PATIENCE_S = 5.0


def page_command(state_file: Path, *options: str) -> list[str]:
    """Return what shows the bot of a `telemetry.json`, which may not be there yet, and ends with its input."""
    return [sys.executable, "-m", "bot", "dashboard", str(state_file), "--with-parent", *options]


class PageProcess:
    """The process of a page.

    How it works: the page's process holds the other end of a pipe and ends with it, so it cannot outlive us, however we
    end. It is in a session of its own: Ctrl-C is for us. What it says goes through us, or it would be drawn over by the
    live table.

    `link` opens the page; None before it can be opened, and after its process has ended.

    Args: `command` as `page_command` makes it; `tell` takes a line for a person, from a thread of its own.
    """

    def __init__(self, command: Sequence[str], tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._is_ending = False
        self.link: str | None = None
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self._listener = threading.Thread(target=self._listen, name="dashboard", daemon=True)
        self._listener.start()

    @property
    def exit_code(self) -> int | None:
        """The exit code of the page's process; None while it lives."""
        return self._process.poll()

    def end(self) -> None:
        """End the page's process, kindly first."""
        self._is_ending = True
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._listener.join(_PATIENCE_S)

    def _listen(self) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as lines:
            for each in lines:
                line = each.decode(errors="replace").rstrip()
                if line.startswith(LINK_IS):
                    self.link = line.removeprefix(LINK_IS)
                self._tell(line)
        code = self._process.wait()
        self.link = None
        if not self._is_ending:
            self._tell(f"the dashboard has ended (exit code {code}); the demo goes on")
