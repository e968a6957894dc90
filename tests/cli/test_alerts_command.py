"""`microlev alerts test`, and alerts of the commands that run: what arrives, what is said, and how it ends."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from alert_inbox import Inbox
from private_reactor import Bench, bench

from bot.net.alerting import CLOSE_LIMIT_S

__all__ = ["bench"]  # a fixture

pytestmark = pytest.mark.filterwarnings("ignore:Passing pyOpenSSL:DeprecationWarning")
ROOT = Path(__file__).resolve().parents[2]
SECRET = "s3cret-part-of-a-url"


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    inbox = Inbox()
    yield inbox
    inbox.close()


def told_at(bench: Bench, *urls: str, **alerts: object) -> Path:
    return bench.config(alerts={"urls": list(urls), **alerts})


def test_each_address_gets_a_test_message_and_a_line(bench: Bench, inbox: Inbox) -> None:
    inbox.statuses = [403]
    refused, fine = inbox.url(SECRET), "json://127.0.0.1:1/" + SECRET
    assert bench.microlev("alerts", "test", told_at(bench, refused, fine)) == 1
    assert bench.out.splitlines() == [
        "alerts.urls.0 (json): it answered HTTP status 403",
        "alerts.urls.1 (json): the connection was refused",
    ]
    assert bench.microlev("alerts", "test", told_at(bench, refused)) == 0
    assert bench.out == "alerts.urls.0 (json): ok\n"
    (taken,) = inbox.received
    assert taken["title"] == "microlev 1000001 (simulator, dry-run): test message"
    assert taken["message"].startswith("Alerts of this bot reach you here.") and SECRET not in bench.out + bench.err


def test_one_that_hangs_is_given_up(bench: Bench, inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.cli.alerts.PATIENCE_S", 0.2)
    inbox.hangs = True
    assert bench.microlev("alerts", "test", told_at(bench, inbox.url())) == 1
    assert bench.out == "alerts.urls.0 (json): no answer within 0.2 s\n"


def test_a_dry_run_shows_the_message_and_sends_nothing(bench: Bench, inbox: Inbox) -> None:
    assert bench.microlev("alerts", "test", told_at(bench, inbox.url(SECRET), language="ja"), "--dry-run") == 0
    assert "テスト通知" in bench.out and bench.out.endswith("to alerts.urls.0 (json)\n")
    assert inbox.requests == 0 and SECRET not in bench.out + bench.err


def test_without_an_address_one_line_says_so(bench: Bench) -> None:
    assert bench.microlev("alerts", "test", bench.config()) == 2
    assert bench.err.endswith("alerts.urls: names no address, so nobody is told; see docs/alerts.md\n")


@pytest.mark.parametrize("command", [["alerts", "test"], ["check"], ["run"]])
def test_an_address_that_is_not_understood_is_refused_at_once_and_not_shown(command: list[str], bench: Bench) -> None:
    bench.serve()
    assert bench.microlev(*command, told_at(bench, "json://127.0.0.1/", f"tgram://{SECRET}")) == 2
    assert "alerts.urls.1: apprise does not understand what follows tgram://" in bench.err
    assert SECRET not in bench.out + bench.err


def test_check_shows_that_there_are_addresses_and_none_of_them(bench: Bench) -> None:
    assert bench.microlev("check", told_at(bench, f"json://127.0.0.1/{SECRET}", f"json://u:{SECRET}@h/")) == 0
    assert yaml.safe_load(bench.out)["alerts"]["urls"] == ["**********", "**********"]
    assert SECRET not in bench.out + bench.err


@pytest.mark.parametrize(
    "alerts",
    [f"json://h/{SECRET}", [f"json://h/{SECRET}"], {"urls": f"json://h/{SECRET}"}, {"urls": [[f"json://h/{SECRET}"]]},
     {"urls": {"a": f"json://h/{SECRET}"}}, {f"json://h/{SECRET}": 1}, {"urls": [{SECRET: 1}]}],
)  # fmt: skip
def test_an_address_in_the_wrong_place_is_not_repeated(alerts: object, bench: Bench) -> None:
    path = bench.config()
    path.write_text(path.read_text() + yaml.safe_dump({"alerts": alerts}), encoding="utf-8")
    assert bench.microlev("check", path) == 2
    assert "alerts" in bench.err and SECRET not in bench.out + bench.err


def test_a_run_tells_that_it_has_ended_by_itself(bench: Bench, inbox: Inbox) -> None:
    bench.serve()
    path = bench.config(alerts={"urls": [inbox.url()]}, credentials={"access_token": "wrong-but-secret"}, mode="trade")
    assert bench.microlev("run", path) == 3
    (taken,) = inbox.received
    assert taken["title"] == "microlev 1000001 (simulator, trade): the bot has stopped"
    assert "(exit code 3)" in taken["message"] and "wrong-but-secret" not in taken["message"]


def test_a_run_that_an_error_of_ours_ends_tells_its_kind(
    bench: Bench, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    import bot.net.driver

    def broken(*_: object) -> None:
        raise RuntimeError(f"a bug at {inbox.url()}")

    bench.serve()
    monkeypatch.setattr(bot.net.driver.Driver, "_after", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        bench.microlev("run", told_at(bench, inbox.url()))
    (taken,) = inbox.received
    assert "An error of ours (RuntimeError) has ended the run." in taken["message"]
    assert "127.0.0.1" not in taken["message"]


def test_who_only_looks_tells_nobody(bench: Bench, inbox: Inbox) -> None:
    bench.serve()
    path = bench.config(alerts={"urls": [inbox.url()]}, credentials={"access_token": "wrong-but-secret"})
    assert bench.microlev("explain", path) == 3
    assert inbox.requests == 0


@pytest.mark.slow
def test_addresses_that_hang_hold_the_end_of_the_process_up_by_two_seconds_at_most(bench: Bench, inbox: Inbox) -> None:
    bench.serve()  # it listens, and never answers: this process has other things to do
    inbox.hangs = True
    path = bench.config(
        venue={"connect_timeout_s": 0.5}, alerts={"urls": [f"{inbox.url()}?rto=60", f"{inbox.url(SECRET)}?rto=60"]}
    )
    command = [sys.executable, "-m", "bot", "run", str(path)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=ROOT) as process:
        inbox.wait_for(1, 60)
        began_s = time.monotonic()
        assert process.wait(20) == 4
        took_s = time.monotonic() - began_s
        assert process.stderr is not None
        said = process.stderr.read()
    assert took_s < CLOSE_LIMIT_S + 5, "a process takes a second or so of its own to end, and an address a minute here"
    assert "alerts to alerts.urls.0 (json): 1 were not delivered" in said and SECRET not in said
