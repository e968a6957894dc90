"""`@reiryoku/ctrader-layer`, a Node client with an old copy of the message files, can use the embedded venue."""

from typing import Any

import pytest
from observer import Observer
from venue_process import running_venue
from walkthrough import Walkthrough

pytestmark = pytest.mark.slow


def test_the_node_client_logs_in_trades_and_reconciles(node_client: Any) -> None:
    with running_venue() as ready, Observer(ready) as observer, node_client(ready) as client:
        walkthrough = Walkthrough(ready, observer)
        while not walkthrough.is_done:
            walkthrough.check(client.next_step())
            client.go_on()


def test_the_node_client_reports_a_wrong_secret(node_client: Any) -> None:
    with running_venue() as ready, node_client({**ready, "client_secret": "wrong"}) as client:
        assert client.next_step() == {"step": "error", "text": "CH_CLIENT_AUTH_FAILURE: client id or secret is wrong"}
