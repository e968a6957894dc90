"""telemetry.json: whole, for its owner alone, replaced when it is stale, taken away at a clean stop."""

import json
import os
import re
import socket
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from telemetry_desk import TelemetryDesk
from twisted.internet.error import CannotListenError
from web_clock import WebClock
from wired_bot import ACCOUNT, WiredBot, bot_config, virtual_venue

from bot.config import ConfigError, parse_config
from bot.net.outcome import Outcome
from bot.net.telemetry_file import (
    FILE_NAME,
    TOKEN_NAME,
    TelemetryFileUnusable,
    TelemetryPlace,
    is_served,
    read_place,
    remove_place,
    write_place,
)

PLACE = TelemetryPlace("http://127.0.0.1:9", "the-token", os.getpid(), ACCOUNT, "run0")
posix = pytest.mark.skipif(os.name != "posix", reason="modes and owners are those of POSIX")


def test_it_says_where_and_with_what_and_who_runs_there(tmp_path: Path) -> None:
    desk = TelemetryDesk(tmp_path)
    content = json.loads((desk.folder / FILE_NAME).read_text(encoding="utf-8"))
    token = content.pop("token")
    assert content == {
        "url": "http://127.0.0.1:40000",
        "process_id": os.getpid(),
        "account_id": ACCOUNT,
        "run_id": "run1",
        "certificate_file": None,
    }
    assert (desk.folder / TOKEN_NAME).read_text(encoding="utf-8") == token == desk.place.token


@posix
def test_its_owner_alone_can_read_it_and_the_folder(tmp_path: Path) -> None:
    desk = TelemetryDesk(tmp_path)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (desk.folder, *desk.folder.iterdir())}
    assert modes == {"state": 0o700, FILE_NAME: 0o600, TOKEN_NAME: 0o600}


def test_a_clean_stop_takes_it_away_and_a_kill_leaves_it(tmp_path: Path) -> None:
    desk = TelemetryDesk(tmp_path).start()
    assert (desk.folder / FILE_NAME).exists()
    desk.bot.driver.stop(Outcome(130))
    desk.bot.let(12)
    assert desk.bot.result == Outcome(130)
    assert not (desk.folder / FILE_NAME).exists() and not (desk.folder / TOKEN_NAME).exists()


def test_what_a_killed_run_left_is_replaced(tmp_path: Path) -> None:
    write_place(tmp_path / "state", PLACE)  # nobody listens there
    assert TelemetryDesk(tmp_path).place.run_id == "run1"


@pytest.mark.parametrize("content", ["", "no json", "[]", '{"url": 1}', '{"url": "x", "token": "t"}', "[" * 9999])
def test_what_is_no_such_file_is_not_believed_and_is_replaced(content: str, tmp_path: Path) -> None:
    folder = tmp_path / "state"
    write_place(folder, PLACE)
    (folder / FILE_NAME).write_text(content, encoding="utf-8")
    with pytest.raises(TelemetryFileUnusable, match=re.escape(str(folder))):
        read_place(folder)
    assert TelemetryDesk(tmp_path).place.run_id == "run1"


@posix
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_file_that_others_can_read_is_not_believed(mode: int, tmp_path: Path) -> None:
    write_place(tmp_path, PLACE)
    (tmp_path / FILE_NAME).chmod(mode)
    with pytest.raises(TelemetryFileUnusable, match="not yours alone"):
        read_place(tmp_path)


@posix
@pytest.mark.parametrize("mode", [0o770, 0o702, 0o777])
def test_a_folder_that_others_can_write_to_gets_none(mode: int, tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    folder.chmod(mode)
    with pytest.raises(ConfigError, match=rf"state.directory: .*others can write to its folder; `chmod 700 {folder}`"):
        TelemetryDesk(tmp_path)
    assert list(folder.iterdir()) == []


def test_a_folder_without_it_has_none_and_one_that_is_a_folder_is_unusable(tmp_path: Path) -> None:
    assert read_place(tmp_path) is None
    (tmp_path / FILE_NAME).mkdir()
    with pytest.raises(TelemetryFileUnusable, match="cannot be read"):
        read_place(tmp_path)


def test_only_its_own_file_is_removed(tmp_path: Path) -> None:
    write_place(tmp_path, PLACE)
    remove_place(tmp_path, replace(PLACE, token="another run's"))
    assert read_place(tmp_path) == PLACE
    remove_place(tmp_path, PLACE)
    remove_place(tmp_path, PLACE)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / TOKEN_NAME).mkdir()
    with pytest.raises(OSError, match=TOKEN_NAME):
        write_place(tmp_path, PLACE)
    assert [path.name for path in tmp_path.iterdir()] == [TOKEN_NAME]
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / TOKEN_NAME).mkdir()
    clock = WebClock()
    config = bot_config(tmp_path, telemetry={"enabled": True})
    with pytest.raises(ConfigError, match=r"state.directory: .*telemetry.json cannot be written"):
        WiredBot(tmp_path, config, virtual_venue(), clock=clock)
    assert not clock.ports[0].is_open


def test_the_token_is_in_no_repr() -> None:
    assert "the-token" not in repr(PLACE) + str(PLACE)


# -- who is there ------------------------------------------------------------------------------------------------------


def test_a_run_is_there_when_its_process_lives_and_its_port_answers() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.listen()
        assert is_served(replace(PLACE, url=url))
        ended = subprocess.Popen([sys.executable, "-c", ""])
        ended.wait()
        assert not is_served(replace(PLACE, url=url, process_id=ended.pid)), "another program has the port by now"
    assert not is_served(replace(PLACE, url=url))
    for wrong in ("", "http://", "http://127.0.0.1", "http://127.0.0.1:99999", "http://[::1", "nothing"):
        assert not is_served(replace(PLACE, url=wrong))


def test_a_second_run_in_the_same_folder_is_refused_while_the_first_goes_on(tmp_path: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        write_place(tmp_path / "state", replace(PLACE, url=f"http://127.0.0.1:{listener.getsockname()[1]}"))
        text = "symbols: {EURUSD: {}}\nvenue: {environment: simulator}\ntelemetry: {enabled: true}\n"
        text += f"state:\n  directory: {tmp_path / 'state'}\n"
        config, clock = parse_config(text, "bot.yaml", {}), WebClock()
        with pytest.raises(ConfigError, match=r"bot.yaml:5: state.directory: .* is that of a run which goes on"):
            WiredBot(tmp_path, config, virtual_venue(), clock=clock)
        assert clock.ports == [] and read_place(tmp_path / "state") is not None


def test_a_port_that_is_taken_is_told_with_file_and_line_before_anything_is_sent(tmp_path: Path) -> None:
    class Taken(WebClock):
        def listenTCP(self, port: int, factory: object, backlog: int = 50, interface: str = "") -> None:  # type: ignore[override]
            raise CannotListenError(interface, port, OSError(98, "Address already in use"))

    text = "symbols: {EURUSD: {}}\nvenue: {environment: simulator}\ntelemetry:\n  enabled: true\n  port: 8123\n"
    config = parse_config(text, "bot.yaml", {})
    with pytest.raises(ConfigError) as refused:
        WiredBot(
            tmp_path, config.model_copy(update={"state": bot_config(tmp_path).state}), virtual_venue(), clock=Taken()
        )
    line = (
        "bot.yaml:5: telemetry.port: 127.0.0.1 port 8123 cannot be listened on (Address already in use); take another"
    )
    assert str(refused.value) == f"{line}, or 0 for any"
    assert not (tmp_path / "state" / FILE_NAME).exists()
