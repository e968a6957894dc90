"""What the venue lists: the default symbols, the form of recorded ones, assets, classes and leverage tiers."""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from bot.market.symbols import SymbolSpec

FX, METALS, CRYPTO, EQUITIES, INDICES = 1, 2, 3, 4, 5
CLASS_NAMES = {FX: "Forex", METALS: "Metals", CRYPTO: "Crypto", EQUITIES: "Equities", INDICES: "Indices"}

WHOLE_WEEK = ((0, 7 * 86_400),)
"""Every listed symbol trades round the clock, so that a session of any length, at any hour, has a market."""


@dataclass(frozen=True, slots=True)
class Week:
    """Weekly trading hours. Units: spans of seconds since Sunday 00:00 in the time zone, end exclusive."""

    schedule: tuple[tuple[int, int], ...]
    time_zone: str


FX_WEEK = Week(((17 * 3_600, 5 * 86_400 + 17 * 3_600),), "America/New_York")
"""Sunday 17:00 to Friday 17:00 in New York, as currencies and metals trade."""

METAL_WEEK = Week(
    tuple((day * 86_400 + 18 * 3_600, (day + 1) * 86_400 + 17 * 3_600 + 14 * 60) for day in range(5)),
    "America/New_York",
)
"""As FX, with a halt from 17:14 to 18:00 New York. Source: the recording of gold ticks of May 2014."""

TIERS: dict[int, tuple[tuple[int, int], ...]] = {
    FX: ((1_000_000, 500), (5_000_000, 200), (50_000_000, 100)),
    METALS: ((1_000_000, 200), (5_000_000, 100), (50_000_000, 50)),
    CRYPTO: ((250_000, 50), (1_000_000, 20), (10_000_000, 10)),
    EQUITIES: ((1_000_000, 20), (10_000_000, 10)),
    INDICES: ((1_000_000, 100), (5_000_000, 50), (50_000_000, 20)),
}
"""Dynamic leverage by id: (upper bound of open volume in USD, leverage), ascending; the last also covers the rest."""

_ASSET_DIGITS = {"EUR": 2, "USD": 2, "JPY": 0, "GBP": 2, "XAU": 2, "BTC": 8}
_OTHER_ASSET_DIGITS = {"ETH": 8}


_CURRENCIES = (
    "AED|AUD|BRL|CAD|CHF|CNH|CNY|CZK|DKK|EUR|GBP|HKD|HUF|ILS|INR|JPY|KRW|MXN|NOK|NZD|PLN|RON|RUB|SEK|SGD|THB|TRY|TWD|"
    "USD|ZAR"
)
_COINS = "ADA|ATOM|AVAX|BCH|BNB|BTC|DASH|DOGE|DOT|EOS|ETC|ETH|LINK|LTC|NEO|SOL|TRX|UNI|USDC|USDT|XLM|XMR|XRP|XTZ|ZEC"
_ASSETS = f"{_COINS}|{_CURRENCIES}|XAG|XAU"  # coins first: USDT is not USD with a suffix
_PAIR = re.compile(f"(?P<base>{_ASSETS})[/_-]?(?P<quote>{_ASSETS})")
_COIN_LOT_VALUE = 10_000.0  # US dollars


def pair_in(name: str) -> tuple[str, str] | None:
    """Return base and quote of a pair of currencies, coins or metals; None for any other name.

    There may be a sign between the two, and a broker's suffix behind them: EURUSD.r, EURUSDm, EUR/USD.
    """
    match = _PAIR.match(name)
    return None if match is None else (match["base"], match["quote"])


def class_in(name: str) -> tuple[int, bool]:
    """Return the class of a symbol by its name, and whether that is a guess."""
    for spec in (*default_symbols(), *extra_symbols()):
        if spec.name == name and spec.leverage_id is not None:
            return spec.leverage_id, False
    if name.startswith(("XAU", "XAG")):
        return METALS, False
    pair = pair_in(name)
    if name.startswith(("BTC", "ETH")) or (pair is not None and not set(pair).isdisjoint(_COINS.split("|"))):
        return CRYPTO, False
    if pair is not None:
        return FX, False
    return (FX if re.fullmatch("[A-Z]{6}", name) else INDICES), True


@dataclass(frozen=True, slots=True)
class Asset:
    """A currency, metal, coin or share. `digits`: decimal places of its money."""

    asset_id: int
    name: str
    digits: int


def _listed(symbol_id: int, name: str, group: int, digits: int, pip_position: int) -> SymbolSpec:
    lot, smallest, step, largest = {
        FX: (10_000_000, 100_000, 100_000, 1_000_000_000),
        METALS: (10_000, 100, 100, 1_000_000),
        CRYPTO: (100, 1, 1, 10_000),
        EQUITIES: (100, 100, 100, 10_000_000),
        INDICES: (100, 10, 10, 1_000_000),
    }[group]
    base, quote = (name, "USD") if group in (EQUITIES, INDICES) else pair_in(name) or (name[:3], name[3:])
    return SymbolSpec(
        symbol_id=symbol_id,
        name=name,
        base_asset=base,
        quote_asset=quote,
        digits=digits,
        pip_position=pip_position,
        lot_size_cents=lot,
        min_volume_cents=smallest,
        step_volume_cents=step,
        max_volume_cents=largest,
        leverage_id=group,
        schedule=WHOLE_WEEK,
    )


def default_symbols() -> tuple[SymbolSpec, ...]:
    """Return the six symbols of every market."""
    return (
        _listed(1, "EURUSD", FX, 5, 4),
        _listed(2, "USDJPY", FX, 3, 2),
        _listed(3, "EURJPY", FX, 3, 2),
        _listed(4, "GBPUSD", FX, 5, 4),
        _listed(5, "XAUUSD", METALS, 2, 1),
        _listed(6, "BTCUSD", CRYPTO, 2, 0),
    )


def extra_symbols() -> tuple[SymbolSpec, ...]:
    """Return the symbols that a venue lists on request: two index CFDs of one index unit a lot, silver, ether.

    Their ids follow those of the default symbols and of a recorded one, whichever of them are asked for.
    """
    silver = replace(
        _listed(10, "XAGUSD", METALS, 3, 2),
        lot_size_cents=500_000,
        min_volume_cents=5_000,
        step_volume_cents=5_000,
        max_volume_cents=50_000_000,
    )
    return (
        _listed(8, "US500", INDICES, 1, 0),
        replace(_listed(9, "JP225", INDICES, 1, 0), quote_asset="JPY"),
        silver,
        _listed(11, "ETHUSD", CRYPTO, 2, 0),
    )


def recorded_symbol(name: str, digits: int, group: int, price: float | None = None) -> SymbolSpec:
    """Return the specification of a recorded symbol: the default's id if it replaces one, else an id of its own.

    The digits are those the recording needs, so that every recorded price is representable.

    Args: `price` of a coin, which says how many make a lot of about ten thousand dollars; None: one.
    """
    for spec in default_symbols():
        if spec.name == name:
            return _listed(spec.symbol_id, name, group, digits, min(digits, spec.pip_position))
    pip_position = 4 if group == FX else min(digits, 2)
    spec = _listed(len(default_symbols()) + 1, name, group, digits, pip_position)
    if group != CRYPTO or price is None or spec.base_asset in ("BTC", "ETH"):
        return spec
    price_usd = price / 100 if spec.quote_asset == "JPY" else price
    scale = 10 ** max(0, round(math.log10(_COIN_LOT_VALUE / price_usd)))
    return replace(
        spec,
        lot_size_cents=spec.lot_size_cents * scale,
        min_volume_cents=spec.min_volume_cents * scale,
        step_volume_cents=spec.step_volume_cents * scale,
        max_volume_cents=spec.max_volume_cents * scale,
    )


def in_its_hours(spec: SymbolSpec) -> SymbolSpec:
    """Return a recorded symbol with the hours of its class: those of currencies or metals; coins trade all week."""
    if spec.leverage_id == CRYPTO:
        return spec
    week = METAL_WEEK if spec.leverage_id == METALS else FX_WEEK
    return replace(spec, schedule=week.schedule, schedule_time_zone=week.time_zone)


def assets_of(specs: Iterable[SymbolSpec]) -> dict[str, Asset]:
    """Return every asset that the symbols name, with stable ids: the default six first."""
    names = list(_ASSET_DIGITS)
    for spec in specs:
        names += [name for name in (spec.base_asset, spec.quote_asset) if name not in names]
    digits = _ASSET_DIGITS | _OTHER_ASSET_DIGITS
    return {name: Asset(index, name, digits.get(name, 2)) for index, name in enumerate(names, 1)}
