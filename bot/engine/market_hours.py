"""Which symbols trade at this moment: by their hours, and by the venue's own word where that says otherwise.

How it works: `is_due` is asked once a decision and is false until the next change of any symbol's hours, so that the
hours cost a comparison. A closing has one text, made when it begins, so that it is told once and not again as the clock
goes on. A symbol that has reopened is `awaiting` until the venue has sent a quote of it: until then its prices are
those of before the closing.

The hours are the broker's plan, and a market may stop without one: where the venue refuses an order because the market
is closed, the symbol counts as closed for a minute, then for two, four, up to fifteen, and until a quote comes after
that.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from bot.market.hours import SymbolHours
from bot.market.symbols import SymbolSpec

CLOSED_CODES = frozenset({"MARKET_CLOSED", "SYMBOL_HAS_HOLIDAY", "TRADING_DISABLED"})
"""Refusals of an order that say: not now. Source: ProtoOAErrorCode."""

_SECOND = 1_000_000_000
_FIRST_PAUSE_NS, _LONGEST_PAUSE_NS = 60 * _SECOND, 900 * _SECOND


@dataclass(slots=True)
class _Market:
    """One symbol's state."""

    spec: SymbolSpec
    hours: SymbolHours
    by_hours: bool = False
    closing: str | None = None  # in words, while it is closed
    reopened_ns: int | None = None  # nothing was heard of it since
    retry_ns: int | None = None  # the venue said it is closed: not before this
    times_told: int = 0


class MarketHours:
    """The hours of S symbols. Shapes: `closed`, `awaiting` (S,) bool, as of the last `update`; treat as read-only."""

    def __init__(self) -> None:
        self.closed = np.zeros(0, np.bool_)
        self.awaiting = np.zeros(0, np.bool_)
        self._closings: tuple[str | None, ...] = ()
        self._markets: list[_Market] = []
        self._watched: list[int] = []  # those that wait for a quote
        self._due_ns = 0

    def load(self, specs: Sequence[SymbolSpec]) -> None:
        """Take the symbols; one whose definition has changed is judged anew by the next `update`."""
        known = {market.spec.symbol_id: market for market in self._markets}
        self._markets = [self._renewed(spec, known.get(spec.symbol_id)) for spec in specs]
        self._due_ns = 0
        self._refresh()

    @property
    def closings(self) -> tuple[str | None, ...]:
        """Why each symbol is closed and until when, for a person; None where it is open, or its hours are unknown."""
        return self._closings

    def refused(self, s: int, error_code: str, now_ns: int) -> None:
        """Take the venue's word that a symbol is closed. Where its hours say so too, they know when it opens."""
        market = self._markets[s]
        if market.hours.is_open(now_ns) is False:
            return
        pause_ns = min(_FIRST_PAUSE_NS << min(market.times_told, 10), _LONGEST_PAUSE_NS)
        market.times_told += 1
        market.retry_ns = now_ns + pause_ns
        name, until = market.spec.name, _iso(market.retry_ns)
        market.closing = f"the venue says that {name} is closed ({error_code}); not tried again before {until}"
        self._refresh()

    def traded(self, s: int) -> None:
        """Take a fill: the venue is open, and the next pause is a short one again."""
        self._markets[s].times_told = 0

    def is_due(self, now_ns: int) -> bool:
        """Return whether `update` could change anything now."""
        return now_ns >= self._due_ns or bool(self._watched)

    def update(self, quiet_s: np.ndarray, now_ns: int) -> None:
        """Bring `closed` and `awaiting` to this moment. Args: `quiet_s` (S,) age of the newest message, seconds."""
        changed = False
        if now_ns >= self._due_ns:
            self._due_ns = min((m.hours.valid_until_ns(now_ns) for m in self._markets), default=0)
            for market in self._markets:
                changed |= _follow_hours(market, now_ns)
        for s in self._watched:  # not yet those that have opened just now: their first quote counts from the next call
            market = self._markets[s]
            since_ns = market.retry_ns if market.retry_ns is not None else market.reopened_ns
            if since_ns is not None and since_ns <= now_ns and quiet_s[s] <= (now_ns - since_ns) / _SECOND:
                if market.retry_ns is not None:
                    market.retry_ns, market.closing = None, None
                market.reopened_ns = None
                changed = True
        if changed:
            self._refresh()

    def _renewed(self, spec: SymbolSpec, known: _Market | None) -> _Market:
        if known is None:
            return _Market(spec, SymbolHours(spec))
        if known.spec == spec:
            return known
        return _Market(spec, SymbolHours(spec), known.by_hours, reopened_ns=known.reopened_ns)

    def _refresh(self) -> None:
        self._closings = tuple(m.closing for m in self._markets)
        self.closed = np.array([m.closing is not None for m in self._markets], np.bool_)
        self.awaiting = np.array([m.reopened_ns is not None for m in self._markets], np.bool_)
        self._watched = [s for s, m in enumerate(self._markets) if m.retry_ns is not None or m.reopened_ns is not None]


def _follow_hours(market: _Market, now_ns: int) -> bool:
    """Let a symbol close or open by its hours; return whether it did."""
    is_closed = market.hours.is_open(now_ns) is False
    if is_closed and not (market.by_hours and market.closing):
        market.by_hours, market.closing = True, _closing(market, now_ns)
        market.reopened_ns = market.retry_ns = None
        market.times_told = 0
        return True
    if market.by_hours and not is_closed:
        market.by_hours, market.closing = False, None
        market.reopened_ns = now_ns
        return True
    return False


def _closing(market: _Market, now_ns: int) -> str:
    why = "for a holiday" if market.hours.state(now_ns) == "holiday" else "by its schedule"
    opening_ns = market.hours.next_opening_ns(now_ns)
    until = "; no opening is planned within two weeks" if opening_ns is None else f" until {_iso(opening_ns)}"
    return f"{market.spec.name} is closed {why}{until}"


def _iso(ns: int) -> str:
    at = datetime.fromtimestamp(ns // _SECOND, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%SZ}" if at.second else f"{at:%Y-%m-%dT%H:%MZ}"
