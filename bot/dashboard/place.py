"""Where a bot's telemetry listens, and the token that it asks for.

How it works: a bot writes `telemetry.json` into its state folder when it listens. The file is read again at every
attempt, so a bot that was started anew is found with its new address and token.

Invariant: a token goes nowhere but to this machine, or over TLS.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from bot.net.telemetry_file import FILE_NAME, TelemetryFileUnusable, is_served, may_be_served, read_place

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class PlaceUnknown(Exception):
    """There is nowhere to connect to; the text says why, in one line without a secret."""


@dataclass(frozen=True, slots=True)
class Place:
    """Address and token of one bot. `repr` shows no secret.

    Args: `url` has no slash at its end; `certificate_file` is what the bot shows of itself, None where an authority
        that is trusted anyway has signed it.
    """

    url: str
    token: str = field(repr=False)
    certificate_file: Path | None = None


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


def place_in(folder: Path) -> Place:
    """Return where the bot is that keeps its state in a folder. Raises: PlaceUnknown, also for a bot that is gone.

    The bot itself is not asked: one that hangs would hold up the page, and with it whoever wants to see why.
    """
    try:
        found = read_place(folder)
        if found is None:
            raise PlaceUnknown(f"there is no {folder / FILE_NAME}")
        certificate_file = None if found.certificate_file is None else Path(found.certificate_file)
        place = Place(checked_url(found.url), found.token, certificate_file)
    except (TelemetryFileUnusable, ValueError, TypeError) as error:
        raise PlaceUnknown(str(error)) from None
    if not found.token or not may_be_served(found):
        raise PlaceUnknown(f"{folder / FILE_NAME} was left by a bot that is gone")
    return place


def running_bots(states: Path) -> list[Path]:
    """Return the state folder of every bot that listens and keeps its state below a folder."""
    found = []
    for path in sorted(states.glob(f"*/{FILE_NAME}")):
        with suppress(PlaceUnknown, TelemetryFileUnusable):
            place_in(path.parent)
            if (place := read_place(path.parent)) is not None and is_served(place):
                found.append(path.parent)
    return found
