"""The stream of snapshots: one a tick for all, only while somebody reads; a slow reader loses the oldest, whole."""

import json
from pathlib import Path
from typing import Any

import pytest
from telemetry_desk import TelemetryDesk
from web_clock import BUFFER_BYTES, Connection

from bot.net.telemetry_stream import MOST_QUEUED, MOST_READERS, STUCK_S


@pytest.fixture
def desk(tmp_path: Path) -> TelemetryDesk:
    return TelemetryDesk(tmp_path).start()


def made(desk: TelemetryDesk) -> int:
    assert desk.bot.telemetry is not None
    return desk.bot.telemetry._feed.made


def readers(desk: TelemetryDesk) -> Any:
    assert desk.bot.telemetry is not None
    return desk.bot.telemetry._readers


def times(connection: Connection) -> list[str]:
    """When the snapshots that came were made. Every line is whole, or this fails."""
    return [each["time"] for each in connection.answer.lines]


def let(desk: TelemetryDesk, seconds: float, *reading: Connection, step_s: float = 0.25) -> None:
    """Let time pass while these connections are read."""
    until = desk.clock.seconds() + seconds
    while (left := until - desk.clock.seconds()) > 1e-9:
        desk.bot.let(min(step_s, left), min(step_s, left, 1 / 64))
        for each in reading:
            each.read()


def test_a_reader_gets_a_snapshot_at_once_and_then_as_often_as_it_asked_for(desk: TelemetryDesk) -> None:
    quick, slow = desk.ask("/stream"), desk.ask("/stream?every_s=1&ladders=EURUSD")
    answer = quick.answer
    assert (answer.status, answer.headers["content-type"]) == (200, "application/x-ndjson; charset=utf-8")
    assert len(answer.lines) == 1 and answer.lines[0]["type"] == "snapshot"
    let(desk, 4.01, quick, slow)
    assert len(times(quick)) == 17 and len(times(slow)) == 5
    assert {each["symbol"] for each in slow.answer.lines[-1]["symbols"] if each["bids"]} == {"EURUSD"}
    assert {each["symbol"] for each in quick.answer.lines[-1]["symbols"] if each["bids"]} == {"EURUSD", "USDJPY"}
    assert len(set(times(quick))) == 17, "each one is new"


def test_nobody_is_faster_than_the_config_says(tmp_path: Path) -> None:
    desk = TelemetryDesk(tmp_path, telemetry={"every_s": 1.0}).start()
    reader = desk.ask("/stream?every_s=0.1")
    let(desk, 3.01, reader)
    assert len(times(reader)) == 4


def test_one_snapshot_a_tick_is_made_for_all_readers_and_none_when_nobody_reads(desk: TelemetryDesk) -> None:
    desk.bot.let(3)
    assert made(desk) == 0
    connections = [desk.ask("/stream") for _ in range(MOST_READERS)]
    assert made(desk) == 1
    let(desk, 1.01, *connections)
    assert made(desk) == 5 and {len(times(each)) for each in connections} == {5}
    for each in connections:
        each.close()
    desk.bot.let(0.3)
    before = made(desk)
    desk.bot.let(3)
    assert made(desk) == before and len(readers(desk)) == 0
    assert readers(desk)._call is None, "nor does a clock tick"
    again = desk.ask("/stream")
    let(desk, 1.01, again)
    assert len(times(again)) == 5


def test_the_oldest_of_too_many_readers_goes(desk: TelemetryDesk) -> None:
    connections = [desk.ask("/stream") for _ in range(MOST_READERS + 1)]
    desk.bot.let(0.3)
    assert [each.lost for each in connections] == ["ConnectionAborted"] + [None] * MOST_READERS
    assert len(readers(desk)) == MOST_READERS


def test_a_reader_that_does_not_read_holds_little_and_loses_the_oldest_whole(desk: TelemetryDesk) -> None:
    stuck, quick = desk.ask("/stream"), desk.ask("/stream")
    let(desk, 30, quick)
    ours = readers(desk)
    line = len(json.dumps(quick.answer.lines[-1], separators=(",", ":"))) + 1
    assert len(stuck.transport.waiting) < BUFFER_BYTES + 2 * line
    (one,) = [reader for reader in ours._readers if reader.paused_s is not None]
    assert len(one._queue) == MOST_QUEUED
    assert ours.dropped == 121 - stuck.transport.waiting.count(b'"type":"snapshot"') - MOST_QUEUED > 50
    assert len(times(quick)) == 121
    # When it reads again, it gets what lay on the way and the newest, each line whole; then it goes on.
    before_s = desk.clock.seconds()
    stuck.read()
    seen = times(stuck)
    assert seen == sorted(seen) and set(seen) <= set(times(quick))
    assert seen[-MOST_QUEUED:] == times(quick)[-MOST_QUEUED:]
    assert before_s == desk.clock.seconds()
    desk.bot.let(0.26)
    assert times(stuck)[-1] == times(quick)[-1] and one.paused_s is None


def test_readers_that_share_a_snapshot_share_its_bytes(desk: TelemetryDesk) -> None:
    connections = [desk.ask("/stream") for _ in range(3)]
    desk.bot.let(30)
    queues = [list(reader._queue) for reader in readers(desk)._readers]
    assert [len(queue) for queue in queues] == [MOST_QUEUED] * 3 and connections
    assert all(one is other for one, other in zip(queues[0], queues[2], strict=True))


def test_a_reader_that_takes_nothing_for_a_minute_is_cut_off(desk: TelemetryDesk) -> None:
    stuck, quick = desk.ask("/stream"), desk.ask("/stream")
    while not (paused := [reader for reader in readers(desk)._readers if reader.paused_s is not None]):
        let(desk, 0.25, quick)
    since_s = paused[0].paused_s
    while stuck.lost is None:
        desk.bot.let(1, 1)
        quick.read()
    assert (stuck.lost, quick.lost) == ("ConnectionAborted", None)
    assert STUCK_S <= readers(desk).now_s() - since_s <= STUCK_S + 2
    assert len(readers(desk)) == 1


def test_a_reader_that_is_slow_and_reads_is_kept(desk: TelemetryDesk) -> None:
    slow = desk.ask("/stream")
    for _ in range(4):
        desk.bot.let(40, 1)
        slow.read()
    assert slow.lost is None and readers(desk).dropped > 0
    assert times(slow)


def test_a_clock_that_is_set_back_keeps_nobody_waiting_who_asks_again(desk: TelemetryDesk) -> None:
    stalled = desk.ask("/stream")
    readers(desk)._call.delay(3600)  # as the timers of a reactor are after such a step
    let(desk, 5, stalled)
    assert len(times(stalled)) == 1
    again = desk.ask("/stream")
    let(desk, 1.01, again, stalled)
    assert len(times(again)) == 5 and len(times(stalled)) == 5


def test_a_snapshot_that_cannot_be_made_costs_readers_that_one_and_is_told_once(
    desk: TelemetryDesk, capsys: pytest.CaptureFixture[str]
) -> None:
    reader = desk.ask("/stream")
    assert desk.bot.telemetry is not None
    feed = desk.bot.telemetry._feed
    real = feed._make

    def broken(ladders: object) -> dict[str, Any]:
        raise RuntimeError("a bug")

    feed._make = broken
    desk.bot.let(2)
    assert len(times(reader)) == 1 and desk.bot.result is None
    feed._make = real
    desk.bot.let(1.01)
    assert len(times(reader)) >= 4


def test_the_end_of_the_run_ends_every_stream_and_every_trace(desk: TelemetryDesk) -> None:
    from bot.net.outcome import Outcome

    reader, stuck = desk.ask("/stream"), desk.ask("/stream")
    stuck.is_reading = False
    desk.bot.let(1)
    desk.bot.driver.stop(Outcome(130))
    desk.bot.let(12, 0.25)
    assert isinstance(desk.bot.result, Outcome)
    assert reader.read().endswith(b"0\r\n\r\n"), "the stream has a proper end"
    assert not desk.clock.ports[0].is_open and not (desk.folder / "telemetry.json").exists()
    desk.clock.advance(3)
    assert reader.lost is not None and stuck.lost is not None
    assert desk.clock.getDelayedCalls() == [] or all(
        "telemetry" not in repr(call) for call in desk.clock.getDelayedCalls()
    )
