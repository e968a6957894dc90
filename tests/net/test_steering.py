"""Commands and the stop file in the whole bot on a virtual clock: what they do, and that it replays."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.logger import globalLogPublisher
from wired_bot import ACCOUNT, SECOND, WiredBot, bot_config, virtual_venue

from bot.app import replay_journal
from bot.net.outcome import Outcome
from bot.net.steering import COMMANDS

SECRETS = ("the-client-id", "the-client-secret", "the-access-token", "the-refresh-token")
KEYS = {
    "type", "time", "account_id", "account_type", "deposit_currency", "environment", "mode", "strategy", "run_id",
    "process_id", "equity", "balance", "used_margin", "margin_level", "trading", "stopping", "causes", "ready",
    "reasons", "texts", "hands_off", "positions", "orders", "leverage", "connected", "connected_s", "connections",
    "last_error", "orders_last_minute", "max_orders_per_minute", "stop_file",
}  # fmt: skip


@pytest.fixture
def logged() -> Iterator[list[str]]:
    lines: list[str] = []

    def observe(event: Any) -> None:
        if str(event.get("log_namespace", "")).startswith("bot.") and event.get("log_format"):
            lines.append(event["log_format"].format(**event))

    globalLogPublisher.addObserver(observe)
    yield lines
    globalLogPublisher.removeObserver(observe)


def steered_bot(folder: Path, *, trade: bool = True, **changes: Any) -> WiredBot:
    options = {name: changes.pop(name) for name in ("exit_on_halt", "seconds") if name in changes}
    config = bot_config(folder, trade=trade, **changes)
    return WiredBot(folder, config, virtual_venue(), is_steered=True, **options)


def holding(folder: Path, **changes: Any) -> WiredBot:
    """A bot that holds its two positions."""
    bot = steered_bot(folder, **changes).start()
    return bot.until(lambda: [state for _, state in bot.states].count("filled") == 2).let(1)


def venue_positions(bot: WiredBot) -> int:
    assert bot.venue is not None
    return len(bot.venue.desks[ACCOUNT].account.positions)


def stop_file(bot: WiredBot) -> Path:
    directory = bot.config.state.directory
    assert directory is not None
    directory.mkdir(parents=True, exist_ok=True)
    return directory / "stop"


def growth_after(bot: WiredBot, since: int) -> list[str]:
    return [o.action for d in bot.decisions[since:] for o in d.intended if o.action in ("open", "increase")]


def state_of(reply: dict[str, Any]) -> dict[str, Any]:
    assert reply["ok"], reply
    status: dict[str, Any] = reply["status"]
    return status


# -- commands ----------------------------------------------------------------------------------------------------------


def test_halt_is_answered_with_the_state_after_it_and_nothing_grows_until_resume(tmp_path: Path) -> None:
    bot = steered_bot(tmp_path).start()
    bot.until(lambda: bot.run.session.phase.has_spots)
    state = state_of(bot.command("halt", reason="lunch\nbreak \x1b[31m"))
    (cause,) = state["causes"]
    assert (state["trading"], cause["code"], cause["level"], cause["flattens"]) == (
        "halted",
        "by_hand",
        "halted",
        False,
    )
    assert "lunch break" in cause["text"] and cause["text"].isprintable()
    since = len(bot.decisions)
    bot.let(5)
    assert bot.is_ready and growth_after(bot, since) == []
    assert state_of(bot.command("resume"))["trading"] == "active"
    bot.until(lambda: growth_after(bot, since))


def test_halt_keeps_what_is_held_and_flatten_closes_it(tmp_path: Path) -> None:
    bot = holding(tmp_path)
    bot.command("halt")
    assert venue_positions(bot.let(3)) == 2
    state = state_of(bot.command("flatten"))
    assert state["trading"] == "halted" and any(cause["flattens"] for cause in state["causes"])
    bot.until(lambda: venue_positions(bot) == 0, limit_s=10).let(1)
    state = state_of(bot.command("status"))
    assert (state["positions"], state["orders"]) == ([], [])
    assert bot.result is None, "a halted bot stays, and answers"


def test_a_dry_run_is_steered_the_same_way(tmp_path: Path) -> None:
    bot = holding(tmp_path, trade=False)
    assert len(state_of(bot.command("status"))["positions"]) == 2
    bot.command("flatten")
    bot.until(lambda: not state_of(bot.command("status"))["positions"], limit_s=10)
    assert venue_positions(bot) == 0


def test_what_is_no_command_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    bot = holding(tmp_path)
    count = len(bot.decisions)
    for no_command in (None, "", "stop", "HALT", ["halt"], {"halt": 1}, 1):
        reply = bot.command(no_command)
        assert reply["ok"] is False and all(word in reply["error"] for word in COMMANDS)
    assert len(bot.decisions) == count


def test_a_command_for_another_account_is_refused_by_number(tmp_path: Path) -> None:
    bot = holding(tmp_path)
    reply = bot.command("halt", account_id=42)
    assert (reply["ok"], reply["other_account"]) == (False, True)
    assert str(ACCOUNT) in reply["error"] and "42" in reply["error"]
    assert bot.run.engine.trading == "active"
    assert state_of(bot.command("halt", account_id=ACCOUNT))["trading"] == "halted"


def test_commands_before_the_connection_and_during_a_drop_are_heard(tmp_path: Path) -> None:
    bot = steered_bot(tmp_path)
    bot.client.is_deaf = True
    bot.start()
    assert state_of(bot.command("halt"))["trading"] == "halted"
    bot.client.is_deaf = False
    since = len(bot.decisions)
    bot.until(lambda: bot.is_ready).let(3)
    bot.client.drop("cut")
    bot.let(0.1)
    state = state_of(bot.command("status"))
    assert (state["ready"], state["connected"], state["connected_s"]) == (False, False, None)
    assert "cut" in state["last_error"]["text"]
    bot.until(lambda: bot.is_ready).let(3)
    assert growth_after(bot, since) == []


# -- the state ---------------------------------------------------------------------------------------------------------


def test_the_status_has_the_same_keys_from_the_first_moment_on_and_is_json(tmp_path: Path) -> None:
    bot = steered_bot(tmp_path).start()
    early = state_of(bot.command("status"))
    assert early.keys() == KEYS
    assert (early["equity"], early["balance"], early["used_margin"], early["ready"]) == (None, None, None, False)
    bot.until(lambda: [state for _, state in bot.states].count("filled") == 2).let(1)
    state = state_of(bot.command("status"))
    assert state.keys() == KEYS
    text = json.dumps(state, allow_nan=False)
    assert not any(secret in text for secret in SECRETS)


def test_the_status_says_what_the_venue_knows(tmp_path: Path) -> None:
    bot = holding(tmp_path)
    state = state_of(bot.command("status"))
    assert bot.venue is not None
    account = bot.venue.desks[ACCOUNT].account
    assert {p["position_id"] for p in state["positions"]} == set(account.positions)
    assert all(p["ours"] and p["lots"] * 10_000_000 == p["volume_cents"] for p in state["positions"])
    assert {(p["symbol"], p["side"]) for p in state["positions"]} == {("EURUSD", "buy"), ("USDJPY", "sell")}
    assert state["equity"] == pytest.approx(10_000, rel=0.01)
    assert state["margin_level"] == pytest.approx(state["equity"] / state["used_margin"])
    assert [(line["symbol"], round(line["leverage_now"])) for line in state["leverage"]] == [
        ("EURUSD", 3),
        ("USDJPY", -2),
    ]
    assert state["orders_last_minute"] == 2
    assert state["connected_s"] == pytest.approx((bot.now_ns() - bot.driver.figures.connected_ns) / SECOND, abs=1e-3)
    bot.let(60)
    assert state_of(bot.command("status"))["orders_last_minute"] == 0


def test_an_order_without_an_answer_is_in_the_status(tmp_path: Path) -> None:
    bot = steered_bot(tmp_path, symbols={"EURUSD": {}}).start()
    bot.until(lambda: bot.run.session.phase.has_spots)
    bot.client.mute_from = b"microlev"
    bot.until(lambda: any(d.intended for d in bot.decisions)).let(11)
    (order,) = state_of(bot.command("status"))["orders"]
    assert (order["symbol"], order["side"], order["action"], order["state"]) == ("EURUSD", "buy", "open", "unknown")
    assert order["age_s"] >= 10 and "ORDER_TIMEOUT" in state_of(bot.command("status"))["last_error"]["text"]


def test_looking_changes_no_decision(tmp_path: Path) -> None:
    seen = []
    for looks in (False, True):
        bot = steered_bot(tmp_path / str(looks), seconds=5).start()
        while bot.result is None:
            bot.let(0.25)
            if looks and bot.result is None:
                bot.command("status")
        assert bot.result == Outcome(0)
        seen.append(bot.encoded)
    assert seen[0] == seen[1]


# -- the stop file -----------------------------------------------------------------------------------------------------


def test_a_stop_file_from_the_start_halts_before_anything_is_sent_and_says_so_in_one_line(
    tmp_path: Path, logged: list[str]
) -> None:
    bot = steered_bot(tmp_path)
    path = stop_file(bot)
    path.touch()
    bot.start()
    assert bot.run.engine.trading == "halted"
    bot.until(lambda: bot.is_ready).let(5)
    assert growth_after(bot, 0) == [] and venue_positions(bot) == 0
    (line,) = [line for line in logged if str(path) in line and "control socket" not in line]
    assert "\n" not in line and "halt" in line
    path.unlink()
    bot.until(lambda: bot.run.engine.trading == "active", limit_s=1.1)
    bot.until(lambda: growth_after(bot, 0))


def test_the_life_of_a_stop_file(tmp_path: Path) -> None:
    bot = holding(tmp_path)
    path = stop_file(bot)
    path.touch()
    bot.until(lambda: bot.run.engine.trading == "halted", limit_s=1.1).let(2)
    state = state_of(bot.command("status"))
    assert (state["stop_file"], [c["code"] for c in state["causes"]]) == (str(path.absolute()), ["stop_file"])
    assert venue_positions(bot) == 2
    path.write_text("flatten")
    bot.until(lambda: venue_positions(bot) == 0, limit_s=10)
    path.unlink()
    bot.until(lambda: bot.run.engine.trading == "active", limit_s=1.1)
    bot.until(lambda: venue_positions(bot) == 2, limit_s=10)


def test_a_stop_file_that_goes_leaves_the_halt_of_a_person(tmp_path: Path) -> None:
    bot = holding(tmp_path)
    path = stop_file(bot)
    path.touch()
    bot.let(1.1)
    bot.command("halt")
    assert {c["code"] for c in state_of(bot.command("status"))["causes"]} == {"stop_file", "by_hand"}
    path.unlink()
    bot.let(1.1)
    assert [c["code"] for c in state_of(bot.command("status"))["causes"]] == ["by_hand"]


def test_resume_takes_the_stop_file_away_with_its_halt(tmp_path: Path) -> None:
    bot = holding(tmp_path)
    path = stop_file(bot)
    path.touch()
    bot.let(1.1)
    state = state_of(bot.command("resume"))
    assert (state["trading"], state["causes"], state["stop_file"], path.exists()) == ("active", [], None, False)
    assert bot.let(3).run.engine.trading == "active"


def test_resume_is_refused_while_the_stop_file_cannot_be_taken_away(tmp_path: Path) -> None:
    bot = holding(tmp_path)
    path = stop_file(bot)
    path.mkdir()
    bot.let(1.1)
    reply = bot.command("resume")
    assert reply["ok"] is False and str(path.absolute()) in reply["error"]
    assert bot.let(2).run.engine.trading == "halted"


def test_a_poll_that_fails_is_logged_and_the_next_one_follows(tmp_path: Path, logged: list[str]) -> None:
    bot = holding(tmp_path)
    steering: Any = bot.steering
    real, calls = steering._stop_file.look, iter(range(1000))

    def look() -> bool:
        if next(calls) == 0:
            raise ZeroDivisionError("a bug")
        return bool(real())

    steering._stop_file.look = look
    stop_file(bot).touch()
    bot.until(lambda: bot.run.engine.trading == "halted", limit_s=2.1)
    assert any("the next follows" in line for line in logged)


def test_an_error_in_the_engine_over_a_command_ends_the_run_with_its_traceback(tmp_path: Path) -> None:
    bot = holding(tmp_path)

    def broken(event: Any) -> None:
        raise ZeroDivisionError("a bug")

    object.__setattr__(bot.run.engine, "receive", broken)
    bot.command("halt")
    bot.let(1)
    assert bot.result is not None and bot.result.check(ZeroDivisionError)  # type: ignore[union-attr]


# -- the whole run -----------------------------------------------------------------------------------------------------


def test_a_run_with_commands_and_a_stop_file_replays_bit_for_bit(tmp_path: Path) -> None:
    bot = holding(tmp_path)
    bot.command("halt", reason="a look at it")
    bot.let(2)
    bot.command("resume")
    stop_file(bot).write_text("flatten")
    bot.until(lambda: venue_positions(bot) == 0, limit_s=10)
    stop_file(bot).unlink()
    bot.until(lambda: venue_positions(bot) == 2, limit_s=10)
    bot.driver.stop(Outcome(130, "interrupted"))
    bot.let(1)
    assert bot.result == Outcome(130, "interrupted")
    result = replay_journal(bot.journal_path)
    assert (result.difference, result.clean_stop, result.decisions) == (None, True, len(bot.decisions))


def test_the_end_of_a_run_leaves_no_poll_behind(tmp_path: Path) -> None:
    bot = steered_bot(tmp_path, seconds=2).start().let(5)
    assert bot.result == Outcome(0)
    bot.clock.advance(1)
    assert bot.clock.getDelayedCalls() == []


@pytest.mark.parametrize("command", ["halt", "flatten"])
def test_exit_on_halt_is_for_limits_and_not_for_a_person(command: str, tmp_path: Path) -> None:
    bot = holding(tmp_path, exit_on_halt=True)
    bot.command(command)
    bot.let(10)
    assert (bot.run.engine.trading, bot.result) == ("halted", None)


def test_without_unix_sockets_the_bot_says_in_one_line_that_the_stop_file_works(
    tmp_path: Path, logged: list[str]
) -> None:
    bot = steered_bot(tmp_path).start()
    (line,) = [line for line in logged if "control socket" in line]
    assert "\n" not in line and str(stop_file(bot).absolute()) in line
