"""A recorded feed reads what another process writes, whatever it writes, and shows any moment of it."""

import asyncio
import contextlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest

import bot.dashboard.recorded_feed as recorded_feed
from bot.dashboard.recorded_feed import RecordedFeed

T0_NS = 1_700_000_000_000_000_000
SECOND_NS = 1_000_000_000


def line(number: int, **changes: Any) -> bytes:
    content = {
        "type": "snapshot",
        "time_ns": T0_NS + number * SECOND_NS,
        "time": f"2023-11-14T22:{13 + number // 60:02d}:{number % 60:02d}.000Z",
        "run_id": "run-1",
        "account_id": 7,
        "orders": [],
        "symbols": [],
        "number": number,
    }
    return json.dumps(content | changes).encode()


def shown(feed: RecordedFeed) -> int | None:
    return None if feed.snapshot is None else feed.snapshot["number"]


class Scene:
    """A feed of lines that are there at once; `trail` is the numbers that the trail was given since it was cleared."""

    def __init__(self, *lines: bytes, **options: Any) -> None:
        self.now_s = 0.0
        self.trail: list[int] = []
        self.feed = RecordedFeed(Path("run.journal"), now_s=lambda: self.now_s, **options)
        self.feed.trail.add = lambda content: self.trail.append(content["number"])  # type: ignore[method-assign]
        self.feed.trail.clear = self.trail.clear  # type: ignore[method-assign]
        self.sound = [self.feed._take(each) for each in lines]

    def fill(self) -> list[int]:
        while self.feed._fill_trail():
            pass
        return self.trail


def whole(count: int, **options: Any) -> Scene:
    scene = Scene(*(line(number) for number in range(count)), **options)
    scene.feed.trouble = None
    return scene


# -- reading --


def test_the_first_snapshot_is_shown_while_the_others_are_read() -> None:
    scene = Scene(b'{"type":"recording","first_ns":1,"last_ns":2,"run_id":"run-1"}')
    assert (scene.feed.kind, scene.feed.trouble, scene.feed.read_frac, scene.feed.snapshot) == (
        "journal",
        "reading",
        0,
        None,
    )
    scene.feed._take(b'{"type":"progress","read_frac":0.25}')
    scene.feed._take(line(0))
    scene.feed._take(line(1))
    assert (shown(scene.feed), scene.feed.place, scene.feed.read_frac) == (0, 0, 0.25)
    assert scene.feed.times_ns == [T0_NS, T0_NS + SECOND_NS]
    assert scene.feed.received_s is None


@pytest.mark.parametrize(
    "bad", [b"", b"{", b"[]", b"\xff", b'{"type":"snapshot"}', b'{"type":"snapshot","time_ns":"1"}', line(-1)]
)
def test_a_line_that_cannot_be_read_or_goes_back_in_time_is_left_out(bad: bytes) -> None:
    scene = Scene(line(0), bad, line(1))
    assert scene.sound == [True, False, True]
    assert len(scene.feed.times_ns) == 2


@pytest.mark.parametrize(("frac", "kept"), [(-1, 0.0), (2, 1.0), ("x", 0.0), (None, 0.0), (0.5, 0.5)])
def test_progress_is_a_fraction_whatever_is_said(frac: Any, kept: float) -> None:
    assert Scene(json.dumps({"type": "progress", "read_frac": frac}).encode()).feed.read_frac == kept


def test_a_run_of_too_many_snapshots_is_thinned_evenly() -> None:
    scene = whole(100, most_kept=10)
    seconds = [(time_ns - T0_NS) // SECOND_NS for time_ns in scene.feed.times_ns]
    assert seconds == list(range(0, 100, 16))
    for place, number in enumerate(seconds):
        scene.feed.seek(place)
        assert shown(scene.feed) == number


def test_thinning_keeps_to_what_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorded_feed, "MOST_BYTES", 1000)  # a handful
    scene = Scene(*(line(number) for number in range(4)))
    scene.feed.seek(3)
    for number in range(4, 40):
        scene.feed._take(line(number))
        assert scene.feed.times_ns[scene.feed.place] == scene.feed.snapshot["time_ns"]  # type: ignore[index]
    assert len(scene.feed.times_ns) < 20


# -- the place --


def test_seeking_shows_the_moment_and_fills_the_trail_behind_it() -> None:
    scene = whole(50)
    scene.feed.seek(30)
    assert (shown(scene.feed), scene.feed.place) == (30, 30)
    assert scene.fill() == list(range(31))
    scene.feed.seek(33)
    assert scene.fill() == list(range(34))
    scene.feed.seek(5)
    assert (shown(scene.feed), scene.fill()) == (5, list(range(6)))


def test_a_far_place_fills_its_trail_with_what_is_near(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorded_feed, "TRAIL_LENGTH", 10)
    scene = whole(50)
    scene.fill()
    scene.feed.seek(40)
    assert scene.fill() == list(range(31, 41))
    scene.feed.seek(49)
    assert scene.fill() == list(range(31, 50))


def test_the_trail_is_filled_in_portions_so_that_a_slider_stays_quick() -> None:
    scene = whole(100)
    scene.feed.seek(99)
    assert scene.feed._fill_trail() and len(scene.trail) == 25


def test_a_snapshot_that_cannot_be_drawn_leaves_a_hole_in_the_trail() -> None:
    scene = whole(3)

    def add(content: dict[str, Any]) -> None:
        if content["number"] == 1:
            raise KeyError("symbols")
        scene.trail.append(content["number"])

    scene.feed.trail.add = add  # type: ignore[method-assign]
    scene.feed.seek(2)
    assert scene.fill() == [0, 2]


@pytest.mark.parametrize(("asked", "place"), [(-5, 0), (99, 9), (4, 4)])
def test_a_place_beyond_an_end_is_that_end(asked: int, place: int) -> None:
    scene = whole(10)
    scene.feed.seek(asked)
    assert scene.feed.place == place


def test_without_a_snapshot_there_is_nowhere_to_go() -> None:
    feed = Scene().feed
    feed.seek(3)
    feed.play(True)
    feed.advance(1.0)
    assert (feed.place, feed.playing, feed.snapshot) == (0, False, None)


# -- time --


def test_recorded_time_passes_at_the_speed_that_was_chosen() -> None:
    scene = whole(100)
    scene.feed.play(True)
    scene.feed.advance(2.5)
    assert shown(scene.feed) == 2
    scene.feed.advance(0.5)
    assert shown(scene.feed) == 3
    scene.feed.speed = 10.0
    scene.feed.advance(2.0)
    assert shown(scene.feed) == 23
    scene.feed.play(False)
    scene.feed.advance(5.0)
    assert (shown(scene.feed), scene.feed.playing) == (23, False)


def test_playing_goes_on_from_where_it_was_moved_to() -> None:
    scene = whole(100)
    scene.feed.play(True)
    scene.feed.advance(5.0)
    scene.feed.seek(50)
    scene.feed.advance(1.0)
    assert (shown(scene.feed), scene.feed.playing) == (51, True)


def test_playing_stops_at_the_end_and_then_begins_again() -> None:
    scene = whole(5)
    scene.feed.play(True)
    scene.feed.advance(60.0)
    assert (shown(scene.feed), scene.feed.playing) == (4, False)
    scene.feed.play(True)
    assert (shown(scene.feed), scene.feed.playing) == (0, True)


def test_playing_waits_at_the_end_of_what_has_been_read() -> None:
    scene = Scene(line(0), line(1))
    scene.feed.play(True)
    scene.feed.advance(60.0)
    assert (shown(scene.feed), scene.feed.playing) == (1, True)
    scene.feed._take(line(2))
    scene.feed.advance(1.0)
    assert shown(scene.feed) == 2


def test_a_recording_takes_no_commands() -> None:
    assert asyncio.run(Scene().feed.command("halt")) == (False, "recorded")


# -- the other process --


def program(tmp_path: Path, *lines: bytes, then: str = "") -> list[str]:
    """A program that writes lines and then does something."""
    (tmp_path / "lines").write_bytes(b"".join(each + b"\n" for each in lines))
    text = f"import sys; sys.stdout.write(open({str(tmp_path / 'lines')!r}).read()); sys.stdout.flush(); {then}"
    return [sys.executable, "-I", "-S", "-c", text]


def read(command: list[str], until: str = "not feed.read_frac") -> tuple[RecordedFeed, list[str]]:
    """Run a feed until something is true of it."""
    told: list[str] = []
    feed = RecordedFeed(Path("run.journal"), command=command, tell=told.append)
    feed.read_frac, feed.speed = 0.5, 100.0

    async def run() -> None:
        running = asyncio.create_task(feed.run())
        async with asyncio.timeout(30):
            while not eval(until, {"feed": feed}) and not running.done():
                await asyncio.sleep(0.01)
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running

    asyncio.run(run())
    return feed, told


def test_a_process_that_ends_well_leaves_no_trouble(tmp_path: Path) -> None:
    feed, told = read(program(tmp_path, *(line(number) for number in range(40))))
    assert (feed.trouble, feed.read_frac, len(feed.times_ns), told) == (None, None, 40, [])


def test_the_last_snapshot_of_a_thinned_run_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorded_feed, "MOST_BYTES", 1500)
    feed, _ = read(program(tmp_path, *(line(number) for number in range(40))))
    assert feed.times_ns[-1] == T0_NS + 39 * SECOND_NS


@pytest.mark.parametrize(
    ("then", "said"),
    [
        ("sys.exit('x.journal: it is cut short')", "x.journal: it is cut short"),
        ("sys.exit(3)", "exit code 3"),
        ("print('x' * 9_000_000)", "it wrote a line that is too long"),
    ],
)
def test_a_process_that_fails_leaves_what_it_wrote_and_a_line(then: str, said: str, tmp_path: Path) -> None:
    feed, told = read(program(tmp_path, line(0), line(1), then=then))
    assert (feed.trouble, len(feed.times_ns)) == ("unreadable", 2)
    assert told == [f"the recording could not be read to its end: {said}"]


@pytest.mark.parametrize("lines", [(), (b"<html>",), (line(0), b"{", line(1))])
def test_what_is_no_recording_is_unreadable(lines: tuple[bytes, ...], tmp_path: Path) -> None:
    assert read(program(tmp_path, *lines))[0].trouble == "unreadable"


def test_a_process_that_is_not_done_is_ended_with_the_feed(tmp_path: Path) -> None:
    then = "import time; time.sleep(600)"
    feed, _ = read(program(tmp_path, line(0), then=then), until="feed.times_ns")
    assert (feed.trouble, shown(feed)) == ("reading", 0)


def test_a_feed_that_runs_lets_time_pass_and_fills_the_trail(tmp_path: Path) -> None:
    command = program(tmp_path, *(line(number) for number in range(40)))
    feed, _ = read(command, until="not feed.read_frac and (feed.playing or feed.play(True)) and feed.place > 3")
    assert feed.place > 3 and feed._trail_end > 3
