"""Where our quotes should stand at one moment: price, volume and what each would close, or why a side stays empty."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from bot.account.portfolio import Portfolio
from bot.account.risk_view import RiskView
from bot.engine.prices import Prices
from bot.execution.quotes import Wish, quote_price
from bot.market.symbols import SymbolSpec
from bot.sizing.leverage import Targets
from bot.sizing.quoting import Quoting
from bot.sizing.target import target_volume_cents

_NO_NEW_QUOTES, _NO_QUOTES = 1, 2  # crisis levels (models 12)


@dataclass(frozen=True, slots=True, eq=False)
class Moment:
    """What the quoter is shown.

    Shapes: arrays (T,) over the traded symbols, or longer with these in front.   Units: leverage in equities.
    `low`, `high` bound the inventory, as leverage: low <= 0 <= high; NaN where unknown. `bar` says why nothing at all
    is to be quoted, empty when something is; `bars` the same of each symbol. `view` gives the risk gate's view as it is
    when called.
    """

    now_ns: int
    table: np.ndarray
    prices: Prices
    specs: Sequence[SymbolSpec]
    held: np.ndarray
    low: np.ndarray
    high: np.ndarray
    base: np.ndarray
    targets: Targets
    equity: float
    may_grow: np.ndarray
    bar: str
    bars: Sequence[str | None]
    view: Callable[[], RiskView]


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """Where a strategy wants its quotes. Shapes: (T,), `distances` (T, 2).   Units: base units, prices."""

    inventory_units: np.ndarray
    limit_units: np.ndarray
    lot_units: np.ndarray  # as the strategy would have it
    lot_cents: np.ndarray  # on the symbol's grid; 0 where that has nothing so small, or equity is unknown
    reference: np.ndarray
    distances: np.ndarray
    pip: np.ndarray


def places(strategy: Quoting, moment: Moment, portfolio: Portfolio) -> Places:
    """Ask a strategy where its quotes belong, for every traded symbol."""
    m, specs = moment, moment.specs
    n = len(specs)
    inventory = np.array([portfolio.own_cents(spec.symbol_id) / 100 for spec in specs])
    units = m.equity / m.prices.unit_notional[:n] if m.equity > 0 else np.full(n, np.nan)
    lot_units = strategy.quote_frac * m.base * units
    lot_cents = np.array([spec.round_volume(lot * 100) for spec, lot in zip(specs, lot_units.tolist(), strict=True)])
    pip = np.array([spec.pip for spec in specs])
    # Each side has its own bound; the strategy is asked with the wider one, and the narrower cut afterwards.
    limit = np.maximum(m.high, -m.low) * units
    table = m.table[:n]
    distances = strategy.quotes(table, inventory, limit, lot_cents / 100, pip)
    return Places(inventory, limit, lot_units, lot_cents, strategy.reference(table), distances, pip)


def bar_of(moment: Moment, s: int, held_cents: int) -> str:
    """Return why a symbol must have no quote now; empty when it may have one."""
    m = moment
    spec, level = m.specs[s], float(m.table["crisis_level"][s])
    if m.bar:
        return m.bar
    if m.bars[s] is not None:
        return str(m.bars[s])
    if not m.prices.fresh[s]:
        return f"no price for {m.prices.quiet_s[s]:.1f} s"
    if m.prices.doubtful[s] or m.prices.odd[s]:
        return "book and spot price disagree"
    if level >= _NO_QUOTES:
        return f"crisis level {level:.0f}"
    target, urgent = float(m.targets.target[s]), bool(m.targets.urgent[s])
    wanted = target_volume_cents(spec, held_cents, target, float(m.prices.unit_notional[s]), m.equity, urgent=urgent)
    return "the inventory is being reduced at the market" if wanted != held_cents else ""


def wish_of(
    moment: Moment, at: Places, portfolio: Portfolio, s: int, side: int, barrier: float, *, netted: bool
) -> Wish | str:
    """Return the quote wanted on one side of a symbol, or why none is.

    Args: `side` +1 for the bid, -1 for the ask; `barrier` our own price on the other side, NaN when there is none.
    """
    m, spec = moment, moment.specs[s]
    lot, held = int(at.lot_cents[s]), round(at.inventory_units[s] * 100)
    if lot == 0:
        return "the size of a quote is below the least volume, or equity is unknown"
    reduces = held * side < 0
    if not reduces:
        units = m.equity / float(m.prices.unit_notional[s])
        bound = float((m.high if side > 0 else m.low)[s]) * units * 100
        if not side * (held + side * lot) <= side * bound + 1e-6:
            return "one more quote filled would be more than the limit, or the limit is unknown"
        if not m.may_grow[s] or m.table["crisis_level"][s] >= _NO_NEW_QUOTES:
            return "the inventory may not grow now"
    table = m.table
    book, spot = ("depth_ask", "ask") if side > 0 else ("depth_bid", "bid")
    opposite = side * np.fmin(np.fmin(side * table[book][s], side * table[spot][s]), side * barrier)
    price = quote_price(float(at.reference[s]), float(at.distances[s, 0 if side > 0 else 1]), side, opposite, spec)
    if not math.isfinite(price) or price <= 0:
        return "the strategy knows no price for it"
    volume = _shed(lot, abs(held), spec) if reduces else lot
    tied = (
        None
        if netted
        else next((p for p in portfolio.own_positions(spec.symbol_id) if p.volume_cents * side < 0), None)
    )
    if tied is not None:
        volume = min(volume, abs(tied.volume_cents))
    return Wish(price, volume, None if tied is None else tied.position_id)


def _shed(lot_cents: int, held_cents: int, spec: SymbolSpec) -> int:
    """Return how much of an inventory one quote sheds: a lot, or all of it where the rest could not be traded."""
    return lot_cents if held_cents - lot_cents >= spec.min_volume_cents else held_cents
