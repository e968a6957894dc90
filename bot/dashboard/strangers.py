"""Connections to the dashboard over which nobody has shown a session yet: few at a time, and little of each is kept.

How it works: another user of this machine may open as many as they like, and send as slowly. One too many costs the
oldest of them, never one that the gate has let in. h11 bounds what a request may hold before it is whole (64 KiB);
uvicorn's faster parser does not.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

MOST_STRANGERS = 128
AT_ONCE = 32
"""So many may wait to be taken, and are taken at once: fewer than would push one out before a word of it was read."""
LET_IN = "microlev.let_in"
"""Where a request's scope has what the gate calls to keep the connection."""


class Strangers:
    """The connections that may have to make room, oldest first."""

    def __init__(self, most: int = MOST_STRANGERS) -> None:
        self._most = most
        self._connections: dict[BoundedConnection, None] = {}

    def add(self, connection: "BoundedConnection") -> None:
        """Take a new one; of too many the oldest goes."""
        self._connections[connection] = None
        if len(self._connections) > self._most:
            oldest = next(iter(self._connections))
            del self._connections[oldest]
            oldest.transport.abort()

    def forget(self, connection: "BoundedConnection") -> None:
        """It is none, or no more; a second time is nothing."""
        self._connections.pop(connection, None)


class BoundedConnection(H11Protocol):
    """One connection of uvicorn's, a stranger's until the gate says otherwise."""

    def __init__(self, *arguments: Any, strangers: Strangers, **given: Any) -> None:
        super().__init__(*arguments, **given)
        self._strangers = strangers
        self._behind = self.app
        self.app = self._marked

    async def _marked(self, scope: Any, receive: Any, send: Any) -> None:
        scope[LET_IN] = lambda: self._strangers.forget(self)
        await self._behind(scope, receive, send)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """It is there."""
        super().connection_made(transport)
        self._strangers.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        self._strangers.forget(self)
        super().connection_lost(exc)

    def handle_websocket_upgrade(self, event: Any) -> None:
        """Another protocol has it from here on, which asks the gate at once, or ends it."""
        self._strangers.forget(self)
        super().handle_websocket_upgrade(event)
