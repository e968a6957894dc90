"""The broker's symbols that match a text, with what a person needs to know to trade them: a script for an `Enquiry`."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from bot.ctrader.account_login import check_kind, choose_account, log_in
from bot.ctrader.enquiry import EnquiryRefused, Script
from bot.ctrader.granted_accounts import granted_accounts
from bot.ctrader.schema import message
from bot.ctrader.translate import leverage_tiers, symbol_spec, text
from bot.market.hours import SymbolHours

BATCH = 100
"""Symbols whose details are asked in one request: a broker lists thousands."""


@dataclass(frozen=True, slots=True)
class FoundSymbol:
    """One symbol of the broker.

    Units: volumes in 0.01 unit of the base asset; `leverage` a plain ratio: that of the first tier, or the account's
        where that is smaller.
    Missing: None for what the broker does not say; `is_open` None without a schedule.
    Source: ProtoOALightSymbol, ProtoOASymbol, ProtoOADynamicLeverage, ProtoOATrader.leverageInCents.
    """

    symbol_id: int
    name: str
    description: str
    digits: int | None
    lot_size_cents: int | None
    min_volume_cents: int | None
    step_volume_cents: int | None
    max_volume_cents: int | None
    leverage: float | None
    commission: str | None
    trading_mode: str | None
    enabled: bool
    is_open: bool | None

    def lots(self, volume_cents: int | None) -> float | None:
        """Return a volume in lots."""
        return volume_cents / self.lot_size_cents if volume_cents and self.lot_size_cents else None


@dataclass(frozen=True, slots=True)
class SymbolSearch:
    """What a search found, by name, and names close to the text when it found nothing."""

    found: tuple[FoundSymbol, ...]
    listed_count: int
    close_names: tuple[str, ...] = ()


def search_symbols(
    wanted: str,
    access_token: str,
    account_id: int | None,
    environment: str,
    now_ns: int,
    on_progress: Callable[[str], None],
) -> Script[SymbolSearch]:
    """Find the enabled symbols whose name or description contains `wanted`, whatever its case; a script.

    Args: `account_id` None takes the first account of the grant; `now_ns` decides which are open.
    Raises: EnquiryFailed (3) for an account that cannot be used; EnquiryRefused for what the venue refuses.
    """
    account = choose_account((yield from granted_accounts(access_token)), account_id)
    check_kind(account, environment)
    yield from log_in(account.account_id, access_token)

    def ask(name: str, **fields: Any) -> Any:
        return message(name)(ctidTraderAccountId=account.account_id, **fields)

    trader_reply, symbols_reply = yield [ask("ProtoOATraderReq"), ask("ProtoOASymbolsListReq")]
    for reply in (trader_reply, symbols_reply):
        if isinstance(reply, EnquiryRefused):
            raise reply
    lights = [light for light in symbols_reply.symbol if light.enabled or not light.HasField("enabled")]
    matching = sorted((light for light in lights if _matches(light, wanted)), key=lambda light: text(light.symbolName))
    if not matching:
        return SymbolSearch((), len(lights), _close_names(wanted, (text(light.symbolName) for light in lights)))
    details: dict[int, Any] = {}
    ids = [light.symbolId for light in matching]
    for start in range(0, len(ids), BATCH):
        on_progress(f"details of {len(details)} of {len(ids)} symbols")
        reply = yield ask("ProtoOASymbolByIdReq", symbolId=ids[start : start + BATCH])
        details |= {symbol.symbolId: symbol for symbol in reply.symbol}
    tiers = yield from _first_tiers(ask, details.values(), on_progress)
    own = trader_reply.trader.leverageInCents / 100 or None
    found = tuple(_found(light, details.get(light.symbolId), tiers, own, now_ns) for light in matching)
    return SymbolSearch(found, len(lights))


def _first_tiers(
    ask: Callable[..., Any], symbols: Iterable[Any], on_progress: Callable[[str], None]
) -> Script[dict[int, float]]:
    leverage_ids = list(dict.fromkeys(s.leverageId for s in symbols if s.HasField("leverageId")))
    on_progress(f"leverage tables: {len(leverage_ids)}")
    replies = yield [ask("ProtoOAGetDynamicLeverageByIDReq", leverageId=leverage_id) for leverage_id in leverage_ids]
    first = {}
    for leverage_id, reply in zip(leverage_ids, replies, strict=True):
        if not isinstance(reply, EnquiryRefused) and reply.leverage.tiers:
            first[leverage_id] = leverage_tiers(reply.leverage)[0][1]
    return first


def _matches(light: Any, wanted: str) -> bool:
    folded = wanted.casefold()
    return folded in text(light.symbolName).casefold() or folded in text(light.description).casefold()


def _close_names(wanted: str, names: Iterable[str]) -> tuple[str, ...]:
    by_folded = {name.casefold(): name for name in names}
    return tuple(by_folded[m] for m in get_close_matches(wanted.casefold(), by_folded, n=5, cutoff=0.5))


def _found(light: Any, symbol: Any, tiers: dict[int, float], own: float | None, now_ns: int) -> FoundSymbol:
    name, description = text(light.symbolName), text(light.description)
    enabled = light.enabled if light.HasField("enabled") else True
    if symbol is None:
        nothing = dict.fromkeys(FoundSymbol.__dataclass_fields__)
        known = {"symbol_id": light.symbolId, "name": name, "description": description, "enabled": enabled}
        return FoundSymbol(**(nothing | known))  # type: ignore[arg-type]
    spec = symbol_spec(symbol, name, "", "")
    leverage = own
    if symbol.HasField("leverageId"):
        first = tiers.get(symbol.leverageId)
        leverage = None if first is None or own is None else min(first, own)
    return FoundSymbol(
        symbol_id=light.symbolId,
        name=name,
        description=description,
        digits=spec.digits,
        lot_size_cents=symbol.lotSize or None,
        min_volume_cents=symbol.minVolume or None,
        step_volume_cents=symbol.stepVolume or None,
        max_volume_cents=symbol.maxVolume or None,
        leverage=leverage,
        commission=_commission(spec.commission_type, spec.commission_rate),
        trading_mode=spec.trading_mode,
        enabled=enabled,
        is_open=SymbolHours(spec).is_open(now_ns),
    )


def _commission(kind: str | None, rate: float | None) -> str | None:
    """Say a commission in words. Source: ProtoOACommissionType; the rate as `symbol_spec` scales it."""
    if kind is None or rate is None:
        return None
    form = {
        "USD_PER_MILLION_USD": "{:g} USD per million USD",
        "USD_PER_LOT": "{:g} USD per lot",
        "PERCENTAGE_OF_VALUE": "{:g} in a hundred of the value",
        "QUOTE_CCY_PER_LOT": "{:g} quote currency per lot",
    }.get(kind, "{:g} " + kind)
    return form.format(rate)
