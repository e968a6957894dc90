"""A one-off conversation with a venue: application auth, then a script of questions, then it is over.

How it works: the script is a generator. What it yields is asked, and what the venue says is sent back into it:

    reply = yield request             one request, its reply; a refusal is thrown into the script as `EnquiryRefused`
    replies = yield [request, ...]    sent together, replies in the order of the requests; refusals are values here
    answers = yield Timed(request)    as a list, but each reply comes as an `Answer` with its times
    heard = yield Listen(seconds)     what came without being asked for since the last `Listen`, and in these seconds
    silent = yield Silence(seconds)   nothing is sent: how long the venue bears that
    result = yield Beside(script)     what a script on a second connection returns, which the caller holds

What the script returns is the result. Rate limits, heartbeats, patience and the waiting out of the venue's own limits
are kept here, so a script is nothing but the conversation. It is sans-IO: frames and times go in, frames come out.

Invariants: message ids never repeat, not over connections either. A trading request is sent once at most. After a drop,
or when it is stopped, the script still runs to its end, so that its `finally` can tell what was left undone; a stopped
script may still ask, one without a connection has every request refused at once.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic

from google.protobuf.message import DecodeError, Message

from bot.ctrader.conversation import Answer, Beside, Heard, Listen, Result, Script, Silence, Silent, Timed
from bot.ctrader.errors import Reaction, rule_for
from bot.ctrader.framing import frame
from bot.ctrader.ratelimit import GENERAL_LIMIT, HISTORICAL_LIMIT, SlidingWindow, is_historical
from bot.ctrader.refusals import DISCONNECTED, EXIT_UNREACHABLE, TIMEOUT, EnquiryFailed, EnquiryRefused, failure_of
from bot.ctrader.schema import envelope, message, message_for, payload_type
from bot.ctrader.translate import text

__all__ = ["Answer", "Enquiry", "EnquiryFailed", "EnquiryRefused", "Heard", "Listen", "Script", "Timed", "failure_of"]

_SECOND_NS = 1_000_000_000
REPLY_TIMEOUT_NS = 15 * _SECOND_NS
HEARTBEAT_IDLE_NS = 10 * _SECOND_NS
MAX_ATTEMPTS = 4
LONGEST_RETRY_AFTER_S = 60.0
MOST_HEARD = 500_000

_TRADING = frozenset(
    {
        "ProtoOANewOrderReq",
        "ProtoOACancelOrderReq",
        "ProtoOAAmendOrderReq",
        "ProtoOAAmendPositionSLTPReq",
        "ProtoOAClosePositionReq",
    }
)
_ERRORS = ("ProtoOAErrorRes", "ProtoErrorRes", "ProtoOAOrderErrorEvent")


@dataclass(slots=True)
class _Request:
    body: Message
    message_id: str
    attempts: int = 1
    not_before_ns: int = 0
    written_ns: int | None = None
    unpaced: bool = False

    @property
    def name(self) -> str:
        return str(self.body.DESCRIPTOR.name)

    @property
    def number(self) -> int:
        return payload_type(self.name)


class Enquiry(Generic[Result]):
    """One conversation. It is over when `is_over`; then `error` is None and `result` holds what the script returned.

    Args: `run_id` starts every message id; it must be new in each process.
    """

    def __init__(self, script: Script[Result], client_id: str, client_secret: str, run_id: str) -> None:
        self._script = script
        self._client = (client_id, client_secret)
        self._run_id = run_id
        self._id_count = self._answer_count = 0
        self._general, self._historical = SlidingWindow(GENERAL_LIMIT), SlidingWindow(HISTORICAL_LIMIT)
        self._waiting: list[_Request] = []
        self._written: dict[str, _Request] = {}
        self._asked: list[str] = []
        self._answers: dict[str, Answer] = {}
        self._hand_over: Callable[[list[Answer]], Any] = list
        self._heard: deque[Heard] = deque(maxlen=MOST_HEARD)
        self._listening: Listen | None = None
        self._listen_end_ns = self._sent_ns = 0
        self._is_silent = self._waits_beside = False
        self._beside: Script[Any] | None = None
        self._is_connected = self._has_begun = False
        self._why_lost = ""
        self._stopped_by: Exception | None = None
        self.is_over = False
        self.result: Result | None = None
        self.error: Exception | None = None

    @property
    def has_begun(self) -> bool:
        """Whether the application is authorised and the script runs; before that a lost link can be made again."""
        return self._has_begun

    # -- beside it --------------------------------------------------------------------------------------------------

    def take_beside(self) -> "Enquiry[Any] | None":
        """Return the conversation that the script wants beside this one, once; `beside_over` tells of its end."""
        script, self._beside = self._beside, None
        return None if script is None else Enquiry(script, *self._client, f"{self._new_id()}-beside")

    def beside_over(self, outcome: Any, now_ns: int) -> None:
        """Hand over what the other script returned, or the exception it ended with; a defect is thrown."""
        if self._waits_beside:
            self._waits_beside = False
            is_defect = isinstance(outcome, Exception) and not isinstance(outcome, EnquiryFailed)
            self._run(None if is_defect else outcome, outcome if is_defect else None, now_ns)

    # -- the link ---------------------------------------------------------------------------------------------------

    def connection_made(self, now_ns: int) -> None:
        """The link is up: ask for application auth."""
        self._is_connected, self._sent_ns = True, now_ns
        client_id, client_secret = self._client
        auth = message("ProtoOAApplicationAuthReq")(clientId=client_id, clientSecret=client_secret)
        self._ask([auth], list)

    def connection_lost(self, now_ns: int, why: str = "the connection was lost") -> None:
        """The link is gone. A script that runs is told by refusals; without one, `connection_made` may come again."""
        self._is_connected, self._why_lost = False, why
        self._waiting.clear()
        self._written.clear()
        if not self._has_begun or self.is_over:
            self._asked.clear()
        elif self._listening is not None:
            self._end_listening(now_ns)
        else:
            self._refuse_unanswered(now_ns)

    def stop(self, error: Exception, now_ns: int) -> None:
        """End the conversation with `error`: it is thrown into the script, which may still ask what it must.

        Before the script runs that is the end. A second call takes the venue away from the script, as a drop would.
        """
        if self.is_over:
            return
        if not self._has_begun:
            self._finish(None, error)
            return
        if self._stopped_by is not None:
            self.connection_lost(now_ns, "stopped")
            return
        self._stopped_by = error
        self._listening, self._beside = None, None
        self._is_silent = self._waits_beside = False
        self._waiting.clear()  # what never left stays unsent; what left may still be answered, as something heard
        self._written.clear()
        self._asked.clear()
        self._run(None, error, now_ns)

    def receive_frame(self, body: bytes, now_ns: int) -> None:
        """Take one frame. An unknown message is skipped; a frame that is no message of the protocol ends it all."""
        if self.is_over:
            return
        try:
            wrapper = message("ProtoMessage").FromString(body)
            kind = message_for(wrapper.payloadType)
            content = None if kind is None else kind.FromString(wrapper.payload)
        except DecodeError:
            self.stop(EnquiryFailed(EXIT_UNREACHABLE, "the other side does not speak the cTrader protocol"), now_ns)
            return
        if content is None:
            return
        self._receive(content, text(wrapper.clientMsgId) if wrapper.HasField("clientMsgId") else None, now_ns)

    def data_to_send(self, now_ns: int) -> list[bytes]:
        """Return the framed messages whose turn has come; a heartbeat when there was none for 10 s."""
        if not self._is_connected or self.is_over:
            return []
        bodies = []
        for request in list(self._waiting):
            if self._earliest_ns(request) <= now_ns:
                self._waiting.remove(request)
                self._general.record(now_ns)
                if is_historical(request.number):
                    self._historical.record(now_ns)
                request.written_ns = now_ns
                self._written[request.message_id] = request
                bodies.append(envelope(request.body, request.message_id))
        is_due = now_ns - self._sent_ns >= HEARTBEAT_IDLE_NS and not self._is_silent
        if not bodies and is_due and self._general.is_free(now_ns):
            self._general.record(now_ns)
            bodies.append(envelope(message("ProtoHeartbeatEvent")()))
        if bodies:
            self._sent_ns = now_ns
        return [frame(body) for body in bodies]

    def next_timeout_ns(self) -> int | None:
        """Return when `handle_timeout` or `data_to_send` has something to do next; None for never."""
        if not self._is_connected or self.is_over:
            return None
        times = [] if self._is_silent else [self._sent_ns + HEARTBEAT_IDLE_NS]
        times += [self._earliest_ns(request) for request in self._waiting]
        times += [r.written_ns + REPLY_TIMEOUT_NS for r in self._written.values() if r.written_ns is not None]
        if self._listening is not None:
            times.append(self._listen_end_ns)
        return min(times, default=None)

    def handle_timeout(self, now_ns: int) -> None:
        """Do what is due: end the listening, or give a request up that was not answered in time."""
        if self._listening is not None and now_ns >= self._listen_end_ns:
            self._end_listening(now_ns)
        for request in list(self._written.values()):
            if request.written_ns is not None and now_ns - request.written_ns >= REPLY_TIMEOUT_NS:
                why = f"the venue did not answer within {REPLY_TIMEOUT_NS / _SECOND_NS:.0f} s"
                self._answered(request, EnquiryRefused(TIMEOUT, why, request.name), None, now_ns)

    # -- what comes -------------------------------------------------------------------------------------------------

    def _receive(self, content: Any, message_id: str | None, now_ns: int) -> None:
        name = content.DESCRIPTOR.name
        request = self._written.get(message_id) if message_id is not None else None
        if request is None and message_id is None and name in _ERRORS[:2] and len(self._written) == 1:
            (request,) = self._written.values()  # an error without an id can only be about this one
        if request is not None:
            self._take_reply(request, content, now_ns)
            return
        if name == "ProtoOAClientDisconnectEvent":
            self.connection_lost(now_ns, f"the venue ended the connection: {text(content.reason) or 'no reason given'}")
            return
        if not self._has_begun:
            return
        self._heard.append(Heard(now_ns, content, message_id))
        listening = self._listening
        if listening is not None and listening.until is not None and listening.until(content):
            self._end_listening(now_ns)

    def _take_reply(self, request: _Request, content: Any, now_ns: int) -> None:
        if content.DESCRIPTOR.name not in _ERRORS:
            self._answered(request, content, now_ns, now_ns)
            return
        code, description = text(content.errorCode), text(content.description)
        has_wait = content.DESCRIPTOR.name == "ProtoOAErrorRes" and content.HasField("retryAfter")
        wait_s = float(content.retryAfter) if has_wait else None
        if self._may_repeat(request, code, wait_s):
            # Unless the venue says how long: a second, then two, then four.
            pause_s = max(1.0, wait_s if wait_s is not None else 2.0 ** (request.attempts - 1))
            self._repeat(request, now_ns + round(pause_s * _SECOND_NS))
            return
        refused = EnquiryRefused(code, description, request.name, wait_s)
        if code == "CH_CLIENT_ALREADY_AUTHENTICATED" and not self._has_begun:
            self._answered(request, content, now_ns, now_ns)
        else:
            self._answered(request, refused, now_ns, now_ns)

    @staticmethod
    def _may_repeat(request: _Request, code: str, wait_s: float | None) -> bool:
        if rule_for(code).reaction is not Reaction.SLOW_DOWN or request.name in _TRADING or request.unpaced:
            return False
        return request.attempts < MAX_ATTEMPTS and (wait_s is None or wait_s <= LONGEST_RETRY_AFTER_S)

    def _repeat(self, request: _Request, not_before_ns: int) -> None:
        again = _Request(request.body, self._new_id(), request.attempts + 1, not_before_ns)
        del self._written[request.message_id]
        self._asked[self._asked.index(request.message_id)] = again.message_id
        self._waiting.append(again)

    def _answered(self, request: _Request, reply: Any, recv_ns: int | None, now_ns: int) -> None:
        del self._written[request.message_id]
        self._answer_count += 1
        self._answers[request.message_id] = Answer(
            reply, request.message_id, request.written_ns, recv_ns, self._answer_count
        )
        self._go_on_when_complete(now_ns)

    def _refuse_unanswered(self, now_ns: int) -> None:
        refused = EnquiryRefused(DISCONNECTED, self._why_lost, "no connection")
        for message_id in self._asked:
            if message_id not in self._answers:
                self._answer_count += 1
                self._answers[message_id] = Answer(refused, message_id, None, None, self._answer_count)
        self._go_on_when_complete(now_ns)

    def _go_on_when_complete(self, now_ns: int) -> None:
        if not self._asked or any(message_id not in self._answers for message_id in self._asked):
            return
        answers = [self._answers[message_id] for message_id in self._asked]
        self._asked, self._answers = [], {}
        if not self._has_begun:
            self._begin(answers[0].reply, now_ns)
            return
        reply = self._hand_over(answers)
        if isinstance(reply, EnquiryRefused):
            self._run(None, reply, now_ns)
        else:
            self._run(reply, None, now_ns)

    # -- the script -------------------------------------------------------------------------------------------------

    def _begin(self, reply: Any, now_ns: int) -> None:
        if isinstance(reply, EnquiryRefused):
            self._finish(None, reply)
            return
        self._has_begun = True
        self._run(None, None, now_ns)

    def _run(self, reply: Any, error: Exception | None, now_ns: int) -> None:
        try:
            asked = self._script.send(reply) if error is None else self._script.throw(error)
        except StopIteration as stop:
            self._finish(stop.value, self._stopped_by)
        except EnquiryRefused as refused:
            self._finish(None, self._stopped_by or refused)
        except Exception as failure:  # a verdict of the script, or a defect of ours: the caller raises it again
            self._finish(None, failure)
        else:
            self._take(asked, now_ns)

    def _take(self, asked: Any, now_ns: int) -> None:
        if isinstance(asked, Listen):
            self._listening, self._listen_end_ns = asked, now_ns + round(asked.seconds * _SECOND_NS)
            already = asked.until is not None and any(asked.until(heard.message) for heard in self._heard)
            if already or not self._is_connected or asked.seconds <= 0:
                self._end_listening(now_ns)
            return
        if isinstance(asked, Silence):
            self._is_silent = True
            self._listening, self._listen_end_ns = Listen(asked.seconds), now_ns + round(asked.seconds * _SECOND_NS)
            if not self._is_connected:
                self._end_listening(now_ns)
            return
        if isinstance(asked, Beside):
            self._waits_beside = True
            if self._is_connected:
                self._beside = asked.script
            else:
                self.beside_over(EnquiryFailed(EXIT_UNREACHABLE, self._why_lost), now_ns)
            return
        if isinstance(asked, Timed):
            self._ask(asked.requests, list, unpaced=asked.unpaced)
        elif isinstance(asked, Message):
            self._ask([asked], _only_reply)
        else:
            self._ask(asked, _replies)
        if not self._asked:
            self._run([], None, now_ns)
        elif not self._is_connected:
            self._waiting.clear()
            self._refuse_unanswered(now_ns)

    def _end_listening(self, now_ns: int) -> None:
        if self._is_silent:
            self._listening, self._is_silent = None, False
            self._run(Silent(self._sent_ns, now_ns, None if self._is_connected else self._why_lost), None, now_ns)
            return
        heard = list(self._heard)
        self._heard.clear()
        self._listening = None
        self._run(heard, None, now_ns)

    def _finish(self, result: Any, error: Exception | None) -> None:
        self.is_over, self.result, self.error = True, result, error
        self._listening = None
        self._waiting.clear()
        self._written.clear()

    # -- what leaves ------------------------------------------------------------------------------------------------

    def _ask(
        self, requests: Sequence[Message], hand_over: Callable[[list[Answer]], Any], *, unpaced: bool = False
    ) -> None:
        asked = [_Request(body, self._new_id(), unpaced=unpaced) for body in requests]
        self._asked, self._answers, self._hand_over = [r.message_id for r in asked], {}, hand_over
        self._waiting += asked

    def _new_id(self) -> str:
        self._id_count += 1
        return f"{self._run_id}-{self._id_count}"

    def _earliest_ns(self, request: _Request) -> int:
        if request.unpaced:
            return request.not_before_ns
        limits = [request.not_before_ns, self._general.free_ns()]
        if is_historical(request.number):
            limits.append(self._historical.free_ns())
        return max(limit for limit in limits if limit is not None)


def _only_reply(answers: list[Answer]) -> Any:
    return answers[0].reply


def _replies(answers: list[Answer]) -> list[Any]:
    return [answer.reply for answer in answers]
