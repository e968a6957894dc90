"""Compares the margin that the broker states for what is open with our own rules, at the rates of the opening.

The stricter of the two counts elsewhere (`AccountGuard.check`); this tells a person that they differ.
Source: ProtoOAPosition.usedMargin and marginRate (base currency into deposit currency), ProtoOAMarginChangedEvent.
"""

import math
from collections.abc import Callable, Iterable, Mapping

from bot.account.margin import MarginRules, Tiers
from bot.account.position import Position
from bot.engine.doubts import Doubts
from bot.market.symbols import SymbolSpec

DIFFERENCE_FRAC = 0.05
_LASTING_NS = 5_000_000_000


def margins_of_symbol(
    rules: MarginRules, tiers: Tiers | None, positions: Iterable[Position], unit_notional: float, unit_usd: float
) -> tuple[float, float] | None:
    """Return (stated, ours) of one symbol, its sides joined by the account's rule; None where one is not stated.

    Ours is computed at the rate that each position was opened at: the price has moved since, and margin has not.
    """
    stated, notional = [0.0, 0.0], [0.0, 0.0]
    for p in positions:
        if p.used_margin is None:
            return None
        side = p.volume_cents < 0
        stated[side] += float(p.used_margin)
        notional[side] += abs(p.volume_cents) / 100 * (p.margin_rate or unit_notional)
    in_usd = unit_usd / unit_notional if unit_notional > 0 else math.nan
    ours = [rules.side_margin(n, n * in_usd if n else 0.0, tiers) for n in notional]
    return rules.symbol_margin(*stated), rules.symbol_margin(*ours)


class StatedMargin:
    """Notices differences that last. `doubts` is another object when it has changed."""

    def __init__(self) -> None:
        self.doubts: Doubts = {}
        self._since_ns: dict[str, int] = {}

    def look(
        self,
        rules: MarginRules,
        tiers_of: Callable[[SymbolSpec], Tiers | None],
        specs: tuple[SymbolSpec, ...],
        positions: Mapping[int, list[Position]],
        units: Callable[[int], tuple[float, float]],
        now_ns: int,
    ) -> None:
        """Look at every symbol with positions.

        Args: `positions` of the venue by symbol id; `units` gives the value of one base unit of the symbol with this
            index, in deposit currency and in USD.
        """
        found: Doubts = {}
        for s, spec in enumerate(specs):
            held = positions.get(spec.symbol_id)
            both = None if held is None else margins_of_symbol(rules, tiers_of(spec), held, *units(s))
            if both is None or not abs(both[0] - both[1]) > DIFFERENCE_FRAC * max(both):
                self._since_ns.pop(spec.name, None)
                continue
            since_ns = self._since_ns.setdefault(spec.name, now_ns)
            if now_ns - since_ns >= _LASTING_NS:
                code = f"margin_difference:{spec.name}"
                # The words of its first moment, so that not every cent is news.
                found[code] = self.doubts.get(code) or (
                    f"for what is open in {spec.name} the broker states {both[0]:,.2f} of margin and our rules say "
                    f"{both[1]:,.2f}; the larger counts"
                )
        if found != self.doubts:
            self.doubts = found
