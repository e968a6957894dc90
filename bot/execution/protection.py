"""Where the protective stop and target of a position belong, and what has to be sent to bring them there.

How it works: both legs lie at a distance from the position's own entry. A new order carries them relative to its fill;
where a position has none, or its entry has moved since, both are sent anew as prices, because the venue removes the one
that is left out. A leg that somebody else has placed nearer to the market is kept, and a position whose stop trails is
left alone: its stop moves at the venue, and an old price of it would loosen it.
"""

import math
from dataclasses import dataclass

from bot.account.position import Position
from bot.market.symbols import E5, SymbolSpec

Legs = tuple[float | None, float | None]
"""Stop loss and take profit, prices in quote currency; None for a leg that is not there."""

# An entry that has moved less than this share of the distance, as each slice moves it, is not worth an amendment.
_TOLERANCE = 0.02


@dataclass(frozen=True, slots=True)
class Protection:
    """What the config asks for. Units: 1/10000 of the entry price.   Missing: None for a leg that is not wanted."""

    stop_loss_bps: float | None = None
    take_profit_bps: float | None = None

    @property
    def is_on(self) -> bool:
        """Whether any leg is wanted."""
        return self.stop_loss_bps is not None or self.take_profit_bps is not None


NO_PROTECTION = Protection()


def distances(protection: Protection, spec: SymbolSpec, price: float) -> Legs:
    """Return how far from a price the legs lie: as configured, or as far as the broker asks for at least.

    Units: quote currency, positive, whole points of the symbol.   Source: ProtoOASymbol.slDistance, tpDistance.
    """
    stop = _distance(protection.stop_loss_bps, spec.least_distance(spec.stop_distance, price), spec, price)
    return stop, _distance(protection.take_profit_bps, spec.least_distance(spec.profit_distance, price), spec, price)


def _distance(bps: float | None, least: float, spec: SymbolSpec, price: float) -> float | None:
    if bps is None:
        return None
    return spec.round_price(max(price * bps / 1e4, math.ceil(least / spec.point - 1e-9) * spec.point, spec.point))


def is_widened(protection: Protection, spec: SymbolSpec, price: float) -> bool:
    """Return whether the broker's least distance keeps a leg farther away than the config has it."""
    pairs = ((protection.stop_loss_bps, spec.stop_distance), (protection.take_profit_bps, spec.profit_distance))
    return any(b is not None and spec.least_distance(d, price) > price * b / 1e4 + spec.point / 2 for b, d in pairs)


def relative_e5(protection: Protection, spec: SymbolSpec, price: float, spread: float = 0.0) -> tuple[int | None, ...]:
    """Return the legs of a new order as distances from its fill, stop loss first.

    Args: `spread` is kept clear beyond the broker's least distance, which counts from the market and not from the fill.
    Units: 1/100000 of price, positive, whole steps of the symbol's price.
    Source: ProtoOANewOrderReq.relativeStopLoss, relativeTakeProfit.
    """
    found: list[int | None] = []
    kinds = ((protection.stop_loss_bps, spec.stop_distance), (protection.take_profit_bps, spec.profit_distance))
    for bps, least in kinds:
        if bps is None:
            found.append(None)
            continue
        room = spec.least_distance(least, price) + (max(spread, 0.0) if least else 0.0)
        away = max(price * bps / 1e4, room)
        steps = max(math.ceil(room * E5 / spec.tick_e5 - 1e-9), round(away * E5 / spec.tick_e5), 1)
        found.append(steps * spec.tick_e5)
    return tuple(found)


def wanted_legs(protection: Protection, spec: SymbolSpec, position: Position) -> Legs:
    """Return where the legs of a position belong, from its own entry, rounded to the symbol's digits."""
    side = 1 if position.volume_cents > 0 else -1
    stop, profit = distances(protection, spec, position.price)
    below = None if stop is None else spec.round_price(position.price - side * stop)
    above = None if profit is None else spec.round_price(position.price + side * profit)
    return (below if below is None or below > 0 else None), (above if above is None or above > 0 else None)


def legs_to_send(protection: Protection, spec: SymbolSpec, position: Position, ours: Legs | None) -> Legs | None:
    """Return both legs as they should be at the venue; None where they are.

    Args: `ours` the legs as we last placed them, None unknown: a leg that is another now is somebody else's.
    """
    if position.is_trailing and position.stop_loss is not None:
        return None
    side = 1 if position.volume_cents > 0 else -1
    now = position.stop_loss, position.take_profit
    wanted, known = wanted_legs(protection, spec, position), ours or (None, None)
    away = distances(protection, spec, position.price)
    slack = [max(spec.point, _TOLERANCE * (d or 0.0)) for d in away]
    # Nearer to the market is higher for the stop of a long position, and lower for its target.
    stop = _leg(now[0], wanted[0], known[0], slack[0], spec.point, side)
    profit = _leg(now[1], wanted[1], known[1], slack[1], spec.point, -side)
    return None if (stop, profit) == now else (stop, profit)


def _leg(
    now: float | None, wanted: float | None, ours: float | None, slack: float, point: float, nearer: int
) -> float | None:
    if wanted is None or now is None:
        return now if wanted is None else wanted
    if nearer * (wanted - now) > slack:
        return wanted  # it is farther from the market than it should be
    is_ours = ours is not None and abs(now - ours) < point / 2
    return wanted if is_ours and abs(now - wanted) > slack else now


def legs_of_ours(protection: Protection, spec: SymbolSpec, position: Position, ours: Legs | None) -> Legs:
    """Return which legs count as placed by us from now on: those that lie where we would place them, and `ours`.

    Missing: None for a leg that is somebody else's, or not there.
    """
    away = distances(protection, spec, position.price)
    now, wanted = (position.stop_loss, position.take_profit), wanted_legs(protection, spec, position)
    before = ours or (None, None)
    found = [
        n if n is not None and w is not None and abs(n - w) <= max(spec.point, _TOLERANCE * (d or 0.0)) else known
        for n, w, d, known in zip(now, wanted, away, before, strict=True)
    ]
    return found[0], found[1]


def reachable(legs: Legs, now: Legs, side: int, market: float, spec: SymbolSpec) -> Legs:
    """Return the legs that the venue can take now.

    One that the market has passed stays as it is. Where there is none yet, one that is nearer to the market than the
    broker allows is placed at the least distance.

    Args: `side` +1 for a long position; `market` the price it would be closed at, the bid of a long; NaN takes none.
    """
    stop = _takeable(legs[0], now[0], -side, market, spec.least_distance(spec.stop_distance, market), spec)
    return stop, _takeable(legs[1], now[1], side, market, spec.least_distance(spec.profit_distance, market), spec)


def _takeable(
    leg: float | None, now: float | None, way: int, market: float, least: float, spec: SymbolSpec
) -> float | None:
    """Return one leg. Args: `way` +1 for one that lies above the market, -1 for one below."""
    if leg is None or leg == now:
        return now
    away = way * (leg - market)
    if away >= max(least - spec.point / 1e3, spec.point / 2):
        return leg
    if not away > 0 or now is not None:
        return now
    steps = math.ceil(way * (market + way * least) / spec.point - 1e-3)
    return spec.round_price(way * steps * spec.point)
