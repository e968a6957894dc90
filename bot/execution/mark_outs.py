"""What our fills cost, and where the price went afterwards: effective and realised spread, impact, mark-outs.

How it works: a fill is priced against the mid at which it was decided, and waits for the mid of 1, 5, 30 and 60 s after
it. The first mid at or after such a moment is taken, with the time at which it was seen. Where none has come by twice
the delay (no quote, a lost link, a weekend), that mark-out is missed: a later price would tell of something else.

Invariant: the effective half spread is the realised one plus the impact, to the last bit. All are kept on a grid of
2^-40 bps, on which sums and differences of anything below 4096 bps are exact.
"""

import math
from dataclasses import dataclass
from heapq import heappop, heappush

import numpy as np

DELAYS_S = (1, 5, 30, 60)

_SECOND = 1_000_000_000
_GRID = 2.0**40  # cells a bps
_LOOK_AGAIN_NS = 250_000_000  # after a moment at which there was no mid


@dataclass(frozen=True, slots=True)
class Fill:
    """One fill of ours. Units: `side` +1 for a buy; prices in quote currency; `notional` in any unit of its symbol.

    Missing: `deal_id` None where the venue did not name the deal.
    """

    symbol_index: int
    side: int
    price: float
    decision_mid: float
    notional: float
    filled_ns: int
    deal_id: int | None = None
    is_paper: bool = False

    @property
    def effective_bps(self) -> float:
        """The effective half spread: what was paid against the mid of the decision."""
        return relative_bps(self.side, self.decision_mid, self.price, self.decision_mid)


@dataclass(frozen=True, slots=True)
class MarkOut:
    """A fill seen some time later.

    Units: `delay_s` as planned, `seen_ns` as it happened; costs in bps of the mid of the decision, positive against us.
    Source: Huang & Stoll (1996); models 2.2 and 9.5.
    """

    fill: Fill
    delay_s: int
    mid: float
    seen_ns: int

    @property
    def impact_bps(self) -> float:
        """How far the mid moved our way since the decision."""
        return relative_bps(self.fill.side, self.fill.decision_mid, self.mid, self.fill.decision_mid)

    @property
    def realised_bps(self) -> float:
        """The realised half spread: what whoever took the other side has kept so far."""
        return self.fill.effective_bps - self.impact_bps


@dataclass(frozen=True, slots=True)
class _Waiting:
    fill: Fill
    delay_s: int
    due_ns: int
    until_ns: int


class MarkOuts:
    """Fills that wait for their mark-outs.

    They stand in a heap by the time they are due, then in the order they came: an hour's fills cost no more than one.
    """

    def __init__(self) -> None:
        self._waiting: list[tuple[int, int, _Waiting]] = []
        self._added_count = 0
        self._looked_ns: int | None = None

    def add(self, fill: Fill) -> None:
        """Let a fill wait."""
        for delay_s in DELAYS_S:
            due_ns = fill.filled_ns + delay_s * _SECOND
            self._added_count += 1
            waiting = _Waiting(fill, delay_s, due_ns, due_ns + delay_s * _SECOND)
            heappush(self._waiting, (due_ns, self._added_count, waiting))

    def observe(self, mids: np.ndarray, now_ns: int) -> list[MarkOut]:
        """Return the mark-outs that are due and have a mid, earliest first.

        Shapes: `mids` (S,) in quote currency.   Missing: NaN where a symbol has none.
        """
        if not self._waiting or now_ns < self._waiting[0][0]:
            return []
        seen, left = [], []
        while self._waiting and self._waiting[0][0] <= now_ns:
            entry = heappop(self._waiting)
            waiting = entry[2]
            mid = float(mids[waiting.fill.symbol_index])
            if now_ns > waiting.until_ns:
                continue
            if 0.0 < mid < math.inf:
                seen.append(MarkOut(waiting.fill, waiting.delay_s, mid, now_ns))
            else:
                left.append(entry)
        for entry in left:
            heappush(self._waiting, entry)
        self._looked_ns = now_ns
        return seen

    def next_due_ns(self) -> int | None:
        """Return when to observe again; None while nothing waits. One that found no mid is tried every 250 ms."""
        if not self._waiting:
            return None
        due_ns, looked_ns = self._waiting[0][0], self._looked_ns
        if looked_ns is None or due_ns > looked_ns:
            return due_ns
        return min([looked_ns + _LOOK_AGAIN_NS, *(due for due, _, _ in self._waiting if due > looked_ns)])


def relative_bps(side: int, start: float, end: float, reference: float) -> float:
    """Return side·(end - start)/reference in bps, on the grid of 2^-40 bps.

    Units: prices in, bps out.   Missing: NaN where a price is not finite or the reference not positive.
    """
    bps = 1e4 * side * (end - start) / reference if reference > 0.0 else math.nan
    return round(bps * _GRID) / _GRID if math.isfinite(bps) else math.nan
