"""Several clients on one account of one venue at the same time, as the platform and a bot are in life."""

from typing import Any

import pytest
from observer import Observer
from venue_process import running_venue
from walkthrough import STEPS, Walkthrough

pytestmark = pytest.mark.slow


def test_two_different_clients_take_turns_on_one_account(official_sdk: Any, node_client: Any) -> None:
    with (
        running_venue() as ready,
        Observer(ready) as observer,
        official_sdk(ready) as first,
        node_client(ready) as second,
    ):
        clients = [(client, Walkthrough(ready, observer)) for client in (first, second)]
        for turn in range(len(STEPS)):
            # One moves while the other waits, so that each step can be compared with the venue.
            for client, walkthrough in clients:
                if turn:
                    client.go_on()
                walkthrough.check(client.next_step())
        assert all(walkthrough.is_done for _, walkthrough in clients)
        assert len(observer.events("ORDER_FILLED")) == 6


def test_two_clients_do_not_wait_for_each_other(node_client: Any) -> None:
    with (
        running_venue() as ready,
        Observer(ready) as observer,
        node_client(ready) as first,
        node_client(ready) as second,
    ):
        for _ in STEPS:
            first.go_on()
            second.go_on()
        said = [[client.next_step() for _ in STEPS] for client in (first, second)]
        look = observer.look()
        assert [[step["step"] for step in steps] for steps in said] == [list(STEPS)] * 2, said
        assert (look.positions, look.orders) == ({}, {})
        assert len(observer.events("ORDER_FILLED")) == 6
        opened = [step["position_id"] for steps in said for step in steps if step["step"] == "market_order"]
        assert len(set(opened)) == 2
