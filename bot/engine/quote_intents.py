"""What is said of a step of our quotes before it is sent: the intended order, and why."""

from bot.account.risk import ApprovedTarget
from bot.engine.decision import IntendedOrder
from bot.engine.order_maker import known
from bot.engine.quote_wishes import Moment, Places
from bot.execution.quotes import Step
from bot.execution.requests import AmendOrder, CancelOrder, PlaceOrder
from bot.sizing.quoting import as_quoting
from bot.sizing.strategy import Strategy


def intended_quote(
    m: Moment,
    s: int,
    side: int,
    step: Step,
    verdict: ApprovedTarget | None,
    request: PlaceOrder | AmendOrder | CancelOrder,
    reason: str,
) -> IntendedOrder:
    """Return the line of one place, amend or cancel; its volume is that of the request, or what is taken back.

    Args: `side` +1 for the bid, -1 for the ask; `verdict` None of a cancel.
    """
    spec, order = m.specs[s], step.order
    left = 0 if order is None else order.left_cents
    volume = left if isinstance(request, CancelOrder) else abs(request.volume_cents)
    target = float(m.held[s])
    if verdict is not None and m.equity > 0:
        target = verdict.target_cents * float(m.prices.unit_notional[s]) / (100 * m.equity)
    return IntendedOrder(
        symbol=spec.name,
        action=step.action,
        side="buy" if side > 0 else "sell",
        volume_cents=volume,
        lots=spec.lots(volume),
        order_type="limit",
        position_id=step.position_id if order is None else order.position_id,
        order_id=None if order is None else order.order_id,
        client_order_id=request.client_order_id,
        leverage_now=known(float(m.held[s])),
        leverage_target=known(target),
        reason=reason,
        predicted_slippage_bps=None,
        margin_before=verdict.margin_before if verdict is not None else None,
        margin_after=verdict.margin_after if verdict is not None else None,
        margin_level_after=verdict.margin_level_after if verdict is not None else None,
    )


def quote_reason(
    strategy: Strategy, m: Moment, at: Places | None, s: int, side: int, step: Step, verdict: ApprovedTarget | None
) -> str:
    """Return why a step is taken. Args: as of `intended_quote`; `at` None where nothing is quoted."""
    quoting, what = as_quoting(strategy), "bid" if side > 0 else "ask"
    if quoting is None or at is None:
        return f"{strategy.name}: {what} taken back: {step.why}"
    digits = m.specs[s].digits
    lots = at.lot_cents / 100
    reservation = quoting.reservation(m.table[: len(m.specs)], at.inventory_units, lots, at.pip)[s]
    held, limit = float(at.inventory_units[s]), float(at.limit_units[s])
    around = f"reservation {reservation:.{digits}f}, inventory {held:+g} of {limit:.0f} units"
    if step.action == "cancel":
        return f"{strategy.name}: {what} taken back: {step.why}; {around}"
    note = f"; {verdict.note}" if verdict is not None and verdict.note else ""
    return f"{strategy.name}: {what} {step.price:.{digits}f} for {around}{note}"
