"""The loopback port to which the browser brings the answer of the consent page.

How it works: one address is served, the redirect URI's path. Each request's query goes to `on_query`, whose Deferred
gives the page to show: so the browser hears how the login ended, not only that it got this far. The answer's address
holds a code, therefore nothing is logged, no page may be kept, and no other site learns the address.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from twisted.internet.defer import Deferred
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from bot.config.loopback import is_loopback
from bot.net.loopback_site import LoopbackSite, fields, is_asked_by_name, page, prepare


@dataclass(frozen=True, slots=True)
class Page:
    """What a browser is shown."""

    status: int
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class RedirectAddress:
    """A redirect URI. Missing: `port` is None when no port of ours can hear it (another host, or https)."""

    uri: str
    path: str
    port: int | None


def redirect_address(uri: str) -> RedirectAddress:
    """Return what a redirect URI means for us.

    Raises: ValueError, one line, for what is no address.
    """
    try:
        parts = urlsplit(uri)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or parts.scheme not in ("http", "https") or parts.fragment or parts.username is not None:
        raise ValueError("must be an address like http://localhost:8765/, exactly as registered for the application")
    is_ours = parts.scheme == "http" and is_loopback(host)
    return RedirectAddress(uri, parts.path or "/", (80 if port is None else port) if is_ours else None)


class RedirectListener:
    """Serves one redirect address until `stop`.

    Args: `on_query` takes a redirect's query and returns a Deferred with the page to show.
    Raises: twisted.internet.error.CannotListenError when the port (0: any free one) is taken.
    """

    def __init__(
        self, reactor: Any, port: int, path: str, on_query: Callable[[dict[str, list[str]]], "Deferred[Page]"]
    ) -> None:
        self._site = LoopbackSite(reactor, port, _Redirect(path, on_query))

    @property
    def port(self) -> int:
        """The TCP port it listens on."""
        return self._site.port

    def stop(self) -> "Deferred[Any]":
        """Stop to listen, after the pages on their way; fires when all is closed."""
        return self._site.stop()


class _Redirect(Resource):
    isLeaf = True

    def __init__(self, path: str, on_query: Callable[[dict[str, list[str]]], "Deferred[Page]"]) -> None:
        super().__init__()
        self._path = path
        self._on_query = on_query

    def render_GET(self, request: Any) -> Any:
        """Take the answer, or say that there is nothing here (a browser asks for an icon, too)."""
        if not is_asked_by_name(request) or request.path.decode("utf-8", "replace") != self._path:
            return _written(request, Page(404, "Nothing here", "This is the waiting port of a microlev login."))
        if not request.args:
            return _written(request, Page(400, "No answer", "This address carries no answer of the consent page."))
        gone: list[bool] = []
        request.notifyFinish().addErrback(lambda _: gone.append(True))

        def show(answer: Page) -> None:
            if not gone:
                request.write(_written(request, answer))
                request.finish()

        self._on_query(fields(request)).addCallback(show)
        return NOT_DONE_YET

    def render_HEAD(self, request: Any) -> bytes:
        """Look, without the answer counting: tools that show a preview ask so."""
        prepare(request, 405)
        return b""


def _written(request: Any, answer: Page) -> bytes:
    prepare(request, answer.status)
    return page(answer.title, answer.text)
