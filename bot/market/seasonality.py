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
from bot.market.usual import LEAST_DEVIATION, NORMAL

BINS, DAY_TYPES = 96, 3
_LEARNING_RATE = 0.2
_SHRINK_DAYS = 3.0


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
        self._use(state, bin_index, day_type, np.arange(len(state)))

    def _take_over(self, state: np.ndarray, b: int, d: int) -> None:
        seen = np.isfinite(state["median"][:, U_SPREAD])
        for table, news in (
            (self.base[:, :, b, d], state["median"]),
            (self.deviation[:, b, d], state["spread_deviation"]),
        ):
            moved = np.where(np.isnan(table), news, table + _LEARNING_RATE * (news - table))
            table[seen] = np.where(np.isnan(moved), table, moved)[seen]
        self.days[seen, b, d] += 1

    def _use(self, state: np.ndarray, b: int, d: int, which: np.ndarray) -> None:
        """Put in use what is usual in a bin. Shapes: `which` symbols (K,), `state` (K,) theirs."""
        days, overall = self.days[which, b, d], state["overall"]
        weight = days / (days + _SHRINK_DAYS)
        base = self.base[which, :, b, d]
        mixed = np.where(np.isnan(base), overall, weight[:, None] * base + (1 - weight[:, None]) * overall)
        state["usual"] = np.where(np.isnan(overall), base, mixed)
        deviation = self.deviation[which, b, d]
        deviation = np.where(np.isnan(deviation), state["spread_deviation"], deviation)
        state["usual_deviation"] = np.fmax(NORMAL * deviation, LEAST_DEVIATION)
        state["usual_days"] = days

    def take_over(self, old: "Seasonality", index: Mapping[int, int], state: np.ndarray) -> None:
        """Carry on where another table stands, for the symbols both have; the others begin in the bin that runs.

        Args: `index` maps a symbol's index here to its index in `old`; `state` (S,), taken over already.
        """
        for here, there in index.items():
            self.base[here], self.deviation[here] = old.base[there], old.deviation[there]
            self.days[here] = old.days[there]
        self._bin = old._bin
        if self._bin is not None:
            new = np.setdiff1d(np.arange(len(state)), list(index))
            begun = state[new]
            self._use(begun, *self._bin, new)
            state[new] = begun

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

        Raises: ValueError, one line, for content of another form; nothing is changed then.
        """
        days, base, deviation = self.days[s] * 0.0, self.base[s] * np.nan, self.deviation[s] * np.nan
        try:
            if list(content["quantities"]) != list(USUAL_NAMES):  # type: ignore[call-overload]
                raise ValueError(f"its quantities are {content['quantities']}, not {list(USUAL_NAMES)}")
            overall = _numbers(content["overall"], (USUALS,))
            overall_n = _numbers(content["overall_n"], (USUALS,))
            for b, d, seen_days, of_bin, spread_deviation in content["bins"]:  # type: ignore[attr-defined]
                if not (0 <= b < BINS and 0 <= d < DAY_TYPES and seen_days > 0):
                    raise ValueError(f"it has a bin {b!r} of day type {d!r}, seen on {seen_days!r} days")
                days[b, d] = seen_days
                base[:, b, d] = _numbers(of_bin, (USUALS,))
                deviation[b, d] = _numbers([spread_deviation], (1,))[0]
        except (KeyError, TypeError, IndexError, AttributeError) as error:
            raise ValueError(f"it is not of the form expected: {error!r}") from None
        if not (overall_n >= 0).all():
            raise ValueError(f"it counts {overall_n.tolist()} observations")
        state["overall"][s], state["overall_n"][s] = overall, overall_n
        self.days[s], self.base[s], self.deviation[s] = days, base, deviation
        if self._bin is not None:
            begun = state[s : s + 1]
            self._use(begun, *self._bin, np.array([s]))


def _plain(numbers: np.ndarray) -> object:
    if not numbers.ndim:
        return float(numbers) if np.isfinite(numbers) else None
    return [float(x) if np.isfinite(x) else None for x in numbers]


def _numbers(content: object, shape: tuple[int, ...]) -> np.ndarray:
    numbers = np.array([np.nan if x is None else x for x in content], np.float64)  # type: ignore[attr-defined]
    if numbers.shape != shape or np.isinf(numbers).any():
        raise ValueError(f"it has {content!r} where {shape[0]} numbers should stand")
    return numbers
