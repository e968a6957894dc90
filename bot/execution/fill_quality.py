"""How well the venue fills our orders, symbol by symbol, and how much less leverage that is worth.

How it works: the caller tells the life of each order (`sent`, `accepted`, `filled`, `ended`, a last fill before the
end that comes with it) and shows the mids at least every 250 ms (`observe`), which fills wait for. The arrays handed
out are kept, and made anew for the first reader after something has happened. An order that was never
`sent` here (of an earlier run, of somebody else) is not looked at, and neither is what follows an order's end.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bot.execution.latency import AGE_OUT_NS, ENOUGH_SAMPLES
from bot.execution.mark_outs import Fill, MarkOut, MarkOuts, relative_bps
from bot.execution.symbol_fills import SymbolFills

COUNTED_STATES = frozenset({"filled", "cancelled", "expired", "rejected"})
"""Final states that say how the venue fills; `resolved` is an order that never reached it."""


@dataclass(slots=True)
class _OnItsWay:
    symbol_index: int
    side: int
    volume_cents: int
    decision_mid: float
    predicted_bps: float | None
    limit_price: float | None
    sent_ns: int
    accepted_ns: int | None = None
    executed_cents: int = 0
    paid: float = 0.0  # sum of volume times price


class FillQuality:
    """Statistics of our own orders. Args: `symbols` their names, in the order of every (S,) array."""

    def __init__(self, symbols: Sequence[str]) -> None:
        self._symbols = tuple(symbols)
        self._fills = [SymbolFills() for _ in self._symbols]
        self._orders: dict[str, _OnItsWay] = {}
        self._mark_outs = MarkOuts()
        self._excess_bps: list[float] = []
        self._age_ns: int | None = None
        self._arrays: _Arrays | None = None  # None: to be made for the next reader

    def extend(self, symbols: Sequence[str]) -> None:
        """Take further symbols behind those that are known, which keep what they have."""
        self._symbols += tuple(symbols)
        self._fills += [SymbolFills() for _ in symbols]
        self._arrays = None

    # -- the life of an order -----------------------------------------------------------------------------------

    def sent(
        self,
        order_id: str,
        symbol_index: int,
        side: int,
        volume_cents: int,
        decision_mid: float,
        predicted_bps: float | None,
        limit_price: float | None,
        now_ns: int,
    ) -> None:
        """Remember an order that leaves now.

        Args: `order_id` our own; `side` +1 for a buy, -1 for a sale; `decision_mid` the mid it was decided at;
            `predicted_bps` its predicted cost against that mid; `limit_price` the worst price it was sent with.
        Units: volume 0.01 base unit, positive; prices in quote currency.
        Missing: NaN or None where a price or prediction is not known: the order then has no such statistic.
        """
        if side not in (1, -1) or volume_cents <= 0:
            raise ValueError(f"an order has a side of +1 or -1 and a positive volume, not {side} and {volume_cents}")
        self._orders[order_id] = _OnItsWay(
            symbol_index, side, volume_cents, decision_mid, predicted_bps, limit_price, now_ns
        )

    def accepted(self, order_id: str, now_ns: int) -> None:
        """Take the venue's acceptance."""
        order = self._orders.get(order_id)
        if order is None or order.accepted_ns is not None:
            return
        order.accepted_ns = now_ns
        self._took(order, "accepted", now_ns - order.sent_ns, now_ns)

    def filled(
        self,
        order_id: str,
        volume_cents: int,
        price: float,
        now_ns: int,
        deal_id: int | None = None,
        *,
        paper: bool = False,
    ) -> None:
        """Take a fill, whole or in part, as it is reported; call it once a deal.

        One that is only found in the venue's lists later has no latency and no mark-outs: leave it to `ended`.
        Units: volume 0.01 base unit, positive; price in quote currency; `now_ns` when it was received.
        """
        order = self._orders.get(order_id)
        if order is None or volume_cents <= 0:
            return
        if order.executed_cents == 0:
            self._took(order, "total", now_ns - order.sent_ns, now_ns)
            if order.accepted_ns is not None:
                self._took(order, "filled", now_ns - order.accepted_ns, now_ns)
        order.executed_cents += volume_cents
        order.paid += volume_cents * price
        notional = volume_cents / 100 * price
        fill = Fill(order.symbol_index, order.side, price, order.decision_mid, notional, now_ns, deal_id, paper)
        self._fills[order.symbol_index].filled(fill, order.limit_price)
        if fill.effective_bps == fill.effective_bps:
            self._mark_outs.add(fill)

    def ended(self, order_id: str, state: str, *, executed_cents: int = 0, by_us: bool = False) -> None:
        """Take the final state of an order.

        Args: `state` as in `in_flight.FINAL`; `executed_cents` what the venue says was executed, for fills that were
            not told one by one; `by_us` for an order that we cancelled, or that never left: it is not counted.
        """
        order = self._orders.pop(order_id, None)
        if order is None:
            return
        executed = min(max(order.executed_cents, executed_cents), order.volume_cents)
        if state == "filled":
            executed = order.volume_cents
        fills = self._fills[order.symbol_index]
        if state in COUNTED_STATES and not by_us:
            fills.ended(executed / order.volume_cents, order.sent_ns)
            self._find_age()
        # The prediction was made for the whole: a part of it takes the best levels only.
        if order.predicted_bps is not None and order.executed_cents >= order.volume_cents:
            average = order.paid / order.executed_cents
            cost = relative_bps(order.side, order.decision_mid, average, order.decision_mid)
            fills.slippage["predicted"].add(cost - order.predicted_bps, order.paid / 100)
            self._excess_bps.append(cost - order.predicted_bps)
        self._arrays = None

    # -- time ---------------------------------------------------------------------------------------------------

    def observe(self, mids: np.ndarray, now_ns: int) -> tuple[MarkOut, ...]:
        """Return the mark-outs that fall due, and forget latencies and fill ratios of more than an hour ago.

        Shapes: `mids` (S,), quote currency.   Missing: NaN where there is no mid.
        """
        if self._age_ns is not None and now_ns > self._age_ns:
            self._age(now_ns)
        marks = self._mark_outs.observe(mids, now_ns)
        for mark in marks:
            self._fills[mark.fill.symbol_index].marked_out(mark)
        return tuple(marks)

    def take_excess_bps(self) -> list[float]:
        """Return what orders that ended since the last call cost beyond their prediction, bps, positive against us."""
        taken, self._excess_bps = self._excess_bps, []
        return taken

    def next_due_ns(self) -> int | None:
        """Return when a mark-out falls due next; None while no fill waits for one."""
        return self._mark_outs.next_due_ns()

    def _took(self, order: _OnItsWay, stage: str, latency_ns: int, now_ns: int) -> None:
        self._fills[order.symbol_index].latency[stage].add(latency_ns, now_ns)
        self._find_age()
        self._arrays = None

    def _age(self, now_ns: int) -> None:
        for fills in self._fills:
            fills.age(now_ns)
        self._find_age()
        self._arrays = None

    def _find_age(self) -> None:
        oldest = [fills.oldest_ns for fills in self._fills]
        self._age_ns = min((each for each in oldest if each is not None), default=None)
        if self._age_ns is not None:
            self._age_ns += AGE_OUT_NS

    # -- what follows from it -----------------------------------------------------------------------------------

    def factors(self) -> np.ndarray:
        """Return g_fill, (S,) in [0.25, 1]; 1 with fewer than ten recent orders.   Source: models 9.5."""
        return self._current().factors

    def fill_frac(self) -> np.ndarray:
        """Return the expected fill ratio, (S,) in [0, 1].

        Missing: NaN without an order in the last hour.   Source: models 9.1.
        """
        return self._current().fill_frac

    def q10(self) -> np.ndarray:
        """Return the 10 % quantile of the fill ratio, (S,) in [0, 1].

        Missing: NaN with fewer than ten recent orders, which is no sign of bad fills.   Source: models 9.1.
        """
        return self._current().q10

    def p50_latency_s(self) -> np.ndarray:
        """Return the median time from sending to the first fill, (S,) seconds; NaN without a fill in the last hour."""
        return self._current().p50_latency_s

    def summary(self) -> dict[str, dict[str, Any]]:
        """Return the figures of every symbol for a report, by name; None where one is not known."""
        return {name: fills.summary() for name, fills in zip(self._symbols, self._fills, strict=True)}

    def _current(self) -> "_Arrays":
        if self._arrays is None:
            self._arrays = _Arrays(self._fills)
        return self._arrays


class _Arrays:
    """What is handed out, (S,) each; made once after something has happened, and never changed."""

    def __init__(self, symbols: Sequence[SymbolFills]) -> None:
        self.factors = _read_only([fills.factor for fills in symbols])
        self.fill_frac = _read_only([f.ratio.mean if f.ratio.recent_count else np.nan for f in symbols])
        enough = [fills.ratio.recent_count >= ENOUGH_SAMPLES for fills in symbols]
        self.q10 = _read_only([f.ratio.q10 if ok else np.nan for f, ok in zip(symbols, enough, strict=True)])
        self.p50_latency_s = _read_only([fills.latency["total"].p50_s for fills in symbols])


def _read_only(numbers: list[float]) -> np.ndarray:
    array = np.array(numbers, np.float64)
    array.flags.writeable = False
    return array
