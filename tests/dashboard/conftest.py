"""Processes of a test, ended with it."""

from collections.abc import Iterator

import pytest

from tests.started_commands import Started


@pytest.fixture
def started() -> Iterator[list[Started]]:
    every: list[Started] = []
    yield every
    for each in every:
        if each.process.poll() is None:
            each.process.kill()
        each.process.communicate()
