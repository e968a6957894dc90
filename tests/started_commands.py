"""Commands as processes of their own, and where a demo among them has its telemetry."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LIMIT_S = 60
LINK = re.compile(r"^dashboard: (http://127\.0\.0\.1:\d+)/\?token=([\w-]+)$")


class Started:
    """A command as a process; `err` is what it has said on standard error so far."""

    def __init__(self, *arguments: object, folder: Path, **environment: str) -> None:
        self.began_s = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bot", *map(str, arguments)],
            cwd=ROOT,
            env=os.environ | {"XDG_STATE_HOME": str(folder / "state"), "TMPDIR": str(folder)} | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.err: list[str] = []

    @property
    def age_s(self) -> float:
        return time.monotonic() - self.began_s

    def line(self, pattern: re.Pattern[str]) -> re.Match[str]:
        """The first line on standard error that matches, read before or not: two may come in either order."""
        for text in self.err:
            if match := pattern.search(text):
                return match
        assert self.process.stderr is not None
        for text in self.process.stderr:
            self.err.append(text.rstrip("\n"))
            if match := pattern.search(self.err[-1]):
                return match
        pytest.fail(f"it ended with {self.err}")

    def end(self, limit_s: float = LIMIT_S) -> tuple[int, str, list[str]]:
        try:
            out, err = self.process.communicate(timeout=limit_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
            pytest.fail(f"{self.process.args} was still there after {limit_s} s")
        self.err += err.splitlines()
        return self.process.returncode, out, self.err

    def children(self) -> list[int]:
        text = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text(encoding="utf-8")
        return [int(number) for number in text.split()]


def telemetry_of(folder: Path) -> Path:
    """The state folder of the demo that runs."""
    (found,) = folder.glob("microlev-demo-*/telemetry.json")
    return found.parent
