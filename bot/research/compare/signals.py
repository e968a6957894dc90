"""The directions that all arms of a comparison are given: the same series for each, made of the past alone.

They are stated here, not tuned: what an arm does with a direction is compared, not the direction. Each is looked at
once an hour and held until the next; it is flat until it is known.

    trend      side of the last four hours' move          reversion  against the last hour's move
    random     a fair coin an hour and symbol: the placebo
    config     the side that the config gives the symbol, always: what a script of shocks moves against

The value at minute k is made of the mids of before minute k. A move of exactly 0 keeps the side.
Source: models 17.1; time-series momentum after Moskowitz, Ooi and Pedersen (2012), reversal after Lehmann (1990).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bot.research.compare.minutes import MINUTE_NS, Minutes

HOLD_MINUTES = 60
TREND_MINUTES = 240
REVERSION_MINUTES = 60
SIGNALS: Mapping[str, str] = {
    "trend": f"the side of the last {TREND_MINUTES} minutes' move",
    "reversion": f"against the side of the last {REVERSION_MINUTES} minutes' move",
    "random": "a fair coin, by the seed: the placebo of signals",
}
"""The signals of a comparison by their names, and what each is; each is held for `HOLD_MINUTES`."""
OWN_SIDES = "config"
ALL_SIGNALS: Mapping[str, str] = {**SIGNALS, OWN_SIDES: "the side that the config gives each symbol"}
"""Those and the one that has to be asked for."""


@dataclass(frozen=True, slots=True, eq=False)
class Directions:
    """One signal of S symbols.

    Shapes: `sides` (K, S) of -1, 0, 1; row k is the minute that begins at `(first + k)` minutes after 1970.
    """

    symbols: tuple[str, ...]
    first: int
    sides: np.ndarray

    def at(self, now_ns: int) -> np.ndarray:
        """Return the side of each symbol, (S,): 0 before the first minute, the last one's after the last."""
        row = now_ns // MINUTE_NS - self.first
        if row < 0 or not len(self.sides):
            return np.zeros(len(self.symbols))
        return np.asarray(self.sides[min(row, len(self.sides) - 1)])


def directions_of(
    signal: str, minutes: Minutes, symbols: tuple[str, ...], seed: int, own: Mapping[str, int | None] | None = None
) -> Directions:
    """Return a signal on the minutes of a market.

    Args: `symbols` of the first columns of `minutes`; `seed` of the random one; `own` the side of each symbol, 1 or -1,
        that `config` needs.
    Raises: ValueError for an unknown name, and for a symbol that has no side of its own.
    """
    check_signal(signal)
    mids = minutes.mids[:, : len(symbols)]
    if signal == OWN_SIDES:
        sided = [(own or {}).get(symbol) for symbol in symbols]
        without = [symbol for symbol, side in zip(symbols, sided, strict=True) if not side]
        if without:
            raise ValueError(f"signal config: symbols.{without[0]}.direction has to be long or short in the config")
        sides = np.where(np.isfinite(mids), np.array(sided, np.float64), 0.0)
        return Directions(symbols, minutes.first, sides)
    number = minutes.first + np.arange(len(mids))
    is_due = number % HOLD_MINUTES == 0
    if signal == "random":
        # By the hour of the calendar, so that a side does not depend on where the data begin.
        hour = number // HOLD_MINUTES
        coins = {int(each): np.random.default_rng([seed, int(each)]) for each in np.unique(hour)}
        tossed = {each: coin.choice([-1.0, 1.0], len(symbols)) for each, coin in coins.items()}
        sides = np.array([tossed[int(each)] for each in hour]).reshape(len(mids), len(symbols))
        return Directions(symbols, minutes.first, np.where(np.isfinite(mids), sides, 0.0))
    back, sign = (TREND_MINUTES, 1.0) if signal == "trend" else (REVERSION_MINUTES, -1.0)
    before = np.full_like(mids, np.nan)
    before[back:] = mids[:-back] if len(mids) > back else mids[:0]
    moved = sign * np.sign(mids - before)
    shown = np.where(is_due[:, None] & np.isfinite(moved) & (moved != 0), moved, np.nan)
    shown[0] = np.where(np.isnan(shown[0]), 0.0, shown[0])
    place = np.maximum.accumulate(np.where(np.isfinite(shown), np.arange(len(shown))[:, None], 0), axis=0)
    return Directions(symbols, minutes.first, np.take_along_axis(shown, place, axis=0))


def check_signal(signal: str) -> None:
    """Refuse a signal that there is not. Raises: ValueError."""
    if signal not in ALL_SIGNALS:
        raise ValueError(f"unknown signal {signal!r}; there are: {', '.join(ALL_SIGNALS)}")
