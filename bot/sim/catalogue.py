"""What the venue lists at this moment: symbols with their categories, leverage tiers and assets; and how it changes.

How it works: `specs` and `tiers` are the only copies, and everybody reads them when it is needed, so a change counts
from the next request on. A symbol that is not enabled stays listed.
Source: ProtoOASymbol, ProtoOALightSymbol, ProtoOADynamicLeverage.
"""

from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from typing import Any

from bot.ctrader.schema import enum
from bot.market.symbols import SymbolSpec
from bot.sim import wire
from bot.sim.entities import Refused
from bot.sim.hours import TradingHours
from bot.sim.listing import CRYPTO, TIERS, assets_of
from bot.sim.margin import Tiers

_FIXED = {"symbol_id", "name", "base_asset", "quote_asset", "digits", "pip_position"}
"""What makes a symbol the one it is: books, prices and positions are kept in these terms."""
CHANGEABLE = tuple(field.name for field in fields(SymbolSpec) if field.name not in _FIXED)


class Catalogue:
    """The listed symbols. `specs` by symbol id; `tiers` by leverage id; `assets` by name; `disabled` symbol ids."""

    def __init__(self, specs: Iterable[SymbolSpec], descriptions: Mapping[str, str]) -> None:
        self.specs: dict[int, SymbolSpec] = {spec.symbol_id: spec for spec in specs}
        self.tiers: dict[int, Tiers] = dict(TIERS)
        self.assets = assets_of(self.specs.values())
        self.disabled: set[int] = set()
        self._descriptions = descriptions
        self._categories = {spec.symbol_id: spec.leverage_id or 1 for spec in self.specs.values()}

    def spec(self, symbol_id: int) -> SymbolSpec:
        """Return a symbol's specification.

        Raises: Refused (SYMBOL_NOT_FOUND).
        """
        spec = self.specs.get(symbol_id)
        if spec is None:
            raise Refused("SYMBOL_NOT_FOUND", f"no symbol {symbol_id}")
        return spec

    def light_symbol(self, spec: SymbolSpec) -> Any:
        """Return a symbol's ProtoOALightSymbol; its description says what kind of market it has."""
        return wire.light_symbol_message(
            spec,
            self.assets,
            self._descriptions.get(spec.name, spec.name),
            category_id=self._categories[spec.symbol_id],
            enabled=spec.symbol_id not in self.disabled,
        )

    def resting_at_weekends(self) -> list[int]:
        """Return the symbols that rest at the weekend: all but crypto."""
        return [symbol_id for symbol_id, category in self._categories.items() if category != CRYPTO]

    def change(self, symbol_id: int, **changed: Any) -> SymbolSpec:
        """Change fields of a symbol by their names in `SymbolSpec`, or `enabled`; return the new specification.

        Raises: Refused (SYMBOL_NOT_FOUND); ValueError, one line, for a field or a value that makes no sense.
        """
        spec = self.spec(symbol_id)
        enabled = changed.pop("enabled", None)
        for name in changed:
            if name not in CHANGEABLE:
                raise ValueError(f"a symbol has no changeable {name!r}; it has: enabled, {', '.join(CHANGEABLE)}")
        new = replace(spec, **changed)
        self._check(new)
        self.specs[symbol_id] = new
        if enabled is not None:
            (self.disabled.discard if enabled else self.disabled.add)(symbol_id)
        return new

    def set_tiers(self, leverage_id: int, tiers: Tiers) -> list[int]:
        """Give a leverage id new tiers; return the symbols that have it.

        Units: (upper bound of open volume in USD, leverage), ascending.
        Raises: ValueError for tiers that are not ascending or below 1:1.
        """
        bounds = [upper for upper, _ in tiers]
        if not tiers or bounds != sorted(set(bounds)) or bounds[0] <= 0 or min(ratio for _, ratio in tiers) < 1:
            raise ValueError(f"tiers need ascending volumes above 0 and leverages of 1 or more, not {tiers}")
        self.tiers[leverage_id] = tiers
        return [spec.symbol_id for spec in self.specs.values() if spec.leverage_id == leverage_id]

    def free_leverage_id(self) -> int:
        """Return a leverage id that means nothing yet."""
        return max(self.tiers) + 1

    def _check(self, spec: SymbolSpec) -> None:
        smallest, step, largest = spec.min_volume_cents, spec.step_volume_cents, spec.max_volume_cents
        if not (step > 0 and 0 < smallest <= largest and spec.lot_size_cents > 0):
            raise ValueError(f"{spec.name}: volumes must be positive and min <= max, not {smallest}, {step}, {largest}")
        modes = list(enum("ProtoOATradingMode"))
        if spec.trading_mode not in modes:
            raise ValueError(f"unknown trading mode {spec.trading_mode!r}; there are: {', '.join(modes)}")
        if spec.leverage_id not in self.tiers:
            raise ValueError(f"no dynamic leverage {spec.leverage_id}; there are: {', '.join(map(str, self.tiers))}")
        TradingHours(spec)
