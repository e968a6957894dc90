"""The token file: a token read, written so that no crash can lose it, and one refresher at a time.

How it works: a refresh token serves once, and its successor exists nowhere but in the answer that brought it. So the
new file is written whole beside the old one, forced to disk, and only then takes its name: at every moment the name
holds either the old token or the new one. Who refreshes holds a lock on `<token file>.lock`, which the system takes
back when its holder dies, and reads the file again under it: another process may have been first.
A symlinked token file stays a link; the file it leads to is replaced, and locked.
"""

import errno
import json
import math
import os
import stat
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from filelock import FileLock, Timeout

from bot.config.errors import ConfigError, TokenFileBusy, TokenFileMissing

_KEYS = ("access_token", "refresh_token", "expires_at")
_CANNOT_SYNC_FOLDERS = (errno.EINVAL, errno.ENOTSUP)


@dataclass(frozen=True, slots=True)
class Token:
    """An access token. `repr` shows no secret.

    Units: `expires_at` in seconds since the epoch.
    Missing: `refresh_token` and `expires_at` are None for a token given in the config, which is never refreshed.
    """

    access_token: str = field(repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    expires_at: float | None = None

    @property
    def expires_ns(self) -> int | None:
        """When it expires in whole seconds, UTC nanoseconds; None when unknown, which 0 in a file says, too."""
        return int(self.expires_at) * 1_000_000_000 if self.expires_at else None


def read_token_file(path: Path) -> Token:
    """Return the token in a token file.

    Raises: TokenFileMissing when there is no such file; ConfigError, one line without the token, when it cannot be
        read, is malformed, or others can read it.
    """
    try:
        with path.open(encoding="utf-8") as file:
            # The open file is asked, not its name: nobody can swap it between the check and the reading.
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if os.name == "posix" and mode & 0o077:
                raise ConfigError(f"{path}: others can read the token file (mode {mode:04o}); run: chmod 600 {path}")
            text = file.read()
    except FileNotFoundError:
        raise TokenFileMissing(f"{path}: there is no token file; run: microlev auth login CONFIG") from None
    except OSError as error:
        raise ConfigError(f"{path}: the token file cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: the token file is not UTF-8 text") from None
    return _parse_token(text, path)


def write_token_file(path: Path, token: Token) -> None:
    """Put a token into its file, durably: when this returns, it survives a power cut. Call it under the `TokenLock`.

    The file is readable by its owner alone from its first byte, and so is its folder when it has to be made. Keys of
    the old file that are not the token's are kept.

    Raises: ConfigError, one line without the token; the old file is then still whole.
    """
    target = _target(path)
    temporary: str | None = None
    try:
        _make_folder(target.parent)
        text = json.dumps(_content(target, token), indent=2) + "\n"
        descriptor, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)  # mode 0600
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
        temporary = None
        _sync_folder(target.parent)
    except OSError as error:
        raise ConfigError(f"{path}: the token file cannot be written: {error.strerror or error}") from None
    finally:
        if temporary is not None:
            with suppress(OSError):
                os.unlink(temporary)


def check_replaceable(path: Path) -> None:
    """Find out whether a token could be written to this path, before one is asked for.

    Raises: ConfigError when its folder cannot be written to, or the path holds something that is no token file.
    """
    target = _target(path)
    try:
        _make_folder(target.parent)
        descriptor, probe = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        os.close(descriptor)
        os.unlink(probe)
        text = target.read_text(encoding="utf-8") if target.exists() else ""
    except OSError as error:
        raise ConfigError(f"{path}: the token file cannot be written: {error.strerror or error}") from None
    except UnicodeDecodeError:
        text = "not a token"
    if text.strip() and _object_in(text) is None:
        raise ConfigError(
            f"{path}: credentials.token_file holds something that is no token file (no JSON object); "
            "move it away, or name another file"
        )


def _target(path: Path) -> Path:
    target = Path(os.path.realpath(path))
    if target.is_symlink():
        raise ConfigError(f"{path}: the token file is a link that leads in a circle")
    return target


def _make_folder(folder: Path) -> None:
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for each in reversed(missing):
        each.mkdir(mode=0o700, exist_ok=True)


def _content(target: Path, token: Token) -> dict[str, Any]:
    expires_at = token.expires_at
    if expires_at is not None and expires_at == int(expires_at):
        expires_at = int(expires_at)
    values = (token.access_token, token.refresh_token, expires_at)
    content: dict[str, Any] = dict(zip(_KEYS, values, strict=True))
    try:
        old = _object_in(target.read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeDecodeError):
        old = {}  # nothing there, or nothing to keep
    return content | {key: kept for key, kept in old.items() if key not in _KEYS}


def _object_in(text: str) -> dict[str, Any] | None:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        return  # Windows writes a folder's entries through by itself, and opens no folder
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _CANNOT_SYNC_FOLDERS:
            raise
    finally:
        os.close(descriptor)


class TokenLock:
    """One refresher per token file, over all processes. Killing its holder frees it.

    As a context manager it waits up to `timeout_s` seconds. `try_acquire` does not wait: hold it, read the file again,
    refresh, write, `release`. One object is one holder; it need not be released in the thread that acquired it.
    """

    def __init__(self, path: Path, *, timeout_s: float = 10.0) -> None:
        target = _target(path)
        self._path = path
        self._timeout_s = timeout_s
        self._folder = target.parent
        # Without flock the library would take a lock that survives its holder: rather none at all.
        self._lock = FileLock(f"{target}.lock", mode=0o600, thread_local=False, fallback_to_soft=False)

    def try_acquire(self) -> bool:
        """Take the lock if it is free; return whether this object holds it now.

        Raises: ConfigError when the lock file cannot be made.
        """
        return self._acquire(0.0)

    def release(self) -> None:
        """Give the lock back; without it, nothing happens."""
        self._lock.release(force=True)

    def __enter__(self) -> Self:
        """Wait for the lock.

        Raises: TokenFileBusy when another process keeps it for longer than `timeout_s`.
        """
        if not self._acquire(self._timeout_s):
            raise TokenFileBusy(
                f"{self._path}: another process has been using the token file for {self._timeout_s:g} s; "
                "try again when it is done"
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Release the lock."""
        self.release()

    def _acquire(self, timeout_s: float) -> bool:
        if self._lock.is_locked:
            return True
        try:
            _make_folder(self._folder)
            self._lock.acquire(timeout=timeout_s)
        except Timeout:
            return False
        except (OSError, NotImplementedError) as error:
            said = getattr(error, "strerror", None) or error
            raise ConfigError(f"{self._path}.lock: the token file cannot be locked: {said}") from None
        return True


def _parse_token(text: str, path: Path) -> Token:
    try:
        content: Any = json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigError(f"{path}:{error.lineno}: the token file is not JSON: {error.msg}") from None
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: the token file should hold one JSON object with access_token")
    access_token = content.get("access_token")
    if not isinstance(access_token, str) or not access_token:
        raise ConfigError(f"{path}: access_token is missing; it should be text")
    refresh_token = content.get("refresh_token")
    if refresh_token is not None and not isinstance(refresh_token, str):
        raise ConfigError(f"{path}: refresh_token should be text or null")
    expires_at = content.get("expires_at")
    if expires_at is not None and not _is_number(expires_at):
        raise ConfigError(f"{path}: expires_at should be seconds since 1970, or null")
    return Token(access_token, refresh_token or None, None if expires_at is None else float(expires_at))


def _is_number(given: Any) -> bool:
    return isinstance(given, int | float) and not isinstance(given, bool) and math.isfinite(given)
