"""The browser is opened away from our terminal, where there is a screen; a failure to open it is no failure of ours."""

import subprocess
import threading
from typing import Any

import pytest

from bot.cli.browser import open_browser


@pytest.fixture
def no_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("outcome", [None, OSError("no"), subprocess.TimeoutExpired("x", 60)])
def test_a_browser_gets_the_address_and_nothing_of_our_terminal(
    outcome: Exception | None, no_screen: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[list[str], dict[str, Any]]] = []
    done = threading.Event()

    def run(command: list[str], **settings: Any) -> None:
        asked.append((command, settings))
        done.set()
        if outcome is not None:
            raise outcome

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setenv("DISPLAY", ":0")
    assert open_browser("http://localhost/x?y=z")
    assert done.wait(10)
    ((command, settings),) = asked
    assert command[-1] == "http://localhost/x?y=z"
    assert {settings[name] for name in ("stdin", "stdout", "stderr")} == {subprocess.DEVNULL}
    assert settings["start_new_session"]


def test_without_a_screen_nothing_is_opened(no_screen: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("opened"))
    assert not open_browser("http://localhost/")
