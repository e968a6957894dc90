"""What a run leaves in its ledger for the next one: halts, the references of the loss limits, what was not answered."""

from dataclasses import asdict
from pathlib import Path

import pytest
from wired_bot import ACCOUNT, WiredBot, bot_config, killed, virtual_venue

from bot.account.trading import Cause
from bot.assembly import restored
from bot.config import ConfigError
from bot.engine.events import GuardRestored, IntentsRestored
from bot.net.outcome import EXIT_HALTED


def run(folder: Path, venue: object, run_id: str, **changes: object) -> WiredBot:
    """A trading run of the account, at the time the venue stands at."""
    folder.mkdir(exist_ok=True)
    config = bot_config(folder, trade=True, **changes)  # type: ignore[arg-type]
    return WiredBot(folder, config, venue, run_id=run_id, is_steered=True).start()  # type: ignore[arg-type]


def test_a_halt_outlives_a_killed_run_and_resume_ends_it(tmp_path: Path) -> None:
    venue = virtual_venue()
    first = run(tmp_path, venue, "run1")
    first.until(lambda: first.states.count(("run1-2", "filled")) == 1)
    first.command("halt")
    killed(first.let(0.1))
    again = WiredBot(
        tmp_path, first.config, venue, run_id="run2", clock=first.clock, is_steered=True,
    ).start()  # fmt: skip
    again.until(lambda: again.is_ready).let(1)
    assert again.run.engine.trading == "halted"
    assert [c.code for c in again.run.engine.causes] == ["by_hand"]
    again.command("resume")
    assert again.run.engine.trading == "active"
    killed(again.let(6))
    killed(again)
    third = WiredBot(tmp_path, first.config, venue, run_id="run3", clock=first.clock).start()
    third.until(lambda: third.is_ready).let(1)
    assert third.run.engine.trading == "active"


@pytest.mark.parametrize("turned", [False, True], ids=["halted", "the day has turned"])
def test_a_flattening_that_was_cut_off_is_finished_before_anything_ends(turned: bool, tmp_path: Path) -> None:
    venue = virtual_venue()
    first = run(tmp_path, venue, "run1").until(lambda: len(venue.desks[ACCOUNT].account.positions) == 2)
    memory = first.run.engine.guard_memory()
    until_ns = first.now_ns() + (-1 if turned else 10**15)
    cause = Cause("daily_loss", "halted", "lost", 0, until_ns, flattens=True, by_limit=True)
    assert first.run.ledger is not None
    first.run.ledger.remember("guard", memory | {"causes": [asdict(cause)]})
    killed(first)
    again = WiredBot(
        tmp_path, first.config, venue, run_id="run2", clock=first.clock, exit_on_halt=not turned
    ).start()  # fmt: skip
    again.until(lambda: not venue.desks[ACCOUNT].account.positions).let(1)
    if turned:
        assert again.run.engine.trading == "active"
    else:
        assert getattr(again.result, "exit_code", None) == EXIT_HALTED
    assert [o.action for d in again.decisions for o in d.intended][:2] == ["close", "close"]


def test_the_loss_limits_count_on_after_a_restart(tmp_path: Path) -> None:
    venue = virtual_venue()
    first = run(tmp_path, venue, "run1").until(lambda: True).let(12)
    loss = first.run.engine.guard_memory()["loss"]
    killed(first)
    again = WiredBot(tmp_path, first.config, venue, run_id="run2", clock=first.clock).start()
    again.until(lambda: again.is_ready).let(1)
    kept = again.run.engine.guard_memory()["loss"]
    assert isinstance(loss, dict) and isinstance(kept, dict)
    assert kept["day_equity"] == loss["day_equity"] and kept["day"] == loss["day"]
    assert kept["peak"] == pytest.approx(loss["peak"], abs=5), "to what moved in the last five seconds"


def test_an_order_whose_answer_was_not_heard_is_open_in_the_ledger_and_asked_for(tmp_path: Path) -> None:
    venue = virtual_venue()
    first = run(tmp_path, venue, "run1")
    first.until(lambda: ("run1-1", "sent") in first.states)
    first.client.is_deaf = True  # the orders arrive at the venue, their answers never come back
    killed(first.let(0.05))
    again = WiredBot(tmp_path, first.config, venue, run_id="run2", clock=first.clock)
    told = {type(event): event for event in restored(again.run)}
    assert [i.client_order_id for i in told[IntentsRestored].intents] == ["run1-1", "run1-2"]
    assert told[IntentsRestored].deal_ids == (), "deals of which it has not heard are news"
    assert GuardRestored in told
    again.start().until(lambda: again.is_ready).let(20)
    assert ("run1-1", "filled") in again.states and ("run1-2", "filled") in again.states
    assert again.run.ledger is not None and again.run.ledger.open_intents() == []
    placed = [w for w in again.written if w.name == "ProtoOANewOrderReq"]
    assert placed == [], "what the first run has bought is enough"
    held = {p.symbol_id: p.volume_cents for p in again.run.engine.portfolio.positions()}
    assert len(held) == 2
    killed(again)
    third = WiredBot(tmp_path, first.config, venue, run_id="run3", clock=first.clock)
    told = {type(event): event for event in restored(third.run)}
    assert told[IntentsRestored].deal_ids == tuple(sorted(d.deal_id for d in venue.desks[ACCOUNT].account.deals))


def test_a_memory_that_no_run_has_written_is_one_line(tmp_path: Path) -> None:
    bot = run(tmp_path, virtual_venue(), "run1")
    assert bot.run.ledger is not None
    bot.run.ledger.remember("guard", {"loss": {"peak": "high"}})
    with pytest.raises(ConfigError, match="what it keeps of the loss limits cannot be used"):
        restored(bot.run)
