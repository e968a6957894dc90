"""The page's process beside a demo: what it says is passed on, it ends with the demo, and its death is told."""

import sys
import threading
from pathlib import Path

import pytest
from private_reactor import Bench, bench

from bot.cli.page_process import PageProcess, page_command

__all__ = ["bench"]  # a fixture

# Twisted 26.10 still hands pyOpenSSL its own deprecated certificate objects.
pytestmark = pytest.mark.filterwarnings("ignore:Passing pyOpenSSL:DeprecationWarning")

UNTIL_INPUT_ENDS = "import os, sys; print('dashboard: here', file=sys.stderr, flush=True)\nwhile os.read(0, 9): pass\n"


class Heard:
    """What was told, and when something was."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.changed = threading.Condition()

    def __call__(self, line: str) -> None:
        with self.changed:
            self.lines.append(line)
            self.changed.notify_all()

    def wait_for(self, count: int) -> list[str]:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.lines) >= count, 30), self.lines
            return self.lines


def start(program: str) -> tuple[PageProcess, Heard]:
    heard = Heard()
    return PageProcess([sys.executable, "-I", "-S", "-c", program], heard), heard


def test_its_lines_are_passed_on_and_it_ends_with_its_input() -> None:
    page, heard = start(UNTIL_INPUT_ENDS)
    assert heard.wait_for(1) == ["dashboard: here"]
    assert page.link == "here"
    page.end()
    assert (page.exit_code, heard.lines, page.link) == (0, ["dashboard: here"], None)


def test_one_that_dies_is_told_of_with_its_last_words() -> None:
    page, heard = start("import sys; sys.exit('no more memory')")
    assert heard.wait_for(2) == ["no more memory", "the dashboard has ended (exit code 1); the demo goes on"]
    page.end()
    assert len(heard.lines) == 2


def test_one_that_does_not_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.cli.page_process._PATIENCE_S", 0.2)
    program = "import sys, time; print('here', file=sys.stderr, flush=True); time.sleep(600)"
    page, heard = start(program)
    heard.wait_for(1)
    page.end()
    assert page.exit_code not in (0, None)


def test_the_command_holds_where_the_token_will_be_and_not_the_token() -> None:
    command = page_command(Path("/tmp/x/telemetry.json"), "--no-browser")
    assert command[1:] == ["-m", "bot", "dashboard", "/tmp/x/telemetry.json", "--with-parent", "--no-browser"]


LOOKS_FOR_THE_BOT = """
import os, sys, threading
path = sys.argv[1]
print("looks in", os.path.basename(path), *sys.argv[2:], file=sys.stderr, flush=True)
def look():
    while not os.path.exists(path):
        threading.Event().wait(0.01)
    print("found", oct(os.stat(path).st_mode & 0o777), file=sys.stderr, flush=True)
threading.Thread(target=look, daemon=True).start()
while os.read(0, 9): pass
"""


@pytest.mark.parametrize("flags", [["--no-browser"], []])
def test_a_demo_starts_its_page_at_once_where_the_bot_will_say_that_it_is(
    flags: list[str], bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def command(path: Path, *options: str) -> list[str]:
        return [sys.executable, "-I", "-S", "-c", LOOKS_FOR_THE_BOT, str(path), *options]

    monkeypatch.setattr("bot.cli.page_process.page_command", command)
    where = bench.folder / "journals"
    assert bench.microlev("demo", "--dashboard", *flags, "--seconds", 0.5, "--json", "--record", where) == 0
    said = bench.err.splitlines()
    assert " ".join(["looks in telemetry.json", *flags]) in said
    assert "found 0o600" in said
