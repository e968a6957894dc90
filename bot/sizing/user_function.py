"""A user's function as a strategy: `leverage(features, base, *, parameter=...)`, compiled where that works.

How it works: the function is compiled by numba and tried beside the plain one on a table of made-up features. If it
compiles and both say the same, the compiled one is used, which sees the feature table itself; else the plain one, which
sees the fields as arrays. Either way `features.liquidity_ratio` is an (S,) array. A function that fails on the made-up
features is kept, because they may be to blame, and `note` says where it failed.
"""

import inspect
import math
import types
import warnings
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from difflib import get_close_matches
from typing import Any, Self

import numpy as np
from numba import njit

from bot.market.feature_table import FIELDS, unknown_features, views
from bot.market.symbols import SymbolSpec
from bot.sizing.strategy import StrategyError, UnknownParameter, check_parameter
from bot.sizing.strategy_fault import StrategyFault, place, said

_PROBE_SYMBOLS = 8


class FunctionStrategy:
    """A strategy with one factor: the function's leverage over the base.

    Args: `signed` whether the sign of the leverage is a direction; `source` the function's file, for messages.
    Raises: StrategyError when the function cannot be called with a table and these parameters.
    """

    factor_names = ("leverage",)
    requires_caps = True
    symbols_needed: tuple[str, ...] = ()
    problem: str | None = None

    def __init__(
        self, name: str, function: Callable[..., Any], parameters: Mapping[str, object], *, signed: bool, source: str
    ) -> None:
        self.name = name
        self.has_direction = signed
        self.note: str | None = None
        self._function = function
        self._parameters = _settled(name, function, parameters)
        self._base = np.empty(0)
        self._names: tuple[str, ...] = ()
        self._compiled = self._try_compiled(source)

    @property
    def is_pure(self) -> bool:
        """Whether it is compiled: then it can keep nothing. Of plain Python nobody knows."""
        return self._compiled is not None

    def bound(self, specs: Sequence[SymbolSpec], base: np.ndarray) -> Self:
        """Return the strategy for these symbols."""
        new = copy(self)
        new._base, new._names = np.array(base, float), tuple(spec.name for spec in specs)
        return new

    def directions(self, table: np.ndarray) -> np.ndarray:
        """Return the sign of the leverage, (S,); NaN where it is unknown."""
        return np.asarray(np.sign(self._leverage(table)))

    def factors(self, table: np.ndarray, side: np.ndarray) -> np.ndarray:
        """Return leverage / base, (1, S). A signed leverage against the side in use counts as none.

        Raises: StrategyFault when a function without a direction returns a leverage below 0.
        """
        leverage = self._leverage(table)
        if self.has_direction:
            leverage = np.where(np.abs(side) > 0, np.maximum(side * leverage, 0.0), np.abs(leverage))
        is_traded = self._base > 0
        return np.where(is_traded, leverage / np.where(is_traded, self._base, 1.0), 0.0)[np.newaxis, :]

    def expected_returns(self, table: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:  # noqa: ARG002
        """Return None: a function states no mean."""
        return None

    def _leverage(self, table: np.ndarray) -> np.ndarray:
        return self._checked(self._call(self._compiled, table, self._base), len(table))

    def _checked(self, found: Any, count: int) -> np.ndarray:
        if np.shape(found) != (count,):
            raise StrategyFault(f"returned shape {np.shape(found)}, and one number a symbol is {(count,)}")
        leverage = np.asarray(found, float)
        if not self.has_direction and (leverage < 0).any():
            s = int(np.argmax(leverage < 0))
            where = self._names[s] if s < len(self._names) else f"symbol {s}"
            raise StrategyFault(
                f"returned {leverage[s]:g} for {where}; a leverage is not below 0 unless the file says DIRECTION = True"
            )
        return leverage

    def _call(self, compiled: Callable[..., Any] | None, table: np.ndarray, base: np.ndarray) -> Any:
        seen = table.view()
        seen.flags.writeable = False
        with np.errstate(all="ignore"):
            if compiled is not None:
                return compiled(seen, base, *self._parameters.values())
            return self._function(views(seen), base, **self._parameters)

    def _try_compiled(self, source: str) -> Callable[..., Any] | None:
        table, base = _probe_table(), np.full(_PROBE_SYMBOLS, 5.0)
        try:
            plain = self._checked(self._call(None, table, base), _PROBE_SYMBOLS)
        except Exception as error:
            if isinstance(error, AttributeError) and isinstance(error.obj, type(views(table))):
                raise _no_feature(error) from error
            # Not refused: the features are made up, and what is wrong with them may never come from a market.
            self.note = (
                f"{place(error, source)}: {said(error)} (on made-up features; {self.name} may fail in a run too)"
            )
            return None
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                compiled = njit(_positional(self._function))
                found = self._call(compiled, table, base)
            if not np.allclose(found, plain, rtol=1e-9, atol=0.0, equal_nan=True):
                self.note = f"{self.name}: runs as plain numpy; compiled it gives other numbers"
                return None
        except Exception as error:
            reason = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
            self.note = f"{self.name}: runs as plain numpy; numba cannot compile it ({reason})"
            return None
        return compiled  # type: ignore[no-any-return]


def _settled(name: str, function: Callable[..., Any], given: Mapping[str, object]) -> dict[str, Any]:
    """Return every parameter of a function, in its order: as given, or its default."""
    positional, own = [], {}
    for key, parameter in inspect.signature(function).parameters.items():
        if parameter.kind is parameter.KEYWORD_ONLY:
            if parameter.default is parameter.empty:
                raise StrategyError(f"strategy {name}: parameter {key!r} of leverage() needs a default")
            own[key] = parameter.default
        else:
            positional.append(parameter)
    if len(positional) != 2 or any(p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in positional):
        raise StrategyError(f"strategy {name} needs `def leverage(features, base, *, my_parameter=0.5)`")
    for key, number in given.items():
        if key not in own:
            raise UnknownParameter(name, key, own)
        check_parameter(name, key, number, own[key])
        own[key] = float(number) if isinstance(own[key], float) else number  # type: ignore[arg-type]
    return own


def _positional(function: Any) -> Any:
    """Return the same function with keyword-only parameters that numba can take: by position."""
    code = function.__code__
    count = code.co_argcount + code.co_kwonlyargcount
    code = code.replace(co_argcount=count, co_kwonlyargcount=0)
    return types.FunctionType(code, function.__globals__, function.__name__, None, function.__closure__)


def _no_feature(error: AttributeError) -> StrategyError:
    names = [name for name, _ in FIELDS]
    close = get_close_matches(str(error.name), names, n=3)
    hint = f"; did you mean {' or '.join(close)}?" if close else "; docs/strategies.md lists them"
    return StrategyError(f"there is no feature {error.name!r}{hint}")


def _probe_table() -> np.ndarray:
    """Return made-up features of a few symbols: around 1, of both signs where signs make sense, one all unknown."""
    table = unknown_features(_PROBE_SYMBOLS)
    for f, (name, _) in enumerate(FIELDS):
        spread = np.array([math.sin(1.7 * f + 2.3 * s) for s in range(_PROBE_SYMBOLS)])
        is_signed = name.startswith(("obi", "ofi", "revision"))
        table[name] = spread if is_signed else np.exp(spread)
        if (f % 5) == 0:
            table[name][_PROBE_SYMBOLS - 2] = math.nan
        table[name][_PROBE_SYMBOLS - 1] = math.nan
    for name in ("crisis_level", "is_depth_seen", "is_spot_only"):
        table[name] = np.arange(_PROBE_SYMBOLS) % 2
    return table
