"""The peers' environments: one virtual environment each, with pinned releases, made by `uv` and kept in `.bench`.

How it works: the pins name everything that is installed, so nothing is resolved. A stamp in the environment remembers
what was installed; when it still fits, the environment is used as it is.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from dev import BIN, EXE
from filelock import FileLock, Timeout

ROOT = Path(__file__).resolve().parent.parent.parent
CACHE = ROOT / ".bench"
INSTALL_WITHIN_S = 600
_PINS = Path(__file__).resolve().parent / "pins"
_SDK_PINS = ROOT / "tests" / "interop" / "pins" / "official_sdk.txt"
_REASON_LETTERS = 300


class NotInstalled(Exception):
    """A peer cannot be installed here; the text is the reason, in one line and without addresses."""


@dataclass(frozen=True)
class Environment:
    """What a peer is run with. `instead` replaces pins, by project name."""

    name: str
    pins: Path
    instead: Mapping[str, str] = field(default_factory=dict)

    def requirements(self) -> str:
        """Return the pins in force, one a line."""
        lines = []
        for line in self.pins.read_text(encoding="utf-8").splitlines():
            pin = line.partition("#")[0].strip()
            if pin:
                project, _, pinned = pin.partition("==")
                lines.append(f"{project}=={self.instead.get(project, pinned)}")
        return "\n".join(lines) + "\n"


ENVIRONMENTS = {
    environment.name: environment
    for environment in (
        Environment("sdk", _SDK_PINS),
        Environment("sdk-upb", _SDK_PINS, {"protobuf": version("protobuf")}),
        Environment("nautilus", _PINS / "nautilus.txt"),
        Environment("hftbacktest", _PINS / "hftbacktest.txt"),
    )
}


def installed(environment: Environment, cache: Path = CACHE) -> str:
    """Return the environment's Python, after making it where it is missing or out of date; one process at a time.

    Raises: NotInstalled.
    """
    cache.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(cache / f"{environment.name}.lock", timeout=INSTALL_WITHIN_S):
            return _installed(environment, cache)
    except Timeout:
        raise NotInstalled(f"another program has been installing it for {INSTALL_WITHIN_S} s") from None


def _installed(environment: Environment, cache: Path) -> str:
    folder = cache / environment.name
    python, stamp = folder / BIN / f"python{EXE}", folder / "bench-stamp"
    wanted = hashlib.sha256(f"{environment.requirements()}{sys.version}{sys.platform}".encode()).hexdigest()
    if python.exists() and stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return str(python)
    shutil.rmtree(folder, ignore_errors=True)
    own: str = getattr(sys, "_base_executable", None) or sys.executable
    uv = _uv(own)
    # Our own pyproject.toml overrides some pins; uv looks for it from where it is started.
    with tempfile.TemporaryDirectory() as elsewhere:
        pins = Path(elsewhere) / "pins.txt"
        pins.write_text(environment.requirements(), encoding="utf-8")
        _run([uv, "venv", "--quiet", "--python", own, str(folder)], elsewhere)
        _run([uv, "pip", "install", "--quiet", "--no-deps", "--python", str(python), "-r", str(pins)], elsewhere)
    stamp.write_text(wanted, encoding="utf-8")
    return str(python)


def _uv(python: str) -> str:
    """Return the uv that `scripts/dev.py` uses, asked of a Python that has pip to get it with."""
    ask = "import dev; print(dev.find_uv())"
    done = subprocess.run([python, "-c", ask], cwd=ROOT / "scripts", capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotInstalled(f"there is no uv: {in_one_line(done.stderr)}")
    return done.stdout.strip()


def _run(command: Sequence[str], folder: str) -> None:
    # An active environment would be taken for the target.
    clean = {name: content for name, content in os.environ.items() if name != "VIRTUAL_ENV"}
    try:
        done = subprocess.run(
            command, cwd=folder, env=clean, capture_output=True, text=True, timeout=INSTALL_WITHIN_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise NotInstalled(f"not within {INSTALL_WITHIN_S} s") from None
    if done.returncode:
        raise NotInstalled(in_one_line(done.stderr or done.stdout))


def in_one_line(words: str) -> str:
    """Return the end of a program's last words in one line, without addresses and folders of this machine."""
    plain = re.sub(r"\w+://\S+", "(address)", " ".join(words.split()))
    plain = re.sub(r"(?<!\S)['\"`(]*(/[^\s/]+){2,}\S*", "(path)", plain)
    return plain[-_REASON_LETTERS:] or "it says nothing"
