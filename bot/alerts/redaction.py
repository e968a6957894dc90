"""Takes known secrets out of what is about to be sent: a broker's text could hold one."""

import json
import re
import string
from collections.abc import Iterable

MARKER = "***"
# Shorter ones are no secrets, and would tear holes into any text.
_SHORTEST = 6
_SHORTEST_PART = 12
_UNRESERVED = frozenset(string.ascii_letters + string.digits + "-._~")
_PARTS = re.compile(r"[:/@?&=,]+")


class Redaction:
    """Knows the secrets of a run; it forgets none that it was told once."""

    def __init__(self) -> None:
        self._forms: set[str] = set()

    def learn(self, secrets: Iterable[str | None]) -> None:
        """Keep these out of every text from now on."""
        for secret in secrets:
            if secret and len(secret) >= _SHORTEST:
                self._forms |= {secret, _quoted(secret), json.dumps(secret)[1:-1]}

    def learn_url(self, url: str) -> None:
        """Keep a URL out of every text, and each of its parts that is long enough for a key."""
        self.learn([url, *(part for part in _PARTS.split(url) if len(part) >= _SHORTEST_PART)])

    def text(self, text: str) -> str:
        """Return a text with a marker in place of each secret."""
        for form in sorted(self._forms, key=len, reverse=True):
            text = text.replace(form, MARKER)
        return text


def _quoted(text: str) -> str:
    """Return a text as it stands in a URL."""
    plain = (chr(byte) if chr(byte) in _UNRESERVED else f"%{byte:02X}" for byte in text.encode())
    return "".join(plain)
