"""Where a bot's telemetry listens, and the token that it asks for.

How it works: a bot writes `telemetry.json` into its state folder when it listens. The file is read again at every
attempt, so a bot that was started anew is found with its new address and token.

Invariant: a token goes nowhere but to this machine, or over TLS.
"""

import json
import os
import socket
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

FILE_NAME = "telemetry.json"
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_LONGEST = 65_536
_PROBE_S = 0.5


class PlaceUnknown(Exception):
    """There is nowhere to connect to; the text says why, in one line without a secret."""


@dataclass(frozen=True, slots=True)
class Place:
    """Address and token of one bot. `repr` shows no secret. Args: `url` without a slash at its end."""

    url: str
    token: str = field(repr=False)


Places = Callable[[], Place]
"""Says where the bot is now. Raises: PlaceUnknown."""


def checked_url(url: str) -> str:
    """Return an address of telemetry without a slash at its end.

    Raises: ValueError, one line, for one that is none, or that would carry the token in the clear to another machine.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        parts, host = urlsplit(""), None
    if parts.scheme not in ("http", "https") or not host or parts.path.strip("/"):
        raise ValueError("the address must be http://127.0.0.1:PORT or https://HOST:PORT")
    if parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError("the address must hold nothing but host and port; the token is given apart")
    if parts.scheme == "http" and host not in _LOOPBACK:
        raise ValueError(f"{host} is another machine: its address must be https, or the token could be read on the way")
    return f"{parts.scheme}://{parts.netloc}"


def read_place(path: Path) -> Place:
    """Return the place in a `telemetry.json`. Raises: PlaceUnknown, also for a bot that is gone."""
    try:
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
        with os.fdopen(os.open(path, flags), "rb") as file:
            _refuse_others(path, os.fstat(file.fileno()))
            content = json.loads(file.read(_LONGEST))
        url, token, process_id = content["url"], content["token"], content.get("process_id")
        if not isinstance(url, str) or not isinstance(token, str) or not token:
            raise PlaceUnknown(f"{path} holds no address and token")
        place = Place(checked_url(url), token)
    except OSError as error:
        raise PlaceUnknown(f"{path}: {error.strerror or error}") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise PlaceUnknown(f"{path} holds no address and token") from None
    if isinstance(process_id, int) and not _lives(process_id):
        raise PlaceUnknown(f"{path} was left by a bot that is gone")
    return place


def is_reachable(place: Place) -> bool:
    """Return whether anybody listens at a place."""
    parts = urlsplit(place.url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((str(parts.hostname), port), _PROBE_S).close()
    except OSError:
        return False
    return True


def running_bots(states: Path) -> list[Path]:
    """Return the `telemetry.json` of every bot that listens and keeps its state below a folder."""
    found = []
    for path in sorted(states.glob(f"*/{FILE_NAME}")):
        try:
            place = read_place(path)
        except PlaceUnknown:
            continue
        if is_reachable(place):
            found.append(path)
    return found


def _refuse_others(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise PlaceUnknown(f"{path} is no file")
    if os.name == "posix" and (found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077):
        raise PlaceUnknown(f"{path} belongs to others, or they can read it")


def _lives(process_id: int) -> bool:
    """Return whether a process of ours may be there; where nobody can say, it may."""
    if os.name != "posix" or process_id <= 0:
        return os.name != "posix"
    try:
        os.kill(process_id, 0)
    except OSError:
        return False  # gone, or by now the number of somebody else's process
    return True
