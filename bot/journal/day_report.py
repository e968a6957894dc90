"""A day, or several, of a ledger in figures: orders, deals, money, costs, margin, refusals. Pure computation.

Deals of our positions are counted together, whoever made them; those of other people's positions are kept apart, and
everything that was not our own doing is listed one by one. Money is summed as `Decimal`. What nobody knows is None.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from math import fsum, isfinite
from statistics import fmean, median
from typing import Any

from bot.journal import broker_day
from bot.journal.kept import Intent, KeptDeal
from bot.journal.ledger import FINAL_STATES
from bot.journal.ledger_reader import LedgerSpan

DELAYS_S = (1, 5, 30, 60)
_SECOND = 1_000_000_000
_EXECUTED_BY = ("open", "increase", "reduce", "close", "place")
_AT_THE_MARKET = ("market", "market_range")
_NEVER_LEFT = ("NOT_SENT", "NOT_READY")
_OUR_DOING = ("ours", "protection")


def day_report(span: LedgerSpan, first: date | None, last: date | None, as_of_ns: int) -> dict[str, Any]:
    """Return the figures of the broker days `first` to `last`, both included; None: everything that the ledger holds.

    Args: `as_of_ns` is now: a mark-out that could not have been taken by then is not missing yet.
    Units: money in deposit currency as `Decimal`; costs in bps, positive against us; fractions of 1; seconds.
    Missing: None; every key is always there.
    """
    own = [deal for deal in span.deals if deal.is_own]
    foreign = [deal for deal in span.deals if not deal.is_own]
    return {
        "type": "report",
        "account_id": span.account.get("account_id"),
        "deposit_currency": span.account.get("deposit_currency"),
        "first_day": None if first is None else first.isoformat(),
        "last_day": None if last is None else last.isoformat(),
        "from": None if first is None else iso_time(broker_day.start_ns(first)),
        "to": None if last is None else iso_time(broker_day.start_ns(last + timedelta(days=1))),
        "orders": _orders(span.intents),
        "deals": deal_figures(own),
        "symbols": _symbols(own),
        "foreign": deal_figures(foreign),
        "by_others": [_listed(deal) for deal in span.deals if not (deal.is_own and deal.cause in _OUR_DOING)],
        "slippage": {"against_mid": _against_mid(own), "against_prediction": _against_prediction(span)},
        "mark_outs": [_mark_outs(span, delay_s, as_of_ns) for delay_s in DELAYS_S],
        "fill_ratio": _fill_ratio(span),
        "latency_s": _latency(span.intents),
        "margin": _margin(span),
        "equity": _equity(span),
        "refusals": _refusals(span),
        "notices": _notices(span),
    }


def iso_time(ns: int) -> str:
    """Return UTC nanoseconds as ISO 8601 with milliseconds and `Z`."""
    moment = datetime.fromtimestamp(ns // 1_000_000 / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def deal_figures(deals: Sequence[KeptDeal]) -> dict[str, Any]:
    """Return counts, volume and money of some deals.

    `commission` is what these deals were charged; `realised_profit` is what their closes have added to the balance:
    `gross_profit`, swap, and `closed_commission`, which counts the opening of what was closed as well.
    """
    gross, swap, closed = (
        _sum(getattr(d, name) for d in deals) for name in ("gross_profit", "swap", "close_commission")
    )
    notionals = [deal.notional for deal in deals]
    return {
        "count": len(deals),
        "causes": dict(sorted(Counter(deal.cause for deal in deals).items())),
        "lots": fsum(deal.lots or 0.0 for deal in deals),
        "volume": None if None in notionals else fsum(n or 0.0 for n in notionals),
        "commission": _sum(deal.commission for deal in deals),
        "gross_profit": gross,
        "swap": swap,
        "closed_commission": closed,
        "realised_profit": gross + swap + closed,
    }


def slippage_bps(deal: KeptDeal) -> float | None:
    """Return what a deal cost against the mid of its decision, bps of that; None when it is not known."""
    if deal.decision_mid is None:
        return None
    side = 1 if deal.volume_cents > 0 else -1
    return side * (deal.price - deal.decision_mid) / deal.decision_mid * 1e4


def _orders(intents: Iterable[Intent]) -> list[dict[str, Any]]:
    counts = Counter((intent.action, intent.state) for intent in intents)
    return [{"action": a, "outcome": o, "count": n} for (a, o), n in sorted(counts.items())]


def _symbols(deals: Iterable[KeptDeal]) -> list[dict[str, Any]]:
    by_symbol: dict[str, list[KeptDeal]] = defaultdict(list)
    for deal in deals:
        by_symbol[deal.symbol].append(deal)
    return [{"symbol": name, **deal_figures(its_deals)} for name, its_deals in sorted(by_symbol.items())]


def _listed(deal: KeptDeal) -> dict[str, Any]:
    parts = (deal.gross_profit, deal.swap, deal.close_commission)
    return {
        "time": iso_time(deal.executed_ns),
        "symbol": deal.symbol,
        "side": "buy" if deal.volume_cents > 0 else "sell",
        "lots": deal.lots,
        "price": deal.price,
        "cause": deal.cause,
        "is_own": deal.is_own,
        "position_id": deal.position_id,
        "deal_id": deal.deal_id,
        "realised_profit": None if deal.gross_profit is None else _sum(parts),
    }


# -- costs --------------------------------------------------------------------------------------------------------


def _costs(costs: Sequence[tuple[float, float | None]]) -> dict[str, Any]:
    """Return mean, mean by volume, and the worst of (cost, weight) pairs; a weight that is unknown does not count."""
    return {
        "count": len(costs),
        "mean_bps": fmean(cost for cost, _ in costs) if costs else None,
        "weighted_bps": _weighted(costs),
        "worst_bps": max((cost for cost, _ in costs), default=None),
    }


def _weighted(costs: Sequence[tuple[float, float | None]]) -> float | None:
    total = sum(weight for _, weight in costs if weight)
    return sum(cost * weight for cost, weight in costs if weight) / total if total else None


def _against_mid(deals: Iterable[KeptDeal]) -> dict[str, Any]:
    known = [(slippage_bps(deal), deal.notional) for deal in deals]
    return _costs([(cost, notional) for cost, notional in known if cost is not None])


def _against_prediction(span: LedgerSpan) -> dict[str, Any]:
    """Compare whole orders: a prediction is made for the whole, and a part of it takes the best levels only."""
    asked = {intent.client_order_id: abs(intent.volume_cents) for intent in (*span.outside, *span.intents)}
    by_order: dict[str, list[KeptDeal]] = defaultdict(list)
    for deal in span.deals:
        if deal.client_order_id is not None and deal.decision_mid is not None and deal.predicted_bps is not None:
            by_order[deal.client_order_id].append(deal)
    costs = []
    for own_id, deals in by_order.items():
        cents = sum(abs(deal.volume_cents) for deal in deals)
        if cents != asked.get(own_id):
            continue
        paid = sum((slippage_bps(d) or 0.0) * abs(d.volume_cents) for d in deals) / cents
        notionals = [deal.notional for deal in deals]
        weight = None if None in notionals else sum(n or 0.0 for n in notionals)
        costs.append((paid - (deals[0].predicted_bps or 0.0), weight))
    return _costs(costs)


def _mark_outs(span: LedgerSpan, delay_s: int, as_of_ns: int) -> dict[str, Any]:
    seen = {mark.deal_id: mark for mark in span.marks if mark.delay_s == delay_s}
    weights = {deal.deal_id: deal.notional for deal in span.deals}
    realised = [(mark.realised_bps, weights[deal_id]) for deal_id, mark in seen.items()]
    impact = [(mark.impact_bps, weights[deal_id]) for deal_id, mark in seen.items()]
    # One that finds no mid waits for as long again.
    due_ns = as_of_ns - 2 * delay_s * _SECOND
    at_the_market = {i.client_order_id for i in (*span.outside, *span.intents) if i.order_type in _AT_THE_MARKET}
    awaited = [d for d in span.deals if d.client_order_id in at_the_market and d.recorded_ns < due_ns]
    return {
        "delay_s": delay_s,
        "count": len(seen),
        "missing": sum(deal.deal_id not in seen for deal in awaited),
        "realised_mean_bps": fmean(cost for cost, _ in realised) if realised else None,
        "realised_weighted_bps": _weighted(realised),
        "impact_mean_bps": fmean(cost for cost, _ in impact) if impact else None,
        "impact_weighted_bps": _weighted(impact),
    }


def _fill_ratio(span: LedgerSpan) -> dict[str, Any]:
    """Return how much was executed of the orders that are over: the mean over orders, and the lowest."""
    ratios = []
    for intent in span.intents:
        is_over = intent.state in FINAL_STATES and intent.state != "resolved" and intent.error_code not in _NEVER_LEFT
        if is_over and intent.action in _EXECUTED_BY and intent.volume_cents:
            executed = span.executed_cents.get(intent.client_order_id, 0) / abs(intent.volume_cents)
            ratios.append(1.0 if intent.state == "filled" else min(1.0, executed))
    return {
        "count": len(ratios),
        "mean_frac": fmean(ratios) if ratios else None,
        "lowest_frac": min(ratios, default=None),
    }


def _latency(intents: Iterable[Intent]) -> dict[str, Any]:
    took = [
        (intent.updated_ns - intent.created_ns) / 1e9
        for intent in intents
        if intent.state == "filled" and intent.order_type in _AT_THE_MARKET and intent.updated_ns is not None
    ]
    return {
        "count": len(took),
        "mean": fmean(took) if took else None,
        "median": median(took) if took else None,
        "worst": max(took, default=None),
    }


# -- the account ----------------------------------------------------------------------------------------------------


def _margin(span: LedgerSpan) -> dict[str, Any]:
    uses = [s.used_margin / s.equity for s in span.samples if s.used_margin is not None and s.equity and s.equity > 0]
    uses = [use for use in uses if isfinite(use)]  # of an equity of next to nothing
    levels = [sample.margin_level for sample in span.samples if sample.margin_level is not None]
    return {
        "samples": len(span.samples),
        "mean_use_frac": fmean(uses) if uses else None,
        "highest_use_frac": max(uses, default=None),
        "lowest_level": min(levels, default=None),
    }


def _equity(span: LedgerSpan) -> dict[str, Any]:
    known = [sample.equity for sample in span.samples if sample.equity is not None]
    balances = [sample.balance for sample in span.samples if sample.balance is not None]
    return {
        "open": known[0] if known else None,
        "low": min(known, default=None),
        "high": max(known, default=None),
        "close": known[-1] if known else None,
        "balance_open": balances[0] if balances else None,
        "balance_close": balances[-1] if balances else None,
    }


def _refusals(span: LedgerSpan) -> list[dict[str, Any]]:
    counts: Counter[str] = Counter()
    last = {}
    for row in sorted(span.refusals, key=lambda row: row.last_ns):
        counts[row.check_name] += row.refusal_count
        last[row.check_name] = row
    return [
        {
            "check": check,
            "count": count,
            "last_time": iso_time(last[check].last_ns),
            "last_symbol": last[check].symbol,
            "last_reason": last[check].last_reason,
        }
        for check, count in sorted(counts.items())
    ]


def _notices(span: LedgerSpan) -> list[dict[str, Any]]:
    counts = Counter(notice.code for notice in span.notices)
    last = {notice.code: notice for notice in span.notices}
    return [
        {
            "code": code,
            "count": count,
            "last_time": iso_time(last[code].ns),
            "last_symbol": last[code].symbol,
            "last_text": last[code].text,
        }
        for code, count in sorted(counts.items())
    ]


def _sum(money: Iterable[Decimal | None]) -> Decimal:
    return sum((each for each in money if each is not None), Decimal(0))
