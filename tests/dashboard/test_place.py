"""A bot is found by the file it has written, and its token goes nowhere that others could read it."""

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bot.dashboard.place import Place, PlaceUnknown, checked_url, place_in, running_bots


@pytest.fixture
def url() -> Iterator[str]:
    """An address at which somebody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def written(folder: Path, mode: int = 0o600, **changes: Any) -> Path:
    content = {
        "url": "http://127.0.0.1:1",
        "token": "secret-4f1c",
        "process_id": os.getpid(),
        "account_id": 7,
        "run_id": "r",
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "telemetry.json"
    path.write_text(json.dumps(content | changes), encoding="utf-8")
    path.chmod(mode)
    return folder


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("http://127.0.0.1:80", "http://127.0.0.1:80"),
        ("http://localhost:8000/", "http://localhost:8000"),
        ("http://[::1]:8000", "http://[::1]:8000"),
        ("https://bot.example:8443/", "https://bot.example:8443"),
    ],
)
def test_an_address_that_keeps_the_token_safe_is_taken(given: str, kept: str) -> None:
    assert checked_url(given) == kept


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("http://192.168.1.2:8000", "192.168.1.2 is another machine"),
        ("http://127.0.0.1.evil.example:80", "another machine"),
        ("http://0.0.0.0:80", "another machine"),
        ("ftp://127.0.0.1:80", "must be http"),
        ("http://", "must be http"),
        ("http://127.0.0.1:99999", "must be http"),
        ("http://127.0.0.1:x", "must be http"),
        ("http://[127.0.0.1", "must be http"),
        ("http://127.0.0.1:80/stream", "must be http"),
        ("http://127.0.0.1:80/?token=t", "nothing but host and port"),
        ("http://t:t@127.0.0.1:80", "nothing but host and port"),
        ("http://127.0.0.1:80#t", "nothing but host and port"),
    ],
)
def test_an_address_that_does_not_is_refused_in_one_line(given: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        checked_url(given)


def test_a_bot_is_found_by_its_file(url: str, tmp_path: Path) -> None:
    assert place_in(written(tmp_path, url=url)) == Place(url, "secret-4f1c")
    found = place_in(written(tmp_path, url=url, certificate_file="/a/b.pem"))
    assert found.certificate_file == Path("/a/b.pem")
    assert "secret-4f1c" not in repr(found)


def test_a_file_that_is_not_there_yet_is_no_place(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(PlaceUnknown, match=r"there is no .*telemetry\.json"):
            place_in(folder)


def test_a_file_that_a_bot_has_left_behind_is_no_place(url: str, tmp_path: Path) -> None:
    with pytest.raises(PlaceUnknown, match="left by a bot that is gone"):
        place_in(written(tmp_path, url=url, process_id=2**22 + 1))


def test_a_bot_that_hangs_is_found_without_being_asked(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        assert place_in(written(tmp_path, url=url)).url == url
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()


@pytest.mark.parametrize(
    "changes",
    [
        {"token": ""},
        {"token": 7},
        {"token": None},
        {"url": None},
        {"url": "http://10.0.0.1:80"},
        {"certificate_file": 7},
    ],
)
def test_a_file_that_says_something_else_is_no_place(changes: dict[str, Any], url: str, tmp_path: Path) -> None:
    with pytest.raises(PlaceUnknown) as told:
        place_in(written(tmp_path, **({"url": url} | changes)))
    assert "secret-4f1c" not in str(told.value) and "\n" not in str(told.value)


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX")
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_file_that_others_can_read_is_no_place(mode: int, url: str, tmp_path: Path) -> None:
    with pytest.raises(PlaceUnknown, match="not yours alone"):
        place_in(written(tmp_path, mode, url=url))


def test_the_bots_that_run_are_found_and_the_others_are_not(url: str, tmp_path: Path) -> None:
    written(tmp_path / "live-1", url=url)
    written(tmp_path / "demo-2")
    written(tmp_path / "demo-3", url=url)
    (tmp_path / "simulator-4").mkdir()
    assert running_bots(tmp_path) == [tmp_path / "demo-3", tmp_path / "live-1"]
    assert running_bots(tmp_path / "missing") == []
