"""Whether the best Sharpe ratio of many tries is more than the best of as many tries at nothing."""

import math
from dataclasses import dataclass

import numpy as np

EULER = 0.5772156649015329


@dataclass(frozen=True, slots=True)
class DeflatedSharpe:
    """A Sharpe ratio against the best that luck would have made of so many tries.

    Units: `sharpe` and `luck` a bar, not a year; `kurtosis` 3 for a normal distribution; `probability_frac` that the
        true ratio is above 0 after so many tries. Missing: NaN where returns do not vary.
    """

    sharpe: float
    luck: float
    probability_frac: float
    tries: float
    observations: int
    skewness: float
    kurtosis: float


def expected_best_sharpe(deviation: float, tries: float) -> float:
    """Return what the best of `tries` Sharpe ratios would be if all were luck; 0 of a single try.

    Args: `deviation` standard deviation over tries of their Sharpe ratios.
    Source: Bailey and López de Prado (2014), equation 1.
    """
    from scipy.stats import norm

    if tries <= 1:
        return 0.0
    best = (1 - EULER) * norm.ppf(1 - 1 / tries) + EULER * norm.ppf(1 - 1 / (tries * math.e))
    return float(deviation * max(best, 0.0))


def probability_above(sharpe: float, luck: float, observations: int, skewness: float, kurtosis: float) -> float:
    """Return the probability that a true Sharpe ratio is above `luck`.

    Units: ratios of one observation each.
    Missing: NaN where the estimator's variance comes out below 0, which no distribution of returns allows.
    Source: Bailey and López de Prado (2012), probabilistic Sharpe ratio; Mertens (2002) for its variance.
    """
    from scipy.stats import norm

    variance = 1 - skewness * sharpe + (kurtosis - 1) / 4 * sharpe**2
    if not variance > 0 or observations < 2:
        return math.nan
    return float(norm.cdf((sharpe - luck) * math.sqrt(observations - 1) / math.sqrt(variance)))


def independent_tries(returns: np.ndarray) -> float:
    """Return how many independent tries arms amount to: r + (1 - r) N, with r their mean correlation, from 0 to 1.

    Shapes: (N, B), each arm's returns. Arms whose returns do not vary are not counted.
    Source: Bailey and López de Prado (2014), appendix 3.
    """
    returns = returns[returns.std(axis=1) > 0]
    count = len(returns)
    if count < 2:
        return float(count)
    mean = (np.corrcoef(returns).sum() - count) / (count * (count - 1))
    mean = min(max(float(mean), 0.0), 1.0)
    return mean + (1 - mean) * count


def deflated_sharpe(returns: np.ndarray, place: int, tries: float | None = None) -> DeflatedSharpe:
    """Return one arm's Sharpe ratio against the best that luck would have made of all of them.

    Args: `place` of the arm; `tries` how many independent tries there were, None: as of `independent_tries`. State
        more when more was tried than is shown.
    Shapes: `returns` (N, B) of all arms on the same bars.   Raises: ValueError when no arm is at `place`.
    Source: Bailey and López de Prado (2014), equation 2. It takes a bar's returns for independent of the last bar's.
    """
    from scipy.stats import kurtosis, skew

    if not 0 <= place < len(returns):
        raise ValueError(f"there is no arm {place} among {len(returns)}")
    tries = independent_tries(returns) if tries is None else tries
    count = returns.shape[1]
    if count < 2 or not returns[place].std() > 0:
        return DeflatedSharpe(math.nan, math.nan, math.nan, tries, count, math.nan, math.nan)
    varying = returns[returns.std(axis=1) > 0]
    ratios = varying.mean(axis=1) / varying.std(axis=1, ddof=1)
    luck = expected_best_sharpe(float(ratios.std(ddof=1)) if len(ratios) > 1 else 0.0, tries)
    ours = returns[place]
    sharpe = float(ours.mean() / ours.std(ddof=1))
    moments = float(skew(ours)), float(kurtosis(ours, fisher=False))
    return DeflatedSharpe(sharpe, luck, probability_above(sharpe, luck, count, *moments), tries, count, *moments)
