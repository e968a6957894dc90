"""The account and the market as the risk gate is shown them, and what of it a change would leave.

How it works: a view is made for one decision, and made anew once an order is on its way; what it is asked for twice, as
the margin after the same change, it calculates once.
"""

import math
from dataclasses import dataclass, field

import numpy as np

from bot.account.margin import MarginRules, Tiers, used_margin
from bot.account.market_risk import MarketRisk
from bot.account.new_orders import NewOrders


@dataclass(frozen=True, slots=True, eq=False)
class RiskView:
    """The account and the market at the moment of a review.

    Shapes: arrays (S,).   Units: `unit_notional` one base unit in deposit currency at mid, `unit_notional_usd` in USD;
    `quiet_s` age of the newest quote; leverage signed; `pending_units` our increases on their way, signed.
    Missing: NaN; None in `pending_units` when nothing is on its way.
    """

    ready: bool
    trading: str  # active | reducing | halted
    equity: float
    leverage: np.ndarray
    foreign_leverage: float
    long_units: np.ndarray
    short_units: np.ndarray
    unit_notional: np.ndarray
    unit_notional_usd: np.ndarray
    quiet_s: np.ndarray
    doubtful: np.ndarray  # bool: book and spot disagree, or the book is crossed for long
    has_bids: np.ndarray  # bool: somebody to sell to
    has_asks: np.ndarray  # bool: somebody to buy from
    tiers: np.ndarray | tuple[Tiers | None, ...]  # packed, or a table each: None unknown, empty none
    margin_rules: MarginRules
    netted: bool
    orders_last_minute: int
    pending_units: np.ndarray | None = None
    access_rights: str = "FULL_ACCESS"
    closings: tuple[str | None, ...] = ()  # why the market of a symbol is closed, in words; None where it is not
    cause: str = ""  # why trading is not active, in words
    margin_factor: float = 1.0  # how many times more margin the broker asks for than its own rules say
    new_orders: NewOrders | None = None  # None: nothing is known beyond the rules
    market: MarketRisk | None = None  # None: looked at by others
    unsupported: str = ""  # why nothing may grow on an account of this kind, in words
    _margins: dict[tuple[int, float, bool], float] = field(default_factory=dict, init=False, repr=False)

    def used_margin(self, symbol_index: int = 0, change_units: float = 0.0, *, reduces: bool = False) -> float:
        """Return used margin after a signed change of our position in a symbol; NaN when it cannot be computed.

        Args: `reduces` says that the change closes what we hold; otherwise it adds to its own side, which on a hedged
            account leaves other people's opposite positions alone. With a change, increases on their way count too.
        """
        asked = (symbol_index, change_units, reduces)
        if asked not in self._margins:  # the gate asks the same more than once on the way to an order
            self._margins[asked] = self._used_margin(*asked)
        return self._margins[asked]

    def _used_margin(self, symbol_index: int, change_units: float, reduces: bool) -> float:
        new = self.new_orders if change_units and not reduces else None
        factors = None if new is None else new.factors
        after = self._margin(symbol_index, change_units, factors=factors, reduces=reduces)
        if new is not None and new.is_lower:
            # What was held before keeps its margin; what came since, and comes now, has that of the lower leverage.
            caps, older = new.leverage_caps, new.older_units
            added = self._margin(symbol_index, change_units, factors=factors, caps=caps)
            added -= self._margin(factors=factors, caps=caps, held=older)
            lowered = self._margin(factors=factors, held=older) + added
            after = after if after > lowered else lowered
        return self.margin_factor * after

    def _margin(
        self,
        symbol_index: int = 0,
        change_units: float = 0.0,
        *,
        factors: np.ndarray | None = None,
        caps: np.ndarray | None = None,
        held: np.ndarray | None = None,
        reduces: bool = False,
    ) -> float:
        """Args: `factors` (S,) multiply each symbol's margin; `caps` (S,) lower the account's leverage; `held` (2, S)
        instead of what is held."""
        return used_margin(
            self.margin_rules,
            self.long_units if held is None else held[0],
            self.short_units if held is None else held[1],
            self.unit_notional if factors is None else self.unit_notional * factors,
            self.unit_notional_usd,
            self.tiers,
            pending_units=self.pending_units,
            leverage_caps=caps,
            symbol_index=symbol_index,
            change_units=change_units,
            netted=self.netted,
            reduces=reduces,
        )

    def side_units_after(self, s: int, change_units: float) -> tuple[float, float]:
        """Return long and short volume of a symbol after a change and the increases on their way, base units."""
        change = change_units + (0.0 if self.pending_units is None else float(self.pending_units[s]))
        buys, sells = float(self.long_units[s]), float(self.short_units[s])
        if self.netted:
            net = buys - sells + change
            return max(net, 0.0), max(-net, 0.0)
        return (buys + change, sells) if change > 0 else (buys, sells - change)

    def stressed_level(self, margin: float, s: int = 0, change_units: float = 0.0) -> float:
        """Return equity / used margin once every held symbol has moved against us; infinite with no margin used.

        Missing: NaN where an amount is unknown.
        """
        if self.market is None or margin == 0:
            return math.inf
        net = self.long_units - self.short_units
        if change_units:
            net = net if self.pending_units is None else net + self.pending_units
            net[s] += change_units
        return (self.equity - self.market.stress_loss(net, self.unit_notional)) / margin

    def leverage_elsewhere(self, symbol_index: int) -> float:
        """Return the sum of |leverage| of every position but ours in one symbol, increases on their way included."""
        sizes = np.abs(self.leverage).tolist()
        if self.pending_units is not None:
            for s, pending in enumerate(np.abs(self.pending_units).tolist()):
                if pending > 0:
                    sizes[s] += pending * self.unit_notional[s] / self.equity
        total = 0.0
        for s, size in enumerate(sizes):
            total += size if s != symbol_index else 0.0
        return float(total + self.foreign_leverage)
