"""Trading requests and their echoes: which of our client order ids an event of the venue is about."""

from collections import OrderedDict
from typing import Any

from google.protobuf.message import Message

from bot.ctrader import trade_messages
from bot.engine.events import RequestRefused
from bot.execution.requests import AmendOrder, CancelOrder, ClosePosition, PlaceOrder, ProtectPosition, TradeRequest
from bot.market.symbols import SymbolSpec

_REMEMBERED = 4096


def to_wire(request: TradeRequest, account_id: int, spec: SymbolSpec | None) -> Message:
    """Return the wire form of a trading request.

    Raises: ValueError when the venue could not take it.
    """
    match request:
        case PlaceOrder():
            return trade_messages.new_order(request, account_id, spec)
        case ClosePosition():
            return trade_messages.close_position(request, account_id)
        case AmendOrder():
            return trade_messages.amend_order(request, account_id, spec)
        case CancelOrder():
            return trade_messages.cancel_order(request, account_id)
        case ProtectPosition():
            return trade_messages.protect_position(request, account_id, spec)


def refused(
    request: TradeRequest,
    code: str,
    description: str,
    recv_ns: int,
    order_id: int | None = None,
    position_id: int | None = None,
    *,
    outcome_unknown: bool = False,
    retry_at_ns: int | None = None,
) -> RequestRefused:
    """Return the refusal of a request; ids the venue left out (or sent as 0) are taken from the request."""
    return RequestRefused(
        recv_ns=recv_ns,
        client_order_id=request.client_order_id,
        error_code=code,
        description=description,
        order_id=order_id or getattr(request, "order_id", None),
        position_id=position_id or getattr(request, "position_id", None),
        outcome_unknown=outcome_unknown,
        retry_at_ns=retry_at_ns,
    )


class OrderIds:
    """Venue order id -> our client order id, for orders that carry none on the wire (closing orders).

    It outlives connections, because orders do, and forgets the oldest.
    """

    def __init__(self) -> None:
        self._ids: OrderedDict[int, str] = OrderedDict()

    def learn(self, request: TradeRequest, event: Any) -> None:
        """Take the first event that answers a close: it names the closing order the venue made."""
        if isinstance(request, ClosePosition) and event.HasField("order"):
            self._ids[event.order.orderId] = request.client_order_id
            if len(self._ids) > _REMEMBERED:
                self._ids.popitem(last=False)

    def find(self, event: Any) -> str | None:
        """Return our id for the order of an execution event; None when it is not a close of ours."""
        order_id = event.order.orderId if event.HasField("order") else event.deal.orderId
        return self._ids.get(order_id)
