"""Takes known secrets out of what is about to be sent: a broker's text could hold one."""

import json
import re
from collections.abc import Iterable
from urllib.parse import quote

MARKER = "***"
# Shorter ones are no secrets, and would tear holes into any text.
_SHORTEST = 6
_SHORTEST_PART = 12
_PARTS = re.compile(r"[:/@?&=,]+")


class Redaction:
    """Knows the secrets of a run; it forgets none that it was told once."""

    def __init__(self) -> None:
        self._forms: set[str] = set()

    def learn(self, secrets: Iterable[str | None]) -> None:
        """Keep these out of every text from now on."""
        for secret in secrets:
            if secret and len(secret) >= _SHORTEST:
                self._forms |= {secret, quote(secret, safe=""), json.dumps(secret)[1:-1]}

    def learn_url(self, url: str) -> None:
        """Keep a URL out of every text, and each of its parts that is long enough for a key."""
        self.learn([url, *(part for part in _PARTS.split(url) if len(part) >= _SHORTEST_PART)])

    def text(self, text: str) -> str:
        """Return a text with a marker in place of each secret."""
        for form in sorted(self._forms, key=len, reverse=True):
            text = text.replace(form, MARKER)
        return text
