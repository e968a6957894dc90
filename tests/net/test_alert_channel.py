"""A channel: it never holds anybody up, tries again, says its trouble once, and ends in time whatever it sends to."""

import threading
import time
from collections.abc import Iterator

import pytest
from alert_inbox import Inbox
from twisted.logger import formatEvent, globalLogPublisher

from bot.net.alert_channel import MESSAGES_KEPT, AlertChannel, Message
from bot.net.apprise_url import Delivery

REFUSED = Delivery("it answered HTTP status 500")


@pytest.fixture
def logged() -> Iterator[list[str]]:
    lines: list[str] = []

    def observe(event: object) -> None:
        lines.append(formatEvent(event))  # type: ignore[arg-type]

    globalLogPublisher.addObserver(observe)
    yield lines
    globalLogPublisher.removeObserver(observe)


class Place:
    """Where messages go: it gives the answers it is told to, and is at a standstill while it is `blocked`."""

    def __init__(self, *answers: Delivery) -> None:
        self.answers = list(answers)
        self.texts: list[str] = []
        self.free = threading.Event()
        self.free.set()
        self.entered = threading.Event()

    def deliver(self, title: str, text: str, severity: str) -> Delivery:
        self.entered.set()
        self.free.wait(20)
        self.texts.append(text)
        return self.answers.pop(0) if self.answers else Delivery()


def channel(place: Place, pauses_s: tuple[float, ...] = (0.0, 0.0)) -> AlertChannel:
    return AlertChannel("alerts.urls.0 (json)", place.deliver, pauses_s=pauses_s)


def put(to: AlertChannel, *texts: str) -> None:
    for text in texts:
        to.put(Message("title", text, "info"))


def end(to: AlertChannel, limit_s: float = 5.0) -> None:
    to.close()
    to.wait(limit_s)


def test_messages_arrive_in_order_and_the_end_waits_for_them() -> None:
    place = Place()
    to = channel(place)
    put(to, "a", "b", "c")
    end(to)
    assert place.texts == ["a", "b", "c"] and to.delivered == 3


def test_a_channel_without_messages_has_no_thread_and_ends_at_once() -> None:
    to = channel(Place())
    end(to)
    assert to._thread is None


def test_what_is_refused_is_tried_again_and_its_trouble_said_once(logged: list[str]) -> None:
    place = Place(REFUSED, REFUSED, Delivery(), REFUSED)
    to = channel(place)
    put(to, "a")
    while to.delivered < 1:
        threading.Event().wait(0.001)
    place.entered.clear()
    place.free.clear()
    put(to, "b")
    assert place.entered.wait(5)
    to.close()  # while it is under way
    place.free.set()
    end(to)
    assert place.texts == ["a", "a", "a", "b"]  # the run ends: nothing is tried a second time then
    assert [line for line in logged if "alerts.urls.0" in line] == [
        "alerts to alerts.urls.0 (json) are not delivered: it answered HTTP status 500",
        "alerts to alerts.urls.0 (json) are delivered again",
        "alerts to alerts.urls.0 (json) are not delivered: it answered HTTP status 500",
        "alerts to alerts.urls.0 (json): 1 were not delivered",
    ]


def test_after_the_last_try_the_next_message_has_its_turn() -> None:
    place = Place(REFUSED, REFUSED, REFUSED)
    to = channel(place)
    put(to, "a")
    while to.undelivered < 1:
        threading.Event().wait(0.001)
    put(to, "b")
    end(to)
    assert place.texts == ["a", "a", "a", "b"] and (to.delivered, to.undelivered) == (1, 1)


def test_what_no_second_try_can_mend_is_not_tried_again() -> None:
    place = Place(Delivery("it answered HTTP status 401", is_final=True))
    to = channel(place, (60.0,))
    put(to, "a", "b")
    end(to)
    assert place.texts == ["a", "b"]


def test_an_error_is_logged_by_its_kind_and_without_its_text(logged: list[str]) -> None:
    def broken(title: str, text: str, severity: str) -> Delivery:
        raise RuntimeError("https://secret")

    to = AlertChannel("alerts.urls.0 (json)", broken, pauses_s=())
    put(to, "a")
    end(to)
    assert any("RuntimeError" in line for line in logged) and not any("secret" in line for line in logged)


def test_a_place_that_hangs_for_ever_holds_up_neither_who_puts_nor_the_end(logged: list[str]) -> None:
    place = Place()
    place.free.clear()
    to = channel(place)
    put(to, "0")
    assert place.entered.wait(5)
    began_s = time.monotonic()
    put(to, *(str(i) for i in range(1, MESSAGES_KEPT + 11)))
    end(to, 0.1)
    assert time.monotonic() - began_s < 1
    assert to.dropped == 10
    assert any("more than 50 wait; the oldest are dropped" in line for line in logged)
    assert any(line.endswith(": 61 were not delivered") for line in logged)
    place.free.set()
    to.wait(5)
    assert place.texts[:2] == ["0", "11"]


def test_a_pause_between_tries_ends_with_the_run() -> None:
    place = Place(REFUSED)
    to = channel(place, (60.0,))
    put(to, "a")
    while not place.texts:
        threading.Event().wait(0.001)
    end(to)
    assert not to._thread.is_alive() and to.undelivered == 1


def test_over_a_socket_a_server_that_fails_first_gets_the_message_in_the_end() -> None:
    from test_apprise_url import config

    from bot.net.apprise_url import apprise_urls

    inbox = Inbox()
    inbox.statuses = [500, 503]
    (url,) = apprise_urls(config(inbox.url()))
    to = AlertChannel(url.name, url.deliver, pauses_s=(0.01, 0.01))
    put(to, "in the end")
    taken = inbox.wait_for(3)
    end(to)
    inbox.close()
    assert [each["message"] for each in taken] == ["in the end"]
