"""Stricter limits than the documented ones, and kinds of requests that are blocked."""

from pathlib import Path

import pytest
from fault_scene import CLOSE, HANDSHAKE, HISTORIES, ORDER, Scene, gaps, slow

from bot.sim.faults.link_faults import Drop
from bot.sim.faults.reply_faults import NoReply
from bot.sim.faults.session_faults import Block, Rate

SECOND = 1_000_000_000


@pytest.mark.parametrize("extends", [slow(False), True])
@pytest.mark.parametrize("name", [ORDER, CLOSE])
def test_a_blocked_order_is_not_sent_before_the_stated_end(name: str, extends: bool, tmp_path: Path) -> None:
    scene = Scene(tmp_path, symbols={"EURUSD": {}}).trading()
    scene.fire(Block((name,), 20 * SECOND, extends=extends))
    tried, began_s = len(scene.written(name)), scene.now_s
    scene.grow() if name == ORDER else scene.shrink()
    scene.let(25).until(scene.is_invested).check(replay=extends)
    first, second = scene.written_s(name)[tried:]
    assert first - began_s < 1
    assert second - first >= 20
    assert [h.outcome for h in scene.heard(name)[tried:]] == ["BLOCKED_PAYLOAD_TYPE", "accepted"]


@pytest.mark.parametrize("name", [ORDER, slow(CLOSE)])
def test_a_block_without_a_stated_end_is_tried_more_and_more_rarely(name: str, tmp_path: Path) -> None:
    scene = Scene(tmp_path, symbols={"EURUSD": {}}).trading()
    scene.fire(Block((name,), 28 * SECOND, tells_retry_after=False))
    tried = len(scene.written(name))
    scene.grow() if name == ORDER else scene.shrink()
    scene.let(60).until(scene.is_invested).check()
    pauses = gaps(scene.written_s(name)[tried:])
    assert len(pauses) <= 6
    assert all(pause >= wanted for pause, wanted in zip(pauses, [1, 2, 4, 8, 16, 32], strict=False)), pauses


@pytest.mark.parametrize("tells", [True, False])
@pytest.mark.parametrize("name", [HANDSHAKE[0], HANDSHAKE[6], *map(slow, (*HANDSHAKE[1:6], *HANDSHAKE[7:]))])
def test_a_request_of_the_log_in_that_is_blocked_is_asked_again_in_time(name: str, tells: bool, tmp_path: Path) -> None:
    scene = Scene(tmp_path).trading()
    asked, began_s = len(scene.written(name)), scene.now_s
    scene.fire(Block((name,), 10 * SECOND, tells_retry_after=tells)).fire(Drop())
    scene.let(12).check(replay=tells)
    times = scene.written_s(name)[asked:]
    if tells:
        assert len(times) == 2 and times[1] - began_s >= 10
    else:
        assert all(pause >= wanted for pause, wanted in zip(gaps(times), [1, 2, 4, 8], strict=False)), times
    assert scene.bot.driver.figures.connections == 2, "waiting needs no other connection"


@pytest.mark.parametrize("name", HISTORIES)
def test_a_list_that_is_blocked_keeps_the_order_unknown_until_it_comes(name: str, tmp_path: Path) -> None:
    scene = Scene(tmp_path, symbols={"EURUSD": {}}).trading()
    began_ns = scene.bot.now_ns()
    scene.fire(Block((name,), 15 * SECOND)).on_request(ORDER, NoReply("ignored")).grow()
    scene.let(14)
    assert scene.states()[-1] == "unknown"
    sent = len(scene.written(ORDER))
    scene.until(scene.is_invested).check()
    assert len(scene.written(ORDER)) == sent + 1
    refused, answered, *_ = scene.heard(name)
    assert refused.outcome == "BLOCKED_PAYLOAD_TYPE"
    assert answered.received_ns >= began_ns + 15 * SECOND
    assert answered.outcome == "accepted"


@pytest.mark.parametrize("count_refused", [slow(False), True])
def test_a_venue_that_takes_fewer_requests_is_asked_more_slowly(count_refused: bool, tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.fire(Rate(requests_per_s=8, historical_per_s=1, count_refused=count_refused), for_s=300)
    scene.a_day().check(limit_s=120, replay=count_refused)
    refused = [h for h in scene.venue.stage.request_log if h.outcome == "REQUEST_FREQUENCY_EXCEEDED"]
    assert refused
    log = scene.venue.stage.request_log
    assert log.max_in_window(SECOND, outcome="accepted", historical=False, link=1) <= 8
    assert len(refused) <= 12


def test_refusals_that_lead_to_a_block_are_waited_out(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    limits = Rate(requests_per_s=8, block_after=2, block_window_ns=5 * SECOND, block_for_ns=8 * SECOND)
    scene.fire(limits, for_s=60).a_day().check(limit_s=120)
    blocked = [h for h in scene.venue.stage.request_log if h.outcome == "BLOCKED_PAYLOAD_TYPE"]
    assert len({h.received_ns for h in blocked}) <= 3, "those of one burst count as one"


def test_an_order_that_may_not_leave_in_its_second_is_dropped_and_decided_anew(tmp_path: Path) -> None:
    scene = Scene(tmp_path, symbols={"EURUSD": {}}).trading()
    scene.fire(Rate(requests_per_s=1), for_s=10)
    # Depth is renewed and refused; while the venue's limit is waited out, an order would grow old in the queue.
    scene.bot.run.session._outbox.slow_down(scene.written("ProtoOAReconcileReq")[0].body, scene.bot.now_ns(), 5)
    sent, began_s = len(scene.written(ORDER)), scene.now_s
    scene.grow().let(3)
    assert "NOT_SENT" in scene.codes()
    assert len(scene.written(ORDER)) == sent
    scene.until(scene.is_invested).check(replay=False)
    (late,) = scene.written_s(ORDER)[sent:]
    assert late - began_s >= 5


def test_reductions_leave_while_growth_has_to_wait(tmp_path: Path) -> None:
    scene = Scene(tmp_path, symbols={"EURUSD": {}}).trading()
    scene.bot.run.session._outbox.slow_down(scene.written("ProtoOAReconcileReq")[0].body, scene.bot.now_ns(), 5)
    began_s, closes = scene.now_s, len(scene.written(CLOSE))
    scene.shrink().until(scene.is_invested).check(replay=False)
    assert scene.written_s(CLOSE)[closes] - began_s < 1


@pytest.mark.slow
def test_the_limits_a_minute_of_the_platform_are_kept(tmp_path: Path) -> None:
    execution = {"order_timeout_s": 2, "settle_s": 0, "min_interval_s": 0}
    scene = Scene(tmp_path, execution=execution, risk={"max_orders_per_minute": 10_000})
    scene.fire(Rate(platform=True))
    scene.trading()
    for _ in range(40):
        scene.grow(0.2).let(0.5).shrink(0.2).let(0.5)
    scene.check()
    assert not [h for h in scene.venue.stage.request_log if h.outcome != "accepted"]
