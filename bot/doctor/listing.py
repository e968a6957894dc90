"""What is traded: do the config's symbols exist, can they be traded, when, and can their money be converted."""

from datetime import UTC, datetime
from typing import Any

from bot.ctrader.catalogue import Catalogue
from bot.ctrader.enquiry import EnquiryRefused, Script, failure_of
from bot.ctrader.plan import HandshakeRefused
from bot.ctrader.translate import untradable_fields
from bot.doctor.facts import Facts
from bot.doctor.findings import EXIT_USAGE
from bot.market.hours import SymbolHours
from bot.market.symbols import SymbolSpec

_BATCH = 100


def check_symbols(facts: Facts) -> Script[None]:
    """Check each symbol of the config, its hours, the conversion chains, and load the leverage tables."""
    for name in facts.plan.symbols:
        alone = Catalogue((name,))
        alone.listed = facts.catalogue.listed
        try:
            alone.resolve_traded()
        except HandshakeRefused as refused:
            facts.findings.check(f"symbol:{name}", "fail", refused.fatal.text, exit_code=EXIT_USAGE)
        else:
            facts.names.append(name)
    catalogue = Catalogue(tuple(facts.names))
    catalogue.asset_names, catalogue.listed = facts.catalogue.asset_names, facts.catalogue.listed
    catalogue.deposit_asset_id = facts.catalogue.deposit_asset_id
    catalogue.resolve_traded()
    facts.catalogue = catalogue
    yield from _load_details(facts, list(catalogue.traded_ids))
    for name, symbol_id in zip(facts.names, catalogue.traded_ids, strict=True):
        _check_symbol(facts, name, symbol_id)
    yield from _check_conversions(facts)
    for leverage_id in catalogue.leverage_ids:
        (reply,) = yield [facts.ask("GetDynamicLeverageByID", leverageId=leverage_id)]
        if not isinstance(reply, EnquiryRefused):
            facts.tiers[leverage_id] = reply.leverage


def _load_details(facts: Facts, symbol_ids: list[int]) -> Script[None]:
    for start in range(0, len(symbol_ids), _BATCH):
        (reply,) = yield [facts.ask("SymbolById", symbolId=symbol_ids[start : start + _BATCH])]
        if not isinstance(reply, EnquiryRefused):
            facts.catalogue.add_details(reply.symbol)


def _check_symbol(facts: Facts, name: str, symbol_id: int) -> None:
    findings = facts.findings
    details = facts.catalogue.details.get(symbol_id)
    if details is None:
        text = "the broker lists it but gives no details of it; take it out of the config"
        findings.check(f"symbol:{name}", "fail", text, symbol_id, exit_code=EXIT_USAGE)
        return
    missing = untradable_fields(details)
    if missing:
        text = f"the broker gives no {', '.join(missing)}; take it out of the config"
        findings.check(f"symbol:{name}", "fail", text, symbol_id, exit_code=EXIT_USAGE)
        return
    spec = facts.catalogue.spec(symbol_id)
    facts.specs.append(spec)
    _check_grid(facts, spec)
    mode = spec.trading_mode
    said = "trading is enabled" if mode == "ENABLED" else f"the broker has set it to {mode}; the bot cannot open it"
    findings.check(f"mode:{name}", "ok" if mode == "ENABLED" else "warn", said, mode)
    _check_hours(facts, spec)
    if not spec.short_selling:
        findings.check(f"short:{name}", "warn", "short selling is not allowed")


def _check_grid(facts: Facts, spec: SymbolSpec) -> None:
    smallest, step, largest = (
        spec.lots(v) for v in (spec.min_volume_cents, spec.step_volume_cents, spec.max_volume_cents)
    )
    text = (
        f"id {spec.symbol_id}, {spec.digits} digits, lot {spec.lot_size_cents / 100:,.10g} units, "
        f"{smallest:,.10g} to {largest:,.10g} lots in steps of {step:,.10g}"
    )
    name = f"symbol:{spec.name}"
    if spec.min_volume_cents > spec.max_volume_cents:
        facts.findings.check(name, "fail", f"{text}; the smallest volume is above the largest", spec.symbol_id)
    elif spec.min_volume_cents % spec.step_volume_cents:
        facts.findings.check(name, "warn", f"{text}; the smallest volume is not on the step", spec.symbol_id)
    else:
        facts.findings.check(name, "ok", text, spec.symbol_id)


def _check_hours(facts: Facts, spec: SymbolSpec) -> None:
    hours = SymbolHours(spec)
    state = hours.state(facts.now_ns)
    facts.open_now[spec.symbol_id] = None if state is None else state == "open"
    name = f"hours:{spec.name}"
    if state is None:
        facts.findings.check(name, "unknown", "the broker gives no schedule that can be read")
        return
    change_ns = hours.next_change_ns(facts.now_ns) if state == "open" else hours.next_opening_ns(facts.now_ns)
    until = "" if change_ns is None else f"; {'until' if state == 'open' else 'opens'} {_minute(change_ns)}"
    said = {"open": "open now", "closed": "closed now", "holiday": "closed now, a holiday"}[state]
    facts.findings.check(name, "ok", f"{said} by its schedule{until}", state)


def _minute(time_ns: int) -> str:
    return f"{datetime.fromtimestamp(time_ns // 1_000_000_000, UTC):%a %Y-%m-%d %H:%M} UTC"


def _check_conversions(facts: Facts) -> Script[None]:
    catalogue = facts.catalogue
    wanted = catalogue.wanted_chains()
    replies: list[Any] = yield [
        facts.ask("SymbolsForConversion", firstAssetId=first, lastAssetId=last) for first, last in wanted
    ]
    refused = {}
    for pair, reply in zip(wanted, replies, strict=True):
        if isinstance(reply, EnquiryRefused):
            refused[pair] = failure_of(reply).text
        else:
            catalogue.add_symbols(reply.symbol)
            catalogue.chains[pair] = tuple(light.symbolId for light in reply.symbol)
    yield from _load_details(facts, catalogue.chain_ids_without_details())
    loaded = catalogue.loaded(facts.now_ns)
    named = catalogue.asset_names
    usd_id = next((asset_id for asset_id, name in named.items() if name == "USD"), None)
    for target, found in {usd_id: loaded.usd_conversions, catalogue.deposit_asset_id: loaded.conversions}.items():
        pairs = [pair for pair in wanted if pair[1] == target]
        gaps = [pair for pair in pairs if named.get(pair[0], str(pair[0])) not in found]
        name = f"conversion:{named.get(target or 0, target)}"
        if gaps:
            what = ", ".join(named.get(first, str(first)) for first, _ in gaps)
            why = "; ".join(refused[pair] for pair in gaps if pair in refused)
            facts.findings.check(name, "fail", f"no chain of symbols converts {what}{f': {why}' if why else ''}")
        elif target is not None:
            assets = ", ".join(named.get(first, str(first)) for first, _ in pairs) or "nothing"
            facts.findings.check(name, "ok", f"chains are there for {assets}", len(pairs))
