"""The four addresses of a run's telemetry: /state, /stream, /metrics and /command.

How it works: nothing is looked at before the token is; every answer but the stream is whole at once. An error is JSON
as a refusal of the control socket is: `{"ok": false, "error": "…"}`.
"""

import json
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from twisted.logger import Logger
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from bot.net.control import Answer, refused
from bot.net.loopback_site import fields, prepare
from bot.net.telemetry_access import Access, Refusal
from bot.net.telemetry_feed import SnapshotFeed
from bot.net.telemetry_stream import Readers

COMMANDS = ("halt", "resume", "flatten")
JSON, LINES = "application/json; charset=utf-8", "application/x-ndjson; charset=utf-8"
_METHODS = {"/state": "GET", "/stream": "GET", "/metrics": "GET", "/command": "POST"}
_LONGEST_S = 60.0
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Server": "microlev",
    "X-Content-Type-Options": "nosniff",
}
_log = Logger()


@dataclass(frozen=True, slots=True)
class Text:
    """The body of an answer, and what kind of text it is."""

    kind: str
    body: bytes


class TelemetryPages(Resource):
    """Answers every request.

    Args: `traded` are the symbols whose ladders are shown when nobody says which; `metrics` returns the text for
        Prometheus, or why there is none. `steer` answers commands as the control socket does, None where nobody may.
    """

    isLeaf = True

    def __init__(
        self,
        access: Access,
        feed: SnapshotFeed,
        readers: Readers,
        *,
        traded: Collection[str],
        metrics: Callable[[], Text | Refusal],
    ) -> None:
        super().__init__()
        self._access, self._feed, self._readers = access, feed, readers
        self._traded = frozenset(traded)
        self._metrics = metrics
        self.steer: Answer | None = None

    def render(self, request: Any) -> Any:
        """Answer one request."""
        path, method = request.path.decode("utf-8", "replace"), request.method.decode("ascii", "replace")
        refusal = self._access.refusal(request)
        if refusal is not None:
            return _refusal(request, refusal, Connection="close")  # a stranger's next request should cost them more
        refusal = _misplaced(path, method)
        if refusal is None:
            try:
                if path == "/stream":
                    return self._stream(request)
                answer = self._command(request) if path == "/command" else self._shown(path, request)
                return _written(request, answer)
            except _Refused as error:
                refusal = error.refusal
        return _refusal(request, refusal, **({"Allow": _METHODS[path]} if refusal.status == 405 else {}))

    def _shown(self, path: str, request: Any) -> Text:
        _raise(self._access.read_refusal())
        if path == "/state":
            return Text(JSON, self._feed.line(self._ladders(request)))
        text = self._metrics()
        if isinstance(text, Refusal):
            raise _Refused(text)
        return text

    def _stream(self, request: Any) -> Any:
        _raise(self._access.read_refusal())
        given = fields(request).get("every_s", ["0"])[-1]
        try:
            every_s = float(given)
        except ValueError:
            every_s = -1.0
        if not 0 <= every_s <= _LONGEST_S:
            raise _Refused(Refusal(400, f"every_s should be a number of seconds from 0 to {_LONGEST_S:g}"))
        ladders = self._ladders(request)
        prepare(request, 200, _HEADERS | {"Content-Type": LINES})
        self._readers.add(request, every_s, ladders)
        return NOT_DONE_YET

    def _command(self, request: Any) -> Text:
        try:
            asked = json.loads(request.content.read())
        except (ValueError, RecursionError):
            asked = None
        command = asked.get("command") if isinstance(asked, dict) else None
        if command not in COMMANDS:
            text = f'a command is {{"command": "…", "reason": "…"}}, one of {", ".join(COMMANDS)}'
            raise _Refused(Refusal(400, text))
        if self.steer is None:
            raise _Refused(Refusal(403, "this run is not to be steered"))
        _raise(self._access.command_refusal(command))
        try:
            reply = self.steer({"command": command, "reason": asked.get("reason")})
        except Exception:
            _log.failure("a command that came by telemetry could not be answered")
            raise _Refused(Refusal(500, "the bot could not answer; its log says why")) from None
        self._feed.expire()
        if not reply["ok"]:
            raise _Refused(Refusal(409, str(reply["error"])))
        return Text(JSON, json.dumps(reply, allow_nan=False).encode() + b"\n")

    def _ladders(self, request: Any) -> frozenset[str]:
        given = fields(request).get("ladders")
        if given is None:
            return self._traded
        return frozenset(name for text in given for name in text.split(",") if name)


class _Refused(Exception):
    """A request that is not answered."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.text)
        self.refusal = refusal


def _raise(refusal: Refusal | None) -> None:
    if refusal is not None:
        raise _Refused(refusal)


def _misplaced(path: str, method: str) -> Refusal | None:
    allowed = _METHODS.get(path)
    if allowed is None:
        return Refusal(404, f"nothing here; there are {', '.join(_METHODS)}")
    return None if method == allowed else Refusal(405, f"{path} takes {allowed}")


def _written(request: Any, text: Text, status: int = 200, **headers: str) -> bytes:
    prepare(request, status, _HEADERS | {"Content-Type": text.kind} | headers)
    return text.body


def _refusal(request: Any, refusal: Refusal, **headers: str) -> bytes:
    if refusal.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if refusal.wait_s is not None:
        headers["Retry-After"] = str(refusal.wait_s)
    body = json.dumps(refused(refusal.text)).encode() + b"\n"
    return _written(request, Text(JSON, body), refusal.status, **headers)
