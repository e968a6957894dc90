"""`microlev dashboard` finds what is meant, says in one line what is wrong, and puts the token on no command line."""

import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import yaml

import bot.dashboard.server
from bot.cli.main import main
from bot.dashboard.live_feed import LiveFeed
from bot.dashboard.recorded_feed import RecordedFeed
from bot.dashboard.server import Wishes

VARIABLE = "MICROLEV_TELEMETRY_TOKEN"


class Served:
    """What the command gave to the server, in whose place it stands."""

    def __init__(self) -> None:
        self.feed: Any = None
        self.tokens: list[str] = []
        self.wishes: Wishes | None = None
        self.port = 0
        self.opened: list[str] = []
        self.opening_pages: list[str] = []
        self.is_interrupted = False
        self.has_until = False

    def __call__(
        self, feed: Any, listener: Any, tokens: Any, wishes: Wishes, *, announce: Any, entered: Any, until: Any
    ) -> bool:
        self.feed, self.tokens, self.wishes = feed, tokens(), wishes
        self.port, self.has_until = listener.getsockname()[1], until is not None
        listener.close()
        announce()
        entered()
        return self.is_interrupted

    def open(self, url: str) -> bool:
        self.opened.append(url)
        self.opening_pages.append(Path(url.removeprefix("file://")).read_text(encoding="utf-8"))
        return True


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Served:
    told = Served()
    monkeypatch.setattr(bot.dashboard.server, "serve", told)
    monkeypatch.setattr("bot.cli.browser.open_browser", told.open)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "states"))
    monkeypatch.delenv(VARIABLE, raising=False)
    return told


@pytest.fixture
def bot_url() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def told_by(folder: Path, url: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "telemetry.json"
    content = {"url": url, "token": "of-the-bot", "process_id": os.getpid(), "account_id": 7, "run_id": "r"}
    path.touch(0o600)
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def config(folder: Path, **changes: Any) -> Path:
    content = {
        "venue": {"environment": "simulator"},
        "account": {"id": 7},
        "symbols": {"EURUSD": {}},
        "state": {"directory": str(folder / "of-the-config")},
    }
    path = folder / "bot.yaml"
    path.write_text(yaml.safe_dump(content | changes), encoding="utf-8")
    return path


def microlev(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    code = main(["dashboard", *(str(each) for each in arguments)])
    out, err = capsys.readouterr()
    assert out == ""
    return code, err


# -- what is meant --


def test_an_address_is_asked_with_the_token_of_the_environment(
    served: Served, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "of-the-variable\n")
    code, err = microlev(capsys, "http://127.0.0.1:4711/", "--no-browser")
    assert (code, err) == (0, f"dashboard: http://127.0.0.1:{served.port}/?token=of-the-variable\n")
    assert isinstance(served.feed, LiveFeed) and served.tokens == ["of-the-variable"]
    assert served.opened == []


def test_an_address_is_asked_with_the_token_of_a_file(
    served: Served, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.touch(0o600)
    file.write_text("of-the-file\n", encoding="utf-8")
    assert microlev(capsys, "https://bot.example:1", "--token-file", file, "--no-browser")[0] == 0
    assert served.tokens == ["of-the-file"]


def test_a_config_leads_to_the_bot_that_runs_with_it(
    served: Served, bot_url: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    told_by(tmp_path / "of-the-config", bot_url)
    code, err = microlev(capsys, config(tmp_path), "--no-browser")
    assert code == 0 and err.endswith("/?token=of-the-bot\n")
    assert served.tokens == ["of-the-bot"]


def test_the_one_bot_that_runs_needs_no_name(
    served: Served, bot_url: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    told_by(tmp_path / "states" / "microlev" / "demo-7", bot_url)
    assert microlev(capsys, "--no-browser")[0] == 0
    assert served.tokens == ["of-the-bot"]


@pytest.mark.parametrize("source", ["telemetry.json", "bot.yaml"])
def test_a_bot_that_does_not_run_yet_is_waited_for_behind_a_token_of_our_own(
    source: str, served: Served, bot_url: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    config(tmp_path, telemetry={"enabled": True}, state={"directory": str(tmp_path)})
    code, err = microlev(capsys, tmp_path / source, "--no-browser")
    (own,) = served.tokens
    assert (code, len(own)) == (0, 32) and err.endswith(f"/?token={own}\n")
    told_by(tmp_path, bot_url)
    assert served.feed.tokens() == ["of-the-bot"]


@pytest.mark.parametrize("name", ["run.0001.journal.zst", "run.journal"])
def test_a_journal_is_shown_behind_a_token_of_our_own(
    name: str, served: Served, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / name).touch()
    for source in (tmp_path / name, tmp_path):
        assert microlev(capsys, source, "--no-browser")[0] == 0
        assert isinstance(served.feed, RecordedFeed)
        assert len(served.tokens) == 1 and len(served.tokens[0]) == 32


def test_what_a_person_wants_is_passed_on(served: Served, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "run.journal").touch()
    microlev(capsys, tmp_path / "run.journal", "--no-browser", "--seconds", 7, "--lang", "ja", "--with-parent")
    assert (served.wishes, served.has_until) == (Wishes(7.0, "ja"), True)
    served.is_interrupted = True
    assert microlev(capsys, tmp_path / "run.journal", "--no-browser")[0] == 130
    assert (served.wishes, served.has_until) == (Wishes(None, None), False)


def test_a_browser_is_opened_by_a_file_that_is_gone_afterwards(
    served: Served, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "run.journal").touch()
    microlev(capsys, tmp_path / "run.journal")
    (url,) = served.opened
    (token,) = served.tokens
    assert url.startswith("file://") and token not in url
    assert token in served.opening_pages[0]
    assert not Path(url.removeprefix("file://")).exists()


# -- what is wrong --


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ((), "no bot with telemetry runs in"),
        (("http://10.0.0.1:1",), "10.0.0.1 is another machine"),
        (("http://127.0.0.1:1/x",), "the address must be"),
        (("http://127.0.0.1:1",), f"no token for http://127.0.0.1:1: set {VARIABLE}"),
        (("http://127.0.0.1:1", "--token-file", "missing"), "missing: the token cannot be read: No such file"),
        (("http://127.0.0.1:1", "--token-file", "binary"), "binary: the token cannot be read: it is no text"),
        (("http://127.0.0.1:1", "--token-file", "open"), "others can read the token file (mode 0644)"),
        (("http://127.0.0.1:1", "--token-file", "empty"), "no token for"),
        (("bot.yaml", "--token-file", "empty"), "--token-file belongs to a URL"),
        (("missing.yaml",), "missing.yaml: no such file"),
        (("bot.yaml",), "telemetry.enabled is false, so its bot cannot be watched; set it to true"),
        (
            ("binary",),
            "binary is no recording (.journal, .journal.zst, or a folder of them), no address (http://…), and",
        ),
        (("localhost:8377",), "localhost:8377 is no recording"),
        (("missing.journal",), "missing.journal: there is no such recording"),
        (("missing.0001.journal.zst",), "there is no such recording"),
        (("folder",), "folder holds no recording"),
        (("bot.yaml", "--port", "65536"), "'--port'"),
        (("bot.yaml", "--lang", "de"), "'de'"),
        (("bot.yaml", "--seconds", "inf"), "must be a number of seconds"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(
    arguments: tuple[str, ...],
    why: str,
    served: Served,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    config(tmp_path)
    (tmp_path / "folder").mkdir()
    for name, content, mode in (("open", b"t", 0o644), ("binary", b"\xff", 0o600), ("empty", b"\n", 0o600)):
        (tmp_path / name).write_bytes(content)
        (tmp_path / name).chmod(mode)
    code, err = microlev(capsys, *arguments)
    assert code == 2 and why in err and err.count("\n") == 1
    assert served.feed is None


def test_what_a_killed_bot_has_left_hides_no_telemetry_that_is_off(
    served: Served, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    left = told_by(tmp_path / "of-the-config", "http://127.0.0.1:1")
    content = json.loads(left.read_text(encoding="utf-8"))
    left.write_text(json.dumps(content | {"process_id": 2**22 + 1}), encoding="utf-8")
    code, err = microlev(capsys, config(tmp_path), "--no-browser")
    assert code == 2 and "telemetry.enabled is false" in err


@pytest.fixture
def steered() -> Iterator[Path]:
    """The folder of a bot that answers on its control socket, and has no telemetry."""

    def answer() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection:
                    connection.recv(4096)
                    connection.sendall(b'{"ok": true, "status": {}}\n')

    # A socket's path is short, that of a test's folder is not.
    with TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(Path(folder) / "control.sock"))
        listener.listen()
        thread = threading.Thread(target=answer)
        thread.start()
        yield Path(folder)
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)
        assert not thread.is_alive()


@pytest.mark.skipif(os.name == "nt", reason="there are no Unix sockets")
def test_a_bot_that_was_started_without_telemetry_is_told_of(
    steered: Path, served: Served, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = config(tmp_path, telemetry={"enabled": True}, state={"directory": str(steered)})
    code, err = microlev(capsys, path, "--no-browser")
    line, link = err.splitlines()
    assert code == 0 and link.startswith("dashboard: ")
    assert line == f"the bot in {steered} was started without telemetry; start it anew, and the page finds it"


def test_a_bot_that_does_not_run_is_said_to_be_waited_for(
    served: Served, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    _, err = microlev(capsys, config(tmp_path, telemetry={"enabled": True}), "--no-browser")
    assert err.startswith(f"no bot runs in {tmp_path / 'of-the-config'} yet; the page waits for it\ndashboard: ")


def test_several_bots_are_named(
    served: Served, bot_url: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for name in ("live-1", "demo-2"):
        told_by(tmp_path / "states" / "microlev" / name, bot_url)
    assert microlev(capsys) == (2, "2 bots run; give the CONFIG of one: demo-2, live-1\n")


def test_a_certificate_that_is_none_is_one_line(
    served: Served, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(VARIABLE, "t")
    code, err = microlev(capsys, "https://bot.example:1", "--ca-file", tmp_path / "no.pem")
    assert code == 2 and "no.pem holds no certificate" in err and err.count("\n") == 1


def test_a_port_that_is_taken_is_exit_4(served: Served, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "run.journal").touch()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        code, err = microlev(capsys, tmp_path / "run.journal", "--port", port)
    assert code == 4 and err.startswith(f"cannot listen on 127.0.0.1:{port}: ") and err.count("\n") == 1


@pytest.mark.parametrize("command", [["dashboard"], ["demo", "--dashboard"]])
def test_without_its_packages_the_page_says_what_to_install(
    command: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(command) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1) and "pip install 'microlev[dashboard]'" in err


def test_demo_takes_no_browser_only_with_a_dashboard(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--no-browser"]) == 2
    assert "--no-browser belongs to --dashboard" in capsys.readouterr().err
