"""Jobs beside a run: one after the other, in another thread, with their results in the reactor's."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from twisted.logger import globalLogPublisher

from bot.net.background import Background


class FakeReactor:
    """Keeps what is to be called in its thread."""

    def __init__(self) -> None:
        self.calls: list[tuple[Callable[..., Any], Any]] = []

    def callFromThread(self, call: Callable[..., Any], *given: Any) -> None:
        self.calls.append((call, given))


def test_jobs_are_done_in_order_beside_the_run_and_all_of_them_before_it_closes() -> None:
    reactor, done, threads = FakeReactor(), [], set()
    background = Background(reactor)

    def job(number: int) -> int:
        threads.add(threading.current_thread())
        return number * 10

    for number in range(5):
        background(lambda number=number: job(number), done.append)
    background.close()
    assert done == [] and len(threads) == 1 and threading.current_thread() not in threads
    for call, given in reactor.calls:
        call(*given)
    assert done == [0, 10, 20, 30, 40]
    assert not any(thread.is_alive() for thread in threads)
    background.close()


def test_a_job_that_fails_is_logged_and_the_next_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    reactor, logged = FakeReactor(), []
    globalLogPublisher.addObserver(logged.append)
    background = Background(reactor)
    background(lambda: 1 / 0, print)
    background(lambda: 2, print)
    background.close()
    globalLogPublisher.removeObserver(logged.append)
    assert [given for _, given in reactor.calls] == [(2,)]
    assert any("a job beside the run failed" in str(event.get("log_format")) for event in logged)
