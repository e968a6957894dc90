"""Snapshots of a bot that runs, from its telemetry: one connection for every browser that looks.

How it works: one task reads `/stream` for as long as the dashboard lives, and connects again when it breaks, after a
pause that grows. Where the bot is gets asked at every attempt, since a bot that was started anew has another address
and another token. A command is a request of its own.

Invariants: the token goes to the place itself: no redirect is followed, no proxy is used. A command is sent once.
Whatever the other end says, and however much of it, ends neither this nor the memory of the machine.
"""

import asyncio
import json
import ssl
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import orjson

from bot.dashboard.feed import COMMANDS, Kind, Trouble
from bot.dashboard.ndjson import LONGEST_LINE, LineSplitter, LineTooLong, object_of
from bot.dashboard.place import Place, Places, PlaceUnknown
from bot.dashboard.trail import MALFORMED, Trail

EVERY_S = 0.25
_SILENCE_S = 15.0
_CONNECT_S = 5.0
_ANSWER_S = 10.0
_START_S = 60.0
"""A bot that has not said yet where it listens may be starting, and compiling, for so long."""
_FIRST_PAUSE_S = 0.25
_LONGEST_PAUSE_S = 4.0
_LONGEST_REASON = 200
_LONGEST_ERROR = 500
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol, httpx.PoolTimeout)
# An address or a token that no request can have is no `HTTPError` to httpx.
_NO_REQUEST = (httpx.InvalidURL, UnicodeError)
_PLAIN = {"Accept-Encoding": "identity"}


class LiveFeed:
    """A bot that runs.

    Args: `places` says where it is; `ca_file` is a PEM file of an authority that is trusted as well; `transport`,
        `now_s` and `pause` are for tests.
    Raises: ValueError, one line, for a `ca_file` that holds no certificate.
    """

    kind: Kind = "live"

    def __init__(
        self,
        places: Places,
        *,
        ca_file: Path | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        now_s: Callable[[], float] = time.monotonic,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._places = places
        self._tls = ssl.create_default_context()
        if ca_file is not None and (why := self._trust(ca_file)):
            raise ValueError(f"{ca_file} holds no certificate that can be read: {why}")
        self._client = httpx.AsyncClient(
            verify=self._tls,
            trust_env=False,
            follow_redirects=False,
            timeout=httpx.Timeout(_SILENCE_S, connect=_CONNECT_S),
            transport=transport,
        )
        self._now_s, self._pause = now_s, pause
        self._began_s = now_s()
        self._received_at_s: float | None = None
        self.trail = Trail()
        self.snapshot: dict[str, Any] | None = None
        self.trouble: Trouble | None = "connecting"
        self.times_ns: list[int] = []
        self.place = 0
        self.playing = False
        self.speed = 1.0
        self.read_frac: float | None = None

    @property
    def received_s(self) -> float | None:
        """Seconds since the newest snapshot came; None before the first."""
        return None if self._received_at_s is None else self._now_s() - self._received_at_s

    def _trust(self, certificate_file: Path) -> str:
        """Trust what is in a file as well; return why that cannot be done, or nothing.

        A file may hold another certificate than the last time. One that is known already is not kept twice.
        """
        try:
            self._tls.load_verify_locations(cafile=certificate_file)
        except (OSError, ssl.SSLError) as error:
            return error.strerror or str(error)
        return ""

    def _whereabouts(self) -> Place:
        """Return where the bot is, ready to be asked. Raises: PlaceUnknown."""
        place = self._places()
        if place.certificate_file is not None and (why := self._trust(place.certificate_file)):
            raise PlaceUnknown(f"{place.certificate_file}: {why}")
        return place

    def tokens(self) -> list[str]:
        """Return the token that opens the page: the bot's of this moment, or none while there is no bot."""
        try:
            return [self._places().token]
        except PlaceUnknown:
            return []

    async def run(self) -> None:
        """Read the stream, and connect again whenever it ends."""
        pause_s = _FIRST_PAUSE_S
        try:
            while True:
                before = self._received_at_s
                try:
                    await self._read(self._whereabouts())
                except PlaceUnknown:
                    pause_s = _FIRST_PAUSE_S  # a look at a file; the bot may come any moment
                    if self.trouble != "connecting" or self._now_s() - self._began_s >= _START_S:
                        self.trouble = "absent"
                if self._received_at_s != before:
                    pause_s = _FIRST_PAUSE_S
                await self._pause(pause_s)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        finally:
            await self._client.aclose()

    async def _read(self, place: Place) -> None:
        splitter = LineSplitter()
        query = {"every_s": f"{EVERY_S:g}"}
        try:
            async with self._client.stream(
                "GET", f"{place.url}/stream", params=query, headers=_authorised(place)
            ) as answer:
                if answer.status_code in (401, 403):
                    self.trouble = "refused_token"
                    return
                if answer.status_code != 200 or _is_packed(answer):
                    self.trouble = "not_understood" if answer.is_success else "unreachable"
                    return
                async for chunk in answer.aiter_bytes():
                    for line in splitter.feed(chunk):
                        self._take(line)
        except LineTooLong:
            self.trouble = "not_understood"
            return
        except httpx.ConnectError as error:
            if _is_distrust(error):
                self.trouble = "untrusted"
                return
        except (httpx.HTTPError, *_NO_REQUEST):
            pass
        self._is_gone()

    def _is_gone(self) -> None:
        self.trouble = "unreachable" if self.snapshot is None else "lost"

    def _take(self, line: bytes) -> None:
        content = object_of(line)
        if content is None or content["type"] != "snapshot":
            self.trouble = "not_understood"
            return
        try:
            self.trail.add(content)
        except MALFORMED:
            self.trouble = "not_understood"  # of another version, or no snapshot at all
            return
        self.snapshot, self.trouble = content, None
        self._received_at_s = self._now_s()

    async def command(self, name: str, reason: str = "") -> tuple[bool, str]:
        """Give a command to the bot, once. Returns: whether it was done; what the bot says, or a code of `NOT_DONE`."""
        if name not in COMMANDS:
            return False, "no_command"
        body = json.dumps({"command": name, "reason": reason[:_LONGEST_REASON]})
        try:
            place = self._whereabouts()
            async with asyncio.timeout(_ANSWER_S):  # for all of it: an answer may also come too slowly
                status, text = await self._post(f"{place.url}/command", body, _authorised(place))
        except (PlaceUnknown, *_NOT_SENT, *_NO_REQUEST):
            return False, "unreachable"
        except (httpx.HTTPError, LineTooLong, TimeoutError):
            return False, "no_answer"
        if status == 401:
            return False, "refused_token"
        try:
            content = orjson.loads(text)
            if not content["ok"]:
                return False, str(content["error"])[:_LONGEST_ERROR]
            trading = str(content["status"]["trading"])
        except (ValueError, KeyError, TypeError):
            return False, "no_answer"
        return (False, "not_halted") if name == "halt" and trading != "halted" else (True, trading)

    async def _post(self, url: str, body: str, headers: dict[str, str]) -> tuple[int, bytes]:
        """Return the status of an answer, and its text. Raises: LineTooLong for one that is none."""
        headers = headers | {"Content-Type": "application/json"}
        text = b""
        async with self._client.stream("POST", url, content=body, headers=headers, timeout=_ANSWER_S) as answer:
            if _is_packed(answer):
                raise LineTooLong
            async for chunk in answer.aiter_bytes():
                text += chunk
                if len(text) > LONGEST_LINE:
                    raise LineTooLong
        return answer.status_code, text

    def seek(self, place: int) -> None:
        """Do nothing: what is live has one place."""

    def play(self, on: bool) -> None:
        """Do nothing: what is live goes on."""


def _authorised(place: Place) -> dict[str, str]:
    return {"Authorization": f"Bearer {place.token}", **_PLAIN}


def _is_packed(answer: httpx.Response) -> bool:
    """Return whether an answer is packed, which was not asked for: unpacked it could grow without bound."""
    return "content-encoding" in answer.headers


def _is_distrust(error: BaseException | None) -> bool:
    """Return whether a connection was not made because of the certificate at its other end."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False
