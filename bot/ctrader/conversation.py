"""The words of a one-off conversation: what a script yields to an `Enquiry`, and what it gets back."""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from google.protobuf.message import Message

Result = TypeVar("Result")
Script = Generator[Any, Any, Result]


@dataclass(frozen=True, slots=True)
class Listen:
    """Collect what comes unasked for this long. `until` ends it early, at the first message it is true of."""

    seconds: float
    until: Callable[[Any], bool] | None = None


class Timed:
    """Requests to be sent together whose times matter; the script gets an `Answer` for each."""

    def __init__(self, *requests: Message) -> None:
        self.requests = requests


class Heard(NamedTuple):
    """A message nobody waited for. `message_id` is the id it carried: that of a request answered before, or None."""

    recv_ns: int
    message: Any
    message_id: str | None


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply (or the refusal in its place) and its times. `place` counts the answers of a conversation as they came.

    Missing: `written_ns` and `recv_ns` are None for a request that never left, or was never answered.
    """

    reply: Any
    message_id: str
    written_ns: int | None
    recv_ns: int | None
    place: int
