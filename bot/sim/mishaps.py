"""Orders that go wrong by arrangement: filled in part, or refused after they were accepted.

How it works: a mishap is arranged once and happens once, to the next order it fits: of its account, or of any. Orders
the venue makes itself (stop-out, protections) are spared.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PartialFill:
    """The next market order, market-range order or close fills only a part.

    Units: `fraction` of the order's volume, between 0 and 1, rounded down to the symbol's step, at least one step;
        `rest` is "cancelled" at once or "filled" by a second execution `delay_ns` later. `account_id` None: any.
    """

    account_id: int | None
    fraction: float
    rest: str
    delay_ns: int

    def __post_init__(self) -> None:
        if not 0 < self.fraction < 1:
            raise ValueError(f"the fraction of a partial fill must lie between 0 and 1, not {self.fraction}")
        if self.rest not in ("cancelled", "filled"):
            raise ValueError(f"the rest of a partial fill is cancelled or filled, not {self.rest!r}")
        if self.delay_ns < 0:
            raise ValueError(f"the delay must not be negative, not {self.delay_ns} ns")

    def part(self, volume_cents: int, step_cents: int) -> int | None:
        """Return the part of a volume that is filled, on the grid; None for a volume that has no smaller part."""
        part = max(step_cents, int(volume_cents * self.fraction) // step_cents * step_cents)
        return part if part < volume_cents else None


@dataclass(frozen=True, slots=True)
class Rejection:
    """The next order is rejected by an execution event, before anything of it is filled.

    `accepted_first`: ORDER_ACCEPTED comes before ORDER_REJECTED. `account_id` None: any.
    """

    account_id: int | None
    code: str
    accepted_first: bool = True


class Mishaps:
    """What is arranged, in the order it was."""

    def __init__(self) -> None:
        self._fills: list[PartialFill] = []
        self._rejections: list[Rejection] = []

    def arrange(self, mishap: PartialFill | Rejection) -> None:
        """Have it happen to the next order it fits."""
        if isinstance(mishap, PartialFill):
            self._fills.append(mishap)
        else:
            self._rejections.append(mishap)

    def take_fill(self, account_id: int, volume_cents: int, step_cents: int) -> PartialFill | None:
        """Use up the partial fill for an order of this volume; None without one, or when it cannot be divided."""
        for index, fill in enumerate(self._fills):
            if fill.account_id in (None, account_id) and fill.part(volume_cents, step_cents) is not None:
                return self._fills.pop(index)
        return None

    def take_rejection(self, account_id: int) -> Rejection | None:
        """Use up the rejection for an order; None without one."""
        for index, rejection in enumerate(self._rejections):
            if rejection.account_id in (None, account_id):
                return self._rejections.pop(index)
        return None
