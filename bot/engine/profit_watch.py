"""Asks the broker for the unrealised profit of what is open, and compares it with ours.

How it works: prices move while the question is on its way, so the broker's figure is compared with every value that
ours had between question and answer. A difference beyond the tolerance in three answers in a row says that we do not
know what we hold or what it is worth: only reductions, until three answers in a row agree, or nothing is open.

Both sides count swap and commission so far. What a close will cost in commission is in neither: the venue's net leaves
it out by its documentation, and where a broker puts it in it is a small part of the tolerance.
Source: ProtoOAGetPositionUnrealizedPnLRes.netUnrealizedPnL.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bot.account.position import Position
from bot.engine.events import ProfitStated
from bot.engine.prices import Prices
from bot.execution.requests import AskProfit

_SECOND = 1_000_000_000
EVERY_NS, SOON_NS = 10 * _SECOND, _SECOND
_LATE_NS = 2 * _SECOND
_IN_A_ROW = 3


def unrealised_profit(positions: Sequence[Position], prices: Prices, index: Mapping[int, int]) -> float:
    """Return the net unrealised profit of positions in deposit currency, swap and commission so far included.

    Missing: NaN without a price, or with one that is not to be believed now.
    Source: (bid - price) units q2d for a long, (price - ask) units q2d for a short.
    """
    total = 0.0
    for p in positions:
        s = index.get(p.symbol_id)
        if s is None or prices.odd[s] or prices.doubtful[s] or not (prices.fresh[s] or prices.closed[s]):
            return math.nan
        leaving = prices.bid[s] if p.volume_cents > 0 else prices.ask[s]
        gross = (float(leaving) - p.price) * p.volume_cents / 100 * float(prices.quote_rate[s])
        total += gross + float(p.swap + p.commission)
    return total


@dataclass(frozen=True, slots=True)
class Verdict:
    """What three answers in a row have shown. `text` says the difference, with both figures."""

    agrees: bool
    text: str


class ProfitWatch:
    """Puts the question when it is due and judges the answers."""

    def __init__(self, tolerance_frac: float) -> None:
        self._tolerance = tolerance_frac
        self._open: tuple[tuple[int, int], ...] = ()
        self._next_ns = 0
        self._asked_ns: int | None = None
        self._low = self._high = math.nan
        self._bad = self._good = 0

    @property
    def is_waiting(self) -> bool:
        """Whether an answer is on its way, so that our own value is to be watched."""
        return self._asked_ns is not None

    def forget(self) -> None:
        """Forget a question that nobody will answer."""
        self._asked_ns = None

    def ask(self, positions: Sequence[Position], now_ns: int) -> AskProfit | None:
        """Return the question if it is due: every ten seconds while something is open, a second after a change."""
        held = tuple((p.position_id, p.volume_cents) for p in positions)
        if held != self._open:
            self._open, self._asked_ns, self._next_ns = held, None, now_ns + SOON_NS
        if not held:
            self._bad = self._good = 0
            return None
        if now_ns < self._next_ns:
            return None
        self._asked_ns, self._next_ns = now_ns, now_ns + EVERY_NS
        self._low, self._high = math.inf, -math.inf
        return AskProfit()

    def observe(self, profit: float, now_ns: int) -> None:
        """Take our own value of this moment, while an answer is on its way; NaN spoils the comparison."""
        if self._asked_ns is None:
            return
        if now_ns - self._asked_ns > _LATE_NS or math.isnan(profit):
            self._asked_ns = None
            return
        self._low, self._high = min(self._low, profit), max(self._high, profit)

    def answered(self, event: ProfitStated, positions: Sequence[Position], equity: float) -> Verdict | None:
        """Take an answer; return what three in a row have shown, None while they have shown nothing.

        Args: `positions` of the venue as we hold them now. An answer about something else than what was held when it
            was asked for counts for nothing.
        """
        held = tuple((p.position_id, p.volume_cents) for p in positions)
        if self._asked_ns is None or held != self._open or not self._low <= self._high or not equity > 0:
            return None
        self._asked_ns = None
        told = float(sum(net for _, _, net in event.profits))
        room = self._tolerance * equity
        is_same = {pid for pid, _, _ in event.profits} == {pid for pid, _ in held}
        if is_same and self._low - room <= told <= self._high + room:
            self._good, self._bad = self._good + 1, 0
            return Verdict(True, "") if self._good >= _IN_A_ROW else None
        self._good, self._bad = 0, self._bad + 1
        if self._bad < _IN_A_ROW:
            return None
        ours = self._low if told < self._low else self._high
        what = f"the broker states {told:,.2f} of unrealised profit and we count {ours:,.2f}"
        if not is_same:
            what = f"the broker counts {len(event.profits)} open positions and we hold {len(held)} others"
        return Verdict(False, f"{what}, {_IN_A_ROW} times in a row: only reductions until they agree")
