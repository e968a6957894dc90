"""Settings for every test: hypothesis repeats the same examples in CI, never judges by the clock; no thread is left."""

import gc
import os
import signal
import sys
import threading
from collections.abc import Iterator

import pytest
from hypothesis import settings

LONGEST_TEST_S = 1200

settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("dev", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "dev")


def pytest_collection_finish() -> None:
    """Let the collector leave alone what stays for good: seven thousand tests, and every module."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


@pytest.fixture(autouse=True)
def no_test_goes_on_for_ever(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that waits for what never comes, such as a line of another process: CI would wait as long."""
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def too_long(*_: object) -> None:
        raise TimeoutError(f"{request.node.name} was not over after {LONGEST_TEST_S} s")

    before = signal.signal(signal.SIGALRM, too_long)
    signal.setitimer(signal.ITIMER_REAL, LONGEST_TEST_S)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(autouse=True)
def no_run_is_left() -> Iterator[None]:
    """Close what the runs of a test left open; a test that has none does not load them."""
    yield
    if (wired := sys.modules.get("wired_bot")) is not None:
        wired.let_go()


@pytest.fixture(scope="session", autouse=True)
def no_thread_is_left() -> Iterator[None]:
    """Fail when a test has left a thread that would keep the process from ending: CI would wait for ever."""
    yield
    main = threading.main_thread()
    left = [thread.name for thread in threading.enumerate() if thread is not main and not thread.daemon]
    reactor = sys.modules.get("twisted.internet.reactor")
    if reactor is not None and (pool := getattr(reactor, "threadpool", None)) is not None:
        pool.stop()  # so that this failure can be read at all
    assert left == [], "threads still running after the tests"
