"""Margin while something is open: what the broker expects of one more order, and of both sides of a symbol.

How it works: the same expected margins are asked before and after the smallest position is open. Where a volume fills
the first leverage bracket to its brim, whatever is counted before it spills over into the next, dearer one; the
margin of half that volume beside it takes the price's movement out. On a hedged account the other side is opened, too,
and the positions' used margins are added up: the larger side, both, or their difference.
Source: ProtoOAExpectedMarginRes; ProtoOAPosition.usedMargin; ProtoOATrader.totalMarginCalculationType.
"""

from dataclasses import dataclass
from typing import Any

from bot.account.margin import MarginRules, Tiers
from bot.ctrader.enquiry import EnquiryRefused, Script
from bot.ctrader.translate import DEFAULT_MONEY_DIGITS, account_state, leverage_tiers, open_positions
from bot.doctor.facts import Facts
from bot.doctor.footprint import Footprint, attempt, close, new_order
from bot.doctor.margin import side_margin
from bot.doctor.trial import Refused
from bot.market.symbols import SymbolSpec

ON_TOP, OPPOSITE, BOTH_SIDES = "margin.expected_on_top", "margin.expected_opposite", "margin.both_sides"

_LEAST_SPILL_FRAC = 1e-4
"""The least effect that is told from rounding, as a fraction of the margin."""

_SAME_FRAC = 0.02


@dataclass(frozen=True, slots=True)
class ExpectedMargins:
    """What the broker expects, by volume (0.01 unit): (buy, sell) in deposit currency. `minor` is its minor unit."""

    by_volume: dict[int, tuple[float, float]]
    minor: float


@dataclass(frozen=True, slots=True)
class Brim:
    """A volume that fills the first bracket and half of it, 0.01 unit, and what a spill adds to their ratio."""

    whole_cents: int
    half_cents: int
    spill_frac: float


def brim_of(spec: SymbolSpec, tiers: Tiers, leverage: float | None, rates: tuple[float, float]) -> Brim | None:
    """Return the volumes that show whether the smallest position is counted before them; None where nothing could.

    Args: `tiers` as (upper bound in USD, ratio), ascending; `rates` of the base asset: to the deposit currency, to USD.
    """
    if len(tiers) < 2 or leverage is None or not all(rate > 0 for rate in rates):
        return None
    whole = spec.round_volume(tiers[0][0] / rates[1] * 100)
    half = spec.round_volume(whole / 2)
    if not half or whole <= half or whole == spec.max_volume_cents:
        return None
    rules = MarginRules(leverage, "MAX")
    ratios = []
    for open_cents in (0, spec.min_volume_cents):
        margins = [side_margin(rules, tiers, cents / 100, rates, open_cents / 100) for cents in (whole, half)]
        ratios.append(margins[0] / margins[1])
    spill = ratios[1] - ratios[0]
    return Brim(whole, half, spill) if spill >= _LEAST_SPILL_FRAC else None


class Exposure:
    """What was asked while nothing was open, to be compared with the same while something is."""

    def __init__(self, spec: SymbolSpec, brim: Brim | None, alone: ExpectedMargins | None) -> None:
        self.spec, self.brim, self.alone = spec, brim, alone


def ask_before(facts: Facts, spec: SymbolSpec) -> Script[Exposure]:
    """Ask for the expected margins while nothing of the symbol is open."""
    table = facts.tiers.get(spec.leverage_id) if spec.leverage_id is not None else None
    tiers = leverage_tiers(table) if table is not None else ()
    brim = brim_of(spec, tiers, facts.account_leverage, facts.rates(spec.base_asset))
    alone = yield from _ask(facts, spec, brim)
    return Exposure(spec, brim, alone)


def measure_on_top(facts: Facts, exposure: Exposure) -> Script[None]:
    """Ask again now that the smallest long position is open, and tell what it has changed."""
    seen, brim, alone = facts.findings.seen, exposure.brim, exposure.alone
    now = yield from _ask(facts, exposure.spec, brim)
    if alone is None or now is None:
        seen(ON_TOP, None, "the broker gives no expected margin")
        seen(OPPOSITE, None, "the broker gives no expected margin")
        return
    if brim is None:
        text = "cannot be seen here: no leverage bracket that an order can reach is dearer than the first"
        seen(ON_TOP, None, text)
    else:
        before, after = (_ratio(margins, brim) for margins in (alone, now))
        if before is None or after is None or alone.minor / alone.by_volume[brim.half_cents][0] > brim.spill_frac / 4:
            seen(ON_TOP, None, "cannot be seen here: the margins are too small")
        else:
            is_on_top = after - before > brim.spill_frac / 2
            said = "on top of what is open" if is_on_top else "as if nothing were open"
            seen(ON_TOP, is_on_top, f"expected margin of a buy, with a long position open, is {said}")
    smallest = exposure.spec.min_volume_cents
    was, is_now = alone.by_volume[smallest][1], now.by_volume[smallest][1]
    is_less = was - is_now > _SAME_FRAC * was + 2 * alone.minor
    said = "less than without it: the sides are joined" if is_less else "as without it: each side by itself"
    seen(OPPOSITE, "less" if is_less else "same", f"expected margin of a sell, with a long position open, is {said}")


def measure_both_sides(facts: Facts, exposure: Exposure, footprint: Footprint) -> Script[None]:
    """Open the other side as well, on a hedged account, and tell which rule the positions' used margins follow."""
    seen, spec, alone = facts.findings.seen, exposure.spec, exposure.alone
    state = account_state(facts.trader, facts.catalogue.asset_names, None)
    if state.account_type != "HEDGED":
        seen(BOTH_SIDES, None, f"not tried: a {state.account_type} account has one side of a symbol")
        return
    if not spec.short_selling:
        seen(BOTH_SIDES, None, "not tried: short selling is not allowed")
        return
    long_margin = (yield from _used(facts, footprint, spec))[0]
    try:
        opened = yield from attempt(facts, footprint, new_order(facts, spec, footprint, "MARKET", "SELL"), ends=True)
    except Refused as refused:
        seen(BOTH_SIDES, None, f"not seen: the other side was refused: {refused}")
        return
    used, sides = yield from _used(facts, footprint, spec)
    short_margin = alone.by_volume[spec.min_volume_cents][1] if alone is not None else None
    if sides != {True, False} or used is None or not long_margin or not short_margin or alone is None:
        seen(BOTH_SIDES, None, "not seen: two sides with their margins did not stand beside each other")
    else:
        wanted = readings(long_margin, short_margin)
        slack = facts.plan.tolerance_frac * max(long_margin, short_margin) + 2 * alone.minor
        fits = [name for name, margin in wanted.items() if abs(used - margin) <= slack]
        figures = ", ".join(f"{name} {margin:,.2f}" for name, margin in wanted.items())
        said = f"which fits {' and '.join(fits)}" if fits else "which fits none of them"
        text = f"usedMargin of both sides adds up to {used:,.2f}, {said} ({figures}); the account says"
        value = {"fits": fits, "account": state.margin_calculation, "used": round(used, 2)}
        seen(BOTH_SIDES, value, f"{text} {state.margin_calculation}")
    for deal in opened.deals:
        yield from close(facts, footprint, deal.positionId, deal.filledVolume)


def readings(long_margin: float, short_margin: float) -> dict[str, float]:
    """Return a symbol's margin from its two sides under each rule. Source: ProtoOATotalMarginCalculationType."""
    rules = {name: MarginRules(None, name) for name in ("MAX", "SUM", "NET")}
    return {name: rule.symbol_margin(long_margin, short_margin) for name, rule in rules.items()}


def _ask(facts: Facts, spec: SymbolSpec, brim: Brim | None) -> Script[ExpectedMargins | None]:
    volumes = {spec.min_volume_cents} | ({brim.half_cents, brim.whole_cents} if brim is not None else set())
    (reply,) = yield [facts.ask("ExpectedMargin", symbolId=spec.symbol_id, volume=sorted(volumes))]
    if isinstance(reply, EnquiryRefused):
        return None
    minor = _minor(reply)
    found = {int(m.volume): (m.buyMargin * minor, m.sellMargin * minor) for m in reply.margin}
    return ExpectedMargins(found, minor) if volumes <= found.keys() else None


def _used(facts: Facts, footprint: Footprint, spec: SymbolSpec) -> Script[tuple[float | None, set[bool]]]:
    """Return the used margin of our positions in a symbol, and the sides they are on (True: long)."""
    (reply,) = yield [facts.ask("Reconcile")]
    if isinstance(reply, EnquiryRefused):
        return None, set()
    volumes = {p.position_id: p.volume_cents for p in open_positions(reply.position)}
    ours = [
        p
        for p in reply.position
        if p.positionId in volumes and p.positionId in footprint.position_ids and p.tradeData.symbolId == spec.symbol_id
    ]
    if not all(p.HasField("usedMargin") for p in ours):
        return None, set()
    return sum(p.usedMargin * _minor(p) for p in ours), {volumes[p.positionId] > 0 for p in ours}


def _ratio(margins: ExpectedMargins, brim: Brim) -> float | None:
    whole, half = margins.by_volume[brim.whole_cents][0], margins.by_volume[brim.half_cents][0]
    return whole / half if half > 0 else None


def _minor(entity: Any) -> float:
    """Return the minor unit of a message's money, in deposit currency."""
    digits = int(entity.moneyDigits) if entity.HasField("moneyDigits") else DEFAULT_MONEY_DIGITS
    return float(10.0**-digits)
