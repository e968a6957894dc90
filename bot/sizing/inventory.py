"""How far from the reference price to quote, given what is held: market making with an inventory.

Two models, each as a compiled function of one symbol and as a plain numpy twin: Avellaneda-Stoikov, which looks a
horizon ahead, and Guéant-Lehalle-Fernandez-Tapia, its limit far from any end. `distances` applies one of them to many
symbols and leaves out the side that would take the inventory over its limit.

Units: any, as long as they agree: price unit p, inventory in lots. `gamma` (risk aversion) 1/(p lot), `k` (how fast the
chance of a fill falls with distance) 1/p, `intensity` (fills a second at distance 0) 1/s, `sigma` p per square root of
a second, distances p.
"""

import math

import numpy as np
from numba import njit

BID, ASK = 0, 1
_SLACK = 1e-9  # a lot that fits exactly must survive the division that counts lots


@njit(cache=True, error_model="numpy")
def avellaneda_stoikov(
    inventory: float, gamma: float, sigma: float, k: float, horizon_s: float
) -> tuple[float, float, float]:
    """Return (bid distance, ask distance, reservation offset) from the reference price.

    The reservation price lies `gamma sigma^2 T` a lot on the side that sheds inventory; the quotes half a spread of
    `gamma sigma^2 T + 2/gamma ln(1 + gamma/k)` around it. A distance below zero lies beyond the reference price.

    Units: as the module says; `inventory` in lots, signed.   Missing: NaN in, NaN out.
    Source: Avellaneda, Stoikov (2008); models 13.1.
    """
    risk = gamma * sigma * sigma * horizon_s
    half = 0.5 * risk + math.log1p(gamma / k) / gamma
    offset = -inventory * risk
    return half - offset, half + offset, offset


@njit(cache=True, error_model="numpy")
def stationary(inventory: float, gamma: float, sigma: float, k: float, intensity: float) -> tuple[float, float, float]:
    """Return (bid distance, ask distance, reservation offset) from the reference price, far from any end of time.

    `c = ln(1 + gamma/k) / gamma`, `w = sqrt(sigma^2 gamma / (2 k A) (1 + gamma/k)^(1 + k/gamma))`, bid distance
    `c + (q + 1/2) w`, ask distance `c - (q - 1/2) w`.

    Units: as the module says; `inventory` in lots, signed.   Missing: NaN in, NaN out.
    Source: Guéant, Lehalle, Fernandez-Tapia (2013), asymptotic quotes; models 13.2.
    """
    log = math.log1p(gamma / k)
    power = math.exp((1.0 + k / gamma) * log)
    step = math.sqrt(sigma * sigma * gamma / (2.0 * k * intensity) * power)
    half = log / gamma + 0.5 * step
    offset = -inventory * step
    return half - offset, half + offset, offset


@njit(cache=True, error_model="numpy")
def _fill(
    inventory: np.ndarray,
    most: np.ndarray,
    sigma: np.ndarray,
    rules: tuple[float, float, float, float],
    quotes: np.ndarray,
    offsets: np.ndarray,
) -> None:
    gamma, k, intensity, horizon_s = rules
    for s in range(len(inventory)):
        held = inventory[s]
        if horizon_s > 0.0:
            bid, ask, offset = avellaneda_stoikov(held, gamma, sigma[s], k, horizon_s)
        else:
            bid, ask, offset = stationary(held, gamma, sigma[s], k, intensity)
        # An unknown limit fails both comparisons: what is held may be shed, and nothing may grow.
        quotes[s, BID] = bid if held < 0.0 or held + 1.0 <= most[s] + _SLACK else math.nan
        quotes[s, ASK] = ask if held > 0.0 or held - 1.0 >= -most[s] - _SLACK else math.nan
        offsets[s] = offset


def distances(
    inventory: np.ndarray,
    most: np.ndarray,
    sigma: np.ndarray,
    *,
    gamma: float,
    k: float,
    intensity: float,
    horizon_s: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the distances of bid and ask from the reference price, (S, 2), and of the reservation price, (S,).

    Args: `most` the inventory limit; a side is quoted while one more lot fits, or while it sheds what is held.
        `horizon_s` above 0 takes Avellaneda-Stoikov with it, 0 the stationary model.
    Shapes: arrays (S,).   Units: as the module says; `inventory` and `most` in lots.
    Missing: NaN where a side is not to be quoted, or sigma is unknown; with an unknown limit only what sheds is quoted.
    Source: models 13.
    """
    quotes, offsets = np.empty((len(inventory), 2)), np.empty(len(inventory))
    _fill(inventory, most, sigma, (gamma, k, intensity, horizon_s), quotes, offsets)
    return quotes, offsets


# -- the same in plain numpy, readable beside the papers: what the tests hold the compiled functions against ----------


def plain_avellaneda_stoikov(
    inventory: np.ndarray, gamma: float, sigma: np.ndarray, k: float, horizon_s: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return what `avellaneda_stoikov` returns, for arrays. Source: models 13.1."""
    reservation = -inventory * gamma * sigma**2 * horizon_s
    spread = gamma * sigma**2 * horizon_s + 2 / gamma * np.log(1 + gamma / k)
    return spread / 2 - reservation, spread / 2 + reservation, reservation


def plain_stationary(
    inventory: np.ndarray, gamma: float, sigma: np.ndarray, k: float, intensity: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return what `stationary` returns, for arrays. Source: models 13.2."""
    c = np.log(1 + gamma / k) / gamma
    w = np.sqrt(sigma**2 * gamma / (2 * k * intensity) * (1 + gamma / k) ** (1 + k / gamma))
    return c + (inventory + 0.5) * w, c - (inventory - 0.5) * w, -inventory * w
