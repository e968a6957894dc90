"""What to ask of the venue when its prices are in doubt: a book that disagrees, or prices that do not come at all.

A link whose heartbeats go on while its prices have stopped is alive for the watchdog and dead for us; brokers' sessions
have been seen to end that way. So when no open market has had a price for a minute, the venue is asked whether the
account's session stands, which heals it if it does not; and when there is none for three, a new connection is made,
then after twice as long, up to half an hour, until prices come.
"""

import math

import numpy as np
from numba import njit

from bot.engine.prices import Prices
from bot.execution.requests import CheckFeed, Request, ResubscribeDepth
from bot.market.symbols import SymbolSpec

_SECOND = 1_000_000_000
_RESUBSCRIBE_NS = 30 * _SECOND
_CHECK_S, _RECONNECT_S, _LONGEST_S = 60.0, 180.0, 1800.0


@njit(cache=True, error_model="numpy")
def _look(prices: np.ndarray, traded: int) -> tuple[float, bool]:
    """Return the age of the newest message of the open markets, NaN when none is open, and whether a book is in doubt.

    Args: `traded` how many symbols count; they come first in `prices`, (S,) of `PRICE`.
    """
    newest_s, has_doubtful = math.nan, False
    for s in range(traded):
        has_doubtful |= prices[s].doubtful
        if not prices[s].closed and not newest_s <= prices[s].quiet_s:
            newest_s = prices[s].quiet_s
    return newest_s, has_doubtful


class FeedWatch:
    """Watches the prices of the traded symbols, the first of those in `Prices`."""

    def __init__(self) -> None:
        self._resubscribed_ns: dict[int, int] = {}
        self._from_ns: int | None = None
        self._is_checked = False
        self._patience_s = _RECONNECT_S

    def requests(
        self, prices: Prices, specs: tuple[SymbolSpec, ...], traded: int, now_ns: int, *, ready: bool
    ) -> list[Request]:
        """Return what to ask now."""
        newest_s, has_doubtful = _look(prices.table, traded)
        asked = self._silence(newest_s, now_ns, ready=ready)
        if ready and has_doubtful:
            asked += self._resubscriptions(prices, specs, traded, now_ns)
        return asked

    def _silence(self, newest_s: float, now_ns: int, *, ready: bool) -> list[Request]:
        if not ready or math.isnan(newest_s):
            self._from_ns = None
            return []
        if self._from_ns is None:
            self._from_ns, self._is_checked = now_ns, False
        since_s = (now_ns - self._from_ns) / _SECOND
        quiet_s = min(newest_s, since_s)
        if quiet_s < _CHECK_S:
            if quiet_s < since_s:  # a price has come on this connection
                self._is_checked, self._patience_s = False, _RECONNECT_S
            return []
        if quiet_s >= self._patience_s:
            self._from_ns, self._patience_s = None, min(2 * self._patience_s, _LONGEST_S)
            return [CheckFeed(quiet_s, reconnect=True)]
        if self._is_checked:
            return []
        self._is_checked = True
        return [CheckFeed(quiet_s, reconnect=False)]

    def _resubscriptions(
        self, prices: Prices, specs: tuple[SymbolSpec, ...], traded: int, now_ns: int
    ) -> list[Request]:
        """Return a renewal of the depth subscription for each book in doubt, twice a minute at most."""
        renewals: list[Request] = []
        for s in np.flatnonzero(prices.doubtful[:traded]).tolist():
            symbol_id = specs[s].symbol_id
            last = self._resubscribed_ns.get(symbol_id)
            if last is None or now_ns - last >= _RESUBSCRIBE_NS:
                self._resubscribed_ns[symbol_id] = now_ns
                renewals.append(ResubscribeDepth(symbol_id))
        return renewals
