"""Margin as we compute it against the margin the broker expects: which reading of the leverage tiers is right.

How it works: no document says whether a tier's leverage of 500 is 1:500 or 1:5. Margin is computed under both
readings, bracket by bracket, each bracket at the smaller of the tier's and the account's leverage, for the smallest
volume and for one in each bracket that can be reached; a reading fits when it is within the tolerance everywhere.
Source: ProtoOADynamicLeverage, ProtoOAExpectedMarginRes, ProtoOATrader.leverageInCents.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bot.account.margin import MarginRules, Tiers
from bot.ctrader.enquiry import EnquiryRefused, Script
from bot.ctrader.schema import enum
from bot.ctrader.translate import DEFAULT_MONEY_DIGITS, leverage_tiers
from bot.doctor.facts import Facts
from bot.market.symbols import SymbolSpec

READINGS = {"ratio": 1, "hundredths": 100}
"""What a tier's leverage may be: 500 means 1:500, or 1:5."""

_MOST_VOLUMES = 5


@dataclass(frozen=True, slots=True)
class Quote:
    """The broker's expected margin of one volume, in deposit currency. Units: volume 0.01 base unit."""

    volume_cents: int
    buy: float
    sell: float


def readings_of(leverage: Any) -> dict[str, Tiers]:
    """Return the tiers of a ProtoOADynamicLeverage under each reading: (upper bound in USD, ratio), ascending."""
    return {
        name: tuple(sorted((tier.volume / 100, tier.leverage / scale) for tier in leverage.tiers))
        for name, scale in READINGS.items()
    }


def volumes_to_ask(spec: SymbolSpec, usd_per_unit: float, tiers: Tiers) -> list[int]:
    """Return the smallest volume, and for each bracket one that ends in its middle, as far as an order may go.

    Units: result 0.01 base unit, ascending.
    """
    chosen = {spec.min_volume_cents}
    bounds = [upper for upper, _ in tiers]
    for lower, upper in zip(bounds, [*bounds[1:], 2 * bounds[-1]] if bounds else [], strict=True):
        wanted = (lower + upper) / 2 / usd_per_unit * 100
        if wanted <= spec.max_volume_cents:
            chosen.add(spec.round_volume(wanted) or spec.min_volume_cents)
    if len(chosen) == 1:
        chosen.add(spec.max_volume_cents)
    return sorted(chosen)[:_MOST_VOLUMES]


def side_margin(
    rules: MarginRules, tiers: Tiers, units: float, rates: tuple[float, float], open_units: float = 0.0
) -> float:
    """Return the margin of `units` more on a side where `open_units` are open, in deposit currency.

    Args: `rates` of the base asset: to the deposit currency, to USD.
    """

    def margin(total: float) -> float:
        return rules.side_margin(total * rates[0], total * rates[1], tiers) if total else 0.0

    return margin(open_units + units) - margin(open_units)


def worst_gap(
    quotes: Sequence[Quote],
    rules: MarginRules,
    tiers: Tiers,
    rates: tuple[float, float],
    open_units: tuple[float, float],
    minor_unit: float,
) -> float:
    """Return how far our margin lies from the broker's at worst, as a fraction of the broker's; NaN if unknown.

    A difference of one minor unit is rounding and counts as none.
    """
    worst = 0.0
    for quote in quotes:
        for expected, open_side in ((quote.buy, open_units[0]), (quote.sell, open_units[1])):
            ours = side_margin(rules, tiers, quote.volume_cents / 100, rates, open_side)
            if math.isnan(ours):
                return math.nan
            gap = max(0.0, abs(ours - expected) - minor_unit)
            worst = max(worst, gap / expected if expected > 0 else math.inf if gap else 0.0)
    return worst


def check_margin(facts: Facts, spec: SymbolSpec) -> Script[None]:
    """Compare our margin with the broker's expected margin for one symbol."""
    name, findings = f"margin:{spec.name}", facts.findings
    rates = facts.rates(spec.base_asset)
    if not all(math.isfinite(rate) and rate > 0 for rate in rates):
        findings.check(name, "unknown", "no price to compute it from: the market gives no quotes now")
        return
    table = facts.tiers.get(spec.leverage_id) if spec.leverage_id is not None else None
    if spec.leverage_id is not None and table is None:
        findings.check(name, "fail", f"the broker does not give the leverage table {spec.leverage_id}")
        return
    readings: dict[str, Tiers] = {"account": ()}
    if table is not None and table.tiers:
        readings = readings_of(table)
    volumes = volumes_to_ask(spec, rates[1], next(iter(readings.values())))
    (reply,) = yield [facts.ask("ExpectedMargin", symbolId=spec.symbol_id, volume=volumes)]
    if isinstance(reply, EnquiryRefused):
        result: Any = "unknown" if reply.code in ("MARKET_CLOSED", "NO_QUOTES", "TIMEOUT") else "fail"
        findings.check(name, result, f"the broker gives no expected margin ({reply.code}: {reply.description})")
        return
    has_digits = reply.HasField("moneyDigits")
    digits = int(reply.moneyDigits) if has_digits else DEFAULT_MONEY_DIGITS
    if facts.findings.result_of(name) is None and spec is facts.specs[0]:
        said = f"stated, {digits}" if has_digits else "absent; the bot takes 2"
        findings.seen("money_digits.expected_margin", digits if has_digits else None, f"moneyDigits: {said}")
    scale = 10.0**-digits
    quotes = [Quote(m.volume, m.buyMargin * scale, m.sellMargin * scale) for m in reply.margin]
    if not quotes:
        findings.check(name, "unknown", "the broker answered the expected margin with nothing")
        return
    _judge(facts, spec, table, readings, quotes, rates, scale)


def _judge(
    facts: Facts,
    spec: SymbolSpec,
    table: Any,
    readings: dict[str, Tiers],
    quotes: list[Quote],
    rates: tuple[float, float],
    minor_unit: float,
) -> None:
    name, findings, tolerance = f"margin:{spec.name}", facts.findings, facts.plan.tolerance_frac
    rules = MarginRules(facts.account_leverage, "MAX", bool(facts.trader.isLimitedRisk))
    held = _open_units(facts, spec)
    places = {"": (0.0, 0.0)} if held == (0.0, 0.0) else {"": (0.0, 0.0), " on top of what is open": held}
    gaps = {
        (reading, place): worst_gap(quotes, rules, tiers, rates, units, minor_unit)
        for reading, tiers in readings.items()
        for place, units in places.items()
    }
    gaps = {key: gap for key, gap in gaps.items() if not math.isnan(gap)}
    if not gaps:
        findings.check(name, "unknown", "this account's margin is not one the bot can compute")
        return
    fitting = [key for key, gap in gaps.items() if gap <= tolerance]
    fits = list(dict.fromkeys(reading for reading, _ in fitting))
    best, best_place = min(fitting or gaps, key=lambda key: gaps[key])
    gap = gaps[best, best_place]
    asked = ", ".join(f"{spec.lots(quote.volume_cents):,.10g}" for quote in quotes)
    measured = f"at {asked} lots the broker expects up to {gap:.2%} away from ours{best_place}"
    gap_frac = round(gap, 6) if math.isfinite(gap) else None
    value = {"readings": fits, "gap_frac": gap_frac, "expected": [[q.volume_cents, q.buy, q.sell] for q in quotes]}
    if not fits:
        ours = side_margin(rules, readings[best], quotes[-1].volume_cents / 100, rates)
        text = (
            f"no reading of the tiers fits: {measured}; for {spec.lots(quotes[-1].volume_cents):,.10g} lots the broker "
            f"says {quotes[-1].buy:,.2f}, the nearest reading ({best}) {ours:,.2f}; do not trade this symbol"
        )
        findings.check(name, "fail", text, value)
        return
    if best == "account":
        findings.check(name, "ok", f"by the account's leverage alone; {measured}", value)
        return
    bot_reading = next((n for n, tiers in readings.items() if list(tiers) == list(leverage_tiers(table))), None)
    said = "either reading of the tiers fits" if len(fits) > 1 else f"tier leverage is in {_in_words(best)}"
    if bot_reading in fits:
        findings.check(name, "ok", f"{said}; {measured}", value)
    else:
        text = f"{said}, but the bot would read it in {_in_words(bot_reading)}; {measured}; do not trade this symbol"
        findings.check(name, "fail", text, value)


def _in_words(reading: str | None) -> str:
    return {"ratio": "whole ratios (500 is 1:500)", "hundredths": "hundredths (50000 is 1:500)"}.get(
        reading or "", "another unit"
    )


def _open_units(facts: Facts, spec: SymbolSpec) -> tuple[float, float]:
    """Return the open units of a symbol, (long, short)."""
    buy = enum("ProtoOATradeSide")["BUY"]
    sides = {True: 0.0, False: 0.0}
    for position in facts.positions:
        if position.tradeData.symbolId == spec.symbol_id:
            sides[position.tradeData.tradeSide == buy] += position.tradeData.volume / 100
    return sides[True], sides[False]
