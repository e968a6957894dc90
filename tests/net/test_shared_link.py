"""Two accounts on one connection trade side by side, and what befalls one is not the other's."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from wired_bot import CLIENT, RUN_ID, START, STEP_S, TOKEN, WiredBot, WiredClient, bot_config

from bot.app import replay_journal
from bot.ctrader.schema import payload_type
from bot.net.outcome import Outcome
from bot.net.shared_link import SharedLink
from bot.sim.entities import AccountSettings
from bot.sim.faults.session_faults import AccountDisconnect, Block
from bot.sim.market import open_market
from bot.sim.venue import Venue

ONE, OTHER = 1_000_001, 1_000_002


def venue_of_two() -> Venue:
    return Venue(
        open_market("synthetic:calm", seed=1, start_ns=START, speed=1.0),
        accounts=[AccountSettings(i, "hedged", "USD", Decimal(10_000)) for i in (ONE, OTHER)],
        client_id=CLIENT.client_id,
        client_secret=CLIENT.client_secret,
        access_token=TOKEN.access_token,
        refresh_token=str(TOKEN.refresh_token),
        start_ns=START,
    )


class Pair:
    """Two runs, one link, one clock."""

    def __init__(self, tmp_path: Path) -> None:
        self.venue = venue_of_two()
        links: list[SharedLink] = []
        clients: list[WiredClient] = []
        bots: list[WiredBot] = []
        for number, account in enumerate((ONE, OTHER)):

            def seat(clock: Any, driver: Any, venue: Any, now_ns: Callable[[], int]) -> Any:
                if not links:

                    def connect(listener: Any) -> Any:
                        clients.append(WiredClient(clock, listener, venue, now_ns))
                        return clients[0]

                    links.append(SharedLink(clock, connect))
                return links[0].seat(driver, driver._session)

            folder = tmp_path / str(number)
            folder.mkdir()
            config = bot_config(folder, trade=True, account={"id": account})
            clock = bots[0].clock if bots else None
            bots.append(
                WiredBot(folder, config, self.venue, client=seat, run_id=f"{RUN_ID}{number}", clock=clock, sharers=2)
            )
        self.bots = bots
        self.client = clients[0]

    def start(self) -> "Pair":
        for bot in self.bots:
            bot.start()
        return self

    def let(self, seconds: float) -> "Pair":
        for _ in range(round(seconds / STEP_S)):
            self.bots[0].clock.advance(STEP_S)
            self.client.pump()
        return self

    @property
    def are_ready(self) -> list[bool]:
        return [bot.is_ready for bot in self.bots]

    def held(self, account: int) -> set[int]:
        return {p.symbol_id for p in self.venue.desks[account].account.positions.values()}


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return Pair(tmp_path).start().let(5)


def test_both_trade_over_one_connection(pair: Pair) -> None:
    assert pair.are_ready == [True, True]
    assert [bot.driver.figures.connections for bot in pair.bots] == [1, 1]
    assert len({heard.link_number for heard in pair.venue.stage.request_log}) == 1
    for account, bot in zip((ONE, OTHER), pair.bots, strict=True):
        positions = pair.venue.desks[account].account.positions
        assert len(positions) == 2
        assert {p.position_id for p in bot.run.engine.portfolio.positions()} == set(positions)
        assert bot.run.session.counters["unexpected"] == 0
        assert bot.run.session.counters["foreign_account"] == 0


def test_the_loss_of_one_account_leaves_the_other_alone(pair: Pair) -> None:
    pair.venue.stage.fire(AccountDisconnect(), account_id=ONE)
    pair.let(2)
    assert pair.are_ready == [True, True]
    assert pair.bots[0].run.session.counters["account_losses"] == 1
    assert pair.bots[1].run.session.counters["account_losses"] == 0


def test_a_cut_is_healed_for_both(pair: Pair) -> None:
    pair.client.drop("cut")
    pair.let(1 / 16)
    assert pair.are_ready == [False, False]
    pair.let(5)
    assert pair.are_ready == [True, True]
    assert [len(pair.venue.desks[account].account.positions) for account in (ONE, OTHER)] == [2, 2]


def test_one_that_stops_leaves_the_link_to_the_other(pair: Pair) -> None:
    pair.bots[0].driver.stop(Outcome(0))
    pair.let(1)
    assert pair.bots[0].result == Outcome(0)
    assert pair.bots[1].is_ready
    assert "stop" not in pair.client.calls
    pair.bots[1].driver.stop(Outcome(0))
    pair.let(1)
    assert pair.bots[1].result == Outcome(0)
    assert pair.client.calls[-1].startswith(("stop", "drop"))
    assert "stop" in pair.client.calls


def test_both_together_keep_to_the_limits_of_one_connection(pair: Pair) -> None:
    for _ in range(3):
        pair.client.drop("cut")
        pair.let(4)
    log = pair.venue.stage.request_log
    assert log.max_in_window(1_000_000_000, historical=False) <= 50
    assert log.max_in_window(1_000_000_000, historical=True) <= 5
    assert sum(heard.payload_type == payload_type("ProtoOAApplicationAuthReq") for heard in log) == 8


def test_an_account_that_is_lost_again_and_again_costs_the_other_nothing(pair: Pair) -> None:
    states: list[bool] = []
    for _ in range(12):
        pair.venue.stage.fire(AccountDisconnect(), account_id=ONE)
        pair.let(0.5)
        states.append(pair.bots[1].is_ready)
    assert all(states)
    assert pair.bots[1].driver.figures.connections == 1
    assert pair.bots[0].driver.figures.connections > 1
    assert len({heard.link_number for heard in pair.venue.stage.request_log}) == 1
    pair.let(40)
    assert pair.are_ready == [True, True]


def test_a_link_that_both_give_up_is_dropped(pair: Pair) -> None:
    for account in (ONE, OTHER):
        for _ in range(3):
            pair.venue.stage.fire(AccountDisconnect(), account_id=account)
            pair.let(1 / 16)
    pair.let(10)
    assert pair.are_ready == [True, True]
    assert len({heard.link_number for heard in pair.venue.stage.request_log}) == 2


def test_one_that_stops_while_it_is_out_ends_at_once(pair: Pair) -> None:
    for _ in range(3):
        pair.venue.stage.fire(AccountDisconnect(), account_id=ONE)
        pair.let(1 / 16)
    assert pair.are_ready == [False, True]
    pair.bots[0].driver.stop(Outcome(0))
    pair.let(15)
    assert pair.bots[0].result == Outcome(0)
    assert pair.bots[1].is_ready


def test_a_block_that_one_is_told_of_is_kept_by_both(pair: Pair) -> None:
    block_ns = 4_000_000_000
    reconcile, log = payload_type("ProtoOAReconcileReq"), pair.venue.stage.request_log
    pair.venue.stage.fire(Block(("ProtoOAReconcileReq",), block_ns))
    pair.client.drop("cut")
    pair.let(3)
    assert pair.are_ready == [False, False]
    pair.let(10)
    assert pair.are_ready == [True, True]
    first = next(heard.received_ns for heard in log if heard.outcome == "BLOCKED_PAYLOAD_TYPE")
    during = [h for h in log if h.payload_type == reconcile and first < h.received_ns < first + block_ns]
    assert len(during) <= 1, "at most the one that had left before the other was told"


def test_each_journal_is_decided_again_without_the_other(pair: Pair) -> None:
    pair.client.drop("cut")
    pair.let(5)
    for bot in pair.bots:
        bot.driver.stop(Outcome(0))
    pair.let(3)
    for bot in pair.bots:
        result = replay_journal(bot.journal_path)
        assert result.difference is None
        assert result.decisions == len(bot.decisions)
