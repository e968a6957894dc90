"""A person's browser for tests of a login: in a thread of its own, on loopback only, following redirects by hand."""

import re
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from email.message import Message
from typing import Any

LIMIT_S = 10.0


@dataclass(frozen=True)
class Seen:
    """A page that was shown."""

    url: str
    status: int
    text: str
    headers: Message

    @property
    def location(self) -> str:
        return self.headers.get("Location", "")


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


_opener = urllib.request.build_opener(_NoRedirect, urllib.request.ProxyHandler({}))


def visit(url: str, *, form: dict[str, Any] | None = None, html: bool = False) -> Seen:
    """Ask for one page; a redirect is not followed."""
    data = None if form is None else urllib.parse.urlencode(form, doseq=True).encode()
    headers = {"Accept": "text/html,*/*;q=0.8"} if html else {"Accept": "*/*"}
    request = urllib.request.Request(url, data, headers)
    try:
        with _opener.open(request, timeout=LIMIT_S) as answer:
            return Seen(url, answer.status, answer.read().decode(), answer.headers)
    except urllib.error.HTTPError as error:
        with error:
            return Seen(url, error.code, error.read().decode(), error.headers)


def hidden_number(page: str) -> str:
    """The number in the form of a consent page."""
    match = re.search(r'name="page" value="([^"]+)"', page)
    assert match is not None, page
    return match[1]


def query_of(url: str) -> dict[str, str]:
    return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query))


def with_query(url: str, **changes: str | None) -> str:
    """The address with parts of its query changed, or taken out (None)."""
    parts = urllib.parse.urlsplit(url)
    kept = {key: text for key, text in (query_of(url) | changes).items() if text is not None}
    return urllib.parse.urlunsplit(parts._replace(query=urllib.parse.urlencode(kept)))


@dataclass
class Browser:
    """Does what a person would, once it is opened. Use it in place of `open_browser`."""

    act: Callable[[str], Any]
    opened: list[str] = field(default_factory=list)
    errors: list[BaseException] = field(default_factory=list)
    result: Any = None
    _thread: threading.Thread | None = None

    def __call__(self, url: str) -> bool:
        self.opened.append(url)
        self._thread = threading.Thread(target=self._run, args=(url,), daemon=True)
        self._thread.start()
        return True

    def done(self) -> Any:
        """What the person saw in the end."""
        assert self._thread is not None, "nobody opened the browser"
        self._thread.join(LIMIT_S)
        assert not self._thread.is_alive()
        if self.errors:
            raise self.errors[0]
        return self.result

    def _run(self, url: str) -> None:
        try:
            self.result = self.act(url)
        except BaseException as error:
            self.errors.append(error)
