"""The newest snapshot of a run, made once for all who ask for it, as a line of JSON."""

import json
from collections.abc import Callable, Collection
from typing import Any

from bot.telemetry.plain import without_nan

_HAPPENED = ("fills", "events")


class SnapshotFeed:
    """Makes snapshots when somebody asks, and gives the last one again while it is new enough.

    Args: `make` returns a snapshot with the ladders of these symbols; `keep_s` is how long one counts as new;
        `seconds` is a clock that does not go back.
    """

    def __init__(
        self, make: Callable[[Collection[str]], dict[str, Any]], keep_s: float, seconds: Callable[[], float]
    ) -> None:
        self._make, self._keep_s, self._seconds = make, keep_s, seconds
        self._snapshot: dict[str, Any] | None = None
        self._made_s = 0.0
        self._ladders: frozenset[str] = frozenset()
        self._lines: dict[frozenset[str], bytes] = {}
        self._encoder = _Encoder()
        self.made = 0

    def renew(self, ladders: frozenset[str]) -> None:
        """Make a new snapshot with these ladders."""
        self._snapshot, self._ladders = self._make(ladders), ladders
        self._made_s = self._seconds()
        self._lines.clear()
        self.made += 1

    def expire(self) -> None:
        """Let the next who asks get a new one: something has happened that is to be seen."""
        self._snapshot = None

    def line(self, ladders: frozenset[str]) -> bytes:
        """Return the snapshot with these ladders, and a newline; made anew when it is old, or has not all of them."""
        is_old = self._snapshot is None or self._seconds() - self._made_s >= self._keep_s
        if is_old or not ladders <= self._ladders:
            self.renew(ladders if is_old else ladders | self._ladders)
        line = self._lines.get(ladders)
        if line is None:
            line = self._lines[ladders] = self._encoder.line(self._with(ladders))
        return line

    def _with(self, ladders: frozenset[str]) -> dict[str, Any]:
        assert self._snapshot is not None
        if ladders == self._ladders:
            return self._snapshot
        symbols = [
            each if each["symbol"] in ladders else each | {"bids": [], "asks": []} for each in self._snapshot["symbols"]
        ]
        return self._snapshot | {"symbols": symbols}


class _Encoder:
    """Snapshots as lines of JSON. What has happened is most of one and the same in the next: its text is kept."""

    def __init__(self) -> None:
        self._texts: dict[int, tuple[Any, str]] = {}  # by identity; held, so that it stays an identity

    def line(self, snapshot: dict[str, Any]) -> bytes:
        """Return a snapshot as one line."""
        try:
            text = self._text(snapshot)
        except ValueError:  # a number that JSON has not: whoever forgot it, the page is not to go dark
            text = _json(without_nan(snapshot))
        return text.encode() + b"\n"

    def _text(self, snapshot: dict[str, Any]) -> str:
        before, self._texts = self._texts, {}
        now = _json({name: content for name, content in snapshot.items() if name not in _HAPPENED})
        parts = [now[:-1]]
        for name in _HAPPENED:
            texts = []
            for each in snapshot[name]:
                kept = before.get(id(each)) or (each, _json(each))
                self._texts[id(each)] = kept
                texts.append(kept[1])
            parts.append(f',"{name}":[{",".join(texts)}]')
        return "".join(parts) + "}"


def _json(content: Any) -> str:
    return json.dumps(content, separators=(",", ":"), allow_nan=False)
