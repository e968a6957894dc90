"""The venue's side of an enquiry in a few lines: it answers from a table, and time moves as the enquiry asks."""

from collections.abc import Callable
from typing import Any

from scripted_venue import SECOND, START, build

from bot.ctrader.enquiry import Enquiry
from bot.ctrader.framing import FrameReader
from bot.ctrader.schema import envelope, message, message_for

__all__ = ["SECOND", "START", "Clerk", "build"]


class Clerk:
    """`replies` maps a request's name to a function that returns messages; a request without one stays unanswered.

    `asked` lists (time in ns, request name, message id, request) as written; heartbeats are in `heartbeats`.
    """

    def __init__(self, script: Any, **replies: Callable[[Any], list[Any]]) -> None:
        self.enquiry: Enquiry[Any] = Enquiry(script, "app", "the-secret", "run7")
        self.replies = {"ApplicationAuth": lambda r: [build("ApplicationAuthRes")]} | replies
        self.now_ns = START
        self.asked: list[tuple[int, str, str, Any]] = []
        self.heartbeats: list[int] = []
        self._reader = FrameReader()

    def connect(self) -> "Clerk":
        self.enquiry.connection_made(self.now_ns)
        return self.talk()

    def talk(self) -> "Clerk":
        """Answer until the enquiry has nothing to write at this moment."""
        while frames := self.enquiry.data_to_send(self.now_ns):
            for body in self._reader.receive(b"".join(frames)):
                wrapper = message("ProtoMessage").FromString(body)
                request = message_for(wrapper.payloadType).FromString(wrapper.payload)
                name = request.DESCRIPTOR.name.removeprefix("ProtoOA").removesuffix("Req")
                if name == "ProtoHeartbeatEvent":
                    self.heartbeats.append(self.now_ns)
                    continue
                self.asked.append((self.now_ns, name, wrapper.clientMsgId, request))
                for reply in self.replies.get(name, lambda r: [])(request):
                    self.tell(reply, wrapper.clientMsgId)
        return self

    def tell(self, content: Any, message_id: str | None = None) -> None:
        self.enquiry.receive_frame(envelope(content, message_id), self.now_ns)

    def wait(self, seconds: float) -> "Clerk":
        """Let time pass, waking the enquiry whenever it wants to be."""
        end_ns = self.now_ns + round(seconds * SECOND)
        while (due_ns := self.enquiry.next_timeout_ns()) is not None and due_ns <= end_ns:
            self.now_ns = max(self.now_ns, due_ns)
            self.enquiry.handle_timeout(self.now_ns)
            self.talk()
        self.now_ns = max(self.now_ns, end_ns)
        return self

    @property
    def names(self) -> list[str]:
        return [name for _, name, _, _ in self.asked]


def refusing(code: str, description: str = "", **fields: Any) -> Callable[[Any], list[Any]]:
    """Return a reply that is an error."""
    return lambda r: [build("ErrorRes", errorCode=code, description=description, **fields)]
