"""The server in one process: NiceGUI behind the gate, on loopback alone, with nothing that comes from elsewhere."""

import asyncio
import contextlib
import re
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from bot.dashboard.live_feed import LiveFeed
from bot.dashboard.place import Place, PlaceUnknown
from bot.dashboard.server import HOST, Wishes, listen, serve
from bot.dashboard.strangers import AT_ONCE, MOST_STRANGERS

TOKEN = "right-4f1c9d"


class StillFeed(LiveFeed):
    """A bot that nobody asks."""

    def __init__(self, error: Exception | None) -> None:
        super().__init__(_nowhere)
        self.error = error

    async def run(self) -> None:
        if self.error is not None:
            raise self.error
        await asyncio.Event().wait()


def _nowhere() -> Place:
    raise PlaceUnknown("nobody")


class Served:
    """A dashboard that is served in a thread, asked from the test's."""

    def __init__(self, act: Callable[["Served"], Any], error: Exception | None = None, **wishes: Any) -> None:
        self.listener = listen(0)
        self.port = self.listener.getsockname()[1]
        self.home = f"http://{HOST}:{self.port}"
        self.is_open, self.is_over = threading.Event(), threading.Event()
        self.feed = StillFeed(error)
        self.entered = 0
        self.error: BaseException | None = None
        self.was_interrupted: bool | None = None
        thread = threading.Thread(target=self._serve, args=(Wishes(**wishes),))
        thread.start()
        try:
            assert self.is_open.wait(30) or self.error
            self.result = act(self)
        finally:
            self.is_over.set()
            thread.join(30)
            assert not thread.is_alive()
        if self.error is not None:
            raise self.error

    def _serve(self, wishes: Wishes) -> None:
        try:
            self.was_interrupted = serve(
                self.feed,
                self.listener,
                lambda: [TOKEN],
                wishes,
                announce=self.is_open.set,
                entered=self._enter,
                until=self.is_over.wait,  # type: ignore[arg-type]
            )
        except BaseException as error:
            self.error = error
            self.is_open.set()

    def _enter(self) -> None:
        self.entered += 1


@pytest.fixture(autouse=True)
def fresh_nicegui() -> Iterator[None]:
    """NiceGUI keeps pages and middleware in its modules: one application a process."""
    from nicegui import Client
    from nicegui.testing.general import nicegui_reset_globals

    with nicegui_reset_globals():
        yield
        Client.page_routes.clear()  # or it would unload the modules in which pages stand: all of ours


@pytest.fixture
def visitor() -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False, follow_redirects=True, timeout=30) as client:
        yield client


def test_the_page_is_shown_to_whoever_has_the_token_and_names_no_other_host(visitor: httpx.Client) -> None:
    def look(served: Served) -> None:
        assert "<form" in visitor.get(served.home).text
        page = visitor.get(f"{served.home}/?token={TOKEN}")
        assert (page.status_code, str(page.url), served.entered) == (200, f"{served.home}/", 1)
        assert "/_nicegui/" in page.text
        hosts = set(re.findall(r"(?:https?:)?//([\w.-]+\.[a-z]{2,}|\d+\.\d+\.\d+\.\d+)", page.text))
        assert hosts - {HOST, "www.w3.org"} == set()
        asset = re.search(r'src="(/_nicegui/[^"]+\.js)"', page.text)
        assert asset is not None
        assert visitor.get(served.home + asset[1]).status_code == 200
        assert httpx.get(served.home + asset[1], trust_env=False).status_code == 403

    assert Served(look).was_interrupted is False


def test_the_language_that_was_asked_for_stays(visitor: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[str] = []
    monkeypatch.setattr("bot.dashboard.page.build_page", lambda feed, language: built.append(language))

    def look(served: Served) -> None:
        visitor.get(f"{served.home}/?token={TOKEN}")
        for query in ("", "?lang=ja", "", "?lang=en", ""):
            visitor.get(f"{served.home}/{query}", headers={"Accept-Language": "ja"})

    Served(look, language="en")
    assert built == ["en", "en", "ja", "ja", "en", "en"]


def test_sockets_need_the_session_too(visitor: httpx.Client) -> None:
    def look(served: Served) -> list[int]:
        poll = f"{served.home}/_nicegui_ws/socket.io/?EIO=4&transport=polling"
        before = visitor.get(poll).status_code
        visitor.get(f"{served.home}/?token={TOKEN}")
        return [before, visitor.get(poll).status_code, visitor.get(poll, headers={"Origin": "http://x"}).status_code]

    assert Served(look).result == [403, 200, 403]


def test_strangers_hold_few_connections_and_never_cost_one_that_was_let_in(visitor: httpx.Client) -> None:
    def look(served: Served) -> None:
        visitor.get(f"{served.home}/?token={TOKEN}")
        session = "; ".join(f"{name}={text}" for name, text in visitor.cookies.items())
        asked = f"GET /favicon.ico HTTP/1.1\r\nHost: {HOST}:{served.port}\r\nCookie: {session}\r\n\r\n".encode()
        with contextlib.ExitStack() as stack:

            def connected(text: bytes = b"") -> socket.socket:
                each = stack.enter_context(socket.create_connection((HOST, served.port), 10))
                each.sendall(text)
                return each

            owner = connected(asked)
            assert owner.recv(4096).startswith(b"HTTP/1.1 200")
            slow = b"POST /enter HTTP/1.1\r\nHost: %s\r\nOrigin: %s\r\nContent-Length: 9\r\n\r\nt"
            names = f"{HOST}:{served.port}".encode(), served.home.encode()
            oldest = [connected(), connected(b"GET / HTTP/1.1\r\nHos"), connected(slow % names)]
            for i in range(MOST_STRANGERS):
                connected()
                if not i % (AT_ONCE // 2):
                    visitor.get(served.home)  # more at once would wait for the kernel, which takes a second
            for each in oldest:
                with contextlib.suppress(ConnectionResetError):
                    assert each.recv(4096) == b""
            owner.sendall(asked)
            assert owner.recv(65_536)
            assert visitor.get(served.home).status_code == 200

    Served(look)


@pytest.mark.parametrize("begins", [b"GET /", b"GET / HTTP/1.1\r\nHost: localhost\r\nX: "], ids=["address", "header"])
def test_a_request_that_does_not_end_is_not_kept_and_not_told_of(
    begins: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    def look(served: Served) -> bytes:
        with socket.create_connection((HOST, served.port), 10) as stranger:
            stranger.sendall(begins)
            answer = b""
            with contextlib.suppress(ConnectionError):
                for _ in range(50):
                    stranger.sendall(b"a" * 1_000_000)
                answer = stranger.recv(4096)
            return answer[:12]

    assert Served(look).result in (b"", b"HTTP/1.1 400")
    assert capfd.readouterr().err == ""


def test_it_ends_by_itself_when_its_time_is_over() -> None:
    def wait(served: Served) -> None:
        for _ in range(300):
            with contextlib.suppress(OSError), socket.create_connection((HOST, served.port), 1):
                served.is_over.wait(0.05)
                continue
            return
        pytest.fail("it still listens")

    Served(wait, seconds=0.2)


def test_an_error_of_ours_in_the_feed_ends_it_and_is_not_lost() -> None:
    with pytest.raises(ZeroDivisionError, match="ours"):
        Served(lambda _: None, error=ZeroDivisionError("ours"))


def test_it_listens_on_loopback_alone_and_says_when_a_port_is_taken() -> None:
    with listen(0) as listener:
        host, port = listener.getsockname()
        assert host == "127.0.0.1"
        listener.listen()
        with pytest.raises(OSError, match="in use"):
            listen(port)


def test_a_signal_ends_it_and_a_second_one_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    from bot.dashboard.server import _Server, _settings

    async def app(*_: Any) -> None:
        raise AssertionError("nobody asks")

    server = _Server(_settings(app), lambda: None)
    before = signal.getsignal(signal.SIGTERM)
    with server.capture_signals():
        signal.raise_signal(signal.SIGTERM)
        assert (server.was_interrupted, server.should_exit, server.force_exit) == (True, True, False)
        signal.raise_signal(signal.SIGINT)
        assert server.force_exit
    assert signal.getsignal(signal.SIGTERM) is before
