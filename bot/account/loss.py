"""Loss limits: the day's loss and the fall from the highest equity, deposits and withdrawals left out.

The trading day turns at 17:00 New York time, as the FX day does.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

_NEW_YORK = ZoneInfo("America/New_York")
_DAY_TURNS_AT = timedelta(hours=17)
_QUARTER_NS = 900_000_000_000


@dataclass(frozen=True, slots=True)
class LossBreach:
    """A loss limit was reached. `check` is daily_loss or drawdown; `value` and `limit` are fractions."""

    check: str
    value: float
    limit: float


def trading_day(now_ns: int) -> int:
    """Return a number that changes when the trading day turns (the ordinal of the date it belongs to)."""
    return _day_of(now_ns // _QUARTER_NS)


@lru_cache(maxsize=16)
def _day_of(quarter: int) -> int:
    # Remembered, as it is asked with every decision: within a quarter of an hour of UTC no day turns in New York.
    local = datetime.fromtimestamp(quarter * (_QUARTER_NS // 1_000_000_000), UTC).astimezone(_NEW_YORK)
    return (local + timedelta(days=1) - _DAY_TURNS_AT).toordinal()


def next_turn_ns(now_ns: int) -> int:
    """Return when the trading day turns next, ns since the epoch."""
    local = datetime.fromtimestamp(now_ns // 1_000_000_000, UTC).astimezone(_NEW_YORK)
    turn = local.replace(hour=0, minute=0, second=0, microsecond=0) + _DAY_TURNS_AT
    if turn <= local:
        turn += timedelta(days=1)  # by the wall clock there, over a change of the hour too
    return round(turn.timestamp()) * 1_000_000_000


class LossGuard:
    """Watches equity against its value at the start of the day and at its highest.

    Both references are kept over runs by `memory` and `restore`; without them they begin with the run.
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

    @property
    def last(self) -> float:
        """The last equity that was known, deposit currency; NaN before the first."""
        return self._last

    @property
    def losses(self) -> tuple[float, float]:
        """The day's loss and the fall from the highest equity, fractions, below 0 for a gain; NaN unknown."""
        return self._below(self._day_equity), self._below(self._peak)

    def _below(self, reference: float) -> float:
        return math.nan if math.isnan(reference) else 1 - self._last / reference if reference > 0 else 1.0

    def restart(self) -> None:
        """Begin both references anew with the next equity: a person has looked at the losses and goes on."""
        self._day, self._day_equity, self._peak = None, math.nan, math.nan

    def memory(self) -> dict[str, object]:
        """Return the references as plain objects, for `restore` in a later run; None where one is not known."""
        figures = {"day_equity": self._day_equity, "peak": self._peak, "last": self._last}
        return {"day": self._day} | {name: None if math.isnan(x) else x for name, x in figures.items()}

    def restore(self, content: Mapping[str, object]) -> None:
        """Take the references of an earlier run. Raises: ValueError for what `memory` does not return."""
        day = content.get("day")
        figures = [content.get(name) for name in ("day_equity", "peak", "last")]
        if not all(x is None or (isinstance(x, int | float) and math.isfinite(x)) for x in [day, *figures]):
            raise ValueError(f"not the references of a loss guard: {content}")
        self._day = None if day is None else int(str(day))
        self._day_equity, self._peak, self._last = (math.nan if x is None else float(str(x)) for x in figures)

    def check(self, equity: float, now_ns: int) -> tuple[LossBreach, ...]:
        """Return the limits that `equity` (deposit currency) breaks; an unknown equity breaks none."""
        if not math.isfinite(equity):
            return ()
        self._last = equity
        day = trading_day(now_ns)
        if day != self._day:
            self._day, self._day_equity = day, equity
        self._peak = equity if math.isnan(self._peak) else max(self._peak, equity)
        loss, fall = self.losses
        found = ("daily_loss", loss, self._max_daily_loss_frac), ("drawdown", fall, self._max_drawdown_frac)
        return tuple(LossBreach(check, value, limit) for check, value, limit in found if value >= limit)
