"""The live feed over TLS for real: whose certificate it takes, and that the token goes nowhere else."""

import asyncio
import json
import ssl
from pathlib import Path
from typing import Any

import pytest
from certificates import certificate_files

from bot.dashboard.live_feed import LiveFeed
from bot.dashboard.place import Place

SNAPSHOT = b'{"type": "snapshot", "time": "2026-11-27T08:00:01Z", "orders": [], "symbols": []}\n'


class TlsBot:
    """A bot that speaks TLS for real, at an address of this machine, and has one snapshot and one answer."""

    def __init__(self, folder: Path, **made: Any) -> None:
        self.certificate, key = certificate_files(folder, **made)
        self.asked: list[str] = []
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(self.certificate, key)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.asked.append(head)
        body = b'{"ok": true, "status": {"trading": "halted"}}' if head.startswith("POST") else SNAPSHOT
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body)
        await writer.drain()
        writer.close()

    def seen_by(self, **given: Any) -> tuple[LiveFeed, tuple[bool, str]]:
        """Return a feed that has read until its first pause, and what came of a halt."""

        async def read() -> tuple[LiveFeed, tuple[bool, str]]:
            server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
            port = server.sockets[0].getsockname()[1]
            place = Place(f"https://127.0.0.1:{port}", "token-1", given.pop("certificate_file", None))

            async def stop(_: float) -> None:
                raise asyncio.CancelledError

            feed = LiveFeed(lambda: place, pause=stop, **given)
            done = await feed.command("halt")
            with pytest.raises(asyncio.CancelledError):
                await feed.run()
            server.close()
            await server.wait_closed()
            return feed, done

        return asyncio.run(read())


def test_a_bot_is_read_and_steered_over_tls_with_its_own_certificate_or_its_authority(tmp_path: Path) -> None:
    bot = TlsBot(tmp_path)
    for given in ({"ca_file": bot.certificate}, {"certificate_file": bot.certificate}):
        bot.asked.clear()
        feed, done = bot.seen_by(**given)
        assert (feed.snapshot, done) == (json.loads(SNAPSHOT), (True, "halted"))
        assert len(bot.asked) == 2 and all("Authorization: Bearer token-1" in head for head in bot.asked)


@pytest.mark.parametrize("why", ["nobody", "expired", "another name", "another's"])
def test_a_certificate_that_is_not_to_be_trusted_gets_no_token_and_is_told_of(why: str, tmp_path: Path) -> None:
    made: dict[str, dict[str, Any]] = {"expired": {"days": -1}, "another name": {"host": "bot.example"}}
    bot = TlsBot(tmp_path, **made.get(why, {}))
    other = tmp_path / "other"
    other.mkdir()
    ca_file = {"nobody": None, "another's": certificate_files(other)[0]}.get(why, bot.certificate)
    feed, done = bot.seen_by(ca_file=ca_file)
    assert (feed.trouble, feed.snapshot, done) == ("untrusted", None, (False, "unreachable"))
    assert bot.asked == []
