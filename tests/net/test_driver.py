"""The driver on a virtual clock: how a run begins, what ends it, and that it always ends."""

import json
from pathlib import Path
from typing import Any

import pytest
from twisted.logger import globalLogPublisher
from twisted.python.failure import Failure
from wired_bot import ACCOUNT, TOKEN, WiredBot, WiredClient, bot_config, virtual_venue

from bot.app import replay_journal
from bot.config.secrets import Token
from bot.engine.decision import Decision
from bot.journal.format import JournalError
from bot.journal.ledger import LedgerError
from bot.journal.reader import JournalReader
from bot.net.client import VenueClient
from bot.net.driver import CLOSE_LIMIT_S, STOP_LIMIT_S
from bot.net.outcome import EXIT_DONE, EXIT_FAILED, EXIT_INTERRUPTED, Outcome

INTERRUPTED = Outcome(EXIT_INTERRUPTED, "interrupted")


@pytest.fixture
def logged() -> Any:
    """The lines that were logged."""
    lines: list[str] = []

    def observe(event: Any) -> None:
        if str(event.get("log_namespace", "")).startswith("bot."):
            lines.append(event["log_format"].format(**event) if event.get("log_format") else "")

    globalLogPublisher.addObserver(observe)
    yield lines
    globalLogPublisher.removeObserver(observe)


def trading(folder: Path, seconds: float | None = None, venue: Any = None, **changes: Any) -> WiredBot:
    options = {name: changes.pop(name) for name in ("watchers", "client", "exit_on_halt") if name in changes}
    config = bot_config(folder, trade=True, **changes)
    return WiredBot(folder, config, venue or virtual_venue(), seconds=seconds, **options)


def code(bot: WiredBot) -> int:
    assert isinstance(bot.result, Outcome), bot.result
    return bot.result.exit_code


# -- the beginning ---------------------------------------------------------------------------------------------------


def test_the_seconds_count_from_the_first_ready(tmp_path: Path) -> None:
    bot = WiredBot(tmp_path, None, virtual_venue(), seconds=5)
    bot.client.is_deaf = True
    bot.start().let(10)  # longer than `seconds`, shorter than the venue's patience
    assert bot.result is None
    bot.client.is_deaf = False
    bot.until(lambda: bot.is_ready)
    bot.let(4.9)
    assert bot.result is None
    bot.let(0.2)
    assert bot.result == Outcome(EXIT_DONE)


def test_a_drop_does_not_start_the_seconds_again(tmp_path: Path) -> None:
    bot = WiredBot(tmp_path, None, virtual_venue(), seconds=5).start()
    bot.until(lambda: bot.is_ready).let(3)
    bot.client.drop("cut")
    bot.let(2.2)
    assert bot.result == Outcome(EXIT_DONE)


def test_no_seconds_at_all_means_one_ready_and_the_end(tmp_path: Path) -> None:
    bot = WiredBot(tmp_path, None, virtual_venue(), seconds=0).start().let(1)
    assert bot.result == Outcome(EXIT_DONE)
    assert bot.summary is not None and bot.summary["ready_s"] is not None


def test_a_venue_that_never_answers_is_exit_4_with_the_reason(tmp_path: Path) -> None:
    bot = WiredBot(tmp_path, None, virtual_venue())
    bot.client.is_deaf = True
    bot.start().let(29.9)
    assert bot.result is None
    bot.let(0.2)
    assert bot.result == Outcome(
        4, "not ready within 30 s: no answer to ProtoOAApplicationAuthReq within 15 s"
    ) or bot.result == Outcome(4, "not ready within 30 s: the session stands at application_auth")


def test_a_venue_that_cannot_be_reached_is_exit_4_with_the_last_trouble(tmp_path: Path) -> None:
    config = bot_config(tmp_path, venue={"environment": "simulator", "connect_timeout_s": 3})
    bot = WiredBot(tmp_path, config, None).start()
    bot.driver.link_failed("cannot connect to localhost:1: connection refused: nothing listens there")
    bot.let(3.1)
    assert bot.result == Outcome(
        4, "not ready within 3 s: cannot connect to localhost:1: connection refused: nothing listens there"
    )


def test_an_untrusted_venue_is_exit_4_at_once_and_no_byte_is_written(tmp_path: Path) -> None:
    bot = WiredBot(tmp_path, None, None).start()
    bot.driver.link_untrusted("the certificate of x:1 does not verify: it is for another host name")
    assert bot.result == Outcome(4, "the certificate of x:1 does not verify: it is for another host name")
    assert bot.client.sent == []


def test_an_untrusted_venue_after_the_first_ready_is_tried_again(tmp_path: Path) -> None:
    bot = WiredBot(tmp_path, None, virtual_venue()).start()
    bot.until(lambda: bot.is_ready)
    bot.driver.link_untrusted("the certificate does not verify")
    assert bot.let(1).result is None


@pytest.mark.parametrize(
    ("changes", "token", "exit_code", "words"),
    [
        ({}, Token("wrong"), 3, "CH_ACCESS_TOKEN_INVALID"),
        ({"account": {"id": 42}}, TOKEN, 3, "42"),
        ({"symbols": {"EURUDS": {}}}, TOKEN, 2, "EURUSD"),
    ],
)
def test_a_refusal_that_no_reconnect_can_help_ends_the_run(
    changes: dict[str, Any], token: Token, exit_code: int, words: str, tmp_path: Path
) -> None:
    bot = WiredBot(tmp_path, bot_config(tmp_path, **changes), virtual_venue(), token=token).start().let(1)
    assert code(bot) == exit_code
    assert isinstance(bot.result, Outcome) and words in bot.result.text
    assert "\n" not in bot.result.text


# -- drops -----------------------------------------------------------------------------------------------------------


def test_a_drop_clears_the_books_and_the_bot_comes_back_by_itself(tmp_path: Path) -> None:
    bot = trading(tmp_path).start()
    bot.until(lambda: bot.is_ready).let(3)
    engine = bot.run.engine
    assert engine.features is not None and engine.features.bid_depth_units[0] > 0
    bot.driver.link_down("cut")
    assert not bot.is_ready
    assert engine.features.mid[0] != engine.features.mid[0]  # NaN
    assert not engine.features.bid_depth_units[0] > 0
    assert bot.decisions[-1].state is not None
    assert (bot.decisions[-1].state.ready, bot.decisions[-1].state.reasons) == (False, ("disconnected",))
    bot.client.link.close()
    bot.client.link = None
    bot.client.connect()
    bot.until(lambda: bot.is_ready).let(1)
    assert engine.features.bid_depth_units[0] > 0
    assert bot.driver.figures.connections == 2


def test_an_order_that_was_filled_while_we_were_away_is_found_and_not_sent_again(tmp_path: Path) -> None:
    venue = virtual_venue()
    bot = trading(tmp_path, venue=venue, symbols={"EURUSD": {}}).start()
    bot.until(lambda: bot.run.session.phase.has_symbols)
    bot.until(lambda: _sent_an_order(bot))
    bot.client.is_deaf = True
    bot.client.drop("cut")
    bot.let(0.5)
    bot.client.is_deaf = False
    bot.let(20)
    orders = [s for name, s in bot.states if name == "run1-1"]
    assert orders[0] == "sent"
    assert orders[-1] == "filled"
    wanted = 3 * 10_000 / 1.1 * 100
    held = sum(p.volume_cents for p in venue.desks[ACCOUNT].account.positions.values())
    assert held == pytest.approx(wanted, rel=0.02), "sent twice, or lost"


def _sent_an_order(bot: WiredBot) -> bool:
    return any(d.intended for d in bot.decisions)


def test_an_unreadable_stream_is_dropped_and_made_again(tmp_path: Path) -> None:
    bot = trading(tmp_path).start()
    bot.until(lambda: bot.is_ready)
    bot.driver.link_data(b"\xff\xff\xff\xff garbage")
    bot.let(0.1)
    assert any("4294967295" in call for call in bot.client.calls)
    assert bot.until(lambda: bot.is_ready).driver.figures.connections == 2


# -- the end ---------------------------------------------------------------------------------------------------------


def test_a_stop_is_clean_and_keeps_positions(tmp_path: Path) -> None:
    venue = virtual_venue()
    bot = trading(tmp_path, venue=venue).start()
    bot.until(lambda: bot.is_ready).let(3)
    bot.driver.stop(INTERRUPTED)
    bot.let(0.1)
    assert bot.result == INTERRUPTED
    assert bot.client.calls[-1] in ("stop", "drop: stopped")
    assert len(venue.desks[ACCOUNT].account.positions) == 2
    assert replay_journal(bot.journal_path).clean_stop


def test_on_stop_flatten_closes_everything_first(tmp_path: Path) -> None:
    venue = virtual_venue()
    bot = trading(tmp_path, venue=venue, on_stop="flatten").start()
    bot.until(lambda: bot.is_ready).let(3)
    assert len(venue.desks[ACCOUNT].account.positions) == 2
    bot.driver.stop(INTERRUPTED)
    bot.let(9)
    assert bot.result == INTERRUPTED
    assert not venue.desks[ACCOUNT].account.positions


def test_a_stop_waits_for_an_order_on_its_way(tmp_path: Path) -> None:
    bot = trading(tmp_path).start()
    bot.until(lambda: _sent_an_order(bot))
    bot.client.is_deaf = True
    bot.driver.stop(INTERRUPTED)
    bot.let(3)
    assert bot.result is None
    bot.client.is_deaf = False
    bot.let(0.1)
    assert bot.result == INTERRUPTED
    assert bot.summary is not None and bot.summary["open_orders"] == []


def test_a_stop_waits_ten_seconds_at_most_and_then_names_the_orders_without_an_answer(
    tmp_path: Path, logged: list[str]
) -> None:
    bot = trading(tmp_path, symbols={"EURUSD": {}}).start()
    bot.until(lambda: bot.run.session.phase.has_spots)
    bot.client.mute_from = b"microlev"
    bot.until(lambda: _sent_an_order(bot))
    bot.driver.stop(INTERRUPTED)
    bot.let(STOP_LIMIT_S - 0.1)
    assert bot.result is None
    bot.let(0.2)
    assert bot.result == INTERRUPTED
    assert bot.summary is not None
    assert bot.summary["open_orders"] == [{"client_order_id": "run1-1", "symbol": "EURUSD", "state": "sent"}]
    assert any("run1-1" in line and "EURUSD" in line for line in logged)


def test_a_stop_sends_no_new_order(tmp_path: Path) -> None:
    bot = trading(tmp_path).start()
    bot.until(lambda: bot.run.session.phase.has_spots)
    bot.driver.stop(INTERRUPTED)
    bot.let(12)
    assert bot.result == INTERRUPTED
    assert not _sent_an_order(bot)


def test_a_second_stop_ends_at_once(tmp_path: Path) -> None:
    bot = trading(tmp_path).start()
    bot.until(lambda: _sent_an_order(bot))
    bot.client.is_deaf = True
    bot.driver.stop(INTERRUPTED)
    assert bot.let(0.5).result is None
    bot.driver.stop(INTERRUPTED)
    assert bot.result == INTERRUPTED


def test_a_stop_before_the_connection_ends_at_once(tmp_path: Path) -> None:
    bot = WiredBot(tmp_path, None, None).start()
    bot.driver.stop(INTERRUPTED)
    assert bot.result == INTERRUPTED
    assert bot.summary is not None and bot.summary["ready_s"] is None


def test_a_peer_that_never_closes_does_not_keep_the_run_from_ending(tmp_path: Path) -> None:
    bot = trading(tmp_path).start()
    bot.until(lambda: bot.is_ready).let(1)
    bot.client.never_closes = True
    bot.driver.stop(INTERRUPTED)
    bot.let(CLOSE_LIMIT_S - 0.1)
    assert bot.result is None
    bot.let(0.2)
    assert bot.result == INTERRUPTED


def test_a_second_stop_does_not_wait_for_a_peer_that_never_closes(tmp_path: Path) -> None:
    bot = trading(tmp_path).start()
    bot.until(lambda: _sent_an_order(bot))
    bot.client.is_deaf = bot.client.never_closes = True
    bot.driver.stop(INTERRUPTED)
    assert bot.let(0.5).result is None
    bot.driver.stop(INTERRUPTED)
    assert bot.let(0.01).result == INTERRUPTED


def test_nothing_is_left_on_the_reactor_after_the_end(tmp_path: Path) -> None:
    bot = trading(tmp_path, seconds=2).start().let(5)
    assert code(bot) == 0
    bot.clock.advance(1)
    assert bot.clock.getDelayedCalls() == []


def test_what_comes_after_the_end_is_not_heard(tmp_path: Path) -> None:
    bot = trading(tmp_path, seconds=1).start().let(5)
    count = len(bot.decisions)
    bot.driver.link_up(lambda data: pytest.fail("a byte after the end"))
    bot.driver.link_data(b"\0\0\0\1x")
    bot.driver.link_down("late")
    bot.driver.stop(INTERRUPTED)
    assert len(bot.decisions) == count
    assert code(bot) == 0


def test_a_halt_ends_with_5_only_when_asked_to(tmp_path: Path) -> None:
    for exit_on_halt in (True, False):
        venue = virtual_venue()
        risk = {"max_daily_loss_frac": 1e-6}  # the spread of the first order is above that
        bot = trading(tmp_path / str(exit_on_halt), venue=venue, exit_on_halt=exit_on_halt, risk=risk).start()
        bot.let(10)
        assert bot.run.engine.trading == "halted"
        assert not venue.desks[ACCOUNT].account.positions, "on_loss_limit: flatten"
        assert (bot.result is None) != exit_on_halt
        if exit_on_halt:
            assert bot.result == Outcome(5, "halted by a risk limit")


# -- things that break -----------------------------------------------------------------------------------------------


class Broken:
    """Raises on the n-th call."""

    def __init__(self, error: Exception, at: int = 1) -> None:
        self.error, self.left = error, at

    def __call__(self, *_: Any, **__: Any) -> Any:
        self.left -= 1
        if self.left <= 0:
            raise self.error


def test_a_ledger_that_fails_sends_nothing_and_ends_the_run(tmp_path: Path) -> None:
    venue = virtual_venue()
    bot = trading(tmp_path, venue=venue).start()
    assert bot.run.ledger is not None
    bot.run.ledger.record_intent = Broken(LedgerError("the disk is full"))  # type: ignore[method-assign]
    bot.let(5)
    assert bot.result == Outcome(EXIT_FAILED, "stopped before sending: the disk is full")
    assert not venue.desks[ACCOUNT].account.positions
    assert not any(b"microlev" in data for data in bot.client.sent)
    assert replay_journal(bot.journal_path).difference is None


def test_the_intent_is_on_disk_before_the_order_is_on_the_wire(tmp_path: Path) -> None:
    bot = trading(tmp_path)
    seen: list[tuple[str, bool]] = []
    assert bot.run.ledger is not None
    real = bot.run.ledger.record_intent

    def record(intent: Any) -> None:
        written = any(intent.client_order_id.encode() + b"R" in data or b"microlev" in data for data in bot.client.sent)
        seen.append((intent.client_order_id, written))
        real(intent)

    bot.run.ledger.record_intent = record  # type: ignore[method-assign]
    bot.start().until(lambda: _sent_an_order(bot)).let(1)
    assert seen[0] == ("run1-1", False)
    assert any(b"microlev" in data for data in bot.client.sent)


def test_a_journal_that_fails_does_not_stop_the_trading(tmp_path: Path, logged: list[str]) -> None:
    bot = trading(tmp_path, seconds=5)
    assert bot.run.journal is not None
    bot.run.journal.decision = Broken(JournalError("no space left"), at=12)  # type: ignore[method-assign]
    bot.start().let(10)
    assert code(bot) == 0
    assert [state for _, state in bot.states].count("filled") == 2
    assert [line for line in logged if "recording stopped" in line] == ["recording stopped: no space left"]


@pytest.mark.parametrize("at", [1, 2, 5, 40])
def test_an_error_in_a_watcher_ends_the_run_with_its_traceback(at: int, tmp_path: Path) -> None:
    bot = trading(tmp_path, watchers=[Broken(ZeroDivisionError("a bug"), at)]).start().let(5)
    assert isinstance(bot.result, Failure)
    assert bot.result.check(ZeroDivisionError)
    assert "in __call__" in bot.result.getTraceback()


@pytest.mark.parametrize(("method", "after"), [("decide", 20), ("receive", 5), ("next_timeout_ns", 20)])
def test_an_error_in_the_engine_ends_the_run_with_its_traceback(method: str, after: int, tmp_path: Path) -> None:
    bot = trading(tmp_path)
    real = getattr(bot.run.engine, method)
    calls = iter(range(10**9))

    def broken(*arguments: Any) -> Any:
        if next(calls) >= after:
            raise ZeroDivisionError("a bug")
        return real(*arguments)

    setattr(bot.run.engine, method, broken)
    bot.start().let(10)
    assert isinstance(bot.result, Failure)
    assert bot.result.check(ZeroDivisionError)


def test_an_error_in_the_summary_ends_the_run_with_its_traceback(tmp_path: Path) -> None:
    bot = trading(tmp_path, seconds=2)
    bot.driver._summarise = Broken(ZeroDivisionError("a bug"))
    bot.start().let(5)
    assert isinstance(bot.result, Failure)
    assert bot.result.check(ZeroDivisionError)


def test_an_error_that_comes_back_while_the_run_ends_is_told_once(tmp_path: Path) -> None:
    """The engine is broken, and the closing of the link asks it again."""
    bot = trading(tmp_path).start()
    bot.until(lambda: bot.is_ready)
    object.__setattr__(bot.run.engine, "decide", Broken(ZeroDivisionError("a bug")))
    bot.let(3)
    assert isinstance(bot.result, Failure)
    assert bot.client.calls.count("stop") == 1


def test_a_client_that_cannot_start_or_stop_does_not_hang_the_run(tmp_path: Path) -> None:
    class Stuck(WiredClient):
        def start(self) -> None:
            raise OSError("no threads")

        def stop(self) -> Any:
            raise OSError("no threads")

    bot = trading(tmp_path, client=Stuck).start()
    assert isinstance(bot.result, Failure)
    assert bot.result.check(OSError)


def test_after_a_crash_the_journal_holds_what_led_to_it(tmp_path: Path) -> None:
    watchers = [Broken(ZeroDivisionError("a bug"), at=30)]
    bot = trading(tmp_path, watchers=watchers).start().let(5)
    result = replay_journal(bot.journal_path)
    assert (result.difference, result.clean_stop, result.truncated_at) == (None, False, None)
    assert result.decisions == 30


def test_an_output_that_nobody_reads_any_more_is_a_clean_stop(tmp_path: Path) -> None:
    gone = Broken(BrokenPipeError(), at=1_000_000)
    bot = trading(tmp_path, watchers=[gone]).start()
    bot.until(lambda: _sent_an_order(bot))
    gone.left = 1
    bot.let(5)
    assert bot.result == Outcome(EXIT_DONE)
    assert bot.summary is not None and bot.summary["open_orders"] == []
    assert replay_journal(bot.journal_path).clean_stop


def test_an_output_that_is_gone_from_the_start_sends_no_order(tmp_path: Path) -> None:
    bot = trading(tmp_path, watchers=[Broken(BrokenPipeError())]).start().let(5)
    assert bot.result == Outcome(EXIT_DONE)
    assert not _sent_an_order(bot)


# -- what is counted and recorded ------------------------------------------------------------------------------------


def test_the_driver_calls_the_client_as_the_real_one_is_made(tmp_path: Path) -> None:
    for name in ("start", "stop", "drop"):
        assert callable(getattr(VenueClient, name)) and callable(getattr(WiredClient, name))


def test_every_decision_is_in_the_journal_behind_its_input(tmp_path: Path) -> None:
    bot = trading(tmp_path, seconds=3).start().let(5)
    with JournalReader(bot.journal_path) as reader:
        kinds = [record.kind.name for record in reader]
    assert kinds.count("DECISION") == len(bot.decisions)
    inputs = [i for i, kind in enumerate(kinds) if kind in ("LINK", "BATCH", "TIMER", "INPUT")]
    assert all(kinds[i + 1] == "DECISION" for i in inputs)
    assert kinds[-1] == "END"


def test_the_latency_of_an_order_decided_on_a_timer_counts_from_the_timer(tmp_path: Path) -> None:
    bot = trading(tmp_path, seconds=4).start().let(6)
    assert all(0 < ns < 10**9 for ns in bot.driver.figures.order_ns)


def test_the_summary_is_json_in_every_mode(tmp_path: Path) -> None:
    for trade in (False, True):
        folder = tmp_path / str(trade)
        bot = WiredBot(folder, bot_config(folder, trade=trade), virtual_venue(), seconds=2).start().let(5)
        assert bot.summary is not None
        assert json.loads(json.dumps(bot.summary, allow_nan=False))["intended_orders"] == 2


def test_a_watcher_sees_each_decision_once_and_in_order(tmp_path: Path) -> None:
    seen: list[Decision] = []
    bot = WiredBot(tmp_path, None, virtual_venue(), seconds=3, watchers=[seen.append]).start().let(5)
    assert [id(d) for d in seen] == [id(d) for d in bot.decisions]
