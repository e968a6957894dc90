"""What is usual at this time of day: medians by quarter of an hour of New York time and kind of day.

How it works: the compiled loops keep running medians of the quarter of an hour that runs (`usual.py`). When it is over,
they are taken over into a table by bin and day type; the next bin's entry, shrunk towards the median of all that was
seen, becomes what is usual now. A bin of today never changes what is usual today: it uses the days before only.

Missing: NaN in the table where a bin has never been seen.
Source: models 11: base += 0.2 (median - base); base_used = (n base + 3 overall) / (n + 3), n days seen.
"""

from collections.abc import Mapping

import numpy as np

from bot.market.state import U_SPREAD, USUAL_NAMES, USUALS
from bot.market.usual import LEAST_DEVIATION

BINS, DAY_TYPES = 96, 3
_LEARNING_RATE = 0.2
_SHRINK_DAYS = 3.0
_NORMAL = 1.4826


class Seasonality:
    """The table of usual values of S symbols.

    Shapes: `base` (S, USUALS, BINS, DAY_TYPES) logs; `deviation` (S, BINS, DAY_TYPES) of the log spread; `days`
        (S, BINS, DAY_TYPES) how often each bin was seen.
    """

    def __init__(self, symbol_count: int) -> None:
        self.base = np.full((symbol_count, USUALS, BINS, DAY_TYPES), np.nan)
        self.deviation = np.full((symbol_count, BINS, DAY_TYPES), np.nan)
        self.days = np.zeros((symbol_count, BINS, DAY_TYPES))
        self._bin: tuple[int, int] | None = None

    def enter(self, state: np.ndarray, bin_index: int, day_type: int) -> None:
        """Take over what was learnt in the bin that ends, and put in use what is usual in the one that begins.

        Args: `state` (S,) of `STATE`, whose running medians are read and begun anew.
        """
        if self._bin == (bin_index, day_type):
            return
        if self._bin is not None:
            self._take_over(state, *self._bin)
        self._bin = (bin_index, day_type)
        state["median"] = np.nan
        self._use(state, bin_index, day_type)

    def _take_over(self, state: np.ndarray, b: int, d: int) -> None:
        seen = np.isfinite(state["median"][:, U_SPREAD])
        for table, news in (
            (self.base[:, :, b, d], state["median"]),
            (self.deviation[:, b, d], state["spread_deviation"]),
        ):
            moved = np.where(np.isnan(table), news, table + _LEARNING_RATE * (news - table))
            table[seen] = np.where(np.isnan(moved), table, moved)[seen]
        self.days[seen, b, d] += 1

    def _use(self, state: np.ndarray, b: int, d: int) -> None:
        days, overall = self.days[:, b, d], state["overall"]
        weight = days / (days + _SHRINK_DAYS)
        base = self.base[:, :, b, d]
        mixed = np.where(np.isnan(base), overall, weight[:, None] * base + (1 - weight[:, None]) * overall)
        state["usual"] = np.where(np.isnan(overall), base, mixed)
        deviation = np.where(np.isnan(self.deviation[:, b, d]), state["spread_deviation"], self.deviation[:, b, d])
        state["usual_deviation"] = np.fmax(_NORMAL * deviation, LEAST_DEVIATION)
        state["usual_days"] = days

    def content(self, s: int, state: np.ndarray) -> dict[str, object]:
        """Return what is known of one symbol as plain numbers, to be kept over runs. NaN becomes None."""
        seen = np.argwhere(self.days[s] > 0)
        return {
            "quantities": list(USUAL_NAMES),
            "overall": _plain(state["overall"][s]),
            "overall_n": state["overall_n"][s].tolist(),
            "bins": [
                [
                    int(b),
                    int(d),
                    int(self.days[s, b, d]),
                    _plain(self.base[s, :, b, d]),
                    _plain(self.deviation[s, b, d]),
                ]
                for b, d in seen
            ],
        }

    def restore(self, s: int, state: np.ndarray, content: Mapping[str, object]) -> None:
        """Take over what an earlier run has kept of one symbol.

        Raises: ValueError, one line, for content of another form.
        """
        try:
            if list(content["quantities"]) != list(USUAL_NAMES):  # type: ignore[call-overload]
                raise ValueError(f"its quantities are {content['quantities']}, not {list(USUAL_NAMES)}")
            state["overall"][s] = _numbers(content["overall"])
            state["overall_n"][s] = _numbers(content["overall_n"])
            for b, d, days, base, deviation in content["bins"]:  # type: ignore[attr-defined]
                self.days[s, b, d] = days
                self.base[s, :, b, d] = _numbers(base)
                self.deviation[s, b, d] = np.nan if deviation is None else deviation
        except (KeyError, TypeError, IndexError) as error:
            raise ValueError(f"it is not of the form expected: {error!r}") from None
        if self._bin is not None:
            self._use(state, *self._bin)


def _plain(numbers: np.ndarray) -> object:
    if not numbers.ndim:
        return float(numbers) if np.isfinite(numbers) else None
    return [float(x) if np.isfinite(x) else None for x in numbers]


def _numbers(content: object) -> np.ndarray:
    return np.array([np.nan if x is None else x for x in content], np.float64)  # type: ignore[attr-defined]
