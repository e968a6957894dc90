"""What closes a position of ours while no bot runs: the next run treats it as if it had seen it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from wired_bot import ACCOUNT, WiredBot, bot_config, killed, virtual_venue

from bot.app import replay_journal
from bot.journal.ledger_reader import read_everything
from bot.sim.venue import Venue

EURUSD = {"symbols": {"EURUSD": {"direction": "long"}}, "on_stop": "keep"}
STOPS = {"stop_loss_bps": 20}


def run(folder: Path, venue: Venue, before: WiredBot | None = None, **changes: Any) -> WiredBot:
    config = bot_config(folder, trade=True, **(EURUSD | changes))
    run_id, clock = ("run1", None) if before is None else (before.run.run_id + "x", before.clock)
    bot = WiredBot(folder, config, venue, run_id=run_id, clock=clock, is_steered=True).start()
    return bot.until(lambda: bot.is_ready, step_s=1 / 16).let(6, 1 / 16)


def away(bot: WiredBot, venue: Venue, happen: Callable[[], Any], seconds: float = 5) -> None:
    """Kill a run, let something happen at the venue, and some time pass."""
    killed(bot)
    for step in range(int(seconds)):
        bot.clock.advance(1)
        venue.advance(bot.now_ns())
        if step == 1:
            happen()


def reach_stop(venue: Venue) -> None:
    venue.shift_prices(1, -40, 2_000_000_000)
    venue.advance(venue.now_ns + 1_000_000_000)
    assert not held(venue)


def held(venue: Venue) -> list[Any]:
    return list(venue.desks[ACCOUNT].account.positions.values())


def planned(bot: WiredBot) -> list[str]:
    return [o.action for d in bot.decisions for o in d.intended]


def reasons(bot: WiredBot) -> tuple[str, ...]:
    return [d.state.reasons for d in bot.decisions if d.state is not None][-1]


def cause_of_last_deal(bot: WiredBot) -> tuple[str, bool]:
    assert bot.run.ledger is not None
    deal = read_everything(bot.run.ledger.path).deals[-1]
    return deal.cause, deal.is_own


@pytest.mark.parametrize("on_manual_close", ["respect", "reopen"])
def test_after_a_stop_that_was_reached_meanwhile_the_symbol_waits_for_resume(
    on_manual_close: str, tmp_path: Path
) -> None:
    venue = virtual_venue()
    changes: dict[str, Any] = {"execution": STOPS, "on_manual_close": on_manual_close}
    first = run(tmp_path, venue, **changes)
    away(first, venue, lambda: reach_stop(venue))
    second = run(tmp_path, venue, first, **changes)
    assert reasons(second) == ("protective_exit:EURUSD",) and planned(second) == []
    assert cause_of_last_deal(second) == ("protection", True)
    away(second, venue, lambda: None)
    third = run(tmp_path, venue, second, **changes)
    assert reasons(third) == ("protective_exit:EURUSD",) and planned(third) == []
    third.command("resume")
    third.let(5, 1 / 16)
    assert planned(third) == ["open"]
    away(third, venue, lambda: None)
    fourth = run(tmp_path, venue, third, **changes)
    assert reasons(fourth) == () and planned(fourth) == [], "what a person has said to pass over stays passed over"
    killed(fourth)
    for bot in (second, third, fourth):
        assert replay_journal(bot.journal_path).difference is None


@pytest.mark.parametrize("execution", [STOPS, {}], ids=["protected", "bare"])
@pytest.mark.parametrize(("on_manual_close", "volume"), [("respect", None), ("respect", 500_000), ("reopen", None)])
def test_a_close_by_hand_meanwhile_counts_as_one_that_was_seen(
    on_manual_close: str, volume: int | None, execution: dict[str, Any], tmp_path: Path
) -> None:
    venue = virtual_venue()
    changes: dict[str, Any] = {"execution": execution, "on_manual_close": on_manual_close}
    first = run(tmp_path, venue, **changes)
    (position,) = held(venue)
    away(first, venue, lambda: venue.close_by_hand(ACCOUNT, position.position_id, volume))
    second = run(tmp_path, venue, first, **changes)
    if on_manual_close == "respect":
        assert reasons(second) == ("closed_by_hand:EURUSD",) and planned(second) == []
    else:
        assert reasons(second) == () and planned(second) == ["open"] and len(held(venue)) == 1
    killed(second)
    assert replay_journal(second.journal_path).difference is None


def test_a_close_of_ours_that_was_on_its_way_is_nobodys_hand(tmp_path: Path) -> None:
    venue = virtual_venue()
    first = run(tmp_path, venue)
    first.client.note_write = lambda data: setattr(first.client, "is_deaf", True)
    first.command("flatten")
    first.client.is_deaf = True
    first.until(lambda: not held(venue))
    away(first, venue, lambda: None)
    second = run(tmp_path, venue, first)
    assert not [reason for reason in reasons(second) if "EURUSD" in reason]
    assert second.run.engine.hands_off == ()
    killed(second)


def test_a_stop_reached_after_a_close_of_ours_that_never_arrived_is_the_stop(tmp_path: Path) -> None:
    venue = virtual_venue()
    changes: dict[str, Any] = {"execution": STOPS}
    first = run(tmp_path, venue, **changes)
    first.client.is_mute = True
    first.command("flatten")
    first.let(0.1)
    assert planned(first) == ["open", "close"] and len(held(venue)) == 1
    away(first, venue, lambda: reach_stop(venue))
    second = run(tmp_path, venue, first, **changes)
    assert second.run.engine.hands_off == ("EURUSD",)
    assert "protective_exit:EURUSD" in reasons(second)
    killed(second)


def test_a_run_that_dies_before_the_lists_have_come_leaves_the_question_to_the_next(tmp_path: Path) -> None:
    venue = virtual_venue()
    changes: dict[str, Any] = {"execution": STOPS}
    first = run(tmp_path, venue, **changes)
    away(first, venue, lambda: reach_stop(venue))
    config = bot_config(tmp_path, trade=True, **(EURUSD | changes))
    second = WiredBot(tmp_path, config, venue, run_id="run2", clock=first.clock).start()
    second.until(lambda: second.run.engine.hands_off)
    assert second.run.engine.guard_memory()["protected_exits"] == [], "nobody has told yet"
    killed(second)
    third = run(tmp_path, venue, second, **changes)
    assert reasons(third) == ("protective_exit:EURUSD",) and planned(third) == []
    killed(third)
