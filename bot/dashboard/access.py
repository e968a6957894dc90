"""Who may look: a token that is shown once, a session for whoever has shown it, and little patience with wrong ones.

How it works: a right token always passes, however many wrong ones came before it: nobody can shut the owner out.

Invariant: neither a token nor a session is ever written down: a session lives as long as this process.
"""

import hashlib
import hmac
import secrets
from collections.abc import Callable, Iterable
from typing import Literal

Verdict = Literal["right", "wrong", "too_many"]

_MOST_SESSIONS = 64
_BURST = 5
_EVERY_S = 2.0
"""So many wrong tokens at once are called wrong, and one more every two seconds; of the others nobody says anything."""
RETRY_AFTER_S = round(_EVERY_S)


class Access:
    """Tokens and sessions of one dashboard.

    Args: `tokens` returns those that open it at this moment; `now_s` is a clock that never goes back.
    """

    def __init__(self, tokens: Callable[[], Iterable[str]], now_s: Callable[[], float]) -> None:
        self._tokens, self._now_s = tokens, now_s
        self._sessions: dict[bytes, None] = {}
        self._left, self._looked_s = float(_BURST), now_s()

    def judge(self, token: str) -> Verdict:
        """Return what is to be said of a token that somebody shows."""
        given, is_right = _digest(token), False
        for known in self._tokens():
            is_right |= bool(known) and hmac.compare_digest(given, _digest(known))
        if is_right:
            return "right"
        now_s = self._now_s()
        self._left = min(self._left + (now_s - self._looked_s) / _EVERY_S, _BURST)
        self._looked_s = now_s
        if self._left < 1:
            return "too_many"
        self._left -= 1
        return "wrong"

    def admit(self) -> str:
        """Return the secret of a new session; of too many the oldest ends."""
        session = secrets.token_urlsafe(32)
        self._sessions[_digest(session)] = None
        if len(self._sessions) > _MOST_SESSIONS:
            del self._sessions[next(iter(self._sessions))]
        return session

    def knows(self, session: str) -> bool:
        """Return whether a session was admitted by this process. A digest is looked up, so time tells nothing."""
        return _digest(session) in self._sessions


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode(errors="replace")).digest()
