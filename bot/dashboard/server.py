"""The dashboard's server: NiceGUI on loopback, behind the gate, until somebody ends it.

How it works: the listening socket is made before anything is loaded that takes time, so that a port that is taken is
told at once, and handed to uvicorn; the feed is one task beside it.

Invariant: it listens on 127.0.0.1 and nowhere else.
"""

import asyncio
import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import uvicorn
from fastapi import FastAPI
from starlette.requests import Request

from bot.dashboard.access import Access
from bot.dashboard.feed import Feed
from bot.dashboard.gate import App, Gate
from bot.dashboard.language import COOKIE, language_of
from bot.dashboard.strangers import AT_ONCE, BoundedConnection, Strangers

HOST = "127.0.0.1"
_LONGEST_SOCKET_MESSAGE = 1_000_000
_PATIENCE_S = 1


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the person who starts it wants. Missing: None for no end of its own, and for the browser's own language."""

    seconds: float | None = None
    language: str | None = None


def listen(port: int) -> socket.socket:
    """Return a socket that will accept connections from this machine. Raises: OSError when the port is taken."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        if os.name == "posix":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
    except OSError:
        listener.close()
        raise
    return listener


def page_app(feed: Feed, language: str | None = None) -> App:
    """Return the application that shows a feed; it lets everybody in."""
    # NiceGUI takes settings from the environment: where it stores what we store nowhere, a Redis to connect to.
    for name in [name for name in os.environ if name.startswith("NICEGUI_")]:
        del os.environ[name]
    from nicegui import ui

    from bot.dashboard.page import build_page

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    @ui.page("/")
    def index(request: Request) -> None:
        asked, kept = request.query_params.get("lang"), request.cookies.get(COOKIE)
        build_page(feed, language_of(asked, kept, language, request.headers.get("accept-language", "")))

    ui.run_with(app, title="microlev", dark=None, show_welcome_message=False)
    return app


def serve(
    feed: Feed,
    listener: socket.socket,
    tokens: Callable[[], Iterable[str]],
    wishes: Wishes,
    *,
    announce: Callable[[], None],
    entered: Callable[[], None] = lambda: None,
    until: Callable[[], None] | None = None,
) -> bool:
    """Serve a feed until it is over; return whether somebody interrupted it.

    Args: `tokens` returns those that open the page; `announce` is called when it can be opened, `entered` whenever
        somebody was let in; `until` is called in a thread of its own, and returns when it is over.
    """
    with listener:
        access = Access(tokens, time.monotonic)
        app = Gate(page_app(feed, wishes.language), access, listener.getsockname()[1], entered)
        server = _Server(_settings(app), announce)
        if until is not None:
            threading.Thread(target=_stop_after, args=(until, server), name="until", daemon=True).start()
        asyncio.run(_serve(server, feed, listener, wishes.seconds))
    return server.was_interrupted


def _stop_after(until: Callable[[], None], server: "_Server") -> None:
    until()
    server.stop()


def _settings(app: App) -> uvicorn.Config:
    connection: Any = partial(BoundedConnection, strangers=Strangers())
    return uvicorn.Config(
        app,
        loop="asyncio",
        http=connection,
        backlog=AT_ONCE,
        ws="wsproto",
        ws_max_size=_LONGEST_SOCKET_MESSAGE,
        lifespan="on",
        log_config=None,
        log_level="error",  # a warning is what a stranger has sent, as often as they like
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=_PATIENCE_S,
    )


async def _serve(server: "_Server", feed: Feed, listener: socket.socket, seconds: float | None) -> None:
    feeding = asyncio.create_task(feed.run())
    feeding.add_done_callback(lambda _: server.stop())
    if seconds is not None:
        asyncio.get_running_loop().call_later(seconds, server.stop)
    try:
        await server.serve(sockets=[listener])
    finally:
        feeding.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await feeding  # an error of ours is not to be lost


class _Server(uvicorn.Server):
    """Uvicorn that says when it accepts connections, and whose signals end it without being raised once more."""

    def __init__(self, config: uvicorn.Config, announce: Callable[[], None]) -> None:
        super().__init__(config)
        self._announce = announce
        self.was_interrupted = False

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._announce()

    def stop(self) -> None:
        """End it; it may be called from any thread."""
        self.should_exit = True

    def handle_exit(self, sig: int, frame: Any) -> None:  # noqa: ARG002
        self.was_interrupted = True
        self.force_exit = self.should_exit
        self.should_exit = True

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
