"""`ctrader-api-client`, an asyncio client with a protobuf library of its own, can use the embedded venue."""

from typing import Any

import pytest
from observer import Observer
from venue_process import running_venue
from walkthrough import Walkthrough

pytestmark = pytest.mark.slow


def test_the_asyncio_client_logs_in_trades_and_reconciles(api_client: Any) -> None:
    with running_venue() as ready, Observer(ready) as observer, api_client(ready) as client:
        walkthrough = Walkthrough(ready, observer)
        while not walkthrough.is_done:
            walkthrough.check(client.next_step())
            client.go_on()


def test_the_asyncio_client_works_on_a_netted_account(api_client: Any) -> None:
    with (
        running_venue("--account-type", "netted") as ready,
        Observer(ready) as observer,
        api_client(ready) as client,
    ):
        assert ready["accounts"][0]["account_type"] == "netted"
        walkthrough = Walkthrough(ready, observer)
        while not walkthrough.is_done:
            walkthrough.check(client.next_step())
            client.go_on()


def test_the_asyncio_client_reports_a_wrong_secret(api_client: Any) -> None:
    with running_venue() as ready, api_client({**ready, "client_secret": "wrong"}) as client:
        step = client.next_step()
        assert step["step"] == "error"
        assert step["text"].startswith("ApplicationAuthError")
        assert "CH_CLIENT_AUTH_FAILURE - client id or secret is wrong" in step["text"]


def test_the_asyncio_client_reports_a_wrong_token(api_client: Any) -> None:
    with running_venue() as ready, api_client({**ready, "access_token": "wrong"}) as client:
        assert client.next_step()["step"] == "application"
        client.go_on()
        # Its own word for CH_ACCESS_TOKEN_INVALID.
        assert client.next_step() == {"step": "error", "text": "TokenExpiredError: Token refused by the server"}


def test_a_client_that_does_not_trust_the_venue_sends_it_nothing(api_client: Any) -> None:
    """Its certificate is verified: without the venue's own `ca_file` there is no connection."""
    with (
        running_venue() as ready,
        running_venue() as other,
        api_client({**ready, "ca_file": other["ca_file"]}) as client,
    ):
        step = client.next_step()
        assert step["step"] == "error"
        assert "CERTIFICATE_VERIFY_FAILED" in step["text"]
