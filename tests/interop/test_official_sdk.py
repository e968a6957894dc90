"""The official SDK's own client, with its own pinned dependencies, can use the embedded venue."""

from typing import Any

import pytest
from observer import Observer
from venue_process import running_venue
from walkthrough import Walkthrough

pytestmark = pytest.mark.slow


def test_the_official_sdk_logs_in_trades_and_reconciles(official_sdk: Any) -> None:
    with running_venue() as ready, Observer(ready) as observer, official_sdk(ready) as client:
        walkthrough = Walkthrough(ready, observer)
        while not walkthrough.is_done:
            walkthrough.check(client.next_step())
            client.go_on()


def test_the_official_sdk_reports_a_wrong_secret(official_sdk: Any) -> None:
    with running_venue() as ready, official_sdk({**ready, "client_secret": "wrong"}) as client:
        assert client.next_step() == {"step": "error", "text": "CH_CLIENT_AUTH_FAILURE: client id or secret is wrong"}
