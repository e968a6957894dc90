"""The stop file on a real disk: what counts as one, and what it asks for."""

import os
from pathlib import Path

import pytest

from bot.net.stop_file import STOP_FILE_NAME, StopFile


@pytest.mark.parametrize(
    ("content", "command"),
    [
        (b"", "halt"),
        (b"\n", "halt"),
        (b"halt", "halt"),
        (b"flatten", "flatten"),
        (b"FLATTEN\r\n", "flatten"),
        (b"please flatten!", "flatten"),
        (b"flattened", "halt"),
        (b"flat", "halt"),
        (b"\xff\xfe\x00 flatten", "flatten"),
        (b"x" * 1_000_000, "halt"),
    ],
)
def test_any_content_halts_and_the_word_flatten_flattens(content: bytes, command: str, tmp_path: Path) -> None:
    (tmp_path / STOP_FILE_NAME).write_bytes(content)
    file = StopFile(tmp_path)
    assert file.look() and file.command == command
    assert not file.look(), "it is news once"


def test_its_life_is_news_at_each_turn(tmp_path: Path) -> None:
    file = StopFile(tmp_path)
    assert (file.look(), file.command) == (False, None)
    file.path.touch()
    assert (file.look(), file.command) == (True, "halt")
    file.path.write_text("flatten")
    assert (file.look(), file.command) == (True, "flatten")
    file.path.unlink()
    assert (file.look(), file.command) == (True, None)


def test_what_cannot_be_read_counts_as_there(tmp_path: Path) -> None:
    folder, link, loop = (tmp_path / name for name in ("folder", "link", "loop"))
    for each in (folder, link, loop):
        each.mkdir()
    (folder / STOP_FILE_NAME).mkdir()
    (link / STOP_FILE_NAME).symlink_to("nowhere")
    (loop / STOP_FILE_NAME).symlink_to(STOP_FILE_NAME)
    for each in (folder, link, loop):
        file = StopFile(each)
        assert (file.look(), file.command) == (True, "halt"), each
    assert StopFile(tmp_path / "not there").look() is False


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_without_rights_counts_as_there(tmp_path: Path) -> None:
    (tmp_path / STOP_FILE_NAME).write_text("flatten")
    (tmp_path / STOP_FILE_NAME).chmod(0)
    file = StopFile(tmp_path)
    assert (file.look(), file.command) == (True, "halt")


def test_an_error_of_the_disk_counts_as_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> int:
        raise PermissionError(13, "denied")

    file = StopFile(tmp_path)
    monkeypatch.setattr("bot.net.stop_file.os.open", fails)
    assert (file.look(), file.command) == (True, "halt")


def test_a_pipe_that_nobody_writes_to_does_not_stop_the_run(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / STOP_FILE_NAME)
    file = StopFile(tmp_path)
    assert (file.look(), file.command) == (True, "halt")


def test_taking_it_away_is_no_news_afterwards(tmp_path: Path) -> None:
    file = StopFile(tmp_path)
    file.remove()
    file.path.touch()
    file.look()
    file.remove()
    assert not file.path.exists()
    assert (file.look(), file.command) == (False, None)
