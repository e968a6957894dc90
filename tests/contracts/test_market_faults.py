"""Markets that stop, empty, cross, fall silent or may not be traded: no growth on what cannot be believed."""

from pathlib import Path

import pytest
from fault_scene import CLOSE, EURUSD, ORDER, TRADES, USDJPY, Scene, slow

from bot.sim.faults.venue_faults import (
    CloseMarket,
    CrossedBook,
    EmptyBook,
    Holiday,
    NoDepth,
    OpenMarket,
    Shift,
    StopQuotes,
    TradingMode,
)

NO_GUARD = {"crisis": False}
"""What is looked at here is the gate; a market like this is a crisis as well, and that guard has tests of its own."""


def test_a_market_that_stops_is_asked_once_and_then_left_alone(tmp_path: Path) -> None:
    scene = Scene(tmp_path).trading()
    scene.fire(CloseMarket(), for_s=100, symbol="EURUSD").grow()
    orders = len(scene.written(*TRADES))
    scene.let(55, 1 / 8)
    assert "market_closed:EURUSD" in scene.reasons()
    sent = [w for w in scene.written(ORDER)[orders:] if w.body.symbolId == EURUSD]
    assert len(sent) <= 1, "refused once, or never sent on a stale quote"
    assert scene.is_calm()
    scene.let(60, 1 / 8).until(scene.is_invested, 120, 1 / 8).check(replay=True)


@pytest.mark.slow
def test_every_market_that_stops_ends_nothing(tmp_path: Path) -> None:
    scene = Scene(tmp_path).trading()
    scene.fire(CloseMarket()).let(30).fire(OpenMarket()).grow().until(scene.is_invested).check()
    assert scene.bot.driver.figures.connections == 1


def test_a_holiday_sends_nothing(tmp_path: Path) -> None:
    scene = Scene(tmp_path).trading()
    scene.fire(Holiday(), symbol="EURUSD").let(1)
    orders = len(scene.written(*TRADES))
    scene.grow().let(20)
    assert all(w.body.symbolId == USDJPY for w in scene.written(ORDER)[orders:])
    assert "market_closed:EURUSD" in scene.reasons()
    assert "rejected" not in scene.states()
    scene.check(replay=True)


@pytest.mark.parametrize(
    ("mode", "may_reduce"),
    [
        ("CLOSE_ONLY_MODE", True),
        ("DISABLED_WITH_PENDINGS_EXECUTION", False),
        pytest.param("DISABLED_WITHOUT_PENDINGS_EXECUTION", False, marks=pytest.mark.slow),
    ],
)
def test_a_trading_mode_is_kept(mode: str, may_reduce: bool, tmp_path: Path) -> None:
    scene = Scene(tmp_path).trading()
    scene.fire(TradingMode(mode), for_s=30, symbol="EURUSD").let(1)
    orders, held = len(scene.written(ORDER)), scene.ours(EURUSD)
    scene.grow().let(5)
    assert scene.ours(EURUSD) == held
    assert not [w for w in scene.written(ORDER)[orders:] if w.body.symbolId == EURUSD]
    scene.shrink(0.5).let(5)
    assert (scene.ours(EURUSD) < held) == may_reduce
    assert "trading_mode:EURUSD" in scene.reasons()
    assert "rejected" not in scene.states()
    scene.let(20).until(scene.is_invested).check(replay=True)


def test_a_crossed_book_is_not_grown_on(tmp_path: Path) -> None:
    scene = Scene(tmp_path, sizing=NO_GUARD).trading()
    scene.fire(CrossedBook(), for_s=40, symbol="EURUSD").let(8)
    held = scene.ours(EURUSD)
    scene.grow().let(20)
    assert scene.ours(EURUSD) == held
    assert "book_health:EURUSD" in scene.reasons()
    scene.let(13).until(scene.is_invested).check(replay=True)


@pytest.mark.parametrize("side", [slow("both"), "bid", "ask"])
@pytest.mark.parametrize("wish", ["grow", "shrink"])
def test_no_order_is_sent_into_an_empty_side(wish: str, side: str, tmp_path: Path) -> None:
    scene = Scene(tmp_path, sizing=NO_GUARD).trading()
    scene.fire(EmptyBook(side), for_s=20, symbol="EURUSD").let(1)
    held, orders = scene.ours(EURUSD), len(scene.written(*TRADES))
    scene.grow() if wish == "grow" else scene.shrink()
    scene.let(3)
    # What could not be left again is not grown: a side to leave by is wanted as well as one to enter by.
    is_barred = wish == "grow" or side in ("both", "bid")
    assert (scene.ours(EURUSD) == held) == is_barred
    if is_barred:
        sent = scene.written(*TRADES)[orders:]
        assert all(w.body.symbolId == USDJPY for w in sent if w.name == ORDER)
        assert sum(w.name == CLOSE for w in sent) <= 1, "that of USDJPY"
        by = "exit_cost" if (wish, side) == ("grow", "bid") else "book_health"
        assert by in scene.refused("EURUSD")
    scene.let(20).until(scene.is_invested).check(replay=True)


def test_quotes_that_stop_are_not_grown_on(tmp_path: Path) -> None:
    scene = Scene(tmp_path).trading()
    scene.fire(StopQuotes(), for_s=30, symbol="EURUSD").let(6)
    held = scene.ours(EURUSD)
    scene.grow().let(10)
    assert "stale_quote:EURUSD" in scene.reasons()
    assert scene.ours(EURUSD) == held
    assert "stale_quote" in scene.refused("EURUSD")
    scene.shrink(0.5).let(5)
    assert scene.ours(EURUSD) < held, "what is stale may be reduced"
    scene.let(15).until(scene.is_invested).check(replay=True)


def test_without_depth_nothing_grows_and_when_it_comes_back_all_is_as_before(tmp_path: Path) -> None:
    scene = Scene(tmp_path, sizing=NO_GUARD).trading()
    scene.fire(NoDepth(), for_s=30, symbol="EURUSD").let(2)
    held = scene.ours(EURUSD)
    scene.grow().let(20)
    assert scene.ours(EURUSD) == held
    scene.let(10).until(scene.is_invested).check(replay=True)


def test_a_symbol_that_runs_ahead_of_the_others_is_traded_at_its_own_prices(tmp_path: Path) -> None:
    scene = Scene(tmp_path).trading()
    before = scene.account.equity()
    scene.fire(Shift(20.0), for_s=20, symbol="EURUSD").let(2)
    assert scene.account.equity() > before, "what is held is worth what is shown"
    scene.let(20).until(scene.is_invested).check(replay=True)


@pytest.mark.parametrize(
    "what", [slow(CloseMarket()), CrossedBook(), EmptyBook(), slow(StopQuotes())], ids=lambda w: type(w).__name__
)
def test_a_dry_run_trusts_no_more_than_a_real_one(what: object, tmp_path: Path) -> None:
    scene = Scene(tmp_path, sizing=NO_GUARD, trade=False, strategy={"name": "constant", "base_leverage": 3}).start()
    scene.let(3)
    filled = scene.states().count("filled")
    assert filled == 2
    scene.fire(what, for_s=20, symbol="EURUSD").let(8).grow().let(5)
    grown = [o for d in scene.bot.decisions for o in d.intended if o.symbol == "EURUSD"]
    assert len(grown) <= 2, "the first, and one that the closed market refuses"
    scene.let(20)
    assert not scene.heard(ORDER) and not scene.account.positions
    scene.replayed()
