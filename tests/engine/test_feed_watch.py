"""A feed that has stopped is noticed: first the session is asked for, then the connection is made anew."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from wired_bot import WiredBot, bot_config, virtual_venue

from bot.engine.feed_watch import FeedWatch
from bot.engine.prices import PRICE
from bot.execution.requests import CheckFeed
from bot.market.symbols import SymbolSpec
from bot.sim.faults.venue_faults import StopQuotes

SECOND = 1_000_000_000
SPECS = tuple(SymbolSpec(i, f"S{i}", "EUR", "USD", 5, 4, 100, 1, 1, 100) for i in range(3))


class Feed:
    """Two traded symbols and one that converts, under a watch, by the second."""

    def __init__(self) -> None:
        self.watch = FeedWatch()
        self.now_s = 0
        self.heard_s = np.zeros(3)
        self.closed = np.zeros(3, np.bool_)
        self.asked: list[tuple[int, bool]] = []

    def let(self, seconds: int, *, quotes: tuple[int, ...] = (), ready: bool = True) -> "Feed":
        for _ in range(seconds):
            self.now_s += 1
            self.heard_s[list(quotes)] = self.now_s
            table = np.zeros(3, PRICE)
            table["quiet_s"], table["closed"] = self.now_s - self.heard_s, self.closed
            prices: Any = SimpleNamespace(table=table, doubtful=table["doubtful"])
            for request in self.watch.requests(prices, SPECS, 2, self.now_s * SECOND, ready=ready):
                assert isinstance(request, CheckFeed)
                self.asked.append((self.now_s, request.reconnect))
        return self


def test_one_symbol_with_prices_is_enough() -> None:
    assert Feed().let(3600, quotes=(1,)).asked == []


def test_prices_that_only_convert_are_not() -> None:
    assert Feed().let(61, quotes=(2,)).asked == [(61, False)]


def test_silence_is_asked_about_after_a_minute_and_ended_after_three_then_six() -> None:
    feed = Feed().let(1200)
    assert feed.asked[0] == (61, False)
    reconnects = [at for at, reconnect in feed.asked if reconnect]
    assert reconnects[0] == 181
    assert 360 <= reconnects[1] - reconnects[0] <= 362


def test_patience_grows_to_half_an_hour_and_is_short_again_after_a_price() -> None:
    feed = Feed().let(6 * 3600)
    reconnects = [at for at, reconnect in feed.asked if reconnect]
    assert 1800 <= reconnects[-1] - reconnects[-2] <= 1802
    feed.let(10, quotes=(0,)).asked.clear()
    feed.let(181)
    assert [reconnect for _, reconnect in feed.asked] == [False, True]


def test_a_closed_market_is_silent_by_right_and_an_opening_begins_anew() -> None:
    feed = Feed()
    feed.closed[:] = True
    assert feed.let(3600).asked == []
    feed.closed[0] = False
    assert feed.let(60).asked == []
    assert feed.let(2).asked == [(3661, False)]


def test_nothing_is_asked_while_the_session_does_not_stand() -> None:
    feed = Feed().let(3600, ready=False)
    assert feed.asked == []
    assert feed.let(60).asked == []


@pytest.mark.parametrize("heals", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_the_bot_asks_for_its_session_and_finds_it_again(tmp_path: Path, *, heals: bool) -> None:
    venue = virtual_venue()
    config = bot_config(tmp_path)
    bot = WiredBot(tmp_path, config, venue).start()
    bot.until(lambda: bot.is_ready)
    if heals:
        # The account's session is gone, and nobody has said so: heartbeats go on, prices do not.
        bot.client.link.requests.drop_account(next(iter(venue.desks)))
    else:
        for symbol in ("EURUSD", "USDJPY"):
            venue.stage.fire(StopQuotes(), symbol=symbol, for_ns=400 * SECOND)
    bot.let(70)
    if heals:
        assert bot.run.session.counters["account_losses"] == 1
        assert bot.is_ready
        assert bot.driver.figures.connections == 1
    else:
        assert bot.run.session.counters["account_losses"] == 0
        bot.let(130)
        assert bot.driver.figures.connections == 2
        assert bot.run.session.last_loss == "the connection was lost: no prices for 180 s while a market is open"
