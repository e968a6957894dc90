"""Telemetry of real processes over real sockets: its file, TLS, a kill, a taken port, and the docs' own words."""

import asyncio
import re
import shutil
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest
from certificates import certificate_files
from running_bot import LIMIT_S, ROOT, ask, config, end, started, until_listening, venue

from bot.dashboard.live_feed import LiveFeed
from bot.dashboard.place import Place, place_in
from bot.net.telemetry_file import FILE_NAME, is_served, read_place

pytestmark = pytest.mark.slow


def run(path: Path, folder: Path) -> Any:
    return started("-m", "bot", "run", path, "--json", folder=folder)


def test_a_run_tells_where_it_is_and_never_with_what_and_a_clean_stop_leaves_nothing(tmp_path: Path) -> None:
    with venue(tmp_path) as (_, ready), run(config(ready, tmp_path, {}), tmp_path) as process:
        place = until_listening(process, tmp_path / "state")
        assert is_served(place)
        status, body = ask(place, "/command", body={"command": "halt", "reason": "a test"})
        assert status == 200 and b"a test" in body
        code, out, err = end(process)
        assert code == 130
        assert f"telemetry on {place.url} (token in {tmp_path / 'state' / FILE_NAME})" in err
        assert place.token not in out + err
        assert read_place(tmp_path / "state") is None and not is_served(place)


def test_the_token_is_in_no_file_but_the_two_and_in_no_recording(tmp_path: Path) -> None:
    with venue(tmp_path) as (_, ready):
        path = config(ready, tmp_path, {})
        path.write_text(path.read_text() + f"recording: {{directory: {tmp_path / 'journals'}}}\n", encoding="utf-8")
        with run(path, tmp_path) as process:
            place = until_listening(process, tmp_path / "state")
            ask(place, "/state", token="wrong")
            holders = {each.name for each in tmp_path.rglob("*") if each.is_file() and holds(each, place.token)}
            assert holders == {"telemetry.json", "telemetry.token"}
            end(process)
        assert any((tmp_path / "journals").iterdir())
        assert not [each for each in tmp_path.rglob("*") if each.is_file() and holds(each, place.token)]


def holds(path: Path, secret: str) -> bool:
    content = path.read_bytes()
    if path.suffix == ".zst":
        import zstandard

        content = zstandard.ZstdDecompressor().decompressobj().decompress(content)
    return secret.encode() in content


def test_what_a_killed_run_leaves_is_stale_and_the_next_run_replaces_it(tmp_path: Path) -> None:
    with venue(tmp_path) as (_, ready):
        path = config(ready, tmp_path, {})
        with run(path, tmp_path) as process:
            killed = until_listening(process, tmp_path / "state")
            process.send_signal(signal.SIGKILL)
            process.wait(20)
        assert read_place(tmp_path / "state") == killed and not is_served(killed)
        with run(path, tmp_path) as process:
            place = until_listening(process, tmp_path / "state")
            assert place.token != killed.token
            assert ask(place, "/state", token=killed.token)[0] == 401


def test_a_port_that_is_taken_ends_the_command_with_2_and_one_line(tmp_path: Path) -> None:
    with venue(tmp_path) as (_, ready), socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        path = config(ready, tmp_path, {"port": port})
        with run(path, tmp_path) as process:
            out, err = process.communicate(timeout=60)
            assert process.returncode == 2 and out == ""
            line = path.read_text().splitlines().index(f"  port: {port}") + 1
            assert err.splitlines() == [
                f"{path}:{line}: telemetry.port: 127.0.0.1 port {port} cannot be listened on (Address already in use); "
                "take another, or 0 for any"
            ]


def test_a_second_run_in_the_folder_of_one_that_goes_on_is_refused(tmp_path: Path) -> None:
    with venue(tmp_path) as (_, ready):
        path = config(ready, tmp_path, {})
        with run(path, tmp_path) as first:
            place = until_listening(first, tmp_path / "state")
            with run(path, tmp_path) as second:
                _, err = second.communicate(timeout=60)
                assert second.returncode == 2 and f"process {first.pid}" in err
            assert ask(place, "/state")[0] == 200


def test_with_a_certificate_it_speaks_tls_and_nothing_else(tmp_path: Path) -> None:
    certificate, key = certificate_files(tmp_path)
    files = {"certificate_file": str(certificate), "private_key_file": str(key)}
    with venue(tmp_path) as (_, ready), run(config(ready, tmp_path, files), tmp_path) as process:
        place = until_listening(process, tmp_path / "state", ca_file=certificate)
        assert place.url.startswith("https://127.0.0.1:") and place.certificate_file == str(certificate)
        assert ask(place, "/state", ca_file=certificate, token="wrong")[0] == 401
        assert ask(place, "/state")[0] == 0, "a client that does not know the certificate has no connection"
        with socket.create_connection(("127.0.0.1", int(place.url.rpartition(":")[2])), timeout=10) as plain:
            plain.sendall(
                f"GET /state HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {place.token}\r\n\r\n".encode()
            )
            assert b"HTTP/1.1" not in plain.recv(4096)


def test_the_dashboards_feed_reads_and_steers_it_over_tls(tmp_path: Path) -> None:
    certificate, key = certificate_files(tmp_path)
    files = {"certificate_file": str(certificate), "private_key_file": str(key)}
    with venue(tmp_path) as (_, ready), run(config(ready, tmp_path, files), tmp_path) as process:
        place = until_listening(process, tmp_path / "state", ca_file=certificate)
        given = LiveFeed(lambda: Place(place.url, place.token), ca_file=certificate)
        for feed in (LiveFeed(lambda: place_in(tmp_path / "state")), given):
            assert asyncio.run(halted_by(feed)) == (True, "halted")
            assert feed.snapshot is not None and feed.snapshot["run_id"] == place.run_id
        stranger = LiveFeed(lambda: Place(place.url, place.token))
        assert asyncio.run(stranger.command("resume")) == (False, "unreachable")


async def halted_by(feed: LiveFeed) -> tuple[bool, str]:
    reading = asyncio.create_task(feed.run())
    async with asyncio.timeout(LIMIT_S):
        while feed.snapshot is None:
            await asyncio.sleep(0.05)
        done = await feed.command("halt", "over TLS")
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    return done


def test_exposed_it_answers_by_the_name_of_its_certificate(tmp_path: Path) -> None:
    certificate, key = certificate_files(tmp_path)
    files = {"certificate_file": str(certificate), "private_key_file": str(key)}
    section = files | {"host": "0.0.0.0", "expose": True}
    with venue(tmp_path) as (_, ready), run(config(ready, tmp_path, section), tmp_path) as process:
        place = until_listening(process, tmp_path / "state", ca_file=certificate)
        assert place.url.startswith("https://localhost:")


@pytest.mark.skipif(not (shutil.which("curl") and shutil.which("bash")), reason="the example is for bash and curl")
def test_the_example_with_curl_in_the_docs_does_what_it_says(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "telemetry.md").read_text(encoding="utf-8")
    match = re.search(r"<!-- curl example: begin -->\s*```bash no-run\n(.*?)```", text, re.DOTALL)
    assert match is not None
    cd, url, rest = match[1].split("\n", 2)
    assert cd.startswith("cd ~/.local/state/microlev/") and url.startswith("url=http://127.0.0.1:8377 ")
    lines = [
        f"{line} || true" if "--max-time" in line else line for line in rest.splitlines()
    ]  # curl calls that an error
    with venue(tmp_path) as (_, ready), run(config(ready, tmp_path, {}), tmp_path) as process:
        place = until_listening(process, tmp_path / "state")
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", "\n".join([f"url={place.url}", *lines])],
            cwd=tmp_path / "state",
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.count('"type":"snapshot"') >= 3
        assert "microlev_ready 1.0" in done.stdout
        assert '"trading": "halted"' in done.stdout and "lunch" in done.stdout
        assert ask(place, "/command", body={"command": "resume"})[0] == 200
