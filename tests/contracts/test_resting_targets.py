"""`order_type: limit` over the wire, in memory: targets approached by one resting order a symbol."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from wired_bot import ACCOUNT, WiredBot, bot_config, virtual_venue

from bot.app import replay_journal
from bot.sim.venue import Venue

FINAL = ("filled", "cancelled", "expired", "rejected", "resolved")


class Coarse(WiredBot):
    """A bot whose clock moves in larger steps: nothing here depends on milliseconds."""

    def let(self, seconds: float, step_s: float = 1 / 32) -> "Coarse":
        super().let(seconds, step_s)
        return self

    def until(self, condition: Callable[[], Any], limit_s: float = 60, step_s: float = 1 / 32) -> "Coarse":
        super().until(condition, limit_s, step_s)
        return self


def resting_bot(folder: Path, venue: Venue, *, trade: bool = True, **changes: Any) -> WiredBot:
    seconds, run_id, clock = changes.pop("seconds", None), changes.pop("run_id", "run1"), changes.pop("clock", None)
    execution = {"order_type": "limit"} | changes.pop("execution", {})
    config = bot_config(folder, trade=trade, execution=execution, **changes)
    return Coarse(folder, config, venue, seconds=seconds, run_id=run_id, clock=clock).start()


def at_venue(venue: Venue) -> dict[str, int]:
    """Return the venue's working orders: signed volume by client order id."""
    orders = venue.desks[ACCOUNT].account.orders.values()
    return {o.client_order_id: o.volume_cents if o.is_buy else -o.volume_cents for o in orders}


def held(venue: Venue) -> dict[int, int]:
    """Return the venue's net position of each symbol, signed, 0.01 base unit."""
    sums: dict[int, int] = {}
    for p in venue.desks[ACCOUNT].account.positions.values():
        sums[p.symbol_id] = sums.get(p.symbol_id, 0) + (p.volume_cents if p.is_buy else -p.volume_cents)
    return {symbol_id: volume for symbol_id, volume in sums.items() if volume}


def symbol_id(venue: Venue, name: str) -> int:
    return next(spec.symbol_id for spec in venue.catalogue.specs.values() if spec.name == name)


def planned(bot: WiredBot) -> list[Any]:
    return [order for decision in bot.decisions for order in decision.intended]


def _reduces(order: Any) -> bool:
    return abs(order.leverage_target) < abs(order.leverage_now)


def never_doubled(bot: WiredBot) -> bool:
    """Return whether no symbol ever had two resting orders of ours without a final state."""
    open_symbols: dict[str, str] = {}
    for decision in bot.decisions:
        for change in decision.order_changes:
            if change.order.action == "place":
                if change.state in FINAL:
                    open_symbols.pop(change.order.client_order_id, None)
                else:
                    open_symbols[change.order.client_order_id] = change.order.symbol
        if len(set(open_symbols.values())) != len(open_symbols):
            return False
    return True


def ended_well(bot: WiredBot, limit_s: float = 30) -> bool:
    bot.let(limit_s)
    assert bot.result is not None and bot.result.exit_code == 0
    return replay_journal(bot.journal_path).difference is None


@pytest.mark.parametrize("account_type", ["hedged", pytest.param("netted", marks=pytest.mark.slow)])
def test_targets_are_reached_by_orders_that_rest_and_reduced_by_such(account_type: str, tmp_path: Path) -> None:
    venue = virtual_venue(account_type=account_type)
    bot = resting_bot(tmp_path, venue, seconds=70)
    wanted = {symbol_id(venue, "EURUSD"): 2_700_000, symbol_id(venue, "USDJPY"): -1_500_000}
    # Equity moves by cents, and with it what the last step of the grid is for.
    bot.until(lambda: all(abs(held(venue).get(s, 0) - v) <= 100_000 for s, v in wanted.items()), 120)
    assert {o.order_type for o in planned(bot)} == {"limit"}
    assert {o.action for o in planned(bot)} <= {"place", "amend"}
    venue.withdraw(ACCOUNT, 4_000)
    smaller = {symbol_id(venue, "EURUSD"): 1_600_000, symbol_id(venue, "USDJPY"): -900_000}
    bot.until(lambda: all(abs(held(venue)[s]) <= abs(v) + 100_000 for s, v in smaller.items()), 120)
    reducing = [o for o in planned(bot) if o.action == "place" and "rests to" in o.reason and _reduces(o)]
    assert {(o.symbol, o.side) for o in reducing} == {("EURUSD", "sell"), ("USDJPY", "buy")}
    assert all((o.position_id is None) == (account_type == "netted") for o in reducing)
    assert ended_well(bot, 120)
    assert at_venue(venue) == {} and never_doubled(bot)
    assert {p.position_id: abs(p.volume_cents) for p in bot.run.engine.portfolio.positions()} == {
        p.position_id: p.volume_cents for p in venue.desks[ACCOUNT].account.positions.values()
    }


def test_it_follows_a_market_that_runs_away_and_never_pays_the_far_side(tmp_path: Path) -> None:
    venue = virtual_venue("synthetic:trending")
    bot = resting_bot(tmp_path, venue, seconds=40, symbols={"EURUSD": {"direction": "long"}})
    bot.until(lambda: held(venue), 120)
    prices = [w.body.limitPrice for w in bot.written if w.name in ("ProtoOANewOrderReq", "ProtoOAAmendOrderReq")]
    assert prices == sorted(prices), "a buy never moves away from the market"
    assert ended_well(bot, 60) and never_doubled(bot)


def test_a_stop_takes_it_back(tmp_path: Path) -> None:
    venue = virtual_venue()
    venue.empty_book(symbol_id(venue, "EURUSD"), "ask")  # nobody sells
    bot = resting_bot(tmp_path, venue, seconds=3, symbols={"EURUSD": {"direction": "short"}})
    bot.until(lambda: bot.is_ready)
    assert ended_well(bot) and at_venue(venue) == {}


def test_one_that_is_kept_is_taken_over_by_the_next_run_and_fills_once(tmp_path: Path) -> None:
    venue = virtual_venue()
    only = {"EURUSD": {"direction": "long"}}
    first = resting_bot(tmp_path / "a", venue, seconds=1.5, symbols=only, on_stop="keep")
    first.let(10)
    assert first.result is not None and first.result.exit_code == 0
    (left,) = at_venue(venue)
    second = resting_bot(tmp_path / "b", venue, seconds=60, symbols=only, run_id="run2", clock=first.clock)
    second.until(lambda: held(venue), 120)
    assert (left, "accepted") in second.states
    assert ended_well(second, 90) and never_doubled(second)
    # Until the broker has said what margin it expects nothing may grow: then it is taken back first, and placed once.
    assert [o.action for o in planned(second) if o.action != "amend"] in ([], ["cancel", "place"])
    assert held(venue) == {symbol_id(venue, "EURUSD"): 2_700_000}


def test_drops_and_lost_answers_double_nothing(tmp_path: Path) -> None:
    venue = virtual_venue()
    bot = resting_bot(tmp_path, venue, seconds=45, execution={"order_timeout_s": 2, "settle_s": 1})
    bot.until(lambda: bot.is_ready)
    for money in (6_000, -9_000, 12_000):
        bot.client.is_deaf = True
        (venue.deposit if money > 0 else venue.withdraw)(ACCOUNT, abs(money))
        bot.client.is_deaf = False
        bot.let(0.6)
        bot.client.is_deaf = True
        bot.let(1.5)
        bot.client.drop("cut")
        bot.let(0.1)
        bot.client.is_deaf = False
        bot.until(lambda: bot.is_ready)
        bot.let(5)
    assert ended_well(bot, 60) and never_doubled(bot)
    assert at_venue(venue) == {}
    equity = 10_000 + 6_000 - 9_000 + 12_000
    most = {symbol_id(venue, "EURUSD"): 3 * equity / 1.1 * 100, symbol_id(venue, "USDJPY"): 1.5 * equity * 100}
    assert all(abs(volume) <= most[s] * 1.001 for s, volume in held(venue).items())


@pytest.mark.slow
def test_a_dry_run_fills_on_paper_what_rests(tmp_path: Path) -> None:
    venue = virtual_venue()
    bot = resting_bot(tmp_path, venue, trade=False, seconds=90)
    bot.until(lambda: "filled" in [state for _, state in bot.states], 90)
    assert at_venue(venue) == {} and held(venue) == {}
    assert ended_well(bot, 120) and never_doubled(bot)


# -- one that an earlier run has left in a symbol that is no longer traded --------------------------------------------

LEFT = {"EURUSD": {"direction": "long"}}
NOW = {"USDJPY": {"direction": "short"}}


def left_behind(folder: Path, venue: Venue) -> tuple[str, Any]:
    """Let a run leave an order in EURUSD that does not fill; return its client order id, and the run's clock."""
    first = resting_bot(folder, venue, seconds=1.5, symbols=LEFT, on_stop="keep")
    first.let(10)
    (left,) = at_venue(venue)
    venue.shift_prices(symbol_id(venue, "EURUSD"), 30)  # out of its reach
    return left, first.clock


@pytest.mark.parametrize(
    "folder", ["a", pytest.param("b", marks=pytest.mark.slow)], ids=["with its ledger", "without its ledger"]
)
def test_one_in_a_symbol_that_is_no_longer_traded_is_taken_back_and_told(folder: str, tmp_path: Path) -> None:
    venue = virtual_venue()
    left, clock = left_behind(tmp_path / "a", venue)
    theirs = venue.rest_by_hand(ACCOUNT, symbol_id(venue, "EURUSD"), "limit", "buy", 1_000_000, limitPrice=1.0)
    second = resting_bot(
        tmp_path / folder,
        venue,
        seconds=70,
        symbols=NOW,
        run_id="run2",
        clock=clock,
        execution={"order_type": "market"},
    )
    second.until(lambda: left not in at_venue(venue))
    assert list(venue.desks[ACCOUNT].account.orders) == [theirs], "somebody else's stays"
    assert ended_well(second, 90)
    assert (left, "cancelled") in second.states
    (cancel,) = [o for o in planned(second) if o.action == "cancel"]
    assert cancel.symbol == "EURUSD" and cancel.reason.startswith("left by an earlier run, taken back: ")
    (notice,) = [n for d in second.decisions for n in d.notices if n.code == "stray_order"]
    assert notice.symbol == "EURUSD" and notice.text.startswith(
        f"order {cancel.order_id} of an earlier run rests to buy "
    )
    assert list(venue.desks[ACCOUNT].account.orders) == [theirs]


@pytest.mark.parametrize(
    "symbols", [pytest.param(NOW, marks=pytest.mark.slow), LEFT], ids=["no longer traded", "traded"]
)
def test_a_dry_run_says_once_that_it_would_take_it_back(symbols: dict[str, Any], tmp_path: Path) -> None:
    """The paper venue did not know the order, and a cancel was tried and refused several times a second."""
    venue = virtual_venue()
    left, clock = left_behind(tmp_path / "a", venue)
    second = resting_bot(
        tmp_path / "b", venue, trade=False, seconds=150, symbols=symbols, run_id="run2", clock=clock,
        execution={"order_type": "market"},
    )  # fmt: skip
    second.let(140)
    assert left in at_venue(venue)
    assert [o.symbol for o in planned(second) if o.action == "cancel"] == ["EURUSD"]
    assert len([n for d in second.decisions for n in d.notices if n.code == "stray_order"]) == (symbols is NOW)
    assert [state for name, state in second.states if name == left] == ["accepted", "cancelled"]
    assert ended_well(second)
