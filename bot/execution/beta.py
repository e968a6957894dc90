"""The Beta distribution: its distribution function and its quantiles, in plain Python.

Made for a few calls an order, not for every quote: a quantile is some ten continued fractions.
"""

import math

_TINY = 1e-300  # stands for a partial denominator of zero
_EPSILON = 1e-15
_MOST_TERMS = 10_000  # some sqrt(max(a, b)) are needed: enough for every parameter that a count of orders can reach
_SMALLEST_STEP = 2.0**-53


def incomplete_beta(x: float, a: float, b: float) -> float:
    """Return the regularised incomplete beta function I_x(a, b): the probability that a Beta(a, b) is at most `x`.

    Units: dimensionless, result in [0, 1].   Raises: ValueError where a or b is not positive and finite, or x is NaN.
    Source: Abramowitz & Stegun (1964), 26.5.8, the continued fraction; evaluated by Lentz (1976).
    """
    if not (0.0 < a < math.inf and 0.0 < b < math.inf) or math.isnan(x):
        raise ValueError(f"a Beta distribution needs positive parameters and a number: a={a}, b={b}, x={x}")
    if x <= 0.0:
        return 0.0
    if x >= 1.0:
        return 1.0
    if x > (a + 1.0) / (a + b + 2.0):  # the fraction converges fast below the mean: use I_x(a, b) = 1 - I_1-x(b, a)
        return 1.0 - _front(1.0 - x, x, b, a) * _fraction(1.0 - x, b, a) / b
    return _front(x, 1.0 - x, a, b) * _fraction(x, a, b) / a


def beta_quantile(probability: float, a: float, b: float) -> float:
    """Return the x with I_x(a, b) = `probability`: by Newton's steps, and by halving where they lead astray.

    Units: dimensionless; `probability` in [0, 1], result in [0, 1] and within 2^-53.
    Raises: ValueError for a probability outside [0, 1] or parameters that are not positive and finite.
    """
    if not 0.0 <= probability <= 1.0:
        raise ValueError(f"a probability lies in [0, 1], not {probability}")
    low, high = 0.0, 1.0
    if incomplete_beta(low, a, b) == probability or probability == 1.0:
        return probability
    x = a / (a + b)
    while high - low > _SMALLEST_STEP:
        excess = incomplete_beta(x, a, b) - probability
        if excess < 0.0:
            low = x
        else:
            high = x
        density = _front(x, 1.0 - x, a, b) / (x * (1.0 - x))
        guess = x - excess / density if density > 0.0 else math.nan
        if abs(guess - x) < _SMALLEST_STEP:
            return guess
        x = guess if low < guess < high else (low + high) / 2
    return (low + high) / 2


def _front(x: float, y: float, a: float, b: float) -> float:
    """Return x^a·y^b / B(a, b), with y = 1 - x."""
    return math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log(y))


def _fraction(x: float, a: float, b: float) -> float:
    c, d = 1.0, 1.0 / _nonzero(1.0 - (a + b) * x / (a + 1.0))
    fraction = d
    for m in range(1, _MOST_TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1.0) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1.0))
        for numerator in (even, odd):
            d = 1.0 / _nonzero(1.0 + numerator * d)
            c = _nonzero(1.0 + numerator / c)
            fraction *= c * d
        if abs(c * d - 1.0) < _EPSILON:
            return fraction
    raise ArithmeticError(f"the continued fraction of I_x(a, b) does not settle at x={x}, a={a}, b={b}")


def _nonzero(number: float) -> float:
    return number if abs(number) > _TINY else _TINY
