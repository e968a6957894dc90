"""The inputs that do not come from the wire, as JSON for the journal and back: commands and paper fills."""

import json
from dataclasses import asdict
from decimal import Decimal
from typing import Any

from bot.account.position import Deal
from bot.engine.events import CommandGiven, Event, ExecutionReported
from bot.execution.orders import OrderSnapshot
from bot.journal.format import JournalError

_MONEY = ("commission", "gross_profit", "swap", "close_commission", "balance")


def encode_inputs(events: list[Event]) -> bytes:
    """Return events as JSON; money is written as text, so that it reads back to the digit.

    Raises: TypeError for an event that is not an input of this side.
    """
    return json.dumps([_plain(event) for event in events], separators=(",", ":")).encode()


def _plain(event: Event) -> dict[str, Any]:
    if isinstance(event, CommandGiven):
        return {"command": event.command, "ns": event.recv_ns}
    if not isinstance(event, ExecutionReported) or not event.paper:
        raise TypeError(f"{type(event).__name__} comes from the wire and is journalled there")
    deal = None
    if event.deal is not None:
        deal = {key: str(v) if isinstance(v, Decimal) else v for key, v in asdict(event.deal).items()}
    return {
        "paper": event.kind,
        "ns": event.recv_ns,
        "client_order_id": event.client_order_id,
        "error_code": event.error_code,
        "order": asdict(event.order) if event.order is not None else None,
        "deal": deal,
    }


def decode_inputs(payload: bytes) -> list[Event]:
    """Return the events of an INPUT record.

    Raises: JournalError when the payload is not what `encode_inputs` writes.
    """
    try:
        return [_event(plain) for plain in json.loads(payload)]
    except (ValueError, TypeError, KeyError, ArithmeticError) as error:
        raise JournalError(f"an INPUT record cannot be read: {error!r}") from None


def _event(plain: dict[str, Any]) -> Event:
    if "command" in plain:
        return CommandGiven(plain["ns"], plain["command"])
    deal = None
    if plain["deal"] is not None:
        fields = dict(plain["deal"])
        fields.update({key: Decimal(fields[key]) for key in _MONEY if fields[key] is not None})
        deal = Deal(**fields)
    return ExecutionReported(
        recv_ns=plain["ns"],
        kind=plain["paper"],
        client_order_id=plain["client_order_id"],
        order=OrderSnapshot(**plain["order"]) if plain["order"] is not None else None,
        deal=deal,
        error_code=plain["error_code"],
        paper=True,
    )
