"""The clock on the wall of New York: which quarter of an hour it is, what the calendar forbids, which day is a holiday.

How it works: `turn` is called once a decision and costs two comparisons until something changes.
"""

from collections.abc import Sequence

import numpy as np

from bot.market.calendar import CalendarWindows, bin_end_ns, bin_of, holiday, rests_at_weekends
from bot.market.evaluator import Evaluator
from bot.market.symbols import SymbolSpec

_HOLIDAY_FACTOR = 0.5


class DayClock:
    """What the time of day means for S symbols.

    Args: `calendar` whether its windows are heeded; `time_of_day` whether usual values are kept by the quarter of an
    hour.
    `barred` (S,) bool says which symbols may not grow now: inside a window, those that follow the FX week.
    `holiday_factor` (S,) of the base leverage.
    """

    def __init__(self, *, calendar: bool, time_of_day: bool) -> None:
        self.barred = np.zeros(0, np.bool_)
        self.holiday_factor = np.ones(0)
        self._rests = np.zeros(0, np.bool_)
        self._windows = CalendarWindows() if calendar else None
        self._has_bins = time_of_day
        self._specs: Sequence[SymbolSpec] = ()
        self._calendar_due_ns = 0
        self._bin_due_ns = 0

    def load(self, specs: Sequence[SymbolSpec]) -> None:
        """Take the symbols."""
        self._specs = specs
        self._rests = np.array([rests_at_weekends(spec) for spec in specs], np.bool_)
        self.barred = np.zeros(len(specs), np.bool_)
        self.holiday_factor = np.ones(len(specs))
        self._calendar_due_ns = self._bin_due_ns = 0

    def turn(self, evaluator: Evaluator, now_ns: int) -> None:
        """Bring everything to this moment."""
        if now_ns >= self._bin_due_ns:
            self._bin_due_ns = bin_end_ns(now_ns)
            if self._has_bins:
                evaluator.enter_bin(*bin_of(now_ns))
        if now_ns >= self._calendar_due_ns:
            # Holidays change with the New York day, which ends with a quarter of an hour.
            self._calendar_due_ns = self._bin_due_ns
            if self._windows is not None:
                self.barred = self._rests & (self._windows.no_increase(now_ns) is not None)
                self._calendar_due_ns = min(self._bin_due_ns, self._windows.next_change_ns(now_ns))
                self.holiday_factor[:] = [_HOLIDAY_FACTOR if holiday(s, now_ns) else 1.0 for s in self._specs]
