"""`manage: all` over a restart: what an owner wants of an order that an earlier run has cut is not forgotten."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from owners_orders import LOT, NO_AMENDS, ended_well, faulty_venue, following_bot, given, order, planned, rest
from wired_bot import ACCOUNT, WiredBot, killed, virtual_venue

from bot.app import replay_journal
from bot.sim.venue import Venue

CUT = 2_500_000  # 3 equities of 10 000 USD are 27 000 EUR at 1.10; a cut leaves 95 % of that


def cut_and_gone(folder: Path, venue: Venue, *, kill: bool = True, order_type: str = "limit") -> tuple[WiredBot, int]:
    """Let a run cut an order of 1 lot, and end."""
    bot = following_bot(folder, venue, seconds=None if kill else 10)
    bot.until(lambda: bot.is_ready)
    order_id = rest(venue, order_type)
    bot.let(2)
    assert order(venue, order_id).volume_cents == CUT
    if kill:
        killed(bot)
    else:
        assert ended_well(bot)
    return bot, order_id


def next_run(folder: Path, bot: WiredBot, venue: Venue, **changes: Any) -> WiredBot:
    again = following_bot(folder, venue, **({"run_id": "run2", "clock": bot.clock, "seconds": 20} | changes))
    return again.until(lambda: again.is_ready).let(2)


def kept(bot: WiredBot) -> list[Any]:
    wishes = bot.run.engine.guard_memory()["wishes"]
    assert isinstance(wishes, list)
    return wishes


@pytest.mark.parametrize(("order_type", "kill"), [("limit", True), ("stop", False), ("stop_limit", True)])
def test_an_order_cut_by_an_earlier_run_is_given_back_up_to_its_owners_volume(
    order_type: str, kill: bool, tmp_path: Path
) -> None:
    venue = virtual_venue()
    bot, order_id = cut_and_gone(tmp_path, venue, kill=kill, order_type=order_type)
    as_given = given(order(venue, order_id))
    again = next_run(tmp_path, bot, venue)
    assert order(venue, order_id).volume_cents == CUT and planned(again) == []
    venue.deposit(ACCOUNT, 10_000)
    again.let(3)
    assert order(venue, order_id).volume_cents == 5_100_000
    venue.deposit(ACCOUNT, 80_000)
    again.let(3)
    assert order(venue, order_id).volume_cents == LOT, "and never beyond"
    assert given(order(venue, order_id)) == as_given
    assert ended_well(again)


@pytest.mark.parametrize("changed", [{"volume": 2_000_000}, {"volume": 3_000_000}, {"limitPrice": 1.06}])
def test_one_that_its_owner_has_changed_meanwhile_is_as_he_wants_it(changed: dict[str, Any], tmp_path: Path) -> None:
    venue = virtual_venue()
    bot, order_id = cut_and_gone(tmp_path, venue)
    venue.amend_by_hand(order_id, **changed)
    found = order(venue, order_id)
    as_changed = found.volume_cents, found.limit_price
    venue.deposit(ACCOUNT, 90_000)
    again = next_run(tmp_path, bot, venue)
    again.let(3)
    assert (order(venue, order_id).volume_cents, order(venue, order_id).limit_price) == as_changed
    assert planned(again) == [] and ended_well(again)


@pytest.mark.parametrize("arrives", [True, False])
def test_an_amend_on_its_way_when_the_run_is_killed_is_no_change_of_the_owners(
    arrives: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    venue = virtual_venue()
    bot = following_bot(tmp_path, venue)
    bot.until(lambda: bot.is_ready)
    order_id = rest(venue)
    bot.let(2)
    venue.withdraw(ACCOUNT, 5_000)
    bot.client.is_mute = not arrives
    bot.client.note_write = lambda data: monkeypatch.setattr(bot.driver, "link_data", lambda segment: None)
    bot.until(lambda: len(planned(bot)) == 2, 5)
    assert bot.states[-1][1] == "sent", "the answer is not here yet"
    killed(bot)
    assert order(venue, order_id).volume_cents == (1_200_000 if arrives else CUT)
    venue.deposit(ACCOUNT, 95_000)
    again = next_run(tmp_path, bot, venue)
    again.let(3)
    assert order(venue, order_id).volume_cents == LOT
    assert ended_well(again)


def test_the_wish_is_on_disk_before_the_amend_leaves(tmp_path: Path) -> None:
    """Were it written afterwards, a kill between would leave an older and larger wish beside the newer cut."""
    venue = virtual_venue()
    bot = following_bot(tmp_path, venue)
    bot.until(lambda: bot.is_ready)
    order_id = rest(venue)
    bot.let(2)
    seen: list[Any] = []

    def look(data: bytes) -> None:
        assert bot.run.ledger is not None
        memory = bot.run.ledger.recall("guard")
        assert memory is not None
        seen.append(memory["wishes"])

    venue.amend_by_hand(order_id, volume=8_000_000)
    bot.client.note_write = look
    bot.until(lambda: len(planned(bot)) == 2, 5)
    (wish,) = seen[0]
    assert (wish["order_id"], wish["wish"]["volume_cents"]) == (order_id, 8_000_000)
    assert (wish["seen"]["volume_cents"], wish["asked"]["volume_cents"]) == (8_000_000, CUT)
    killed(bot)


@pytest.mark.parametrize("order_type", ["limit", "stop"])
def test_one_placed_anew_keeps_its_owners_volume_too(order_type: str, tmp_path: Path) -> None:
    venue = faulty_venue(NO_AMENDS % "UNABLE_TO_AMEND_ORDER")
    bot = following_bot(tmp_path, venue)
    bot.until(lambda: bot.is_ready)
    rest(venue, order_type)
    bot.let(10)
    killed(bot)
    (anew,) = venue.desks[ACCOUNT].account.orders.values()
    assert anew.volume_cents == CUT
    as_given = given(anew)
    again = next_run(tmp_path, bot, venue, seconds=60)
    (found,) = again.run.engine._bookkeeping.foreign.all()  # type: ignore[union-attr]
    assert (abs(found.wish.volume_cents), found.life.left_cents) == (LOT, CUT)
    assert given(order(venue, anew.order_id)) == as_given
    killed(again)
    third = next_run(tmp_path, again, venue, run_id="run3", seconds=30)
    assert [wish["wish"]["volume_cents"] for wish in kept(third)] == [LOT], "over two restarts"
    third.let(30)
    assert third.result is not None and replay_journal(third.journal_path).difference is None


def test_an_order_that_has_ended_is_forgotten_whether_a_run_sees_it_or_not(tmp_path: Path) -> None:
    venue = virtual_venue()
    bot, order_id = cut_and_gone(tmp_path, venue)
    venue.cancel_by_hand(order_id)
    again = next_run(tmp_path, bot, venue, seconds=60)
    assert kept(again) == []
    order_id = rest(venue)
    again.let(2)
    assert [wish["order_id"] for wish in kept(again)] == [order_id]
    venue.cancel_by_hand(order_id)
    again.let(1)
    assert kept(again) == []
    killed(again)


def test_a_run_that_leaves_them_alone_keeps_them_for_the_next(tmp_path: Path) -> None:
    venue = virtual_venue()
    bot, order_id = cut_and_gone(tmp_path, venue)
    own = next_run(tmp_path, bot, venue, manage="own", seconds=None)
    own.let(2)
    killed(own)
    venue.deposit(ACCOUNT, 90_000)
    third = next_run(tmp_path, own, venue, run_id="run3")
    third.let(3)
    assert order(venue, order_id).volume_cents == LOT
    assert order(venue, order_id).limit_price == Decimal("1.05")
    assert ended_well(third)


def test_a_dry_run_keeps_no_wish(tmp_path: Path) -> None:
    venue = virtual_venue()
    bot = following_bot(tmp_path, venue, trade=False, seconds=10)
    bot.until(lambda: bot.is_ready)
    rest(venue)
    bot.let(5)
    assert planned(bot) == [("amend", "limit", CUT)] and kept(bot) == []
    assert ended_well(bot)
