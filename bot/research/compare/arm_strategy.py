"""A leverage model with the directions of a comparison: the side comes from a series, the size from the model."""

from collections.abc import Sequence
from copy import copy
from typing import Self

import numpy as np

from bot.market.symbols import SymbolSpec
from bot.research.compare.signals import Directions
from bot.sizing.strategy import Parametrised, Strategy


class Now:
    """The virtual time, told before each decision."""

    def __init__(self) -> None:
        self.ns = 0

    def tell(self, now_ns: int) -> None:
        """Take the time."""
        self.ns = now_ns


class Directed(Parametrised):
    """A strategy whose side is a series'.

    Args: `inner` the model; `left_out` the name of a factor that is 1 whatever the model says; `now` the time.
    Raises: ValueError when the model has no such factor.
    """

    has_direction = True
    requires_caps = True  # of every arm: an arm that need not know its caps would not be compared on size alone

    def __init__(self, inner: Strategy, directions: Directions, now: Now, left_out: str = "") -> None:
        if left_out and left_out not in inner.factor_names:
            raise ValueError(f"strategy {inner.name} has no factor {left_out!r} to leave out")
        self.name = inner.name  # type: ignore[misc]
        self._inner, self._directions, self._now = inner, directions, now
        self._left_out = inner.factor_names.index(left_out) if left_out else -1
        self._columns = np.empty(0, np.int64)

    @property
    def factor_names(self) -> tuple[str, ...]:
        """The model's."""
        return self._inner.factor_names

    @property
    def symbols_needed(self) -> tuple[str, ...]:
        """The model's."""
        return self._inner.symbols_needed

    @property
    def note(self) -> str | None:
        """The model's."""
        return self._inner.note

    @property
    def problem(self) -> str | None:
        """The model's."""
        return self._inner.problem

    def bound(self, specs: Sequence[SymbolSpec], base: np.ndarray) -> Self:
        """Return the strategy for these symbols; one without a direction is wanted flat."""
        new = copy(self)
        new._inner = self._inner.bound(specs, base)
        names = self._directions.symbols
        new._columns = np.array([names.index(s.name) if s.name in names else -1 for s in specs], np.int64)
        return new

    def directions(self, table: np.ndarray) -> np.ndarray:  # noqa: ARG002
        """Return the side of each symbol at this time, (S,)."""
        sides = np.append(self._directions.at(self._now.ns), 0.0)
        return np.ascontiguousarray(sides[self._columns])

    def factors(self, table: np.ndarray, side: np.ndarray) -> np.ndarray:
        """Return the model's factors, (F, S), the one left out as 1."""
        factors = self._inner.factors(table, side)
        if self._left_out >= 0:
            factors[self._left_out] = 1.0
        return factors

    def expected_returns(self, table: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:  # noqa: ARG002
        """Return None: what a model expects of its own direction says nothing of this one."""
        return None
