"""An address as apprise knows it: what it delivers, why not, and that no part of it shows."""

import builtins
import logging
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from alert_inbox import Inbox

from bot.config import Config, ConfigError
from bot.net.apprise_url import apprise_urls, check_urls

SECRET = "s3cret-part-of-a-url"


def config(*urls: str, **alerts: Any) -> Config:
    content = {"venue": {"environment": "simulator"}, "symbols": {"EURUSD": {}}}
    return Config.model_validate(content | {"alerts": {"urls": list(urls), **alerts}})


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    inbox = Inbox()
    yield inbox
    inbox.close()


def test_a_message_arrives_with_its_title_and_its_severity(inbox: Inbox) -> None:
    (url,) = apprise_urls(config(f"  {inbox.url(SECRET)}\n"))
    assert url.name == "alerts.urls.0 (json)"
    assert url.deliver("the title", "text with <b>, &amp; and 日本語\nof two lines", "failure").is_done
    (taken,) = inbox.received
    assert (taken["title"], taken["type"]) == ("the title", "failure")
    assert taken["message"] == "text with <b>, &amp; and 日本語\nof two lines"


@pytest.mark.parametrize(("status", "is_final"), [(500, False), (401, True), (404, True), (429, False)])
def test_an_answer_that_is_no_yes_is_told_by_its_status(inbox: Inbox, status: int, is_final: bool) -> None:
    (url,) = apprise_urls(config(inbox.url(SECRET)))
    inbox.statuses = [status]
    delivery = url.deliver("t", "b", "info")
    assert (delivery.why, delivery.is_final) == (f"it answered HTTP status {status}", is_final)


def test_a_server_that_closes_and_one_that_is_not_there_are_told(inbox: Inbox) -> None:
    (url,) = apprise_urls(config(inbox.url(SECRET)))
    inbox.closes = True
    assert url.deliver("t", "b", "info").why == "it closed the connection"
    (nowhere,) = apprise_urls(config(f"json://127.0.0.1:1/{SECRET}"))
    assert nowhere.deliver("t", "b", "info").why == "the connection was refused"


def test_a_server_that_hangs_is_given_up_by_its_time_out(inbox: Inbox) -> None:
    (url,) = apprise_urls(config(inbox.url(SECRET) + "?rto=0.2"))
    inbox.hangs = True
    assert url.deliver("t", "b", "info").why == "it did not answer in time"


def test_nothing_that_apprise_logs_reaches_an_output(inbox: Inbox, capfd: pytest.CaptureFixture[str]) -> None:
    # What a program may have set up; pytest itself listens to every logger there is.
    root = logging.StreamHandler(sys.stderr)
    logging.getLogger().addHandler(root)
    logging.getLogger().setLevel(logging.DEBUG)
    try:
        shown = _tried(inbox) + "".join(capfd.readouterr())
    finally:
        logging.getLogger().removeHandler(root)
        logging.getLogger().setLevel(logging.WARNING)
    assert "status 500" in shown and "refused" in shown
    assert SECRET not in shown and "Max retries" not in shown


def _tried(inbox: Inbox) -> str:
    places = apprise_urls(config(inbox.url(SECRET), f"json://127.0.0.1:1/{SECRET}"))
    inbox.statuses = [500]
    said = [url.deliver("t", "b", "info").why for url in places]
    return repr(places) + "".join(said)


def test_an_error_of_apprise_is_told_by_no_word_of_its_own(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    (url,) = apprise_urls(config(inbox.url(SECRET)))

    def broken(**_: object) -> bool:
        raise RuntimeError(f"no luck with {SECRET}")

    monkeypatch.setattr(url._plugin, "notify", broken)
    assert url.deliver("t", "b", "info").why == "apprise could not deliver, and gives no reason that can be shown"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (f"tgramm://{SECRET}/1", "apprise has no channel tgramm://, did you mean tgram://?; see docs/alerts.md"),
        (f"zzzzzz://{SECRET}", "apprise has no channel zzzzzz://; see"),
        (f"https://h/{SECRET}", "apprise has no channel https://; for a webhook of your own write jsons://; see"),
        (f"tgram://{SECRET}/1", "apprise does not understand what follows tgram://; see"),
        (SECRET, "is no URL that apprise understands: it should begin with a scheme, as tgram://; see"),
        ("", "is no URL that apprise understands"),
        (f"{SECRET}{SECRET}://host", "is no URL that apprise understands"),
        (f"json://127.0.0.1/{SECRET}, mailto://u:{SECRET}@h", ""),
    ],
)
def test_an_address_that_is_not_understood_is_named_by_its_place_and_at_most_its_scheme(url: str, said: str) -> None:
    fine = "json://127.0.0.1:9/x"
    if not said:
        assert len(apprise_urls(config(fine, url))) == 2, "one address a line, whatever is in it"
        return
    with pytest.raises(ConfigError, match=r"alerts\.urls\.1: ") as caught:
        apprise_urls(config(fine, url))
    assert f"alerts.urls.1: {said}" in str(caught.value)
    assert SECRET not in str(caught.value) and "\n" not in str(caught.value)
    with pytest.raises(ConfigError):
        check_urls(config(fine, url))


def test_without_apprise_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **named: Any) -> Any:
        if name == "apprise":
            raise ImportError(name)
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    said = r"alerts\.urls: need the package apprise, which is not there: pip install 'microlev\[alerts\]'"
    with pytest.raises(ConfigError, match=said):
        apprise_urls(config(f"tgram://{SECRET}"))
    assert "microlev[alerts]" in (check_urls(config(f"tgram://{SECRET}")) or "")
    assert apprise_urls(config()) == [] and check_urls(config()) is None
