"""The dashboard for real: a demo with its page, opened by link and socket, steered, and ended in every way."""

import asyncio
import json
import os
import re
import signal
import socket
import threading
import time
from pathlib import Path

import httpx
import pytest

from tests.started_commands import LIMIT_S, LINK, Started, telemetry_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="asks the kernel who listens"),
]

LIVE_WITHIN_S = 10


def listening(process_id: int) -> set[str]:
    """The addresses at which a process listens, in the hexadecimal of the kernel's table."""
    inodes = set()
    for link in Path(f"/proc/{process_id}/fd").iterdir():
        try:
            target = os.readlink(link)
        except OSError:
            continue
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    found = set()
    for table in ("tcp", "tcp6", "udp", "udp6"):
        for row in Path(f"/proc/{process_id}/net/{table}").read_text(encoding="utf-8").splitlines()[1:]:
            columns = row.split()
            if columns[9] in inodes and columns[3] in ("0A", "07"):  # LISTEN; an unconnected UDP socket
                found.add(f"{table} {columns[1].partition(':')[0]}")
    return found


def _a_moment() -> None:
    """What is waited for happens in another process."""
    threading.Event().wait(0.05)


def visitor() -> httpx.Client:
    return httpx.Client(trust_env=False, follow_redirects=True, timeout=30)


def socket_code(home: str, cookies: dict[str, str], origin: str | None = None) -> str:
    """The first line of the answer to a websocket's handshake."""
    host, port = home.removeprefix("http://").split(":")
    cookie = "; ".join(f"{name}={text}" for name, text in cookies.items())
    request = (
        "GET /_nicegui_ws/socket.io/?EIO=4&transport=websocket HTTP/1.1\r\n"
        f"Host: {host}:{port}\r\nOrigin: {origin or home}\r\nCookie: {cookie}\r\nConnection: Upgrade\r\n"
        "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    with socket.create_connection((host, int(port)), 10) as connection:
        connection.sendall(request.encode())
        return connection.recv(4096).decode(errors="replace").split("\r\n")[0]


def test_a_demo_shows_live_books_on_a_page_that_only_its_link_opens(started: list[Started], tmp_path: Path) -> None:
    demo = Started("demo", "--dashboard", "--seconds", 20, "--no-browser", folder=tmp_path)
    started.append(demo)
    home, token = demo.line(LINK).groups()
    with visitor() as stranger, visitor() as owner:
        assert stranger.get(home).status_code == 403 and "<form" in stranger.get(home).text
        assert stranger.get(f"{home}/?token={token[:-1]}").status_code == 403
        assert "101" not in socket_code(home, {})
        page = owner.get(f"{home}/?token={token}")
        assert page.status_code == 200 and "token" not in str(page.url)
        cookies = dict(owner.cookies)
        assert "101 Switching Protocols" in socket_code(home, cookies)
        assert "101" not in socket_code(home, cookies, origin="http://127.0.0.1:1")
        while not re.search(r"1\.[01]\d{3,4}", owner.get(home).text):  # the price of a euro
            assert demo.age_s < LIVE_WITHIN_S, demo.err
            _a_moment()
    (page_process,) = demo.children()
    assert listening(page_process) == {"tcp 0100007F"}
    assert {where.split()[1] for where in listening(demo.process.pid)} <= {
        "0100007F", "00000000000000000000000001000000"}  # fmt: skip
    for process_id in (page_process, demo.process.pid):
        assert token.encode() not in Path(f"/proc/{process_id}/cmdline").read_bytes()
    code, out, err = demo.end()
    assert (code, "Traceback" in out + str(err)) == (0, False)
    assert [line for line in err if "dashboard" in line] == [f"dashboard: {home}/?token={token}"]
    assert not Path(f"/proc/{page_process}").exists()
    assert list(tmp_path.glob("microlev-d*")) == []


def test_a_halt_through_the_feed_halts_the_bot(started: list[Started], tmp_path: Path) -> None:
    from bot.dashboard.live_feed import LiveFeed
    from bot.dashboard.place import place_in

    demo = Started("demo", "--dashboard", "--no-browser", "--json", folder=tmp_path)
    started.append(demo)
    demo.line(re.compile("telemetry on"))
    folder = telemetry_of(tmp_path)
    feed = LiveFeed(lambda: place_in(folder))

    async def halted() -> tuple[bool, str]:
        reading = asyncio.create_task(feed.run())
        async with asyncio.timeout(LIMIT_S):
            while feed.snapshot is None or not feed.snapshot["ready"]:
                await asyncio.sleep(0.05)
            done = await feed.command("halt", "to see it")
            while feed.snapshot["trading"] != "halted":
                await asyncio.sleep(0.05)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        return done

    assert asyncio.run(halted()) == (True, "halted")
    assert feed.trouble is None and feed.snapshot is not None
    assert "to see it" in json.dumps(feed.snapshot)
    demo.process.send_signal(signal.SIGINT)
    assert demo.end(20)[0] == 130


def test_a_page_that_dies_is_told_of_and_the_demo_goes_on(started: list[Started], tmp_path: Path) -> None:
    demo = Started("demo", "--dashboard", "--no-browser", "--json", folder=tmp_path)
    started.append(demo)
    demo.line(LINK)
    (page_process,) = demo.children()
    os.kill(page_process, signal.SIGKILL)
    demo.line(re.compile(r"^the dashboard has ended \(exit code -9\); the demo goes on$"))
    assert demo.process.stdout is not None
    while not json.loads(demo.process.stdout.readline()).get("ready"):
        pass
    demo.process.send_signal(signal.SIGTERM)
    assert demo.end(20)[0] == 130


def test_a_demo_that_is_killed_leaves_no_page(started: list[Started], tmp_path: Path) -> None:
    demo = Started("demo", "--dashboard", "--no-browser", "--json", folder=tmp_path)
    started.append(demo)
    home = demo.line(LINK)[1]
    demo.process.kill()
    demo.process.communicate()
    port = int(home.rpartition(":")[2])
    until_s = time.monotonic() + 10
    while time.monotonic() < until_s:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            return
        _a_moment()
    pytest.fail("the page is still there")


@pytest.mark.parametrize(
    ("number", "arguments", "code"),
    [(signal.SIGINT, [], 130), (signal.SIGTERM, [], 130), (None, ["--seconds", "0.5"], 0)],
)
def test_it_ends_cleanly_while_a_browser_looks(
    number: signal.Signals | None, arguments: list[str], code: int, started: list[Started], tmp_path: Path
) -> None:
    page = Started(
        "dashboard", "http://127.0.0.1:9", "--no-browser", *arguments, folder=tmp_path, MICROLEV_TELEMETRY_TOKEN="t-1"
    )
    started.append(page)
    home = page.line(LINK)[1]
    with visitor() as owner:
        assert owner.get(f"{home}/?token=t-1").status_code == 200
        if number is not None:
            page.process.send_signal(number)
        ended, out, err = page.end(10)
    assert (ended, out, err) == (code, "", [f"dashboard: {home}/?token=t-1"])


def test_a_bot_that_was_started_anew_is_found_and_the_session_stays(started: list[Started], tmp_path: Path) -> None:
    def run(*arguments: object) -> Started:
        each = Started(*arguments, folder=tmp_path)
        started.append(each)
        return each

    sim = run("sim")
    assert sim.process.stdout is not None
    ready = json.loads(sim.process.stdout.readline())
    content = {
        "venue": {key: ready[key] for key in ("host", "port", "ca_file")} | {"environment": "simulator"},
        "account": {"id": ready["accounts"][0]["id"]},
        "credentials": {key: ready[key] for key in ("client_id", "client_secret", "access_token")},
        "symbols": {"EURUSD": {}},
        "telemetry": {"enabled": True},
        "mode": "dry-run",
    }
    config = tmp_path / "bot.yaml"
    config.write_text(json.dumps(content), encoding="utf-8")

    def bot() -> Started:
        each = run("run", config, "--json")
        each.line(re.compile("telemetry on"))
        return each

    first = bot()
    page = run("dashboard", "--no-browser")  # the one bot that runs
    home, token = page.line(LINK).groups()
    with visitor() as owner:
        owner.get(f"{home}/?token={token}")
        _until(owner, home, r"1\.[01]\d{3,4}", True)
        first.process.send_signal(signal.SIGINT)
        first.end(20)
        _until(owner, home, _ABSENT, True)
        with visitor() as stranger:
            assert stranger.get(f"{home}/?token={token}").status_code == 403
        bot()
        _until(owner, home, _ABSENT, False)
    page.process.send_signal(signal.SIGINT)
    assert page.end(10)[0] == 130


_ABSENT = r"data.value\W+absent\b"


def _until(owner: httpx.Client, home: str, pattern: str, is_there: bool) -> None:
    until_s = time.monotonic() + 20
    while (re.search(pattern, owner.get(home).text) is not None) != is_there:
        assert time.monotonic() < until_s, f"{pattern} on the page: {not is_there}"
        _a_moment()
