"""The evaluator: delta rows in, microstructure features of every symbol out.

How it works: it owns the books, what the estimators remember, and the features, and hands them to the compiled loops of
`estimators.py` batch by batch; tables that are full grow between two rows of a message.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bot.market import book
from bot.market.book import BookArrays
from bot.market.estimators import Features, State, receive

__all__ = ["Evaluator", "EvaluatorSettings", "Features"]

# Arrays of books and state that have the symbol as their second axis.
_SYMBOL_SECOND = frozenset(
    (
        *("level_key", "level_size", "level_quotes", "level_count", "spot_e5", "spot_known", "counters"),
        *("mean", "previous", "average_ns", "old_key", "old_size"),
    )
)


@dataclass(frozen=True, slots=True)
class EvaluatorSettings:
    """Half-lives and distances of the estimators. Units: seconds. Defaults: models 18, where it names them."""

    spread_half_life_s: float = 60.0
    touch_size_half_life_s: float = 600.0
    flow_half_life_s: float = 10.0
    liquidity_base_half_life_s: float = 3600.0
    liquidity_smoothing_half_life_s: float = 300.0


class Evaluator:
    """Books and features of S symbols.

    Args: `pips` (S,) price of one pip; `settings` the half-lives.
    """

    def __init__(self, pips: np.ndarray, settings: EvaluatorSettings) -> None:
        count = len(pips)
        self._books = book.empty_books(count)
        self._half_lives = np.array(
            [
                settings.spread_half_life_s,
                settings.touch_size_half_life_s,
                settings.flow_half_life_s,
                settings.liquidity_base_half_life_s,
                settings.liquidity_smoothing_half_life_s,
            ]
        )

        def never() -> np.ndarray:
            return np.full(count, -1, np.int64)

        self._state = State(
            mean=np.full((4, count), np.nan),
            previous=np.full((4, count), np.nan),
            average_ns=np.full((4, count), -1, np.int64),
            flow=np.zeros(count),
            flow_ns=never(),
            old_key=np.zeros((2, count), np.int64),
            old_size=np.zeros((2, count), np.int64),
            old_known=np.zeros(count, np.bool_),
            spot_ns=never(),
            depth_ns=never(),
            first_ns=never(),
            crossed_ns=never(),
            apart_ns=never(),
            pip=np.asarray(pips, np.float64).copy(),
        )
        self._features = Features(*(np.full(count, np.nan) for _ in Features._fields))

    @property
    def books(self) -> BookArrays:
        """The books themselves; treat as read-only."""
        return self._books

    @property
    def features(self) -> Features:
        """The features as of the last `receive`; treat as read-only (the arrays are reused)."""
        return self._features

    def receive(self, rows: np.ndarray, now_ns: int) -> np.ndarray:
        """Apply one batch of delta rows and return which symbols changed.

        Shapes: `rows` (N,) of `DELTA`; result (S,) bool.
        """
        changed = np.zeros(len(self._state.pip), np.bool_)
        rows = rows.view()
        rows.flags.writeable = False  # one array type, so the loops are compiled once
        start = 0
        while True:
            start = receive(self._books, self._state, self._features, rows, start, now_ns, changed, self._half_lives)
            if start == len(rows):
                return changed
            self._books = book.grown(self._books)

    def clear(self) -> None:
        """Forget every book and spot price, as after a lost connection. Averages stay: they describe the market."""
        for s in range(len(self._state.pip)):
            book.clear_book(self._books, s)
        self._state.old_known[:] = False
        self._state.flow[:] = 0.0
        for times in (self._state.spot_ns, self._state.depth_ns, self._state.crossed_ns, self._state.apart_ns):
            times[:] = -1
        units = self._features.reference_units.copy()
        for array in self._features:
            array[:] = np.nan
        self._features.reference_units[:] = units

    def take_over(self, old: "Evaluator", index: Mapping[int, int]) -> None:
        """Carry on where another evaluator stands, for the symbols both have.

        Args: `index` maps a symbol's index here to its index in `old`.
        """
        _, slots = old.books.quote_used.shape
        self._books = book.empty_books(len(self._state.pip), slots, old.books.level_key.shape[2])
        for mine, theirs in ((self._books, old._books), (self._state, old._state), (self._features, old._features)):
            for name, target, source in zip(mine._fields, mine, theirs, strict=True):
                axis = 1 if name in _SYMBOL_SECOND else 0
                for here, there in index.items():
                    np.moveaxis(target, axis, 0)[here] = np.moveaxis(source, axis, 0)[there]

    def set_reference_units(self, units: np.ndarray) -> None:
        """Set the size whose cost is watched, (S,) base units; NaN while equity or a conversion is unknown."""
        self._features.reference_units[:] = units

    def quiet_s(self, now_ns: int) -> np.ndarray:
        """Return the age of the newest message of each symbol, spot or depth, in seconds; inf when there is none."""
        newest = np.maximum(self._state.spot_ns, self._state.depth_ns)
        return np.where(newest < 0, np.inf, (now_ns - newest) / 1e9)

    def watched_s(self, now_ns: int) -> np.ndarray:
        """Return for how long each symbol has had a liquidity ratio, in seconds; 0 before it has one."""
        first = self._state.first_ns
        return np.where(first < 0, 0.0, (now_ns - first) / 1e9)

    def crossed_s(self, now_ns: int) -> np.ndarray:
        """Return for how long each depth book has been crossed, in seconds; 0 when it is not."""
        return np.where(self._state.crossed_ns < 0, 0.0, (now_ns - self._state.crossed_ns) / 1e9)

    def is_apart(self) -> np.ndarray:
        """Return whether the last prices of depth and spot disagree by more than a spread and a pip, (S,) bool."""
        return self._state.apart_ns >= 0

    def apart_s(self, now_ns: int) -> np.ndarray:
        """Return for how long depth and spot have disagreed by more than a spread and a pip, in seconds."""
        return np.where(self._state.apart_ns < 0, 0.0, (now_ns - self._state.apart_ns) / 1e9)
