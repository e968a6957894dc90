"""What the broker lists: assets, symbols, their details, and the chains of symbols that convert money."""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from bot.account.conversion import ConversionStep
from bot.ctrader.plan import HandshakeRefused
from bot.ctrader.translate import symbol_spec, text, untradable_fields
from bot.engine.events import SymbolsLoaded
from bot.market.symbols import SymbolSpec

USD = "USD"


@dataclass(frozen=True, slots=True)
class ListedSymbol:
    """A line of the symbol list. Source: ProtoOALightSymbol."""

    symbol_id: int
    name: str
    enabled: bool
    base_asset_id: int
    quote_asset_id: int


def _listed(light: Any) -> ListedSymbol:
    enabled = light.enabled if light.HasField("enabled") else True
    return ListedSymbol(light.symbolId, text(light.symbolName), enabled, light.baseAssetId, light.quoteAssetId)


class Catalogue:
    """The broker's lists as far as they have come, for one account.

    `chains` maps (asset id, target asset id) to symbol ids in the order of conversion.
    """

    def __init__(self, traded_names: tuple[str, ...]) -> None:
        self._traded_names = traded_names
        self.asset_names: dict[int, str] = {}
        self.deposit_asset_id: int | None = None
        self.listed: dict[int, ListedSymbol] = {}
        self.traded_ids: tuple[int, ...] = ()
        self.details: dict[int, Any] = {}
        self.chains: dict[tuple[int, int], tuple[int, ...]] = {}
        self._held: dict[int, None] = {}
        self._subscribed: dict[int, None] = {}  # grows only, so that an index never changes within a connection

    def add_assets(self, assets: Any) -> None:
        """Take the asset list."""
        self.asset_names = {asset.assetId: text(asset.name) for asset in assets}

    def add_symbols(self, lights: Any) -> None:
        """Take lines of the symbol list; the conversion replies bring some, too."""
        for light in lights:
            if light.symbolId not in self.listed or light.HasField("baseAssetId"):
                self.listed[light.symbolId] = _listed(light)

    def add_details(self, symbols: Any) -> None:
        """Take symbol details."""
        for symbol in symbols:
            self.details[symbol.symbolId] = symbol

    def resolve_traded(self) -> None:
        """Find the traded symbols in the list.

        Raises: HandshakeRefused (2) for a name the broker does not have or has disabled.
        """
        by_name = {symbol.name: symbol for symbol in self.listed.values()}
        chosen = []
        for name in self._traded_names:
            symbol = by_name.get(name)
            if symbol is None:
                raise HandshakeRefused(2, _unknown_symbol(name, sorted(by_name)))
            if not symbol.enabled:
                raise HandshakeRefused(2, f"symbols: {name} is disabled at this broker for this account; remove it")
            chosen.append(symbol.symbol_id)
        self.traded_ids = tuple(chosen)

    def hold(self, symbol_ids: Iterable[int]) -> bool:
        """Ask for the symbols of open positions and of our resting orders as well; return whether any of them is new.

        Positions that are not ours count in equity, margin and leverage, and must have a price for that. What an order
        is about must be known to take it back.
        """
        exposed = self.exposed_ids
        new = [i for i in symbol_ids if i in self.listed and i not in exposed]
        self._held |= dict.fromkeys(new)
        return bool(new)

    def wanted_chains(self) -> list[tuple[int, int]]:
        """Return the (asset id, target asset id) pairs whose conversion is needed.

        Every base and quote asset of a traded or held symbol goes to the deposit asset and, for tier volumes, to USD;
        USD goes to the deposit asset, because margin of tiers and commissions come in USD.
        """
        assets: dict[int, None] = {}
        for symbol_id in self.exposed_ids:
            symbol = self.listed[symbol_id]
            assets |= {symbol.base_asset_id: None, symbol.quote_asset_id: None}
        usd = self._usd_id
        if usd is not None:
            assets[usd] = None
        targets = dict.fromkeys(t for t in (self.deposit_asset_id, usd) if t is not None)
        return [(asset, target) for target in targets for asset in assets if asset != target]

    def chain_ids_without_details(self) -> list[int]:
        """Return the symbols that only convert and whose details have not come yet."""
        return [symbol_id for symbol_id in self.subscribed_ids if symbol_id not in self.details]

    @property
    def subscribed_ids(self) -> tuple[int, ...]:
        """Symbols whose spots are needed: the traded ones, then those that convert or are held."""
        self._subscribed |= dict.fromkeys(self.exposed_ids)
        for chain in self.chains.values():
            self._subscribed |= dict.fromkeys(chain)
        return tuple(self._subscribed)

    @property
    def exposed_ids(self) -> tuple[int, ...]:
        """Symbols with exposure, ours or not: the traded ones, then those of other open positions."""
        return tuple(dict.fromkeys((*self.traded_ids, *self._held)))

    @property
    def leverage_ids(self) -> tuple[int, ...]:
        """Distinct dynamic leverage ids of the symbols with exposure."""
        known = [self.details[i] for i in self.exposed_ids if i in self.details]
        ids = {s.leverageId: None for s in known if s.HasField("leverageId")}
        return tuple(ids)

    def check_details(self) -> None:
        """Check that every traded symbol can be traded.

        Raises: HandshakeRefused (2) without its details or its volume limits.
        """
        for symbol_id in self.traded_ids:
            name = self.listed[symbol_id].name
            if symbol_id not in self.details:
                raise HandshakeRefused(2, f"symbols: the broker lists {name} but gives no details of it; remove it")
            missing = untradable_fields(self.details[symbol_id])
            if missing:
                raise HandshakeRefused(2, f"symbols: the broker gives no {', '.join(missing)} for {name}; remove it")

    def loaded(self, recv_ns: int) -> SymbolsLoaded:
        """Return the symbols of this run; a chain with a gap is left out, and its asset has no rate."""
        ids = [symbol_id for symbol_id in self.subscribed_ids if symbol_id in self.details]
        index = {symbol_id: i for i, symbol_id in enumerate(ids)}
        return SymbolsLoaded(
            recv_ns=recv_ns,
            symbols=tuple(self.spec(symbol_id) for symbol_id in ids),
            traded_count=len(self.traded_ids),
            conversions=self._conversions(self.deposit_asset_id, index),
            usd_conversions=self._conversions(self._usd_id, index),
        )

    def spec(self, symbol_id: int) -> SymbolSpec:
        """Return a symbol whose details have come."""
        listed = self.listed[symbol_id]
        base, quote = self._asset_name(listed.base_asset_id), self._asset_name(listed.quote_asset_id)
        return symbol_spec(self.details[symbol_id], listed.name, base, quote)

    @property
    def _usd_id(self) -> int | None:
        return next((asset_id for asset_id, name in self.asset_names.items() if name == USD), None)

    def _asset_name(self, asset_id: int) -> str:
        return self.asset_names.get(asset_id, str(asset_id))

    def _conversions(self, target: int | None, index: dict[int, int]) -> dict[str, tuple[ConversionStep, ...]]:
        if target is None:
            return {}
        found: dict[str, tuple[ConversionStep, ...]] = {self._asset_name(target): ()}
        for (asset, chain_target), chain in self.chains.items():
            steps = self._steps(asset, target, chain, index) if chain_target == target else None
            if steps is not None:
                found[self._asset_name(asset)] = steps
        return found

    def _steps(
        self, asset: int, target: int, chain: tuple[int, ...], index: dict[int, int]
    ) -> tuple[ConversionStep, ...] | None:
        # Walk the chain: a symbol whose base we hold multiplies, one whose quote we hold divides.
        held, steps = asset, []
        for symbol_id in chain:
            symbol = self.listed[symbol_id]
            if symbol_id not in index or held not in (symbol.base_asset_id, symbol.quote_asset_id):
                return None
            invert = held != symbol.base_asset_id
            steps.append(ConversionStep(index[symbol_id], invert))
            held = symbol.base_asset_id if invert else symbol.quote_asset_id
        return tuple(steps) if held == target else None


def _unknown_symbol(name: str, names: list[str]) -> str:
    by_folded = {n.casefold(): n for n in names}
    close = [by_folded[m] for m in get_close_matches(name.casefold(), by_folded, n=5, cutoff=0.5)]
    # Brokers add suffixes and slashes: what contains the name is close, too.
    close += [n for n in names if n not in close and name.casefold() in n.casefold()][:5]
    hint = f"close names: {', '.join(close)}" if close else f"it lists {len(names)} symbols, none with a close name"
    return f"symbols: the broker has no symbol {name!r}; {hint}"
