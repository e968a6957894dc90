"""The inputs that do not come from the wire, as JSON for the journal and back: commands, the machine's own state, paper
fills, token steps, blocks that another account on the connection was told of, what earlier runs have learnt.

Of a token only its end is kept: a marker stands for the rest, and nothing that is decided depends on it.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from decimal import Decimal
from typing import Any

from bot.account.position import Deal, Position
from bot.ctrader.ratelimit import KindHeld
from bot.ctrader.redact import MARKER
from bot.ctrader.token import TokenPair, TokenStep
from bot.engine.events import (
    CommandGiven,
    Event,
    ExecutionReported,
    GuardRestored,
    HostChecked,
    IntentsRestored,
    OpenIntent,
    RequestRefused,
    UsualRestored,
)
from bot.execution.orders import OrderSnapshot
from bot.journal.format import JournalError

_POSITION_MONEY = ("swap", "commission", "used_margin")
_MONEY = ("commission", "gross_profit", "swap", "close_commission", "balance")


def encode_inputs(events: Sequence[Event | TokenStep | KindHeld]) -> bytes:
    """Return events as JSON; money is written as text, so that it reads back to the digit.

    Raises: TypeError for an event that is not an input of this side.
    """
    return json.dumps([_plain(event) for event in events], separators=(",", ":")).encode()


def _plain(event: Event | TokenStep | KindHeld) -> dict[str, Any]:
    if isinstance(event, TokenStep):
        return {
            "token": event.step,
            "ns": event.recv_ns,
            "expires_ns": event.pair.expires_ns if event.pair is not None else None,
            "can_renew": event.pair is not None and event.pair.refresh_token is not None,
            "renewed": event.renewed,
            "text": event.text,
        }
    if isinstance(event, KindHeld):
        return {"held": event.payload_type, "ns": event.recv_ns, "until_ns": event.until_ns}
    if isinstance(event, CommandGiven):
        return {"command": event.command, "ns": event.recv_ns, "cause": event.cause, "text": event.text}
    if isinstance(event, HostChecked):
        return {"disk_free_bytes": event.disk_free_bytes, "ns": event.recv_ns, "clock_step_s": event.clock_step_s}
    if isinstance(event, UsualRestored):
        return {"usual": event.contents, "ns": event.recv_ns}
    if isinstance(event, GuardRestored):
        return {"guard": event.content, "ns": event.recv_ns}
    if isinstance(event, IntentsRestored):
        return {
            "intents": [asdict(i) for i in event.intents],
            "ns": event.recv_ns,
            "since_ns": event.since_ns,
            "sent_ns": event.sent_ns,
            "deal_ids": event.deal_ids,
        }
    if isinstance(event, RequestRefused) and event.paper:
        return {"paper_refused": event.error_code, "ns": event.recv_ns, "client_order_id": event.client_order_id}
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
        "position": _text_money(event.position) if event.position is not None else None,
    }


def _text_money(position: Position) -> dict[str, Any]:
    return {key: str(v) if isinstance(v, Decimal) else v for key, v in asdict(position).items()}


def decode_inputs(payload: bytes) -> list[Event | TokenStep | KindHeld]:
    """Return the events of an INPUT record.

    Raises: JournalError when the payload is not what `encode_inputs` writes.
    """
    try:
        return [_event(plain) for plain in json.loads(payload)]
    except (ValueError, TypeError, KeyError, ArithmeticError) as error:
        raise JournalError(f"an INPUT record cannot be read: {error!r}") from None


def _event(plain: dict[str, Any]) -> Event | TokenStep | KindHeld:
    if "held" in plain:
        return KindHeld(plain["ns"], plain["held"], plain["until_ns"])
    if "token" in plain:
        pair = None
        if plain["token"] == "use":
            pair = TokenPair(MARKER, MARKER if plain["can_renew"] else None, plain["expires_ns"])
        return TokenStep(plain["ns"], plain["token"], pair, plain["renewed"], plain["text"])
    if "usual" in plain:
        return UsualRestored(plain["ns"], plain["usual"])
    if "guard" in plain:
        return GuardRestored(plain["ns"], plain["guard"])
    if "intents" in plain:
        intents = tuple(OpenIntent(**i) for i in plain["intents"])
        sent_ns, deal_ids = (tuple(plain.get(name, ())) for name in ("sent_ns", "deal_ids"))
        return IntentsRestored(plain["ns"], intents, plain["since_ns"], sent_ns, deal_ids)
    if "command" in plain:
        return CommandGiven(plain["ns"], plain["command"], plain.get("cause", "by_hand"), plain.get("text", ""))
    if "disk_free_bytes" in plain:
        return HostChecked(plain["ns"], plain["disk_free_bytes"], plain["clock_step_s"])
    if "paper_refused" in plain:
        return RequestRefused(plain["ns"], plain["client_order_id"], plain["paper_refused"], paper=True)
    deal = None
    if plain["deal"] is not None:
        fields = dict(plain["deal"])
        fields.update({key: Decimal(fields[key]) for key in _MONEY if fields[key] is not None})
        deal = Deal(**fields)
    position = None
    if plain.get("position") is not None:
        fields = dict(plain["position"])
        fields.update({key: Decimal(fields[key]) for key in _POSITION_MONEY if fields[key] is not None})
        position = Position(**fields)
    return ExecutionReported(
        recv_ns=plain["ns"],
        kind=plain["paper"],
        client_order_id=plain["client_order_id"],
        order=OrderSnapshot(**plain["order"]) if plain["order"] is not None else None,
        deal=deal,
        position=position,
        error_code=plain["error_code"],
        paper=True,
    )
