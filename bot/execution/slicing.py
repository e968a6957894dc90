"""From a change of position to whole tradable slices: the market's figures into a schedule, its shares into volumes."""

import math
from dataclasses import dataclass

import numpy as np

from bot.execution.schedule import (
    ImpactCosts,
    best_holdings,
    cost_variance,
    expected_cost,
    share_left,
    trades,
    urgency,
)
from bot.market.symbols import SymbolSpec

SHORTEST_SLICE_S = 1.0
SHORTEST_S, LONGEST_S = 2.0, 120.0
PERMANENT_SHARE = 0.5  # kappa_p, of the immediate impact
RELATIVE_RISK_AVERSION = 5.0  # gamma_risk, per unit of equity
REDUCING_FACTOR = 10.0
_LATENCIES = 3.0  # a slice lasts at least this many median latencies


@dataclass(frozen=True, slots=True)
class MarketCosts:
    """What the market says of trading a symbol now.

    Units: `mid` quote currency; `half_spread_bps` and `reference_slip_bps` (walk-the-book cost of `reference_units`
        against mid, on the side we hit) bps; `impact_bps_per_unit` Kyle's lambda, bps per base unit;
        `volatility` fraction per square root of a second; `latency_s` median time to a fill.
    Missing: NaN for a latency that is not known.
    """

    mid: float
    half_spread_bps: float
    reference_units: float
    reference_slip_bps: float
    impact_bps_per_unit: float
    volatility: float
    latency_s: float = math.nan


@dataclass(frozen=True, slots=True)
class Schedule:
    """A change of position in slices, the first to be traded now and each further one `slice_s` later.

    Units: `volumes_cents` signed, 0.01 base unit, 0 where a slice waits for the next; `kappa` per second;
        `expected_cost`, `cost_deviation` quote currency, of the trajectory before it was rounded.
    """

    slice_s: float
    volumes_cents: tuple[int, ...]
    kappa: float
    expected_cost: float
    cost_deviation: float


@dataclass(frozen=True, slots=True)
class Slice:
    """The next slice of a change, to be traded now, and the pace of those after it.

    Units: `volume_cents` signed, 0.01 base unit; `wait_s` until the next one is due, more than one `slice_s` where
        some are too small to be traded; `count` slices in all that are planned from here on, this one included.
    """

    volume_cents: int
    wait_s: float
    slice_s: float
    count: int


def slice_time_s(latency_s: float, least_s: float = 0.0) -> float:
    """Return how long a slice lasts: three median latencies, a second at least; a second for an unknown latency.

    Args: `least_s` what the pace of orders asks for beyond that.
    """
    shortest_s = max(SHORTEST_SLICE_S, least_s)
    return max(shortest_s, _LATENCIES * latency_s) if latency_s > 0.0 else shortest_s


def impact_costs(market: MarketCosts, slice_s: float) -> ImpactCosts:
    """Return the market's figures as parameters of the model, in base units, seconds and quote currency.

    Source: models 8.4, slicing a resize: epsilon half the spread, eta the rest of the cost of the reference size over
    its speed, gamma the permanent share of Kyle's lambda.
    """
    per_bps = market.mid / 1e4
    beyond_bps = max(market.reference_slip_bps - market.half_spread_bps, 0.0)  # a better price than the touch is noise
    return ImpactCosts(
        fixed=market.half_spread_bps * per_bps,
        temporary=beyond_bps * per_bps / (market.reference_units / slice_s),
        permanent=PERMANENT_SHARE * market.impact_bps_per_unit * per_bps,
        volatility=market.volatility * market.mid,
    )


def _pace(
    market: MarketCosts, equity: float, *, reducing: bool, least_slice_s: float, longest_s: float
) -> tuple[ImpactCosts, float, float, int]:
    """Return the costs, kappa, how long a slice lasts and how many there are. Raises: as `schedule_resize`."""
    if not (0.0 < equity < math.inf and 0.0 < market.mid < math.inf and 0.0 < market.reference_units < math.inf):
        raise ValueError(f"slicing needs equity, a mid and a reference size: {equity}, {market}")
    slice_s = slice_time_s(market.latency_s, least_slice_s)
    costs = impact_costs(market, slice_s)
    aversion = RELATIVE_RISK_AVERSION / (2.0 * equity) * (REDUCING_FACTOR if reducing else 1.0)
    kappa = urgency(costs, aversion, slice_s)
    horizon_s = min(max(1.0 / kappa, SHORTEST_S), LONGEST_S) if kappa > 0.0 else LONGEST_S
    return costs, kappa, slice_s, max(math.ceil(min(horizon_s, longest_s) / slice_s), 1)


def schedule_resize(
    change_cents: int, spec: SymbolSpec, market: MarketCosts, equity: float, *, reducing: bool
) -> Schedule:
    """Return the slices of a change of position.

    Args: `change_cents` signed by the side of the trade; `equity` in the symbol's quote currency, like the costs;
        `reducing` for a change that lowers risk: it is ten times as urgent.
    Raises: SlicesTooLong where a slice's temporary impact does not exceed its permanent one (the touch holds the
        reference size, say): trade at once. ValueError where a figure is negative or not known: do not slice.
    Source: models 8.4. In danger of a stop-out, or at crisis level 2 and above, do not ask: one order, no slices.
    """
    costs, kappa, slice_s, count = _pace(market, equity, reducing=reducing, least_slice_s=0.0, longest_s=LONGEST_S)
    held = best_holdings(change_cents / 100, kappa, slice_s, count)
    return Schedule(
        slice_s=slice_s,
        volumes_cents=tradable_slices(change_cents, trades(held), spec.step_volume_cents, spec.min_volume_cents),
        kappa=kappa,
        expected_cost=expected_cost(held, costs, slice_s),
        cost_deviation=math.sqrt(cost_variance(held, costs, slice_s)),
    )


def next_slice(
    change_cents: int,
    spec: SymbolSpec,
    market: MarketCosts,
    equity: float,
    *,
    reducing: bool,
    least_slice_s: float = 0.0,
    longest_s: float = LONGEST_S,
) -> Slice:
    """Return what `schedule_resize` trades first, without the rest of the schedule: what is left is planned anew.

    A first slice too small to be traded is not waited for: the first that is large enough is traded now, and the pause
    after it is as much longer. So every slice brings a change nearer to its end.

    Args: as `schedule_resize`; `least_slice_s` and `longest_s` bound how long a slice, and all of them, may last.
    Raises: as `schedule_resize`.
    """
    _, kappa, slice_s, count = _pace(
        market, equity, reducing=reducing, least_slice_s=least_slice_s, longest_s=longest_s
    )
    whole, step, least = abs(change_cents), spec.step_volume_cents, spec.min_volume_cents
    volume, number = whole, count
    for j in range(1, count):
        reached = step * round(whole * (1.0 - share_left(kappa, slice_s, count, j)) / step)
        if least <= reached <= whole - least:
            volume, number = reached, j
            break
        if reached > whole - least:
            break  # what would be left could not be traded by itself
    return Slice(volume if change_cents > 0 else -volume, number * slice_s, slice_s, count)


def tradable_slices(change_cents: int, planned: np.ndarray, step_cents: int, min_cents: int) -> tuple[int, ...]:
    """Return planned slices as volumes that can be traded and that add up to `change_cents`.

    What was traded up to each slice is rounded to the step, so that roundings do not add up. A slice below the minimum
    waits for the next; the last takes what is left, off the step where the whole is. Where that is below the minimum
    itself, it goes with the last slice that is not.
    Shapes: `planned` (N,), signed like the change; result N long.   Units: integers 0.01 base unit; `planned` any, only
        its shares count.
    Raises: ValueError where nothing is planned, or against the change.
    """
    side = 1 if change_cents > 0 else -1
    whole = abs(change_cents)
    shares = side * np.asarray(planned, np.float64)
    total = float(shares.sum())
    if not (0.0 < total < math.inf and bool((shares >= 0.0).all())):
        raise ValueError(f"slices add up to the change and go its way: {change_cents}, {planned}")
    due = [step_cents * round(whole * float(part) / total / step_cents) for part in np.cumsum(shares)]
    due[-1] = whole
    volumes, traded = [0] * len(due), 0
    for j, reached in enumerate(due):
        is_last = j == len(due) - 1
        # Rounding up to the step may reach beyond a whole that lies off it.
        ahead = min(reached, whole) - traded
        if ahead > 0 and (is_last or ahead >= min_cents):
            volumes[j], traded = ahead, traded + ahead
    sizeable = [j for j, volume in enumerate(volumes) if volume >= min_cents]
    if 0 < volumes[-1] < min_cents and sizeable:
        volumes[sizeable[-1]] += volumes[-1]
        volumes[-1] = 0
    return tuple(side * volume for volume in volumes)
