"""One order on its way: sent, and everything heard of it until it has ended or rests."""

from typing import Any

from bot.ctrader.enquiry import Answer, EnquiryRefused, Heard, Listen, Script, Timed
from bot.ctrader.schema import enum
from bot.ctrader.translate import text
from bot.doctor.facts import Facts

PATIENCE_S = 10.0
AFTERMATH_S = 0.5
"""How long after an order's end its other messages are waited for: margin, position, late copies."""

_ENDINGS = ("ORDER_FILLED", "ORDER_CANCELLED", "ORDER_REJECTED", "ORDER_EXPIRED", "ORDER_CANCEL_REJECTED")


class Refused(Exception):
    """The venue refused the order; `code` says why."""

    def __init__(self, refused: EnquiryRefused) -> None:
        super().__init__(str(refused))
        self.code = refused.code


class Trial:
    """What one request brought: `events` in order as (name, whether it carried the request's message id, message).

    Others may trade on the account at the same time: only what belongs to this request's order is taken in.
    """

    def __init__(self, answer: Answer) -> None:
        self.message_id = answer.message_id
        self.events: list[tuple[str, bool, Any]] = [(event_name(answer.reply), True, answer.reply)]
        self.written_ns, self.recv_ns = answer.written_ns, answer.recv_ns

    def add(self, heard: list[Heard]) -> None:
        """Take in what belongs to the request."""
        for one in heard:
            has_id = one.message_id == self.message_id
            if has_id or self.owns(one.message):
                self.events.append((event_name(one.message), has_id, one.message))

    def owns(self, event: Any) -> bool:
        """Return whether a message names this request's order, or a position that it acts on."""
        orders, positions = self.ids
        match event.DESCRIPTOR.name:
            case "ProtoOAExecutionEvent":
                return event.HasField("order") and event.order.orderId in orders
            case "ProtoOAOrderErrorEvent":
                return event.orderId in orders
            case "ProtoOAMarginChangedEvent":
                return event.positionId in positions
        return False

    @property
    def names(self) -> list[str]:
        """The events by name, in order."""
        return [name for name, _, _ in self.events]

    def last_with(self, field: str) -> Any:
        """Return the last event that has a field (`deal`, `position`, `order`); None when none has."""
        executions = [e for _, _, e in self.events if e.DESCRIPTOR.name == "ProtoOAExecutionEvent"]
        return next((event for event in reversed(executions) if event.HasField(field)), None)

    @property
    def deals(self) -> list[Any]:
        """The deals, each once."""
        executions = [e for _, _, e in self.events if e.DESCRIPTOR.name == "ProtoOAExecutionEvent"]
        return list({event.deal.dealId: event.deal for event in executions if event.HasField("deal")}.values())

    @property
    def ids(self) -> tuple[set[int], set[int]]:
        """Order ids and position ids that were named, 0 left out."""
        executions = [e for _, _, e in self.events if e.DESCRIPTOR.name == "ProtoOAExecutionEvent"]
        orders = {event.order.orderId for event in executions if event.HasField("order")}
        positions = {event.position.positionId for event in executions if event.HasField("position")}
        positions |= {event.order.positionId for event in executions if event.HasField("order")}
        return orders - {0}, positions - {0}

    @property
    def rejection(self) -> EnquiryRefused | None:
        """The refusal that came as an ORDER_REJECTED event; None without one."""
        rejected = [event for name, _, event in self.events if name == "ORDER_REJECTED"]
        return EnquiryRefused(text(rejected[0].errorCode), "", "the order was rejected") if rejected else None

    @property
    def sequence(self) -> str:
        """The events in words: `ORDER_ACCEPTED*, ORDER_FILLED`, where `*` marks those with the request's message id."""
        return ", ".join(f"{name}{'*' if has_id else ''}" for name, has_id, _ in self.events)


def event_name(event: Any) -> str:
    """Return an execution event's type by name, another message's own name without its prefix."""
    if event.DESCRIPTOR.name != "ProtoOAExecutionEvent":
        return str(event.DESCRIPTOR.name).removeprefix("ProtoOA")
    return next(name for name, n in enum("ProtoOAExecutionType").items() if n == event.executionType)


def try_order(facts: Facts, request: Any, *, ends: bool) -> Script[Trial]:
    """Send a trading request and listen until its order has ended (`ends`) or, resting, a little; a script.

    Raises: Refused, EnquiryRefused for one without an answer: its outcome is then unknown.
    """
    (answer,) = yield Timed(request)
    if isinstance(answer.reply, EnquiryRefused):
        if answer.reply.code in ("TIMEOUT", "DISCONNECTED"):
            raise answer.reply
        raise Refused(answer.reply)
    trial = Trial(answer)
    if ends and trial.names[-1] not in _ENDINGS:

        def has_ended(event: Any) -> bool:
            return event_name(event) in _ENDINGS and trial.owns(event)

        heard = yield Listen(PATIENCE_S, until=has_ended)
        facts.hear(heard)
        trial.add(heard)
    heard = yield Listen(AFTERMATH_S)
    facts.hear(heard)
    trial.add(heard)
    return trial
