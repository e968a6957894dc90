"""`microlev sim` as a process of its own, for as long as a `with` block lasts."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
STOP_WITHIN_S = 20


@contextmanager
def running_venue(*options: str) -> Iterator[dict[str, Any]]:
    """Give the ready line of a venue that serves until the block ends; it must then stop with exit code 0."""
    command = [sys.executable, "-m", "bot", "sim", *options]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            yield json.loads(server.stdout.readline())
            server.terminate()
            assert server.wait(STOP_WITHIN_S) == 0
        finally:
            server.kill()
