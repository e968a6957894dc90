"""A gate before an application that says who came through, and a browser's requests to it, in one process."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx

from bot.dashboard.access import Access
from bot.dashboard.gate import Gate

PORT = 8123
HOME = f"http://127.0.0.1:{PORT}"
TOKEN = "right-4f1c9d"


class GateScene:
    """Who is let in, and what comes through. `now_s` is the clock of the gate's patience."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.tokens = [TOKEN]
        self.passed: list[str] = []
        self.entered = 0
        self.access = Access(lambda: self.tokens, lambda: self.now_s)
        self.gate = Gate(self._behind, self.access, PORT, self._enter)

    def _enter(self) -> None:
        self.entered += 1

    async def _behind(self, scope: Any, receive: Any, send: Any) -> None:
        self.passed.append(scope["path"])
        if scope["type"] == "websocket":
            await send({"type": "websocket.accept"})
            return
        headers = [
            (b"content-type", b"text/html"),
            (b"cache-control", b"public, max-age=9"),
            (b"x-frame-options", b"ALLOW"),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"behind the gate"})

    def ask(self, path: str, method: str = "GET", home: str = HOME, **given: Any) -> httpx.Response:
        """One request, without a jar of cookies and without following anything."""

        async def asked() -> httpx.Response:
            transport = httpx.ASGITransport(app=self.gate)
            async with httpx.AsyncClient(transport=transport, base_url=home, trust_env=False) as client:
                return await client.request(method, path, **given)

        return asyncio.run(asked())

    def session(self) -> dict[str, str]:
        """The header of somebody who was let in."""
        answer = self.ask(f"/?token={TOKEN}")
        assert answer.status_code == 303, answer.text
        return {"Cookie": answer.headers["set-cookie"].partition(";")[0]}

    def open_socket(
        self, path: str = "/_nicegui_ws/socket.io/", host: str = f"127.0.0.1:{PORT}", **headers: str
    ) -> str:
        """Ask for a websocket; return what was answered first."""
        sent: list[str] = []
        given = [(b"host", host.encode()), *((name.encode(), text.encode()) for name, text in headers.items())]
        scope = {"type": "websocket", "path": path, "query_string": b"", "headers": given}
        asyncio.run(self.gate(scope, _never, _noted(sent)))
        return sent[0]


async def _never() -> dict[str, Any]:
    raise AssertionError("nothing is to be read")


def _noted(sent: list[str]) -> Callable[[Any], Any]:
    async def send(message: Any) -> None:
        sent.append(message["type"])

    return send
