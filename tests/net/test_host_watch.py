"""What the machine says of itself, and that it says only what is news."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.engine.events import HostChecked
from bot.net.host_watch import CLOCK_NEWS_S, HostWatch, free_bytes

SECOND = 1_000_000_000
LIMIT = 50_000_000


class Machine:
    def __init__(self, free: int | None = 10 * LIMIT) -> None:
        self.run_ns, self.step_s, self.free = 1_700_000_000 * SECOND, 0.0, free
        self.watch = HostWatch(
            LIMIT, lambda: self.run_ns, lambda: self.run_ns + round(self.step_s * SECOND), lambda: self.free
        )

    def look(self) -> HostChecked | None:
        self.run_ns += 5 * SECOND
        return self.watch.look()


def test_the_first_look_is_news_and_the_same_again_is_not() -> None:
    machine = Machine()
    assert machine.look() == HostChecked(machine.run_ns, 10 * LIMIT, 0.0)
    assert [machine.look() for _ in range(100)] == [None] * 100


def test_space_is_news_when_it_passes_a_power_of_two_or_becomes_unknown() -> None:
    machine = Machine(free=2**40)
    machine.look()
    machine.free = 2**40 + 10**9
    assert machine.look() is None
    machine.free = 2**40 - 1
    news = machine.look()
    assert news is not None and news.disk_free_bytes == 2**40 - 1
    machine.free = None
    news = machine.look()
    assert news is not None and news.disk_free_bytes is None


def test_passing_the_limit_is_news_between_two_powers_of_two_as_well() -> None:
    machine = Machine(free=LIMIT + 1)
    machine.look()
    for free in (LIMIT - 1, LIMIT + 1):
        machine.free = free
        news = machine.look()
        assert news is not None and news.disk_free_bytes == free


@given(st.lists(st.integers(0, 4 * LIMIT), max_size=40))
def test_the_newest_word_of_space_is_always_on_the_right_side_of_the_limit(readings: list[int]) -> None:
    machine, told = Machine(), 10 * LIMIT
    machine.look()
    for machine.free in readings:
        news = machine.look()
        if news is not None and news.disk_free_bytes is not None:
            told = news.disk_free_bytes
        assert (told < LIMIT) == (machine.free < LIMIT)
        assert told.bit_length() == machine.free.bit_length()


@given(st.lists(st.floats(-5, 5), max_size=40))
def test_the_newest_word_of_the_clock_is_within_half_a_second(steps: list[float]) -> None:
    machine, told = Machine(), 0.0
    machine.look()
    for machine.step_s in steps:
        news = machine.look()
        told = news.clock_step_s if news is not None else told
        assert abs(told - machine.step_s) <= CLOCK_NEWS_S + 0.001
        assert news is None or abs(news.clock_step_s - machine.step_s) <= 0.001


def test_a_clock_set_back_is_negative() -> None:
    machine = Machine()
    machine.look()
    machine.step_s = -3.25
    news = machine.look()
    assert news is not None and news.clock_step_s == -3.25


def test_space_is_that_of_the_fullest_disk_even_for_folders_yet_to_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (free_bytes([tmp_path / "a" / "b", tmp_path]) or 0) > 0

    class Usage:
        def __init__(self, folder: Path) -> None:
            self.free = 5 if folder == tmp_path else 7

    monkeypatch.setattr("bot.net.host_watch.shutil.disk_usage", Usage)
    assert free_bytes([tmp_path / "new", tmp_path.parent]) == 5


def test_a_disk_that_cannot_say_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(folder: Path) -> None:
        raise OSError("gone")

    monkeypatch.setattr("bot.net.host_watch.shutil.disk_usage", fails)
    assert free_bytes([tmp_path]) is None
