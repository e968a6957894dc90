"""The owner trades by hand, money moves, the broker changes leverage, margins, rights and symbols."""

from decimal import Decimal
from pathlib import Path

import pytest
from fault_scene import CLOSE, EURUSD, EXECUTION, ORDER, USDJPY, Scene, slow

from bot.sim.faults.link_faults import LoseEvent
from bot.sim.faults.venue_faults import (
    AccessRights,
    Deposit,
    LeverageChange,
    ManualTrade,
    MarginChange,
    SymbolChange,
    Withdraw,
)

FLAT = {"max_daily_loss_frac": 0.02, "max_drawdown_frac": 0.1}


@pytest.mark.parametrize("action", ["close", "close_all"])
@pytest.mark.parametrize("account_type", [slow("hedged"), "netted"])
def test_what_the_owner_closes_stays_closed(action: str, account_type: str, tmp_path: Path) -> None:
    scene = Scene(tmp_path, account_type=account_type).trading()
    orders = len(scene.written(ORDER))
    scene.fire(ManualTrade(action), symbol="EURUSD").let(20).check()
    assert scene.ours(EURUSD) == 0
    assert len(scene.written(ORDER)) == orders
    assert "closed_by_hand:EURUSD" in scene.reasons()
    scene.grow().let(3)
    assert scene.ours(EURUSD) == 0
    assert abs(scene.leverage("USDJPY")) == pytest.approx(1.5, rel=0.1), "the other symbol is traded on"
    scene.check(replay=action == "close")


def test_what_the_owner_closes_is_opened_again_when_the_config_says_so(tmp_path: Path) -> None:
    scene = Scene(tmp_path, on_manual_close="reopen").trading()
    scene.fire(ManualTrade("close_all"), symbol="EURUSD").let(3).until(scene.is_invested).check()
    assert scene.has_struck(ManualTrade)


def test_a_part_that_the_owner_closes_is_respected_too(tmp_path: Path) -> None:
    scene = Scene(tmp_path).trading()
    held = scene.ours(EURUSD)
    scene.fire(ManualTrade("close", volume_cents=1_000_000), symbol="EURUSD").let(10).check()
    assert scene.ours(EURUSD) == held - 1_000_000


@pytest.mark.parametrize("while_away", [False, True])
def test_what_the_owner_closes_while_the_bot_is_away_is_noticed(while_away: bool, tmp_path: Path) -> None:
    scene = Scene(tmp_path).trading()
    if while_away:
        scene.bot.client.drop("cut")
        scene.let(0.2)
    scene.fire(ManualTrade("close_all"), symbol="EURUSD").let(10).check()
    assert scene.ours(EURUSD) == 0
    assert "closed_by_hand:EURUSD" in scene.reasons()


def test_the_owner_s_own_positions_are_left_alone_and_count(tmp_path: Path) -> None:
    scene = Scene(tmp_path, risk={"max_leverage": 6}).trading()
    scene.fire(ManualTrade("open", "buy", 1_000_000), symbol="EURUSD").let(10).check(replay=True)
    assert len(scene.account.positions) == 3
    assert scene.leverage("EURUSD") == pytest.approx(3, rel=0.1)
    assert not scene.written(CLOSE)
    assert scene.bot.run.engine.valuation.foreign_leverage == pytest.approx(1.1, rel=0.05)


def test_a_symbol_with_the_owner_s_position_is_not_traded_on_a_netted_account(tmp_path: Path) -> None:
    scene = Scene(tmp_path, account_type="netted")
    scene.fire(ManualTrade("open", "buy", 1_000_000), symbol="EURUSD").start().let(10)
    assert "foreign_position" in scene.refused("EURUSD")
    assert scene.ours(EURUSD) == 0 and scene.ours(USDJPY) != 0
    scene.check()


def test_the_owner_s_trades_while_an_order_is_on_its_way_disturb_nothing(tmp_path: Path) -> None:
    scene = Scene(tmp_path).trading()
    scene.on_request(ORDER, ManualTrade("open", "buy", 500_000), symbol="USDJPY").grow()
    scene.let(5).check()
    assert scene.is_invested()


@pytest.mark.parametrize("trade", [True, False])
def test_money_that_moves_is_neither_profit_nor_loss(trade: bool, tmp_path: Path) -> None:
    scene = Scene(tmp_path, trade=trade, risk=FLAT).start()
    scene.let(5).fire(Withdraw(Decimal(3_000))).let(5).fire(Deposit(Decimal(9_000))).let(5)
    scene.fire(Withdraw(Decimal(12_000))).let(10)
    assert scene.bot.run.engine.trading == "active"
    if trade:
        scene.until(scene.is_invested).check(replay=True)
        assert len(scene.written(CLOSE)) >= 2, "half of the equity carries half of the positions"
    else:
        assert not scene.account.positions and not scene.heard(ORDER)
        assert scene.bot.run.engine.valuation.equity == pytest.approx(4_000, rel=0.01)
        scene.replayed()


def test_a_withdrawal_whose_event_is_lost_is_replayed_as_it_was_found(tmp_path: Path) -> None:
    scene = Scene(tmp_path, risk=FLAT).trading().on_event(EXECUTION, LoseEvent(), kind="DEPOSIT_WITHDRAW")
    closed = len(scene.written(CLOSE))
    scene.fire(Withdraw(Decimal(3_000))).let(65).check(replay=True)
    assert scene.has_struck(LoseEvent)
    assert [n.text for d in scene.bot.decisions for n in d.notices if n.code == "transfer"] == [
        "3000.00 paid out without our hearing of it: neither profit nor loss"
    ]
    assert len(scene.written(CLOSE)) > closed and scene.bot.run.engine.trading == "active"


def test_a_lower_leverage_of_the_account_brings_a_reduction_where_margin_asks_for_it(tmp_path: Path) -> None:
    scene = Scene(tmp_path, risk={"max_margin_use_frac": 0.2}).trading()
    closed = len(scene.written(CLOSE))
    scene.fire(LeverageChange(10)).let(10)
    use = scene.account.used_margin() / scene.account.equity()
    assert len(scene.written(CLOSE)) > closed
    assert use <= 0.2
    scene.check(replay=True)


def test_a_lower_leverage_that_leaves_room_changes_nothing(tmp_path: Path) -> None:
    scene = Scene(tmp_path).trading()
    scene.fire(LeverageChange(100)).let(10).check()
    assert not scene.written(CLOSE)


def test_margins_that_rise_by_the_table_bring_a_reduction_within_ten_seconds(tmp_path: Path) -> None:
    scene = Scene(tmp_path, risk={"max_margin_use_frac": 0.1}).trading()
    scene.fire(MarginChange(20, tiers=True)).let(10)
    assert scene.account.used_margin() / scene.account.equity() <= 0.1
    scene.check(replay=True)


def test_margins_that_rise_on_open_positions_bring_a_reduction_within_ten_seconds(tmp_path: Path) -> None:
    scene = Scene(tmp_path, risk={"max_margin_use_frac": 0.1}).trading()
    scene.fire(MarginChange(20)).let(10)
    assert scene.account.used_margin() / scene.account.equity() <= 0.1
    scene.check(same_margin=False)


@pytest.mark.parametrize("rights", ["CLOSE_ONLY", "NO_TRADING"])
def test_an_account_that_may_not_open_is_not_asked_to(rights: str, tmp_path: Path) -> None:
    scene = Scene(tmp_path).trading()
    orders = len(scene.written(ORDER))
    scene.fire(AccessRights(rights), for_s=20).grow().let(10)
    assert len(scene.written(ORDER)) == orders
    assert "halted" in scene.refused()
    assert scene.bot.run.engine.trading == "reducing"
    held = scene.ours(EURUSD)
    scene.shrink(0.6).let(5)
    assert (scene.ours(EURUSD) < held) == (rights == "CLOSE_ONLY")
    scene.let(10).until(scene.is_invested).check(replay=True)
    assert scene.bot.run.engine.trading == "active"


def test_an_account_that_may_not_log_in_ends_the_run(tmp_path: Path) -> None:
    scene = Scene(tmp_path).trading()
    scene.fire(AccessRights("NO_LOGIN")).let(5)
    assert scene.bot.result is not None
    assert scene.bot.result.exit_code == 3  # type: ignore[union-attr]


def test_new_volume_limits_of_a_symbol_count_from_the_next_order(tmp_path: Path) -> None:
    scene = Scene(tmp_path, symbols={"EURUSD": {}}).trading()
    scene.fire(SymbolChange({"min_volume_cents": 500_000, "step_volume_cents": 500_000}), symbol="EURUSD").let(1)
    orders = len(scene.written(ORDER))
    scene.grow(0.5).let(5).check(replay=True)
    volumes = [w.body.volume for w in scene.written(ORDER)[orders:]]
    assert volumes and all(volume % 500_000 == 0 for volume in volumes)
    assert "rejected" not in scene.states()


def test_a_symbol_without_short_selling_is_not_sold_short_any_more(tmp_path: Path) -> None:
    scene = Scene(tmp_path).trading()
    scene.fire(SymbolChange({"short_selling": False}), symbol="USDJPY").let(1)
    held = scene.ours(USDJPY)
    scene.grow().let(5).check()
    assert scene.ours(USDJPY) == held
    assert "schedule" in scene.refused("USDJPY")


def test_leverage_above_its_limit_brings_a_reduction_within_ten_seconds(tmp_path: Path) -> None:
    scene = Scene(tmp_path, risk={"max_leverage": 4.6, "max_symbol_leverage": 3.1}).trading()
    scene.fire(ManualTrade("open", "buy", 2_000_000), symbol="EURUSD").let(10)
    total = sum(abs(scene.leverage(n)) for n in scene.wanted) + 2.2
    assert total <= 4.7
    scene.check(replay=True)
