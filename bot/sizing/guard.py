"""Keeps a user's strategy from doing harm: what it raises, or answers in the wrong shape, becomes a hold and a word.

How it works: it stands in front of the user's own strategy and passes everything on. When an evaluation fails, every
symbol is held (or wished flat, if the config says so), and `problem` says what happened and where, until an evaluation
succeeds again.
"""

import math
from collections.abc import Callable, Sequence
from copy import copy
from typing import Any, Literal, Self

import numpy as np

from bot.market.symbols import SymbolSpec
from bot.sizing.strategy import MAX_FACTORS, StrategyError
from bot.sizing.strategy_fault import StrategyFault, place, said

OnError = Literal["hold", "flatten"]


class GuardedStrategy:
    """A strategy that cannot raise.

    Args: `inner` the user's; `source` its file, for messages; `on_error` what to wish for while it fails.
    Raises: StrategyError when it lacks what a strategy needs.
    """

    def __init__(self, inner: Any, source: str, on_error: OnError) -> None:
        self.name = str(getattr(inner, "name", source))
        self.has_direction = bool(getattr(inner, "has_direction", False))
        self.requires_caps = bool(getattr(inner, "requires_caps", True))
        names = getattr(inner, "factor_names", None)
        if not (isinstance(names, tuple) and 0 < len(names) <= MAX_FACTORS and all(isinstance(n, str) for n in names)):
            raise StrategyError(f"{source}: `factor_names` must be a tuple of 1 to {MAX_FACTORS} names, not {names!r}")
        needed = ["factors", *(["directions"] if self.has_direction else [])]
        for method in needed:
            if not callable(getattr(inner, method, None)):
                raise StrategyError(f"{source}: a strategy needs a method `{method}`; see docs/strategies.md")
        self.factor_names: tuple[str, ...] = names
        # Its own word only: one that is made from a pure one may keep what it likes.
        self.is_pure = "is_pure" in vars(type(inner)) and inner.is_pure is True
        self._inner = inner
        self._source = source
        self._rest = math.nan if on_error == "hold" else 0.0
        self._problems: dict[str, str] = {}
        self._is_traded = np.empty(0, np.bool_)

    @property
    def symbols_needed(self) -> tuple[str, ...]:
        """What the user's strategy needs."""
        return tuple(getattr(self._inner, "symbols_needed", ()))

    @property
    def note(self) -> str | None:
        """What the user's strategy tells."""
        told = getattr(self._inner, "note", None)
        return None if told is None else str(told)

    @property
    def problem(self) -> str | None:
        """What went wrong of late, file and line first; None while all is well."""
        return next(iter(self._problems.values()), None)

    def bound(self, specs: Sequence[SymbolSpec], base: np.ndarray) -> Self:
        """Return the guarded strategy for these symbols."""
        new = copy(self)
        new._problems = {}
        new._is_traded = np.asarray(base) > 0
        if hasattr(self._inner, "bound"):
            new._inner = new._tried("bound", lambda: self._inner.bound(specs, base), self._inner)
        return new

    def directions(self, table: np.ndarray) -> np.ndarray:
        """Return the user's directions, (S,); unknown, or none, for all while it fails."""

        def evaluate() -> np.ndarray:
            # A copy of its own: contiguous, or the sizer would be compiled once more, while it runs.
            found = np.array(self._inner.directions(_unwritable(table)), float, order="C")
            if found.shape != (len(table),):
                raise StrategyFault(f"directions have shape {found.shape}, and one a symbol is {(len(table),)}")
            if not (np.isin(found, (-1.0, 0.0, 1.0)) | np.isnan(found)).all():
                raise StrategyFault("directions must be -1, 0 or 1, or NaN where unknown")
            return found

        return np.asarray(self._tried("directions", evaluate, np.full(len(table), self._rest)))

    def factors(self, table: np.ndarray, side: np.ndarray) -> np.ndarray:
        """Return the user's factors, (F, S); unknown, or 0, for all while it fails."""
        shape = (len(self.factor_names), len(table))

        def evaluate() -> np.ndarray:
            found = np.asarray(self._inner.factors(_unwritable(table), side), float)
            if found.shape != shape:
                raise StrategyFault(f"factors have shape {found.shape}, and (factors, symbols) is {shape}")
            if (found < 0).any():
                raise StrategyFault("a factor is below 0; the side is not a matter of factors")
            # Contiguous like those of our own strategies, or the rules would be compiled once more, while they run.
            found = np.ascontiguousarray(np.where(np.isinf(found), np.nan, found))
            # While a market is still being learned, unknown is the right answer; afterwards it is a mistake.
            warm = np.isfinite(table["mid"]) & np.isfinite(table["liquidity_ratio"])
            warm &= self._is_traded if len(self._is_traded) == len(table) else True
            if warm.any() and np.isnan(found).any(axis=0)[warm].all():
                raise StrategyFault("is unknown (NaN or infinite) for every symbol, though the market is known")
            return found

        return np.asarray(self._tried("factors", evaluate, np.full(shape, self._rest)))

    def expected_returns(self, table: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """Return what the user's strategy states, or None; unknown for all while it fails."""
        if not hasattr(self._inner, "expected_returns"):
            return None

        def evaluate() -> tuple[np.ndarray, np.ndarray] | None:
            stated = self._inner.expected_returns(_unwritable(table))
            if stated is None:
                return None
            mean, error = (np.asarray(x, float) for x in stated)
            if not mean.shape == error.shape == (len(table),):
                raise StrategyFault("expected returns are a mean and an error for each symbol")
            return mean, error

        unknown = np.full(len(table), np.nan)
        found: tuple[np.ndarray, np.ndarray] | None = self._tried("expected_returns", evaluate, (unknown, unknown))
        return found

    def _tried(self, what: str, evaluate: Callable[[], Any], otherwise: Any) -> Any:
        try:
            with np.errstate(all="ignore"):
                found = evaluate()
        except Exception as error:
            self._problems[what] = f"{place(error, self._source)}: {said(error)}"
            return otherwise
        self._problems.pop(what, None)
        return found


def _unwritable(table: np.ndarray) -> np.ndarray:
    seen = table.view()
    seen.flags.writeable = False
    return seen
