"""What a link is to do with one request after the faults have had their say."""

from dataclasses import dataclass
from typing import Any

from bot.ctrader.schema import enum, message
from bot.sim.faults.conditions import error_res
from bot.sim.faults.link_faults import Drop
from bot.sim.faults.match import Seen
from bot.sim.faults.reply_faults import Reject
from bot.sim.request_log import IGNORED


@dataclass(slots=True)
class Verdict:
    """By default the request is executed and answered.

    `outcome` not None: it is not executed, and this goes to the log; `reply` is then sent if there is one. `is_silent`:
    nothing that its execution sends on this link leaves. `drop`: the connection ends afterwards.
    """

    outcome: str | None = None
    reply: Any = None
    is_silent: bool = False
    drop: Drop | None = None

    def refuse(self, code: str, reply: Any) -> None:
        """Answer with a refusal instead of executing, unless something was decided already."""
        if self.outcome is None:
            self.outcome, self.reply = code, reply

    def ignore(self) -> None:
        """Do as if the request had never come."""
        if self.outcome is None:
            self.outcome = IGNORED

    def end(self, drop: Drop) -> None:
        """End the connection before, in the middle of, or after the request."""
        self.drop = drop
        if drop.when == "before":
            self.ignore()
        elif drop.when == "after_execution":
            self.is_silent = True


def rejection(reject: Reject, seen: Seen) -> Any:
    """Return the message that refuses a request in the shape a fault asks for.

    Source: the three shapes of a refused order: ProtoOAErrorRes, ProtoOAOrderErrorEvent, and ProtoOAExecutionEvent
    with ORDER_REJECTED (a cancel: ORDER_CANCEL_REJECTED) and an errorCode; besides, the common ProtoErrorRes.
    """
    account_id = seen.account_id
    if reject.shape == "common":
        return message("ProtoErrorRes")(errorCode=reject.code, description=reject.description)
    if reject.shape == "error_res" or account_id is None:
        return error_res(reject.code, reject.description, account_id)
    if reject.shape == "order_error":
        # The real venue leaves the ids at 0 though an entity was meant: nobody may rely on them.
        return message("ProtoOAOrderErrorEvent")(
            ctidTraderAccountId=account_id, errorCode=reject.code, orderId=0, positionId=0,
            description=reject.description,
        )  # fmt: skip
    kind = "ORDER_CANCEL_REJECTED" if seen.name == "ProtoOACancelOrderReq" else "ORDER_REJECTED"
    return message("ProtoOAExecutionEvent")(
        ctidTraderAccountId=account_id,
        executionType=enum("ProtoOAExecutionType")[kind],
        errorCode=reject.code,
        isServerEvent=False,
    )
