"""What can go wrong with the answer to one request."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reject:
    """The request is refused with any code, known or not.

    `shape`: error_res (ProtoOAErrorRes), common (ProtoErrorRes), order_error (ProtoOAOrderErrorEvent) or execution (an
    order is taken in and then rejected by an execution event; other trading requests are refused by one).
    """

    code: str
    shape: str = "error_res"
    description: str = "refused by a fault of the simulator"


@dataclass(frozen=True, slots=True)
class NoReply:
    """Nothing comes back. `request` is executed all the same, or ignored."""

    request: str = "ignored"  # executed | ignored


@dataclass(frozen=True, slots=True)
class PartialFill:
    """The next market order or close fills this part of its volume; the `rest` is cancelled, or filled after it."""

    fraction: float = 0.5
    rest: str = "cancelled"  # cancelled | filled
