"""What a strategy is: features of all symbols in, factors of leverage out.

A strategy sets size only. The signed leverage of symbol s is direction[s] x base[s] x the product of its factors, where
base is `strategy.base_leverage` x the symbol's weight. Each factor is kept, so that a leverage can be explained.
"""

import math
from collections.abc import Mapping
from dataclasses import fields
from typing import ClassVar, Protocol, Self

import numpy as np

from bot.market.evaluator import Features


class StrategyError(ValueError):
    """A strategy does not exist, or was given a parameter it does not know or cannot use."""


class Strategy(Protocol):
    """One leverage model. Its parameters are the fields of its dataclass.

    `has_direction` says that it decides the side itself, so that a symbol may be configured with `direction: signal`.
    """

    name: ClassVar[str]
    has_direction: ClassVar[bool]
    factor_names: ClassVar[tuple[str, ...]]

    def factors(self, features: Features) -> np.ndarray:
        """Return the factors of leverage, (F, S) in the order of `factor_names`.

        Missing: NaN where a factor is unknown; such a symbol is held and may not grow.
        """
        ...


class Parametrised:
    """Builds a strategy dataclass from the `parameters` of a config."""

    name: ClassVar[str]

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, object]) -> Self:
        """Return the strategy with these parameters.

        Raises: StrategyError naming the parameter, and what is allowed.
        """
        known = [f.name for f in fields(cls)]  # type: ignore[arg-type]  # subclasses are dataclasses
        for key, value in parameters.items():
            if key not in known:
                allowed = ", ".join(known) or "none"
                raise StrategyError(f"strategy {cls.name} has no parameter {key!r}; it has: {allowed}")
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                raise StrategyError(f"parameter {key!r} of strategy {cls.name} must be a number, not {value!r}")
        return cls(**parameters)
