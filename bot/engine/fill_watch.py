"""Follows our own orders for what their fills teach: tells the statistics, and the evaluator what follows.

How it works: orders are told of when they are sent, by the venue's events, and when they end; what the statistics make
of it reaches the evaluator only when it has changed.
"""

from math import isfinite

import numpy as np

from bot.engine.decision import DealMark, IntendedOrder, OrderChange
from bot.engine.events import ExecutionReported
from bot.execution.fill_quality import FillQuality
from bot.execution.in_flight import FINAL
from bot.execution.requests import PlaceOrder, Request
from bot.market.evaluator import Evaluator
from bot.market.symbols import SymbolSpec

# Filled within the range or lost: a resting order that waits for its price says nothing about how the venue fills.
_MARKETABLE = ("market", "market_range")
_DEALS_KEPT = _ORDERS_KEPT = 4096
_AGE_NS = 60_000_000_000  # latencies grow old while nothing else happens


class FillWatch:
    """The fill statistics of a run. `quality` holds them; None before the symbols are known."""

    def __init__(self) -> None:
        self.quality: FillQuality | None = None
        self._names: tuple[str, ...] = ()
        self._shown: np.ndarray | None = None
        self._looked_ns = 0
        self._deals: set[int] = set()  # of late: the venue may tell of one twice
        self._decided: dict[str, tuple[float | None, float | None]] = {}  # of late: mid, and predicted cost

    def load(self, specs: tuple[SymbolSpec, ...]) -> None:
        """Take the symbols; unless they only go on where those before ended, the statistics begin anew."""
        names = tuple(spec.name for spec in specs)
        known = len(self._names)
        if self.quality is not None and names[:known] == self._names:
            self.quality.extend(names[known:])
            self._names = names
        elif names != self._names:
            self.quality, self._names, self._shown = FillQuality(names), names, None

    def sent(self, order: IntendedOrder, request: Request, s: int, digits: int, mid: float, now_ns: int) -> None:
        """Take an order that leaves with this decision. Args: `digits` of its symbol; `mid` it was decided at."""
        if len(self._decided) >= _ORDERS_KEPT:
            del self._decided[next(iter(self._decided))]
        self._decided[order.client_order_id] = mid if isfinite(mid) else None, order.predicted_slippage_bps
        if self.quality is None or order.order_type not in _MARKETABLE or not order.volume_cents:
            return
        side, limit = 1 if order.side == "buy" else -1, None
        if isinstance(request, PlaceOrder) and request.base_price is not None and request.slippage_points is not None:
            limit = request.base_price + side * request.slippage_points * 10.0**-digits
        self.quality.sent(
            order.client_order_id, s, side, order.volume_cents, mid, order.predicted_slippage_bps, limit, now_ns
        )

    def decided(self, client_order_id: str | None) -> tuple[float | None, float | None]:
        """Return the mid that an order was decided at, and its predicted cost against that in bps; None unknown."""
        return self._decided.get(client_order_id or "", (None, None))

    def executed(self, event: ExecutionReported) -> None:
        """Take what the venue says of an order."""
        if self.quality is None or event.client_order_id is None:
            return
        if event.kind == "accepted":
            self.quality.accepted(event.client_order_id, event.recv_ns)
        if event.deal is not None and event.deal.deal_id not in self._deals:
            if len(self._deals) >= _DEALS_KEPT:
                self._deals.clear()
            self._deals.add(event.deal.deal_id)
            volume, price = abs(event.deal.volume_cents), event.deal.price
            self.quality.filled(
                event.client_order_id, volume, price, event.recv_ns, event.deal.deal_id, paper=event.deal.paper
            )

    def changed(self, changes: tuple[OrderChange, ...]) -> None:
        """Take the states that our orders have moved to."""
        if self.quality is None:
            return
        for change in changes:
            if change.state in FINAL:
                never_left = change.error_code in ("NOT_SENT", "NOT_READY")
                self.quality.ended(
                    change.order.client_order_id, change.state, executed_cents=change.executed_cents, by_us=never_left
                )

    def take_excess_bps(self) -> list[float]:
        """Return what orders that ended since the last call cost beyond their prediction, bps."""
        return [] if self.quality is None else self.quality.take_excess_bps()

    def look(self, evaluator: Evaluator, now_ns: int) -> list[DealMark]:
        """Return the mark-outs that have fallen due, and tell the evaluator what was learnt."""
        marks: list[DealMark] = []
        if self.quality is None:
            return marks
        due_ns = self.quality.next_due_ns()
        if (due_ns is not None and now_ns >= due_ns) or now_ns - self._looked_ns >= _AGE_NS:
            self._looked_ns = now_ns
            for seen in self.quality.observe(evaluator.features.mid, now_ns):
                if (deal_id := seen.fill.deal_id) is not None:
                    costs = seen.realised_bps, seen.impact_bps
                    marks.append(DealMark(deal_id, seen.delay_s, seen.mid, *costs, seen.fill.is_paper))
        if self.quality.fill_frac() is not self._shown:
            self._shown = self.quality.fill_frac()
            quality = self.quality
            evaluator.set_fills(self._shown, quality.factors(), quality.q10(), quality.p50_latency_s())
        return marks
