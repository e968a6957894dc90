"""Loss limits: the day's loss and the fall from the highest equity, deposits and withdrawals left out.

The trading day turns at 17:00 New York time, as the FX day does.
"""

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

_NEW_YORK = ZoneInfo("America/New_York")
_DAY_TURNS_AT = timedelta(hours=17)


@dataclass(frozen=True, slots=True)
class LossBreach:
    """A loss limit was reached. `check` is daily_loss or drawdown; `value` and `limit` are fractions."""

    check: str
    value: float
    limit: float


def trading_day(now_ns: int) -> int:
    """Return a number that changes when the trading day turns (the ordinal of the date it belongs to)."""
    local = datetime.fromtimestamp(now_ns / 1e9, UTC).astimezone(_NEW_YORK)
    return (local + timedelta(days=1) - _DAY_TURNS_AT).toordinal()


class LossGuard:
    """Watches equity against its value at the start of the day and at its highest.

    Both references begin with the run: what was lost before it was started is not known here.
    """

    def __init__(self, max_daily_loss_frac: float, max_drawdown_frac: float) -> None:
        self._max_daily_loss_frac = max_daily_loss_frac
        self._max_drawdown_frac = max_drawdown_frac
        self._day: int | None = None
        self._day_equity = math.nan
        self._peak = math.nan
        self._last = math.nan

    def deposited(self, change: float) -> None:
        """Say that money was paid in (or out, negative): neither profit nor loss.

        The references move in proportion to equity, so that the losses so far stay the fractions they were: after a
        loss of a tenth and a withdrawal of the rest but a little, what is left has still lost a tenth.
        """
        after = self._last + change
        if self._last > 0 and after > 0:
            self._day_equity *= after / self._last
            self._peak *= after / self._last
        else:
            self._day_equity += change
            self._peak += change
        self._last = after

    def check(self, equity: float, now_ns: int) -> LossBreach | None:
        """Return the first limit that `equity` (deposit currency) breaks; an unknown equity breaks none."""
        if not math.isfinite(equity):
            return None
        self._last = equity
        day = trading_day(now_ns)
        if day != self._day:
            self._day, self._day_equity = day, equity
        self._peak = equity if math.isnan(self._peak) else max(self._peak, equity)
        loss = 1 - equity / self._day_equity if self._day_equity > 0 else 1.0
        if loss >= self._max_daily_loss_frac:
            return LossBreach("daily_loss", loss, self._max_daily_loss_frac)
        fall = 1 - equity / self._peak if self._peak > 0 else 1.0
        if fall >= self._max_drawdown_frac:
            return LossBreach("drawdown", fall, self._max_drawdown_frac)
        return None
