"""A mean that forgets by the number of samples, each with a weight of its own."""

import math

HALF_LIFE_FILLS = 50.0


class WeightedMean:
    """An average over fills, weighted by notional, in which older fills count less.

    Units: those of the samples; `count` is not faded.   Missing: `mean` is NaN before the first sample.
    Source: models 1.1 in its sum form, with one fill as the unit of time; h of models 2.2.
    """

    def __init__(self, half_life: float = HALF_LIFE_FILLS) -> None:
        self._decay = 2.0 ** (-1.0 / half_life)
        self._sum = self._weight = 0.0
        self.count = 0

    def add(self, sample: float, weight: float = 1.0) -> None:
        """Take one sample; one that is not finite, or has no positive weight, is left out."""
        if not (math.isfinite(sample) and 0.0 < weight < math.inf):
            return
        self._sum = self._decay * self._sum + weight * sample
        self._weight = self._decay * self._weight + weight
        self.count += 1

    @property
    def mean(self) -> float:
        """The average."""
        return self._sum / self._weight if self._weight > 0.0 else math.nan
