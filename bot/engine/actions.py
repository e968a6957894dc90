"""What one decision leads to, while it is being made: orders, requests, refusals, news, in the order they came up."""

from dataclasses import dataclass, field

import numpy as np

from bot.account.risk import Refused
from bot.engine.decision import CountedDeal, DealMark, Decision, EngineState, IntendedOrder, Notice, OrderChange
from bot.execution.requests import Request


@dataclass(slots=True)
class Actions:
    """Lists that grow until the Decision is made of them."""

    intended: list[IntendedOrder] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    deals: list[CountedDeal] = field(default_factory=list)
    marks: list[DealMark] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)

    def decision(
        self, now_ns: int, rows: np.ndarray, changes: tuple[OrderChange, ...], state: EngineState | None
    ) -> Decision:
        """Return the Decision."""
        return Decision(
            now_ns,
            rows,
            tuple(self.intended),
            tuple(self.requests),
            changes,
            tuple(self.refused),
            state,
            tuple(self.deals),
            tuple(self.marks),
            tuple(self.notices),
        )
