"""Market making over the wire, in memory: what the bot thinks rests is what the venue's own list says, to the end."""

from pathlib import Path
from typing import Any

import pytest
from owners_orders import faulty_venue
from wired_bot import ACCOUNT, WiredBot, bot_config, virtual_venue

from bot.app import replay_journal

QUOTING: dict[str, Any] = {
    "symbols": {"EURUSD": {"direction": "signal"}, "USDJPY": {"direction": "signal", "weight": 0.5}},
    "strategy": {
        "name": "market-making",
        "base_leverage": 3,
        # Near the market, so that half a minute shows fills; what the features do not hold yet is switched off.
        "parameters": {"beta": 0, "volatility_power": 0, "volatility_prior_bps": 0.05, "k": 4, "intensity": 1},
    },
    "sizing": {"warm_up_s": 1},
    "risk": {"max_orders_per_minute": 100},
}


def quoting_bot(folder: Path, *, trade: bool, venue: Any = None, seconds: float = 40, **changes: Any) -> WiredBot:
    config = bot_config(folder, trade=trade, **(QUOTING | changes))
    return WiredBot(folder, config, venue or virtual_venue(), seconds=seconds).start()


def at_venue(venue: Any) -> dict[str, tuple[int, float, int]]:
    """Return the venue's own list of working orders: signed volume, price, executed, by client order id."""
    return {
        order.client_order_id: (
            order.volume_cents if order.is_buy else -order.volume_cents,
            float(order.limit_price),
            order.executed_cents,
        )
        for order in venue.desks[ACCOUNT].account.orders.values()
    }


def as_believed(bot: WiredBot) -> dict[str, tuple[int, float | None, int]]:
    return {
        order.client_order_id: (order.volume_cents, order.limit_price, order.executed_cents)
        for order in bot.run.engine._orders._in_flight.all()
    }


def positions(venue: Any) -> dict[int, int]:
    held = venue.desks[ACCOUNT].account.positions.values()
    return {p.position_id: p.volume_cents if p.is_buy else -p.volume_cents for p in held}


def planned(bot: WiredBot) -> list[Any]:
    return [order for decision in bot.decisions for order in decision.intended]


def never_doubled(bot: WiredBot) -> bool:
    """Return whether no side of a symbol ever had two orders of ours without a final state."""
    open_sides: dict[str, tuple[str, str]] = {}
    for decision in bot.decisions:
        for change in decision.order_changes:
            if change.order.action != "place":
                continue
            if change.state in ("filled", "cancelled", "expired", "rejected", "resolved"):
                open_sides.pop(change.order.client_order_id, None)
            else:
                open_sides[change.order.client_order_id] = (change.order.symbol, change.order.side)
        if len(set(open_sides.values())) != len(open_sides):
            return False
    return True


@pytest.mark.parametrize("account_type", ["hedged", pytest.param("netted", marks=pytest.mark.slow)])
def test_the_bot_and_the_venue_agree_on_every_quote_and_every_fill(account_type: str, tmp_path: Path) -> None:
    venue = virtual_venue(account_type=account_type)
    bot = quoting_bot(tmp_path, trade=True, venue=venue)
    for _ in range(35):
        bot.let(1)
        quiet = all(order.is_working for order in bot.run.engine._orders._in_flight.all())
        if quiet and not bot.run.engine._orders.resting._alterations.all():
            assert as_believed(bot) == at_venue(venue)
    assert {a for o in planned(bot) for a in [o.action]} >= {"place", "amend"}
    assert {o.order_type for o in planned(bot)} == {"limit"}
    assert "filled" in [state for _, state in bot.states]
    bot.let(20)
    assert bot.result is not None and bot.result.exit_code == 0
    assert at_venue(venue) == {}, "on a stop everything that rests is taken back"
    assert {p.position_id: p.volume_cents for p in bot.run.engine.portfolio.positions()} == positions(venue)
    assert never_doubled(bot)
    assert bot.driver.figures.open_orders == {}
    assert replay_journal(bot.journal_path).difference is None


def test_a_stop_that_keeps_leaves_the_quotes_and_the_next_run_adopts_them(tmp_path: Path) -> None:
    venue = virtual_venue()
    first = quoting_bot(tmp_path / "first", trade=True, venue=venue, seconds=6, on_stop="keep")
    first.let(20)
    assert first.result is not None and first.result.exit_code == 0
    left = at_venue(venue)
    assert len(left) == 4
    assert set(first.driver.figures.open_orders) == set(left)
    assert first.driver.figures.unanswered == {}, "they rest, as was asked"
    config = bot_config(tmp_path / "second", trade=True, **QUOTING)
    second = WiredBot(
        tmp_path / "second", config, venue, seconds=10, run_id="run2", clock=first.clock
    ).start()  # fmt: skip
    second.let(8)
    adopted = {name for name, state in second.states if name in left and state == "accepted"}
    assert adopted == set(left)
    assert len(at_venue(venue)) <= 4
    second.let(15)
    assert at_venue(venue) == {}
    assert never_doubled(second)
    assert replay_journal(second.journal_path).difference is None


@pytest.mark.slow
def test_a_dry_run_fills_on_paper_and_is_replayed_bit_for_bit(tmp_path: Path) -> None:
    venue = virtual_venue()
    bot = quoting_bot(tmp_path, trade=False, venue=venue, seconds=60)
    bot.let(80)
    assert bot.result is not None and bot.result.exit_code == 0
    assert at_venue(venue) == {} and positions(venue) == {}, "nothing has reached the venue"
    assert {c.paper for d in bot.decisions for c in d.order_changes if c.state not in ("sent", "unknown")} == {True}
    assert "filled" in [state for _, state in bot.states]
    assert bot.run.paper is not None and bot.run.paper._resting == {}
    assert never_doubled(bot)
    assert replay_journal(bot.journal_path).difference is None


@pytest.mark.slow
def test_a_dry_run_keeps_its_paper_quotes_over_a_drop(tmp_path: Path) -> None:
    bot = quoting_bot(tmp_path, trade=False, seconds=30)
    bot.until(lambda: len(as_believed(bot)) == 4)
    bot.client.drop("cut")
    bot.let(0.1)
    assert "unknown" not in [state for _, state in bot.states]
    bot.let(60)
    assert bot.result is not None and bot.result.exit_code == 0
    assert never_doubled(bot)
    assert replay_journal(bot.journal_path).difference is None


@pytest.mark.slow
def test_a_drop_with_quotes_in_the_book_and_on_their_way_doubles_nothing(tmp_path: Path) -> None:
    venue = virtual_venue()
    bot = quoting_bot(tmp_path, trade=True, venue=venue, seconds=60)
    bot.until(lambda: len(at_venue(venue)) == 4)
    for _ in range(3):
        bot.client.is_deaf = True  # what the bot asks for is done; it does not hear of it
        bot.let(2.5)
        bot.client.drop("cut")
        bot.let(0.1)
        bot.client.is_deaf = False
        bot.until(lambda: bot.is_ready)
        bot.let(6)
    assert "unknown" in [state for _, state in bot.states]
    bot.let(80)
    assert bot.result is not None and bot.result.exit_code == 0
    assert at_venue(venue) == {}
    assert {p.position_id: p.volume_cents for p in bot.run.engine.portfolio.positions()} == positions(venue)
    assert never_doubled(bot)
    assert replay_journal(bot.journal_path).difference is None


@pytest.mark.slow
def test_quotes_whose_answers_are_lost_are_looked_up_and_not_doubled(tmp_path: Path) -> None:
    venue = virtual_venue()
    execution = {"order_timeout_s": 1, "settle_s": 1}
    bot = quoting_bot(tmp_path, trade=True, venue=venue, seconds=50, execution=execution)
    bot.client.mute_from = b"microlev"  # the first quotes are never heard, nor anything after them
    bot.until(lambda: ("run1-1", "unknown") in bot.states)
    assert at_venue(venue) == {}
    assert len(planned(bot)) == 4
    bot.client.is_mute = False
    bot.let(100)
    assert bot.result is not None and bot.result.exit_code == 0
    assert at_venue(venue) == {}
    assert never_doubled(bot)
    assert replay_journal(bot.journal_path).difference is None


# About one fault every four seconds, drawn by chance: what can go wrong with an amend, a cancel, or the word of one.
A_BAD_DAY = """
seed: 7
random:
  per_hour: 900
  faults:
    - on_request: [ProtoOAAmendOrderReq, ProtoOACancelOrderReq, ProtoOANewOrderReq]
      no_reply: {request: executed}
    - on_request: [ProtoOAAmendOrderReq, ProtoOACancelOrderReq, ProtoOANewOrderReq]
      no_reply: {request: ignored}
    - on_request: [ProtoOAAmendOrderReq, ProtoOACancelOrderReq, ProtoOANewOrderReq]
      drop: {when: after_execution}
    - on_request: [ProtoOAAmendOrderReq, ProtoOACancelOrderReq]
      reject: {shape: order_error, code: PENDING_EXECUTION}
    - on_request: [ProtoOAAmendOrderReq, ProtoOACancelOrderReq]
      reject: {shape: execution, code: UNABLE_TO_CANCEL_ORDER}
    - on_request: [ProtoOAAmendOrderReq, ProtoOACancelOrderReq]
      reject: {shape: error_res, code: TIMEOUT_ERROR}
    - on_request: ProtoOAAmendOrderReq
      reject: {shape: order_error, code: TRADING_BAD_PRICES}
    - on_event: ProtoOAExecutionEvent
      kind: [ORDER_FILLED, ORDER_REPLACED, ORDER_ACCEPTED, ORDER_CANCELLED]
      late: {by: 2s}
    - on_event: ProtoOAExecutionEvent
      kind: [ORDER_ACCEPTED, ORDER_FILLED, ORDER_REPLACED]
      duplicate:
    - account_disconnect:
    - for: 3s
      symbol: EURUSD
      empty_book: {side: both}
"""


@pytest.mark.slow
@pytest.mark.parametrize("account_type", ["hedged", "netted"])
def test_on_a_bad_day_nothing_is_doubled_and_both_lists_end_alike(account_type: str, tmp_path: Path) -> None:
    venue = faulty_venue(A_BAD_DAY, account_type)
    execution = {"order_timeout_s": 2, "settle_s": 1}
    bot = quoting_bot(tmp_path, trade=True, venue=venue, seconds=180, execution=execution)
    bot.let(260, 1 / 32)
    assert bot.result is not None and bot.result.exit_code == 0
    assert {"unknown", "rejected", "replaced", "filled"} <= {state for _, state in bot.states}
    assert never_doubled(bot)
    assert at_venue(venue) == {}
    assert {p.position_id: p.volume_cents for p in bot.run.engine.portfolio.positions()} == positions(venue)
    assert replay_journal(bot.journal_path).difference is None
