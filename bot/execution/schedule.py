"""How to slice a change of position over time: the trade-off between cost and risk of Almgren and Chriss.

Trading at once pays for all the impact; trading slowly bears the price's own moves with what is left. Pure functions;
what is left is to be planned anew on each slice, on the market of that moment.

Source: Almgren & Chriss (2000), "Optimal execution of portfolio transactions"; models 8.4.
"""

import math
from dataclasses import dataclass

import numpy as np

_NOISE = 1e-12  # of a difference of two numbers, in the larger one
_FLAT = 1e-6  # a smaller kappa·T bends the trajectory by less than 1e-12 of it


class SlicesTooLong(ValueError):
    """Raised where the temporary impact left after the permanent one (eta tilde) is not positive.

    The model has no answer then: slice shorter, or trade at once.
    """


@dataclass(frozen=True, slots=True)
class ImpactCosts:
    """What trading costs, and how the price moves by itself. Any units of volume, time and price that agree.

    Units: `fixed` (epsilon) price; `temporary` (eta) price per (volume per time); `permanent` (gamma) price per volume;
        `volatility` (sigma) price per square root of time.
    """

    fixed: float
    temporary: float
    permanent: float
    volatility: float

    def temporary_left(self, slice_time: float) -> float:
        """Return eta tilde = eta - gamma·tau/2: the temporary impact that is not the permanent one's own.

        Raises: SlicesTooLong where it is not positive; ValueError where a parameter is negative or not known.
        """
        parameters = (self.fixed, self.temporary, self.permanent, self.volatility)
        if not all(0.0 <= parameter < math.inf for parameter in parameters) or not 0.0 < slice_time < math.inf:
            raise ValueError(f"costs cannot be negative or unknown, and a slice takes time: {self}, tau={slice_time}")
        left = self.temporary - self.permanent * slice_time / 2
        if not left > _NOISE * self.temporary:
            raise SlicesTooLong(
                f"eta - gamma·tau/2 = {self.temporary} - {self.permanent}·{slice_time}/2 = {left}, not above 0"
            )
        return left


def urgency(costs: ImpactCosts, risk_aversion: float, slice_time: float) -> float:
    """Return kappa, the rate at which the best trajectory decays.

    It solves cosh(kappa·tau) = 1 + lambda·sigma²·tau²/(2·eta tilde).
    Units: `risk_aversion` (lambda) per money; result per time, 0 for the same volume in every slice.
    Raises: SlicesTooLong, ValueError as `ImpactCosts.temporary_left`.
    """
    if not 0.0 <= risk_aversion < math.inf:
        raise ValueError(f"risk aversion cannot be negative or unknown: {risk_aversion}")
    rate = math.sqrt(risk_aversion / costs.temporary_left(slice_time)) * costs.volatility
    # arccosh(1 + y) = 2·arcsinh(sqrt(y/2)), which keeps its digits for a small y and does not overflow for a large one.
    return 2.0 / slice_time * math.asinh(rate * slice_time / 2)


def best_holdings(volume: float, kappa: float, slice_time: float, slice_count: int) -> np.ndarray:
    """Return what is still to be traded at the start and after each slice: X·sinh(kappa·(T - t))/sinh(kappa·T).

    Shapes: result (N + 1,), from `volume` to 0.   Units: those of `volume`, signed like it.
    """
    times = np.arange(slice_count + 1) * slice_time
    horizon = slice_count * slice_time
    if kappa * horizon < _FLAT:
        return even_holdings(volume, slice_count)
    if kappa == math.inf:  # next to no temporary impact
        return immediate_holdings(volume, slice_count)
    # sinh(a)/sinh(b) = exp(a - b)·(1 - exp(-2a))/(1 - exp(-2b)), which overflows for no kappa.
    shares = np.exp(-kappa * times) * np.expm1(-2.0 * kappa * (horizon - times)) / np.expm1(-2.0 * kappa * horizon)
    shares[0], shares[-1] = 1.0, 0.0
    held: np.ndarray = volume * shares
    return held


def share_left(kappa: float, slice_time: float, slice_count: int, after: int) -> float:
    """Return the share of the volume still to be traded after a number of slices: one number of `best_holdings`.

    Plain arithmetic: an order that waits for its first slice is not to wait for arrays.
    """
    horizon, time = slice_count * slice_time, after * slice_time
    if after <= 0 or after >= slice_count:
        return 1.0 if after <= 0 else 0.0
    if kappa * horizon < _FLAT:
        return (slice_count - after) / slice_count
    if kappa == math.inf:
        return 0.0
    shape = math.expm1(-2.0 * kappa * (horizon - time)) / math.expm1(-2.0 * kappa * horizon)
    return math.exp(-kappa * time) * shape


def even_holdings(volume: float, slice_count: int) -> np.ndarray:
    """Return the trajectory of the same volume in every slice (TWAP). Shapes, units: as `best_holdings`."""
    held: np.ndarray = volume * (np.arange(slice_count, -1, -1) / slice_count)
    return held


def immediate_holdings(volume: float, slice_count: int) -> np.ndarray:
    """Return the trajectory of everything in the first slice. Shapes, units: as `best_holdings`."""
    held = np.zeros(slice_count + 1)
    held[0] = volume
    return held


def trades(holdings: np.ndarray) -> np.ndarray:
    """Return the volume of each slice. Shapes: `holdings` (N + 1,); result (N,), signed like the whole."""
    traded: np.ndarray = holdings[:-1] - holdings[1:]
    return traded


def expected_cost(holdings: np.ndarray, costs: ImpactCosts, slice_time: float) -> float:
    """Return E = gamma·X²/2 + epsilon·sum|n| + eta tilde/tau·sum n² of a trajectory.

    Shapes: `holdings` (N + 1,).   Units: money (price times volume).   Raises: as `ImpactCosts.temporary_left`.
    """
    traded = trades(holdings)
    fixed = costs.fixed * float(np.abs(traded).sum())
    temporary = costs.temporary_left(slice_time) / slice_time * float(traded @ traded)
    return costs.permanent * float(holdings[0]) ** 2 / 2 + fixed + temporary


def cost_variance(holdings: np.ndarray, costs: ImpactCosts, slice_time: float) -> float:
    """Return V = sigma²·tau·sum of the squared holdings after each slice. Units: money squared."""
    left = holdings[1:]
    return costs.volatility**2 * slice_time * float(left @ left)
