"""What a strategy is: features of all symbols in, factors of leverage out.

A strategy sets size, and some a direction. The signed leverage that is wanted of symbol s is side[s] x base[s] x the
product of its factors, where base is `strategy.base_leverage` x the symbol's weight and side the direction in use: the
one of the config, or the strategy's own where the config says `direction: signal`. Each factor has a name and is kept,
so that a leverage can be explained.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import Field, fields
from difflib import get_close_matches
from typing import Any, ClassVar, Protocol, Self

import numpy as np

from bot.market.symbols import SymbolSpec

MAX_FACTORS = 8
"""So many factors of a strategy are journalled and shown."""


class StrategyError(ValueError):
    """A strategy does not exist or cannot be loaded, or was given a parameter it does not know or cannot use."""


class UnknownParameter(StrategyError):
    """A strategy was given a parameter it does not have; the text has the nearest names, and all there are.

    Args: `own` the names of its parameters; `shared` those that every strategy may be given beside its own; `source`
        its file, where it has one.
    """

    def __init__(
        self, strategy_name: str, key: str, own: Iterable[str], *, shared: Iterable[str] = (), source: str = ""
    ) -> None:
        names, also = tuple(own), tuple(shared)
        self._given = strategy_name, key, names
        self._shared, self._source = also, source
        where = f"{source}: " if source else ""
        close = get_close_matches(key, names + also, n=3)
        hint = f" (did you mean {' or '.join(close)}?)" if close else ""
        beside = f"; every strategy takes: {', '.join(also)}" if also else ""
        allowed = f"it has: {', '.join(names) or 'none'}{beside}"
        super().__init__(f"{where}strategy {strategy_name} has no parameter {key!r}{hint}; {allowed}")

    def of_file(self, source: str) -> "UnknownParameter":
        """Return the error of a strategy that is a file."""
        return UnknownParameter(*self._given, shared=self._shared, source=source)

    def beside(self, shared: Iterable[str]) -> "UnknownParameter":
        """Return the error where every strategy takes more than its own."""
        return UnknownParameter(*self._given, shared=shared, source=self._source)


class Strategy(Protocol):
    """One leverage model.

    `has_direction` says that it can decide the side itself, so that a symbol may be configured with
    `direction: signal`. How to write one: docs/strategies.md.
    """

    @property
    def name(self) -> str:
        """What the config calls it."""
        ...

    @property
    def has_direction(self) -> bool:
        """Whether `directions` may be asked."""
        ...

    @property
    def requires_caps(self) -> bool:
        """Whether a cap that nobody knows keeps leverage from growing."""
        ...

    @property
    def factor_names(self) -> tuple[str, ...]:
        """The names of its factors, at most `MAX_FACTORS`."""
        ...

    @property
    def symbols_needed(self) -> tuple[str, ...]:
        """The symbols it cannot do without, by the broker's names."""
        ...

    @property
    def note(self) -> str | None:
        """What a person should be told once, when it has been bound to its symbols."""
        ...

    @property
    def problem(self) -> str | None:
        """What went wrong in its last evaluation, for a person; None while all is well."""
        ...

    def bound(self, specs: Sequence[SymbolSpec], base: np.ndarray) -> Self:
        """Return the strategy for these symbols: the rows of every table it is given from here on.

        Shapes: `base` (S,) base leverage x weight of each, 0 for a symbol that is loaded and not traded.
        """
        ...

    def directions(self, table: np.ndarray) -> np.ndarray:
        """Return the side it wants of each symbol, (S,) of -1, 0 or 1. Asked only if `has_direction`.

        Missing: NaN where it is unknown; such a symbol is held and may not grow.
        """
        ...

    def factors(self, table: np.ndarray, side: np.ndarray) -> np.ndarray:
        """Return the factors of leverage, (F, S) in the order of `factor_names`.

        Shapes: `table` (S,) of `FEATURES`; `side` (S,) of -1, 0, 1, NaN where it is unknown. The result may be good
            until the next call only.
        Missing: NaN where a factor is unknown; such a symbol is held and may not grow.
        """
        ...

    def expected_returns(self, table: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """Return mean and standard error of the coming day's return in the direction wanted, each (S,), or None.

        They set the Kelly cap; without them there is none. Units: fractions.
        """
        ...


def is_pure(strategy: object) -> bool:
    """Return whether a strategy may be asked what would be: it says `is_pure`, and nothing is known of others.

    A pure one answers the same table the same, and keeps nothing of having been asked.
    """
    return getattr(strategy, "is_pure", False) is True


class Parametrised:
    """What most strategies share: parameters from a config, and nothing that the protocol leaves free to have."""

    name: ClassVar[str]
    has_direction: ClassVar[bool] = False
    requires_caps: ClassVar[bool] = True

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, object]) -> Self:
        """Return the strategy with these parameters.

        Raises: StrategyError naming the parameter, and what is allowed.
        """
        name = getattr(cls, "name", cls.__name__)
        known = {field.name: field for field in fields(cls) if field.init}  # type: ignore[arg-type]  # subclasses are dataclasses
        for key, given in parameters.items():
            if key not in known:
                raise UnknownParameter(name, key, known)
            check_parameter(name, key, given, _default(known[key]))
        return cls(**parameters)

    @property
    def symbols_needed(self) -> tuple[str, ...]:
        """None in particular."""
        return ()

    @property
    def note(self) -> str | None:
        """Nothing to tell."""
        return None

    @property
    def problem(self) -> str | None:
        """Nothing can go wrong."""
        return None

    def bound(self, specs: Sequence[SymbolSpec], base: np.ndarray) -> Self:  # noqa: ARG002
        """Return itself: it is the same for all symbols."""
        return self

    def directions(self, table: np.ndarray) -> np.ndarray:
        """Return no direction, NaN for every symbol."""
        return np.full(len(table), math.nan)

    def expected_returns(self, table: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:  # noqa: ARG002
        """Return None: it states no mean."""
        return None


def check_parameter(strategy_name: str, key: str, given: object, default: object) -> None:
    """Refuse a parameter whose kind is not that of its default: text, true or false, or a finite number.

    Raises: StrategyError naming the parameter, and what is allowed.
    """
    if isinstance(default, str):
        fits, kind = isinstance(given, str), "text"
    elif isinstance(default, bool):
        fits, kind = isinstance(given, bool), "true or false"
    else:
        fits = isinstance(given, int | float) and not isinstance(given, bool) and math.isfinite(given)
        kind = "a number"
    if not fits:
        raise StrategyError(f"parameter {key!r} of strategy {strategy_name} must be {kind}, not {given!r}")


def check_clips(strategy_name: str, floor: float, cap: float) -> None:
    """Refuse bounds of a factor that do not enclose 1. Raises: StrategyError."""
    if not 0 < floor <= 1 <= cap:
        raise StrategyError(f"strategy {strategy_name} needs 0 < floor <= 1 <= cap; it has floor {floor}, cap {cap}")


def _default(field: "Field[Any]") -> object:
    return field.default
