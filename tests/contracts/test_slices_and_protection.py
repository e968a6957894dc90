"""Slices and protective legs over the wire: what the venue holds is what was wanted, in trade and dry run, and again in
the replay.
"""

import math
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from wired_bot import ACCOUNT, CLIENT, START, TOKEN, WiredBot, bot_config, virtual_venue

from bot.app import replay_journal
from bot.engine.events import UsualRestored
from bot.execution.requests import ProtectPosition
from bot.journal.ledger import Ledger
from bot.market.state import USUAL_NAMES
from bot.sim.entities import AccountSettings
from bot.sim.market import open_market
from bot.sim.venue import Venue

LARGE: dict[str, Any] = {
    "symbols": {"EURUSD": {"direction": "long"}},
    "strategy": {"name": "constant", "base_leverage": 0.15},
    # Volatility is known after half a minute; Kyle's lambda comes from what an earlier run has kept.
    "sizing": {"warm_up_s": 32, "time_of_day": True, "band": 0.05},
    "execution": {"order_type": "market", "stop_loss_bps": 20, "take_profit_bps": 40},
}
BALANCE = 60_000_000  # a position of nine million is several times what the best level holds


def large_venue(balance: int = BALANCE) -> Venue:
    return Venue(
        open_market("synthetic:calm", seed=1, start_ns=START, speed=1.0),
        accounts=[AccountSettings(ACCOUNT, "hedged", "USD", Decimal(balance))],
        client_id=CLIENT.client_id,
        client_secret=CLIENT.client_secret,
        access_token=TOKEN.access_token,
        refresh_token=str(TOKEN.refresh_token),
        start_ns=START,
    )


def known_lambda(*names: str) -> UsualRestored:
    usual: list[float | None] = [None] * len(USUAL_NAMES)
    usual[USUAL_NAMES.index("lambda")] = math.log(0.05)
    content = {"quantities": list(USUAL_NAMES), "overall": usual, "overall_n": [1e6] * len(usual), "bins": []}
    return UsualRestored(0, dict.fromkeys(names, content))


def run_of(folder: Path, seconds: float, *, trade: bool, **changes: Any) -> WiredBot:
    config = bot_config(folder, trade=trade, **(LARGE | changes))
    bot = WiredBot(folder, config, large_venue(), seconds=seconds).start()
    bot.driver.inject([known_lambda("EURUSD")])
    bot.let(seconds + 5, 1 / 16)
    assert bot.result is not None and getattr(bot.result, "exit_code", None) == 0, bot.result
    return bot


def planned(bot: WiredBot, *actions: str) -> list[Any]:
    return [o for d in bot.decisions for o in d.intended if o.action in actions]


@pytest.mark.parametrize("trade", [True, pytest.param(False, marks=pytest.mark.slow)], ids=["trade", "dry-run"])
def test_a_large_change_reaches_its_target_in_slices_and_ends_protected_at_its_entry(
    trade: bool, tmp_path: Path
) -> None:
    bot = run_of(tmp_path, 165, trade=trade)
    slices = planned(bot, "open", "increase")
    assert len(slices) >= 10
    assert all(f"; slice {i + 1} of " in o.reason for i, o in enumerate(slices))
    assert not planned(bot, "reduce", "close")
    (held,) = bot.run.engine.portfolio.positions()
    assert held.volume_cents == sum(o.volume_cents for o in slices)
    wanted = 0.95 * 0.15 * BALANCE / held.price * 100
    assert held.volume_cents == pytest.approx(wanted, rel=0.01), "the edge of the band, although the rest lay within it"
    slack = 0.02 * 0.002 * held.price + 1e-5
    assert held.stop_loss == pytest.approx(held.price * 0.998, abs=slack)
    assert held.take_profit == pytest.approx(held.price * 1.004, abs=2 * slack)
    amendments = [r for d in bot.decisions for r in d.requests if isinstance(r, ProtectPosition)]
    ended = {c.order.client_order_id: c.state for d in bot.decisions for c in d.order_changes}
    assert amendments, "the entry has moved since the first slice"
    assert {ended[a.client_order_id] for a in amendments} == {"replaced"}
    assert bot.venue is not None
    at_venue = list(bot.venue.desks[ACCOUNT].account.positions.values())
    if trade:
        (position,) = at_venue
        assert (position.volume_cents, position.is_buy) == (held.volume_cents, True)
        assert (float(position.stop_loss), float(position.take_profit)) == (held.stop_loss, held.take_profit)
        ledger = Ledger(tmp_path / "state" / "ledger.sqlite3")
        kept = [ledger.intent(request.client_order_id) for request in amendments]
        ledger.close()
        assert [(i.action, i.state) for i in kept if i is not None] == [("amend", "replaced")] * len(amendments)
    else:
        assert not at_venue
    replayed = replay_journal(bot.journal_path)
    assert (replayed.difference, replayed.truncated_at) == (None, None)


@pytest.mark.parametrize("trade", [True, False], ids=["trade", "dry-run"])
def test_a_stop_that_is_reached_closes_the_position_and_the_symbol_waits(trade: bool, tmp_path: Path) -> None:
    changes = {
        "symbols": {"USDJPY": {"direction": "short"}},
        "execution": {"stop_loss_bps": 3, "take_profit_bps": 30},
    }
    venue = virtual_venue("synthetic:trending")
    bot = WiredBot(tmp_path, bot_config(tmp_path, trade=trade, **changes), venue, seconds=40).start()
    bot.let(45, 1 / 16)
    assert len(planned(bot, "open", "increase", "reduce", "close")) == 1, "our one order; the exit is the venue's"
    assert bot.run.engine.portfolio.positions() == []
    assert not venue.desks[ACCOUNT].account.positions
    reasons = [d.state.reasons for d in bot.decisions if d.state is not None]
    assert reasons[-1] == ("protective_exit:USDJPY",)
    balance = bot.run.engine.portfolio.balance
    assert balance is not None and Decimal(-10) < balance - 10_000 < Decimal(-4), "3 bps of three times ten thousand"
    replayed = replay_journal(bot.journal_path)
    assert (replayed.difference, replayed.truncated_at) == (None, None)


def test_a_bare_position_of_an_earlier_run_is_protected_after_a_restart(tmp_path: Path) -> None:
    venue = virtual_venue()
    small = {"symbols": {"EURUSD": {"direction": "long"}}}
    first = WiredBot(tmp_path / "1", bot_config(tmp_path / "1", trade=True, on_stop="keep", **small), venue, seconds=3)
    first.start().let(6, 1 / 16)
    assert next(iter(venue.desks[ACCOUNT].account.positions.values())).stop_loss is None
    config = bot_config(tmp_path / "2", trade=True, execution={"stop_loss_bps": 25}, **small)
    second = WiredBot(tmp_path / "2", config, venue, seconds=10, run_id="run2", clock=first.clock).start()
    second.let(15, 1 / 16)
    (position,) = venue.desks[ACCOUNT].account.positions.values()
    assert float(position.stop_loss) == pytest.approx(float(position.price) * 0.9975, abs=1e-5)
    (order,) = planned(second, "amend")
    assert second.run.ledger is not None
    assert [state for own_id, state in second.states if own_id == order.client_order_id] == ["sent", "replaced"]


def test_a_trailing_stop_of_the_owner_is_followed_and_left_alone(tmp_path: Path) -> None:
    config = bot_config(tmp_path, trade=True, **(LARGE | {"sizing": {}}))
    bot = WiredBot(tmp_path, config, large_venue(10_000), seconds=60).start()
    venue = bot.venue
    assert venue is not None
    account = venue.desks[ACCOUNT].account
    bot.until(lambda: account.positions, step_s=1 / 16).let(3, 1 / 16)
    (held,) = account.positions.values()
    before = held.stop_loss
    assert before is not None and held.trailing_distance is None
    amended = len([r for d in bot.decisions for r in d.requests if isinstance(r, ProtectPosition)])
    bid = (venue.books[held.symbol_id].bid_e5 or 0) / 1e5
    legs = {"stopLoss": round(bid - 0.004, 5), "takeProfit": float(held.take_profit or 0), "trailingStopLoss": True}
    venue.protect_by_hand(ACCOUNT, held.position_id, **legs)
    bot.let(2, 1 / 16)
    venue.shift_prices(held.symbol_id, 15)
    bot.let(10, 1 / 16)
    assert held.stop_loss is not None and float(held.stop_loss) > legs["stopLoss"] + 0.001, "it was to trail"
    (seen,) = bot.run.engine.portfolio.positions()
    assert (seen.stop_loss, seen.take_profit, seen.is_trailing) == (
        float(held.stop_loss), float(held.take_profit or 0), True,
    )  # fmt: skip
    assert len([r for d in bot.decisions for r in d.requests if isinstance(r, ProtectPosition)]) == amended
    bot.let(60, 1 / 16)
    assert replay_journal(bot.journal_path).difference is None
