"""Alerts of a whole run: they tell what happens, change no decision, hold nothing up, know what earlier runs told."""

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.task import Clock
from twisted.logger import formatEvent, globalLogPublisher
from wired_bot import CLIENT, SECOND, START, TOKEN, WiredBot, bot_config, virtual_venue

from bot.assembly import Run, ledger_path
from bot.journal.recording import at_once
from bot.net.alert_channel import AlertChannel
from bot.net.alert_memory import FILE_NAME
from bot.net.alerting import Alerting, alerting, close_all, day_deals
from bot.net.apprise_url import Delivery
from bot.net.outcome import Outcome

SECRET_URL = "json://127.0.0.1:9/s3cret-part-of-a-url"


class Phone:
    """What arrives; while it is `dead` whoever sends to it waits for ever."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, str, str]] = []
        self.alive = threading.Event()
        self.alive.set()

    def deliver(self, title: str, text: str, severity: str) -> Delivery:
        self.alive.wait(30)
        self.messages.append((title, text, severity))
        return Delivery()

    @property
    def titles(self) -> list[str]:
        return [title.partition(": ")[2] for title, _, _ in self.messages]


class AlertedBot:
    """A wired bot with a phone. `alerts` are keys of the config's section."""

    def __init__(self, folder: Path, *, trade: bool = False, alerted: bool = True, **options: Any) -> None:
        self.phone = Phone()
        section = {"urls": [SECRET_URL], "disconnected_s": 5, **options.pop("alerts", {})}
        changes = options.pop("changes", {})
        self.config = bot_config(folder, trade=trade, alerts=section, **changes)
        self.alerting: Alerting | None = None
        watch = self._watch if alerted else lambda run: ()
        self.bot = WiredBot(folder, self.config, virtual_venue(), watch=watch, is_steered=True, **options)

    def _watch(self, run: Run) -> list[Any]:
        channels = [AlertChannel("alerts.urls.0 (json)", self.phone.deliver)]
        path = None if run.ledger is None else run.ledger.path
        self.alerting = alerting(
            run.config, run.session, run.engine, CLIENT, at_once, channels, ledger_path=path, name="account 7: "
        )
        return [self.alerting]

    def read(self) -> list[str]:
        """End the alerts and return the titles of what has arrived."""
        assert self.alerting is not None
        close_all([self.alerting])
        return self.phone.titles


@pytest.fixture
def logged() -> Iterator[list[str]]:
    lines: list[str] = []

    def observe(event: object) -> None:
        lines.append(formatEvent(event))  # type: ignore[arg-type]

    globalLogPublisher.addObserver(observe)
    yield lines
    globalLogPublisher.removeObserver(observe)


def ready(alerted: AlertedBot, seconds: float = 3) -> WiredBot:
    alerted.bot.start().until(lambda: alerted.bot.is_ready).let(seconds)
    return alerted.bot


def test_a_halt_a_lost_connection_and_their_ends_arrive(tmp_path: Path) -> None:
    alerted = AlertedBot(tmp_path)
    bot = ready(alerted)
    bot.command("halt", reason="lunch")
    bot.let(1)
    bot.command("resume")
    bot.client.drop("cut", retry_in_s=8)
    bot.let(20)
    assert alerted.read() == ["trading is halted", "trading is free again", "no connection", "connected again"]
    title, text, severity = alerted.phone.messages[0]
    assert (title, severity) == ("microlev 1000001 (simulator, dry-run): trading is halted", "failure")
    assert text.startswith("Halted by hand (lunch)")


@pytest.mark.parametrize("kind", ["answers", "hangs", "breaks"])
def test_decisions_are_the_same_with_alerts_and_without_whatever_becomes_of_them(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = []
    for is_alerted in (False, True):
        alerted = AlertedBot(tmp_path / str(is_alerted), trade=True, alerted=is_alerted)
        if kind == "hangs":
            alerted.phone.alive.clear()
            monkeypatch.setattr("bot.net.alerting.CLOSE_LIMIT_S", 0.2)
        if kind == "breaks" and alerted.alerting is not None:
            monkeypatch.setattr(alerted.alerting._rules, "look", lambda decision: 1 / 0)
        bot = ready(alerted)
        bot.command("halt")
        bot.client.drop("cut")
        bot.let(6)
        bot.command("resume")
        bot.let(3)
        bot.driver.stop(Outcome(0))
        bot.let(12)
        assert bot.result == Outcome(0)
        runs.append(bot.encoded)
        if is_alerted:
            began_s = time.monotonic()
            titles = alerted.read()
            assert time.monotonic() - began_s < 1
            expected = ["trading is halted", "trading is free again"]
            assert titles == {"answers": expected, "hangs": [], "breaks": ["no more alerts"]}[kind]
            alerted.phone.alive.set()
    assert len(runs[0]) > 200 and runs[0] == runs[1]


def test_an_error_of_ours_ends_the_alerts_with_a_message_and_not_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, logged: list[str]
) -> None:
    alerted = AlertedBot(tmp_path)
    assert alerted.alerting is not None
    bot = ready(alerted)
    monkeypatch.setattr(alerted.alerting._rules, "look", lambda decision: 1 / 0)
    bot.let(3)
    bot.command("halt")
    assert bot.result is None and bot.run.engine.trading == "halted"
    alerted.alerting.ended(Outcome(4, "later"))
    assert alerted.read() == ["no more alerts"]
    assert [line for line in logged if "ended the alerts" in line] == [
        "account 7: an error of ours has ended the alerts; the run goes on"
    ]


def test_secrets_in_what_others_say_do_not_leave(tmp_path: Path) -> None:
    alerted = AlertedBot(tmp_path)
    bot = ready(alerted)
    secrets = [CLIENT.client_secret, TOKEN.access_token, str(TOKEN.refresh_token), SECRET_URL, "s3cret-part-of-a-url"]
    for i in range(0, len(secrets), 2):
        bot.command("halt", reason=" and ".join(secrets[i : i + 2]))
        bot.command("resume")
    new = "the-token-that-came-meanwhile"
    bot.run.session.token.take(type(bot.run.session.token.pair)(new, None, None), renewed=False)
    bot.command("flatten", reason=new)
    alerted.read()
    texts = json.dumps(alerted.phone.messages)
    assert texts.count("***") >= 2 and "Halted by hand" in texts
    assert [secret for secret in [*secrets, new] if secret in texts] == []


def test_a_run_that_ends_by_itself_is_told_and_one_that_a_person_ends_is_not(tmp_path: Path) -> None:
    for number, (end, titles) in enumerate(
        [(Outcome(0), []), (Outcome(130, "interrupted"), []), (Outcome(3, "not authorised"), ["the bot has stopped"])]
    ):
        alerted = AlertedBot(tmp_path / str(number))
        ready(alerted, 0.5)
        assert alerted.alerting is not None
        alerted.alerting.ended(end)
        assert alerted.read() == titles
    assert alerted.phone.messages[0][1].startswith("not authorised (exit code 3). Nobody watches what is open now.")


def test_a_crash_is_told_by_its_kind_once_however_often_it_is_started_again(tmp_path: Path) -> None:
    told, clock = [], Clock()
    for number, seconds in enumerate((1, 1, 61, 1)):
        alerted = AlertedBot(tmp_path, run_id=f"run{number}", clock=clock)
        bot = ready(alerted, seconds)
        assert alerted.alerting is not None
        alerted.alerting.failed("KeyError")
        told += alerted.read()
        bot.driver.stop(Outcome(0))
        bot.let(12)
    # The third run lasts long enough to be ready again; every other crash is the same news.
    assert told == ["the bot has stopped", "the bot is ready again"]
    kept = json.loads((tmp_path / "state" / FILE_NAME).read_text())
    assert list(kept["told_ns"]) == ["halted:stopped"]


def test_a_crash_before_the_first_decision_is_told_too(tmp_path: Path) -> None:
    alerted = AlertedBot(tmp_path)
    assert alerted.alerting is not None
    alerted.alerting.failed("KeyError")
    assert alerted.read() == ["the bot has stopped"]


@pytest.mark.parametrize("content", ["{", "[]", '{"sent_ns": 1}'])
def test_a_memory_that_cannot_be_read_is_begun_anew_and_said(content: str, tmp_path: Path, logged: list[str]) -> None:
    path = tmp_path / "state" / FILE_NAME
    path.parent.mkdir()
    path.write_text(content)
    alerted = AlertedBot(tmp_path)
    bot = ready(alerted)
    bot.command("halt")
    assert alerted.read() == ["trading is halted"]
    assert any("what it says of earlier alerts cannot be used" in line for line in logged)
    assert json.loads(path.read_text())["open"] == ["halted:by_hand"]


def test_a_memory_that_cannot_be_written_costs_nothing_but_a_line(tmp_path: Path, logged: list[str]) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "alerts.new").mkdir()
    alerted = AlertedBot(tmp_path)
    bot = ready(alerted)
    bot.command("halt")
    bot.command("resume")
    assert alerted.read() == ["trading is halted", "trading is free again"]
    assert len([line for line in logged if "which alerts were sent cannot be kept" in line]) == 1


def test_more_than_the_hour_allows_are_counted(tmp_path: Path) -> None:
    alerted = AlertedBot(tmp_path, alerts={"max_per_hour": 4, "repeat_minutes": 0.05})
    bot = ready(alerted)
    for _ in range(4):
        bot.command("halt")
        bot.let(4)
        bot.command("resume")
        bot.let(4)
    assert alerted.read() == ["trading is halted", "trading is free again", "trading is halted"]


# -- the day ---------------------------------------------------------------------------------------------------------


def turned(alerted: AlertedBot) -> str:
    """Let a bot trade, move its clock over 17:00 in New York, and return the text of the day's report."""
    bot = ready(alerted, 5)
    # START is 22:13:20 UTC: the day has turned a quarter of an hour ago. The alerts alone see the next turn.
    assert alerted.alerting is not None
    alerted.alerting(replace(bot.decisions[-1], now_ns=START + 86_400 * SECOND))
    alerted.read()
    (report,) = [text for title, text, _ in alerted.phone.messages if "2023-11-15" in title]
    return report


def test_the_day_is_reported_from_the_ledger_where_there_is_one(tmp_path: Path) -> None:
    alerted = AlertedBot(tmp_path, trade=True)
    report = turned(alerted)
    deals = alerted.bot.run.ledger
    assert deals is not None
    sums = day_deals(ledger_path(alerted.config), date(2023, 11, 15))
    assert sums is not None and sums.count >= 2
    assert f"Deals: {sums.count}, realised" in report and "Watched since" not in report


def test_without_a_ledger_it_is_what_the_run_has_seen(tmp_path: Path) -> None:
    alerted = AlertedBot(tmp_path)
    report = turned(alerted)
    count = sum(deal.is_own for decision in alerted.bot.decisions for deal in decision.deals)
    assert count >= 2 and f"Deals: {count}, realised" in report
    assert "Watched since 22:13:20 UTC." in report


def test_a_ledger_that_cannot_be_read_leaves_what_the_run_has_seen(tmp_path: Path, logged: list[str]) -> None:
    assert day_deals(tmp_path / "none.sqlite3", date(2023, 11, 15)) is None
    assert any("goes by what this run has seen" in line for line in logged)
