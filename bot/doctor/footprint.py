"""What the orders of an examination may have left at the venue, and how each of them is made and sent."""

from dataclasses import dataclass, field
from typing import Any

from bot.ctrader.enquiry import Script
from bot.ctrader.schema import enum
from bot.doctor.facts import Facts
from bot.doctor.trial import Refused, Trial, try_order
from bot.market.symbols import SymbolSpec


@dataclass(slots=True)
class Footprint:
    """What this examination may have left at the venue. `is_dirty` until it is known that nothing is left."""

    tag: str
    is_dirty: bool = False
    is_in_doubt: bool = False  # a request is under way, or was never answered
    order_ids: set[int] = field(default_factory=set)
    position_ids: set[int] = field(default_factory=set)
    sent_count: int = 0

    @property
    def label(self) -> str:
        """The label on every order of this examination."""
        return f"microlev-doctor-{self.tag}"

    def next_client_order_id(self) -> str:
        """Return an id no other order has."""
        self.sent_count += 1
        return self.last_client_order_id

    @property
    def last_client_order_id(self) -> str:
        """The id that was given out last."""
        return f"doctor-{self.tag}-{self.sent_count}"

    def note(self, trial: Trial) -> None:
        """Remember what a trial has touched."""
        orders, positions = trial.ids
        self.order_ids |= orders
        self.position_ids |= positions


def new_order(facts: Facts, spec: SymbolSpec, footprint: Footprint, kind: str, side: str, **fields: Any) -> Any:
    """Return an order of the smallest volume, with this examination's label and an id of its own.

    Source: ProtoOANewOrderReq; `kind` is a name of ProtoOAOrderType, `side` BUY or SELL.
    """
    return facts.ask(
        "NewOrder",
        symbolId=spec.symbol_id,
        orderType=enum("ProtoOAOrderType")[kind],
        tradeSide=enum("ProtoOATradeSide")[side],
        volume=spec.min_volume_cents,
        label=footprint.label,
        clientOrderId=footprint.next_client_order_id(),
        **fields,
    )


def attempt(facts: Facts, footprint: Footprint, request: Any, *, ends: bool) -> Script[Trial]:
    """Send a trading request as `try_order` does, and remember what it touched.

    Raises: Refused, EnquiryRefused; see `try_order`.
    """
    footprint.is_in_doubt = True
    try:
        trial = yield from try_order(facts, request, ends=ends)
    except Refused:
        footprint.is_in_doubt = False
        raise
    footprint.is_in_doubt = False
    footprint.note(trial)
    return trial


def close(facts: Facts, footprint: Footprint, position_id: int, volume_cents: int) -> Script[Trial]:
    """Close some of a position of ours. Raises: as `attempt`."""
    request = facts.ask("ClosePosition", positionId=position_id, volume=volume_cents)
    return (yield from attempt(facts, footprint, request, ends=True))
