"""Asks a running bot over its control socket: one request, one reply, without a reactor."""

import json
import os
import socket
import time
from pathlib import Path
from typing import Any

from bot.net.control_place import find_socket, has_unix_sockets, is_same_user, names_to_ask

REPLY_WITHIN_S = 10.0
_LONGEST_REPLY = 4_000_000


class NotReachable(Exception):
    """No running bot answers; the text says why, in one line."""


class Refused(Exception):
    """The bot answered, and did not do what was asked; the text says why, in one line."""


def ask(
    directory: Path, account_id: int | None, command: str, *, reason: str = "", within_s: float = REPLY_WITHIN_S
) -> dict[str, Any]:
    """Return the state of the bot that keeps its state in a folder, after it has done what a command asks for.

    Args: `account_id` must be that of the bot when both are known.
    Raises: NotReachable, Refused.
    """
    if not has_unix_sockets():
        raise NotReachable("this platform has no Unix sockets")
    request = json.dumps({"command": command, "account_id": account_id, "reason": reason}).encode() + b"\n"
    why = "there is no control socket"
    for name in names_to_ask(account_id):
        path = find_socket(directory, name)
        if path is None:
            continue
        reply = _exchange(path, request, within_s)
        if reply is None:
            why = f"nobody serves {path} any more"
            continue
        try:
            content = json.loads(reply)
            if content["ok"]:
                return dict(content["status"])
            if not content.get("other_account", False):
                raise Refused(str(content["error"]))
            why = str(content["error"])
        except (ValueError, TypeError, KeyError):
            raise NotReachable(f"{path} gave no answer that can be read") from None
    raise NotReachable(why)


def _exchange(path: Path, request: bytes, within_s: float) -> bytes | None:
    until_s = time.monotonic() + within_s
    reply = bytearray()
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(within_s)
            connection.connect(os.fspath(path))
            if not is_same_user(connection):
                raise NotReachable(f"{path} is served by another user")
            connection.sendall(request)
            while not reply.endswith(b"\n"):
                connection.settimeout(max(until_s - time.monotonic(), 0.001))
                part = connection.recv(65_536)
                if not part or len(reply) > _LONGEST_REPLY:
                    break
                reply += part
    except TimeoutError:
        raise NotReachable(f"{path} did not answer within {within_s:g} s") from None
    except ConnectionRefusedError:
        return None
    except OSError as error:
        raise NotReachable(f"{path}: {error.strerror or error}") from None
    return bytes(reply)
