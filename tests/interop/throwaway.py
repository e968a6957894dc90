"""Environments that last for one test run: another client with its own pinned dependencies, far from ours.

A client that cannot be installed skips its tests with the reason; in CI it fails them. A client that has no Python on
this machine to run on is skipped in both: there is nothing to install it into.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest

PINS = Path(__file__).resolve().parent / "pins"
INSTALL_WITHIN_S = 240
_NODE_CHECK = "process.exit(parseInt(process.versions.node) < 18 ? 1 : 0)"
_SCRIPTS = "Scripts" if sys.platform == "win32" else "bin"


@dataclass(frozen=True)
class NodeFolder:
    """A folder where npm has installed a client, and the node to run it with."""

    node: str
    folder: Path


def unavailable(reason: str) -> NoReturn:
    """Skip the test, or fail it in CI."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def install_python_client(folder: Path, pins: str, base: str = sys.executable) -> str:
    """Make a virtual environment with the releases of `pins`; return its Python."""
    python = folder / _SCRIPTS / "python"
    _install(pins, [base, "-m", "venv", str(folder)])
    _install(pins, [str(python), "-m", "pip", "install", "--quiet", "--no-compile", "-r", str(PINS / pins)])
    return str(python)


def install_node_client(folder: Path, pins: str) -> NodeFolder:
    """Install the npm packages of `pins` into a folder, with this machine's Node or one from the Python index."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None or not _runs([node, "-e", _NODE_CHECK]):
        scripts = Path(install_python_client(folder / "python", "node.txt")).parent
        node, npm = shutil.which("node", path=str(scripts)), shutil.which("npm", path=str(scripts))
        assert node is not None and npm is not None, f"{PINS / 'node.txt'} has brought no node and npm to {scripts}"
    shutil.copy(PINS / pins, folder / "package.json")
    quiet = ["--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel", "error"]
    _install(pins, [npm, "install", *quiet], folder, str(Path(node).parent))
    # The one on the PATH may be a script that starts the real one, and killing it would leave that one running.
    real = subprocess.run([node, "-p", "process.execPath"], capture_output=True, text=True, check=True, timeout=30)
    return NodeFolder(real.stdout.strip(), folder)


def find_python(least: tuple[int, int]) -> str | None:
    """Return a Python of at least a version that can make environments; None when this machine has none."""
    check = f"import ensurepip, sys, venv; sys.exit(sys.version_info < {least})"
    for candidate in _pythons():
        if _runs([candidate, "-c", check]):
            return candidate
    return None


def _pythons() -> Iterator[str]:
    yield sys.executable
    for name in ("python3.12", "python3.13", "python3.14", "python3", "python"):
        if found := shutil.which(name):
            yield found
    # pyenv's own names on the PATH refuse to run a version that is installed but not chosen.
    versions = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    yield from (str(path) for path in sorted(versions.glob("3.1*/bin/python3")))


def _runs(command: Sequence[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False, timeout=30).returncode == 0
    except OSError:
        return False


def _install(what: str, command: Sequence[str], folder: Path | None = None, path_first: str | None = None) -> None:
    environment = dict(os.environ)
    if path_first is not None:  # npm starts `node` by its name
        environment["PATH"] = path_first + os.pathsep + environment.get("PATH", "")
    try:
        subprocess.run(
            command, cwd=folder, env=environment, check=True, timeout=INSTALL_WITHIN_S, capture_output=True, text=True
        )
    except subprocess.TimeoutExpired:
        unavailable(f"{what} was not installed within {INSTALL_WITHIN_S} s")
    except subprocess.CalledProcessError as failure:
        unavailable(f"{what} cannot be installed here: {(failure.stderr or failure.stdout).strip()[-500:]}")
