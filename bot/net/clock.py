"""The clock of a run: UTC nanoseconds that never run backwards."""

import time
from collections.abc import Callable


def run_clock() -> Callable[[], int]:
    """Return a clock: UTC at this moment plus a monotonic clock, in ns since the epoch.

    A step of the machine's wall clock during the run does not reach it.
    """
    offset = time.time_ns() - time.monotonic_ns()
    return lambda: time.monotonic_ns() + offset
