"""What lives beside a run: in order, in reverse, and none at the cost of another."""

import pytest
from twisted.logger import globalLogPublisher

from bot.net.companion import Companions


class Noted:
    def __init__(self, name: str, calls: list[str], *, breaks: bool = False) -> None:
        self.name, self.calls, self.breaks = name, calls, breaks

    def start(self) -> None:
        self.calls.append(f"start {self.name}")
        if self.breaks:
            raise RuntimeError("a bug")

    def stop(self) -> None:
        self.calls.append(f"stop {self.name}")
        if self.breaks:
            raise RuntimeError("a bug")


@pytest.mark.parametrize("breaks", [False, True])
def test_they_start_in_order_and_stop_in_reverse_whatever_one_of_them_does(breaks: bool) -> None:
    calls: list[str] = []
    logged: list[str] = []

    def observe(event: dict[str, object]) -> None:
        if event.get("log_namespace") == "bot.net.companion":
            logged.append(str(event["log_format"]))

    globalLogPublisher.addObserver(observe)
    try:
        both = Companions([Noted("one", calls), Noted("two", calls, breaks=breaks), Noted("three", calls)])
        both.start()
        both.stop()
    finally:
        globalLogPublisher.removeObserver(observe)
    assert calls == ["start one", "start two", "start three", "stop three", "stop two", "stop one"]
    assert len(logged) == (2 if breaks else 0)


def test_none_at_all_is_fine() -> None:
    Companions([]).start()
    Companions([]).stop()
