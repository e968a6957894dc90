"""`order_type: limit` over the wire, in memory: targets approached by one resting order a symbol, to the venue's word."""

from pathlib import Path
from typing import Any

import pytest
from wired_bot import ACCOUNT, WiredBot, bot_config, virtual_venue

from bot.app import replay_journal
from bot.sim.venue import Venue

FINAL = ("filled", "cancelled", "expired", "rejected", "resolved")


def resting_bot(folder: Path, venue: Venue, *, trade: bool = True, **changes: Any) -> WiredBot:
    seconds, run_id, clock = changes.pop("seconds", None), changes.pop("run_id", "run1"), changes.pop("clock", None)
    execution = {"order_type": "limit"} | changes.pop("execution", {})
    config = bot_config(folder, trade=trade, execution=execution, **changes)
    return WiredBot(folder, config, venue, seconds=seconds, run_id=run_id, clock=clock).start()


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


@pytest.mark.parametrize("account_type", ["hedged", "netted"])
def test_targets_are_reached_by_orders_that_rest_and_reduced_by_such(account_type: str, tmp_path: Path) -> None:
    venue = virtual_venue(account_type=account_type)
    bot = resting_bot(tmp_path, venue, seconds=70)
    wanted = {symbol_id(venue, "EURUSD"): 2_700_000, symbol_id(venue, "USDJPY"): -1_500_000}
    bot.until(lambda: held(venue) == wanted, 120)
    assert {o.order_type for o in planned(bot)} == {"limit"}
    assert {o.action for o in planned(bot)} <= {"place", "amend"}
    venue.withdraw(ACCOUNT, 4_000)
    smaller = {symbol_id(venue, "EURUSD"): 1_600_000, symbol_id(venue, "USDJPY"): -900_000}
    bot.until(lambda: all(abs(held(venue)[s]) <= abs(v) + 100_000 for s, v in smaller.items()), 120)
    reducing = [o for o in planned(bot) if o.action == "place"][2:]
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
    book = venue.books[symbol_id(venue, "EURUSD")]
    asks: list[tuple[int, float]] = []

    def note() -> bool:
        for written in bot.written[len(asks) :]:
            asks.append((written.decision, (book.ask_e5 or 0) / 1e5))
        return bool(held(venue))

    bot.until(note, 120)
    prices = [w.body.limitPrice for w in bot.written if w.name in ("ProtoOANewOrderReq", "ProtoOAAmendOrderReq")]
    assert prices == sorted(prices), "a buy never moves away from the market"
    assert ended_well(bot, 60) and never_doubled(bot)


def test_a_stop_takes_it_back_and_keep_leaves_it_to_the_next_run(tmp_path: Path) -> None:
    venue = virtual_venue()
    venue.empty_book(symbol_id(venue, "EURUSD"), "ask")  # nobody sells: what rests stays
    only = {"EURUSD": {"direction": "long"}}
    first = resting_bot(tmp_path / "a", venue, seconds=3, symbols=only)
    venue.restore_book(symbol_id(venue, "EURUSD"))
    first.until(lambda: at_venue(venue) or held(venue) or first.result, 20)
    first.let(20)
    assert at_venue(venue) == {}, "on_stop: cancel"

    # Far behind the market, so that it does not fill: adopted by label and id, moved, and filled once.
    venue = virtual_venue()
    kept = resting_bot(tmp_path / "b", venue, seconds=1, symbols=only, on_stop="keep", run_id="run2")
    kept.let(10)
    left = at_venue(venue)
    if not left:
        pytest.skip("it has filled within its second")
    again = resting_bot(tmp_path / "c", venue, seconds=60, symbols=only, run_id="run3", clock=kept.clock)
    again.let(3)
    assert (next(iter(left)), "accepted") in again.states
    again.until(lambda: held(venue), 120)
    again.let(5)
    assert held(venue) == {symbol_id(venue, "EURUSD"): 2_700_000}
    assert ended_well(again, 90) and never_doubled(again)


def test_drops_and_lost_answers_double_nothing(tmp_path: Path) -> None:
    venue = virtual_venue()
    bot = resting_bot(tmp_path, venue, seconds=90, execution={"order_timeout_s": 2, "settle_s": 1})
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
        bot.let(8)
    assert ended_well(bot, 120) and never_doubled(bot)
    assert at_venue(venue) == {}
    equity = 10_000 + 6_000 - 9_000 + 12_000
    most = {symbol_id(venue, "EURUSD"): 3 * equity / 1.1 * 100, symbol_id(venue, "USDJPY"): 1.5 * equity * 100}
    assert all(abs(volume) <= most[s] * 1.001 for s, volume in held(venue).items())


def test_a_dry_run_fills_on_paper_what_rests(tmp_path: Path) -> None:
    venue = virtual_venue()
    bot = resting_bot(tmp_path, venue, trade=False, seconds=90)
    bot.until(lambda: "filled" in [state for _, state in bot.states], 90)
    assert at_venue(venue) == {} and held(venue) == {}
    assert ended_well(bot, 120) and never_doubled(bot)
