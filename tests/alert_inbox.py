"""A web server on loopback that takes what apprise's `json://` sends, and behaves as it is told."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Inbox:
    """Serves from its making to `close`. `statuses` are the answers to come, 200 when there are none left.

    With `hangs` it answers nobody before it is closed; with `closes` it ends each connection without a word.
    """

    def __init__(self) -> None:
        self.received: list[dict[str, Any]] = []
        self.statuses: list[int] = []
        self.hangs = self.closes = False
        self.requests = 0
        self._arrived = threading.Condition()
        self._is_over = threading.Event()
        inbox = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                inbox._take(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._server.server_port)

    def url(self, secret: str = "") -> str:
        return f"json://127.0.0.1:{self.port}/{secret}"

    def wait_for(self, count: int, limit_s: float = 10.0) -> list[dict[str, Any]]:
        """Wait until so many requests have come; return what was taken."""
        with self._arrived:
            assert self._arrived.wait_for(lambda: self.requests >= count, limit_s), f"{self.requests} of {count}"
        return self.received

    def close(self) -> None:
        self._is_over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _take(self, handler: BaseHTTPRequestHandler) -> None:
        content = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        status = self.statuses.pop(0) if self.statuses else 200
        with self._arrived:
            self.requests += 1
            if status == 200 and not self.hangs and not self.closes:
                self.received.append(content)
            self._arrived.notify_all()
        if self.hangs:
            self._is_over.wait(30)
        if self.hangs or self.closes:
            handler.close_connection = True
            return
        handler.send_response(status)
        handler.send_header("Content-Length", "0")
        handler.end_headers()
