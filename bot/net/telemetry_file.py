"""Where a run's telemetry is, and the token that opens it: `telemetry.json` in the state folder, for its owner alone.

How it works: the file is written whole under another name and then takes its own, so a reader finds all of it or none.
A clean stop takes it away. A run that was killed leaves it: whether somebody is still there tells `is_served`, by the
process and by a connection. Beside it lies the token alone, in the form that Prometheus reads (`credentials_file`).
"""

import errno
import json
import os
import socket
import stat
import tempfile
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

FILE_NAME = "telemetry.json"
TOKEN_NAME = "telemetry.token"
_PROBE_S = 0.5


class TelemetryFileUnusable(ValueError):
    """The file is there and nobody should believe it; the text says why, without the token."""


@dataclass(frozen=True, slots=True)
class TelemetryPlace:
    """Where to ask, and with what. `repr` does not show the token.

    Missing: `account_id` None when the config names none; `certificate_file` None without TLS.
    """

    url: str
    token: str = field(repr=False)
    process_id: int
    account_id: int | None
    run_id: str
    certificate_file: str | None = None


def write_place(directory: Path, place: TelemetryPlace) -> None:
    """Put the file into a state folder, which is made when it is missing.

    Raises: OSError, also for a folder that others can write to: they could put another file in its place.
    """
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    found = directory.stat()
    if os.name == "posix" and (found.st_uid != os.geteuid() or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)):
        raise PermissionError(errno.EPERM, f"others can write to its folder; `chmod 700 {directory}`")
    _write(directory / TOKEN_NAME, place.token)
    _write(directory / FILE_NAME, json.dumps(asdict(place)) + "\n")


def read_place(directory: Path) -> TelemetryPlace | None:
    """Return what a state folder says of telemetry; None when there is no file.

    Raises: TelemetryFileUnusable for a file that is another user's, can be read by others, or says something else.
    """
    path = directory / FILE_NAME
    try:
        with path.open(encoding="utf-8") as file:
            found = os.fstat(file.fileno())
            if os.name == "posix" and (found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077):
                raise TelemetryFileUnusable(f"{path} is not yours alone; take it away")
            content = json.loads(file.read())
        place = TelemetryPlace(**{name: content.get(name) for name in TelemetryPlace.__slots__})
    except FileNotFoundError:
        return None
    except OSError as error:
        raise TelemetryFileUnusable(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, AttributeError, RecursionError) as error:
        if isinstance(error, TelemetryFileUnusable):
            raise
        raise TelemetryFileUnusable(f"{path} is no file of a run's telemetry") from None
    if not (isinstance(place.url, str) and isinstance(place.token, str) and isinstance(place.process_id, int)):
        raise TelemetryFileUnusable(f"{path} is no file of a run's telemetry")
    return place


def may_be_served(place: TelemetryPlace) -> bool:
    """Return whether the process that has written a file may still be there. It is asked nothing, so nothing waits."""
    if os.name == "posix":  # elsewhere the question would end the process
        try:
            os.kill(place.process_id, 0)
        except ProcessLookupError:
            return False
        except (OSError, OverflowError):
            pass  # alive, and another user's; or a number that is no process id
    return True


def is_served(place: TelemetryPlace) -> bool:
    """Return whether the run that has written a file is still there: its process lives, and its port answers."""
    if not may_be_served(place):
        return False
    try:
        address = urlsplit(place.url)
        with socket.create_connection((address.hostname or "", address.port or 0), timeout=_PROBE_S):
            return True
    except (OSError, ValueError):
        return False


def remove_place(directory: Path, place: TelemetryPlace) -> None:
    """Take the file away, unless another run has put its own there meanwhile."""
    with suppress(OSError, TelemetryFileUnusable):
        if read_place(directory) == place:
            for name in (FILE_NAME, TOKEN_NAME):
                (directory / name).unlink(missing_ok=True)


def _write(path: Path, text: str) -> None:
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # mode 0600
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
