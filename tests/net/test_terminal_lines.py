"""Lines from standard input: a pipe, a file, a terminal, nothing at all; and never a thread left behind."""

import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bot.net.terminal_lines import LONGEST_LINE_BYTES, TerminalLines

LIMIT_S = 10.0


class Reactor:
    """Runs what comes from the thread at once, and lets a test wait for it."""

    def __init__(self) -> None:
        self.came = threading.Semaphore(0)

    def callFromThread(self, call: Callable[..., None], *arguments: Any) -> None:
        call(*arguments)
        self.came.release()


class Typing:
    def __init__(self, descriptor: int, patch: pytest.MonkeyPatch) -> None:
        self.heard: list[str] = []
        self._reactor = Reactor()
        self.stdin = os.fdopen(descriptor)
        patch.setattr(sys, "stdin", self.stdin)
        self.lines = TerminalLines(self._reactor, self.heard.append)

    def wait(self, count: int) -> list[str]:
        for _ in range(count):
            assert self._reactor.came.acquire(timeout=LIMIT_S)
        return self.heard


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Typing, int]]:
    reading, writing = os.pipe()
    typing = Typing(reading, monkeypatch)
    yield typing, writing
    typing.lines.stop()
    assert "terminal-lines" not in {thread.name for thread in threading.enumerate()}
    typing.stdin.close()


def test_whole_lines_are_heard_however_they_come(pipe: tuple[Typing, int]) -> None:
    typing, writing = pipe
    assert typing.lines.start()
    for part in (b"on", b"e\ntw", b"o\n\nthr", b"ee"):
        os.write(writing, part)
    assert typing.wait(3) == ["one", "two", ""]
    os.close(writing)
    assert typing.wait(1) == ["one", "two", "", "three"]


def test_the_end_of_input_is_quiet(pipe: tuple[Typing, int]) -> None:
    typing, writing = pipe
    os.close(writing)
    assert typing.lines.start()
    typing.lines._thread.join(LIMIT_S)  # type: ignore[union-attr]
    assert typing.heard == []


def test_a_stop_does_not_wait_for_a_line_and_hears_none_after_it(pipe: tuple[Typing, int]) -> None:
    typing, writing = pipe
    assert typing.lines.start()
    typing.lines.stop()
    os.write(writing, b"late\n")
    os.close(writing)
    assert typing.heard == []


def test_a_line_without_end_is_dropped_and_the_next_one_heard(pipe: tuple[Typing, int]) -> None:
    typing, writing = pipe
    assert typing.lines.start()
    for part in (b"x" * (3 * LONGEST_LINE_BYTES), b"\nshort\n"):
        os.write(writing, part)
    os.close(writing)
    assert typing.wait(1) == ["short"]


def test_a_file_is_read_like_a_pipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "typed"
    path.write_text("a\nb\n")
    typing = Typing(os.open(path, os.O_RDONLY), monkeypatch)
    assert typing.lines.start()
    assert typing.wait(2) == ["a", "b"]
    typing.lines.stop()
    typing.stdin.close()


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="no terminals of its own")
def test_a_terminal_is_read_and_left_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = os.openpty()
    typing = Typing(theirs, monkeypatch)
    assert typing.lines.start()
    os.write(ours, b"typed\n")
    assert typing.wait(1) == ["typed"]
    assert os.get_blocking(theirs)
    typing.lines.stop()
    typing.stdin.close()
    os.close(ours)


@pytest.mark.parametrize("stdin", [None, "closed", object()])
def test_no_input_to_read_is_said(stdin: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if stdin == "closed":
        stdin = (tmp_path / "x").open("w")
        stdin.close()
    monkeypatch.setattr(sys, "stdin", stdin)
    lines = TerminalLines(Reactor(), lambda _: None)
    assert not lines.start()
    lines.stop()


def test_a_job_in_the_background_does_not_touch_its_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = os.openpty()
    typing = Typing(theirs, monkeypatch)
    monkeypatch.setattr(os, "tcgetpgrp", lambda _: os.getpgrp() + 1)
    assert not typing.lines.start()
    typing.stdin.close()
    os.close(ours)
