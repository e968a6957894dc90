"""Small web pages on loopback: a server that writes no log, and a page without scripts that nobody may keep.

How it works: `LoopbackSite` listens on 127.0.0.1 (and, for the name `localhost`, on ::1 where that exists) and answers
through one resource; what is bounded, and why nothing is logged, says `bot.net.web_port`.
"""

import html
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from twisted.web.resource import Resource

from bot.config.loopback import is_loopback
from bot.net.web_port import WebPort

HOST = "127.0.0.1"
HEADERS = {
    "Cache-Control": "no-store",
    "Connection": "close",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "Content-Type": "text/html; charset=utf-8",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:34rem;margin:12vh auto;padding:0 1.5rem;color:#1d2733;"
    "background:#f6f7f9}main{background:#fff;border:1px solid #dde2e8;border-radius:.6rem;padding:1.5rem 2rem}"
    "h1{font-size:1.3rem;margin:0 0 .8rem}label{display:block;padding:.45rem 0}fieldset{border:1px solid #dde2e8;"
    "border-radius:.4rem;margin:1rem 0}button{font:inherit;padding:.5rem 1.4rem;border-radius:.4rem;cursor:pointer;"
    "border:1px solid #b8c0ca;background:#fff;margin-right:.6rem}button.yes{background:#1463c2;border-color:#1463c2;"
    "color:#fff}small{color:#5d6875}"
    "@media(prefers-color-scheme:dark){body{background:#14181d;color:#e3e8ee}main{background:#1c2229;"
    "border-color:#333c47}button{background:#27303a;color:inherit;border-color:#475261}}"
)


def page(title: str, *paragraphs: str, body: str = "") -> bytes:
    """Return a whole HTML page. `paragraphs` are plain text, escaped here; `body` is markup."""
    text = "".join(f"<p>{html.escape(paragraph)}</p>" for paragraph in paragraphs)
    head = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>'
        f'{html.escape(title)}</title><meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>'
    )
    return f"{head}<body><main><h1>{html.escape(title)}</h1>{text}{body}</main></body></html>".encode()


def prepare(request: Any, status: int, headers: Mapping[str, str] = HEADERS) -> None:
    """Set an answer's status and headers."""
    request.setResponseCode(status)
    for name, text in headers.items():
        request.setHeader(name, text)


def fields(request: Any) -> dict[str, list[str]]:
    """Return the query, or the form that was posted, as text. Missing: what is not UTF-8 becomes a replacement sign."""
    return {
        name.decode("utf-8", "replace"): [text.decode("utf-8", "replace") for text in texts]
        for name, texts in request.args.items()
    }


def is_asked_by_name(request: Any) -> bool:
    """Tell whether a request names this machine as its host: a page elsewhere must not reach us under its own name."""
    try:
        host = urlsplit(f"//{(request.getHeader('host') or '').strip()}").hostname
    except ValueError:
        return False
    return host is not None and is_loopback(host)


class LoopbackSite(WebPort):
    """A web server on loopback, for browsers.

    Raises: twisted.internet.error.CannotListenError when the port (0: any free one) is taken.
    """

    def __init__(self, reactor: Any, port: int, resource: Resource) -> None:
        super().__init__(reactor, port, resource, hosts=(HOST, "::1"))  # browsers try both
