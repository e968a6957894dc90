"""What is known of our fills in one symbol: how much, how fast, at what cost.

An hour without an order makes how much and how fast unknown. Poor fills alone can ask for a crisis level, in which
nothing is bought: without an end to what is known, no order would ever show that the venue fills again.
"""

from typing import Any

from bot.execution.fill_ratio import FillRatio
from bot.execution.latency import AGE_OUT_NS, ENOUGH_SAMPLES, StageLatency
from bot.execution.mark_outs import DELAYS_S, Fill, MarkOut, relative_bps
from bot.execution.slippage import Slippage
from bot.execution.weighted_mean import WeightedMean

STAGES = ("accepted", "filled", "total")  # sent to accepted, accepted to filled, sent to filled; first fills
_COSTS = ("effective_bps", *(f"{name}_{s}s_bps" for name in ("realised", "impact") for s in DELAYS_S))
_REFERENCES = ("decision_mid", "predicted", "limit")


class SymbolFills:
    """The statistics of one symbol. Units: as their parts say; costs in bps, positive against us."""

    def __init__(self) -> None:
        self.ratio = FillRatio()
        self.latency = {stage: StageLatency() for stage in STAGES}
        self.costs = {name: WeightedMean() for name in _COSTS}
        self.slippage = {reference: Slippage() for reference in _REFERENCES}
        self._ended_ns: int | None = None  # of the last order that counts; None: nothing is known

    def ended(self, fraction: float, sent_ns: int) -> None:
        """Take the share of an order that was filled, and when it was sent."""
        self.age(sent_ns)
        self.ratio.ended(fraction)
        self._ended_ns = sent_ns if self._ended_ns is None else max(sent_ns, self._ended_ns)  # ends come in any order

    def age(self, now_ns: int) -> None:
        """Forget what is more than an hour old."""
        for latency in self.latency.values():
            latency.age(now_ns)
        if self._ended_ns is not None and now_ns - self._ended_ns > AGE_OUT_NS:
            self.ratio.forget()
            self._ended_ns = None

    @property
    def oldest_ns(self) -> int | None:
        """When the first of what is known was learnt; None where nothing is."""
        lasts = [self._ended_ns, *(latency.last_ns for latency in self.latency.values())]
        return min((last for last in lasts if last is not None), default=None)

    def filled(self, fill: Fill, limit_price: float | None) -> None:
        """Take a fill's cost at once: against the mid of its decision and against the limit it was sent with."""
        effective = fill.effective_bps
        self.costs["effective_bps"].add(effective, fill.notional)
        self.slippage["decision_mid"].add(effective, fill.notional)
        if limit_price is not None:
            beyond = relative_bps(fill.side, limit_price, fill.price, fill.decision_mid)
            self.slippage["limit"].add(beyond, fill.notional)

    def marked_out(self, mark: MarkOut) -> None:
        """Take what a fill has become some time later."""
        self.costs[f"realised_{mark.delay_s}s_bps"].add(mark.realised_bps, mark.fill.notional)
        self.costs[f"impact_{mark.delay_s}s_bps"].add(mark.impact_bps, mark.fill.notional)

    @property
    def factor(self) -> float:
        """g_fill: clip(q10/0.9, 0.5, 1)·clip(usual p95/p95, 0.5, 1); each part is 1 with fewer than ten recent orders.

        Source: models 9.5.
        """
        by_ratio = 1.0
        if self.ratio.recent_count >= ENOUGH_SAMPLES:
            by_ratio = min(max(self.ratio.q10 / 0.9, 0.5), 1.0)
        return by_ratio * self.latency["total"].factor

    def summary(self) -> dict[str, Any]:
        """Return the figures for a report; None where one is not known."""
        told: dict[str, Any] = {"order_count": self.ratio.order_count, "fill_count": self.costs["effective_bps"].count}
        told["fill_frac"] = self.ratio.mean if self.ratio.order_count else None
        told["fill_frac_q10"] = self.ratio.q10 if self.ratio.order_count >= ENOUGH_SAMPLES else None
        for stage, latency in self.latency.items():
            told[f"{stage}_p50_s"] = _known(latency.p50_s)
            told[f"{stage}_p95_s"] = _known(latency.p95_s)
        told["usual_p95_s"] = _known(self.latency["total"].usual_p95_s)
        for name, mean in self.costs.items():
            told[name] = _known(mean.mean)
        for s in DELAYS_S:
            realised = told[f"realised_{s}s_bps"]
            told[f"mark_out_{s}s_bps"] = None if realised is None else -realised
        for reference, slippage in self.slippage.items():
            told[f"adverse_to_{reference}_bps"] = _known(slippage.adverse.mean)
            told[f"favourable_to_{reference}_bps"] = _known(slippage.favourable.mean)
        told["is_adverse_only"] = self.slippage["predicted"].is_adverse_only
        told["factor"] = self.factor
        return told


def _known(number: float) -> float | None:
    return None if number != number else number
