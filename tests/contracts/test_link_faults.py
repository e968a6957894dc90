"""Connections that are cut, slow, silent or torn, and events that come twice, late, swapped or never."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fault_scene import CLOSE, EURUSD, EXECUTION, GRID, ORDER, Scene, gaps, slow
from wired_bot import START

from bot.sim.faults.link_faults import (
    Drop,
    Duplicate,
    Late,
    Latency,
    LoseEvent,
    Merge,
    Reorder,
    Silence,
    SlowReader,
    Split,
)
from bot.sim.faults.script import ALWAYS
from bot.sim.faults.session_faults import AccountDisconnect

MS, SECOND = 1_000_000, 1_000_000_000


@pytest.mark.parametrize("when", [slow("before"), "after_execution", slow("after_reply")])
@pytest.mark.parametrize("name", GRID)
def test_a_line_that_breaks_at_any_request_is_made_again_and_nothing_is_done_twice(
    name: str, when: str, tmp_path: Path
) -> None:
    scene = Scene(tmp_path).on_request(name, Drop(when, abort=when == "before"))
    scene.a_day().check(replay=name in (ORDER, CLOSE))
    assert scene.has_struck(Drop, 2)
    assert "CONNECTION_LOST" in scene.codes(), "unknown from the moment of the break"


def test_a_line_that_breaks_again_and_again_is_asked_less_and_less_often(tmp_path: Path) -> None:
    scene = Scene(tmp_path).trading()
    scene.on_request("ProtoOAReconcileReq", Drop(), times=6)
    scene.fire(Drop()).check(limit_s=120)
    attempts = [(ns - START) / SECOND for ns in scene.bot.client.attempts_ns[1:]]
    pauses = gaps(attempts)
    assert all(later > 1.5 * earlier for earlier, later in pairwise(pauses[1:5])), pauses
    assert len(attempts) == 7


@pytest.mark.parametrize("side", ["inbound_ns", "outbound_ns"])
def test_an_order_that_travels_for_too_long_is_unknown_and_not_sent_again(side: str, tmp_path: Path) -> None:
    scene = Scene(tmp_path).trading()
    before = len(scene.written(ORDER))
    scene.fire(Latency(**{side: 3 * SECOND}), for_s=20).grow()
    scene.let(6)
    assert "ORDER_TIMEOUT" in scene.codes()
    scene.let(20).check(replay=side == "inbound_ns")
    assert len(scene.written(ORDER)) == before + 2, "one for each symbol"
    assert scene.states().count("unknown") == 2


@pytest.mark.slow
def test_a_jittery_network_changes_when_but_not_what(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.fire(Latency(100 * MS, 100 * MS, 300 * MS), for_s=40)
    scene.a_day().let(40).check()
    assert scene.states().count("unknown") == 2, "only those of the line that breaks"


@pytest.mark.parametrize("size", [1, slow(7), slow(1000)])
def test_messages_that_are_cut_anywhere_change_nothing(size: int, tmp_path: Path) -> None:
    scenes = []
    for cut in (False, True):
        folder = tmp_path / str(cut)
        folder.mkdir()
        scene = Scene(folder)
        if cut:
            scene.fire(Split(size))
        scene.trading().grow().let(5).shrink().let(5).check()
        scenes.append(scene)
    whole, torn = scenes
    assert _orders(torn) == _orders(whole)
    assert torn.states() == whole.states()
    for one, other in zip(_market(whole), _market(torn), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_segments_that_trickle_are_put_together(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.fire(Split(50, 2 * MS), for_s=4)
    scene.a_day().check()


def test_what_the_network_joins_is_one_batch(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.fire(Merge(500 * MS), for_s=30)
    scene.a_day().let(30 - scene.now_s)
    figures = scene.bot.driver.figures
    assert figures.frames > 4 * sum(len(d.rows) > 0 for d in scene.bot.decisions), "many messages, few decisions"
    scene.check(replay=True)


@pytest.mark.parametrize("direction", [slow("outbound"), "both"])
@pytest.mark.parametrize("fate", ["lost", slow("late")])
def test_a_venue_that_falls_silent_is_left_after_a_minute(direction: str, fate: str, tmp_path: Path) -> None:
    scene = Scene(tmp_path).trading()
    began_s = scene.now_s
    scene.fire(Silence(direction, fate), for_s=300).until(lambda: not scene.bot.is_ready, 90, 1 / 8)
    assert 59 <= scene.now_s - began_s <= 62
    assert "nothing received for 60 s" in scene.bot.client.calls[-1]
    scene.check()


@pytest.mark.parametrize("direction", ["inbound", slow("outbound"), "both"])
@pytest.mark.parametrize("fate", ["lost", slow("late")])
def test_a_line_that_does_not_answer_for_an_order_is_left_sooner(direction: str, fate: str, tmp_path: Path) -> None:
    scene = Scene(tmp_path).trading()
    began_s = scene.now_s
    scene.on_request(ORDER, Silence(direction, fate), for_s=3600).grow()
    scene.until(lambda: not scene.bot.is_ready, 90, 1 / 8)
    assert scene.now_s - began_s <= 2 + 15 + 15 + 1, "the order, the lists, the reconcile"
    scene.check()
    # The order that silences the venue is heard itself; if it can still be answered, only the second one is lost.
    assert scene.states().count("unknown") == (1 if direction == "inbound" else 2)
    assert scene.bot.driver.figures.connections == 2


@pytest.mark.parametrize("fate", ["lost", "late"])
def test_a_short_silence_is_sat_out_and_nothing_is_sent_twice(fate: str, tmp_path: Path) -> None:
    scene = Scene(tmp_path).trading()
    scene.on_request(ORDER, Silence("both", fate), for_s=20).grow().let(22)
    assert "stale_quote:EURUSD" in scene.reasons()
    scene.check(same_books=fate == "late")


@pytest.mark.parametrize("fate", ["lost", "late"])
def test_orders_that_vanish_on_their_way_are_looked_up_when_the_line_carries_again(fate: str, tmp_path: Path) -> None:
    scene = Scene(tmp_path).trading()
    scene.fire(Silence("inbound", fate), for_s=30).grow().let(32).check()
    assert "ORDER_TIMEOUT" in scene.codes()
    assert scene.states().count("resolved") == (2 if fate == "lost" else 0)


@pytest.mark.parametrize("seconds", [5, slow(25)])
def test_a_venue_that_does_not_read_gets_each_order_once(seconds: float, tmp_path: Path) -> None:
    scene = Scene(tmp_path).trading()
    before = len(scene.written(ORDER))
    scene.fire(SlowReader(), for_s=seconds).grow().let(seconds - 1)
    assert scene.states()[-2:] == ["unknown", "unknown"]
    assert len(scene.written(ORDER)) == before + 2
    scene.let(2).check(replay=seconds == 5)
    assert len(scene.written(ORDER)) == before + 2


@pytest.mark.parametrize("kind", ["ORDER_ACCEPTED", "ORDER_FILLED"])
@pytest.mark.parametrize("gap_ns", [slow(0), 3 * SECOND])
def test_an_event_that_is_told_twice_counts_once(kind: str, gap_ns: int, tmp_path: Path) -> None:
    scene = Scene(tmp_path).on_event(EXECUTION, Duplicate(gap_ns), kind=kind, times=ALWAYS)
    scene.a_day().let(5).check(replay=gap_ns == 0)
    assert scene.has_struck(Duplicate, 4)
    deals = [order for order, state in scene.bot.states if state == "filled"]
    assert len(deals) == len(set(deals))


def test_a_fill_that_is_told_again_after_the_next_one_changes_nothing(tmp_path: Path) -> None:
    scene = Scene(tmp_path).on_event(EXECUTION, Duplicate(3 * SECOND), kind="ORDER_FILLED", times=4)
    scene.trading().grow().let(1)
    for _ in range(6 * 16):
        assert scene.let(1 / 16).holds_the_truth()
    assert scene.has_struck(Duplicate, 4)
    scene.check()


def test_a_fill_that_comes_after_its_order_was_looked_up_and_the_next_was_filled_changes_nothing(
    tmp_path: Path,
) -> None:
    scene = Scene(tmp_path).trading()
    scene.on_event(EXECUTION, Late(8 * SECOND), kind="ORDER_FILLED", times=2).grow().let(4)
    assert scene.states().count("unknown") == 2 and scene.is_invested()
    scene.grow().let(3)
    assert scene.is_invested()
    for _ in range(4 * 16):
        assert scene.let(1 / 16).holds_the_truth()
    scene.check()


@pytest.mark.parametrize("kind", ["ORDER_ACCEPTED", "ORDER_FILLED"])
def test_events_that_overtake_one_another_lead_to_the_same_positions(kind: str, tmp_path: Path) -> None:
    scene = Scene(tmp_path).on_event(EXECUTION, Reorder(200 * MS), kind=kind, times=ALWAYS)
    scene.a_day().check()
    assert scene.has_struck(Reorder, 4)


@pytest.mark.parametrize("kind", ["ORDER_ACCEPTED", "ORDER_FILLED"])
@pytest.mark.parametrize("by_s", [slow(1), 6])
def test_an_event_that_comes_after_its_order_was_looked_up_is_harmless(kind: str, by_s: int, tmp_path: Path) -> None:
    scene = Scene(tmp_path).on_event(EXECUTION, Late(by_s * SECOND), kind=kind, times=4)
    scene.trading().grow().let(10).shrink().let(10).check(replay=by_s == 6)
    assert scene.has_struck(Late, 4)
    assert ("unknown" in scene.states()) == (kind == "ORDER_FILLED" and by_s == 6)


@pytest.mark.parametrize("kinds", [["ORDER_ACCEPTED"], ["ORDER_FILLED"], ["ORDER_ACCEPTED", "ORDER_FILLED"]])
@pytest.mark.parametrize("what", ["open", "close"])
def test_an_event_that_never_comes_is_replaced_by_a_look_at_the_lists(
    kinds: list[str], what: str, tmp_path: Path
) -> None:
    scene = Scene(tmp_path)
    if what == "close":
        scene.trading()
    orders = len(scene.written(ORDER, CLOSE))
    for kind in kinds:
        scene.on_event(EXECUTION, LoseEvent(), kind=kind, times=2)
    scene.trading() if what == "open" else scene.shrink()
    scene.let(10).check(replay=len(kinds) == 2)
    assert scene.has_struck(LoseEvent, 2 * len(kinds))
    assert len(scene.written(ORDER, CLOSE)) == orders + 2, "no order was repeated"
    # A close carries no id of ours: when the event that answers it is lost, nobody can tell whose the fill is.
    assert ("unknown" in scene.states()) == ("ORDER_FILLED" in kinds or what == "close")
    assert not scene.bot.run.engine._bookkeeping.hands_off


@pytest.mark.parametrize("name", ["ProtoOASpotEvent", "ProtoOADepthEvent"])
@pytest.mark.parametrize("what", [slow(Duplicate()), Duplicate(50 * MS), Reorder(), slow(Late(200 * MS))])
def test_market_data_twice_swapped_or_late_harms_nothing(name: str, what: Any, tmp_path: Path) -> None:
    scene = Scene(tmp_path).trading()
    scene.on_event(name, what, times=20, symbol="EURUSD").let(40)
    assert scene.has_struck(type(what), 20)
    # A quote that is told after its own deletion stays until the book is asked for anew: nothing on the wire tells.
    is_harmed = name == "ProtoOADepthEvent" and what in (Duplicate(50 * MS), Late(200 * MS))
    scene.check(same_books=not is_harmed)
    scene.fire(AccountDisconnect()).check()
    assert scene.ours(EURUSD) > 0
    assert not scene.codes()


def _orders(scene: Scene) -> list[tuple[Any, ...]]:
    return [
        (d.now_ns, o.symbol, o.action, o.side, o.volume_cents, o.position_id, o.leverage_target)
        for d in scene.bot.decisions
        for o in d.intended
    ]


def _market(scene: Scene) -> list[np.ndarray]:
    features = scene.bot.run.engine.features
    assert features is not None
    # Averages and clocks also depend on where a batch ends: a batch is one moment, and its pieces are several.
    names = ("bid", "ask", "mid", "depth_bid", "depth_ask", "weighted_mid")
    return [getattr(features, name) for name in names]
