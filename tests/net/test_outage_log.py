"""Every outage is one line each way: why READY was lost, and after how long it was back."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.logger import formatEvent, globalLogPublisher
from wired_bot import WiredBot, bot_config, virtual_venue

from bot.net.outcome import Outcome
from bot.sim.faults.session_faults import AccountDisconnect, ClientDisconnect, Maintenance, TokenInvalidated


@pytest.fixture
def lines() -> Iterator[list[str]]:
    seen: list[str] = []

    def observe(event: dict[str, Any]) -> None:
        if event.get("log_namespace") == "bot.net.outage_log":
            seen.append(formatEvent(event))

    globalLogPublisher.addObserver(observe)
    yield seen
    globalLogPublisher.removeObserver(observe)


def ready_bot(tmp_path: Path) -> WiredBot:
    bot = WiredBot(tmp_path, bot_config(tmp_path), virtual_venue()).start()
    return bot.until(lambda: bot.is_ready)


def test_a_start_is_no_outage(tmp_path: Path, lines: list[str]) -> None:
    ready_bot(tmp_path).let(5)
    assert lines == []


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (AccountDisconnect(), "the account's session ended: the venue ended it"),
        (TokenInvalidated("signed out"), "the account's session ended: signed out"),
        (ClientDisconnect("bye"), "the connection was lost: the venue cancelled the application's session: bye"),
    ],
)
def test_a_loss_is_told_once_with_its_cause_and_once_when_it_is_over(
    tmp_path: Path, lines: list[str], fault: Any, why: str
) -> None:
    bot = ready_bot(tmp_path)
    assert bot.venue is not None
    bot.venue.stage.fire(fault)
    bot.let(5)
    assert bot.is_ready
    assert len(lines) == 2
    assert lines[0] == f"not ready any more: {why}"
    assert lines[1].startswith("ready again after ")


def test_many_attempts_are_one_outage(tmp_path: Path, lines: list[str]) -> None:
    bot = ready_bot(tmp_path)
    assert bot.venue is not None
    bot.venue.stage.fire(Maintenance(), for_ns=20_000_000_000)
    bot.client.drop("cut")
    bot.let(30)
    assert bot.is_ready
    assert len(lines) == 2
    assert bot.driver.figures.connections == 3  # the venue said when it ends, and is not asked before
    seconds = float(lines[1].split()[3])
    assert 20 <= seconds <= 25


def test_a_stop_is_no_outage(tmp_path: Path, lines: list[str]) -> None:
    bot = ready_bot(tmp_path)
    bot.driver.stop(Outcome(0))
    bot.let(5)
    assert bot.result == Outcome(0)
    assert lines == []
