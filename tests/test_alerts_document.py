"""`docs/alerts.md` is true: each address in it is one that apprise understands, and every event is described."""

import re
import typing
from pathlib import Path

import pytest

from bot.config import Config
from bot.config.watching import AlertEvent, AlertsConfig
from bot.net.alert_channel import MESSAGES_KEPT, PAUSES_S
from bot.net.alerting import CLOSE_LIMIT_S
from bot.net.apprise_url import apprise_urls

DOCUMENT = (Path(__file__).resolve().parent.parent / "docs" / "alerts.md").read_text(encoding="utf-8")
ADDRESSES = re.findall(r"```apprise\n(.*?)```", DOCUMENT, re.DOTALL)[0].split()
CHANNELS = {"tgram", "discord", "slack", "line", "mailtos", "ntfys", "jsons"}


@pytest.mark.parametrize("address", ADDRESSES, ids=lambda address: address.partition(":")[0])
def test_an_address_in_the_document_is_one_that_apprise_understands(address: str) -> None:
    content = {"venue": {"environment": "simulator"}, "symbols": {"EURUSD": {}}, "alerts": {"urls": [address]}}
    (url,) = apprise_urls(Config.model_validate(content))
    assert url.name == f"alerts.urls.0 ({address.partition(':')[0]})"


def test_every_channel_has_an_address_and_says_where_it_comes_from() -> None:
    assert {address.partition(":")[0] for address in ADDRESSES} == CHANNELS
    assert set(re.findall(r"^\| \w+ `(\w+)://", DOCUMENT, re.MULTILINE)) == CHANNELS


def test_every_event_is_described_and_told_unless_fewer_are_listed() -> None:
    events = list(typing.get_args(AlertEvent))
    assert re.findall(r"^\| `(\w+)` \|", DOCUMENT, re.MULTILINE) == events
    assert AlertsConfig().events == events


@pytest.mark.parametrize(
    "key", ["crisis_level", "disconnected_s", "token_expiry_days", "repeat_minutes", "max_per_hour"]
)
def test_a_default_in_the_document_is_that_of_the_config(key: str) -> None:
    default = getattr(AlertsConfig(), key)
    assert re.search(rf"`{key}`[^`\n(]*\({default:g}[ )]", DOCUMENT), f"{key} ({default:g})"


def test_what_it_says_of_tries_and_waiting_is_so() -> None:
    assert PAUSES_S == (2.0, 10.0, 60.0) and "after 2, 10 and 60 seconds" in DOCUMENT
    assert MESSAGES_KEPT == 50 and "Fifty messages wait" in DOCUMENT
    assert CLOSE_LIMIT_S == 2.0 and "waits two seconds for all addresses together" in DOCUMENT
