"""Fits and scores of a study: least squares, ridge out of sample, area under the ROC curve, correlation with gaps."""

import math
from typing import NamedTuple

import numpy as np


class Fit(NamedTuple):
    """A least-squares line: `intercept`, `slopes` (P,), and its R2, plain and adjusted for the number of inputs."""

    intercept: float
    slopes: np.ndarray
    r_squared: float
    adjusted_r_squared: float


def least_squares(inputs: np.ndarray, outcomes: np.ndarray) -> Fit:
    """Fit outcomes = intercept + inputs . slopes.

    Shapes: `inputs` (N,) or (N, P), `outcomes` (N,); N > P + 1.
    Missing: rows with a NaN are left out. R2 is NaN where the outcomes do not vary.
    Source: ordinary least squares; adjusted R2 = 1 - (1 - R2) (N - 1) / (N - P - 1).
    """
    inputs, outcomes = _complete(inputs, outcomes)
    count, width = inputs.shape
    design = np.column_stack([np.ones(count), inputs])
    coefficients = np.linalg.lstsq(design, outcomes, rcond=None)[0]
    r_squared = explained(outcomes, design @ coefficients)
    adjusted = 1 - (1 - r_squared) * (count - 1) / (count - width - 1)
    return Fit(float(coefficients[0]), coefficients[1:], r_squared, adjusted)


def explained(outcomes: np.ndarray, predicted: np.ndarray) -> float:
    """Return 1 - sum of squared errors / sum of squares about the outcomes' own mean.

    Of predictions made before the outcomes this may be negative: worse than knowing their mean.
    Shapes: both (N,).   Missing: NaN where the outcomes do not vary.
    """
    total = float(((outcomes - outcomes.mean()) ** 2).sum())
    return 1 - float(((outcomes - predicted) ** 2).sum()) / total if total > 0 else math.nan


def half_split_r_squared(inputs: np.ndarray, outcomes: np.ndarray, penalty: float) -> float:
    """Return the R2 on the second half of a ridge regression fitted on the first half.

    Inputs are standardised with the first half's mean and spread, and the penalty is `penalty` times its row count;
    0 is ordinary least squares.

    Shapes: `inputs` (N,) or (N, P), `outcomes` (N,), both in order of time.
    Source: models 6.2, lambda = 0.05 n on standardised inputs.
    """
    inputs, outcomes = _complete(inputs, outcomes)
    half = len(outcomes) // 2
    centre, scale = inputs[:half].mean(axis=0), inputs[:half].std(axis=0)
    standard = (inputs - np.asarray(centre)) / np.where(scale > 0, scale, 1.0)
    early, level = standard[:half], float(outcomes[:half].mean())
    normal = early.T @ early + penalty * half * np.eye(early.shape[1])
    slopes = np.linalg.lstsq(normal, early.T @ (outcomes[:half] - level), rcond=None)[0]
    return explained(outcomes[half:], level + standard[half:] @ slopes)


def area_under_curve(scores: np.ndarray, is_positive: np.ndarray) -> float:
    """Return the chance that a positive case scores higher than a negative one; a tie counts half.

    Shapes: both (N,), `is_positive` bool.   Missing: NaN where one of the two kinds is absent.
    Source: Mann and Whitney (1947), from the ranks; equals the area under the ROC curve.
    """
    positives = int(is_positive.sum())
    negatives = len(is_positive) - positives
    if not positives or not negatives:
        return math.nan
    _, place, count = np.unique(scores, return_inverse=True, return_counts=True)
    rank = (np.cumsum(count) - (count - 1) / 2)[place]
    wins = float(rank[is_positive].sum()) - positives * (positives + 1) / 2
    return wins / (positives * negatives)


def correlation(left: np.ndarray, right: np.ndarray) -> float:
    """Return Pearson's correlation of two (N,) arrays over the rows where both are known."""
    known = np.isfinite(left) & np.isfinite(right)
    return float(np.corrcoef(left[known], right[known])[0, 1])


def autocorrelation(series: np.ndarray, lag: int) -> float:
    """Return the correlation of a series with itself `lag` rows later; NaN rows are gaps and keep their place."""
    return correlation(series[:-lag], series[lag:])


def _complete(inputs: np.ndarray, outcomes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    inputs = inputs[:, None] if inputs.ndim == 1 else inputs
    known = np.isfinite(inputs).all(axis=1) & np.isfinite(outcomes)
    return inputs[known], outcomes[known]
