"""Somebody else's resting order in a traded symbol, and what its owner would have it be: for `manage: all`."""

from dataclasses import dataclass, replace
from typing import Any

from bot.execution.in_flight import OwnOrder
from bot.execution.orders import OrderSnapshot
from bot.execution.requests import AmendOrder

TERMS = (
    *("limit_price", "stop_price", "expires_ns", "stop_loss", "take_profit", "relative_stop_loss_e5"),
    *("relative_take_profit_e5", "slippage_points", "trailing", "guaranteed", "trigger_method"),
)
"""What an owner chooses of an order beside its volume; requests have fields of the same names."""


def terms(snapshot: OrderSnapshot | AmendOrder) -> dict[str, Any]:
    """Return the terms of an order by name."""
    return {name: getattr(snapshot, name) for name in TERMS}


@dataclass(slots=True)
class ForeignOrder:
    """Somebody else's resting order: its life, its owner's wish, what the venue last said, what we last asked.

    `replaces` is the order whose place it is to take, or has taken: `cancel_id` the id of the cancel that has to
    succeed first. `roomy_ns` since when there has been room to give it back more. `is_altered` says that we have asked
    for a change of it, in this run or an earlier one, or placed it: the venue alone cannot tell its owner's wish then.
    """

    life: OwnOrder
    wish: OrderSnapshot
    seen: OrderSnapshot
    asked: AmendOrder | None = None
    cancel_id: str | None = None
    anew_cents: int = 0
    roomy_ns: int | None = None
    is_altered: bool = False

    @property
    def wish_left_cents(self) -> int:
        """What its owner would still have rest, positive."""
        return max(abs(self.wish.volume_cents) - self.life.executed_cents, 0)

    @property
    def is_in_place(self) -> bool:
        """Whether its prices and terms are its owner's."""
        return terms(self.seen) == terms(self.wish)

    def observe(self) -> bool:
        """Compare what the venue says with what was asked: what is neither that nor as before is its owner's.

        Returns whether the venue has said anything new.
        """
        now, before = self.life.snapshot, self.seen
        if now is None or now is before:
            return False
        self.seen = now
        changed: dict[str, Any] = {}
        for name in TERMS:
            told = getattr(now, name)
            if told != getattr(before, name) and (self.asked is None or told != getattr(self.asked, name)):
                changed[name] = told
        if now.volume_cents != before.volume_cents:
            if self.asked is None or abs(now.volume_cents) != self.asked.volume_cents:
                changed["volume_cents"] = now.volume_cents
        if changed:
            self.wish = replace(self.wish, **changed)
        return True
