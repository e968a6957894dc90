"""Set the project up and run it: `python scripts/dev.py demo`, `python scripts/dev.py test`. Python 3.11+ and pip only.

    demo [ARGS…]      the bot against its own embedded venue: microlev demo ARGS
    test [ARGS…]      the fast tests, on all cores; ARGS go to pytest (`-n 0` for one core, as a debugger needs)
    check [ARGS…]     everything CI checks: scripts/check ARGS
    microlev ARGS…    any microlev command
    run -- ARGS…      any program of the environment: python, pytest, mypy …
    lock              make requirements.lock anew from pyproject.toml

How it works: the environment is .venv, installed from requirements.lock with hashes by `uv`. Without a `uv` on the PATH
one is installed into .tools, so nothing outside this folder changes. A stamp in .venv remembers what was installed:
when it still fits, the command starts at once. Another remembers which numeric loops were compiled.
"""

from __future__ import annotations  # so that an old Python gets as far as our message about its version

import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
TOOLS = ROOT / ".tools" / "uv"
LOCK = ROOT / "requirements.lock"
STAMP = VENV / "microlev-stamp"
LOOPS_STAMP = VENV / "microlev-loops"
LOOP_FOLDERS = (ROOT / "bot", ROOT / "strategies")
LEAST_PYTHON = (3, 11)
UV_VERSION = "0.13.9"
LEAST_UV = (0, 5)
PARALLEL = ("-n", "auto", "--maxprocesses", "8", "--dist", "worksteal")
BIN = "Scripts" if os.name == "nt" else "bin"
EXE = ".exe" if os.name == "nt" else ""
PYTHON = VENV / BIN / f"python{EXE}"


class SetupFailed(Exception):
    """The environment could not be made; the text is the one line to show."""


def say(text: str) -> None:
    print(f"dev.py: {text}", file=sys.stderr, flush=True)


def quiet(command: Sequence[str], what: str) -> None:
    """Run a step; when it fails show its own last words and raise one line."""
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        words = [line for line in done.stdout.splitlines() if line.strip()]
        print("\n".join(words[-8:]), file=sys.stderr)
        raise SetupFailed(f"{what} failed (see above); is the network there? Run the same command again to go on.")


def uv_version(uv: str) -> tuple[int, ...]:
    """Return the version of a uv binary; () when it does not run."""
    try:
        words = subprocess.run([uv, "--version"], capture_output=True, text=True, check=True).stdout.split()
        return tuple(int(part) for part in words[1].split(".")[:2])
    except (OSError, subprocess.CalledProcessError, IndexError, ValueError):
        return ()


def find_uv() -> str:
    """Return a usable uv: the one on the PATH, else our own under .tools, installed there when it is missing."""
    on_path = shutil.which("uv")
    if on_path and uv_version(on_path) >= LEAST_UV:
        return on_path
    own = TOOLS / "bin" / f"uv{EXE}"  # `pip install --target` says bin on Windows, too
    if not uv_version(str(own)):
        say(f"getting uv {UV_VERSION} into .tools (nothing else on this machine is changed)")
        if subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True, check=False).returncode:
            raise SetupFailed("this Python has no pip and there is no uv on the PATH; install either and run again")
        shutil.rmtree(TOOLS, ignore_errors=True)
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        quiet([*pip, "--target", str(TOOLS), f"uv=={UV_VERSION}"], "pip install uv")
    return str(own)


def wanted_stamp() -> str:
    digest = hashlib.sha256()
    for part in (LOCK, ROOT / "pyproject.toml"):
        digest.update(part.read_bytes())
    return f"{digest.hexdigest()} python {sys.version_info.major}.{sys.version_info.minor} {sys.platform}\n"


def installed_stamp() -> str:
    try:
        return STAMP.read_text(encoding="utf-8")
    except OSError:
        return ""


def set_up() -> None:
    """Make .venv what the lock says; return at once when it is already."""
    stamp = wanted_stamp()
    if installed_stamp() == stamp and PYTHON.exists():
        compile_loops()
        return
    began = time.monotonic()
    uv = find_uv()
    # Run from inside a virtual environment (perhaps .venv itself), its parent is what a new one is made from.
    python: str = getattr(sys, "_base_executable", None) or sys.executable
    STAMP.unlink(missing_ok=True)
    say("making .venv")
    if not runs_this_python(PYTHON):
        shutil.rmtree(VENV, ignore_errors=True)
        quiet([uv, "venv", "--quiet", "--python", python, str(VENV)], "making .venv")
    say("installing the exact versions of requirements.lock (a minute or two the first time)")
    install = [uv, "pip", "--quiet"]
    target = ["--python", str(PYTHON)]
    quiet([*install, "sync", *target, "--require-hashes", str(LOCK)], "installing requirements.lock")
    quiet([*install, "install", *target, "--no-deps", "--no-build-isolation", "--editable", str(ROOT)], "installing")
    compile_loops()
    STAMP.write_text(stamp, encoding="utf-8")
    say(f"ready after {time.monotonic() - began:.0f} s")


def compile_loops() -> None:
    """Compile the numeric loops, unless they have been since their source last changed.

    What is kept of a loop knows when its own file has changed, and not when one it calls into has: all of it goes.
    """
    stamp = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(loop_sources()))).hexdigest()
    if LOOPS_STAMP.exists() and LOOPS_STAMP.read_text(encoding="utf-8") == stamp:
        return
    say("compiling the numeric loops (once; they are kept beside the source)")
    for folder in LOOP_FOLDERS:
        for kept in folder.glob("**/__pycache__/*.nb[ci]"):
            kept.unlink()
    quiet([str(PYTHON), "-c", "from bot.app import warm_up; warm_up()"], "compiling")
    LOOPS_STAMP.write_text(stamp, encoding="utf-8")


def loop_sources() -> set[Path]:
    """Return the files that make a loop what it is: its own, and those it imports from, for constants and layouts."""
    root = LOOP_FOLDERS[0].parent
    waiting = [path for folder in LOOP_FOLDERS for path in folder.glob("**/*.py") if b"njit" in path.read_bytes()]
    found: set[Path] = set()
    while waiting:
        path = waiting.pop()
        if path not in found and path.is_file():
            found.add(path)
            names = re.findall(r"^from ([\w.]+) import", path.read_text(encoding="utf-8"), re.MULTILINE)
            waiting += [root.joinpath(*name.split(".")).with_suffix(".py") for name in names]
    return found


def runs_this_python(python: Path) -> bool:
    """Tell whether an environment's interpreter starts and has the version of this one."""
    ask = "import sys; print(*sys.version_info[:2])"
    try:
        done = subprocess.run([python, "-c", ask], capture_output=True, text=True, check=False)
    except OSError:
        return False
    return done.returncode == 0 and done.stdout.split() == [str(part) for part in sys.version_info[:2]]


def lock() -> None:
    say("resolving pyproject.toml into requirements.lock")
    options = ["--universal", "--python-version", "3.11", "--generate-hashes", "--upgrade"]
    # Neither the registry nor this machine may show in the lock: it must serve behind any mirror.
    options += ["--no-emit-index-url", "--no-emit-find-links", "--no-annotate", "--no-header"]
    extras = [word for extra in ("research", "dashboard", "alerts") for word in ("--extra", extra)]
    command = [find_uv(), "pip", "compile", "pyproject.toml", "--group", "dev", *extras, *options]
    quiet([*command, "--quiet", "--output-file", str(LOCK)], "resolving")


def hand_over(command: Sequence[str]) -> int:
    """Become the command where the system can, else run it; either way its exit code is ours."""
    sys.stdout.flush()
    if os.name == "posix":
        os.execv(command[0], list(command))
    child = subprocess.Popen(command)
    while True:
        try:
            return child.wait()
        except KeyboardInterrupt:
            continue  # the child got it as well, and decides how to stop


def keep_bytecode() -> None:
    """Keep compiled modules within .venv where they are not wanted beside their sources.

    Tests start many processes, and pytest takes assertions to pieces; without a cache each of them does it all anew.
    """
    if os.environ.pop("PYTHONDONTWRITEBYTECODE", ""):
        os.environ.setdefault("PYTHONPYCACHEPREFIX", str(VENV / "bytecode"))


def command_for(name: str, rest: list[str]) -> list[str]:
    """Return the command line behind a subcommand of this script."""
    python, microlev = str(PYTHON), str(VENV / BIN / f"microlev{EXE}")
    if name == "demo":
        return [microlev, "demo", *rest]
    if name == "microlev":
        return [microlev, *rest]
    if name == "test":
        return [python, "-m", "pytest", *PARALLEL, "-m", "not slow", *rest]
    if name == "check":
        return [python, str(ROOT / "scripts" / "check"), *rest]
    program, *rest = rest[1:] if rest[:1] == ["--"] else rest
    return [python if program == "python" else str(VENV / BIN / f"{program}{EXE}"), *rest]


def main(arguments: list[str]) -> int:
    """Run a subcommand and return its exit code."""
    if sys.version_info < LEAST_PYTHON:
        have, need = (".".join(map(str, version[:2])) for version in (sys.version_info, LEAST_PYTHON))
        say(f"this is Python {have}; Python {need} or newer is needed (for example: python{need} scripts/dev.py)")
        return 2
    name, *rest = arguments or [""]
    names = ("demo", "test", "check", "microlev", "run", "lock")
    if name in ("-h", "--help", "help"):
        print(__doc__)
        return 0
    if name not in names or (name == "run" and rest in ([], ["--"])):
        say(f"usage: python scripts/dev.py {' | '.join(names)} [ARGS…]; --help tells more")
        return 2
    try:
        if name == "lock":
            lock()
            return 0
        set_up()
        if name in ("test", "check"):
            os.chdir(ROOT)  # the others take paths as seen from where they are called
            keep_bytecode()
        return hand_over(command_for(name, rest))
    except SetupFailed as error:
        say(str(error))
        return 1
    except OSError as error:
        say(f"{error.filename or 'the system'}: {error.strerror or error}")
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
