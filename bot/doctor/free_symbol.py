"""Symbols on which an order of ours can touch nothing of anybody else's, and what it would cost is known."""

from typing import Any

from bot.ctrader.enquiry import EnquiryRefused, Listen, Script
from bot.ctrader.translate import untradable_fields
from bot.doctor.facts import Facts
from bot.doctor.streams import FIRST_PRICES_S
from bot.market.hours import SymbolHours
from bot.market.symbols import SymbolSpec

_COARSE_QUOTES = ("JPY",)
_KNOWN_BASES = ("EUR", "USD", "GBP", "AUD", "CAD", "CHF", "NZD")
_MOST_CANDIDATES = 10


def free_symbol(facts: Facts, held: Any) -> SymbolSpec | None:
    """Return the first configured symbol that is free, open and quoted; `held` is a ProtoOAReconcileRes."""
    return next((spec for spec in facts.specs if _is_usable(facts, spec, held)), None)


def coarse_symbol(facts: Facts, held: Any) -> Script[SymbolSpec | None]:
    """Return a free symbol with fewer than five digits: a configured one, else a listed pair of yen with prices.

    Only pairs of currencies are taken from the list: the smallest order of anything else may be large.
    """
    for spec in facts.specs:
        if spec.digits < 5 and _is_usable(facts, spec, held):
            return spec
    for symbol_id in _listed_pairs(facts):
        found = yield from _with_prices(facts, symbol_id, held)
        if found is not None:
            return found
    return None


def _is_usable(facts: Facts, spec: SymbolSpec, held: Any) -> bool:
    stream = facts.stream(spec.symbol_id)
    quoted = stream.bid_e5 is not None and stream.ask_e5 is not None
    taken = {entity.tradeData.symbolId for entity in (*held.position, *held.order)}
    may_trade = spec.trading_mode == "ENABLED" and facts.open_now.get(spec.symbol_id) is not False
    return bool(quoted and may_trade and spec.symbol_id not in taken)


def _listed_pairs(facts: Facts) -> list[int]:
    names, known = facts.catalogue.asset_names, {spec.symbol_id for spec in facts.specs}
    found = [
        symbol.symbol_id
        for symbol in facts.catalogue.listed.values()
        if symbol.enabled
        and symbol.symbol_id not in known
        and names.get(symbol.quote_asset_id) in _COARSE_QUOTES
        and names.get(symbol.base_asset_id) in _KNOWN_BASES
    ]
    return found[:_MOST_CANDIDATES]


def _with_prices(facts: Facts, symbol_id: int, held: Any) -> Script[SymbolSpec | None]:
    """Return a listed symbol if it can be used, with its prices asked for; whoever is subscribed already stays so."""
    if symbol_id not in facts.catalogue.details:
        (reply,) = yield [facts.ask("SymbolById", symbolId=[symbol_id])]
        if not isinstance(reply, EnquiryRefused):
            facts.catalogue.add_details(reply.symbol)
    details = facts.catalogue.details.get(symbol_id)
    if details is None or untradable_fields(details):
        return None
    spec = facts.catalogue.spec(symbol_id)
    if spec.digits >= 5 or SymbolHours(spec).state(facts.now_ns) in ("closed", "holiday"):
        return None
    is_ours = symbol_id not in facts.catalogue.subscribed_ids
    if is_ours:
        yield [facts.ask("SubscribeSpots", symbolId=[symbol_id], subscribeToSpotTimestamp=True)]

        def is_price(event: Any) -> bool:
            return bool(event.DESCRIPTOR.name == "ProtoOASpotEvent" and event.symbolId == symbol_id)

        facts.hear((yield Listen(FIRST_PRICES_S, until=is_price)))
        yield [facts.ask("UnsubscribeSpots", symbolId=[symbol_id])]
    return spec if _is_usable(facts, spec, held) else None
