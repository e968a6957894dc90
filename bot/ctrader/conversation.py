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
    """Requests to be sent together whose times matter; the script gets an `Answer` for each.

    `unpaced` requests leave at once, whatever the limits, and are never asked again: to see what a refusal looks like.
    """

    def __init__(self, *requests: Message, unpaced: bool = False) -> None:
        self.requests = requests
        self.unpaced = unpaced


@dataclass(frozen=True, slots=True)
class Silence:
    """Send nothing for this long, no heartbeat either, or until the link is gone; the script gets a `Silent`."""

    seconds: float


class Silent(NamedTuple):
    """A silence that is over. What came meanwhile is for the next `Listen`.

    Missing: `why_lost` is None when the link still stands.
    """

    last_sent_ns: int
    ended_ns: int
    why_lost: str | None


@dataclass(frozen=True, slots=True)
class Beside:
    """Hold another conversation on a connection of its own; the script waits for what that one's script returns.

    It gets the `EnquiryFailed` in its place as a value. What comes on this connection is for the next `Listen`.
    """

    script: Script[Any]


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
