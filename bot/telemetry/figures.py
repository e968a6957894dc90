"""What a run counts about itself, for its summary."""

import math
from array import array
from collections import Counter
from dataclasses import dataclass, field

from bot.engine.decision import Decision, EngineState, OrderChange
from bot.execution.in_flight import FINAL, WORKING
from bot.telemetry.latency import LatencyBuckets

LATENCIES_KEPT = 100_000


@dataclass(slots=True)
class RunFigures:
    """What a run counts.

    Units: `decision_ns` from the arrival of the bytes to the Decision, `order_ns` from there to the order's bytes on
    their way; the first 100 000 of each, and all of them in `decision_latency` and `order_latency`. `order_states` says
    how many changes to each state there were. `open_orders` holds our orders without a final state, by client order id.
    `connected_ns` is when the link that stands came up, None while there is none; `last_error` when and what.
    """

    frames: int = 0
    decisions: int = 0
    intended: int = 0
    refused: int = 0
    order_changes: int = 0
    connections: int = 0
    ready_ns: int | None = None
    connected_ns: int | None = None
    state: EngineState | None = None
    last_error: tuple[int, str] | None = None
    decision_ns: "array[int]" = field(default_factory=lambda: array("q"))
    order_ns: "array[int]" = field(default_factory=lambda: array("q"))
    decision_latency: LatencyBuckets = field(default_factory=LatencyBuckets)
    order_latency: LatencyBuckets = field(default_factory=LatencyBuckets)
    order_states: Counter[str] = field(default_factory=Counter)
    open_orders: dict[str, OrderChange] = field(default_factory=dict)

    def count(self, decision: Decision) -> None:
        """Add one Decision."""
        self.decisions += 1
        self.intended += len(decision.intended)
        self.refused += len(decision.refused)
        self.order_changes += len(decision.order_changes)
        self.state = decision.state or self.state
        for change in decision.order_changes:
            self.order_states[change.state] += 1
            if change.error_code is not None:
                order = change.order
                self.note_error(decision.now_ns, f"{order.action} {order.symbol} {change.state}: {change.error_code}")
            # An amendment has done its part when the order it was for is replaced.
            is_amended = change.order.action == "amend" and change.state == "replaced"
            if change.state in FINAL or is_amended:
                self.open_orders.pop(change.order.client_order_id, None)
            else:
                self.open_orders[change.order.client_order_id] = change

    @property
    def unanswered(self) -> dict[str, OrderChange]:
        """Our orders whose end nobody has told us of, by client order id: not those that rest in the book."""
        return {
            own_id: change
            for own_id, change in self.open_orders.items()
            if not (change.order.order_type in ("limit", "stop") and change.state in WORKING)
        }

    def note_error(self, now_ns: int, text: str) -> None:
        """Remember what went wrong last."""
        self.last_error = now_ns, text

    def decided_in(self, elapsed_ns: int) -> None:
        """Note how long a Decision took."""
        self.decision_latency.add(elapsed_ns)
        if len(self.decision_ns) < LATENCIES_KEPT:
            self.decision_ns.append(elapsed_ns)

    def ordered_in(self, elapsed_ns: int) -> None:
        """Note how long an order's bytes took."""
        self.order_latency.add(elapsed_ns)
        if len(self.order_ns) < LATENCIES_KEPT:
            self.order_ns.append(elapsed_ns)

    def percentile_us(self, samples: "array[int]", share: float) -> float | None:
        """Return a percentile of samples in microseconds; None without samples."""
        if not samples:
            return None
        ordered = sorted(samples)
        return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)] / 1000
