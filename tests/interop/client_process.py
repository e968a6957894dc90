"""Another client's session script as a process, one step at a time.

How it works: the script gets the venue's ready line, prints a JSON line for each step and waits for a line before it
goes on. Between `next_step` and `go_on` it does nothing, so the venue's state is that after the step.
"""

import json
import os
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

FOLDER = Path(__file__).resolve().parent
WHOLE_SESSION_WITHIN_S = 100.0


class ClientProcess:
    """A running session script; use it in a `with` block. It is killed when it takes too long."""

    def __init__(
        self, command: Sequence[str], ready: Mapping[str, Any], environment: Mapping[str, str], folder: Path
    ) -> None:
        self._process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._watchdog = threading.Timer(WHOLE_SESSION_WITHIN_S, self._process.kill)
        self._watchdog.start()
        self._tell(json.dumps(ready))

    def __enter__(self) -> "ClientProcess":
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _failure: BaseException | None, _where: TracebackType | None
    ) -> None:
        self._watchdog.cancel()
        self._watchdog.join()
        self._process.kill()
        with self._process:  # closes the pipes and waits
            pass

    def next_step(self) -> dict[str, Any]:
        """Return the next step that the client has finished; it waits for `go_on` then."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"the client ended after {WHOLE_SESSION_WITHIN_S:.0f} s or by itself; see its standard error"
        step: dict[str, Any] = json.loads(line)
        return step

    def go_on(self) -> None:
        """Let the client do its next step."""
        self._tell("")

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
