"""The whole bot and a venue that closes: by its schedule, or without a word; and a replay that decides the same."""

from pathlib import Path

from wired_bot import SECOND, START, WiredBot, bot_config, virtual_venue

from bot.app import replay_journal

WEEK_S = 604_800
NOW_S = (START // SECOND + 4 * 86_400) % WEEK_S
"""Seconds since Sunday 00:00 UTC at the start: 1970-01-01 was a Thursday."""


def reasons(bot: WiredBot) -> list[tuple[str, ...]]:
    return [d.state.reasons for d in bot.decisions if d.state is not None and d.state.ready]


def test_a_break_in_the_schedule_is_kept_by_both_sides_and_replayed_bit_for_bit(tmp_path: Path) -> None:
    venue = virtual_venue()
    venue.change_symbol(1, schedule=((0, NOW_S + 5), (NOW_S + 9, WEEK_S)))
    bot = WiredBot(tmp_path, bot_config(tmp_path, trade=True), venue, seconds=13).start()
    bot.let(20)
    assert bot.result is not None and bot.result.exit_code == 0
    assert ("market_closed:EURUSD",) in reasons(bot)
    assert reasons(bot)[-1] == ()
    assert not [state for _, state in bot.states if state == "rejected"], "the venue had nothing to refuse"
    assert replay_journal(bot.journal_path).difference is None


def test_a_market_that_opens_during_the_run_is_traded_from_its_first_quote(tmp_path: Path) -> None:
    venue = virtual_venue()
    venue.change_symbol(1, schedule=((NOW_S + 5, WEEK_S),))
    bot = WiredBot(tmp_path, bot_config(tmp_path, trade=True), venue, seconds=8).start()
    bot.let(15)
    (order,) = (o for d in bot.decisions for o in d.intended if o.symbol == "EURUSD")
    (at_ns,) = (d.now_ns for d in bot.decisions for o in d.intended if o is order)
    assert 5 * SECOND <= at_ns - START < 8 * SECOND
    assert [r.check for d in bot.decisions for r in d.refused] == ["schedule"]
    assert (order.client_order_id, "filled") in bot.states
    assert replay_journal(bot.journal_path).difference is None


def test_a_market_that_stops_without_a_schedule_is_asked_once_and_named(tmp_path: Path) -> None:
    venue = virtual_venue()
    venue.stop_trading(1)
    bot = WiredBot(tmp_path, bot_config(tmp_path, trade=True), venue, seconds=8).start()
    bot.let(15)
    refused = [(c.state, c.error_code) for d in bot.decisions for c in d.order_changes if c.order.symbol == "EURUSD"]
    assert refused == [("sent", None), ("rejected", "MARKET_CLOSED")]
    assert reasons(bot)[-1] == ("market_closed:EURUSD",)
    assert replay_journal(bot.journal_path).difference is None
