"""A desk whose market is known well enough to slice: volatility from a minute of ticks, Kyle's lambda from before."""

import math
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
from engine_desk import MIDS_E5, QUICK, SECOND, START, Desk

from bot.engine import events as ev
from bot.engine.decision import Decision
from bot.execution.plan import OrderStyle
from bot.market.delta import (
    CLEAR_BOOK,
    DEPTH_ASK,
    DEPTH_BID,
    END_DEPTH,
    END_SPOT,
    SPOT_ASK,
    SPOT_BID,
    delta_rows,
)
from bot.market.state import USUAL_NAMES, EvaluatorSettings
from bot.sizing.strategy import Parametrised

SLICED = OrderStyle("market_range", 20.0, "microlev", is_sliced=True)
_MIDS_E5 = (110_000, 109_988, 110_006, 110_012, 109_982, 110_000, 110_018)


def book_rows(s: int, mid_e5: int, tick_e5: int, share: float) -> list[tuple[int, int, int, int, int]]:
    """Return a whole book and a spot price around a mid; `share` of the usual sizes."""
    rows = [(CLEAR_BOOK, s, 0, 0, 0)]
    for i, (away, units) in enumerate(((1, 500_000), (5, 1_000_000), (9, 30_000_000))):
        size = round(units * share) * 100
        rows.append((DEPTH_BID, s, 10 + i, mid_e5 - away * tick_e5, size))
        rows.append((DEPTH_ASK, s, 20 + i, mid_e5 + away * tick_e5, size))
    rows += [(END_DEPTH, s, 0, 0, 0), (SPOT_BID, s, 0, mid_e5 - tick_e5, 0), (SPOT_ASK, s, 0, mid_e5 + tick_e5, 0)]
    return [*rows, (END_SPOT, s, 0, 0, 0)]


@dataclass(frozen=True)
class Dial(Parametrised):
    """Wants whatever a test turns it to, as a share of the base leverage."""

    name: ClassVar[str] = "dial"
    requires_caps: ClassVar[bool] = False
    factor_names: ClassVar[tuple[str, ...]] = ("dial",)
    at: list[float] = field(default_factory=lambda: [1.0])

    def factors(self, table: np.ndarray, side: np.ndarray) -> np.ndarray:
        return np.full((1, len(table)), self.at[0])


class SlicingDesk(Desk):
    """Wants 1x of five million in EURUSD, more than its best levels hold; `dial` is what it wants of that."""

    def __init__(self, *names: str, is_lambda_known: bool = True, **changes: Any) -> None:
        self.dial = Dial()
        # Neither the cost of leaving nor a crisis bounds what is wanted here: that is tested elsewhere.
        given: dict[str, Any] = {
            "balance": "5000000",
            "style": SLICED,
            "base_leverage": 1.0,
            "strategy": self.dial,
            "pace": replace(QUICK, heeds_crisis=False),
            "evaluator": EvaluatorSettings(exit_cost_cap_bps=1000.0),
        }
        super().__init__(*names, **(given | changes))
        self.ticks = 0
        if is_lambda_known:
            usual: list[float | None] = [None] * len(USUAL_NAMES)
            usual[USUAL_NAMES.index("lambda")] = math.log(0.02)
            content = {"quantities": list(USUAL_NAMES), "overall": usual, "overall_n": [1e6] * len(usual), "bins": []}
            self.engine.receive(ev.UsualRestored(START, dict.fromkeys(self.names, content)))

    def tick(self, seconds: float = 1.0, share: float = 1.0) -> Decision:
        """Let the market move a little, and time go on; return what that led to. `share` of the usual depth is there.

        The best level holds a tenth of what is wanted, the book several times all of it.
        """
        self.now_ns += round(seconds * SECOND)
        self.ticks += 1
        by_e5 = _MIDS_E5[self.ticks % len(_MIDS_E5)] - 110_000
        rows: list[tuple[int, int, int, int, int]] = []
        for s, name in enumerate(self.names):
            scale = 100 if name.endswith("JPY") else 1
            rows += book_rows(s, MIDS_E5[name] + scale * by_e5, scale, share)
        return self.hear(ev.MarketDataChanged(self.now_ns, delta_rows(rows)))

    def warm(self, *positions: Any) -> Decision:
        """Reach READY with a minute of ticks seen; return the first decision that may trade."""
        self.hear(
            ev.AccountLoaded(self.now_ns, self.account),
            self.loaded(),
            ev.Reconciled(self.now_ns, positions, ()),
            ev.ReadinessChanged(self.now_ns, ("subscribing",)),
        )
        for _ in range(60):
            self.tick()
        return self.hear(ev.ReadinessChanged(self.now_ns, ()))

    def trade(self, seconds: float, decision: Decision | None = None, share: float = 1.0) -> None:
        """Let time pass, second by second; every order is filled at once, or a share of it."""
        for _ in range(round(seconds)):
            if decision is not None and decision.requests:
                self.fill(decision, share)
            decision = self.tick()
        if decision is not None and decision.requests:
            self.fill(decision, share)

    @property
    def held_cents(self) -> int:
        return self.engine.portfolio.own_cents(1)
