"""Who may ask a run's telemetry: whoever has the token of its start, by a name of this machine, and not too often.

How it works: a right token always passes, however many wrong ones came before it: nobody can shut the owner out. A
browser's page from elsewhere is turned away before the token is looked at, by the names in its request (a name that
leads here by somebody else's DNS, an `Origin`).
"""

import hmac
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from twisted.logger import Logger

from bot.net.loopback_site import is_asked_by_name

WRONG_TOKENS_A_MINUTE = 10
COMMANDS_A_MINUTE = 10
"""Of each command: whoever repeats one without end does not keep a `halt` away."""
READS_A_SECOND, READS_AT_ONCE = 20, 60
_log = Logger()


class Allowance:
    """So many at once, refilled evenly. Args: `seconds` is a clock that does not go back."""

    def __init__(self, at_once: int, per_s: float, seconds: Callable[[], float]) -> None:
        self._most, self._per_s, self._seconds = float(at_once), per_s, seconds
        self._left, self._at_s = self._most, seconds()

    def take(self) -> bool:
        """Take one, and return whether there was one."""
        now_s = self._seconds()
        self._left = min(self._most, self._left + max(0.0, now_s - self._at_s) * self._per_s)
        self._at_s = now_s
        if self._left < 1:
            return False
        self._left -= 1
        return True

    @property
    def wait_s(self) -> int:
        """Whole seconds until there is one again."""
        return max(1, math.ceil((1 - self._left) / self._per_s))


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not answered. `wait_s` is there when another one may be, after so many seconds."""

    status: int
    text: str
    wait_s: int | None = None


class Access:
    """Decides on every request of one run's telemetry.

    Args: `is_exposed` lets requests pass that name another host than this machine; `name` starts lines in the log.
    """

    def __init__(self, token: str, seconds: Callable[[], float], *, is_exposed: bool, name: str = "") -> None:
        self._authorization = f"Bearer {token}".encode()
        self._is_exposed = is_exposed
        self._name = name
        self._wrong = Allowance(WRONG_TOKENS_A_MINUTE, WRONG_TOKENS_A_MINUTE / 60, seconds)
        self._reads = Allowance(READS_AT_ONCE, READS_A_SECOND, seconds)
        self._seconds = seconds
        self._commands: dict[str, Allowance] = {}
        self._is_told = False

    def refusal(self, request: Any) -> Refusal | None:
        """Return why a request is turned away, or None for one that has the token."""
        if not self._is_exposed and not is_asked_by_name(request):
            return Refusal(403, "served on this machine only, by the name localhost or its address")
        if request.getHeader("origin") is not None:
            return Refusal(403, "not served to pages of a browser")
        given = (request.getHeader("authorization") or "").encode("utf-8", "replace")
        if hmac.compare_digest(given, self._authorization):
            return None
        if self._wrong.take():
            return Refusal(401, "the token is missing or wrong; telemetry.json in the state folder has it")
        if not self._is_told:
            self._is_told = True
            _log.warn("{name}telemetry: somebody asks again and again without the token", name=self._name)
        return Refusal(429, "too many requests without the token", self._wrong.wait_s)

    def read_refusal(self) -> Refusal | None:
        """Return why nothing is shown now, or None."""
        return None if self._reads.take() else Refusal(429, "too many requests", self._reads.wait_s)

    def command_refusal(self, command: str) -> Refusal | None:
        """Return why a command is not taken now, or None. Args: `command` is one that there is."""
        fresh = Allowance(COMMANDS_A_MINUTE, COMMANDS_A_MINUTE / 60, self._seconds)
        allowance = self._commands.setdefault(command, fresh)
        return None if allowance.take() else Refusal(429, f"too many times {command}", allowance.wait_s)
