"""What may be tried for a parameter, as the search wants it, and what lies beside a value."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Choice = bool | int | float | str | None
NEAR_FRAC, FAR_FRAC = 0.05, 0.15
"""How far neighbours lie, as fractions of the range (of its logarithm where it is searched so)."""
_MOST_CHOICES = 4


@dataclass(frozen=True, slots=True)
class Range:
    """The values of one parameter: from `low` to `high`, or one of `choices` where there are some."""

    low: float = 0.0
    high: float = 1.0
    step: float | None = None
    is_log: bool = False
    choices: tuple[Choice, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether it takes whole numbers: both `low` and `step` are whole."""
        return self.step is not None and float(self.step).is_integer() and float(self.low).is_integer()

    def distribution(self) -> Any:
        """Return it as Optuna's distribution."""
        from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

        if self.choices:
            return CategoricalDistribution(self.choices)
        high = self.high if self.step is None else self.low + self.step * self._steps
        if self.is_whole and self.step is not None:
            return IntDistribution(int(self.low), int(high), step=int(self.step))
        return FloatDistribution(float(self.low), float(high), log=self.is_log, step=self.step)

    def probes(self) -> tuple[Choice, ...]:
        """Return values that a config has to take if it takes this range: ends and one between, or every choice."""
        if self.choices:
            return self.choices
        between = self._at(1 / math.e) if self.step is None else self.low + self.step
        return (self._typed(self.low), self._typed(self.low + self._span), self._typed(between))

    def neighbours(self, value: Choice) -> tuple[Choice, ...]:
        """Return values beside one, in order, itself left out: near and far on both sides, or the other choices."""
        if self.choices:
            return tuple(each for each in self.choices if each != value)[:_MOST_CHOICES]
        assert isinstance(value, int | float)
        place = self.place(value)
        found = {self._typed(self._beside(value, place, way)) for way in (-FAR_FRAC, -NEAR_FRAC, NEAR_FRAC, FAR_FRAC)}
        return tuple(sorted((each for each in found if each != value), key=float))  # type: ignore[arg-type]

    def place(self, value: Choice) -> float:
        """Return where a value lies, from 0 to 1; the number of a choice."""
        if self.choices:
            return float(self.choices.index(value))
        assert isinstance(value, int | float)
        if self.is_log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    @property
    def _steps(self) -> int:
        assert self.step is not None
        return math.floor((self.high - self.low) / self.step + 1e-9)

    @property
    def _span(self) -> float:
        return self.high - self.low if self.step is None else self.step * self._steps

    def _at(self, place: float) -> float:
        place = min(max(place, 0.0), 1.0)
        if self.is_log:
            reached = float(self.low * (self.high / self.low) ** place)
            return min(max(reached, self.low), self.high)
        return self.low + place * (self.high - self.low)

    def _beside(self, value: float, place: float, way: float) -> float:
        if self.step is None:
            return self._at(place + way)
        count = round((value - self.low) / self.step)
        moved = max(round(abs(way) * self._steps), 1 if abs(way) == NEAR_FRAC else 2)
        return self.low + self.step * min(max(count + int(math.copysign(moved, way)), 0), self._steps)

    def _typed(self, value: float) -> float | int:
        return round(value) if self.is_whole else float(value)


def described(ranges: Mapping[str, Range]) -> dict[str, Any]:
    """Return ranges as what JSON can hold, to be kept with what they found."""
    return {
        name: {"choices": list(each.choices)}
        if each.choices
        else {"low": each.low, "high": each.high, "step": each.step, "log": each.is_log}
        for name, each in sorted(ranges.items())
    }
