"""The live feed shows what a bot says, says why nothing comes, finds the bot again, and gives each command once."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from bot.dashboard.live_feed import LiveFeed
from bot.dashboard.place import Place, PlaceUnknown

URL = "http://127.0.0.1:4711"


def snapshot(second: int, **changes: Any) -> dict[str, Any]:
    content = {"type": "snapshot", "time": f"2026-11-27T08:00:{second:02d}.000Z", "run_id": "run-1", "account_id": 7}
    return content | {"orders": [], "symbols": []} | changes


def lines(*contents: Any) -> list[bytes]:
    return [c if isinstance(c, bytes) else json.dumps(c).encode() + b"\n" for c in contents]


class _Chunks(httpx.AsyncByteStream):
    """The body of a stream; an exception among the chunks breaks it there."""

    def __init__(self, chunks: list[Any]) -> None:
        self._chunks = chunks

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            await asyncio.sleep(0)
            if isinstance(chunk, Exception):
                raise chunk
            yield chunk


class Bots:
    """What is found where the bot should be, attempt after attempt: chunks of a stream, a status, an error.

    After the last the feed is stopped. `seen` is its trouble, and the newest time, at every pause.
    """

    def __init__(self, *attempts: Any, places: Callable[[], Place] | None = None) -> None:
        self.attempts = list(attempts)
        self.requests: list[httpx.Request] = []
        self.pauses_s: list[float] = []
        self.seen: list[tuple[str | None, str | None]] = []
        self.now_s = 100.0
        self.command_answer: Any = httpx.Response(200, json={"ok": True, "status": {"trading": "halted"}})
        self.feed = LiveFeed(
            places or (lambda: Place(URL, "token-1")),
            transport=httpx.MockTransport(self._answer),
            now_s=lambda: self.now_s,
            pause=self._pause,
        )

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        attempt = self.command_answer if request.method == "POST" else self.attempts.pop(0)
        if isinstance(attempt, Exception):
            raise attempt
        if isinstance(attempt, list):
            return httpx.Response(200, stream=_Chunks(attempt))
        return httpx.Response(attempt) if isinstance(attempt, int) else attempt

    async def _pause(self, seconds: float) -> None:
        newest = self.feed.snapshot
        self.seen.append((self.feed.trouble, None if newest is None else newest["time"][17:19]))
        self.pauses_s.append(seconds)
        self.now_s += seconds
        if not self.attempts:
            raise asyncio.CancelledError

    def run(self) -> LiveFeed:
        async def until_the_end() -> None:
            with pytest.raises(asyncio.CancelledError):
                await self.feed.run()

        asyncio.run(until_the_end())
        return self.feed

    def command(self, name: str, reason: str = "") -> tuple[bool, str]:
        return asyncio.run(self.feed.command(name, reason))


def test_before_anything_came_the_feed_is_connecting() -> None:
    feed = Bots().feed
    assert (feed.kind, feed.trouble, feed.snapshot, feed.received_s) == ("live", "connecting", None, None)


def test_the_newest_snapshot_is_shown_and_every_one_is_in_the_trail() -> None:
    bots = Bots(lines(snapshot(1), snapshot(2)))
    added: list[str] = []
    bots.feed.trail.add = lambda content: added.append(content["time"])  # type: ignore[method-assign]
    feed = bots.run()
    assert feed.snapshot == snapshot(2)
    assert [time[17:19] for time in added] == ["01", "02"]
    (request,) = bots.requests
    assert (request.url.path, request.url.params["every_s"]) == ("/stream", "0.25")
    assert request.headers["authorization"] == "Bearer token-1"
    assert "token-1" not in str(request.url)


def test_lines_may_be_cut_anywhere() -> None:
    whole = b"".join(lines(snapshot(1), snapshot(2)))
    for size in (1, 7, len(whole) - 1):
        bots = Bots([whole[i : i + size] for i in range(0, len(whole), size)])
        assert bots.run().snapshot == snapshot(2)


def test_the_age_of_a_snapshot_grows_until_the_next() -> None:
    bots = Bots(lines(snapshot(1)))
    bots.run()
    bots.now_s += 7
    assert bots.feed.received_s == pytest.approx(7 + bots.pauses_s[0])


@pytest.mark.parametrize(
    ("attempt", "trouble"),
    [
        (httpx.ConnectError("refused"), "unreachable"),
        (httpx.ConnectTimeout("slow"), "unreachable"),
        (httpx.RemoteProtocolError("no HTTP"), "unreachable"),
        ([], "unreachable"),
        (401, "refused_token"),
        (403, "refused_token"),
        (404, "unreachable"),
        (500, "unreachable"),
        (httpx.Response(302, headers={"Location": "http://127.0.0.1:666/stream"}), "unreachable"),
        (204, "not_understood"),
        ([b"<html>\n"], "unreachable"),
        ([b"x" * 8_000_001], "not_understood"),
        ([json.dumps([1]).encode() + b"\n"], "unreachable"),
        (httpx.Response(200, headers={"Content-Encoding": "gzip"}, stream=_Chunks([b"x"])), "not_understood"),
        (httpx.InvalidURL("none"), "unreachable"),
        (UnicodeError("none"), "unreachable"),
    ],
)
def test_why_nothing_comes_is_told_and_no_redirect_is_followed(attempt: Any, trouble: str) -> None:
    bots = Bots(attempt)
    assert bots.run().trouble == trouble
    assert [request.url.port for request in bots.requests] == [4711]


@pytest.mark.parametrize(
    "bad", [b"not json\n", b"[]\n", b'{"type": 1}\n', b'{"type":"other"}\n', b'{"type":"snapshot"}\n', b"\xff\xfe\n",
            b'{"type":"snapshot","time":"no time","orders":[],"symbols":[{}]}\n',
            b'{"type":"snapshot","time":7}\n', b'{"type":"snapshot","time":NaN}\n', b"[" * 5000 + b"\n",
            b'{"type":"snapshot","time":"2026-11-27T08:00:01Z","symbols":[{"symbol":"A","digits":1e9}]}\n']
)  # fmt: skip
def test_a_line_that_is_no_snapshot_is_told_of_and_the_next_one_is_taken(bad: bytes) -> None:
    told: list[str | None] = []
    bots = Bots()

    class Watched(_Chunks):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            for chunk in self._chunks:
                yield chunk
                told.append(bots.feed.trouble)

    bots.attempts.append(httpx.Response(200, stream=Watched(lines(snapshot(1), bad, snapshot(2)))))
    assert bots.run().snapshot == snapshot(2)
    assert told == [None, "not_understood", None]


def test_a_bot_that_goes_is_lost_and_found_again() -> None:
    bots = Bots(
        lines(snapshot(1)),
        httpx.ConnectError("refused"),
        [*lines(snapshot(2)), httpx.ReadTimeout("silent")],
        httpx.ConnectError("refused"),
    )
    bots.run()
    assert bots.seen == [("lost", "01"), ("lost", "01"), ("lost", "02"), ("lost", "02")]


def test_pauses_grow_to_four_seconds_and_begin_anew_when_something_came() -> None:
    refused = [httpx.ConnectError("refused")] * 6
    bots = Bots(*refused, lines(snapshot(1)), *refused[:2])
    bots.run()
    assert bots.pauses_s == [0.25, 0.5, 1, 2, 4, 4, 0.25, 0.5, 1]


def test_a_bot_that_was_started_anew_is_asked_at_its_new_place_with_its_new_token() -> None:
    places = iter([Place(URL, "token-1"), None, None, Place("http://127.0.0.1:4712", "token-2")])

    def where() -> Place:
        place = next(places)
        if place is None:
            raise PlaceUnknown("it is being started")
        return place

    bots = Bots(lines(snapshot(1)), lines(snapshot(2, run_id="run-2")), places=where)
    bots.run()
    assert [(r.url.port, r.headers["authorization"]) for r in bots.requests] == [
        (4711, "Bearer token-1"), (4712, "Bearer token-2")]  # fmt: skip
    assert bots.pauses_s == [0.25] * 4


def test_a_bot_that_may_be_starting_is_given_a_minute() -> None:
    def nowhere() -> Place:
        raise PlaceUnknown("it is being started")

    bots = Bots(places=nowhere)
    pauses = 0

    async def pause(seconds: float) -> None:
        nonlocal pauses
        bots.now_s += seconds
        pauses += 1
        bots.seen.append((bots.feed.trouble, None))
        if pauses == 242:
            raise asyncio.CancelledError

    bots.feed._pause = pause
    bots.run()
    assert bots.seen == [("connecting", None)] * 240 + [("absent", None)] * 2


def test_only_the_token_of_the_bot_that_is_there_opens_the_page() -> None:
    place: list[Place] = []

    def where() -> Place:
        if not place:
            raise PlaceUnknown("nobody")
        return place[0]

    feed = Bots(places=where).feed
    assert feed.tokens() == []
    place.append(Place(URL, "token-2"))
    assert feed.tokens() == ["token-2"]


# -- commands --


@pytest.mark.parametrize(
    ("name", "status", "done"),
    [
        ("halt", {"trading": "halted"}, (True, "halted")),
        ("halt", {"trading": "active"}, (False, "not_halted")),
        ("resume", {"trading": "active"}, (True, "active")),
        ("flatten", {"trading": "halted"}, (True, "halted")),
    ],
)
def test_a_command_reaches_the_bot_once_and_its_effect_is_told(
    name: str, status: dict[str, str], done: tuple[bool, str]
) -> None:
    bots = Bots()
    bots.command_answer = httpx.Response(200, json={"ok": True, "status": status})
    assert bots.command(name, "because " * 100) == done
    (request,) = bots.requests
    assert (request.method, request.url.path) == ("POST", "/command")
    assert request.headers["authorization"] == "Bearer token-1"
    assert json.loads(request.content) == {"command": name, "reason": ("because " * 100)[:200]}


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (httpx.Response(409, json={"ok": False, "error": "equity is unknown"}), "equity is unknown"),
        (httpx.Response(403, json={"ok": False, "error": "not to be steered"}), "not to be steered"),
        (httpx.Response(401, json={"ok": False, "error": "no"}), "refused_token"),
        (httpx.Response(200, text="<html>"), "no_answer"),
        (httpx.Response(200, json=[]), "no_answer"),
        (httpx.Response(200, json={"ok": True}), "no_answer"),
        (httpx.Response(307, headers={"Location": "http://127.0.0.1:666/command"}), "no_answer"),
        (httpx.ConnectError("refused"), "unreachable"),
        (httpx.ReadTimeout("silent"), "no_answer"),
        (httpx.ReadError("cut"), "no_answer"),
        (httpx.Response(200, stream=_Chunks([b"x" * 4_000_001] * 2)), "no_answer"),
        (httpx.Response(200, headers={"Content-Encoding": "gzip"}, stream=_Chunks([b"x"])), "no_answer"),
        (httpx.Response(409, json={"ok": False, "error": "x" * 9999}), "x" * 500),
        (httpx.InvalidURL("none"), "unreachable"),
    ],
)  # fmt: skip
def test_a_command_that_was_not_done_says_why_and_is_not_sent_again(answer: Any, text: str) -> None:
    bots = Bots()
    bots.command_answer = answer
    assert bots.command("halt") == (False, text)
    assert len(bots.requests) == 1


def test_an_answer_that_comes_too_slowly_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    class Endless(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            while True:
                await asyncio.sleep(0.001)
                yield b" "

    monkeypatch.setattr("bot.dashboard.live_feed._ANSWER_S", 0.05)
    bots = Bots()
    bots.command_answer = httpx.Response(200, stream=Endless())
    assert bots.command("halt") == (False, "no_answer")


def test_a_reason_that_is_no_text_keeps_no_command_away() -> None:
    bots = Bots()
    bots.command_answer = httpx.Response(200, json={"ok": True, "status": {"trading": "halted"}})
    assert bots.command("halt", "\ud800") == (True, "halted")


def test_what_is_no_command_is_not_sent() -> None:
    bots = Bots()
    assert bots.command("status") == bots.command("../state") == (False, "no_command")
    assert bots.requests == []


def test_a_command_without_a_bot_is_not_done() -> None:
    def nowhere() -> Place:
        raise PlaceUnknown("nobody")

    assert Bots(places=nowhere).command("halt") == (False, "unreachable")


# -- TLS and proxies --


def test_no_proxy_of_the_environment_gets_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "")
    client = LiveFeed(lambda: Place(URL, "t"))._client
    assert client._mounts == {} and not client.trust_env and not client.follow_redirects


def test_certificates_are_verified_with_an_authority_of_ones_own_added(tmp_path: Path) -> None:
    import datetime

    from bot.net.tls import make_local_authority

    pem = tmp_path / "ca.pem"
    pem.write_bytes(make_local_authority(datetime.datetime.now(datetime.UTC)).ca_pem)
    plain, more = LiveFeed(lambda: Place(URL, "t")), LiveFeed(lambda: Place(URL, "t"), ca_file=pem)
    assert plain._tls.verify_mode == ssl.CERT_REQUIRED and plain._tls.check_hostname
    assert len(more._tls.get_ca_certs()) == len(plain._tls.get_ca_certs()) + 1
    shown = LiveFeed(
        lambda: Place("https://127.0.0.1:1", "t", pem), transport=httpx.MockTransport(lambda _: httpx.Response(401))
    )
    assert asyncio.run(shown.command("halt")) == (False, "refused_token")
    assert len(shown._tls.get_ca_certs()) == len(more._tls.get_ca_certs())


def test_a_certificate_that_is_renewed_in_its_place_is_trusted_from_then_on(tmp_path: Path) -> None:
    import datetime

    from bot.net.tls import make_local_authority

    pem = tmp_path / "bot.pem"
    feed = Bots(places=lambda: Place("https://127.0.0.1:1", "t", pem)).feed
    known = []
    for content in [make_local_authority(datetime.datetime.now(datetime.UTC)).ca_pem for _ in range(2)]:
        pem.write_bytes(content)
        for _ in range(2):
            feed._whereabouts()
            known.append(len(feed._tls.get_ca_certs()))
    assert [count - known[0] for count in known] == [0, 0, 1, 1]


def test_a_file_without_a_certificate_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "no.pem").write_text("nothing", encoding="utf-8")
    for name in ("no.pem", "missing.pem"):
        with pytest.raises(ValueError, match=f"{name} holds no certificate"):
            LiveFeed(lambda: Place(URL, "t"), ca_file=tmp_path / name)


def test_a_bot_whose_certificate_cannot_be_read_is_not_asked(tmp_path: Path) -> None:
    bots = Bots(places=lambda: Place(URL, "token-1", tmp_path / "missing.pem"))
    assert bots.command("halt") == (False, "unreachable")
    assert bots.run().trouble == "connecting" and bots.requests == []
