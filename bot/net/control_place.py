"""Where a run's control socket lies, and who may have it.

How it works: the socket is `control.sock` in the run's state directory; if another run has that (a dry run of the same
account, or another account in the same folder), it is one named after account and mode. A lock beside it, held for as
long as the run lives, says whose it is: the kernel lets go of it however a process ends, so what a killed run has left
behind is replaced, and what a living one serves is not. A path that does not fit a socket address gets its socket in a
folder that only this user can enter, under XDG_RUNTIME_DIR or the folder for temporary files; `control.sock.path`,
beside where the socket would be, then holds its path.

Invariant: the socket's folder is ours, and nobody else can put another socket in its place.
"""

import hashlib
import os
import socket
import stat
import struct
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

_NAME = "control.sock"
_LONGEST_ADDRESS = 107 if sys.platform == "linux" else 103
"""Bytes of a path in `sockaddr_un`, its end mark aside. Source: unix(7); on macOS and the BSDs the array has 104."""
_PROBE_S = 0.5


class ControlUnavailable(Exception):
    """There can be no control socket; the text is one line for a person."""


class PlaceTaken(ControlUnavailable):
    """Another run has the place."""


def names_to_serve(account_id: int | None, mode: str) -> tuple[str, ...]:
    """Return the names that a run may give its socket, the one to take first; `mode` is that of its config."""
    return _NAME, f"control-{account_id}-{mode}.sock"


def names_to_ask(account_id: int | None) -> tuple[str, ...]:
    """Return the names of sockets at which a run of an account may be found: one that trades before a dry run."""
    return f"control-{account_id}-trade.sock", _NAME, f"control-{account_id}-dry-run.sock"


def has_unix_sockets() -> bool:
    """Return whether this platform has Unix domain sockets that one can rely on."""
    return hasattr(socket, "AF_UNIX") and os.name == "posix"


def peer_uid(connection: socket.socket) -> int | None:
    """Return the user id of the process at the other end of a Unix socket; None where the platform cannot say.

    Raises: OSError when the platform can, and does not.
    Source: unix(7), SO_PEERCRED, `struct ucred`; macOS and FreeBSD, LOCAL_PEERCRED, `struct xucred`.
    """
    if sys.platform == "linux":
        size = struct.calcsize("3i")
        _, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
        return int(uid)
    if sys.platform == "darwin" or "bsd" in sys.platform:
        version_and_uid = connection.getsockopt(0, 1, 76)[:8]
        return int(struct.unpack("=2I", version_and_uid)[1])
    return None


def is_same_user(connection: socket.socket) -> bool:
    """Return whether the other end of a Unix socket is this user; an answer that cannot be had is no."""
    try:
        uid = peer_uid(connection)
    except OSError:
        return False
    return uid is None or uid == os.geteuid()


def find_socket(directory: Path, name: str) -> Path | None:
    """Return the path of the socket that a run may serve, or None when there is none."""
    path = directory / name
    if _fits(path) and path.is_socket():
        return path
    try:
        elsewhere = Path((directory / f"{name}.path").read_text(encoding="utf-8").strip())
    except (OSError, ValueError):
        return None
    return elsewhere if elsewhere.is_absolute() and elsewhere.is_socket() else None


class ControlPlace:
    """The place of one run's control socket.

    Args: `directory` is the state directory, made if it is missing; of `names` the first that is free is taken.
    """

    def __init__(self, directory: Path, names: Sequence[str]) -> None:
        self._directory = directory
        self._names = names
        self._lock: int | None = None
        self._pointer: Path | None = None

    def take(self) -> Path:
        """Make the place ours and free, and return the path to bind to.

        Raises: ControlUnavailable when other runs have it, or it is not safe there.
        """
        try:
            _make_private(self._directory)
            for name in self._names:
                try:
                    return self._take(name)
                except PlaceTaken as error:
                    self.leave()
                    taken = error
            raise taken
        except OSError as error:
            self.leave()
            raise ControlUnavailable(f"{self._directory}: {error.strerror or error}") from None
        except ControlUnavailable:
            self.leave()
            raise

    def _take(self, name: str) -> Path:
        self._take_lock(name)
        path = self._directory.absolute() / name
        if not _fits(path):
            path = self._elsewhere(path)
        _clear(path)
        return path

    def leave(self) -> None:
        """Let others have the place. The socket itself is taken away by who listens on it."""
        if self._pointer is not None:
            self._pointer.unlink(missing_ok=True)
            self._pointer = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _take_lock(self, name: str) -> None:
        import fcntl

        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self._lock = os.open(self._directory / f"{name}.lock", flags, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            text = f"{self._directory / name} belongs to another run; give each a state.directory of its own"
            raise PlaceTaken(text) from None

    def _elsewhere(self, wanted: Path) -> Path:
        runtime = os.environ.get("XDG_RUNTIME_DIR")
        folder = Path(runtime) / "microlev" if runtime else Path(tempfile.gettempdir()) / f"microlev-{os.geteuid()}"
        _make_private(folder)
        if stat.S_IMODE(folder.stat().st_mode) != 0o700:
            raise ControlUnavailable(f"{folder} can be entered by others; `chmod 700 {folder}`")
        path = folder / f"{hashlib.sha256(os.fsencode(wanted.resolve())).hexdigest()[:16]}.sock"
        if not _fits(path):
            raise ControlUnavailable(f"{wanted} is too long for a socket, and so is {path}; set XDG_RUNTIME_DIR")
        pointer = wanted.with_name(f"{wanted.name}.path")
        unfinished = pointer.with_name(f"{pointer.name}.new")
        unfinished.unlink(missing_ok=True)
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
            out.write(f"{path}\n")
        unfinished.replace(pointer)
        self._pointer = pointer
        return path


def _fits(path: Path) -> bool:
    return len(os.fsencode(path)) <= _LONGEST_ADDRESS


def _make_private(folder: Path) -> None:
    """Make a folder that only we can enter, or see that nobody else can change what is in one that is there."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    found = folder.stat()
    if found.st_uid != os.geteuid():
        raise ControlUnavailable(f"{folder} belongs to another user (id {found.st_uid})")
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise ControlUnavailable(f"{folder} can be written by others; `chmod 700 {folder}`")


def _clear(path: Path) -> None:
    """Take away a socket that nobody serves.

    Raises: PlaceTaken for one that somebody serves, ControlUnavailable for anything else that is there.
    """
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise ControlUnavailable(f"{path} is there and is no socket; take it away")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(_PROBE_S)
        try:
            probe.connect(os.fspath(path))
        except (ConnectionRefusedError, FileNotFoundError):
            path.unlink(missing_ok=True)
            return
        except OSError:
            pass  # whoever does not answer may still be alive
    raise PlaceTaken(f"{path} is served by another process")
