"""What the machine of `test_stateful_trading.py` has found, each as the shortest way there."""

from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from trading_world import ON_CALL, Kind, TradingWorld
from wired_bot import ACCOUNT, SECOND
from wish_board import WISH
from world_truth import _deals, settle

from bot.engine.events import MarginStated
from bot.sim.faults import link_faults
from bot.sim.faults.script import When
from bot.sim.faults.venue_faults import Withdraw

Made = Callable[..., TradingWorld]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Made]:
    """Makes a world; its ledger is closed afterwards."""
    made: list[TradingWorld] = []

    def make(**kind: Any) -> TradingWorld:
        made.append(TradingWorld(tmp_path, Kind(**kind)))
        made[-1].let(2)
        return made[-1]

    yield make
    for each in made:
        each.close()


def references(at: TradingWorld) -> list[float]:
    """What losses are measured against: equity at the start of the day, and its highest."""
    loss: Any = at.run.engine._guard.memory()["loss"]
    return [loss["day_equity"], loss["peak"]]


@pytest.mark.parametrize("comes", ["never", "late", "late, and after a deal"])
def test_a_withdrawal_whose_event_is_lost_is_seen_at_the_next_calm_and_is_no_loss(world: Made, comes: str) -> None:
    """The balance stayed as it was until the next deal or connection, and the withdrawal was then taken for a loss."""
    limits = {"max_daily_loss_frac": 0.05, "max_drawdown_frac": 0.05}
    at = world(strategy=ON_CALL, sections={"risk": limits})
    WISH.share = 0.0
    at.let(20)
    assert not at.venue.desks[ACCOUNT].account.positions, "no deal is to tell of the balance"
    before = references(at)
    if comes == "never":
        at.play(link_faults.Silence("outbound", "lost"), for_ns=SECOND)
    else:
        astray = When(on_event=("ProtoOAExecutionEvent",), kinds=("DEPOSIT_WITHDRAW",))
        at.play(link_faults.Late(110 * SECOND), when=astray)
    at.play(Withdraw(Decimal(60_000)))
    at.let(95)
    assert at.run.engine.portfolio.balance == Decimal(at.venue.desks[ACCOUNT].account.balance) / 100
    if comes == "late, and after a deal":
        WISH.share = 1.0
    at.let(30)
    assert references(at) == pytest.approx([each - 60_000 for each in before], rel=0.001), "they moved once"
    assert at.run.engine.trading == "active"
    assert at.driver.figures.connections == 1
    settle(at)


def test_a_position_by_hand_in_a_symbol_that_is_not_traded_is_priced_at_once(world: Made) -> None:
    """Its spot prices were asked for together with those that were there, and the venue refused all of it."""
    at = world(strategy="constant")
    at.meddle()
    at.venue.trade_by_hand(ACCOUNT, 4, "buy", 2_000_000)
    at.note("GBPUSD by hand")
    at.let(2)
    assert at.run.session.ready
    assert at.run.engine.valuation.equity == pytest.approx(at.venue.snapshot(ACCOUNT).equity / 100, abs=0.02)
    settle(at)


def test_a_deal_whose_event_is_lost_is_in_the_ledger_although_its_order_has_ended(world: Made) -> None:
    """The end of a partly filled order told the position and the volume, and nobody asked for the deal any more."""
    at = world(strategy=ON_CALL)
    at.let(20)
    at.play(link_faults.LoseEvent(), when=When(on_event=("ProtoOAExecutionEvent",), kinds=("ORDER_PARTIAL_FILL",)))
    at.venue.partial_fill(ACCOUNT, 0.5, "cancelled")
    WISH.share = 0.0
    at.let(1)
    cancelled = [change for change in at.changes.values() if change.state == "cancelled"]
    assert [change.executed_cents > 0 for change in cancelled] == [True]
    at.let(15)  # too short a calm for the bot to look by itself
    assert [*_deals(at)] == []


def test_a_stop_out_is_not_taken_for_a_close_that_never_arrived(world: Made) -> None:
    """A close carries no id: it was recognised by position, volume and time, which the stop-out had, too."""
    at = world(strategy=ON_CALL)
    at.let(20)
    at.play(link_faults.Silence("inbound", "lost"), for_ns=20 * SECOND)
    at.let(0.1)
    WISH.share = 0.0
    at.let(1)
    account = at.venue.desks[ACCOUNT].account
    lost = [
        i for i in at.intents.values() if i.action == "close" and at.orders.sent[i.client_order_id].order_ids is None
    ]
    assert lost, "the close was to be lost"
    at.meddle()
    factor = 100 * account.equity() / account.used_margin()
    for intent in lost:
        at.venue.set_margin(int(intent.position_id or 0), factor)
    at.let(8)
    assert at.venue.desks[ACCOUNT].account.positions == {}, "stopped out"
    at.link._lose("gone")
    settle(at)
    for intent in lost:
        assert at.run.ledger is not None
        found = at.run.ledger.intent(intent.client_order_id)
        assert found is not None and found.state == "resolved"


def test_a_stated_margin_counts_although_a_price_looks_odd(world: Made) -> None:
    """While a price looked like a slip the account was not looked at, and growth rested on a factor of before."""
    at = world(strategy="constant")
    at.let(20)
    engine = at.run.engine
    at.meddle()
    for p in at.run.engine.portfolio.positions():
        engine.receive(MarginStated(engine._now_ns, p.position_id, 5 * (p.used_margin or 0)))
    view = engine._view(engine._board.now(engine._now_ns))
    assert engine._guard.check(view, engine.valuation.equity, engine._now_ns, odd=True) == []
    stated = sum(float(p.used_margin or 0) for p in engine.portfolio.positions())
    assert engine.used_margin() == pytest.approx(stated)
    assert engine._guard.shrink == 1.0, "nothing is cut on an odd price"


def test_a_close_that_still_works_after_a_drop_is_known_again(world: Made) -> None:
    """It carries no id: it was taken for an order of an earlier run, and the one that had been sent for lost."""
    at = world(strategy=ON_CALL)
    at.let(20)
    at.venue.partial_fill(ACCOUNT, 0.5, "filled", 5 * SECOND)
    at.play(link_faults.Drop(when="after_execution"), when=When(on_request=("ProtoOAClosePositionReq",)))
    WISH.share = 0.0
    at.let(3)
    assert at.run.session.ready and at.venue.desks[ACCOUNT].account.orders, "it is still at work"
    at.let(10)
    assert not [name for name in at.intents if name.startswith("venue-")]
    assert not [name for name in at.changes if name.startswith("venue-")]
    settle(at)


def test_a_close_of_an_earlier_run_is_not_told_as_somebody_elses(world: Made) -> None:
    """A close carries no id of ours at the venue: the next run told it as anybody's, although the ledger had it."""
    at = world(strategy=ON_CALL)
    at.let(20)
    WISH.share = 0.0
    at.let(3)
    assert not at.venue.desks[ACCOUNT].account.positions
    notices: list[Any] = []
    watched = at._watch
    at._watch = lambda decision: (notices.extend(decision.notices), watched(decision))[1]  # type: ignore[method-assign]
    at.die()
    at.let(100)
    assert [n for n in notices if n.code in ("manual", "unknown", "stop_out", "protection")] == []
    settle(at)


def test_a_death_that_one_life_has_not_met_may_meet_the_next_at_its_start(world: Made) -> None:
    """Here the machine itself was at fault: it took a process that dies while it starts for a broken test."""
    at = world(strategy=ON_CALL)
    at.deaths.arm("aftermath", 1)
    lives = at.lives
    at.stop()
    assert at.counts["deaths"] == 1 and at.lives > lives
    settle(at)


@pytest.mark.parametrize("forgets", [False, True], ids=["as it is", "forgets its orders"])
def test_a_bot_that_is_killed_again_and_again_has_one_minutes_orders_in_a_minute(world: Made, forgets: bool) -> None:
    """The watch itself began a new minute with every process. It has to see one that knows nothing of those before."""
    at = world(
        strategy=ON_CALL,
        sections={"risk": {"max_orders_per_minute": 20}, "execution": {"min_interval_s": 0.25, "order_type": "market"}},
    )
    told = ""
    try:
        for turn in range(6):
            WISH.share = float(turn % 2)
            at.let(5)
            if turn % 2:
                at.die()
                if forgets:
                    at.run.engine._guard._sent_ns.clear()
    except AssertionError as error:
        told = str(error)
    assert at.lives > 1 and ("is request 21 of its minute" in told) == forgets, told
    assert forgets or at.counts["refused: order_rate"]
