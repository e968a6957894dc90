"""Tells when the liquidity of a traded symbol is in a crisis, each level once, and when it is over."""

from collections.abc import Collection, Iterator

import numpy as np

from bot.alerts.alert import Alert
from bot.alerts.composer import Composer
from bot.engine.decision import Decision
from bot.engine.observed import ObservedEngine

_LEVELS = (1, 2, 3)


class CrisisRule:
    """Watches crisis levels from `level` on. Args: `is_heeded` says that sizing goes by them."""

    def __init__(
        self, engine: ObservedEngine, composer: Composer, symbols: Collection[str], level: int, *, is_heeded: bool
    ) -> None:
        self._engine = engine
        self._composer = composer
        self._symbols = symbols
        self._level = level
        self._is_heeded = is_heeded
        self._worst: dict[str, int] = {}
        self._since_ns: dict[str, int] = {}

    def look(self, decision: Decision) -> Iterator[Alert]:
        """Yield levels that have been reached, and crises that are over."""
        table = self._engine.table
        if table is None:
            return
        for s, spec in enumerate(self._engine.specs):
            if spec.name not in self._symbols:
                continue
            level, worst = int(table["crisis_level"][s]), self._worst.get(spec.name, 0)
            if level >= self._level and level > worst:
                self._worst[spec.name] = level
                self._since_ns.setdefault(spec.name, decision.now_ns)
                yield self._reached(spec.name, level, table[s], decision.now_ns)
            elif level < self._level and worst:
                del self._worst[spec.name]
                yield self._over(spec.name, level, decision.now_ns)

    def _reached(self, symbol: str, level: int, market: np.void, now_ns: int) -> Alert:
        composer = self._composer
        text = composer.say(
            "crisis.text",
            spread=composer.number(float(market["spread_bps"])),
            usual=composer.number(float(market["usual_spread_bps"])),
            liquidity=composer.number(float(market["liquidity_ratio"])),
            kept=composer.say(f"crisis.kept_{level}" if self._is_heeded else "crisis.not_heeded"),
        )
        title = composer.say("crisis.title", symbol=symbol, level=level)
        key = f"crisis:{symbol}:{level}"
        return composer.alert("crisis", key, "warning", title, text, now_ns, symbol=symbol, lasts=True)

    def _over(self, symbol: str, level: int, now_ns: int) -> Alert:
        composer = self._composer
        lasted = composer.lasted(now_ns - self._since_ns.pop(symbol))
        title = composer.say("crisis_over.title", symbol=symbol)
        text = composer.say("crisis_over.text", level=level, lasted=lasted)
        ends = tuple(f"crisis:{symbol}:{each}" for each in _LEVELS)
        key = f"crisis:{symbol}:over"
        return composer.alert("crisis", key, "success", title, text, now_ns, symbol=symbol, ends=ends)
