"""The days of a sweep: those that only teach, those the choice is made on, those between, those that test it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bot.research.sources import Source

DAY_NS = 86_400_000_000_000
LEAST_TRAIN, LEAST_TEST = 2, 1


class TooFewDays(ValueError):
    """The data have too few days; the text says how many it takes."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Days that are scored, after days that only teach what is usual. Units: UTC days since 1970."""

    warm: tuple[int, ...]
    scored: tuple[int, ...]

    @property
    def from_ns(self) -> int:
        """Where a run over it begins."""
        return (*self.warm, *self.scored)[0] * DAY_NS

    @property
    def until_ns(self) -> int:
        """Where a run over it ends, exclusive."""
        return (self.scored[-1] + 1) * DAY_NS


@dataclass(frozen=True, slots=True)
class Split:
    """How the days of the data are used. Units: UTC days since 1970, in their order."""

    calibration: tuple[int, ...]
    train: tuple[int, ...]
    embargo: tuple[int, ...]
    test: tuple[int, ...]

    @property
    def train_stretch(self) -> Stretch:
        """What a trial runs over."""
        return Stretch(self.calibration, self.train)

    @property
    def test_stretch(self) -> Stretch:
        """What tests a choice: it begins anew, and as many days before it teach as before the train days."""
        before = (*self.calibration, *self.train, *self.embargo)
        return Stretch(before[len(before) - len(self.calibration) :], self.test)


def trading_days(sources: Sequence[Source]) -> tuple[int, ...]:
    """Return the UTC days (since 1970) on which any of the sources has data; reads all of them."""
    found: set[int] = set()
    for place, source in enumerate(sources):
        for piece in source.stream(place, 0):
            found.update(np.unique(piece.times_ns // DAY_NS).tolist())
    return tuple(sorted(found))


def split_days(days: Sequence[int], calibration_days: int, train_frac: float, embargo_days: int) -> Split:
    """Return how days are used: calibration, then the share `train_frac` of the rest, an embargo, the test.

    Raises: TooFewDays when fewer than two train days or one test day would be left.
    """
    count = len(days)
    needed = count
    while not _is_enough(_parts(needed, calibration_days, train_frac, embargo_days)):
        needed += 1
    if needed > count:
        raise TooFewDays(
            f"the data have {count} UTC day(s); this sweep needs {needed}: {calibration_days} to calibrate, "
            f"{_parts(needed, calibration_days, train_frac, embargo_days)[0]} to train, {embargo_days} between, "
            f"{_parts(needed, calibration_days, train_frac, embargo_days)[1]} to test"
        )
    train, _ = _parts(count, calibration_days, train_frac, embargo_days)
    ends = (calibration_days, calibration_days + train, calibration_days + train + embargo_days)
    each = tuple(days)
    return Split(each[: ends[0]], each[ends[0] : ends[1]], each[ends[1] : ends[2]], each[ends[2] :])


def _parts(count: int, calibration_days: int, train_frac: float, embargo_days: int) -> tuple[int, int]:
    rest = count - calibration_days - embargo_days
    train = round(rest * train_frac)
    return train, rest - train


def _is_enough(parts: tuple[int, int]) -> bool:
    return parts[0] >= LEAST_TRAIN and parts[1] >= LEAST_TEST
