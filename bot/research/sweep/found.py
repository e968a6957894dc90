"""What a sweep found: the choice, what it was before, both on train and test days, and how far luck explains it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median, stdev
from typing import Any

from bot.research.metrics.deflated_sharpe import DeflatedSharpe, expected_best_sharpe, probability_above
from bot.research.sweep.ranges import NEAR_FRAC, Choice, Range
from bot.research.sweep.score import Direction, Score
from bot.research.sweep.split import Split

_NEEDLE_FRAC = 0.5


@dataclass(frozen=True, slots=True)
class Scored:
    """One choice of parameters on the train and on the test days; never one without the other."""

    changes: Mapping[str, Choice]
    train: Score
    test: Score


@dataclass(frozen=True, slots=True)
class Beside:
    """A neighbour of the choice: one parameter at another value."""

    value: Choice
    train: float
    test: float


@dataclass(frozen=True, slots=True)
class Steadiness:
    """What becomes of the figure when one parameter moves.

    `beside` in order, the choice itself among them; `train_loss`, `test_loss` what the neighbours 5 % of the range away
    (or every other choice) are worse by, in the mean, in units of the figure. `lost_frac` is `train_loss` over what
    the choice is better by than the median trial; a `needle` loses more than half of that. Missing: NaN, "unknown".
    """

    parameter: str
    beside: tuple[Beside, ...]
    train_loss: float
    test_loss: float
    lost_frac: float
    shape: str


@dataclass(frozen=True, slots=True)
class SweepFound:
    """A whole sweep. `default` is the config as it is. `gap` is what the choice is worse by on test than on train days.

    `deflated` of the train days, of a Sharpe ratio only; `tries` how many trials it is held against; `test_looks` how
    many choices have been scored on the test days so far: each one more makes them a little less of a test.
    `tried` are (changes, state, train figure) of every trial, for the pictures; `default_changes` what the config has
    in the keys that are tried, None where it leaves one to its default or to the strategy's.
    """

    study: str
    settled: Mapping[str, Any]
    metric: str
    direction: Direction
    split: Split
    counts: Mapping[str, int]
    chosen: Scored
    default: Scored
    gap: float
    tries: int
    deflated: DeflatedSharpe | None
    importance: Mapping[str, float]
    steadiness: tuple[Steadiness, ...]
    test_looks: int
    labels: Mapping[str, str] = field(default_factory=dict)
    tried: tuple[tuple[Mapping[str, Choice], str, float], ...] = ()
    default_changes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def default_is_better(self) -> bool:
        """Whether the config as it is does better than the choice on the train days already."""
        return better_by(self.direction, self.default.train.figure, self.chosen.train.figure) > 0


def better_by(direction: Direction, ours: float, theirs: float) -> float:
    """Return how much better ours is; negative when worse."""
    return ours - theirs if direction == "maximize" else theirs - ours


def deflated(score: Score, sharpes: Sequence[float]) -> DeflatedSharpe | None:
    """Return the train Sharpe ratio against the best that luck makes of as many trials as there were.

    Args: `sharpes` of all trials, a bar. Every trial counts as an independent try, which is strict: trials are alike.
    Missing: None without moments or with fewer than two trials.   Source: Bailey and López de Prado (2014).
    """
    known = [each for each in sharpes if math.isfinite(each)]
    if score.moments is None or len(known) < 2:
        return None
    m, tries = score.moments, len(sharpes)
    luck = expected_best_sharpe(stdev(known), tries)
    probability = probability_above(m.sharpe, luck, m.observations, m.skewness, m.kurtosis)
    return DeflatedSharpe(m.sharpe, luck, probability, tries, m.observations, m.skewness, m.kurtosis)


def steadiness(
    parameter: str, each: Range, value: Choice, direction: Direction, beside: Sequence[Beside], trains: Sequence[float]
) -> Steadiness:
    """Return what becomes of the figure around a choice.

    Args: `beside` the choice and its neighbours; `trains` the train figures of all complete trials.
    """
    centre = next(one for one in beside if one.value == value)
    near = [one for one in beside if one.value != value]
    if not each.choices and near:
        gaps = [abs(each.place(one.value) - each.place(value)) for one in near]
        nearest = max(min(gaps), NEAR_FRAC) * (1 + 1e-6)
        near = [one for one, gap in zip(near, gaps, strict=True) if gap <= nearest]
    train_loss = _mean([better_by(direction, centre.train, one.train) for one in near])
    test_loss = _mean([better_by(direction, centre.test, one.test) for one in near])
    known = [one for one in trains if math.isfinite(one)]
    edge = better_by(direction, centre.train, median(known)) if known else math.nan
    lost = train_loss / edge if edge > 0 else math.nan
    shape = "unknown" if not math.isfinite(lost) else "needle" if lost > _NEEDLE_FRAC else "plateau"
    return Steadiness(parameter, tuple(beside), train_loss, test_loss, lost, shape)


def _mean(each: Sequence[float]) -> float:
    return sum(each) / len(each) if each else math.nan
