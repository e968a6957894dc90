"""What the ledger keeps of a Decision when its bytes are gone: states, deals, mark-outs, refusals, notices, money."""

import math
from collections.abc import Iterable

from bot.account.risk import Refused
from bot.engine.decision import CountedDeal, Decision
from bot.engine.engine import Engine
from bot.journal.kept import (
    AccountSample,
    Aftermath,
    KeptDeal,
    KeptMark,
    KeptNotice,
    KeptRefusals,
    StateChange,
)
from bot.net.intents import intent_of

_HOUR_NS = 3_600_000_000_000


def aftermath(decision: Decision, engine: Engine, run_id: str, *, sampled: bool) -> Aftermath:
    """Return what the ledger is to keep of a Decision; `sampled` asks for the account's figures of this moment."""
    now_ns = decision.now_ns
    # Only an order found at the venue has its id from the start; its run may have used another ledger.
    found = {c.order.client_order_id: c.order for c in decision.order_changes if c.order.order_id is not None}
    return Aftermath(
        ns=now_ns,
        found=tuple(intent_of(order, now_ns, engine, run_id) for order in found.values()),
        states=tuple(
            StateChange(change.order.client_order_id, change.state, now_ns, change.error_code)
            for change in decision.order_changes
        ),
        deals=tuple(kept_deal(counted, now_ns, engine) for counted in decision.deals),
        marks=tuple(
            KeptMark(mark.deal_id, mark.delay_s, mark.mid, mark.realised_bps, mark.impact_bps)
            for mark in decision.marks
        ),
        refusals=tuple(_counted(decision.refused, now_ns)),
        notices=tuple(KeptNotice(now_ns, n.code, n.symbol, n.text) for n in decision.notices),
        sample=account_sample(engine, now_ns) if sampled else None,
    )


def kept_deal(counted: CountedDeal, now_ns: int, engine: Engine) -> KeptDeal:
    """Return a deal with what it was worth in lots and deposit currency at the prices of now."""
    deal = counted.deal
    s, spec = next((i, spec) for i, spec in enumerate(engine.specs) if spec.name == counted.symbol)
    return KeptDeal(
        deal_id=deal.deal_id,
        order_id=deal.order_id,
        position_id=deal.position_id,
        client_order_id=counted.client_order_id,
        symbol=counted.symbol,
        is_own=counted.is_own,
        cause=counted.cause,
        volume_cents=deal.volume_cents,
        closed_volume_cents=deal.closed_volume_cents,
        price=deal.price,
        commission=deal.commission,
        gross_profit=deal.gross_profit,
        swap=deal.swap,
        close_commission=deal.close_commission,
        balance=deal.balance,
        balance_version=deal.balance_version,
        executed_ns=deal.executed_ns,
        recorded_ns=now_ns,
        decision_mid=counted.decision_mid,
        predicted_bps=counted.predicted_bps,
        lots=spec.lots(abs(deal.volume_cents)),
        notional=_known(abs(deal.volume_cents) / 100 * deal.price * engine.quote_rate(s)),
    )


def account_sample(engine: Engine, now_ns: int) -> AccountSample:
    """Return the account's figures of this moment."""
    equity, margin = _known(engine.valuation.equity), _known(engine.used_margin())
    level = None if equity is None or not margin else _known(equity / margin)
    return AccountSample(now_ns, equity, engine.portfolio.balance, margin, level)


def _counted(refused: Iterable[Refused], now_ns: int) -> Iterable[KeptRefusals]:
    hour_ns = now_ns - now_ns % _HOUR_NS
    for each in refused:
        numbers = _known(each.value), _known(each.limit)
        yield KeptRefusals(hour_ns, each.symbol, each.check, 1, now_ns, *numbers, each.reason)


def _known(number: float | None) -> float | None:
    return float(number) if number is not None and math.isfinite(number) else None
